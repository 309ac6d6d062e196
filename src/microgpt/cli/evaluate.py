"""`microgpt evaluate`: measure a model's loss, and count how many of its samples are new."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Any

from microgpt import evaluation
from microgpt.cli import display
from microgpt.cli.options import (
    CHECKPOINT,
    DATA_FILE,
    DEVICE,
    ENGINE_NAME,
    JSON,
    PRECISION,
    RUN,
    SEED,
    argument,
    given,
    number,
    option,
)
from microgpt.cli.sample import load_model, note_missing_data

ARGUMENTS = [
    RUN,
    argument(
        "FILE",
        "Text to evaluate on.",
        nargs="?",
        shown="the held-out documents, or the training data if nothing is held out",
    ),
    option(
        "--limit",
        **number(int, at_least=0),
        shown="all held-out documents, up to 200,000 tokens; 1000 documents of any other text",
        help="Maximum number of documents to evaluate on, evenly spaced throughout the text; 0 uses all of them.",
    ),
    option(
        "--num-samples",
        **number(int, at_least=0),
        default=1000,
        help="Number of samples to generate and compare with the training data.",
    ),
    SEED,
    CHECKPOINT,
    DATA_FILE,
    ENGINE_NAME,
    PRECISION,
    DEVICE,
    JSON,
]


def evaluate(
    run: Path,
    file: str | None,
    *,
    checkpoint: str | None,
    data: str | None,
    engine: str,
    precision: str | None,
    device: str | None,
    json: bool,
    **how: Any,
) -> None:
    """Measure a model's loss and count how many of its samples are new.

    The table also shows the losses of simpler models, which only count
    tokens or pairs of tokens. The standard error is that of the loss, for
    other documents like these. A sample is new if it is not in the training
    data.

    Examples:
      microgpt evaluate runs/small --limit 20 --num-samples 10
    """
    model = load_model(run, checkpoint, engine=engine, precision=precision, source=data, **given(device=device))
    if file is not None:
        note_missing_data(model)
    with display.bars() as progress:
        result = model.evaluate(file, progress=progress, **how)
    if json:
        print(json_module.dumps(result.to_dict()))
    else:
        display.report(evaluation.render(result), keep="\n")
