"""A lock that lets only one process at a time work in a folder.

The system holds the lock on the folder's file LOCK, and releases it when the process exits, however it exits. The lock
also works between containers and, if the file system supports this (NFS does), between machines. Readers need no lock.
The holder removes the file when it is done, so a process that has locked a file checks that the file is still in the
folder. The same check later tells the holder whether the folder has been deleted or replaced.
"""

from __future__ import annotations

import os
import platform
import re
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

from microgpt.errors import LockedError
from microgpt.system.files import open_own, sweep

LOCK = ".microgpt.lock"  # contains the holder's process id and machine, for messages
OLD_LOCK = re.compile(r"\.[0-9]+\.[0-9]+\.lock")  # the files of earlier versions, which prove nothing

Identity = tuple[int, int]  # a file's device and inode
_held: dict[Identity, tuple[IO[bytes], list[None]]] = {}  # this process's lock files, and an entry for each Lock
_one_thread = threading.RLock()  # guards _held; deleting an object in the middle may release its lock


class Lock:
    """A lock on a folder, held until `release` is called, the object is deleted or the process exits.

    The same process can lock a folder more than once. The first lock removes the incomplete files and the lock files
    that killed processes left behind.

    Args:
        folder: The folder to lock.

    Raises:
        LockedError: Another process holds the lock, or the folder cannot be locked.
        OSError: The folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder.absolute() / LOCK
        with _one_thread:
            identity = _identity(self._path)
            is_first = identity is None or identity not in _held
            if identity is None or is_first:
                file, identity = _lock(self._path)
                _held[identity] = file, []
            _held[identity][1].append(None)
            self._identity = identity
            self.release = weakref.finalize(self, _release, self._path, identity, os.getpid())
            if is_first:
                sweep(folder)
                for path in folder.glob(".*.lock"):
                    if OLD_LOCK.fullmatch(path.name):
                        with suppress(OSError):
                            path.unlink()

    def is_valid(self) -> bool:
        """Return whether the locked file is still in the folder: the folder has not been deleted or replaced."""
        return _identity(self._path) == self._identity


def _identity(path: Path) -> Identity | None:
    """Return the identity of the file at a path; None if no file exists. Lost permissions raise OSError instead."""
    try:
        facts = path.lstat()
        return facts.st_dev, facts.st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None


def _lock(path: Path) -> tuple[IO[bytes], Identity]:
    """Create the file if necessary, and lock it."""
    while True:
        file = open_own(path, "a+b", buffering=0)
        try:
            facts = os.fstat(file.fileno())
            if facts.st_nlink > 1:  # the holder writes to the file, which must not be another file of the user
                raise LockedError(f"contains {LOCK!r}, which has other names too (hard links): delete it")
            _lock_file(file)
            identity = facts.st_dev, facts.st_ino
            if _identity(path) == identity:
                _sign(file)
                return file, identity
        except BaseException:
            file.close()
            raise
        file.close()  # its holder has removed it in the meantime: try again


def _lock_file(file: IO[bytes]) -> None:
    """Ask the system for the lock on a file; raise LockedError if the system refuses."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 20)  # the locked byte cannot be read, so it must be outside the content
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # in a browser, there is no other process
        pass
    except (BlockingIOError, PermissionError):
        raise LockedError(f"is in use by {_holder(file)}: wait until the process exits, or stop it") from None
    except OSError as error:
        raise LockedError(
            f"cannot be locked: {error.strerror}; choose a folder on a file system that supports locks, such as a"
            " local disk"
        ) from None


def _sign(file: IO[bytes]) -> None:
    with suppress(OSError):  # only a message needs the content; if the disk is full, the next file reports that
        file.truncate(0)
        file.write(f"{os.getpid()} {platform.node()}\n".encode())


def _holder(file: IO[bytes]) -> str:
    """Return the description of the process that has locked a file."""
    file.seek(0)
    found = re.fullmatch(r"([0-9]{1,10}) (.{0,255})\n", file.read(300).decode(errors="replace"))
    if not found:
        return "another process"
    pid, machine = found.groups()
    return f"process {pid}" if machine == platform.node() else f"process {pid} on {machine!r}"


def _release(path: Path, identity: Identity, pid: int) -> None:
    if os.getpid() != pid:  # a forked child
        return
    with _one_thread:
        file, locks = _held[identity]
        locks.pop()
        if locks:
            return
        del _held[identity]
        if os.name == "nt":  # an open file cannot be removed; it stays if another process opens it in the meantime
            file.close()
        with suppress(OSError):  # if the folder has become read-only, the file stays, but is no longer locked
            if _identity(path) == identity:
                path.unlink()
        file.close()


def _forked() -> None:
    """In a forked child, close the files, because otherwise the child would keep the locks of an exited parent."""
    for file, _ in _held.values():
        file.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
