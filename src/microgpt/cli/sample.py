"""`microgpt sample`: generate text from a model."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Any

from microgpt.cli import display
from microgpt.cli.options import (
    CHECKPOINT,
    DATA_FILE,
    DEVICE,
    ENGINE_NAME,
    JSON,
    NUM_SAMPLES,
    PRECISION,
    RUN,
    SEED,
    flag,
    given,
    number,
    option,
)
from microgpt.runs.run import Run

ARGUMENTS = [
    RUN,
    option("-n", "--num-samples", dest="n", **number(int, at_least=0), default=NUM_SAMPLES, help="Number of samples."),
    option(
        "--temperature",
        **number(float),
        shown="the run's temperature",
        help="Sampling temperature; 0 always picks the most likely token.",
    ),
    option("--top-k", **number(int), help="Sample only from the k most likely tokens."),
    option("--prompt", metavar="<str>", default="", help="Text at the start of each sample."),
    SEED,
    option("--max-new-tokens", **number(int), help="Stop each sample after this many new tokens."),
    flag("--slide", "Continue beyond block_size, using the last block_size tokens as context."),
    flag("--new-only", "Print only samples that are not in the training data."),
    CHECKPOINT,
    DATA_FILE,
    ENGINE_NAME,
    PRECISION,
    DEVICE,
    JSON,
]


def sample(
    run: Path,
    *,
    n: int,
    new_only: bool,
    checkpoint: str | None,
    data: str | None,
    engine: str,
    precision: str | None,
    device: str | None,
    json: bool,
    **how: Any,
) -> None:
    """Generate text. Samples that copy a training document are marked.

    Sample i is drawn with random.Random(f"{seed}:{i}"), so it depends neither
    on the engine nor on the number of samples. A terminal shows a sample's
    control characters as escapes; a file or a pipe gets the text unchanged.

    Examples:
      microgpt sample runs/small -n 5 --temperature 0.8
      microgpt sample runs/small --prompt ma --top-k 5
      microgpt sample runs/small --new-only --json
    """
    model = load_model(run, checkpoint, engine=engine, precision=precision, source=data, **given(device=device))
    if not new_only:
        note_missing_data(model)
    count = 0
    for samples in model.sample_batches(n, new_only=new_only, **how):
        if json:
            for text, known in samples:
                print(json_module.dumps({"text": text, "known": known}))
        else:
            texts, marks = [text for text, _ in samples], ["in the training data" * bool(known) for _, known in samples]
            display.print_samples(texts, marks, first=count + 1)
        sys.stdout.flush()
        count += len(samples)


def load_model(run: Path, checkpoint: str | None, **options: Any) -> Run:
    """Load a run, and print why its best checkpoint is not used, or that it is not the last one."""
    model = Run.load(run, checkpoint=checkpoint, **options)
    if model.note:
        display.note(f"note: {model.note}")
    elif model.is_best and not checkpoint and model.step < model.config.num_steps:
        display.note(
            f"note: this is the best checkpoint, step {model.step} of {model.config.num_steps}; --checkpoint last uses"
            " the last one"
        )
    return model


def note_missing_data(model: Run) -> None:
    """If the training data is unavailable, print the reason."""
    if model.missing_data:
        display.note(f"note: {model.missing_data}; samples are not compared with the training data")
