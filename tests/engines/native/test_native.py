"""The native engine against the scalar one, bit for bit; and that it does not crash, leak or hang."""

from __future__ import annotations

import hashlib
import math
import os
import random
import resource
import runpy
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import sampling
from microgpt.clipping import clip
from microgpt.config import PRESETS, Config, init, num_params, offsets, shapes
from microgpt.data.loading import load
from microgpt.engines.base import Decoder
from microgpt.engines.choose import open_engine
from microgpt.engines.native import engine as native_engine
from microgpt.engines.native import library as native_library
from microgpt.engines.native.engine import NativeEngine, kernel
from microgpt.engines.scalar import ScalarEngine

from conftest import ROOT, TINY, examples, golden, models, slow, whole
from engines.native.cases import ISAS, every_isa, every_precision


def assert_same(name: str, expected: Any, got: Any) -> None:
    """Compare bit for bit, any nan equals any nan; on failure show the largest difference and the first five pairs."""
    pairs = [(i, a, b) for i, (a, b) in enumerate(zip(expected, got)) if struct.pack("d", a) != struct.pack("d", b)]
    pairs = [(i, a, b) for i, a, b in pairs if not (math.isnan(a) and math.isnan(b))]
    assert len(expected) == len(got)
    largest = max((abs(a - b) for _, a, b in pairs), default=0)
    assert not pairs, f"{name}: {len(pairs)} of {len(got)} differ, by at most {largest}: {pairs[:5]}"


def assert_same_state(expected: Any, got: Any) -> None:
    assert expected.step == got.step
    for name in ("params", "grads", "m", "v"):
        assert_same(name, getattr(expected, name), getattr(got, name))


@settings(max_examples=examples(200))
@given(
    models(),
    st.sampled_from(ISAS),
    st.integers(1, 3),
    st.sampled_from([None, 5]),
    st.sampled_from([0.0, 0.1, 3.0]),
    st.sampled_from([0.0, 0.1, 7.0]),
    st.sampled_from([None, 1, 2]),
)
def test_exact_equals_the_scalar_engine_bit_for_bit(
    model: Any,
    isa: str,
    threads: int,
    total: int | None,
    clip: float,
    weight_decay: float,
    micro_batch_size: int | None,
) -> None:
    config, vocab_size, batches, seed = model
    config = config.replace(clip=clip, weight_decay=weight_decay)
    params = init(config, vocab_size, random.Random(seed))
    scalar = ScalarEngine(array("d", params), config, vocab_size)
    engine = NativeEngine(array("d", params), config, vocab_size, isa=isa, threads=threads)
    for batch in batches:
        assert_same("loss", [scalar.backward(batch, total)], [engine.backward(batch, total)])
        assert_same("grads", scalar.grads, engine.grads)
    scalar.update(0.01), engine.update(0.01)
    assert_same_state(scalar, engine)
    rates = [0.01, 0.02][: len(batches)]
    expected = scalar.train(batches, rates, micro_batch_size)
    assert_same("losses", expected, engine.train(batches, rates, micro_batch_size))
    assert_same_state(scalar, engine)
    tokens = batches[0][0][: config.block_size]
    for expected, got in zip(scalar.logits(tokens), engine.logits(tokens)):
        assert_same("logits", expected, got)
    documents = [tokens for batch in batches for tokens in batch]
    assert_same("losses", list(scalar.losses(documents)), list(engine.losses(documents)))


def magnitudes(rng: random.Random, low: int, length: int) -> array[float]:
    """Draw numbers with magnitudes from 10**low to about 1e3, with some zeros of both signs."""
    return array(
        "d",
        (rng.choice([0.0, -0.0, 1, 1, 1, 1]) * rng.gauss(0, 1) * 10.0 ** rng.randint(low, 3) for _ in range(length)),
    )


@every_isa
@given(
    seed=st.integers(0, 2**32),
    beta1=st.sampled_from([0.0, 0.4, 0.85, 1 - 2**-53]),
    beta2=st.sampled_from([0.0, 0.5, 0.99, 1 - 2**-53]),
    eps_adam=st.sampled_from([1e-300, 1e-100, 1e-8, 1.0]),
    weight_decay=st.sampled_from([0.0, 1e-15, 0.3, 9.99]),
    step=st.sampled_from([1, 3, 1000]),
)
def test_an_update_equals_the_scalar_one_for_any_numbers(
    isa: str, seed: int, beta1: float, beta2: float, eps_adam: float, weight_decay: float, step: int
) -> None:
    config = TINY.replace(beta1=beta1, beta2=beta2, eps_adam=eps_adam, weight_decay=weight_decay)
    rng = random.Random(seed)
    length = num_params(config, 3)
    lowest = rng.choice([-10, -30, -150, -320])
    grads, m, v = (magnitudes(rng, lowest if name != "v" else 2 * lowest, length) for name in ("grads", "m", "v"))
    params, v = magnitudes(rng, -5, length), array("d", map(abs, v))
    scalar = ScalarEngine(params, config, 3)
    engine = NativeEngine(array("d", params), config, 3, isa=isa)
    for each in (scalar, engine):
        each.grads, each.m, each.v, each.step = array("d", grads), array("d", m), array("d", v), step - 1
        each.update(0.1)
    assert_same_state(scalar, engine)


@every_isa
@pytest.mark.parametrize("beta", [0.1, 0.85, 0.99, 1 - 2**-53])
def test_moments_decay_through_the_denormals_as_in_the_scalar_engine(isa: str, beta: float) -> None:
    """Without a gradient, Adam's moments shrink until rounding stops them, at a few times 2**-1074."""
    config = TINY.replace(beta1=beta, beta2=beta)
    length = num_params(config, 3)
    scalar = ScalarEngine(array("d", [0.5]) * length, config, 3)
    engine = NativeEngine(array("d", scalar.params), config, 3, isa=isa)
    rng = random.Random(7)
    m = array("d", (rng.choice([-1, 1]) * rng.getrandbits(rng.randint(1, 54)) * 5e-324 for _ in range(length)))
    scalar.m, engine.m = array("d", m), array("d", m)
    scalar.v, engine.v = array("d", map(abs, m)), array("d", map(abs, m))
    for _ in range(60):
        for each in (scalar, engine):
            each.update(0.1)
        assert_same_state(scalar, engine)


@every_isa
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_float32_decays_the_weights_as_exact_does(isa: str, clip: float) -> None:
    config = TINY.replace(weight_decay=4.0, clip=clip, n_embd=12)
    params = init(config, 27, random.Random(5))
    exact, engine = (
        NativeEngine(array("d", params), config, 27, precision=precision, isa=isa) for precision in ("exact", "float32")
    )
    for each in (exact, engine):
        each.train([DOCUMENTS[:3], *[DOCUMENTS[3:4]] * 4], [0.05] * 5)
    assert list(engine.params) == pytest.approx(list(exact.params), abs=2e-5)
    table = offsets(shapes(config, 27))
    unused = set(range(27)) - {token_id for document in DOCUMENTS[:4] for token_id in document}
    for token_id in unused:  # rows of wte without any gradient shrink as well
        row = slice(table["wte"].start + 12 * token_id, table["wte"].start + 12 * (token_id + 1))
        assert list(engine.params[row]) == pytest.approx([p * (1 - 0.05 * 4.0) ** 5 for p in params[row]], rel=1e-5)
    assert unused


TIES = {  # squares of gradients whose sum is halfway between two floats, or next to it
    "a tie": [1.0, 2**-26.5],
    "just above a tie": [1.0, 2**-27, 2**-27, 2**-300],
    "just below a tie": [1.0, math.sqrt(2**-53 * (1 - 2**-52))],
    "many scales": [2.0**-k for k in range(0, 500, 13)],
    "overflowing squares": [1e200, 1.0],
    "an overflowing sum": [1.2e154, 1.2e154],
    "a sum at the limit": [1.3407807929942596e154, *[6.6e145] * 100],
    "infinite": [math.inf, 1.0],
    "not a number": [math.nan, math.inf],
    "zero": [0.0],
}


@every_isa
@pytest.mark.parametrize("values", TIES.values(), ids=TIES)
def test_the_norm_that_clips_is_rounded_correctly(isa: str, values: list[float]) -> None:
    config = TINY
    engine = NativeEngine(array("d", bytes(8 * num_params(config, 3))), config, 3, isa=isa)
    start = random.Random(str(values)).randrange(len(engine.grads) - len(values))
    engine.grads[start : start + len(values)] = array("d", values)
    grads = array("d", engine.grads)
    assert_same("norm", [clip(grads, 1e-3)], [engine.clip(1e-3)])
    assert_same("grads", grads, engine.grads)


def published_run(names_file: object, preset: str, **options: Any) -> tuple[NativeEngine, list[float]]:
    config = PRESETS[preset]
    data = load(str(names_file), bos_first=config.bos_first)
    rng = random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    engine = NativeEngine(init(config, data.vocab_size, rng), config, data.vocab_size, **options)
    rates = [config.learning_rate * (1 - step / config.num_steps) for step in range(config.num_steps)]
    batches = [[data.sequence(order[step % len(order)])] for step in range(config.num_steps)]
    return engine, engine.train(batches, rates)


@pytest.mark.golden
@every_isa
def test_exact_repeats_the_published_run_bit_for_bit(isa: str, names_file: object) -> None:
    published = golden("final")
    engine, losses = published_run(names_file, "final", isa=isa)
    assert_same("losses", published["losses"], losses)
    assert hashlib.sha256(engine.params.tobytes()).hexdigest() == published["final_params_sha256"]


@pytest.mark.golden
@every_isa
def test_float32_stays_within_1e_5_of_the_published_losses(isa: str, names_file: object) -> None:
    _, losses = published_run(names_file, "final", isa=isa, precision="float32")
    assert losses == pytest.approx(golden("final")["losses"], rel=0, abs=1e-5)


# Sizes whose heads float32 pads: to 4, 8, 16 elements or to whole vectors, and with heads that share a vector
HEADS = [(48, 3), (18, 2), (28, 4), (48, 4), (3, 3), (8, 4), (5, 1), (40, 2), (272, 1)]
WIDE = Config(n_embd=64, n_head=4, n_layer=2)
DOCUMENTS = [[random.Random(i).randrange(27) for _ in range(2 + i % 17)] for i in range(40)]


@every_isa
@every_precision
@pytest.mark.parametrize(
    "config",
    [TINY, Config(), Config(activation="relu2"), WIDE, *(Config(n_embd=c, n_head=h) for c, h in HEADS)],
    ids=str,
)
def test_train_equals_a_loop_of_backward_and_update(isa: str, precision: str, config: Config) -> None:
    params = init(config, 27, random.Random(5))
    loop, bulk = (NativeEngine(array("d", params), config, 27, precision=precision, isa=isa) for _ in range(2))
    batches = [DOCUMENTS[:1], DOCUMENTS[1:9], DOCUMENTS[9:10], DOCUMENTS[10:40]]
    expected = []
    for batch in batches:
        expected.append(loop.backward(batch))
        loop.update(0.01)
    assert_same("losses", expected, bulk.train(batches, [0.01] * 4))
    assert_same_state(loop, bulk)


@every_isa
@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(activation="relu2"),
        WIDE,
        *(Config(n_embd=n_embd, n_head=n_head) for n_embd, n_head in HEADS),
    ],
    ids=str,
)
def test_float32_gradients_are_close_to_the_exact_ones(isa: str, config: Config) -> None:
    params = init(config, 27, random.Random(5))
    exact = NativeEngine(array("d", params), config, 27, isa=isa)
    close = NativeEngine(array("d", params), config, 27, isa=isa, precision="float32")
    assert close.backward(DOCUMENTS) == pytest.approx(exact.backward(DOCUMENTS), abs=1e-6)
    tolerance = max(1e-7, 2e-9 * config.n_embd)
    apart = [
        (i, x, y)
        for i, (x, y) in enumerate(zip(close.grads, exact.grads, strict=True))
        if not math.isclose(x, y, rel_tol=1e-4, abs_tol=tolerance)
    ]
    assert apart[:5] == []


@every_precision
def test_any_number_of_threads_gives_the_same_numbers(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    states = []
    for threads in (1, 2, 3, 5):
        engine = NativeEngine(array("d", params), WIDE, 27, precision=precision, threads=threads)
        losses = engine.train([DOCUMENTS, DOCUMENTS[:3], DOCUMENTS[:1]] * 3, [0.01] * 9)
        losses.append(engine.backward(DOCUMENTS))
        states.append((losses, engine.params, engine.m, engine.v, engine.grads))
    assert all(state == states[0] for state in states)


@every_precision
def test_the_buffers_are_current_whenever_they_are_read_and_may_be_written(precision: str) -> None:
    """The engine copies them only if somebody reads them, or still holds one that was read before."""
    params = init(TINY, 27, random.Random(5))
    lazy, read, held = (NativeEngine(array("d", params), TINY, 27, precision=precision) for _ in range(3))
    kept = held.params
    view = memoryview(held.m)
    for i in range(6):
        for engine in (lazy, read, held):
            engine.train([DOCUMENTS[i : i + 1]], [0.01])
        assert kept == array("d", read.params)
        assert view.tobytes() == read.m.tobytes()
        if i == 3:
            kept[0] = 1.0
            for engine in (lazy, read):
                engine.params[0] = 1.0
    assert_same_state(lazy, read)
    assert_same_state(lazy, held)
    assert list(lazy.logits([1])[0]) == list(held.logits([1])[0])
    lazy.params = array("d", params)
    assert lazy.backward(DOCUMENTS[:1]) == NativeEngine(params, TINY, 27, precision=precision).backward(DOCUMENTS[:1])


def test_a_python_without_reference_counts_copies_the_buffers_after_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys, "getrefcount")
    assert native_engine.UNSHARED <= 1000
    engine, other = (NativeEngine(init(TINY, 27, random.Random(5)), TINY, 27) for _ in range(2))
    held = engine.params
    for each in (engine, other):
        each.train([DOCUMENTS[:1]], [0.01])
    assert held == other.params


@every_precision
def test_a_step_that_overflows_leaves_nothing_in_the_padding(precision: str) -> None:
    config = TINY.replace(n_embd=6, clip=1.0)
    good = init(config, 27, random.Random(5))
    engine, fresh = (NativeEngine(array("d", good), config, 27, precision=precision) for _ in range(2))
    engine.params[:] = array("d", [1e300 if precision == "exact" else 1e37]) * len(good)
    engine.backward(DOCUMENTS[:2])
    for name in ("params", "m", "v", "grads"):
        getattr(engine, name)[:] = getattr(fresh, name)
    for each in (engine, fresh):
        each.train([DOCUMENTS[:2], DOCUMENTS[2:3]], [0.01, 0.01])
    assert_same_state(fresh, engine)


@every_precision
def test_train_adds_to_existing_gradients(precision: str) -> None:
    params = init(TINY, 27, random.Random(5))
    loop, bulk = (NativeEngine(array("d", params), TINY, 27, precision=precision) for _ in range(2))
    for engine in (loop, bulk):
        engine.backward(DOCUMENTS[:2])
    loop.backward(DOCUMENTS[2:3])
    loop.update(0.01)
    bulk.train([DOCUMENTS[2:3]], [0.01])
    assert_same_state(loop, bulk)


@every_precision
def test_many_streams_give_the_logits_of_each_alone(precision: str) -> None:
    engine = NativeEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision=precision)
    rows = [document[:6] for document in DOCUMENTS if len(document) >= 6]
    streams = engine.streams(len(rows))
    for _ in range(2):
        together = [streams.feed([row[position] for row in rows]) for position in range(6)]
        for i, row in enumerate(rows):
            for position, logits in enumerate(engine.logits(row)):
                # float32 sums a single row in another order: the logits, about 1 in size, differ in their last bits
                allowed = 0 if precision == "exact" else 1e-5
                assert list(together[position][i]) == pytest.approx(list(logits), rel=0, abs=allowed)
        streams.rewind()


@every_precision
@pytest.mark.parametrize("n_embd", [16, 20, 64])
def test_a_stream_does_not_depend_on_the_number_of_streams(precision: str, n_embd: int) -> None:
    config = Config(n_embd=n_embd)
    engine = NativeEngine(init(config, 27, random.Random(1)), config, 27, precision=precision)
    rows = [[random.Random(i * 100 + j).randrange(27) for j in range(16)] for i in range(9)]

    def grow(count: int) -> list[list[list[float]]]:
        streams = engine.streams(count)
        return [[list(row) for row in streams.feed(list(tokens))] for tokens in zip(*rows[:count])]

    among_nine = grow(9)
    for count in (1, 2, 3, 4, 5, 8):
        assert grow(count) == [logits[:count] for logits in among_nine]


@given(
    st.lists(st.floats(-1e3, 1e3) | st.integers(-2, 2).map(float), min_size=2, max_size=40),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0.0, 1e-320, 1e-5, 0.5, 1.0, 1.3]) | st.floats(0, 100),
    st.data(),
)
def test_a_token_drawn_by_the_kernel_is_that_of_random_choices(
    weights: list[float], chance: float, temperature: float, data: st.DataObject
) -> None:
    """A model without layers' weights, whose logits are the first column of lm_head times a constant."""
    vocab_size, top_k = len(weights), data.draw(st.none() | st.integers(1, len(weights)))
    precision = data.draw(st.sampled_from(native_engine.PRECISIONS))
    params = array("d", bytes(8 * num_params(TINY, vocab_size)))
    at = offsets(shapes(TINY, vocab_size))
    for i in range(TINY.n_embd):  # the first token's embedding
        params[at["wte"].start + i] = 1.0
    for i, weight in enumerate(weights):
        params[at["lm_head"].start + i * TINY.n_embd] = weight
    engine = NativeEngine(params, TINY, vocab_size, precision=precision)
    rng = random.Random()
    rng.random = lambda: chance  # type: ignore[method-assign]
    for contexts in (engine.decoder(), engine.streams(3)):
        ids = 0 if isinstance(contexts, Decoder) else [0] * 3
        chances = chance if isinstance(contexts, Decoder) else [chance] * 3
        fed = engine.decoder().feed(0) if isinstance(contexts, Decoder) else engine.streams(3).feed([0] * 3)[0]
        expected = sampling.next_token(fed, rng, temperature, top_k)
        drawn = contexts.draw(ids, chances, temperature, top_k)  # type: ignore[arg-type]
        assert drawn == expected if isinstance(contexts, Decoder) else drawn == [expected] * 3


@every_precision
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("top_k", [None, 3])
@pytest.mark.parametrize(("prompt", "max_new_tokens"), [([], None), ([3, 4], None), ([5], 3)])
def test_whole_documents_are_those_that_are_generated_token_by_token(
    precision: str, temperature: float, top_k: int | None, prompt: list[int], max_new_tokens: int | None
) -> None:
    config = TINY.replace(block_size=8, init_std=0.5)
    engine = NativeEngine(init(config, 9, random.Random(5)), config, 9, precision=precision)
    options: dict[str, Any] = {"bos": 8, "block_size": 8, "temperature": temperature, "top_k": top_k}
    options |= {"prompt": prompt, "max_new_tokens": max_new_tokens}

    rng, other = random.Random(2), random.Random(2)
    in_turn = [list(sampling.generate(engine.decoder, rng, **options)) for _ in range(30)]
    assert [list(text) for text in sampling.generate_documents(engine, other, 30, **options)] == in_turn
    assert rng.getstate() == other.getstate()

    each = [[random.Random(i) for i in range(150)] for _ in range(2)]  # more than are generated at the same time
    alone = [sampling.generate_together(engine.streams, [rng], **options)[0] for rng in each[0]]
    assert [list(text) for text in sampling.generate_documents(engine, each[1], 150, **options)] == alone


def test_a_diverged_model_draws_nothing_and_leaves_the_random_stream() -> None:
    engine = NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5)
    engine.params[0] = math.nan
    rng = random.Random(1)
    before = rng.getstate()
    with pytest.raises(FloatingPointError, match="not finite"):
        sampling.generate_documents(engine, rng, 3, bos=0, block_size=4, temperature=1.0)
    assert rng.getstate() == before
    with pytest.raises(FloatingPointError, match="not finite"):
        engine.decoder().draw(0, 0.5, 1.0, None)


def test_a_decoder_keeps_the_parameters_it_was_opened_with() -> None:
    engine = NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5)
    decoder, expected = engine.decoder(), engine.logits([1, 2])
    decoder.feed(1)
    engine.params[0] += 1
    assert decoder.feed(2) == expected[1]


def test_a_decoder_outlives_its_engine() -> None:
    decoder = NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5).decoder()
    assert all(math.isfinite(logit) for logit in decoder.feed(1))


@every_precision
def test_a_loss_that_is_not_finite_ends_the_run_without_an_update(precision: str) -> None:
    engine = NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision=precision)
    engine.params[3] = math.inf
    for batch in ([[0, 1, 2]], [[0, 1, 2]] * 90):
        step = engine.step
        losses = engine.train([batch] * 3, [0.1] * 3)
        assert len(losses) == 1
        assert not math.isfinite(losses[0])
        assert engine.step == step


MISTAKES: dict[str, tuple[Callable[[NativeEngine], Any], str]] = {
    "empty batch": (lambda e: e.backward([]), "batch must contain at least one document, got none"),
    "one token": (lambda e: e.backward([[1]]), r"document 0 in the batch must have at least two tokens, got \[1\]"),
    "large token": (lambda e: e.backward([[1, 5]]), "token_id must be between 0 and 4, got token_id=5"),
    "negative token": (lambda e: e.train([[[1, 2]], [[0, -1]]], [1, 1]), "got token_id=-1"),
    "decoded token": (lambda e: e.decoder().feed(5), "token_id must be between 0 and 4, got token_id=5"),
    "full context": (lambda e: e.logits([0] * 5), "the context is full: it holds at most block_size=4 tokens"),
    "streams": (lambda e: e.streams(2).feed([1]), "token_ids must contain one token for each of the 2 contexts, got 1"),
    "drawn token": (lambda e: e.decoder().draw(5, 0.5, 1.0, None), "token_id must be between 0 and 4, got token_id=5"),
    "chances": (lambda e: e.streams(2).draw([1, 1], [0.5], 1.0, None), "chances must contain .* 2 contexts, got 1"),
    "prompt": (
        lambda e: e.generate([9], array("d"), end=0, documents=1, limit=1, in_turn=True, temperature=0.0, top_k=None),
        "token_id must be between 0 and 4, got token_id=9",
    ),
    "empty prompt": (
        lambda e: e.generate([], array("d"), end=0, documents=1, limit=1, in_turn=True, temperature=0.0, top_k=None),
        "prompt and limit must be within the context, got 0 tokens",
    ),
    "long documents": (
        lambda e: e.generate([1], array("d"), end=0, documents=1, limit=5, in_turn=True, temperature=0.0, top_k=None),
        "got 1 tokens and limit=5 for block_size=4",
    ),
    "few chances": (
        lambda e: e.generate(
            [1], array("d", [0.5]), end=0, documents=2, limit=4, in_turn=True, temperature=1.0, top_k=None
        ),
        "chances must contain 8 numbers, got 1",
    ),
    "top_k": (lambda e: e.decoder().draw(1, 0.5, 1.0, -1), "top_k must be at least 1, got top_k=-1"),
    "no stream": (lambda e: e.streams(0), "count must be between 1 and 65536, got count=0"),
    "short m": (lambda e: (setattr(e, "m", array("d")), e.update(1.0)), r"m must be an array\('d'\) of \d+ values"),
    "float params": (lambda e: (setattr(e, "params", array("f")), e.logits([1])), r"params must be an array\('d'\)"),
    "no precision": (
        lambda e: NativeEngine(e.params, TINY, 5, precision="half"),
        "precision must be one of exact, float32",
    ),
    "no threads": (
        lambda e: NativeEngine(e.params, TINY, 5, threads=0),
        "threads must be between 1 and 256, got threads=0",
    ),
    "wrong size": (lambda e: NativeEngine(e.params, TINY, 6), r"params must be an array\('d'\) of \d+ values"),
}


@pytest.mark.parametrize(("act", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_an_exception(act: Callable[[NativeEngine], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act(NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5))


def test_the_steps_before_a_mistake_are_done() -> None:
    engine, other = (NativeEngine(init(TINY, 5, random.Random(5)), TINY, 5) for _ in range(2))
    with pytest.raises(ValueError, match="token_id"):
        engine.train([[[1, 2]], [[1, 9]]], [0.1, 0.1])
    other.train([[[1, 2]]], [0.1])
    assert_same_state(other, engine)


def test_without_the_library_the_engine_says_so_and_auto_is_scalar(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(native_library, "LIBRARY", tmp_path / "_kernel.so")
    kernel.cache_clear()
    params = init(TINY, 5, random.Random(5))
    with pytest.raises(ImportError, match="needs its compiled kernel"):
        open_engine("native", params, TINY, 5)
    assert isinstance(open_engine("auto", params, TINY, 5), ScalarEngine)
    kernel.cache_clear()


def test_ctrl_c_interrupts_a_bulk_call() -> None:
    engine = NativeEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    steps = 40_000

    def press() -> None:
        while not engine._step:  # until the first time slice is over; `step` itself shows a whole call's steps
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        engine.train([DOCUMENTS[:8]] * steps, [0.0] * steps)
    assert 0 < engine.step < steps
    assert all(map(math.isfinite, engine.params))


@every_precision
@pytest.mark.parametrize("steps", [100_000, whole(1_000_000)])
def test_memory_does_not_grow_over_many_steps(precision: str, steps: int) -> None:
    config = TINY
    engine = NativeEngine(init(config, 5, random.Random(5)), config, 5, precision=precision)
    part = steps // 20
    batches, rates = [[[0, 1, 0]]] * part, [0.001] * part

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    engine.train(batches, rates)
    before = peak()
    for _ in range(19):
        engine.train(batches, rates)
        engine.backward([[0, 1, 2, 3, 4]] * 40)
        engine.grads = array("d", bytes(8 * len(engine.params)))
        engine.streams(3).feed([0, 1, 2])
    assert engine.step == steps
    assert peak() - before < 2e6


SANITIZED = """
import math, random, sys
from array import array
from pathlib import Path
from microgpt.config import Config, init
from microgpt.engines.native import engine as native
from microgpt.engines.native import library
library.LIBRARY = Path(sys.argv[1])
UNUSUAL = [math.inf, -math.inf, math.nan, 1e30, -1e30, 1e300, 1e-40, 5e-324]
for i in range(*map(int, sys.argv[2:4])):
    rng = random.Random(i)
    head_dim, n_head = rng.choice([1, 3, 4, 8, 16]), rng.choice([1, 2, 4])
    config = Config(n_embd=head_dim * n_head, n_head=n_head, n_layer=rng.choice([1, 2]),
                    block_size=rng.choice([1, 5, 16]), activation=rng.choice(["relu", "relu2"]),
                    clip=rng.choice([0.0, 0.01]), weight_decay=rng.choice([0.0, 0.1]))
    vocab_size = rng.choice([1, 2, 27, 40])
    params = init(config, vocab_size, rng)
    if i % 3 == 1:  # huge or tiny weights
        scale = 10.0 ** rng.randint(-320, 155)
        params = array("d", [scale * x for x in params])
    elif i % 3 == 2:  # a few weights out of range
        for _ in range(rng.choice([1, 5, 500])):
            params[rng.randrange(len(params))] = rng.choice(UNUSUAL)
    documents = [[rng.randrange(vocab_size) for _ in range(rng.randint(2, 20))] for _ in range(12)]
    for precision in native.PRECISIONS:
        for isa in sys.argv[4:]:
            options = {"precision": precision, "isa": isa, "threads": 1 + i % 2}
            engine = native.NativeEngine(array("d", params), config, vocab_size, **options)
            engine.train([documents[:1], documents[1:3], documents], [0.01] * 3)
            engine.backward(documents[:5])
            engine.clip(1e-3)
            engine.update(0.01)
            engine.logits([0] * config.block_size)
            engine.streams(3).feed([0] * 3)
            chances = array("d", [0.99] * 70 * config.block_size)
            for in_turn in (True, False):
                options = {"end": 0, "documents": 3 if i % 3 else 70, "limit": config.block_size, "in_turn": in_turn}
                try:
                    engine.generate([0], chances, **options, temperature=1.0, top_k=rng.choice([None, 1]))
                except FloatingPointError:
                    assert i % 3
print("done")
"""


@pytest.mark.parametrize("isas", [slow(ISAS[:1]), whole(ISAS)])
def test_the_kernel_passes_the_address_and_undefined_behaviour_sanitizers(tmp_path: Path, isas: list[str]) -> None:
    """Many sizes and weights run on a kernel that is compiled to check its memory accesses and its arithmetic."""
    gcc = shutil.which("gcc")
    libasan = (
        subprocess.run([gcc, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
        if gcc
        else ""
    )
    if not gcc or not Path(libasan).is_absolute():
        pytest.skip("needs gcc with AddressSanitizer")
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))
    library = tmp_path / hook["LIBRARY"]
    flags = ["-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]  # -O1 compiles 9 times as long
    hook["compile_kernel"]([gcc], library, flags, isas)
    environment = {**os.environ, "LD_PRELOAD": libasan, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-c", SANITIZED, str(library), "0", "90", *isas]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ran.stdout == "done\n", ran.stderr
