"""A lock that lets only one process at a time work in a folder.

Each process creates a file there, named after its process id, and looks for the files of others. Two processes
that arrive at the same moment may both be refused, but never both admitted. The file of a killed process is recognised,
because no process has its id, and is removed. Readers need no lock. The lock works between the processes of one
machine, but not between two machines that share a folder, where an id says nothing about the other machine's processes.
"""

from __future__ import annotations

import itertools
import os
import weakref
from pathlib import Path
from typing import BinaryIO

from microgpt.errors import LockedError
from microgpt.system.processes import is_alive

_numbers = itertools.count()
_ours: set[Path] = set()  # the files of this process


class Lock:
    """A lock on a folder, held until `release` is called, the object is deleted or the process ends.

    One process can lock the same folder twice.

    Args:
        folder: The folder.

    Raises:
        LockedError: Another process holds the lock.
        OSError: The folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        pid = os.getpid()
        path = folder.resolve() / f".{pid}.{next(_numbers)}.lock"
        file = path.open("wb")  # stays open: on Windows no process can delete an open file
        _ours.add(path)
        self.release = weakref.finalize(self, _release, file, path, pid)
        for other in path.parent.glob(".*.*.lock"):
            holder = other.name.split(".")[1]
            if holder.isdecimal() and other not in _ours and _is_held(other, int(holder)):
                self.release()
                raise LockedError(int(holder), other)


def _release(file: BinaryIO, path: Path, pid: int) -> None:
    file.close()
    if os.getpid() == pid:  # not in a forked child, which may exit first
        path.unlink(missing_ok=True)
        _ours.discard(path)


def _is_held(file: Path, pid: int) -> bool:
    """Return whether the process that created this file is still running; if not, remove the file."""
    if os.name != "nt" and pid != os.getpid() and is_alive(pid):
        return True
    try:
        file.unlink(missing_ok=True)
        return False
    except OSError:
        return True
