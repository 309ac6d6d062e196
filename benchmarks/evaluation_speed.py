"""Measure how fast the torch engine computes losses and samples, on the device or from logits in Python.

    python benchmarks/evaluation_speed.py [--threads 1]
    python benchmarks/evaluation_speed.py --gpu

`microgpt evaluate` and held-out losses need the losses of many documents. The torch engine computes them together and
returns only the losses to Python. The generic method, which works with every engine, returns one document's logits at a
time as Python floats, and Python computes the loss. Both methods are timed in alternating rounds on the same untrained
model. The table gives the tokens per second in the median round, the median speed ratio over the rounds, and the
largest relative difference between a document's two losses. Documents of 3 to 16 tokens use a vocabulary of 65 tokens,
as with characters; documents of block_size tokens use a vocabulary of 50,257 tokens, as with byte pairs.

Then 16 texts are generated together with the same model. Each token is sampled either in Python, or on the device that
holds the logits.

On a CPU, the model has nanoGPT's small CPU size in float32; times are CPU times with one thread, and wall-clock times
with more threads. On a GPU, the model has GPT-2's small size in bfloat16.
"""

from __future__ import annotations

import argparse
import random
import statistics
from array import array
from collections.abc import Callable, Iterable, Iterator

import torch

from microgpt import sampling
from microgpt.config import Config, num_params
from microgpt.engines.base import Engine, Tokens
from microgpt.engines.torch import decoding
from microgpt.engines.torch.engine import TorchEngine
from microgpt.system import hardware
from microgpt.system import text as text_tables
from torch_speed import GPT2, SMALL, VOCAB, seconds_of

Way = Callable[[Iterable[Tokens]], Iterator[float]]


def documents(vocab_size: int, lengths: range, count: int) -> list[list[int]]:
    rng = random.Random(1)
    return [rng.choices(range(vocab_size), k=rng.choice(lengths)) for _ in range(count)]


def row(engine: TorchEngine, lengths: range, counts: tuple[int, int], rounds: int, threads: int) -> list[str]:
    """Measure a row of the table; `counts` gives the documents per round for each method (from logits, at once)."""
    ways: list[Way] = [lambda some: Engine.losses(engine, some), engine.losses]
    few, many = (documents(engine.vocab_size, lengths, count) for count in counts)
    apart = max(abs(a - b) / a for a, b in zip(*(way(few) for way in ways)))  # this also warms up both methods
    speeds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for way, some, found in zip(ways, (few, many), speeds):
            began = seconds_of(threads)
            for _ in way(some):
                pass
            found.append(sum(len(tokens) - 1 for tokens in some) / (seconds_of(threads) - began))
    ratio = statistics.median(b / a for a, b in zip(*speeds))
    return [*(f"{statistics.median(found):,.0f}" for found in speeds), f"{ratio:.1f}", f"{apart:.0e}"]


def drawing(engine: TorchEngine, rounds: int, threads: int, count: int = 16) -> list[str]:
    speeds: list[list[float]] = [[], []]
    options = {"bos": 0, "block_size": engine.config.block_size, "temperature": 0.8, "max_new_tokens": 20}
    for i in range(rounds):
        for many, found in zip((engine.vocab_size + 1, 0), speeds):
            decoding.MIN_DEVICE_SAMPLING_VOCAB = many
            rngs = [random.Random(f"{i}:{j}") for j in range(count)]
            began = seconds_of(threads)
            texts = sampling.generate_together(engine.streams, rngs, **options)
            found.append(sum(map(len, texts)) / (seconds_of(threads) - began))
    ratio = statistics.median(b / a for a, b in zip(*speeds))
    return [*(f"{statistics.median(found):,.0f}" for found in speeds), f"{ratio:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="measure GPT-2's small size on this machine's GPU")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=10)
    asked = parser.parse_args()
    if asked.gpu and not torch.cuda.is_available():
        raise SystemExit("evaluation_speed.py --gpu needs a GPU that PyTorch can use, but none was found")
    config: Config = GPT2 if asked.gpu else SMALL
    how = {"precision": "bfloat16"} if asked.gpu else {"device": "cpu", "threads": asked.threads}
    table, drawn = [], []
    for vocab_size, lengths, counts in (
        (65, range(3, 17), (100, 2000)),
        (VOCAB, range(config.block_size, config.block_size + 1), (1, 16)),
    ):
        numbers = array("d", bytes(8 * num_params(config, vocab_size)))
        engine = TorchEngine(numbers, config, vocab_size, **how)
        engine.init_params(1)
        found = row(engine, lengths, counts, asked.rounds, 0 if asked.gpu else asked.threads)
        table.append([f"{vocab_size:,}", f"{lengths[0]} to {lengths[-1]}", *found])
        drawn.append([f"{vocab_size:,}", *drawing(engine, asked.rounds, 0 if asked.gpu else asked.threads)])
    print(text_tables.aligned(("machine", ""), [*hardware.facts().items(), ("torch", torch.__version__)], "ll"))
    print(f"\n{engine.device}\n")
    head = ("vocab_size", "tokens per document", "tokens/s from logits", "tokens/s at once", "×", "difference")
    print(text_tables.markdown(head, table, "rrrrrr"))
    print()
    print(text_tables.markdown(("vocab_size", "tokens/s in Python", "tokens/s on the device", "×"), drawn, "rrrr"))


if __name__ == "__main__":
    main()
