"""Measure the time and memory needed to prepare a text larger than memory, and to train on the text.

    python benchmarks/beyond_memory.py FOLDER [--megabytes 1000] [--tokenizer char] [--documents lines]
        [--num-steps 2000]

The text consists of invented words, generated from the bundled names' letter pairs with a fixed seed, so the text is
always the same. Finally, the benchmark measures the CPU time for looking up texts that are not in the data: all at
once, as `microgpt evaluate` looks up its samples, and one at a time.

Memory is the total private memory of all processes (RssAnon, sampled 20 times per second). The pages of mapped files
are not counted, because the system can reclaim them at any time. The benchmark runs only on Linux.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from bisect import bisect
from collections import Counter
from contextlib import suppress
from itertools import accumulate, pairwise
from pathlib import Path

from microgpt.data.prepared import open_prepared
from microgpt.data.sources import NAMES


def make(path: Path, size: int) -> None:
    """Write about `size` bytes: one document per line, each with 1 to 12 invented words."""
    rng = random.Random(42)
    pairs: dict[str, Counter[str]] = {}
    for name in NAMES.read_text(encoding="utf-8").split():
        for a, b in pairwise(f" {name.lower()} "):
            pairs.setdefault(a, Counter())[b] += 1
    tables = {a: (list(after), list(accumulate(after.values()))) for a, after in pairs.items()}

    def word() -> str:
        letters, at = "", " "
        while True:
            after, totals = tables[at]
            at = after[bisect(totals, rng.random() * totals[-1])]
            if at == " " or len(letters) == 20:
                return letters or "a"
            letters += at

    words = [word() for _ in range(50_000)]
    with path.open("w", encoding="utf-8") as file:
        written = 0
        while written < size:
            lines = "".join(" ".join(rng.choices(words, k=rng.randint(1, 12))) + "\n" for _ in range(10_000))
            written += file.write(lines)


def family(pid: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += family(int(child))
    return found


def private(pid: int) -> int:
    """Return the private memory of a process and its descendants, in bytes."""
    total = 0
    for each in family(pid):
        status = Path(f"/proc/{each}/status").read_text()
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) << 10
    return total


def measured(what: str, *arguments: str) -> None:
    """Run a microgpt command, and print its time and its peak memory."""
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen([sys.executable, "-m", "microgpt", *arguments], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):  # a process has just exited
            peak = max(peak, private(process.pid))
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"{what} failed")
    print(f"{what:28}{time.perf_counter() - began:8.1f} s{peak / 1e6:10.0f} MB", flush=True)


def looked_up(folder: Path, texts: int = 1000, some: int = 20) -> None:
    """Measure how long it takes to look up texts, each joined from the halves of two documents."""
    data = open_prepared(folder, 64)
    rng = random.Random(1)
    wanted = []
    for _ in range(texts):
        a, b = (data.text(rng.randrange(len(data))) for _ in range(2))
        wanted.append(a[: len(a) // 2] + b[len(b) // 2 :])
    began = time.process_time()
    data.find_texts(wanted)
    together = time.process_time() - began
    began = time.process_time()
    for text in wanted[:some]:
        data.find_texts([text])
    each = (time.process_time() - began) / some
    alone = f"{each * texts:.0f} s one at a time (extrapolated from {some} texts)"
    print(f"look up {texts:,} texts: {together:.2f} s at once; {alone}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--tokenizer", default="char")
    parser.add_argument("--documents", default="lines")
    parser.add_argument("--num-steps", type=int, default=2000)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    text, data, run = asked.folder / f"{asked.megabytes}.txt", asked.folder / "data", asked.folder / "run"
    if not text.exists():
        make(text, asked.megabytes * 1_000_000)
    size = text.stat().st_size
    print(f"{size:,} bytes of text, tokenizer {asked.tokenizer}; time and private memory:")
    how = ("--tokenizer", asked.tokenizer, "--documents", asked.documents)
    measured("prepare", "prepare", str(text), "-o", str(data), *how, "--overwrite")
    steps = ["--num-steps", str(asked.num_steps), "--block-size", "64"]
    measured("train, and write 20 samples", "train", str(data), "--out", str(run), "--overwrite", "--quiet", *steps)
    measured("evaluate", "evaluate", str(run), "--num-samples", "20")
    looked_up(data)


if __name__ == "__main__":
    main()
