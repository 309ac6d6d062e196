"""`microgpt bench`: compare the engines' speed and accuracy."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from microgpt.cli import display
from microgpt.cli.options import ENGINE, FLAG, JsonOption, ThreadsOption, default, given, number


def bench(
    *,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Measure only this engine; repeatable." + default("all"), rich_help_panel=ENGINE
        ),
    ] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(metavar="train|generate", help="Measure only this workload; repeatable." + default("both")),
    ] = None,
    n_embd: Annotated[
        list[int] | None,
        typer.Option(help="Model width; repeatable." + default("16 32 64 128 256"), **number(int)),
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(
            help="Documents per training step, or texts generated in parallel; repeatable." + default("1 16"),
            **number(int),
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="Total time per measurement in seconds, across all rounds.", **number(float))
    ] = 2.0,
    rounds: Annotated[
        int, typer.Option(help="Number of rounds; the engines take turns in each round.", **number(int))
    ] = 10,
    threads: ThreadsOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.", **FLAG)] = False,
    json: JsonOption = False,
) -> None:
    """Compare the engines' speed and accuracy, side by side.

    The speed is the median over the rounds; the accuracy is the largest
    difference from the reference.

    [bold]Examples[/]

      microgpt bench --engine scalar --n-embd 16 --seconds 0.2 --rounds 3
    """
    from microgpt.verification import bench as ladder

    chosen: dict[str, Any] = {"engines": engine, "works": work, "sizes": n_embd, "batch_sizes": batch_size}
    with display.Status() as status:
        result = ladder.bench(
            **given(**chosen),
            seconds=seconds,
            rounds=rounds,
            threads=threads or 1,
            progress=status,
        )
    print(json_module.dumps(result.to_dict(), allow_nan=False) if json else ladder.render(result, markdown))
