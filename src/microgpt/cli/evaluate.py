"""`microgpt evaluate`: measure a model's loss, and count how many of its samples are new."""

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
    default,
    given,
    number,
)
from microgpt.cli.sample import note_missing_data
from microgpt.runs.run import Run


def evaluate(
    run: RunArgument,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Text to evaluate on."
            + default("the held-out documents, or the training data if nothing is held out"),
        ),
    ] = None,
    *,
    limit: Annotated[
        int,
        typer.Option(
            help="Maximum number of documents to evaluate on, evenly spaced throughout the text; 0 uses all of them.",
            **number(int, at_least=0),
        ),
    ] = 1000,
    num_samples: Annotated[
        int,
        typer.Option(
            help="Number of samples to generate and compare with the training data.", **number(int, at_least=0)
        ),
    ] = 1000,
    seed: SeedOption = None,
    data: DataOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model's loss and count how many of its samples are new.

    The table also shows the losses of simpler models, which only count
    tokens or pairs of tokens. A sample is new if it is not in the training
    data.

    [bold]Examples[/]

      microgpt evaluate runs/small --limit 20 --num-samples 10
    """
    model = Run.load(run, engine=engine, precision=precision, source=data, **given(device=device))
    if file is not None:
        note_missing_data(model)
    with display.Bars() as progress:
        result = model.evaluate(file, limit=limit, num_samples=num_samples, seed=seed, progress=progress)
    print(json_module.dumps(result.to_dict()) if json else evaluation.render(result))
