"""Measure what gradient clipping and micro-batches cost the native engine, as ratios to a step without either.

    python benchmarks/clipping_speed.py [--rounds 7]

Two sizes: the published model, one document a step; and 4 layers of 128, block 64, batch 12. The rows take turns.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from microgpt.config import Config, init
from microgpt.engines.native.engine import NativeEngine

SIZES = {
    "n_embd 16, batch 1": (Config(), 2000),
    "4 layers of 128, block 64, batch 12": (Config(n_embd=128, n_layer=4, block_size=64, batch_size=12), 6),
}
VOCAB_SIZE = 65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each row (default: 7)")
    rounds = parser.parse_args().rounds
    for size, (config, steps) in SIZES.items():
        rng = random.Random(1)
        length = config.block_size + 1
        batches = [
            [[rng.randrange(VOCAB_SIZE) for _ in range(length)] for _ in range(config.batch_size)] for _ in range(steps)
        ]
        for precision in ("float32", "exact"):
            rows = {"plain": (0.0, None), "clip 1": (1.0, None), "micro-batches": (0.0, -(-config.batch_size // 2))}
            engines = {
                name: NativeEngine(
                    init(config, VOCAB_SIZE, random.Random(2)),
                    config.replace(clip=clip),
                    VOCAB_SIZE,
                    precision=precision,
                )
                for name, (clip, _) in rows.items()
            }
            times: dict[str, list[float]] = {name: [] for name in rows}
            for _ in range(rounds):
                for name, (_, micro_batch_size) in rows.items():
                    began = time.perf_counter()
                    engines[name].train(batches, [0.001] * steps, micro_batch_size)
                    times[name].append((time.perf_counter() - began) / steps)
            base = statistics.median(times["plain"])
            print(f"{size}, {precision}: a step takes {base * 1e3:.3g} ms")
            for name in list(rows)[1:]:
                ratios = sorted(taken / plain for taken, plain in zip(times[name], times["plain"]))
                middle = statistics.median(ratios)
                print(f"    {name:14} {middle:5.2f} times as long (from {ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
