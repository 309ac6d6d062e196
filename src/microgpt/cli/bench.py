"""`microgpt bench`: compare the engines' speed and accuracy."""

from __future__ import annotations

import json as json_module
from typing import Any

from microgpt.cli import display
from microgpt.cli.options import ENGINE, JSON, THREADS, flag, given, number, option

ARGUMENTS = [
    option(
        "--engine",
        dest="engines",
        group=ENGINE,
        action="append",
        metavar="NAME",
        shown="all",
        help="Measure only this engine; repeatable.",
    ),
    option(
        "--work",
        dest="works",
        action="append",
        metavar="NAME",
        shown="all",
        help="Measure only this workload: train, generate (drawing included), forward (passes alone), sample-1000,"
        " sample-1000-seeded, process-1000 or process-100000; repeatable.",
    ),
    option(
        "--n-embd",
        dest="sizes",
        action="append",
        **number(int),
        shown="16 32 64 128 256",
        help="Model width; repeatable.",
    ),
    option(
        "--batch-size",
        dest="batch_sizes",
        action="append",
        **number(int),
        shown="1 16",
        help="Documents per training step, or texts generated in parallel; repeatable.",
    ),
    option("--n-layer", **number(int), shown=1, help="Number of layers."),
    option("--n-head", **number(int), shown=4, help="Number of attention heads."),
    option(
        "--block-size",
        **number(int),
        shown=16,
        help="Context length in tokens; if it is above 16, the names are read as one continuous text.",
    ),
    option("--seconds", **number(float), default=2.0, help="Total time per measurement in seconds, across all rounds."),
    option("--rounds", **number(int), default=10, help="Number of rounds; the engines take turns in each round."),
    THREADS,
    flag("--markdown", "Print a Markdown table."),
    JSON,
]


def bench(
    *,
    threads: int | None,
    n_layer: int | None,
    n_head: int | None,
    block_size: int | None,
    markdown: bool,
    json: bool,
    **how: Any,
) -> None:
    """Compare the engines' speed and accuracy, side by side.

    The speed is the median over the rounds; the accuracy is the largest
    difference from the reference.

    Examples:
      microgpt bench --engine scalar --n-embd 16 --seconds 0.2 --rounds 3
      microgpt bench --work train --n-embd 32 --n-layer 2 --seconds 0.2
    """
    from microgpt.config import Config
    from microgpt.verification.bench import ladder, table

    model = Config().replace(**given(n_layer=n_layer, n_head=n_head, block_size=block_size))
    with display.status() as show:
        result = ladder.bench(threads=threads or 1, model=model, progress=show, **given(**how))
    if json:
        print(json_module.dumps(result.to_dict(), allow_nan=False))
    else:
        display.report(table.render(result, markdown), keep="\n")
