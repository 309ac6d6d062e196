"""The hierarchy of the exceptions that microgpt defines.

    MicrogptError
      DataError          ValueError       text that cannot be used
      RunError           ValueError       a run that cannot be started, loaded or resumed as requested
      CheckpointError    ValueError       a file that is not a checkpoint, or a damaged checkpoint
      SafetensorsError   ValueError       a file that violates the safetensors format
      LabError           ValueError       a page request that cannot be fulfilled
      SiteError          ValueError       a page that cannot be served or written
      DivergedError      ArithmeticError  training whose loss or weights are no longer finite
      StoppedError                        training that was interrupted by an external failure, such as a full disk
      LockedError                         a folder that another process is using, or that cannot be locked
      OutputError                         standard output that cannot be written to

Each exception also inherits from the built-in exception listed next to it, so `except ValueError` catches every error
that the caller can correct. Each message states what was expected, what was found, and what to do. An invalid argument
raises a plain ValueError.
"""

from __future__ import annotations


class MicrogptError(Exception):
    """The base class of every microgpt exception."""


class DataError(MicrogptError, ValueError):
    """Text that cannot be used. The message names the file."""


class RunError(MicrogptError, ValueError):
    """A run that cannot be started, loaded or resumed as requested."""


class CheckpointError(MicrogptError, ValueError):
    """A file that is not a checkpoint, or a damaged checkpoint. The message names the file."""


class SafetensorsError(MicrogptError, ValueError):
    """A file that violates the safetensors format. The message describes the violation."""


class LabError(MicrogptError, ValueError):
    """A page request that cannot be fulfilled."""


class SiteError(MicrogptError, ValueError):
    """A page that cannot be served or written."""


class DivergedError(MicrogptError, ArithmeticError):
    """Raised when the loss or the weights of a training run are no longer finite. The earlier steps remain valid."""


class StoppedError(MicrogptError):
    """Training that was interrupted by an external failure, such as a full disk."""


class LockedError(MicrogptError):
    """A folder that another process is using, or that cannot be locked. The message continues the folder's name."""


class OutputError(MicrogptError):
    """Standard output or standard error that cannot be written to, for example because its reader is gone."""
