"""`microgpt sample`: generate text from a model."""

from __future__ import annotations

import io
import json as json_module
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
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
from microgpt.config import check_size
from microgpt.data.sources import STDIN, is_unread_input, read_once
from microgpt.runs.run import Run

KNOWN = "in the training data"

ARGUMENTS = [
    RUN,
    option(
        "-n",
        "--num-samples",
        dest="n",
        **number(int, at_least=0),
        shown=f"{NUM_SAMPLES}; with -i, 1 per prompt",
        help="Number of samples.",
    ),
    option(
        "--temperature",
        **number(float),
        shown="the run's temperature",
        help="Sampling temperature; 0 always picks the most likely token.",
    ),
    option("--top-k", **number(int), help="Sample only from the k most likely tokens."),
    option("--top-p", **number(float), help="Sample only from the likeliest tokens whose probabilities add up to p."),
    option("--prompt", metavar="<str>", default="", help="Text at the start of each sample."),
    option("--prompt-file", metavar="FILE", help="Read the prompt from a text file, or from standard input (-)."),
    option("-i", "--interactive", action="store_true", help="Ask for one prompt after another."),
    SEED,
    option("--max-new-tokens", **number(int), help="Stop each sample after this many new tokens."),
    option(
        "--stop",
        metavar="<str>",
        action="append",
        default=[],
        shown="",
        help="End a sample before this text (repeatable).",
    ),
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
    n: int | None,
    prompt: str,
    prompt_file: str | None,
    interactive: bool,
    new_only: bool,
    checkpoint: str | None,
    data: str | None,
    engine: str,
    precision: str | None,
    device: str | None,
    json: bool,
    **how: Any,
) -> int:
    """Generate text. Samples that copy a training document are marked.

    Sample i is drawn with random.Random(f"{seed}:{i}"), so it depends neither
    on the engine nor on the number of samples. A terminal shows a sample as it
    grows, and its control characters as escapes; a file or a pipe gets the text
    unchanged.

    Examples:
      microgpt sample runs/small -n 5 --temperature 0.8
      microgpt sample runs/small --prompt ma --top-k 5
      microgpt sample runs/small --new-only --json
      microgpt sample runs/small --top-p 0.9 --stop a
    """
    if prompt and prompt_file is not None:
        raise ValueError("prompt and prompt_file cannot be used together: omit one of them")
    if interactive and (prompt or prompt_file is not None):
        raise ValueError("interactive and a prompt cannot be used together: omit one of them")
    if not interactive and prompt_file is None and is_unread_input():
        raise ValueError(
            "a text is piped to standard input, but nothing reads it: --prompt-file - reads it as the prompt, and"
            " --interactive reads one prompt per line"
        )
    if prompt_file is not None:
        prompt = _read(prompt_file)
    model = load_model(run, checkpoint, engine=engine, precision=precision, source=data, **given(device=device))
    if not new_only:
        note_missing_data(model)
    show = partial(_show, model, new_only=new_only, json=json, **how)
    if interactive:
        return _converse(partial(show, n=1 if n is None else n))
    show(prompt=prompt, n=NUM_SAMPLES if n is None else n)
    return 0


def _read(file: str) -> str:
    """Return the prompt in a file, or in standard input, without the line break at its end."""
    if file != STDIN and Path(file).is_dir():
        raise ValueError(f"prompt_file must be a text file, got the folder {file!r}: specify a file in it")
    if not (prompt := read_once(file)):
        raise ValueError(f"prompt_file must contain a text, got prompt_file={file!r}, which is empty")
    return prompt.removesuffix("\n")


def _show(model: Run, *, n: int, new_only: bool, json: bool, first: int = 0, seed: int | None, **how: Any) -> int:
    """Print samples, from the one with index `first`; return how many."""
    if sys.stdout.isatty() and not json and not new_only:
        check_size("n", n, least=0)
        seed = model.config.seed if seed is None else seed
        for i in range(first, first + n):
            display.grow_sample(model.grow(seed=seed, first=i, **how), i + 1, partial(_mark, model))
        return n
    count = 0
    for samples in model.sample_batches(n, new_only=new_only, first=first, seed=seed, **how):
        if json:
            for text, known in samples:
                print(json_module.dumps({"text": text, "known": known}))
        else:
            texts, marks = [text for text, _ in samples], [KNOWN * bool(known) for _, known in samples]
            display.print_samples(texts, marks, first=first + count + 1)
        sys.stdout.flush()
        count += len(samples)
    return count


def _mark(model: Run, text: str) -> str:
    return KNOWN * bool(not model.missing_data and model.data.find_texts([text]))


def _converse(show: Callable[..., int]) -> int:
    """Print samples for each line of standard input, until it ends or Ctrl-C is pressed.

    A prompt that the model cannot continue is reported, and the next one is read. In a terminal, that is all; for a
    program, the exit status is then 2.
    """
    status = first = 0
    for prompt in _prompts():
        try:
            first += show(prompt=prompt, first=first)
        except ValueError as error:
            display.note(f"error: {error}")
            status = 0 if sys.stdin.isatty() else 2
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            break
    return status


def _prompts() -> Iterator[str]:
    """Yield the lines of standard input; a terminal shows that one is expected."""
    if sys.stdin is None:
        raise ValueError("standard input is closed: --interactive reads prompts from it, and --prompt gives one")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a prompt that is not text is refused like any other
    if not sys.stdin.isatty():
        yield from (line.removesuffix("\n") for line in sys.stdin)
        return
    with suppress(ImportError):  # some systems lack it
        import readline  # noqa: F401 (lets `input` edit the line)
    display.note("Type the beginning of a text, and Enter; Ctrl-D ends.")
    shown = "prompt> " * sys.stdout.isatty()  # a file gets only the samples
    while True:
        try:
            yield input(shown)
        except (EOFError, KeyboardInterrupt):
            print(flush=True)
            return


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
