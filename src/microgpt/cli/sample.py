"""`microgpt sample`: generate text from a model."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import (
    FLAG,
    NUM_SAMPLES,
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
from microgpt.runs.run import Run


def sample(
    run: RunArgument,
    n: Annotated[
        int, typer.Option("-n", "--num-samples", help="Number of samples.", **number(int, at_least=0))
    ] = NUM_SAMPLES,
    *,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="Sampling temperature; 0 always picks the most likely token." + default("the run's temperature"),
            **number(float),
        ),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Sample only from the k most likely tokens.", **number(int))] = None,
    prompt: Annotated[str, typer.Option(help="Text at the start of each sample.")] = "",
    seed: SeedOption = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Stop each sample after this many new tokens.", **number(int))
    ] = None,
    slide: Annotated[
        bool,
        typer.Option(
            "--slide", help="Continue beyond block_size, using the last block_size tokens as context.", **FLAG
        ),
    ] = False,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Print only samples that are not in the training data.", **FLAG)
    ] = False,
    data: DataOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Generate text. Samples that copy a training document are marked.

    Sample i is drawn with random.Random(f"{seed}:{i}"), so it depends neither
    on the engine nor on the number of samples.

    [bold]Examples[/]

      microgpt sample runs/small -n 5 --temperature 0.8
      microgpt sample runs/small --prompt ma --top-k 5
      microgpt sample runs/small --new-only --json
    """
    model = Run.load(run, engine=engine, precision=precision, source=data, **given(device=device))
    if not new_only:
        note_missing_data(model)
    count = 0
    for samples in model.sample_batches(
        n,
        seed=seed,
        new_only=new_only,
        temperature=temperature,
        top_k=top_k,
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        slide=slide,
    ):
        if json:
            for text, known in samples:
                print(json_module.dumps({"text": text, "known": known}))
        else:
            texts, marks = [text for text, _ in samples], ["in the training data" * bool(known) for _, known in samples]
            sys.stdout.write(display.sample_lines(texts, marks, first=count + 1))
        sys.stdout.flush()
        count += len(samples)


def note_missing_data(model: Run) -> None:
    """If the training data is unavailable, print the reason."""
    if model.missing_data:
        display.note(f"note: {model.missing_data}; samples are not compared with the training data")
