"""The standard streams, guarded: output that is lost is noticed, and never ends in a traceback.

A stream may be closed (`>&-`), its reader may be gone (`| head -1`), and its disk may be full (`/dev/full`). What is
lost on stderr stops no command. What is lost on stdout raises OutputError once, which stops every command but training.
The exit status of a command whose output was lost is not 0.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from microgpt.errors import OutputError


class Stream:
    """A standard stream that remembers the first failure to write to it, and discards what follows.

    Args:
        name: The stream's name in messages.
        file: The stream; None if it is closed.
        descriptor: The stream's file descriptor.
        is_essential: Whether the first failure raises OutputError.

    Attributes:
        error: The reason that output was lost; None if nothing was lost.
    """

    def __init__(self, name: str, file: TextIO | None, descriptor: int, is_essential: bool) -> None:
        self._name, self._is_essential, self._is_closed = name, is_essential, file is None
        # a closed stream's descriptor is the null device's (see _reserve)
        self._file = file or os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
        self.error: OutputError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """Write text, unless output was lost before."""
        if self._is_closed and text and not self.error:
            self._lose(OSError(errno.EBADF, "it is closed"))
        if not self.error:
            try:
                self._file.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless output was lost before."""
        if not self.error:
            try:
                self._file.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        # Python flushes the rest of its buffer when it exits: it then goes to the null device
        with suppress(OSError):  # io.UnsupportedOperation, if a test or a program replaced the stream
            descriptor = self._file.fileno()
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
        self.error = OutputError(f"cannot write to {self._name}: {error.strerror or error}")
        self.error.__cause__ = error
        if self._is_essential:
            raise self.error


@contextmanager
def guarded() -> Iterator[tuple[Stream, Stream]]:
    """Replace sys.stdout and sys.stderr, and restore them at the end.

    Yields:
        The two guarded streams.
    """
    before = sys.stdout, sys.stderr
    _reserve()
    out = Stream("standard output", sys.stdout, 1, is_essential=True)
    err = Stream("standard error", sys.stderr, 2, is_essential=False)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield out, err
    finally:
        sys.stdout, sys.stderr = before


def _reserve() -> None:
    """Open the null device as each standard stream that is closed.

    Otherwise, the next file to be opened gets its descriptor, and a library's message may end up in a checkpoint.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor, which is this one
            os.set_inheritable(null, True)
