"""Every exception that microgpt raises, in one tree.

    MicrogptError
      DataError          ValueError       text that cannot be used
      RunError           ValueError       a run that cannot be begun, loaded or continued as asked
      CheckpointError    ValueError       a file that is not a checkpoint, or a damaged one
      SafetensorsError   ValueError       a file that breaks the safetensors format
      LabError           ValueError       a request of the page that cannot be done as asked
      SiteError          ValueError       a page that cannot be served or written
      DivergedError      ArithmeticError  training whose numbers are no longer finite
      StoppedError                        training that had to stop, through no fault of the request
      LockedError                         a folder that another process is using

Each also inherits from the built-in error in its line, so that `except ValueError` catches whatever the caller got
wrong. A message says what was expected, what came, and what to do. A bad argument raises a plain ValueError.
"""

from __future__ import annotations

from pathlib import Path


class MicrogptError(Exception):
    """The root of the tree."""


class DataError(MicrogptError, ValueError):
    """Text that cannot be used. The message names the file."""


class RunError(MicrogptError, ValueError):
    """A run that cannot be begun, loaded or continued as asked."""


class CheckpointError(MicrogptError, ValueError):
    """A file that is not a checkpoint, or a damaged one. The message names the file."""


class SafetensorsError(MicrogptError, ValueError):
    """A file that breaks the safetensors format. The message says where."""


class LabError(MicrogptError, ValueError):
    """A request of the page that cannot be done as asked."""


class SiteError(MicrogptError, ValueError):
    """A page that cannot be served or written."""


class DivergedError(MicrogptError, ArithmeticError):
    """The loss of a step is not finite. The steps before it stand."""


class StoppedError(MicrogptError):
    """Training had to stop, through no fault of the request."""


class LockedError(MicrogptError):
    """Another process is using the folder."""

    def __init__(self, pid: int, file: Path) -> None:
        super().__init__(f"process {pid} holds {str(file.parent)!r}")
        self.pid, self.file = pid, file
