"""Training reads the documents in turn, gives the engine the right steps, and stops when the loss is not finite."""

from __future__ import annotations

import math
import random
import re
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference
from microgpt.config import Config, init
from microgpt.engines.base import Decoder, Engine, Tokens
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import DivergedError
from microgpt.reference import Value
from microgpt.schedule import learning_rate
from microgpt.training import Step, train

from conftest import TINY, golden

VOCAB_SIZE, BOS = 5, 4
DOCUMENTS = [[BOS, *document, BOS] for document in ([0], [1, 2], [3, 0, 1], [2, 2, 2, 2, 2, 2], [1])]


class Fake(Engine):
    """An engine that computes nothing, and records its calls. `loss_of` returns the loss of a step, or raises."""

    def __init__(self, config: Config, loss_of: Callable[[int], float] = float) -> None:
        self.config, self.vocab_size, self.loss_of = config, VOCAB_SIZE, loss_of
        self.params, self.grads, self.m, self.v = (array("d") for _ in range(4))
        self.step = 0
        self.read: list[list[list[int]]] = []  # the batches of the calls of backward
        self.totals: list[int | None] = []
        self.rates: list[float] = []  # the learning rates of the updates

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        self.read.append([list(tokens) for tokens in batch])
        self.totals.append(total)
        return self.loss_of(self.step + 1) * len(batch) / (total or len(batch))

    def update(self, learning_rate: float) -> None:
        self.rates.append(learning_rate)
        self.step += 1

    def decoder(self) -> Decoder:
        raise AssertionError("training asks for no logits")


def scalar_engine(config: Config = TINY) -> ScalarEngine:
    return ScalarEngine(init(config, VOCAB_SIZE, random.Random(0)), config, VOCAB_SIZE)


def state(engine: Engine) -> tuple[bytes, bytes, bytes, int]:
    """Return everything that later steps depend on."""
    return engine.params.tobytes(), engine.m.tobytes(), engine.v.tobytes(), engine.step


def documents(i: int) -> list[int]:
    return DOCUMENTS[i]


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


# --- Documents and learning rates


def test_the_learning_rate_decays_linearly_to_0() -> None:
    for step in range(1000):
        expected = Fraction(1, 100) * (1 - Fraction(step, 1000))
        assert learning_rate(step, 1000, 0.01) == pytest.approx(float(expected), rel=1e-15)
    assert learning_rate(0, 1000, 0.01) == 0.01
    assert learning_rate(1000, 1000, 0.01) == 0.0


def test_the_learning_rate_warms_up_linearly_before_it_decays() -> None:
    rates = [learning_rate(step, 110, 0.5, warmup_steps=10) for step in range(110)]
    assert rates[:10] == pytest.approx([0.05 * (i + 1) for i in range(10)], rel=1e-15)
    assert rates[10:] == pytest.approx([0.5 * (1 - i / 100) for i in range(100)], rel=1e-15)


def test_the_learning_rate_can_decay_as_a_cosine() -> None:
    rates = [learning_rate(step, 110, 0.5, warmup_steps=10, decay="cosine") for step in range(111)]
    assert rates[:10] == [learning_rate(step, 110, 0.5, warmup_steps=10) for step in range(10)]
    assert rates[10] == 0.5
    assert [rates[35], rates[60], rates[85]] == pytest.approx([0.25 + 0.125 * 2**0.5, 0.25, 0.25 - 0.125 * 2**0.5])
    assert rates[110] == pytest.approx(0, abs=1e-17)
    # the curve is symmetric about its middle
    for i in range(100):
        assert rates[10 + i] + rates[110 - i] == pytest.approx(0.5)


def test_training_follows_the_schedule_of_the_config() -> None:
    config = TINY.replace(warmup_steps=3, decay="cosine")
    steps = list(train(Fake(config), documents, range(5)))
    assert [step.learning_rate for step in steps] == [learning_rate(s, 12, 0.01, 3, "cosine") for s in range(12)]


@pytest.mark.parametrize("options", [{}, {"together": True}, {"micro_batch_size": 1}], ids=str)
def test_the_whole_gradient_of_a_step_is_clipped(options: dict[str, Any]) -> None:
    """Compared with gradients that the test scales; the limit is exceeded at some steps only."""
    config = TINY.replace(batch_size=2, clip=1.3)
    engine, by_hand = scalar_engine(config), scalar_engine(config.replace(clip=0.0))
    losses = [step.loss for step in train(engine, documents, range(5), **options)]
    norms = []
    for step in range(config.num_steps):
        expected = by_hand.backward([documents(2 * step % 5), documents((2 * step + 1) % 5)])
        assert losses[step] == pytest.approx(expected, rel=1e-12)
        norms.append(math.hypot(*by_hand.grads))
        scale = min(1.0, 1.3 / norms[-1])
        by_hand.grads[:] = array("d", (grad * scale for grad in by_hand.grads))
        by_hand.update(learning_rate(step, config.num_steps, config.learning_rate))
    assert min(norms) < 1.3 < max(norms)
    assert list(engine.params) == pytest.approx(list(by_hand.params), rel=1e-12)


def test_each_step_updates_with_the_rate_that_it_reports() -> None:
    engine = Fake(TINY)
    steps = list(train(engine, documents, range(5)))
    assert engine.rates == [step.learning_rate for step in steps] == [0.01 * (1 - s / 12) for s in range(12)]


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.booleans())
def test_batches_follow_the_order_and_begin_again_at_its_end(
    num_docs: int, batch_size: int, num_steps: int, together: bool
) -> None:
    order = list(range(num_docs))
    random.Random(num_docs).shuffle(order)
    sequences = [[BOS, i, BOS] for i in range(num_docs)]
    engine = Fake(TINY.replace(batch_size=batch_size, num_steps=num_steps))
    list(train(engine, sequences.__getitem__, order, together=together))
    endless = [sequences[order[i % num_docs]] for i in range(num_steps * batch_size)]
    assert [tokens for batch in engine.read for tokens in batch] == endless
    assert [len(batch) for batch in engine.read] == [batch_size] * num_steps


def test_a_step_reports_its_number_its_loss_and_its_tokens() -> None:
    engine = Fake(TINY.replace(num_steps=5), loss_of=lambda step: 10.0 - step)
    rates = [0.01 * (1 - s / 5) for s in range(5)]
    # documents of 1, 2, 3, 6 and 1 characters, plus the BOS at the end, but at most block_size=4
    assert list(train(engine, documents, range(5))) == [
        Step(1, 9.0, rates[0], 2),
        Step(2, 8.0, rates[1], 3),
        Step(3, 7.0, rates[2], 4),
        Step(4, 6.0, rates[3], 4),
        Step(5, 5.0, rates[4], 2),
    ]


def test_the_tail_of_a_document_beyond_block_size_is_not_given_to_the_engine() -> None:
    engine = Fake(TINY.replace(num_steps=5))
    list(train(engine, documents, range(5)))
    assert engine.read == [[tokens[:5]] for tokens in DOCUMENTS]


def test_a_loss_is_that_of_the_reference_before_the_update() -> None:
    engine = scalar_engine()
    numbers = iter(engine.params)
    state_dict = {
        name: [[Value(next(numbers)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in reference.shapes(VOCAB_SIZE, 4, 1, 4).items()
    }
    expected = reference.loss(DOCUMENTS[2], state_dict, 1, 2, 4).data
    assert next(train(engine, documents, [2])).loss == expected


@pytest.mark.golden
def test_training_begins_with_the_published_losses(names_file: Path) -> None:
    docs = reference.documents(names_file)
    rng = random.Random(42)
    rng.shuffle(docs)
    tokenizer = reference.Tokenizer(set("".join(docs)))
    config = Config()
    engine = ScalarEngine(init(config, 27, rng), config, 27)
    steps = train(engine, lambda i: tokenizer.encode(docs[i]), range(len(docs)))
    losses = [next(steps).loss for _ in range(3)]
    assert losses == golden("final")["losses"][:3]


def test_a_trained_engine_does_no_more_steps() -> None:
    engine = Fake(TINY)
    engine.step = TINY.num_steps
    assert list(train(engine, documents, range(5), validate=lambda: 1.0, validate_every=1)) == []
    assert engine.read == []


# --- Gradient accumulation


@pytest.mark.parametrize("micro_batch_size", [1, 2, 3, 4, 5])
def test_micro_batches_give_the_weights_of_the_whole_batch_bit_for_bit(micro_batch_size: int) -> None:
    config = TINY.replace(batch_size=5, num_steps=4)
    whole, parts = scalar_engine(config), scalar_engine(config)
    expected = [step.loss for step in train(whole, documents, range(5))]
    losses = [step.loss for step in train(parts, documents, range(5), micro_batch_size=micro_batch_size)]
    assert state(parts) == state(whole)
    assert losses == pytest.approx(expected, rel=1e-14)  # the sum is computed in parts


def test_micro_batches_pass_the_number_of_documents_in_the_step() -> None:
    engine = Fake(TINY.replace(batch_size=5, num_steps=2))
    steps = list(train(engine, documents, range(5), micro_batch_size=2))
    assert [len(batch) for batch in engine.read] == [2, 2, 1] * 2
    assert engine.totals == [5] * 6
    assert [step.loss for step in steps] == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize("size", [0, -1, 3])
def test_an_invalid_micro_batch_size_is_refused(size: int) -> None:
    engine = Fake(TINY.replace(batch_size=2))
    with pytest.raises(
        ValueError, match=exactly(f"micro_batch_size must be between 1 and batch_size=2, got micro_batch_size={size}")
    ):
        next(iter(train(engine, documents, range(5), micro_batch_size=size)))
    assert engine.read == []


# --- Many steps in one call


def test_together_gives_the_same_steps_and_weights() -> None:
    one_by_one, together = scalar_engine(), scalar_engine()
    options = {"validate": lambda: 2.5, "validate_every": 5}
    expected = list(train(one_by_one, documents, range(5), **options))
    assert list(train(together, documents, range(5), together=True, **options)) == expected
    assert state(together) == state(one_by_one)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 60), st.integers(0, 30))
def test_together_is_not_ahead_at_the_promised_steps(
    validate_every: int, pause_every: int, num_steps: int, done: int
) -> None:
    engine = Fake(TINY.replace(num_steps=num_steps))
    engine.step = min(done, num_steps)
    made = []
    for step in train(
        engine,
        documents,
        range(5),
        validate=lambda: 1.0,
        validate_every=validate_every,
        pause_every=pause_every,
        together=True,
    ):
        made.append(step.step)
        promised = step.step == num_steps or any(n and step.step % n == 0 for n in (validate_every, pause_every))
        assert engine.step == step.step if promised else engine.step >= step.step
    assert made == list(range(min(done, num_steps) + 1, num_steps + 1))


def test_together_is_ahead_of_the_steps_of_a_fast_engine() -> None:
    engine = Fake(TINY.replace(num_steps=100))
    assert any(engine.step > step.step for step in train(engine, documents, range(5), together=True))


def test_one_by_one_is_never_ahead() -> None:
    engine = Fake(TINY.replace(num_steps=100))
    assert all(engine.step == step.step for step in train(engine, documents, range(5)))


# --- Held-out losses


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("validate_every", "expected"), [(0, [12]), (1, list(range(1, 13))), (5, [5, 10, 12]), (6, [6, 12]), (50, [12])]
)
def test_the_held_out_loss_is_measured_when_promised(validate_every: int, expected: list[int], together: bool) -> None:
    engine, measured = Fake(TINY), []

    def validate() -> float:
        measured.append(engine.step)
        return -float(engine.step)

    steps = list(
        train(engine, documents, range(5), validate=validate, validate_every=validate_every, together=together)
    )
    assert measured == expected
    assert {step.step: step.val_loss for step in steps if step.val_loss is not None} == {s: -float(s) for s in expected}


def test_without_a_held_out_part_no_step_has_a_held_out_loss() -> None:
    assert all(step.val_loss is None for step in train(Fake(TINY), documents, range(5), validate_every=2))


# --- The clock


def test_steps_of_one_call_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 2))  # each call takes 2 seconds
    monkeypatch.setattr("time.perf_counter", lambda: float(next(now)))
    engine = Fake(TINY.replace(num_steps=5))
    engine.call_seconds = 10.0  # so that a call may have more and more steps
    steps = list(train(engine, documents, range(5), together=True))
    assert [step.seconds for step in steps] == [2.0, 1.0, 1.0, 1.0, 1.0]


def test_documents_are_read_while_the_engine_computes() -> None:
    """The documents of a step are read after the previous steps have begun: a GPU does not wait for all documents."""
    read: list[int] = []

    class Watching(Fake):
        def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
            seen.append(len(read))
            return super().backward(batch, total)

    seen: list[int] = []
    engine = Watching(TINY.replace(num_steps=20))

    def sequence(i: int) -> list[int]:
        read.append(i)
        return DOCUMENTS[i]

    list(train(engine, sequence, range(5), together=True))
    assert seen == list(range(1, 21))


# --- Several processes


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 9))
def test_each_process_only_reads_its_part_of_every_batch(world_size: int, share: int, num_docs: int) -> None:
    config = TINY.replace(batch_size=world_size * share, num_steps=5)
    whole = Fake(config)
    list(train(whole, lambda i: [BOS, i, BOS], range(num_docs)))
    for rank in range(world_size):
        engine, read = Fake(config), []
        engine.rank, engine.world_size = rank, world_size

        def sequence(i: int, read: list[int] = read) -> list[int]:
            read.append(i)
            return [BOS, i, BOS]

        list(train(engine, sequence, range(num_docs)))
        assert engine.read == [batch[rank * share : (rank + 1) * share] for batch in whole.read]
        assert engine.totals == [config.batch_size] * 5
        assert read == [tokens[1] for batch in engine.read for tokens in batch]


def test_the_loss_of_a_step_and_its_tokens_are_those_of_all_processes() -> None:
    class Second(Fake):
        rank, world_size = 1, 2

        def reduce(self, loss: float) -> float:
            return loss + 10.0

        def add_up(self, numbers: list[float]) -> list[float]:
            return [2 * number for number in numbers]

    steps = list(train(Second(TINY.replace(batch_size=2, num_steps=1)), documents, range(5)))
    assert (steps[0].loss, steps[0].tokens) == (10.5, 6)  # document 1 has 3 tokens to predict


def test_a_batch_that_the_processes_cannot_share_evenly_is_refused() -> None:
    engine = Fake(TINY.replace(batch_size=4))
    engine.world_size = 3
    message = "batch_size must be a multiple of the number of processes (3), got batch_size=4 (try batch_size=6)"
    with pytest.raises(ValueError, match=exactly(message)):
        next(iter(train(engine, documents, range(5))))


# --- Resuming


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("done", [1, 5, 11])
def test_training_continues_from_the_step_of_the_engine(done: int, together: bool) -> None:
    config = TINY.replace(batch_size=3)
    uninterrupted, engine = scalar_engine(config), scalar_engine(config)
    expected = list(train(uninterrupted, documents, [2, 0, 3, 1]))
    first = train(engine, documents, [2, 0, 3, 1])
    steps = [next(first) for _ in range(done)]
    resumed = ScalarEngine(array("d", engine.params), config, VOCAB_SIZE)
    resumed.m[:], resumed.v[:], resumed.step = engine.m, engine.v, engine.step
    steps += train(resumed, documents, [2, 0, 3, 1], together=together)
    assert steps == expected
    assert state(resumed) == state(uninterrupted)


# --- A loss that is not finite


@pytest.mark.parametrize("micro_batch_size", [None, 2])
@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_training_before_its_update(loss: float, micro_batch_size: int | None) -> None:
    engine = Fake(TINY.replace(batch_size=2), loss_of=lambda step: loss if step == 3 else 1.0)
    steps = train(engine, documents, range(5), micro_batch_size=micro_batch_size)
    assert [next(steps).step, next(steps).step] == [1, 2]
    with pytest.raises(
        DivergedError,
        match=exactly(
            f"the loss at step 3 is {loss}: start a new run with learning_rate below 0.01 or init_std below 0.08"
        ),
    ):
        next(steps)
    assert engine.step == 2
    assert len(engine.rates) == 2


def leaves_the_range_at_step_3(step: int) -> float:
    if step == 3:
        raise FloatingPointError("a number left the range of float64")
    return 1.0


def test_an_engine_that_leaves_the_range_of_floats_stops_training() -> None:
    steps = train(Fake(TINY, leaves_the_range_at_step_3), documents, range(5))
    assert [next(steps).step, next(steps).step] == [1, 2]
    with pytest.raises(
        DivergedError,
        match=exactly(
            "the loss at step 3 is nan: start a new run with learning_rate below 0.01 or init_std below 0.08"
        ),
    ):
        next(steps)


@pytest.mark.parametrize(
    "loss_of",
    [lambda step: math.nan if step >= 5 else 1.0, lambda step: leaves_the_range_at_step_3(step - 2)],
    ids=["nan", "FloatingPointError"],
)
def test_together_names_the_step_that_diverged_and_yields_those_before_it(loss_of: Callable[[int], float]) -> None:
    """Calls have 1, 2, 4... steps: the fifth step is inside a call."""
    made: list[Step] = []
    with pytest.raises(DivergedError, match=r"^the loss at step 5 is nan: "):
        made.extend(train(Fake(TINY, loss_of), documents, range(5), together=True))
    assert [step.step for step in made] == [1, 2, 3, 4]


def test_an_update_that_leaves_the_range_of_floats_stops_training() -> None:
    class Overflows(Fake):
        def update(self, learning_rate: float) -> None:
            raise FloatingPointError("a number left the range of float64")

    with pytest.raises(DivergedError):
        next(train(Overflows(TINY), documents, range(5)))


def test_a_learning_rate_that_is_too_high_ends_in_a_divergence_of_the_scalar_engine() -> None:
    engine = scalar_engine(TINY.replace(learning_rate=1e9))
    with pytest.raises(DivergedError, match=r"learning_rate below 1000000000\.0 "):
        list(train(engine, documents, range(5)))
