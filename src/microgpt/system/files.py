"""Reading regular files only, and atomic writes: a file is written completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from microgpt.system.processes import is_alive

COPY = 1 << 20  # bytes read at a time


def open_regular(path: Path | str) -> BinaryIO:
    """Open a file to read its bytes; raise OSError if it is a pipe, a device or a folder, without waiting for it."""
    return open(path, "rb", opener=_opener)


def read_bytes(path: Path | str) -> bytes:
    """Return a file's bytes; raise OSError if it is a pipe, a device or a folder, without waiting for it."""
    with open_regular(path) as file:
        return file.read()


def _opener(path: str, flags: int) -> int:
    _check_regular(Path(path).stat(), path)  # opening a pipe waits for its writer, and a device can have effects
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # in case the file has just been replaced
    try:
        _check_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(facts: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", path)


def sha256(path: Path, progress: Callable[[int, int], None] | None = None) -> str:
    """Return the SHA-256 of a regular file's bytes.

    Args:
        path: The file.
        progress: Called with the number of bytes read and the file's size.

    Returns:
        The digest in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        while content := file.read(COPY):
            digest.update(content)
            if progress:
                progress(file.tell(), size)
    return digest.hexdigest()


class atomic:
    """A context manager: `with atomic(path) as file:` opens a binary file that replaces `path` on success."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> BinaryIO:
        self.file = self.temporary.open("wb")
        return self.file

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self.file.flush()
                os.fsync(self.file.fileno())
            self.file.close()
            if kind is None:
                self.temporary.replace(self.path)
                sync_folder(self.path.parent)
        finally:
            with suppress(OSError):
                self.file.close()
            self.temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Ensure that a rename in `folder` survives a power failure, if the system supports this."""
    with suppress(OSError, AttributeError):  # some systems do not support this; the rename itself has succeeded
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove the incomplete files that killed processes left behind in a folder."""
    for stale in folder.glob(".*.tmp"):
        pid = stale.name.split(".")[-2]
        if pid.isdecimal() and not is_alive(int(pid)):
            stale.unlink(missing_ok=True)
