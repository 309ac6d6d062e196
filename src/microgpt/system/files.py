"""Atomic writes: a file is written completely or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from microgpt.system.processes import is_alive


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
