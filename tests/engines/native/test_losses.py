"""The losses that the kernel computes without gradients, against those computed from the logits one token at a time."""

from __future__ import annotations

import ctypes
import math
import random
import runpy
import subprocess
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config, init
from microgpt.engines.base import Engine
from microgpt.engines.native import engine as native_engine
from microgpt.engines.native.engine import NativeEngine

from conftest import ROOT, SOURCE, TINY
from engines.native.cases import every_isa, every_precision

MODELS = {
    "tiny": (TINY, 5),
    "names": (Config(), 27),
    "deep": (Config(n_embd=6, n_head=3, n_layer=3, block_size=9, activation="relu2"), 11),
    "wide": (Config(n_embd=48, n_head=4, n_layer=2, block_size=40), 300),
    "long": (Config(n_embd=8, n_head=2, block_size=300), 7),  # longer than a chunk of documents
}
every_model = pytest.mark.parametrize("model", MODELS)


def opened(model: str, precision: str = "exact", std: float = 0.3, **options: Any) -> NativeEngine:
    config, vocab_size = MODELS[model]
    params = init(config.replace(init_std=std), vocab_size, random.Random(4))
    return NativeEngine(params, config, vocab_size, precision=precision, **options)


def documents(model: str, count: int = 60) -> list[list[int]]:
    """Return documents of all lengths from none to too many tokens, and the windows of a stream, which overlap."""
    config, vocab_size = MODELS[model]
    rng = random.Random(model)
    size = config.block_size + 1
    lengths = [0, 1, 2, size - 1, size, size + 1, 3 * size, *(rng.randint(0, size + 2) for _ in range(count))]
    rng.shuffle(lengths)
    stream = rng.choices(range(vocab_size), k=3 * size)
    windows = [stream[at : at + size] for at in range(0, 2 * size, size // 2)]
    return [rng.choices(range(vocab_size), k=length) for length in lengths] + windows


def state(engine: NativeEngine) -> list[bytes | int]:
    return [engine.step, *(getattr(engine, name).tobytes() for name in ("params", "grads", "m", "v"))]


@every_isa
@every_model
@pytest.mark.parametrize("std", [0.02, 0.3, 8.0])
def test_exact_losses_equal_those_from_the_logits_bit_for_bit(isa: str, model: str, std: float) -> None:
    engine = opened(model, std=std, isa=isa, threads=2)
    some = documents(model, 20)
    assert list(engine.losses(iter(some))) == list(Engine.losses(engine, some))


@every_isa
@every_model
def test_float32_losses_are_those_from_the_logits_up_to_rounding(isa: str, model: str) -> None:
    engine = opened(model, "float32", isa=isa, threads=2)
    some = documents(model, 20)
    assert list(engine.losses(some)) == pytest.approx(list(Engine.losses(engine, some)), rel=1e-5)


@every_isa
@every_model
def test_float32_losses_are_those_of_training_bit_for_bit(isa: str, model: str) -> None:
    engine = opened(model, "float32", isa=isa)
    some = [tokens for tokens in documents(model, 20) if len(tokens) > 1]
    for tokens, nats in zip(some, engine.losses(some)):
        assert nats * (1.0 / min(len(tokens) - 1, engine.config.block_size)) == engine.backward([tokens])


@every_precision
@every_model
def test_a_loss_depends_neither_on_threads_nor_on_other_documents(precision: str, model: str) -> None:
    some, engine = documents(model), opened(model, precision, threads=1)
    alone = [nats for tokens in some for nats in engine.losses([tokens])]
    for threads in (1, 2, 3, 9):
        engine = opened(model, precision, threads=threads)
        assert list(engine.losses(some)) == alone
        assert list(engine.losses(some[::-1])) == alone[::-1]


@every_precision
def test_documents_without_a_predicted_token_have_no_loss(precision: str) -> None:
    engine = opened("tiny", precision)
    assert list(engine.losses([])) == []
    assert list(engine.losses([[], [3], []])) == [0.0, 0.0, 0.0]


@every_precision
def test_losses_change_no_state(precision: str) -> None:
    some = [tokens for tokens in documents("tiny") if len(tokens) > 1]
    engine, other = opened("tiny", precision), opened("tiny", precision)
    for each in (engine, other):
        each.train([some[:4]] * 3, [0.01] * 3)
        each.backward(some[:3])
    before = state(engine)
    assert before[2:] != [bytes(len(before[2]))] * 3  # type: ignore[arg-type]
    assert list(engine.losses(some))
    assert state(engine) == before == state(other)
    for each in (engine, other):
        each.train([some[:4]] * 3, [0.01] * 3)
    assert state(engine) == state(other)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Callable[[NativeEngine], list[tuple[int, int]]]:
    """Watch an engine's calls to the kernel: the documents passed and completed in each call."""

    def watch(engine: NativeEngine) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        compute = engine._kernel.losses

        def watched(net: int, tokens: array[int], lengths: array[int], seconds: float) -> array[float] | None:
            losses = compute(net, tokens, lengths, seconds)
            assert losses is not None
            found.append((len(lengths), len(losses)))
            return losses

        monkeypatch.setattr(engine._kernel, "losses", watched)
        return found

    return watch


@every_precision
@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_to_the_kernel_ends_when_its_time_is_up(
    monkeypatch: pytest.MonkeyPatch,
    sizes: Callable[[NativeEngine], list[tuple[int, int]]],
    precision: str,
    threads: int,
) -> None:
    engine, some = opened("names", precision, threads=threads), documents("names", 400)
    expected = list(engine.losses(some))
    monkeypatch.setattr(native_engine, "SLICE", -1.0)  # no time at all
    calls = sizes(engine)
    assert list(engine.losses(some)) == expected
    rows = sum(max(0, min(len(tokens) - 1, 16)) for tokens in some)
    assert len(calls) > rows / 128 / threads / 2
    assert all(0 < done <= 150 * threads for _, done in calls)


def test_documents_are_read_lazily_and_in_groups(
    monkeypatch: pytest.MonkeyPatch, sizes: Callable[[NativeEngine], list[tuple[int, int]]]
) -> None:
    engine = opened("names")
    expected = list(engine.losses([[0, 1, 2, 0]]))
    monkeypatch.setattr(native_engine, "TOKENS_AT_ONCE", 40)
    calls = sizes(engine)
    read = []

    def endless() -> Iterator[Sequence[int]]:
        while True:
            read.append(1)
            yield [0, 1, 2, 0]

    losses = engine.losses(endless())
    assert [next(losses) for _ in range(15)] == expected * 15
    assert (len(read), calls) == (20, [(10, 10), (10, 10)])


def test_a_token_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(ValueError, match="token_id must be between 0 and 4, got token_id=5"):
        list(opened("tiny").losses([[0, 1], [0, 5]]))


@pytest.fixture(scope="module")
def rounded_sum() -> Iterator[Callable[[list[float]], float]]:
    """The kernel's own sum of softmax's terms, in a library of its own."""
    found = runpy.run_path(str(ROOT / "hatch_build.py"))["compilers"]()
    if not found:
        pytest.skip("needs a C compiler")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "sum.c", Path(folder) / "sum.so"
        source.write_text('#include "layers.h"\ndouble sum_of(int n, const double *x) { return rounded_sum(n, x); }\n')
        options = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-DEXACT=1", "-w"]
        folders = ["-I", str(SOURCE / "engines" / "native" / "kernel")]
        subprocess.run([*found[0], *options, *folders, str(source), "-o", str(library), "-lm"], check=True)
        function = ctypes.CDLL(str(library)).sum_of
        function.restype = ctypes.c_double
        yield lambda numbers: function(len(numbers), (ctypes.c_double * len(numbers))(*numbers))


def test_the_total_is_rounded_once(rounded_sum: Callable[[list[float]], float]) -> None:
    rng, half = random.Random(1), 2.0**-53
    cases = [
        [1.0, half],  # ties, alone and with a little on either side
        [1.0, half, half * 2],
        [1.0, half, 5e-324],
        [1.0, half - half / 2**53],
        [1 - half, half / 2, 1e-300],
        [0.0, 0.0, 1.0],
        [5e-324] * 7,
        [2.0**-i for i in range(1075)],
        [2.0 ** -(53 * i) for i in range(20)] * 3,
        *([rng.random() ** rng.choice([1, 3, 30, 300]) for _ in range(rng.randint(1, 300))] for _ in range(300)),
        *(
            [rng.randrange(2**52, 2**53) * half, *[half / 2] * rng.randint(1, 9), rng.choice([0.0, 1e-30])]
            for _ in range(300)
        ),
        *([2.0 ** -rng.randint(0, 120) for _ in range(rng.randint(1, 80))] for _ in range(3000)),
    ]
    for numbers in cases:
        assert rounded_sum(numbers) == math.fsum(numbers), numbers
    plain = [numbers for numbers in cases if sum_from_left(numbers) != math.fsum(numbers)]
    assert len(plain) > 500  # rounding each partial sum would be noticed
    assert math.isnan(rounded_sum([1.0, math.nan]))


def sum_from_left(numbers: list[float]) -> float:
    total = 0.0
    for x in numbers:
        total += x
    return total
