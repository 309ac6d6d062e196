"""`microgpt train`: train a model, or resume a run."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from microgpt.cli import display
from microgpt.cli.options import (
    DOCUMENTS,
    NUM_SAMPLES,
    TOKENIZER,
    DeviceOption,
    EngineOption,
    FileArgument,
    JsonOption,
    PrecisionOption,
    ThreadsOption,
    asked,
    config_options,
    default,
    number,
)
from microgpt.cli.resume_command import resume_command
from microgpt.cli.signals import not_waiting_for_the_dead, signals
from microgpt.config import PRESETS, SIZES, Config
from microgpt.data.documents import MODES
from microgpt.data.sources import DATASETS
from microgpt.data.tokenizers import KINDS
from microgpt.errors import StoppedError
from microgpt.export.tensorboard import Board, check_tensorboard
from microgpt.runs.folder import Folder
from microgpt.runs.layout import next_folder
from microgpt.runs.run import Run
from microgpt.system.processes import processes


@config_options
def train(
    file: FileArgument = None,
    *,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="|".join([*PRESETS, *SIZES]),
            help="The published version, or the size, to start from." + default("final"),
        ),
    ] = None,
    documents: Annotated[
        str | None,
        typer.Option(metavar="|".join(MODES), help=DOCUMENTS + default(MODES[0])),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="|".join(KINDS), help=TOKENIZER + default(KINDS[0]))] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the documents that is held out, and measured now and then." + default(0), **number(float)
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(help="Steps between two held-out losses." + default("a tenth of all"), **number(int, at_least=1)),
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option(
            help="Documents computed at once, their gradients accumulated." + default("batch_size"), **number(int)
        ),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Of the torch engine: fuse operations; slow to start, then faster.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Of the torch engine: the same bits each time on a GPU too.")
    ] = False,
    shard: Annotated[
        bool, typer.Option("--shard", help="Of processes that train together each keeps a part of Adam's moments.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the run." + default("runs/1, runs/2, ...")),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, bit for bit.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            help="Steps between two checkpoints; 0: every 30 seconds, large ones less often.", **number(int, at_least=0)
        ),
    ] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the metrics for TensorBoard too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the samples.")] = False,
    json: JsonOption = False,
    settings: dict[str, Any],
) -> None:
    """Train a model, and print what it writes.

    [bold]Examples[/]

      microgpt train --num-steps 20
      microgpt train names --out runs/small --n-embd 8 --n-head 2 --num-steps 20
      microgpt train --out runs/small --resume --num-steps 30
    """
    rank, _ = processes()
    if tensorboard:
        check_tensorboard()
    show = display.choose(quiet, json) if rank == 0 else display.Quiet()
    options = {
        "documents": documents,
        "tokenizer": tokenizer,
        "val_fraction": val_fraction,
        "validate_every": validate_every,
        "micro_batch_size": micro_batch_size,
    }
    computed_by: dict[str, Any] = {"engine": engine, "precision": precision, "threads": threads}
    computed_by |= asked(device=device, compile=compile, deterministic=deterministic, shard=shard)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if preset is not None:
        presets = {**PRESETS, **SIZES}
        if preset not in presets:
            raise ValueError(f"preset must be one of {', '.join(presets)}, got preset={preset!r}")
        settings = {**presets[preset].to_dict(), **settings}
    if resume:
        if out is None:
            raise ValueError("resume needs the folder of the run: add --out DIR")
        if overwrite:
            raise ValueError("resume and overwrite exclude each other: leave one of them out")
        if preset is not None:
            raise ValueError(f"preset cannot be given with resume, got preset={preset!r}: the run has its settings")
        folder = Folder.resume(out, changes={**settings, **given}, source=file, **computed_by)
        if folder.run.config.num_steps != folder.planned_steps:
            show.message(
                f"num_steps: {folder.planned_steps} -> {folder.run.config.num_steps}; the learning rate is recomputed,"
                " to fall to 0 over all of them"
            )
    else:
        config = Config().replace(**settings)
        with display.Bars() as bars:
            download = partial(bars, "names.txt")
            run = Run.begin(file or DATASETS[0], config, progress=download, **computed_by, **given)
        if out is None:
            out = next_folder(Path("runs")) if rank == 0 else Path()
        folder = Folder.create(out, run, overwrite=overwrite)
    folder.computed_by = computed_by
    with folder, Board(folder.path, folder.run) if tensorboard and rank == 0 else nullcontext() as board:
        _train(folder, show, checkpoint_every, board)


def _train(folder: Folder, show: display.Display, checkpoint_every: int, board: Board | None) -> None:
    run, stopped = folder.run, False
    show.begin(run)
    try:
        with signals() as caught, not_waiting_for_the_dead(folder):
            for step in folder.train(checkpoint_every, together=True):
                show.step(step)
                if board:
                    board.step(step)
                if step.step == run.step and folder.any(bool(caught)):
                    folder.save()
                    stopped = True
                    break
    except OSError as error:
        way_on = f"the last checkpoint is whole: {resume_command(folder)} goes on from it"
        raise StoppedError(f"{error}; {way_on}") from error
    finally:
        show.end()
    if stopped and run.step < run.config.num_steps:
        if run.engine.rank == 0:
            print(f"stopped and saved after step {run.step}; go on with: {resume_command(folder)}", file=sys.stderr)
        raise typer.Exit(128 + (caught or [signal.SIGTERM])[0])
    if run.engine.rank:
        return
    texts = run.sample(NUM_SAMPLES)
    folder.write_samples(display.sample_lines(texts))  # kept before they are shown
    show.samples(texts)
    show.message(f"saved in {folder.path}; more samples: microgpt sample {shlex.quote(str(folder.path))}")
