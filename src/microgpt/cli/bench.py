"""`microgpt bench`: compare the engines' speed and accuracy."""

from __future__ import annotations

import json as json_module
from typing import Any

from microgpt.cli.options import ENGINE, JSON, THREADS, flag, given, number, option
from microgpt.cli.progress import status

ARGUMENTS = [
    option(
        "--engine",
        group=ENGINE,
        action="append",
        metavar="NAME",
        shown="all",
        help="Measure only this engine; repeatable.",
    ),
    option(
        "--work",
        action="append",
        metavar="train|generate",
        shown="both",
        help="Measure only this workload; repeatable.",
    ),
    option(
        "--n-embd",
        action="append",
        **number(int),
        shown="16 32 64 128 256",
        help="Model width; repeatable.",
    ),
    option(
        "--batch-size",
        action="append",
        **number(int),
        shown="1 16",
        help="Documents per training step, or texts generated in parallel; repeatable.",
    ),
    option(
        "--seconds",
        **number(float),
        default=2.0,
        help="Total time per measurement in seconds, across all rounds.",
    ),
    option("--rounds", **number(int), default=10, help="Number of rounds; the engines take turns in each round."),
    THREADS,
    flag("--markdown", "Print a Markdown table."),
    JSON,
]


def bench(
    *,
    engine: list[str] | None,
    work: list[str] | None,
    n_embd: list[int] | None,
    batch_size: list[int] | None,
    seconds: float,
    rounds: int,
    threads: int | None,
    markdown: bool,
    json: bool,
) -> None:
    """Compare the engines' speed and accuracy, side by side.

    The speed is the median over the rounds; the accuracy is the largest
    difference from the reference.

    Examples:
      microgpt bench --engine scalar --n-embd 16 --seconds 0.2 --rounds 3
    """
    from microgpt.verification import bench as ladder

    chosen: dict[str, Any] = {"engines": engine, "works": work, "sizes": n_embd, "batch_sizes": batch_size}
    with status() as show:
        result = ladder.bench(
            **given(**chosen),
            seconds=seconds,
            rounds=rounds,
            threads=threads or 1,
            progress=show,
        )
    print(json_module.dumps(result.to_dict(), allow_nan=False) if json else ladder.render(result, markdown))
