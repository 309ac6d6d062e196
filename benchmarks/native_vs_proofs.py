"""Compare the native engine with two proofs: programs that show the attainable speed for a single model size.

    python benchmarks/native_vs_proofs.py FOLDER

FOLDER contains exact16.cpp and fast16.cpp with their data. The script compiles them into a temporary folder with the
flags from their README. Each round runs every proof in a separate process, and every workload of the engine, once. The
table gives the median over the rounds, in CPU microseconds per document, and its ratio to the proof's median. DRIVER
runs decoding from C, so that only the kernel is measured.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import re
import statistics
import subprocess
import tempfile
import time
from array import array
from pathlib import Path

from microgpt.config import Config, init
from microgpt.engines.native.engine import NativeEngine, NativeStreams
from microgpt.engines.native.packed import Packed

FLAGS = ["-std=c++20", "-O3", "-march=native", "-mprefer-vector-width=512"]
PROOFS = {"exact16": ["-ffp-contract=off"], "fast16": []}
# precision, n_embd, documents per step, threads, the proof to compare with
WORKS = [
    ("exact", 16, 1, 1, "exact16"),
    ("float32", 16, 1, 1, "fast16"),
    ("float32", 16, 16, 1, "fast16"),
    ("float32", 64, 1, 1, "fast16"),
    ("float32", 128, 1, 1, "fast16"),
    ("float32", 64, 16, 1, "fast16"),
    ("float32", 128, 16, 1, "fast16"),
    ("float32", 256, 16, 1, "fast16"),
    ("float32", 64, 64, 1, "fast16"),
    ("float32", 64, 64, 2, "fast16"),
]

STREAMS = (1, 16, 64)
# Repeatedly fill every context to its full length, as a program that generates text does.
DRIVER = """
void drive(void (*feed)(void *, const int *, double *), void (*rewind)(void *), void *decoder, int contexts, int length,
           const int *token_ids, double *logits) {
    for (int i = 0; i < contexts; i++) {
        rewind(decoder);
        for (int position = 0; position < length; position++) feed(decoder, token_ids, logits);
    }
}
"""


def seconds(threads: int) -> float:
    return time.process_time() if threads == 1 else time.perf_counter()


class Work:
    """The engine's training steps on the proofs' documents; every round repeats the same steps."""

    def __init__(self, documents: list[list[int]], precision: str, n_embd: int, batch: int, threads: int) -> None:
        config = Config(n_embd=n_embd)
        params = init(config, 27, random.Random(42))
        self.engine = NativeEngine(array("d", params), config, 27, precision=precision, threads=threads)
        self.steps = max(32, 16_000_000 // (len(params) * batch) // (4 if precision == "exact" else 1))
        self.batch, self.threads = batch, threads
        self.packed = Packed(config)
        for step in range(self.steps):
            rows = [documents[(step * batch + i) % len(documents)] for i in range(batch)]
            self.packed.add(rows, 0.16 / n_embd * (1 - step / self.steps))

    def round(self) -> float:
        start = seconds(self.threads)
        self.engine._train(self.packed)
        return (seconds(self.threads) - start) / (self.steps * self.batch) * 1e6


def proof_round(command: Path, folder: Path) -> float:
    """Run a proof; return its reported median over a few repetitions."""
    out = subprocess.run([command, "1000", "5"], cwd=folder, capture_output=True, text=True, check=True).stdout
    found = re.search(r"med ([\d.]+)", out)
    assert found, out
    return float(found[1])


class Decoding:
    """Decoding with several streams at once, whose contexts grow to their full length."""

    def __init__(self, engine: NativeEngine, streams: int, driver: ctypes.CDLL) -> None:
        self.decoder, self.streams = NativeStreams(engine, streams, alone=streams == 1), streams
        self.positions, self.contexts = engine.config.block_size, 4000 // streams + 1
        self.ids, self.logits = array("i", bytes(4 * streams)), array("d", bytes(8 * streams * engine.vocab_size))
        buffers = (self.ids.buffer_info()[0], self.logits.buffer_info()[0])
        table = engine._kernel.functions
        functions = [ctypes.cast(each, ctypes.c_void_p) for each in (table.feed, table.rewind)]
        addresses = (ctypes.c_void_p(self.decoder._decoder), *(ctypes.c_void_p(buffer) for buffer in buffers))
        self.drive = lambda: driver.drive(*functions, addresses[0], self.contexts, self.positions, *addresses[1:])

    def round(self) -> float:
        """Return the microseconds per forward pass."""
        start = time.process_time()
        self.drive()
        return (time.process_time() - start) / (self.contexts * self.positions * self.streams) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    names = [line.strip() for line in (options.folder / "docs_order.txt").read_text().splitlines()]
    documents = [[26, *(ord(char) - ord("a") for char in name), 26] for name in names if name]
    works = [Work(documents, *work[:4]) for work in WORKS]
    engine = NativeEngine(init(Config(), 27, random.Random(1)), Config(), 27, precision="float32")
    times: dict[object, list[float]] = {}
    with tempfile.TemporaryDirectory() as built:
        for name, flags in PROOFS.items():
            source, target = options.folder / f"{name}.cpp", Path(built) / name
            subprocess.run(["g++", *FLAGS, *flags, source, "-o", target], check=True)
        driver = Path(built) / "driver.so"
        command = ["gcc", "-O2", "-shared", "-fPIC", "-x", "c", "-", "-o", driver]
        subprocess.run(command, input=DRIVER, text=True, check=True)
        decodings = [Decoding(engine, streams, ctypes.CDLL(str(driver))) for streams in STREAMS]
        for _ in range(options.rounds):
            for name in PROOFS:
                times.setdefault(name, []).append(proof_round(Path(built) / name, options.folder))
            for key, work in zip(WORKS, works):
                times.setdefault(key, []).append(work.round())
            for streams, decoding in zip(STREAMS, decodings):
                times.setdefault(streams, []).append(decoding.round())
    medians = {key: statistics.median(rounds) for key, rounds in times.items()}
    print(f"{options.rounds} rounds, {os.cpu_count()} cores; medians")
    print(f"{'precision':9} {'n_embd':>6} {'batch':>5} {'threads':>7} {'µs/doc':>9} {'× proof':>8}")
    for key in WORKS:
        precision, n_embd, batch, threads, proof = key
        ratio = medians[key] / medians[proof]
        print(f"{precision:9} {n_embd:6} {batch:5} {threads:7} {medians[key]:9.2f} {ratio:8.2f} of {proof}")
    for name in PROOFS:
        print(f"{name:30} {medians[name]:9.2f}")
    for streams in STREAMS:
        print(f"decoding, {streams:2} streams: {1 / medians[streams]:.2f} million forward passes per second")


if __name__ == "__main__":
    main()
