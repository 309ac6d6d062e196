"""Measure the native engine's speed at widths that fill no whole vectors, flop for flop beside the widths that do.

    python benchmarks/width_speed.py [--rounds 7]

Each width trains on the bundled names, one document a step in float32, and is compared with the nearest width that is a
multiple of 16 with a head_dim of 4 or more. The widths take turns.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

from microgpt.config import Config, init
from microgpt.data.loading import load
from microgpt.engines.native.engine import NativeEngine
from microgpt.flops import training_flops

# (n_embd, n_head), and the width to compare with
WIDTHS = [((18, 2), (16, 4)), ((28, 4), (32, 4)), ((48, 4), (48, 3)), ((16, 16), (16, 4)), ((16, 8), (16, 4))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each width (default: 7)")
    rounds = parser.parse_args().rounds
    data = load("names")
    rows = {}
    for n_embd, n_head in dict.fromkeys(width for pair in WIDTHS for width in pair):
        config = Config(n_embd=n_embd, n_head=n_head)
        params = init(config, data.vocab_size, random.Random(2))
        rows[n_embd, n_head] = (config, NativeEngine(params, config, data.vocab_size, precision="float32"))
    batches = [[data.sequence(i)] for i in range(1000)]
    per_flop: dict[tuple[int, int], list[float]] = {width: [] for width in rows}
    for _ in range(rounds):
        for width, (config, engine) in rows.items():
            began = time.perf_counter()
            engine.train(batches, [0.001] * len(batches))
            per_flop[width].append((time.perf_counter() - began) / training_flops(config, data.vocab_size))
    for width, beside in WIDTHS:
        ratios = sorted(a / b for a, b in zip(per_flop[width], per_flop[beside]))
        names = [f"n_embd {n_embd}, head_dim {n_embd // n_head}" for n_embd, n_head in (width, beside)]
        print(
            f"{names[0]:24} {statistics.median(ratios):5.2f} times as long as {names[1]}"
            f" (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
