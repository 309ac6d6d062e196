"""Text sources: files, folders, standard input, named data sets, and documents in memory."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from microgpt.data.download import Progress, makemore, shakespeare
from microgpt.data.encodings import HEAD, decode, encoding_of, unpacker
from microgpt.errors import DataError
from microgpt.system.files import digest_of, open_regular

PIECE = 1 << 20  # bytes read at a time
MAX_FILES = 100_000  # in a folder
LONGEST_NAME = 4096  # characters in a path; a longer string is a text

NAMES = Path(__file__).with_name("names.txt")  # bundled: given names from many cultures, compiled for this project
DATASETS = ("names", "makemore", "shakespeare")
STREAMED = ("shakespeare",)  # the data sets that are one long text
STDIN = "-"
Watch = Callable[[bytes], Any]  # receives the raw bytes of a text as they are read
Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True)
class Part:
    """A file's bytes, which can be read more than once.

    Attributes:
        what: The file's name for messages.
        open: Opens the file at its start.
        path: The file; None for standard input.
    """

    what: str
    open: Callable[[], IO[bytes]]
    path: Path | None = None

    def read(self, watch: Watch | None = None) -> Iterator[str]:
        r"""Yield the file's text in pieces, unpacked if it is compressed, with \n line endings.

        Args:
            watch: Called with the raw bytes of each piece.

        Raises:
            DataError: The file cannot be read, or is not text.
        """
        with self.open() as raw:
            file = io.BufferedReader(_Watched(raw, self.what, watch), max(PIECE, HEAD))
            unpack = unpacker(file.peek(HEAD))
            pieces = self._unpacked(unpack(file)) if unpack else iter(partial(file.read, PIECE), b"")
            yield from decode(pieces, self.what, path=None if unpack else self.path)

    def _unpacked(self, file: IO[bytes]) -> Iterator[bytes]:
        while True:
            try:
                content = file.read(PIECE)
            except DataError:
                raise
            except Exception as error:  # each format has its own
                raise DataError(f"{self.what} is damaged or incomplete: {error}") from None
            if not content:
                return
            yield content

    def digest(self) -> bytes:
        """Return the SHA-256 of the file's bytes; nothing is decoded."""
        with self.open() as raw:
            return digest_of(raw)


class _Watched(io.RawIOBase):
    """A file whose raw bytes are passed on as they are read."""

    def __init__(self, raw: IO[bytes], what: str, watch: Watch | None) -> None:
        self.raw, self.what, self.watch, self.offset = raw, what, watch, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self.raw.read(len(buffer))
        except OSError as error:
            raise DataError(f"cannot read {self.what} at offset {self.offset}: {error.strerror}") from None
        buffer[: len(content)] = content
        self.offset += len(content)
        if self.watch:
            self.watch(content)
        return len(content)


@dataclass(frozen=True)
class RawText:
    """A text that can be read more than once: one or more files.

    Attributes:
        name: The path, the name of a data set, or `-` for standard input.
        more: The paths of further files.
        what: The text's name for messages.
        parts: The files.
    """

    name: str
    more: tuple[str, ...]
    what: str
    parts: tuple[Part, ...]

    def sha256(self) -> str:
        """Return the SHA-256 of a file's bytes or, for several files, of their digests."""
        return joined([part.digest() for part in self.parts])


def joined(digests: Sequence[bytes]) -> str:
    """Return a text's SHA-256 in hexadecimal from those of its files."""
    return digests[0].hex() if len(digests) == 1 else hashlib.sha256(b"".join(digests)).hexdigest()


def open_text(source: Source, progress: Progress | None = None) -> RawText:
    """Open a text.

    Args:
        source: A path, the name of a data set, `-` for standard input, a folder of texts, or several paths; a Path
            always refers to a file or a folder.
        progress: Called to report download progress.

    Returns:
        The text, of which nothing has been decoded.

    Raises:
        DataError: A file does not exist, cannot be read, or cannot be read twice.
    """
    if not isinstance(source, (str, os.PathLike)):
        texts = [open_text(each, progress) for each in source]
        if any(text.name == STDIN for text in texts):
            raise DataError("standard input (-) cannot be combined with files: specify only -")
        names = [name for text in texts for name in (text.name, *text.more)]
        return RawText(
            names[0], tuple(names[1:]), f"{len(names)} files", tuple(part for text in texts for part in text.parts)
        )
    if source == STDIN:
        return RawText(STDIN, (), "standard input", (_standard_input(),))
    if _is_folder(source):
        path = Path(source)
        return RawText(str(path.resolve()), (), repr(os.fspath(source)), tuple(map(_part, _files(path))))
    path = locate(source, progress)
    name = source if isinstance(source, str) and source in DATASETS else str(path.resolve())
    return RawText(name, (), repr(os.fspath(source)), (_part(path, repr(os.fspath(source))),))


def _is_folder(source: str | os.PathLike[str]) -> bool:
    try:
        return source not in ("", *DATASETS) and Path(source).is_dir()
    except (OSError, ValueError):  # too long, or with a null character
        return False


def _part(path: Path, what: str = "") -> Part:
    return Part(what or repr(str(path)), lambda: open_regular(path), path)


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders in the order of their names, without hidden ones."""
    if (folder / "model.safetensors").is_file():
        raise DataError(
            f"{str(folder)!r} is a run folder, not a text: specify the text, or continue the run with --out"
            f" {folder} --resume"
        )
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            found.append(path)
            if len(found) > MAX_FILES:
                raise DataError(f"{str(folder)!r} has more than {MAX_FILES:,} files: join them, or specify a subfolder")
    if not found:
        raise DataError(f"{str(folder)!r} is a folder without files: specify a text file, or a folder of text files")
    return found


def _open_stdin() -> IO[bytes]:
    stdin: IO[bytes] | None = getattr(sys.stdin, "buffer", None)
    if stdin is None:
        raise DataError("standard input is closed: specify a text file")
    if sys.stdin.isatty():
        print("Reading the text from the terminal; Ctrl-D ends it.", file=sys.stderr, flush=True)
    return stdin


def read_once(file: str) -> str:
    r"""Return the text of a file, or of standard input (`-`), with \n line endings.

    Raises:
        DataError: The file cannot be read, or is not text.
    """
    if file == STDIN:
        return "".join(decode(iter(partial(_open_stdin().read, PIECE), b""), "standard input"))
    return "".join(_part(locate(Path(file))).read())


def _standard_input() -> Part:
    """Copy standard input to a temporary file, since a text is read twice."""
    stdin = _open_stdin()
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (removed with the Part)
    while content := stdin.read(PIECE):
        copy.write(content)
    if not copy.tell():
        raise DataError("standard input is empty: specify a text file, or pipe a text with at least one document")
    copy.flush()

    def opened() -> IO[bytes]:
        copy.seek(0)
        return os.fdopen(os.dup(copy.fileno()), "rb")

    return Part("standard input", opened)


def is_unread_input() -> bool:
    """Return whether somebody has piped or redirected a text to this program's standard input."""
    import stat

    try:
        descriptor = sys.stdin.fileno()
        facts = os.fstat(descriptor)
        if stat.S_ISREG(facts.st_mode):
            return facts.st_size > 0 and os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        if not stat.S_ISFIFO(facts.st_mode):
            return False
        import fcntl
        import termios

        waiting = bytearray(4)
        fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
        return any(waiting)
    except (AttributeError, OSError, ValueError, ImportError):  # there is no standard input, or it cannot be asked
        return False


def in_memory(documents: Sequence[str], watch: Watch | None = None) -> Iterator[str]:
    r"""Yield in-memory documents as the lines of a text, without a byte-order mark and with \n line endings."""
    text = "\n".join(documents)
    if watch:
        watch(text.encode("utf-8", "surrogatepass"))
    yield text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def is_documents(source: Source) -> bool:
    """Return whether a source is documents in memory: a sequence, but not of Paths."""
    if isinstance(source, (str, os.PathLike)):
        return False
    return not source or not all(isinstance(each, os.PathLike) for each in source)


def check_documents(documents: Sequence[object]) -> None:
    """Raise DataError if a document in memory is not a string."""
    for i, document in enumerate(documents):
        if not isinstance(document, str):
            raise DataError(f"documents must be strings, got {type(document).__name__} at index {i}")


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

    def pieces() -> Iterator[bytes]:
        offset = start
        while True:
            try:
                content = file.read(PIECE if stop is None else min(PIECE, stop - offset))
            except OSError as error:
                raise DataError(f"cannot read {str(path)!r} at offset {offset}: {error.strerror}") from None
            if watch:
                watch(content)
            if not content:
                if stop is not None and offset < stop:
                    raise DataError(
                        f"{str(path)!r} changed while it was being read: try again when no program is writing to it"
                    )
                return
            offset += len(content)
            yield content

    with open_regular(path) as file:
        file.seek(start)
        yield from decode(pieces(), repr(str(path)), start, path=path)


def check_plain(path: Path) -> None:
    """Check that a file can be divided at its line ends: that it is neither compressed nor in UTF-16 or UTF-32.

    Raises:
        DataError: It is; the message says how to convert it.
    """
    with open_regular(path) as file:
        head = file.read(HEAD)
    encoding = encoding_of(head).upper()
    if unpacker(head):
        raise DataError(f"{str(path)!r} is compressed: unpack it first (such as gunzip -k), since its parts are read")
    if encoding != "UTF-8":
        raise DataError(f"{str(path)!r} is {encoding}: convert it first (iconv -f {encoding[:6]} -t UTF-8)")


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
    if source == "shakespeare":
        return shakespeare(progress)
    name = os.fspath(source)
    if not name:
        raise DataError(
            f"the file's name is empty: specify a text file or a data set ({', '.join(DATASETS)}), or - for standard"
            " input"
        )
    if isinstance(source, str) and ("\n" in source or len(source) > LONGEST_NAME) and not os.path.lexists(source):
        raise DataError(
            f"{source[:40]!r}... is a text, not a file's name: pass a list of documents (such as text.splitlines()), or"
            " the name of the file"
        )
    path = Path(source)
    try:
        if path.is_dir():
            raise DataError(f"{name!r} is a folder: specify a text file")
        if path.exists() and not path.is_file():
            raise DataError(
                f"{name!r} cannot be read twice (it is a pipe or a device): save its text to a file first, or use -"
                " for standard input"
            )
        with open_regular(path):
            return path
    except FileNotFoundError:
        hint = ""
        if isinstance(source, str) and (" " in source or not Path(source).suffix) and len(source) > 60:
            hint = " (if it is a text, pass it as a list of documents)"
        raise DataError(
            f"cannot read {name!r}: no such file{hint}; specify a text file or a data set ({', '.join(DATASETS)})"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read {name!r:.100}: {reason}; specify a readable text file") from None
