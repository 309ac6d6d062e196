"""Measure the held-out loss that `microgpt train --seconds` reaches in a time, start-up and planning included.

    python benchmarks/time_to_loss.py --data FOLDER [--task names-1s ...] [--seeds 3]

FOLDER contains names.txt (a name per line) and shakespeare.txt (tiny Shakespeare). A task whose text is missing is
skipped. The held-out part is cut off before training, so that nothing is selected by it:

    names           a tenth of the distinct names, drawn by random.Random("42:val"); BOS counts as a token
    shakespeare     the last 111,540 characters, in contiguous windows of the model's context, each scored once

A run is a process of its own, on one core for names and on two for Shakespeare. The time is that of the whole process,
and the loss is that of its last checkpoint. `plain` is a GPT in PyTorch in nanoGPT's manner (plain_gpt.py), with the
settings of nanoGPT's small CPU model, trained for the same time after the imports. The table gives the mean over the
seeds, and the least and the largest.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from microgpt.config import SIZES
from microgpt.data.loading import load as load_data
from microgpt.runs.run import load
from microgpt.system import text as text_tables

HELD_OUT = 111_540  # characters of tiny Shakespeare
PUBLISHED = "--n-embd 16 --n-layer 1 --n-head 4 --block-size 16"


class Task(NamedTuple):
    """A text, a time, and the loss to reach."""

    text: str
    seconds: float
    cores: int
    goal: float
    options: str = ""


TASKS = {
    "names-1s": Task("names", 1, 1, 2.07),
    "names-5s": Task("names", 5, 1, 2.00),
    "names-60s": Task("names", 60, 1, 1.93),
    "names-published-5s": Task("names", 5, 1, 2.10, PUBLISHED),
    "shakespeare-20s": Task("shakespeare", 20, 2, 1.874),
    "shakespeare-180s": Task("shakespeare", 180, 2, 1.55),
}


def split(text: str, source: Path, folder: Path) -> tuple[Path, Path]:
    """Write the training part and the held-out part of a text into a folder, and return their paths."""
    content = source.read_text(encoding="utf-8")
    if text == "names":
        names = list(dict.fromkeys(line.strip() for line in content.splitlines() if line.strip()))
        chosen = set(random.Random("42:val").sample(range(len(names)), round(len(names) / 10)))
        parts = ["\n".join(n for i, n in enumerate(names) if (i in chosen) == held) + "\n" for held in (False, True)]
    else:
        parts = [content[:-HELD_OUT], content[-HELD_OUT:]]
    paths = folder / f"{text}.txt", folder / f"{text}.held-out.txt"
    for path, part in zip(paths, parts):
        path.write_text(part, encoding="utf-8")
    return paths


def measure(task: Task, training: Path, held_out: Path, seed: int, folder: Path) -> tuple[float, float, str]:
    """Run the command once; return the loss on the held-out part, the seconds it took, and what it trained."""
    out = folder / f"{task.text}-{task.seconds}-{seed}"
    line = f"train {training} --seconds {task.seconds} --threads {task.cores} --val-fraction 0 --seed {seed} --quiet"
    cores = sorted(os.sched_getaffinity(0))[-task.cores :]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "microgpt", *line.split(), *task.options.split(), "--out", str(out)],
        check=True,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    seconds = time.perf_counter() - began
    run = load(out)
    c = run.config
    mode = run.provenance.mode
    data = load_data(held_out, mode=mode, block_size=c.block_size, tokenizer=run.tokenizer)
    model = f"{c.n_layer} x {c.n_embd}, context {c.block_size}, {run.step:,} steps of {c.batch_size}"
    return run.score(range(len(data)), data).loss, seconds, model


def measure_plain(task: Task, training: Path, held_out: Path, seed: int) -> tuple[float, float, str]:
    """Train the plain GPT on a text for the time; the result is that of `measure`."""
    import torch

    import plain_gpt

    torch.set_num_threads(task.cores)
    torch.manual_seed(seed)
    c = SIZES["baby-cpu"]
    text = training.read_text(encoding="utf-8")
    ids = {character: i for i, character in enumerate(sorted({*text}))}
    tokens = torch.tensor([ids[character] for character in text])
    T, B = c.block_size, c.batch_size
    began = time.perf_counter()
    model = plain_gpt.GPT(c, len(ids), published=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=c.learning_rate, betas=(c.beta1, c.beta2), weight_decay=0.1)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(tokens) - T, (B,))
        return (
            torch.stack([tokens[i : i + T] for i in starts]),
            torch.stack([tokens[i + 1 : i + T + 1] for i in starts]),
        )

    steps = 0
    while (share := (time.perf_counter() - began) / task.seconds) < 1:
        warm = min(1.0, (steps + 1) / c.warmup_steps)
        for group in optimizer.param_groups:  # the schedule follows the clock, so that it ends with the time
            group["lr"] = c.learning_rate * warm * (0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2)
        loss = model(*batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps += 1
    seconds = time.perf_counter() - began
    scored = [ids[character] for character in held_out.read_text(encoding="utf-8")]
    nats, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(scored) - 1, T):
            window = torch.tensor([scored[start : start + T + 1]])
            nats += float(model(window[:, :-1], window[:, 1:])) * (window.shape[1] - 1)
            count += window.shape[1] - 1
    return nats / count, seconds, f"plain: {c.n_layer} x {c.n_embd}, context {T}, {steps:,} steps of {B}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the texts")
    parser.add_argument("--task", dest="tasks", action="append", choices=TASKS, help="repeatable; default: all")
    parser.add_argument("--seeds", type=int, default=3, help="seeds per task (default: 3)")
    parser.add_argument("--plain", action="store_true", help="also train the plain GPT, on Shakespeare only")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.tasks or TASKS:
            task = TASKS[name]
            source = options.data / f"{task.text}.txt"
            if not source.exists():
                print(f"{name}: skipped, because {source} does not exist", file=sys.stderr)
                continue
            parts = split(task.text, source, Path(folder))
            kinds = [False, True] if options.plain and task.text == "shakespeare" else [False]
            for is_plain in kinds:
                results = []
                for seed in range(42, 42 + options.seeds):
                    results.append(
                        measure_plain(task, *parts, seed)
                        if is_plain
                        else measure(task, *parts, seed, Path(tempfile.mkdtemp(dir=folder)))
                    )
                losses = [loss for loss, _, _ in results]
                rows.append(
                    [
                        name,
                        results[0][2],
                        f"{max(seconds for _, seconds, _ in results):.2f} s",
                        f"{statistics.mean(losses):.3f}",
                        f"{min(losses):.3f} to {max(losses):.3f}",
                        f"{task.goal:g}",
                    ]
                )
    header = ["task", "model (first seed)", "longest time", "loss", "range", "goal"]
    print(text_tables.markdown(header, rows, "llrrrr"))


if __name__ == "__main__":
    main()
