"""The computations that test_wasm.py runs with the native engine in CPython, and in Pyodide with WebAssembly."""

from __future__ import annotations

import itertools
import random
from array import array
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from microgpt.config import PRESETS, Config, init
from microgpt.data.loading import load
from microgpt.engines.choose import open_engine
from microgpt.engines.native.engine import NativeEngine
from microgpt.sampling import generate
from microgpt.training import train


def published_run(names: str, precision: str = "exact") -> dict[str, Any]:
    """Return the losses, weights and samples of the preset `final`."""
    config = PRESETS["final"]
    data, rng = load(names), random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    engine = open_engine("native", init(config, data.vocab_size, rng), config, data.vocab_size, precision)
    losses = [step.loss for step in train(engine, data.sequence, order, together=True)]
    options = {"bos": data.tokenizer.bos, "block_size": config.block_size, "temperature": config.temperature}
    samples = [data.tokenizer.decode(list(generate(engine.decoder, rng, **options))) for _ in range(20)]
    return {"losses": losses, "params": list(engine.params), "samples": samples}


def configs() -> list[Config]:
    sizes = [(4, 1), (6, 3), (16, 4), (16, 2), (24, 3), (48, 4), (64, 2)]
    layers, activations, batches = (
        itertools.cycle([1, 2, 3]),
        itertools.cycle(["relu", "relu2"]),
        [1, 5, 16, 1, 3, 7, 2],
    )
    return [
        Config(n_embd=n_embd, n_head=n_head, n_layer=next(layers), activation=next(activations), batch_size=batch)
        for (n_embd, n_head), batch in zip(sizes, batches)
    ]


def trial(config: Config, precision: str = "exact") -> dict[str, list[float]]:
    """Use every function of an engine once, and return the resulting numbers."""
    rng, vocab_size = random.Random(str(config)), 11
    batches = [
        [[rng.randrange(vocab_size) for _ in range(rng.randint(2, 20))] for _ in range(config.batch_size)]
        for _ in range(12)
    ]
    engine = NativeEngine(init(config, vocab_size, rng), config, vocab_size, precision=precision)
    found = {"first loss": [engine.backward(batches[0])], "first grads": list(engine.grads)}
    engine.grads = array("d", bytes(8 * len(engine.grads)))
    found["losses"] = engine.train(batches[:10], [0.01] * 10)
    found["losses of documents"] = list(engine.losses([[], [3], *(tokens for batch in batches for tokens in batch)]))
    found["backward"] = [engine.backward(batch, 2 * config.batch_size) for batch in batches[10:]]
    found["grads"] = list(engine.grads)
    decoder = engine.decoder()
    engine.update(0.01)
    found |= {name: list(getattr(engine, name)) for name in ("params", "m", "v")}
    assert not any(engine.grads)
    text = [rng.randrange(vocab_size) for _ in range(config.block_size)]
    found["decoder"] = [logit for token in text for logit in decoder.feed(token)]
    found["logits"] = [logit for logits in engine.logits(text) for logit in logits]
    streams = engine.streams(3)
    for _ in range(2):
        for token in text:
            found["streams"] = [logit for logits in streams.feed([token, 0, vocab_size - 1]) for logit in logits]
        streams.rewind()
    return found


def pieces(precision: str, *sizes: int) -> dict[str, list[float]]:
    """Train a model with one call per size, of that many steps, and return its state."""
    rng, config = random.Random(7), Config(n_embd=8, n_head=2)
    engine = NativeEngine(init(config, 11, rng), config, 11, precision=precision)
    batches = [[[rng.randrange(11) for _ in range(9)]] for _ in range(sum(sizes))]
    at = 0
    for size in sizes:
        engine.train(batches[at : at + size], [0.01] * size)
        at += size
    return {name: list(getattr(engine, name)) for name in ("params", "m", "v")}


def mistakes() -> dict[str, str]:
    """Return the engine's errors for options and sizes that WebAssembly does not support."""
    config = Config(n_embd=4, n_head=1)
    params = init(config, 5, random.Random(1))
    messages = {}
    for name, value in {"threads": 2, "isa": "avx2", "precision": "half"}.items():
        try:
            NativeEngine(params, config, 5, **{name: value})
        except ValueError as error:
            messages[name] = str(error)
    try:
        wide = Config(n_embd=64)
        NativeEngine(init(wide, 27, random.Random(1)), wide, 27).streams(65536)
    except MemoryError as error:
        messages["memory"] = str(error)
    return messages


def without_kernel() -> dict[str, str]:
    """Return the engine that `auto` chooses, and the note that says why."""
    config = Config(n_embd=4, n_head=1)
    engine = open_engine("auto", init(config, 5, random.Random(1)), config, 5)
    return {"engine": type(engine).__name__, "note": engine.note}


def growth() -> tuple[int, int, bool]:
    """Return the size of the kernel's memory before and after it grew, and whether a context survived that."""
    import js

    config, memory = Config(), js.microgptKernel.memory
    engine = NativeEngine(init(config, 5, random.Random(1)), config, 5)
    decoder, expected, before = engine.decoder(), engine.logits([1, 2]), memory.buffer.byteLength
    decoder.feed(1)
    many, few = engine.streams(20_000), engine.streams(2)
    same = decoder.feed(2) == expected[1] and many.feed([1] * 20_000)[-1] == few.feed([1, 1])[0]
    return before, memory.buffer.byteLength, same


def memory_after(rounds: int) -> int:
    """Return the size of the kernel's memory in bytes after some rounds of trials."""
    import js

    from microgpt.engines.native import wasm

    config = Config(n_embd=8, n_head=2)
    with patch.object(wasm, "time", SimpleNamespace(perf_counter=lambda: 0.0)):  # else the sizes of calls would vary
        for _ in range(rounds):
            trial(config)
    size: int = js.microgptKernel.memory.buffer.byteLength
    return size
