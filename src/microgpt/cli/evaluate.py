"""`microgpt evaluate`: measure a model's loss and how many of its samples are new."""

from __future__ import annotations

import json as json_module
from typing import Annotated

import typer

from microgpt import evaluation
from microgpt.cli import display
from microgpt.cli.options import (
    DataOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    PrecisionOption,
    RunArgument,
    SeedOption,
    asked,
    default,
    number,
)
from microgpt.cli.sample import tell_missing_data
from microgpt.runs.run import Run


def evaluate(
    run: RunArgument,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Another text." + default("the held-out part, else the training data")),
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option(help="Documents read, spread over the text; 0: all.", **number(int, at_least=0))
    ] = 1000,
    num_samples: Annotated[
        int, typer.Option(help="Samples drawn to see how many are new.", **number(int, at_least=0))
    ] = 1000,
    seed: SeedOption = None,
    data: DataOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model: its loss beside what counting letters reaches, and how much of its writing is new.

    [bold]Examples[/]

      microgpt evaluate runs/small --limit 20 --num-samples 10
    """
    model = Run.load(run, engine=engine, precision=precision, source=data, **asked(device=device))
    if file is not None:
        tell_missing_data(model)
    with display.Bars() as progress:
        found = model.evaluate(file, limit=limit, num_samples=num_samples, seed=seed, progress=progress)
    print(json_module.dumps(found.to_dict()) if json else evaluation.render(found))
