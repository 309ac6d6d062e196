"""Text sources: UTF-8 files, named data sets, and documents in memory."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from microgpt.data.download import Progress, makemore
from microgpt.errors import DataError
from microgpt.system.files import open_regular

PIECE = 1 << 20  # bytes read at a time

NAMES = Path(__file__).with_name("names.txt")  # bundled: given names from many cultures, compiled for this project
DATASETS = ("names", "makemore")
Watch = Callable[[bytes], Any]  # receives the raw bytes of a text as they are read


def in_memory(documents: Sequence[str], watch: Watch | None) -> Iterator[str]:
    r"""Yield in-memory documents as text, like `read_text`: without a byte-order mark and with \n line endings."""
    for i, document in enumerate(documents):
        if not isinstance(document, str):
            raise DataError(f"documents must be strings, got {type(document).__name__} at index {i}")
    text = "\n".join(documents)
    if watch:
        watch(text.encode("utf-8", "surrogatepass"))
    yield text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path, watch: Watch | None = None, start: int = 0, stop: int | None = None) -> Iterator[str]:
    r"""Yield the text of a UTF-8 file in pieces, without a byte-order mark and with \n line endings.

    Args:
        path: The file.
        watch: Called with the raw bytes of each piece.
        start: The offset of the first byte to read, which must be at the start of a line.
        stop: The offset at which to stop reading, which must also be at the start of a line. None reads to the end of
            the file.

    Yields:
        The nonempty pieces, in order.

    Raises:
        DataError: The file cannot be read, is not UTF-8 text, or ends before `stop`.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset, begun = start, start > 0
    with open_regular(path) as file:
        file.seek(start)
        while True:
            try:
                content = file.read(PIECE if stop is None else min(PIECE, stop - offset))
            except OSError as error:
                raise DataError(f"cannot read {str(path)!r} at offset {offset}: {error.strerror}") from None
            if watch:
                watch(content)
            if (zero := content.find(0)) >= 0:
                raise DataError(
                    f"{str(path)!r} is not text: it contains a null byte at offset {offset + zero}; specify a UTF-8"
                    " text file"
                )
            try:
                text = decoder.decode(content, final=not content)
            except UnicodeDecodeError as error:
                # error.object holds the undecoded end of the previous piece, followed by this piece
                at = offset - (len(error.object) - len(content)) + error.start
                raise DataError(
                    f"{str(path)!r} is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {at};"
                    " save the file as UTF-8 or convert it (iconv -f LATIN1 -t UTF-8)"
                ) from None
            if text and not begun:
                text, begun = text.removeprefix("\ufeff"), True
            text = newlines.decode(text, final=not content)
            if text:
                yield text
            if not content:
                if stop is not None and offset < stop:
                    raise DataError(
                        f"{str(path)!r} changed while it was being read: try again when no program is writing to it"
                    )
                return
            offset += len(content)


def locate(source: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """Return the path of a named data set or a text file.

    Args:
        source: The name of a data set, or a path; a Path always refers to a file.
        progress: Called to report download progress.

    Returns:
        The path of a file that can be opened.

    Raises:
        DataError: The file does not exist, cannot be read, or cannot be read twice.
    """
    if source == "names":
        return NAMES
    if source == "makemore":
        return makemore(progress)
    path, name = Path(source), os.fspath(source)
    try:
        if path.is_dir():
            raise DataError(f"{name!r} is a folder: specify a text file")
        if path.exists() and not path.is_file():
            raise DataError(f"{name!r} cannot be read twice (it is a pipe or a device): save its text to a file first")
        with open_regular(path):
            return path
    except FileNotFoundError:
        raise DataError(
            f"cannot read {name!r}: no such file; specify a text file or a data set ({', '.join(DATASETS)})"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {name!r}: {error.strerror}; specify a readable text file") from None
