"""The native engine trains ahead of the steps that a loop has seen, and returns to any step that somebody reads."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microgpt.config import Config, init
from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.engines.native.engine import PRECISIONS, NativeEngine, kernel
from microgpt.errors import DivergedError
from microgpt.training import Step, train

CONFIG = Config(n_embd=8, n_head=2, num_steps=120, learning_rate=0.02)


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    try:
        kernel()
    except ImportError as error:
        pytest.skip(f"{error} (python hatch_build.py builds it)")


@pytest.fixture(scope="module")
def data() -> Data:
    return load("names")


def opened(data: Data, precision: str = "exact", config: Config = CONFIG) -> NativeEngine:
    params = init(config, data.vocab_size, random.Random(1))
    return NativeEngine(params, config, data.vocab_size, precision=precision, threads=1)


def steps(engine: NativeEngine, data: Data, **options: Any) -> Iterator[Step]:
    return train(engine, data.sequence, range(len(data)), **options)


def state(engine: NativeEngine) -> tuple[object, ...]:
    return engine.step, bytes(engine.params), bytes(engine.m), bytes(engine.v), bytes(engine.grads)


class OneByOne(NativeEngine):
    """An engine that never trains ahead."""

    def remember(self) -> bool:
        return False


def expected(data: Data, precision: str, config: Config = CONFIG) -> list[tuple[float, tuple[object, ...]]]:
    """The loss and the state after each step, without training ahead."""
    params = init(config, data.vocab_size, random.Random(1))
    engine = OneByOne(params, config, data.vocab_size, precision=precision, threads=1)
    return [(step.loss, state(engine)) for step in steps(engine, data)]


def calls(engine: NativeEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps of each call to the engine, including those that compute steps again."""
    made: list[int] = []
    run = engine._train

    def counted(packed: Any, part: int) -> Any:
        made.append(len(packed.learning_rates))
        return run(packed, part)

    monkeypatch.setattr(engine, "_train", counted)
    return made


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_loop_that_reads_only_losses_takes_few_calls(
    data: Data, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = opened(data, precision)
    made = calls(engine, monkeypatch)
    seen = [(step.step, step.loss, engine.step) for step in steps(engine, data)]
    truth = expected(data, precision)
    assert seen == [(i, loss, i) for i, (loss, _) in enumerate(truth, 1)]
    assert state(engine) == truth[-1][1]
    assert sum(made) == CONFIG.num_steps
    assert len(made) <= CONFIG.num_steps // 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_step_that_is_read_shows_its_own_state(data: Data, precision: str, rng: random.Random) -> None:
    truth = expected(data, precision)
    for chance in (0.02, 0.1, 0.5, 1.0):
        engine = opened(data, precision)
        for number, step in enumerate(steps(engine, data), 1):
            loss, shown = truth[number - 1]
            assert (step.step, step.loss, engine.step) == (number, loss, number)
            if rng.random() < chance:
                assert state(engine) == shown
        assert state(engine) == truth[-1][1]


def test_little_is_computed_again(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    for every in (1, 7, 40):
        engine = opened(data)
        made = calls(engine, monkeypatch)
        for number, step in enumerate(steps(engine, data), 1):
            assert step.step == number
            if number % every == 0:
                assert engine.params
        assert sum(made) <= 1.5 * CONFIG.num_steps


READERS: dict[str, Callable[[NativeEngine, Data], object]] = {
    "params": lambda engine, data: engine.params[0],
    "m": lambda engine, data: engine.m[0],
    "v": lambda engine, data: engine.v[0],
    "grads": lambda engine, data: engine.grads[0],
    "logits": lambda engine, data: [list(row) for row in engine.logits([0, 1, 2])],
    "losses": lambda engine, data: list(engine.losses([data.sequence(3)])),
    "decoder": lambda engine, data: list(engine.decoder().feed(0)),
    "streams": lambda engine, data: [list(row) for row in engine.streams(2).feed([0, 1])],
    "generate": lambda engine, data: engine.generate(
        [data.tokenizer.bos],
        array("d", [0.3] * 8),
        end=data.tokenizer.bos,
        documents=1,
        limit=8,
        in_turn=False,
        temperature=1.0,
        top_k=None,
    ),
    "backward": lambda engine, data: engine.backward([data.sequence(3)]),
}


@pytest.mark.parametrize("reader", READERS)
def test_whatever_reads_the_model_reads_the_yielded_step(data: Data, reader: str) -> None:
    read = READERS[reader]
    seen = []
    for make in (opened, one_by_one):
        engine = make(data)
        at = [read(engine, data) for step in steps(engine, data) if step.step in (50, 71, 99)]
        seen.append((at, state(engine)[:4]))
    assert seen[0] == seen[1]


def one_by_one(data: Data) -> OneByOne:
    return OneByOne(init(CONFIG, data.vocab_size, random.Random(1)), CONFIG, data.vocab_size, threads=1)


def weight(engine: NativeEngine) -> None:
    engine.params[5] += 0.25


def moments(engine: NativeEngine) -> None:
    engine.m = array("d", engine.m)
    engine.v[3] = 1e-3


def gradient(engine: NativeEngine) -> None:
    engine.grads[2] += 0.5


def step_back(engine: NativeEngine) -> None:
    engine.step -= 10


@pytest.mark.parametrize("change", [weight, moments, gradient, step_back])
def test_a_change_in_a_loop_affects_the_next_step(data: Data, change: Callable[[NativeEngine], None]) -> None:
    seen = []
    for make in (opened, one_by_one):
        engine, losses, done = make(data), [], False
        for step in steps(engine, data):
            losses.append((step.step, step.loss))
            if step.step == 70 and not done:
                change(engine)
                done = True
        seen.append((losses, state(engine)))
    assert seen[0] == seen[1]


def test_a_buffer_that_is_held_is_up_to_date_at_every_step(data: Data) -> None:
    truth = expected(data, "exact")
    engine = opened(data)
    params = engine.params
    for number, step in enumerate(steps(engine, data), 1):
        assert step.step == number
        assert bytes(params) == truth[number - 1][1][1]


def test_a_loop_that_is_left_can_be_continued(data: Data) -> None:
    truth = expected(data, "exact")
    engine = opened(data)
    for step in steps(engine, data):
        if step.step == 75:
            break
    assert engine.step == 75
    rest = [(step.step, step.loss) for step in steps(engine, data)]
    assert rest == [(i, loss) for i, (loss, _) in enumerate(truth, 1) if i > 75]
    assert state(engine) == truth[-1][1]


def test_validation_reads_the_step_that_it_belongs_to(data: Data) -> None:
    seen = []
    for make in (opened, one_by_one):
        engine = make(data)
        options = {"validate": lambda engine=engine: sum(engine.losses([data.sequence(9)])), "validate_every": 30}
        seen.append([(step.step, step.val_loss) for step in steps(engine, data, **options)])
    assert seen[0] == seen[1]


def test_an_interrupted_call_leaves_the_last_yielded_step(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = expected(data, "exact")
    engine = opened(data)
    train_in_kernel = engine._kernel.train

    def interrupted(*arguments: Any) -> Any:
        losses = train_in_kernel(*arguments)
        if len(arguments[4]) > 3:  # learning rates
            raise KeyboardInterrupt
        return losses

    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(engine._kernel, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            seen.extend(step.step for step in steps(engine, data))
    assert len(seen) > 3
    assert state(engine) == truth[len(seen) - 1][1]


def test_a_run_that_diverges_stops_at_its_last_good_step(data: Data) -> None:
    config = CONFIG.replace(learning_rate=1e200)
    seen = []
    for cls in (NativeEngine, OneByOne):
        engine = cls(init(config, data.vocab_size, random.Random(1)), config, data.vocab_size, threads=1)
        losses = []
        with pytest.raises(DivergedError) as error:
            losses += [step.loss for step in steps(engine, data)]
        seen.append((losses, str(error.value), engine.step))
    assert seen[0] == seen[1]
