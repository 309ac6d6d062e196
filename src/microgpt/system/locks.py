"""A lock that lets only one process at a time work in a folder.

Each process leaves a file there that is named after it, and looks for those of others. Two that come at the same moment
may both be turned away, but never both let in. What a process leaves behind that was killed is recognised, as no such
process runs any more, and removed. Readers need no lock. It keeps the processes of one machine apart, not those of two
that share a folder: there a number says nothing about the other's process.
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
    """This process's hold on a folder, until `release` is called, or the object or the process comes to its end.

    The folders of this process are its own business: it may hold one twice. Raises LockedError, or OSError where the
    folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        pid = os.getpid()
        path = folder.resolve() / f".{pid}.{next(_numbers)}.lock"
        file = path.open("wb")  # and left open: on Windows nobody can delete it then
        _ours.add(path)
        self.release = weakref.finalize(self, _release, file, path, pid)
        for other in path.parent.glob(".*.*.lock"):
            holder = other.name.split(".")[1]
            if holder.isdecimal() and other not in _ours and _is_held(other, int(holder)):
                self.release()
                raise LockedError(int(holder), other)


def _release(file: BinaryIO, path: Path, pid: int) -> None:
    file.close()
    if os.getpid() == pid:  # a fork may exit before us
        path.unlink(missing_ok=True)
        _ours.discard(path)


def _is_held(file: Path, pid: int) -> bool:
    """Is the process that left this file still there? If not, the file is removed."""
    if os.name != "nt" and pid != os.getpid() and is_alive(pid):
        return True
    try:
        file.unlink(missing_ok=True)
        return False
    except OSError:
        return True
