"""Decode the bytes of a text: UTF-8, or UTF-16 and UTF-32 with a byte-order mark.

Whatever is not text is refused by the name of its format. For a text in another encoding, the message shows how likely
candidates would decode it; none of them is chosen, because a wrong guess trains on wrong characters.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import IO

from microgpt.errors import DataError
from microgpt.system.text import visible

Formats = tuple[tuple[bytes, str, str], ...]

HEAD = 1024  # bytes at the start of a file that show its format

MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PLAIN = "save it as plain text (UTF-8)"
UNPACK = "unpack it, and specify a text file"
# The first bytes of a file, the name of its format, and what to do. The first two formats can pass for text
MARKUP = (
    (rb"%PDF-\d", "a PDF", PLAIN + ", for example with pdftotext"),
    (rb"\{\\rtf\d", "an RTF document", PLAIN),
)
FORMATS = (
    *MARKUP,
    (rb"PK(\x03\x04|\x05\x06|\x07\x08)", "a zip archive", UNPACK),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Word or Excel document", PLAIN + ", or a table as CSV"),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (rb".{257}ustar", "a tar archive", UNPACK),
    (rb"PAR1", "a Parquet table", "export one column as text, or the table as CSV or JSON Lines"),
    (rb"SQLite format 3\x00", "an SQLite database", "export one column as text, or a table as CSV"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "an image", "specify a text file"),
    (rb"ID3|OggS|fLaC|RIFF", "an audio or video file", "specify a text file"),
    (rb"\x7fELF|MZ.{50,}PE\x00\x00|\xcf\xfa\xed\xfe", "a program", "specify a text file"),
    (rb"\x80[\x02-\x05].*\.|\x93NUMPY", "a Python or NumPy file", "specify a text file"),
)
# The files inside a zip archive that show what it is
PACKED = {
    "word/": ("a Word document", PLAIN),
    "xl/": ("an Excel workbook", "export a sheet as CSV, and choose its column with --field NAME"),
    "ppt/": ("a PowerPoint presentation", PLAIN),
    "META-INF/container.xml": ("an EPUB book", "convert it to plain text (UTF-8)"),
    "content.xml": ("an OpenDocument file", PLAIN),
}
# Encodings that text is still stored in: Western, Central European, Cyrillic, Greek, Turkish; Japanese, Chinese, Korean
CANDIDATES = (
    "cp1252",
    "cp1250",
    "cp1251",
    "koi8-r",
    "cp1253",
    "cp1254",
    "mac-roman",
    "shift_jis",
    "euc-jp",
    "gb18030",
    "big5",
    "euc-kr",
)
SHOWN = 3  # candidates in a message
AROUND = 12  # bytes before and after the first wrong byte that a candidate decodes


def check_format(head: bytes, name: str, path: Path | None = None, formats: Formats = FORMATS) -> None:
    """Check that a file is not in a known format other than text.

    Args:
        head: The file's first bytes.
        name: The file's name for messages.
        path: The file, if it can be opened to look into a zip archive.
        formats: The formats to look for.

    Raises:
        DataError: The file is not text; the message names its format.
    """
    for pattern, what, remedy in formats:
        if re.match(pattern, head, re.DOTALL):
            if path and "zip" in what:
                what, remedy = _packed(path) or (what, remedy)
            raise DataError(f"{name} is {what}, not text: {remedy}")


def _packed(path: Path) -> tuple[str, str] | None:
    """Return what a zip archive is, and what to do; None if it is nothing but an archive."""
    import zipfile  # only for a file that is refused

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None
    return next((facts for start, facts in PACKED.items() if any(name.startswith(start) for name in names)), None)


def unpacker(head: bytes) -> Callable[[IO[bytes]], IO[bytes]] | None:
    """Return the function that unpacks a file compressed with gzip, bzip2 or xz; None for any other file."""
    if head.startswith(b"\x1f\x8b\x08"):
        import gzip

        return lambda file: gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if re.match(rb"BZh[1-9]1AY&SY", head):
        import bz2

        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return lzma.LZMAFile
    return None


def encoding_of(head: bytes) -> str:
    """Return the encoding that a file's byte-order mark names; UTF-8 without one."""
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), "utf-8")


def decode(pieces: Iterable[bytes], name: str, offset: int = 0, path: Path | None = None) -> Iterator[str]:
    r"""Yield the text of a file's bytes, without a byte-order mark and with \n line endings.

    Args:
        pieces: The bytes, in pieces of any size.
        name: The file's name for messages.
        offset: The offset of the first piece in the file; a mark is only removed at the start.
        path: The file, if it can be opened to look into a zip archive.

    Yields:
        The nonempty pieces of text, in order.

    Raises:
        DataError: The bytes are not text, or not in the encoding.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    begun, decoder, encoding, head = offset > 0, None, "", b""
    for content in chain(_nonempty(pieces), [b""]):
        if decoder is None:
            head = b"" if begun else content[:HEAD]
            check_format(head, name, path, MARKUP)
            encoding = "utf-8" if begun else encoding_of(content)
            decoder = codecs.getincrementaldecoder(encoding)()
        if encoding == "utf-8" and (zero := content.find(0)) >= 0:
            check_format(head, name, path)
            raise DataError(_binary(content, name, offset + zero))
        try:
            text = decoder.decode(content, final=not content)
        except UnicodeDecodeError as error:
            check_format(head, name, path)
            # error.object holds the undecoded end of the previous piece, followed by this piece
            at = offset - (len(error.object) - len(content)) + error.start
            raise DataError(_wrong(error, name, encoding, at)) from None
        if text and not begun:
            text, begun = text.removeprefix("\ufeff"), True
        if "\0" in text:
            raise DataError(f"{name} is not text: it contains a null character; specify a text file")
        if text := newlines.decode(text, final=not content):
            yield text
        offset += len(content)


def _nonempty(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces, the first with at least the bytes of a byte-order mark if there are that many."""
    iterator, first = iter(pieces), b""
    for piece in iterator:
        first += piece
        if len(first) >= max(len(mark) for mark, _ in MARKS):
            break
    if first:
        yield first
    yield from filter(None, iterator)


def _binary(content: bytes, name: str, at: int) -> str:
    """Return the message for a null byte at an offset; text in UTF-16 without a mark has one in every second place."""
    some = content[: HEAD - HEAD % 2]
    for start, encoding in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        if len(some) > 3 and some[start::2].count(0) > 0.6 * len(some[start::2]) and 0 not in some[1 - start :: 2]:
            return (
                f"{name} is not UTF-8: it looks like {encoding} without a byte-order mark; convert it"
                f" (iconv -f {encoding} -t UTF-8)"
            )
    return f"{name} is not text: it contains a null byte at offset {at}; specify a UTF-8 text file"


def _wrong(error: UnicodeDecodeError, name: str, encoding: str, at: int) -> str:
    """Return the message for bytes that are not in the encoding; it shows how other encodings would decode them."""
    wrong = error.object[error.start]
    what = f"{name} is not {encoding.upper()}: byte 0x{wrong:02x} at offset {at}"
    if encoding != "utf-8":
        return f"{what}; the file is damaged: save it again as UTF-8"
    before, after = error.object[: error.start][-AROUND:], error.object[error.start :][:AROUND]
    around = before.split(b"\n")[-1] + after.split(b"\n")[0]  # of the same line
    shown: dict[str, str] = {}  # encoding -> how it decodes the bytes
    for candidate in CANDIDATES:
        text = _plausible(around, candidate)
        if text and text not in shown.values():
            shown[candidate] = text
    if not shown:
        return f"{what}; specify a UTF-8 text file"
    likely = sorted(shown, key=lambda candidate: -_likeness(shown[candidate]))[:SHOWN]
    listed = " or ".join(f"“{visible(shown[candidate])}” ({candidate.upper()})" for candidate in likely)
    first = likely[0].upper()
    return f"{what}; it may read {listed}: convert it from the right one (such as iconv -f {first} -t UTF-8)"


def _plausible(content: bytes, encoding: str) -> str:
    """Return how an encoding decodes bytes cut from a text; "" if the result is no text that somebody would write."""
    text = content.decode(encoding, "replace")
    inner = text.strip("\ufffd")  # characters that the cut has divided
    if "\ufffd" in inner or any(unicodedata.category(char) == "Cc" and char not in "\t\n\r" for char in inner):
        return ""
    return inner.strip()


def _likeness(text: str) -> float:
    """Return how much decoded characters beyond ASCII look like text that somebody wrote."""
    likeness = 0.0
    for before, char in pairwise(f" {text}"):
        if char > "\x7f":
            common = (char.isalpha() and _script(char) != "HALFWIDTH") or char in "“”‘’„‚«»–—…•°§€£™©®、。！？"
            likeness += 1 if common else -1
        if before.islower() and char.isupper():  # a capital inside a word
            likeness -= 2
        if before.isalpha() and char.isalpha() and _script(before) != _script(char):
            likeness -= 1
    return likeness / max(1, sum(char > "\x7f" for char in text))


def _script(char: str) -> str:
    script = unicodedata.name(char, "").partition(" ")[0]
    return "CJK" if script in ("HIRAGANA", "KATAKANA") else script
