"""The exceptions that microgpt raises, in one tree."""

from __future__ import annotations

from pathlib import Path


class LockedError(Exception):
    """Another process holds the folder."""

    def __init__(self, pid: int, file: Path) -> None:
        super().__init__(f"process {pid} holds {str(file.parent)!r}")
        self.pid, self.file = pid, file


class StoppedError(Exception):
    """Training that could not go on, for no fault in what was asked."""


class DivergedError(ArithmeticError):
    """The loss of a step is not a finite number; the steps before it stand."""


class DataError(ValueError):
    """Text that cannot be used; the message names the file, what is wrong, and what to do."""


class CheckpointError(ValueError):
    """A file that is no checkpoint of ours, or a damaged one; the message names the file and what is wrong."""


class RunError(ValueError):
    """A run that cannot be begun, loaded or continued as asked; the message says why and what to do."""


class SafetensorsError(ValueError):
    """A file that is not in the format; the text says where it departs from it."""


class LabError(ValueError):
    """What cannot be done as asked; the message says why and what to do."""


class SiteError(ValueError):
    """Why the page cannot be served or written, and what to do."""
