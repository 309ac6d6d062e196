"""Real-world files are read as the reference reads them, or refused with their name and the offset."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data import download, sources
from microgpt.data.loading import load
from microgpt.errors import DataError

from data.texts import Write, assert_reads_as_the_reference, refusal, thoroughly

# --- The bundled names


def test_the_bundled_names_are_thousands_of_distinct_names_in_a_to_z() -> None:
    lines = sources.NAMES.read_bytes().decode("ascii").split("\n")
    assert lines.pop() == ""  # the last line also ends with a newline
    assert len(lines) >= 3000
    assert [line for line in lines if not re.fullmatch("[a-z]+", line)] == []
    assert [name for name, count in Counter(lines).items() if count > 1] == []


def test_the_bundled_names_are_the_default_and_use_every_letter() -> None:
    names = load()
    assert names.source == "names"
    assert names.sha256 == hashlib.sha256(sources.NAMES.read_bytes()).hexdigest()
    assert names.tokenizer.symbols == [*"abcdefghijklmnopqrstuvwxyz", ""]
    assert_reads_as_the_reference(names, reference.documents(sources.NAMES))
    assert_reads_as_the_reference(load("names", bos_first=True), reference.documents(sources.NAMES), bos_first=True)


@pytest.mark.golden
def test_the_golden_names_are_read_as_the_published_script_reads_them(names_file: Path) -> None:
    names = load(names_file)
    assert names.sha256 == download.MAKEMORE_SHA256
    assert (len(names), names.vocab_size, names.bytes_per_token) == (32033, 27, 1)
    assert_reads_as_the_reference(names, reference.documents(names_file))


# --- Real-world files


TEXTS = {
    "one a line": "emma\nolivia\nava\n",
    "no line end at the end": "emma\nolivia\nava",
    "CRLF": "emma\r\nolivia\r\nava\r\n",
    "lone CR": "emma\rolivia\rava\r",
    "all line ends at once": "a\r\n\rb\n\rc\r\r\nd\n\n\r\r",
    "blank lines": "\n\nemma\n\n\n \t \nava\n\n",
    "space around": "  emma \n\tolivia\t\n ava van dam \n\u3000あ\u3000\n",
    "unusual spaces and line ends within": "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\xa0h\n\x1ci\x1f\n",
    "one document": "emma",
    "one character": "a",
    "accents": "zoë\nrenée\nñandú\n",
    "combining characters": "e\u0301\né\n\u0301\n",
    "Japanese": "さくら\nゆい\n陽葵\n",
    "emoji": "😀\n👩\u200d👩\u200d👧\n🇳🇱🇯🇵\n",
    "right to left": "\u200fمحمد\nנועה\n",
    "the highest character": "\U0010ffff\n\ufffe\uffff\n\ud7ff\ue000\n",
    "a mark within": "a\n\ufeffb\nc\ufeff\n",
}


@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"], ids=["plain", "BOM", "two BOMs"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_read_as_the_reference_reads_it(write: Write, name: str, mark: str) -> None:
    path = write(mark + TEXTS[name])
    text = load(path)
    assert_reads_as_the_reference(text, reference.documents(path))
    assert text.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert text.source == str(path.resolve())


@pytest.mark.parametrize("mark", ["", "\ufeff", "\ufeff\ufeff"], ids=["plain", "BOM", "two BOMs"])
@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 7])
def test_the_pieces_in_which_a_file_is_read_do_not_matter(
    write: Write, monkeypatch: pytest.MonkeyPatch, piece: int, mark: str
) -> None:
    monkeypatch.setattr(sources, "PIECE", piece)
    for text in TEXTS.values():
        path = write(mark + text)
        assert_reads_as_the_reference(load(path), reference.documents(path))


def test_a_byte_order_mark_alone_is_an_empty_file(write: Write) -> None:
    with pytest.raises(DataError, match="is empty"):
        load(write(b"\xef\xbb\xbf"))


@thoroughly
@given(documents=st.lists(st.text(st.characters() | st.sampled_from("\r\n\ufeffab"), max_size=9), max_size=9))
def test_documents_in_memory_are_read_like_a_file_with_them(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str]
) -> None:
    lines = re.split("\r\n|\r|\n", "\n".join(documents).removeprefix("\ufeff"))
    expected = [line.strip() for line in lines if line.strip()]
    if not expected:
        with pytest.raises(
            DataError, match=r"^the list of documents is empty: specify a text with at least one document"
        ):
            load(documents, mode="lines")
        return
    memory = load(documents, mode="lines")
    assert memory.source is None
    assert_reads_as_the_reference(memory, expected)
    path = tmp_path_factory.getbasetemp() / "memory.txt"
    content = "\n".join(documents).encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    assert memory.sha256 == hashlib.sha256(content).hexdigest()
    if not re.search("[\0\ud800-\udfff]", "".join(documents)):
        file = load(path, mode="lines")
        assert (file.tokens, file.ends, file.sha256) == (memory.tokens, memory.ends, memory.sha256)


def test_documents_in_memory_must_be_strings() -> None:
    with pytest.raises(DataError, match=r"^documents must be strings, got int at index 1$"):
        load(["a", 1])  # type: ignore[list-item]


# --- Texts that cannot be used


def test_a_missing_file_is_named_together_with_the_available_data_sets() -> None:
    assert (
        refusal("none.txt")
        == "cannot read 'none.txt': no such file; specify a text file or a data set (names, makemore, shakespeare)"
    )


@pytest.mark.parametrize("mode", ["lines", "stream"])
def test_an_empty_file_is_refused(write: Write, mode: str) -> None:
    path = write("")
    expected = f"{str(path)!r} is empty: specify a text with at least one document (one document per line)"
    assert refusal(path, mode=mode) == expected


@pytest.mark.parametrize("text", ["\n", " ", "\r\n\r\n", " \t\n\u3000\n\x85", "\ufeff\n\n"])
def test_a_file_of_blank_lines_is_refused(write: Write, text: str) -> None:
    path = write(text)
    assert refusal(path) == f"{str(path)!r} is empty: specify a text with at least one document (one document per line)"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    expected = f"{str(tmp_path)!r} is a folder without files: specify a text file, or a folder of text files"
    assert refusal(tmp_path) == expected
    assert refusal(str(tmp_path)) == expected


def test_a_file_that_may_not_be_read_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("emma\n")

    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(13, "Permission denied", str(path))  # chmod would not stop root from reading

    monkeypatch.setattr(os, "open", refuse)
    assert refusal(path) == f"cannot read {str(path)!r}: Permission denied; specify a readable text file"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs /proc/self/mem, which opens but cannot be read")
def test_a_file_that_opens_but_cannot_be_read_is_refused() -> None:
    assert refusal("/proc/self/mem") == "cannot read '/proc/self/mem' at offset 0: Input/output error"


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("mode", ["lines", "stream"])
@pytest.mark.parametrize(("content", "offset"), [(b"\0", 0), (b"emma\n\0\0", 5), (b"\x89PNG"[1:] + bytes(9), 3)])
def test_a_zero_byte_is_named_with_its_offset(
    write: Write, monkeypatch: pytest.MonkeyPatch, content: bytes, offset: int, mode: str, piece: int
) -> None:
    monkeypatch.setattr(sources, "PIECE", piece)
    path = write(content)
    expected = f"{str(path)!r} is not text: it contains a null byte at offset {offset}; specify a UTF-8 text file"
    assert refusal(path, mode=mode) == expected


NOT_UTF8 = [
    b"\xff",
    b"emma\xe9\n",  # Latin-1
    b"zo\xc3\xab\nren\xe9e\n",  # first UTF-8, then Latin-1
    b"\xef\xbb\xbfa\x80",
    b"ab\xc3",  # truncated at the end, after one byte of two
    b"ab\xe3\x81",  # two of three
    b"ab\xf0\x9f\x98",  # three of four
    b"\xf0\x9f\x98\x80\xf0\x9f\x98a",
    b"a\xed\xa0\x80",  # a surrogate
    b"a\xc0\xaf",  # overlong
    b"a\xf4\x90\x80\x80",  # beyond the last character
    "emma\n".encode("utf-16-le").replace(b"\0", b"\xff"),
]


@pytest.mark.parametrize("piece", [1, 2, 3, 4, 5, 1 << 20])
@pytest.mark.parametrize("content", NOT_UTF8)
def test_a_byte_that_is_not_utf8_is_named_with_its_offset(
    write: Write, monkeypatch: pytest.MonkeyPatch, content: bytes, piece: int
) -> None:
    """The expected offset comes from Python's own decoder, given all bytes at once."""
    monkeypatch.setattr(sources, "PIECE", piece)
    path = write(content)
    with pytest.raises(UnicodeDecodeError) as error:
        content.decode()
    at = error.value.start
    said = refusal(path)
    assert said.startswith(f"{str(path)!r} is not UTF-8: byte 0x{content[at]:02x} at offset {at}; ")
    assert said.endswith(("-t UTF-8)", "specify a UTF-8 text file"))


@thoroughly
@given(content=st.binary(max_size=20).map(lambda content: content.replace(b"\0", b"\xe3")), piece=st.integers(1, 5))
def test_random_bytes_are_read_or_refused_at_the_offset_that_python_reports(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, piece: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.txt"
    path.write_bytes(content)
    expected = "is empty"  # if it is valid UTF-8
    try:
        content.decode()
    except UnicodeDecodeError as error:
        expected = f"byte 0x{content[error.start]:02x} at offset {error.start};"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PIECE", piece)
        try:
            load(path)
        except DataError as error:
            got = str(error)
        else:
            got = "is empty"
    assert expected in got


def test_an_offset_is_right_far_beyond_the_first_piece(write: Write) -> None:
    offset = 3 * sources.PIECE - 1  # the character crosses the boundary of two pieces
    path = write("é".encode() * (offset // 2) + b"a\xe3\x81b")
    assert f"byte 0xe3 at offset {offset};" in refusal(path)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no /dev/stdin")
def test_a_pipe_is_read_completely_or_refused() -> None:
    """A file is read twice, and a pipe is empty the second time: that must not give empty training data."""
    script = (
        "from microgpt.data.loading import load\n"
        "from microgpt.errors import DataError\n"
        "try: print(list(load('/dev/stdin')))\n"
        "except DataError as error: print('DataError', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input="ab\nba\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['ab', 'ba']\n" or done.stdout.startswith("DataError"), done.stdout
