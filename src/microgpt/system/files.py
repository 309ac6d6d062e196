"""Reading regular files only; writing files completely or not at all, never through a symbolic link."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

# the incomplete files of killed processes; earlier versions numbered these files instead of giving them random names
INCOMPLETE = re.compile(r"\..+\.([0-9a-f]{16}|[0-9]+)\.tmp")


def open_own(path: Path, mode: str, **options: Any) -> IO[Any]:
    """Open a file that the program itself created or creates; a symbolic link in its place is an OSError."""

    def opener(name: str, flags: int) -> int:
        if not hasattr(os, "O_NOFOLLOW") and Path(name).is_symlink():  # Windows
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
        return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)

    return open(path, mode, opener=opener, **options)


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
    with open_regular(path) as file:
        return digest_of(file, progress).hex()


def digest_of(file: IO[bytes], progress: Callable[[int, int], None] | None = None) -> bytes:
    """Return the SHA-256 of an open file's bytes; see `sha256`."""
    digest = hashlib.sha256()
    size = os.fstat(file.fileno()).st_size
    while content := file.read(COPY):
        digest.update(content)
        if progress:
            progress(file.tell(), size)
    return digest.digest()


class atomic:
    """A context manager: `with atomic(path) as file:` opens a binary file that replaces `path` on success.

    A symbolic link at `path` is itself replaced; the file that it leads to is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # nobody can put a link in the place of a name that nobody can predict
        self.temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")

    def __enter__(self) -> IO[bytes]:
        self.file = open_own(self.temporary, "xb")
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
            with suppress(OSError):  # if the folder has become read-only, only the first error matters
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
    """Remove the incomplete files that killed processes left behind in a folder; no process may be writing there."""
    for path in folder.glob(".*.tmp"):
        if INCOMPLETE.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def unsafe(folder: Path, names: Iterable[str]) -> str:
    """Return why the program must not write to these names in a folder that somebody else may have made.

    Args:
        folder: The folder, which may not exist.
        names: The names of files and subfolders, which may not exist.

    Returns:
        The end of an error message, up to its first remedy; empty if there is no reason.
    """
    for name in names:
        try:
            mode = (folder / name).lstat().st_mode
        except OSError:
            continue
        if stat.S_ISLNK(mode):
            return f"contains {name!r}, which is a symbolic link: replace the link with what it leads to"
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return f"contains {name!r}, which is not a regular file: move it elsewhere"
    return ""
