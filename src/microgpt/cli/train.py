"""`microgpt train`: train a model, or resume a run."""

from __future__ import annotations

import shlex
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt.cli import display
from microgpt.cli.options import (
    DATA,
    DEVICE,
    ENGINE,
    ENGINE_NAME,
    FILE,
    FOLDER,
    JSON,
    NUM_SAMPLES,
    PRECISION,
    SPLIT,
    THREADS,
    TOKENIZER,
    config_options,
    flag,
    given,
    number,
    option,
)
from microgpt.cli.resume_command import remedy, resume_command
from microgpt.cli.signals import not_waiting_for_the_dead, signals
from microgpt.cli.train_command import train_command
from microgpt.config import PRESETS, SIZES, Config
from microgpt.data.documents import Data
from microgpt.data.sources import DATASETS, STDIN, Source, is_unread_input
from microgpt.data.tokenizers import KINDS
from microgpt.errors import DivergedError, StoppedError
from microgpt.export.tensorboard import Board, check_tensorboard
from microgpt.runs.advice import Watch, advise
from microgpt.runs.folder import Folder
from microgpt.runs.layout import next_folder
from microgpt.runs.run import Run
from microgpt.system.processes import processes

if TYPE_CHECKING:
    from microgpt.runs.time_budget import Plan

clock = time.perf_counter
# The most seconds of this process that count as its start: Python's, and the imports. A process that embeds the command
# may have worked for hours.
START_UP = 1.0


def unescaped(text: str) -> str:
    r"""Return a text in which \n and \t are written as a line break and a tab."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


ARGUMENTS = [
    FILE,
    option(
        "--preset",
        metavar="NAME",
        shown="final",
        help=f"Settings to start from: a published version ({', '.join(PRESETS)}) or a size ({', '.join(SIZES)}).",
    ),
    option(
        "--from",
        dest="start_from",
        metavar="RUN",
        type=Path,
        shown="random parameters",
        help="Fine-tune a run (its best checkpoint) or a checkpoint file. Its settings and vocabulary are the defaults;"
        " new characters are added.",
    ),
    option(
        "--documents",
        group=DATA,
        metavar="HOW",
        shown="lines, or stream if the text is a single long line",
        help=SPLIT,
    ),
    option(
        "--separator",
        group=DATA,
        metavar="TEXT",
        type=unescaped,
        help=r"Text that separates documents, such as '<|endoftext|>'; \n is a line break.",
    ),
    option(
        "--field",
        group=DATA,
        metavar="NAME",
        help="Column of a CSV or TSV file, or field of a JSON Lines file, that has the documents.",
    ),
    option("--tokenizer", group=DATA, metavar="|".join(KINDS), shown=KINDS[0], help=TOKENIZER),
    option(
        "--val-fraction",
        group=DATA,
        **number(float),
        shown=0,
        help="Fraction of the documents to hold out for validation.",
    ),
    option(
        "--validate-every",
        group=DATA,
        **number(int, at_least=1),
        shown="a tenth of all steps",
        help="Steps between measurements of the held-out loss.",
    ),
    option(
        "--patience",
        group=DATA,
        **number(int, at_least=0),
        shown="never",
        help="Stop after this many measurements of the held-out loss without a new least loss; 0 never stops early.",
    ),
    ENGINE_NAME,
    PRECISION,
    THREADS,
    option(
        "--micro-batch-size",
        group=ENGINE,
        **number(int),
        shown="batch_size",
        help="Documents to process at once; gradients are accumulated over the batch.",
    ),
    DEVICE,
    flag("--compile", "torch: compile the model (slower start, faster steps).", group=ENGINE),
    flag("--deterministic", "torch: make runs reproducible bit for bit, even on a GPU.", group=ENGINE),
    flag("--shard", "torch: shard Adam's moments across processes (ZeRO stage 1).", group=ENGINE),
    option("--out", group=FOLDER, metavar="DIR", type=Path, shown="runs/1, runs/2, ...", help="The run folder."),
    flag("--resume", "Resume the run in --out; the results are the same as if it had never stopped.", group=FOLDER),
    flag("--overwrite", "Replace the run in --out.", group=FOLDER),
    option(
        "--checkpoint-every",
        group=FOLDER,
        **number(int, at_least=0),
        default=0,
        help="Steps between checkpoints; 0 saves every 30 seconds, or less often for large models.",
    ),
    option(
        "--minutes",
        **number(float),
        help="Choose the model and the settings for the least held-out loss in this time. Options that you set are"
        " kept.",
    ),
    option("--seconds", **number(float), help="The same, in seconds."),
    flag("--tensorboard", "Also write the metrics in TensorBoard format."),
    flag("--quiet", "Print only the samples."),
    JSON,
    *config_options(),
]

COMPUTED_BY = ("engine", "precision", "threads", "device", "compile", "deterministic", "shard")


def train(
    files: list[str],
    *,
    preset: str | None,
    start_from: Path | None,
    out: Path | None,
    resume: bool,
    overwrite: bool,
    checkpoint_every: int,
    tensorboard: bool,
    quiet: bool,
    json: bool,
    minutes: float | None,
    seconds: float | None,
    **options: Any,
) -> int:
    """Train a model, save it, and print samples.

    The options under Model and Training set the fields of microgpt.Config.

    Examples:
      microgpt train --num-steps 20
      microgpt train names --out runs/small --n-embd 8 --n-head 2 --num-steps 20
      microgpt train --out runs/small --resume --num-steps 30
      microgpt train names --from runs/small --out runs/tuned --num-steps 20
    """
    rank, world_size = processes()
    limit = None
    if minutes is not None or seconds is not None:
        from microgpt.runs.time_budget import plan, time_limit  # loads what other runs do not need

        limit = time_limit(minutes, seconds)
    began = clock() - (0.0 if limit is None else min(time.process_time(), START_UP))
    source = _source(files)
    if tensorboard:
        check_tensorboard()
    show = display.choose(quiet, json) if rank == 0 else display.Quiet()
    settings = {name: options.pop(name) for name in Config().to_dict() if name in options}
    asked = settings
    computed_by = given(**{name: options.pop(name) for name in COMPUTED_BY})
    chosen = given(**options)
    if preset is not None:
        presets = {**PRESETS, **SIZES}
        if preset not in presets:
            raise ValueError(f"preset must be one of {', '.join(presets)}, got preset={preset!r}")
        settings = _with_preset(preset, presets[preset], settings)
        if limit is not None and "num_steps" not in asked:  # the time decides
            del settings["num_steps"]
    if limit is not None and (resume or start_from is not None or world_size > 1):
        other = "resume" if resume else "from" if start_from is not None else "torchrun"
        raise ValueError(f"a time limit (minutes, seconds) cannot be used with {other}: omit it, and set num_steps")
    planned: Plan | None = None
    if resume:
        if out is None:
            raise ValueError("resume needs the run's folder: add --out DIR")
        if overwrite:
            raise ValueError("resume and overwrite cannot be used together: omit one of them")
        if preset is not None:
            raise ValueError(f"preset cannot be used with resume, got preset={preset!r}: the run already has settings")
        if start_from is not None:
            raise ValueError(
                f"from cannot be used with resume, got from={str(start_from)!r}: the run already has parameters"
            )
        folder = Folder.resume(out, changes={**settings, **chosen}, source=source, **computed_by)
        if folder.run.config.num_steps != folder.planned_steps:
            show.message(
                f"num_steps: {folder.planned_steps} -> {folder.run.config.num_steps}; the learning rate now decays to 0"
                f" at step {folder.run.config.num_steps}"
            )
        if folder.note:
            show.message(f"note: {folder.note}")
    else:
        if source is None and is_unread_input():
            raise ValueError(
                "a text is piped to standard input, but no FILE is specified: microgpt train - reads it, and microgpt"
                " train names the bundled names"
            )
        text: Source | Data = DATASETS[0] if source is None else source
        config = None if start_from or limit is not None else Config().replace(**settings)
        with display.bars() as progress:
            download = partial(progress, f"{source}")  # only a data set is downloaded
            if limit is not None:
                planned = plan(
                    text,
                    limit,
                    settings=settings,
                    options=chosen,
                    computed_by=computed_by,
                    began=began,
                    clock=clock,
                    progress=download,
                )
                text, config, settings = planned.data, planned.config, planned.settings
                chosen, computed_by = planned.options, planned.computed_by
                for line in planned.explanation:
                    show.message(line)
            run = Run.begin(
                text,
                config,
                start_from=start_from,
                progress=download,
                **computed_by,
                **chosen,
                **(settings if start_from else {}),
            )
        if out is None:
            out = next_folder(Path("runs")) if rank == 0 else Path()
        folder = Folder.create(out, run, overwrite=overwrite)
    folder.computed_by = computed_by
    # after --from, the defaults are the settings of the run to start from
    defaults = {"engine": "auto", **({} if start_from else Config().to_dict())}
    again = {"from": start_from, **settings, **chosen, **computed_by}
    again = {name: value for name, value in again.items() if name not in defaults or value != defaults[name]}
    if planned:
        show.message(f"the same run without a time limit: {train_command(files, again)}")

    def paste(changes: dict[str, Any]) -> str:
        """Return the command for a similar run; empty if no command can make it."""
        if resume:
            return f"{resume_command(folder)} --num-steps {changes['num_steps']}" if "num_steps" in changes else ""
        if files == [STDIN] or (start_from is not None and "n_embd" in changes):
            return ""
        return train_command(files, {**again, **changes})

    stop_at = planned.stop_at if planned else None
    with folder, Board(folder.path, folder.run) if tensorboard and rank == 0 else nullcontext() as board:
        return _train(folder, show, checkpoint_every, board, paste, stop_at)


def _with_preset(name: str, preset: Config, settings: dict[str, Any]) -> dict[str, Any]:
    """Return a preset's settings with some of them changed; an error says which values came from the preset."""
    try:
        return preset.replace(**settings).to_dict()
    except ValueError as error:
        given_by = [f for f, value in preset.to_dict().items() if f not in settings and f"{f}={value}" in str(error)]
        if not given_by:
            raise
        options = ", ".join(f"--{f.replace('_', '-')}" for f in given_by)
        raise ValueError(f"{error}; preset {name} sets {', '.join(given_by)}: set {options} too") from None


def _source(files: list[str]) -> Source | None:
    """Return the text that the command line names; None if it names none."""
    if len(files) > 1:
        if named := sorted({*files} & {*DATASETS, STDIN}):
            raise ValueError(f"FILE must be {named[0]!r} alone or several paths, got {shlex.join(files)}")
        return [Path(file) for file in files]
    return files[0] if files else None


def _train(
    folder: Folder,
    show: display.Display,
    checkpoint_every: int,
    board: Board | None,
    paste: Callable[[dict[str, Any]], str],
    stop_at: float | None,
) -> int:
    run, stopped, is_late, watch = folder.run, False, False, Watch()
    show.begin(run)
    try:
        with signals() as caught, not_waiting_for_the_dead(folder):
            for step in folder.train(checkpoint_every, together=True):
                watch.add(step)
                show.step(step)
                if board:
                    board.step(step)
                if stop_at is not None and step.step == run.step < run.config.num_steps and clock() >= stop_at:
                    folder.save()
                    is_late = True
                    break
                if step.step == run.step and folder.any(bool(caught)):
                    folder.save()
                    stopped = True
                    break
    except DivergedError as error:
        raise DivergedError(f"{error}; {remedy(folder, is_resumable=False)}") from None
    except OSError as error:
        raise StoppedError(f"{error}; {remedy(folder)}") from error
    finally:
        show.end()
    if stopped and run.step < run.config.num_steps:
        if run.engine.rank == 0:
            display.note(f"stopped and saved after step {run.step}; resume with: {resume_command(folder)}")
        return 128 + (caught or [signal.SIGTERM])[0]
    if run.engine.rank:
        return 0
    if is_early := run.stopped_early:
        show.message(display.stopped_early(run))
    if is_late:
        show.message(
            f"the time is over: stopped after step {run.step} of {run.config.num_steps}; to train the remaining steps:"
            f" {resume_command(folder)}"
        )
    outcome = watch.outcome(run)
    held_out = _measure_best(folder, show) if run.held_out and run.selection else None
    texts = run.sample(NUM_SAMPLES)
    folder.write_samples(display.sample_lines(texts))  # saved first: printing may fail
    show.samples(texts, held_out and {**held_out, "stopped_early": is_early})
    if outcome and not is_early and not is_late:
        advice = advise(outcome)
        command = paste(advice.settings)
        show.message(f"to improve it, {advice.remedy}, because {advice.reason}{f': {command}' if command else ''}")
    show.message(f"saved in {folder.path}; for more samples: microgpt sample {shlex.quote(str(folder.path))}")
    return 0


def _measure_best(folder: Folder, show: display.Display) -> dict[str, Any]:
    """Load the best checkpoint's model into the run, measure its held-out loss, show it, and return the facts."""
    run, last = folder.run, folder.run.step
    folder.use_best()
    if folder.note:
        show.message(f"note: {folder.note}")
    with display.bars() as progress:
        score = run.measure(progress)
    show.message(display.held_out(run, score, last))
    return {
        "step": run.step,
        "loss": score.loss,
        "standard_error": score.standard_error,
        "documents": len(run.measured),
        "tokens": score.tokens,
    }
