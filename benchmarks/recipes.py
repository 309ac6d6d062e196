"""Find the best model and settings for a number of floating-point operations: the table in runs/recipes.py.

    python benchmarks/recipes.py FILE [--documents stream] --flops 1e11 --n-embd 32 64 --n-layer 1 2
        [--block-size 32 64] [--batch-tokens 128 256] [--learning-rate 0.005 0.01] [--weight-decay 0]
        [--results recipes.jsonl] [--processes 2]

A tenth of the text is held out. Every combination of the values trains for the given operations, in float32 on one
thread, and its result is appended to the file of results at once, so that an interrupted grid continues where it
stopped. The table lists every result in the file for these operations, the least held-out loss first.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from microgpt.config import Config
from microgpt.flops import training_flops
from microgpt.runs.recipes import Recipe, config_of
from microgpt.runs.run import Run
from microgpt.runs.time_budget import describe
from microgpt.runs.training_data import load_training_data

GRID = ("n_embd", "n_layer", "block_size", "batch_tokens", "learning_rate", "weight_decay")
OTHERS = ("init_std", "beta1", "beta2", "decay", "warmup_steps", "activation", "zero_init", "clip")


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Train one recipe and return the job with its loss on all held-out sequences, in nats per token."""
    data = load_training_data(job["file"], Config(), job["documents"], None, None)
    text = describe(data, job["val_fraction"])
    recipe = Recipe(job["flops"], *(job[name] for name in GRID))
    others = {name: job[name] for name in OTHERS if name in job}
    config = config_of(recipe, text, seed=job["seed"], **others)
    data.block_size = config.block_size
    tokens = config.batch_size * (config.block_size if text.is_stream else text.mean)
    num_steps = max(1, round(job["flops"] / (training_flops(config, data.vocab_size) * tokens)))
    config = config.replace(num_steps=num_steps)
    run = Run.begin(data, config, val_fraction=job["val_fraction"], engine="native", precision="float32", threads=1)
    began = time.perf_counter()
    last = [step.loss for step in run.steps(together=True)][-max(1, num_steps // 20) :]
    seconds = time.perf_counter() - began
    score = run.score(run.held_out)
    passes = num_steps * config.batch_size / len(run.order)
    return {
        "job": job,
        "loss": score.loss,
        "training_loss": sum(last) / len(last),
        "seconds": seconds,
        "num_steps": num_steps,
        "batch_size": config.batch_size,
        "num_params": run.num_params,
        "passes": passes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a text, or a data set")
    parser.add_argument("--documents", help="how to split the text")
    parser.add_argument("--flops", type=float, nargs="+", required=True, help="floating-point operations per run")
    parser.add_argument("--n-embd", type=int, nargs="+", default=[32])
    parser.add_argument("--n-layer", type=int, nargs="+", default=[1])
    parser.add_argument("--block-size", type=int, nargs="+", default=[64], help="context of a stream (default: 64)")
    parser.add_argument("--batch-tokens", type=int, nargs="+", default=[228])
    parser.add_argument("--learning-rate", type=float, nargs="+", default=[0.01])
    parser.add_argument("--weight-decay", type=float, nargs="+", default=[0.0])
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings for every run")
    parser.add_argument("--val-fraction", type=float, default=0.1)
    parser.add_argument("--results", type=Path, default=Path("recipes.jsonl"))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    others = {}
    for pair in options.set:
        name, _, value = pair.partition("=")
        if name not in OTHERS:
            parser.error(f"--set must name one of {', '.join(OTHERS)}, got {pair!r}")
        others[name] = json.loads(value) if name not in ("decay", "activation") else value
    fixed = {name: getattr(options, name) for name in ("file", "documents", "seed", "val_fraction")}
    grid = [dict(zip(("flops", *GRID), values)) for values in itertools.product(options.flops, *_values(options))]
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    results = [json.loads(line) for line in lines]
    done = [result["job"] for result in results]
    todo = [job for job in ({**fixed, **others, **each} for each in grid) if job not in done]
    with ProcessPoolExecutor(options.processes) as pool, options.results.open("a") as file:
        for result in pool.map(measure, todo):
            results.append(result)
            file.write(json.dumps(result) + "\n")
            file.flush()
    for flops in options.flops:
        print(f"{Path(options.file).name}, {flops:g} flops")
        here = [one for one in results if one["job"]["flops"] == flops and one["job"]["file"] == options.file]
        for one in sorted(here, key=lambda one: float(one["loss"])):
            shown = " ".join(f"{name}={one['job'][name]:g}" for name in GRID)
            more = " ".join(f"{name}={one['job'][name]}" for name in OTHERS if name in one["job"])
            print(
                f"  {one['loss']:.4f} (training {one['training_loss']:.4f}, {one['passes']:5.1f} passes,"
                f" {one['num_params']:,} parameters, {one['num_steps']:,} steps of {one['batch_size']},"
                f" {one['seconds']:.1f} s): {shown} {more}"
            )


def _values(options: argparse.Namespace) -> list[list[Any]]:
    return [getattr(options, name) for name in GRID]


if __name__ == "__main__":
    main()
