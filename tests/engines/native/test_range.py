"""Numbers out of range: the scalar engine and the native one agree on what is finite, and nothing raises."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import sampling
from microgpt.config import Config, init, num_params, offsets, shapes
from microgpt.engines.base import Engine
from microgpt.engines.native.engine import NativeEngine, kernel
from microgpt.engines.scalar import ScalarEngine

from conftest import TINY, examples

try:
    kernel()
except ImportError as error:
    pytest.skip(f"{error} (python hatch_build.py builds it)", allow_module_level=True)


def assert_agree(name: str, expected: Iterable[float], got: Iterable[float]) -> None:
    """Compare bit for bit; two numbers that are not finite agree."""
    pairs = [pair for pair in zip(expected, got) if struct.pack("d", pair[0]) != struct.pack("d", pair[1])]
    pairs = [(a, b) for a, b in pairs if math.isfinite(a) or math.isfinite(b)]
    assert not pairs, f"{name}: {len(pairs)} differ: {pairs[:5]}"


@st.composite
def scaled_models(draw: st.DrawFn) -> tuple[array[float], Config, int, list[list[int]]]:
    """A model whose matrices (all of them, or some) are multiplied by powers of ten, and two documents."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    n_head, vocab_size = rng.choice([1, 2]), rng.choice([2, 4, 7])
    config = Config(
        n_embd=n_head * rng.choice([1, 2, 3]),
        n_head=n_head,
        n_layer=rng.choice([1, 2]),
        block_size=rng.choice([1, 2, 4]),
        activation=rng.choice(["relu", "relu2"]),
        clip=rng.choice([0.0, 1.0]),
        weight_decay=rng.choice([0.0, 0.1]),
    )
    params = init(config, vocab_size, rng)
    table = offsets(shapes(config, vocab_size))
    for names in rng.choice([[list(table)], [[name] for name in rng.sample(list(table), rng.choice([1, 2, 3]))]]):
        scale = 10.0 ** rng.randint(-155, 155)
        for name in names:
            params[table[name]] = array("d", (scale * x for x in params[table[name]]))
    documents = [[rng.randrange(vocab_size) for _ in range(rng.randint(2, 5))] for _ in range(2)]
    return params, config, vocab_size, documents


def sampled(engine: Engine, temperature: float) -> list[int] | str:
    """Return a document, or the error."""
    options = {"bos": 0, "block_size": engine.config.block_size, "temperature": temperature}
    try:
        return list(sampling.generate(engine.decoder, random.Random(1), **options))
    except FloatingPointError as error:
        return str(error)


@settings(max_examples=examples(80))
@given(scaled_models(), st.sampled_from([0.0, 1.0, 1e-50]))
def test_the_exact_engines_agree_for_weights_of_any_magnitude(
    model: tuple[array[float], Config, int, list[list[int]]], temperature: float
) -> None:
    params, config, vocab_size, documents = model
    scalar = ScalarEngine(array("d", params), config, vocab_size)
    native = NativeEngine(array("d", params), config, vocab_size)
    tokens = documents[0][: config.block_size]
    for expected, got in zip(scalar.logits(tokens), native.logits(tokens)):
        assert_agree("logits", expected, got)
    assert_agree("losses", scalar.losses(documents), native.losses(documents))
    assert sampled(scalar, temperature) == sampled(native, temperature)
    loss = scalar.backward(documents)
    assert_agree("loss", [loss], [native.backward(documents)])
    if math.isfinite(loss):
        assert_agree("grads", scalar.grads, native.grads)
        scalar.update(0.01), native.update(0.01)
        for name in ("params", "m", "v"):
            assert_agree(name, getattr(scalar, name), getattr(native, name))
    scalar = ScalarEngine(array("d", params), config, vocab_size)
    native = NativeEngine(array("d", params), config, vocab_size)
    expected, got = (engine.train([documents] * 2, [0.01] * 2) for engine in (scalar, native))
    assert len(expected) == len(got)
    assert_agree("losses", expected, got)
    assert scalar.step == native.step
    assert_agree("params", scalar.params, native.params)


@settings(max_examples=examples(80))
@given(scaled_models(), st.sampled_from([None, math.inf, -math.inf, math.nan]))
def test_float32_raises_nothing_for_weights_of_any_magnitude(
    model: tuple[array[float], Config, int, list[list[int]]], unusual: float | None
) -> None:
    params, config, vocab_size, documents = model
    if unusual is not None:
        params[len(params) // 2] = unusual
    native = NativeEngine(array("d", params), config, vocab_size, precision="float32")
    assert isinstance(native.backward(documents), float)
    native.update(0.01)
    assert len(list(native.losses(documents))) == len(documents)
    sampled(native, 1.0)
    native = NativeEngine(array("d", params), config, vocab_size, precision="float32")
    losses = native.train([documents] * 3, [0.01] * 3)
    assert len(losses) == 3 or not math.isfinite(losses[-1])


@pytest.mark.parametrize("precision", ["exact", "float32"])
@pytest.mark.parametrize("unusual", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("vocab_size", [3, 16, 27])
def test_a_logit_that_is_inf_or_nan_makes_the_loss_so(precision: str, unusual: float, vocab_size: int) -> None:
    for token_id in range(vocab_size):
        engine = NativeEngine(init(TINY, vocab_size, random.Random(1)), TINY, vocab_size, precision=precision)
        start = offsets(shapes(TINY, vocab_size))["lm_head"].start + token_id * TINY.n_embd
        engine.params[start : start + TINY.n_embd] = array("d", [unusual] * TINY.n_embd)  # inf - inf is nan
        [logits] = engine.logits([0])
        assert math.isnan(logits[token_id])
        assert not math.isfinite(engine.backward([[0, 1]]))
        assert not math.isfinite(next(engine.losses([[0, 1]])))


@pytest.mark.parametrize("head", [4, 272])
def test_float32_attends_to_the_largest_logit_even_if_all_are_very_negative(head: int) -> None:
    """The second position's attention logits are about -1e32 and -2e32, so it attends to the first one alone."""
    config = Config(n_embd=head, n_head=1, n_layer=1, block_size=2)
    table, size = offsets(shapes(config, 2)), head * head
    params = array("d", bytes(8 * num_params(config, 2)))
    rng = random.Random(1)
    for name in ("wte", "lm_head"):
        params[table[name]] = array("d", (rng.random() for _ in range(2 * head)))
    for name, scale in ("wq", 1e16), ("wk", -1e16), ("wv", 1.0), ("wo", 1.0):
        diagonal = array("d", bytes(8 * size))
        for i in range(0, size, head + 1):
            diagonal[i] = scale
        params[table[f"layer0.attn_{name}"]] = diagonal
    engines = [NativeEngine(params, config, 2, precision=precision) for precision in ("exact", "float32")]
    exact, close = (engine.logits([0, 1])[1] for engine in engines)
    assert list(close) == pytest.approx(list(exact), rel=1e-4)


@pytest.mark.parametrize("engine_class", [ScalarEngine, NativeEngine])
def test_a_gradient_whose_square_overflows_leaves_its_weight_where_it_is(engine_class: type[Engine]) -> None:
    engine = engine_class(init(TINY, 3, random.Random(1)), TINY, 3)
    before = array("d", engine.params)
    engine.grads[3], engine.grads[4] = -1e200, 1.0
    engine.update(0.01)
    assert (engine.step, engine.v[3]) == (1, math.inf)
    assert [i for i, (a, b) in enumerate(zip(before, engine.params)) if a != b] == [4]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("engine_class", [ScalarEngine, NativeEngine])
def test_no_token_is_sampled_if_every_logit_is_minus_infinity(engine_class: type[Engine], temperature: float) -> None:
    params = array("d", bytes(8 * num_params(TINY, 3)))
    table = offsets(shapes(TINY, 3))
    params[table["wte"].start] = 1.0  # the first token's embedding, and so the only input of lm_head that is not 0
    params[table["wpe"]] = array("d", [1.0]) * (TINY.block_size * TINY.n_embd)
    params[table["lm_head"]] = array("d", [-1.7e308]) * (3 * TINY.n_embd)
    engine = engine_class(params, TINY, 3)
    assert list(engine.logits([0])[0]) == [-math.inf] * 3
    assert "not finite" in str(sampled(engine, temperature))
