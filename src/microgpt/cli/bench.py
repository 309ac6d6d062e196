"""`microgpt bench`: measure the speed and accuracy of the engines side by side."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from microgpt.cli import display
from microgpt.cli.options import JsonOption, ThreadsOption, default, number


def bench(
    *,
    engine: Annotated[
        list[str] | None, typer.Option(help="Only this engine; may be repeated." + default("all"))
    ] = None,
    work: Annotated[
        list[str] | None, typer.Option(metavar="train|generate", help="Only this; may be repeated." + default("both"))
    ] = None,
    n_embd: Annotated[
        list[int] | None, typer.Option(help="Sizes; may be repeated." + default("16 32 64 128 256"), **number(int))
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(help="Documents a step, streams together; may be repeated." + default("1 16"), **number(int)),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for each rung.", **number(float))] = 2.0,
    rounds: Annotated[int, typer.Option(help="Rounds, in which the rungs take turns.", **number(int))] = 10,
    threads: ThreadsOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure the engines side by side: time, and difference from the reference.

    [bold]Examples[/]

      microgpt bench --engine scalar --n-embd 16 --seconds 0.2 --rounds 3
    """
    from microgpt.verification import bench as ladder

    asked: dict[str, Any] = {"engines": engine, "works": work, "sizes": n_embd, "batch_sizes": batch_size}
    found = ladder.bench(
        **{name: value for name, value in asked.items() if value},
        seconds=seconds,
        rounds=rounds,
        threads=threads or 1,
        progress=display.tell,
    )
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else ladder.render(found, markdown))
