"""A lock that lets only one process at a time work in a folder.

Each process creates a file in the folder, named after its process id, and looks for other processes' files. If two
processes try at the same moment, both may be refused, but they are never both admitted. A killed process's file is
removed, because no running process has that id. Readers need no lock. The lock works only between processes on the same
machine: another machine that shares the folder cannot check a process id.
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
_ours: set[Path] = set()  # this process's lock files


class Lock:
    """A lock on a folder, held until `release` is called, the object is deleted or the process exits.

    The same process can lock a folder more than once.

    Args:
        folder: The folder to lock.

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
