"""The best checkpoint of a run folder: find it, and say why it cannot be used.

While a run trains, `best.safetensors` holds the model with the least held-out loss so far. Commands that use a model
read it if it is there and belongs to the folder's run; resuming always reads the last checkpoint.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from microgpt.errors import CheckpointError, RunError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.layout import BEST, checkpoint_file

CHECKPOINTS = ("best", "last")
# what a run and its best checkpoint must have in common; a run that is resumed may have other settings and places
OF_THE_DATA = ("sha256", "documents", "num_docs", "val_fraction", "split", "separator", "field", "start_from")


class Chosen(NamedTuple):
    """The checkpoint to use.

    Attributes:
        file: Its file.
        is_best: Whether it is the folder's best one.
        note: Why it is not the best one, which should be there; empty otherwise.
    """

    file: Path
    is_best: bool = False
    note: str = ""


def choose(path: str | os.PathLike[str], checkpoint: str | None = None) -> Chosen:
    """Choose a run folder's checkpoint; the buffers of its file are not read.

    Args:
        path: The folder, or a checkpoint file, which is chosen itself.
        checkpoint: `best` or `last`; None for the best one if there is one.

    Returns:
        The checkpoint.

    Raises:
        ValueError: The checkpoint is neither `best` nor `last`, or a file has only one.
        RunError: There is no checkpoint, or no best checkpoint although it was asked for.
        CheckpointError: The last checkpoint is damaged.
    """
    if checkpoint not in (None, *CHECKPOINTS):
        raise ValueError(f"checkpoint must be one of {', '.join(CHECKPOINTS)}, got checkpoint={checkpoint!r}")
    last = checkpoint_file(path)
    if not Path(path).is_dir():
        if checkpoint:
            raise ValueError(
                f"checkpoint can only be used with a run folder, got checkpoint={checkpoint!r} for the file"
                f" {str(path)!r}: omit it"
            )
        return Chosen(last)
    if checkpoint == "last":
        return Chosen(last)
    file, run = Path(path) / BEST, checkpoints.describe(last)
    fault = fault_of(file, run)
    if not fault:
        return Chosen(file, is_best=True)
    if checkpoint == "best":
        raise RunError(f"{str(path)!r} has no best checkpoint: {fault}; use the last one (checkpoint=last)")
    is_expected = os.path.lexists(file) or (run.selection and run.selection.best_step)
    return Chosen(last, note=_instead(fault, run) if is_expected else "")


def fault_of(file: Path, run: Checkpoint) -> str:
    """Return why a file cannot be a run's best checkpoint; empty if it can."""
    try:
        best = checkpoints.describe(file)
    except FileNotFoundError:
        kept = (
            "nothing is held out, or an earlier version trained the run" if run.selection is None else "it is missing"
        )
        return f"{str(file)!r} does not exist ({kept})"
    except CheckpointError as error:
        return _reason(error)
    except OSError as error:
        return f"cannot read {str(file)!r}: {error.strerror}"
    if run.selection is None or best.selection is None or not _same_run(best, run):
        return f"{str(file)!r} belongs to another run"
    if best.selection.step != best.step or best.selection.loss is None:
        return f"{str(file)!r} does not state the held-out loss of its model"
    return ""


def _same_run(one: Checkpoint, other: Checkpoint) -> bool:
    return _identity(one) == _identity(other)


def _identity(state: Checkpoint) -> tuple[object, ...]:
    settings = {**state.config.to_dict(), "num_steps": None}
    return settings, state.symbols, [getattr(state.provenance, name) for name in OF_THE_DATA]


def load_chosen(path: str | os.PathLike[str], checkpoint: str | None = None) -> tuple[Checkpoint, Chosen]:
    """Load the checkpoint that `choose` chooses, or the last one if the best one turns out to be damaged."""
    chosen = choose(path, checkpoint)
    try:
        return checkpoints.load(chosen.file), chosen
    except CheckpointError as error:
        if checkpoint or not chosen.is_best:
            raise
        file = checkpoint_file(path)
        last = checkpoints.load(file)
        return last, Chosen(file, note=_instead(_reason(error), last))


def _reason(error: CheckpointError) -> str:
    return str(error).removesuffix(f"; {checkpoints.REMEDY}")


def _instead(fault: str, last: Checkpoint) -> str:
    return f"{fault}; the last checkpoint (step {last.step}) is used instead"
