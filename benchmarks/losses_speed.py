"""Measure how fast the native engine computes losses, compared with training on the same documents.

    python benchmarks/losses_speed.py [--threads 1] [--rounds 7]

`microgpt evaluate` and held-out losses need the losses of documents without their gradients. The kernel computes many
of them in one call. Each round times three things on the same bundled names: this call, training steps of 16 documents,
and the generic method, which returns the logits of one token at a time to Python. The table gives the median round's
microseconds per token, and the median ratio of a loss to a training step over the rounds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable

from microgpt.config import Config, init
from microgpt.data.loading import load
from microgpt.engines.base import Engine, num_positions
from microgpt.engines.native.engine import PRECISIONS, NativeEngine
from microgpt.system.text import markdown

SIZES = [(16, 4, 1), (64, 4, 2), (128, 4, 4)]  # n_embd, n_head, n_layer
BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--documents", type=int, default=2000)
    asked = parser.parse_args()
    data = load("names")
    documents = [data.sequence(i) for i in range(asked.documents)]
    batches = [documents[at : at + BATCH] for at in range(0, len(documents), BATCH)]
    rows = []
    for n_embd, n_head, n_layer in SIZES:
        config = Config(n_embd=n_embd, n_head=n_head, n_layer=n_layer, batch_size=BATCH)
        tokens = sum(num_positions(document, config) for document in documents)
        for precision in PRECISIONS:
            params = init(config, data.vocab_size, random.Random(2))
            engine = NativeEngine(params, config, data.vocab_size, precision=precision, threads=asked.threads)
            ways: list[Callable[[], object]] = [
                lambda engine=engine: engine.train(batches, [0.0] * len(batches)),  # type: ignore[misc]
                lambda engine=engine: list(Engine.losses(engine, documents)),  # type: ignore[misc]
                lambda engine=engine: list(engine.losses(documents)),  # type: ignore[misc]
            ]
            found: list[list[float]] = [[] for _ in ways]
            for _ in range(asked.rounds):
                for way, times in zip(ways, found):
                    began = time.perf_counter()
                    way()
                    times.append((time.perf_counter() - began) / tokens * 1e6)
            ratio = statistics.median(loss / step for step, _, loss in zip(*found))
            medians = [f"{statistics.median(times):.2f}" for times in found]
            rows.append([str(n_embd), str(n_layer), precision, *medians, f"{ratio:.2f}"])
    head = ("n_embd", "layers", "precision", "training µs", "from logits µs", "losses µs", "losses / training")
    print(markdown(head, rows, "rrlrrrr"))


if __name__ == "__main__":
    main()
