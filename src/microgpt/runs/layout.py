"""The layout of a run folder: its file names, and how a folder is found or chosen."""

from __future__ import annotations

import itertools
import os
from contextlib import suppress
from pathlib import Path

from microgpt.errors import RunError
from microgpt.system.files import open_regular

CONFIG, METRICS, MODEL, SAMPLES = "config.json", "metrics.jsonl", "model.safetensors", "samples.txt"
BEST = "best.safetensors"  # the checkpoint with the least held-out loss; MODEL is the last one
TENSORBOARD = "tensorboard"  # the subfolder of the metrics for TensorBoard


def checkpoint_file(path: str | os.PathLike[str]) -> Path:
    """Return a run folder's checkpoint file, or the path itself if it is a file; raise RunError if it is unreadable."""
    path = Path(path)
    file = path
    try:
        if path.is_dir():
            file = path / MODEL
        with open_regular(file):
            return file
    except FileNotFoundError:
        what = "has no model.safetensors, so it is not a run folder" if path.is_dir() else "does not exist"
        raise RunError(
            f"{str(path)!r} {what}; specify a run folder (microgpt train --out) or a checkpoint file"
        ) from None
    except OSError as error:
        raise RunError(
            f"cannot read {str(file)!r}: {error.strerror}; specify a run folder or a readable checkpoint file"
        ) from None


def next_folder(parent: Path) -> Path:
    """Create and return the first of parent/1, parent/2, ... that does not exist; no other process can claim it."""
    for number in itertools.count(1):
        with suppress(FileExistsError):
            (parent / str(number)).mkdir(parents=True)
            return parent / str(number)
    raise AssertionError
