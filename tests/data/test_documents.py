"""Text becomes the tokens that the reference makes of it, or is refused with what is wrong and what to do."""

from __future__ import annotations

import gc
import hashlib
import http.server
import os
import random
import re
import socket
import subprocess
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data import download, sources
from microgpt.data.documents import Data
from microgpt.data.download import makemore
from microgpt.data.loading import load
from microgpt.data.tokenizers import CharTokenizer
from microgpt.errors import DataError

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=200)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """Put a text into a file."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / "text.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Write = Callable[[bytes | str], Path]


def assert_reads_as_the_reference(got: Data, documents: list[str], bos_first: bool = False) -> None:
    tokenizer = reference.Tokenizer(set("".join(documents)), bos_first)
    assert list(got) == documents
    assert got.tokenizer.symbols == tokenizer.symbols
    assert got.tokenizer.bos == tokenizer.bos
    assert got.vocab_size == len(tokenizer.symbols)
    assert len(got) == len(documents)
    assert [got.sequence(i) for i in range(len(got))] == [tokenizer.encode(document) for document in documents]


# --- The bundled names


def test_the_bundled_names_are_thousands_of_different_ones_of_the_letters_a_to_z() -> None:
    lines = sources.NAMES.read_bytes().decode("ascii").split("\n")
    assert lines.pop() == ""  # the last line ends too
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


# --- Token ids


def test_bos_is_the_last_id_and_stands_at_both_ends() -> None:
    text = load(["ca", "b"])
    assert text.tokenizer.symbols == ["a", "b", "c", ""]
    assert [text.sequence(i) for i in range(2)] == [[3, 2, 0, 3], [3, 1, 3]]


def test_with_bos_first_bos_is_id_0_and_the_characters_follow() -> None:
    text = load(["ca", "b"], bos_first=True)
    assert text.tokenizer.symbols == ["", "a", "b", "c"]
    assert [text.sequence(i) for i in range(2)] == [[0, 3, 1, 0], [0, 2, 0]]


def test_text_and_sequence_agree_and_end() -> None:
    text = load(["emma", "ava"])
    assert [text.text(0), text.text(1), *text] == ["emma", "ava", "emma", "ava"]
    for i in (-1, 2):
        with pytest.raises(IndexError, match=f"^sequence must be from 0 to 1, got {i}$"):
            text.sequence(i)


# --- Files as people have them

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


any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
line_text = st.text(st.sampled_from("ab é😀\u0301\ufeff \t\r\n\r\n\r\n\x1c\x85\u2028"), max_size=40)


@thoroughly
@given(
    text=any_text | line_text, mark=st.booleans(), piece=st.integers(3, 9) | st.just(1 << 20), bos_first=st.booleans()
)
def test_any_text_is_read_as_the_reference_reads_it(
    tmp_path_factory: pytest.TempPathFactory, text: str, mark: bool, piece: int, bos_first: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    expected = reference.documents(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PIECE", piece)
        if expected:
            assert_reads_as_the_reference(load(path, bos_first=bos_first), expected, bos_first)
        else:
            with pytest.raises(DataError, match="is empty"):
                load(path, bos_first=bos_first)


@thoroughly
@given(text=any_text | line_text, piece=st.integers(3, 9), block_size=st.integers(1, 9))
def test_a_stream_is_all_of_the_text_whatever_the_pieces(
    tmp_path_factory: pytest.TempPathFactory, text: str, piece: int, block_size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "stream.txt"
    path.write_bytes(text.encode())
    with path.open(encoding="utf-8-sig") as file:
        expected = file.read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "PIECE", piece)
        if not expected:
            with pytest.raises(DataError, match="is empty"):
                load(path, mode="stream")
            return
        stream = load(path, mode="stream", block_size=block_size)
    assert list(stream.tokens) == reference.Tokenizer(set(expected)).encode(expected)


@thoroughly
@given(documents=st.lists(st.text(st.characters() | st.sampled_from("\r\n\ufeffab"), max_size=9), max_size=9))
def test_documents_in_memory_are_read_as_their_file(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str]
) -> None:
    lines = re.split("\r\n|\r|\n", "\n".join(documents).removeprefix("\ufeff"))
    expected = [line.strip() for line in lines if line.strip()]
    if not expected:
        with pytest.raises(DataError, match=r"^the list of documents is empty: give a text with at least one document"):
            load(documents)
        return
    memory = load(documents)
    assert memory.source is None
    assert_reads_as_the_reference(memory, expected)
    path = tmp_path_factory.getbasetemp() / "memory.txt"
    content = "\n".join(documents).encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    assert memory.sha256 == hashlib.sha256(content).hexdigest()
    if not re.search("[\0\ud800-\udfff]", "".join(documents)):
        file = load(path)
        assert (file.tokens, file.ends, file.sha256) == (memory.tokens, memory.ends, memory.sha256)


def test_documents_in_memory_must_be_strings() -> None:
    with pytest.raises(DataError, match=r"^documents must be strings, got int at 1$"):
        load(["a", 1])  # type: ignore[list-item]


# --- Large vocabularies


def characters(count: int) -> list[str]:
    """Different characters that are neither spaces nor line ends nor surrogates, and none that a file refuses."""
    found = (chr(i) for i in range(33, sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF and not chr(i).isspace())
    return [char for char, _ in zip(found, range(count))]


@pytest.mark.parametrize(
    ("count", "width"), [(1, 1), (255, 1), (256, 2), (257, 2), (0xE000, 2), (65535, 2), (65536, 4), (70000, 4)]
)
@pytest.mark.parametrize("bos_first", [False, True])
def test_a_token_takes_the_bytes_that_its_vocabulary_needs(
    write: Write, count: int, width: int, bos_first: bool
) -> None:
    """And survives them: from 0xD800 on, ids are surrogates when they pass through a string."""
    alphabet = characters(count)
    random.Random(1).shuffle(alphabet)
    documents = ["".join(alphabet[i : i + 1000]) for i in range(0, count, 1000)]
    path = write("\n".join(documents))
    text = load(path, bos_first=bos_first)
    assert text.vocab_size == count + 1  # and BOS
    assert text.bytes_per_token == width == text.tokens.itemsize
    assert sorted(text.tokens) == list(range(1, count + 1) if bos_first else range(count))
    assert_reads_as_the_reference(text, documents, bos_first)


def test_ids_in_the_range_of_surrogates_survive_beside_one_another() -> None:
    alphabet = characters(0xE100)
    high, low = sorted(alphabet)[0xD800], sorted(alphabet)[0xDC00]  # together they look like one character in UTF-16
    documents = [high + low + high + low, low + high, "".join(alphabet)]
    text = load(documents)
    assert text.sequence(0)[1:-1] == [0xD800, 0xDC00, 0xD800, 0xDC00]
    assert_reads_as_the_reference(text, documents)
    stream = load(documents, mode="stream", block_size=3)
    assert stream.tokenizer.decode(stream.tokens) == "\n".join(documents)


# --- Texts that cannot be used


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(source, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_missing_file_is_named_with_the_data_sets_there_are() -> None:
    assert refusal("none.txt") == "no file 'none.txt': give a text file, or a data set (names, makemore)"


@pytest.mark.parametrize("mode", ["lines", "stream"])
def test_an_empty_file_is_refused(write: Write, mode: str) -> None:
    path = write("")
    expected = f"{str(path)!r} is empty: give a text with at least one document, one a line"
    assert refusal(path, mode=mode) == expected


@pytest.mark.parametrize("text", ["\n", " ", "\r\n\r\n", " \t\n\u3000\n\x85", "\ufeff\n\n"])
def test_a_file_of_blank_lines_is_refused(write: Write, text: str) -> None:
    path = write(text)
    assert refusal(path) == f"{str(path)!r} is empty: give a text with at least one document, one a line"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{str(tmp_path)!r} is a folder: give a text file"
    assert refusal(str(tmp_path)) == f"{str(tmp_path)!r} is a folder: give a text file"


def test_a_file_that_may_not_be_read_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("emma\n")

    def refuse(*_: object, **__: object) -> Any:
        raise PermissionError(13, "Permission denied", str(path))  # root may read all, so that a mode would not do

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path) == f"cannot read {str(path)!r}: Permission denied; give a text file that you may read"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file is known here that opens and cannot be read")
def test_a_file_that_opens_and_cannot_be_read_is_refused() -> None:
    assert refusal("/proc/self/mem") == "cannot read '/proc/self/mem' at offset 0: Input/output error"


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize("mode", ["lines", "stream"])
@pytest.mark.parametrize(("content", "offset"), [(b"\0", 0), (b"emma\n\0\0", 5), (b"\x89PNG"[1:] + bytes(9), 3)])
def test_a_zero_byte_is_named_with_its_offset(
    write: Write, monkeypatch: pytest.MonkeyPatch, content: bytes, offset: int, mode: str, piece: int
) -> None:
    monkeypatch.setattr(sources, "PIECE", piece)
    path = write(content)
    expected = f"{str(path)!r} is not a text: a zero byte at offset {offset}; give a text file in UTF-8"
    assert refusal(path, mode=mode) == expected


NOT_UTF8 = [
    b"\xff",
    b"emma\xe9\n",  # Latin-1
    b"zo\xc3\xab\nren\xe9e\n",  # first right, then Latin-1
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
    """Python's own decoder, given all the bytes at once, says where."""
    monkeypatch.setattr(sources, "PIECE", piece)
    path = write(content)
    with pytest.raises(UnicodeDecodeError) as error:
        content.decode()
    at = error.value.start
    assert refusal(path) == (
        f"{str(path)!r} is not UTF-8: byte 0x{content[at]:02x} at offset {at};"
        " save it as UTF-8, or convert it (iconv -f LATIN1 -t UTF-8)"
    )


@thoroughly
@given(content=st.binary(max_size=20).map(lambda content: content.replace(b"\0", b"\xe3")), piece=st.integers(1, 5))
def test_random_bytes_are_read_or_refused_at_the_offset_that_python_says(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, piece: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.txt"
    path.write_bytes(content)
    expected = "is empty"  # where it is refused at all
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
    offset = 3 * sources.PIECE - 1  # the character lies across the boundary of two pieces
    path = write("é".encode() * (offset // 2) + b"a\xe3\x81b")
    assert f"byte 0xe3 at offset {offset};" in refusal(path)


def test_characters_that_a_vocabulary_lacks_are_named() -> None:
    assert load(["ab"], tokenizer=CharTokenizer("abc")).tokenizer.symbols == ["a", "b", "c", ""]
    start = "the list of documents has characters that the model has never seen: "
    end = "; take them out, or train a model on a text that has them"
    assert refusal(["abé", "d"], tokenizer=CharTokenizer("abc")) == f"{start}'d' 'é'{end}"
    shown = "'#' '$' '%' '&' \"'\" '(' ')' '*' '+' ','"
    assert refusal(["".join(characters(30))], tokenizer=CharTokenizer('!"')) == f"{start}{shown} and 18 more{end}"


def test_a_vocabulary_gives_its_own_ids_to_another_text(write: Write) -> None:
    first = load(["abc"])
    second = load(write("cb\n"), tokenizer=first.tokenizer)
    assert second.sequence(0) == [3, 2, 1, 3]


def test_a_mode_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^documents must be one of lines, stream, got documents='words'$"):
        load(["a"], mode="words")


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no /dev/stdin")
def test_a_pipe_is_read_whole_or_refused() -> None:
    """A file is read twice, and a pipe is empty the second time: no training data must not pass for some."""
    script = (
        "from microgpt.data.loading import load\n"
        "from microgpt.errors import DataError\n"
        "try: print(list(load('/dev/stdin')))\n"
        "except DataError as error: print('DataError', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], input="ab\nba\n", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['ab', 'ba']\n" or done.stdout.startswith("DataError"), done.stdout


def test_a_file_that_changes_while_it_is_read_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its tokens would be of another text than its SHA-256, or of no vocabulary at all."""
    path, read_text, reads = write("emma\nava\n"), sources.read_text, list[Path]()

    def changing(path: Path, *args: Any) -> Iterator[str]:
        reads.append(path)
        if len(reads) > 1:
            path.write_text("emma\nolivia\n")
        return read_text(path, *args)

    monkeypatch.setattr(sources, "read_text", changing)
    try:
        text = load(path)
    except DataError:
        return
    assert_reads_as_the_reference(text, ["emma", "ava"])


# --- A stream


@thoroughly
@given(text=st.text(st.sampled_from("abc \n"), min_size=1, max_size=60), block_size=st.integers(1, 12))
def test_the_windows_of_a_stream_cover_every_token_once_as_target(text: str, block_size: int) -> None:
    stream = load([text], mode="stream", block_size=block_size)
    windows = [stream.sequence(i) for i in range(len(stream))]
    tokens = reference.Tokenizer(set(text)).encode(text)
    assert [token for window in windows for token in window[1:]] == tokens[1:]
    assert [token for window in windows for token in window[:-1]] == tokens[:-1]
    assert all(len(window) == block_size + 1 for window in windows[:-1])
    assert 2 <= len(windows[-1]) <= block_size + 1
    bos = stream.tokenizer.bos
    assert [i for i, token in enumerate(stream.tokens) if token == bos] == [0, len(text) + 1]  # only at its ends
    assert "".join(stream.tokenizer.decode(window[1:]) for window in windows) == text
    assert stream.unread(block_size) == 0


def test_a_stream_keeps_its_line_ends_and_spaces() -> None:
    stream = load(["a b", "", " c "], mode="stream", block_size=100)
    assert list(stream) == ["a b\n\n c "]


# --- What a model does not read


@thoroughly
@given(
    documents=st.lists(st.text("ab", min_size=1, max_size=12), min_size=1, max_size=8), block_size=st.integers(1, 14)
)
def test_the_unread_share_is_the_one_that_counting_gives(documents: list[str], block_size: int) -> None:
    text = load(documents)
    sequences = [text.sequence(i) for i in range(len(text))]
    read = sum(
        len(sequence[:block_size]) if len(sequence) > block_size else len(sequence) - 1 for sequence in sequences
    )
    total = sum(len(sequence) - 1 for sequence in sequences)
    assert text.unread(block_size) == (total - read) / total


def test_the_unread_share_of_three_names_is_known() -> None:
    text = load(["abcd", "ab", "a"])  # 5, 3 and 2 next tokens
    assert [text.unread(n) for n in (1, 2, 3, 4, 5, 99)] == [7 / 10, 4 / 10, 2 / 10, 1 / 10, 0, 0]


# --- The held-out part


@thoroughly
@given(count=st.integers(2, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_a_split_is_disjoint_and_covers_all_in_the_order_of_the_file(count: int, fraction: float, seed: int) -> None:
    text = load(["a"] * count)
    if not 0 < round(count * fraction) < count:
        with pytest.raises(DataError, match=f"of {count} documents leaves none to train on or none to hold out"):
            text.split(seed, fraction)
        return
    train, held_out = text.split(seed, fraction)
    assert len(held_out) == round(count * fraction)
    assert sorted([*train, *held_out]) == list(range(count))
    assert list(train) == sorted(train)
    assert list(held_out) == sorted(held_out)
    # by design: drawn by a stream of its own, which the seed gives
    assert set(held_out) == set(random.Random(f"{seed}:val").sample(range(count), len(held_out)))


def test_a_split_depends_on_the_seed_alone() -> None:
    text = load(["a"] * 1000)
    splits = {seed: list(text.split(seed, 0.1)[1]) for seed in range(20)}
    assert len({tuple(split) for split in splits.values()}) == 20
    assert all(list(load(["b"] * 1000).split(seed, 0.1)[1]) == split for seed, split in splits.items())


def test_no_fraction_holds_nothing_out() -> None:
    train, held_out = load(["a", "b", "c"]).split(42, 0)
    assert (train, held_out) == (array("Q", [0, 1, 2]), array("Q"))


def test_a_split_leaves_the_shared_random_stream_alone() -> None:
    state = random.getstate()
    load(["a"] * 100).split(42, 0.5)
    assert random.getstate() == state


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.0, 2, float("nan"), float("inf")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    expected = f"val_fraction must be at least 0 and less than 1, got val_fraction={fraction}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        load(["a", "b"]).split(42, fraction)


def test_a_fraction_that_leaves_nothing_says_what_to_do() -> None:
    with pytest.raises(DataError) as error:
        load(["a", "b"]).split(42, 0.1)
    assert str(error.value) == (
        "val_fraction=0.1 of 2 documents leaves none to train on or none to hold out:"
        " choose another fraction, or give more documents"
    )


def test_the_windows_of_a_stream_are_split_like_documents() -> None:
    stream = load(["abcdefghij" * 10], mode="stream", block_size=5)
    train, held_out = stream.split(1, 0.25)
    assert len(stream) == 21
    assert (len(train), len(held_out)) == (16, 5)


# --- What stands in the data


def test_whole_documents_are_known_and_parts_are_not() -> None:
    text = load(["emma", "ava", "ava"])
    assert text.known(["emma", "ava", "em", "mma", "emmaava", "", "zoe", "é"]) == {"emma", "ava"}


@pytest.mark.parametrize("count", [10, 300, 70000])  # 1, 2 and 4 bytes a token
def test_any_part_of_a_stream_is_known_and_nothing_else(count: int) -> None:
    content = "".join(characters(count))
    stream = load([content], mode="stream")
    parts = {content, content[:3], content[-3:], content[4:7], content[9]}
    assert stream.known([*parts, content[::-1], content[0] + content[2], content + content[0]]) == parts


@pytest.mark.parametrize("bos_first", [False, True])
def test_text_with_characters_that_a_stream_lacks_is_not_known(bos_first: bool) -> None:
    stream = load(["abc"], mode="stream", bos_first=bos_first)
    assert stream.known(["abc", "xabc", "abcx", "xabcx", "x"]) == {"abc"}


@thoroughly
@given(text=st.text("ab\u0100", min_size=1, max_size=20), parts=st.lists(st.text("ab\u0100", max_size=4)))
def test_what_is_known_of_a_stream_is_what_python_finds_in_it(text: str, parts: list[str]) -> None:
    alphabet = "".join(characters(300))
    stream = load([text + alphabet], mode="stream")  # two bytes a token: matches across two tokens are none
    assert stream.known(parts) == {part for part in parts if part in text + alphabet}


# --- Memory


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("mode", ["lines", "stream"])
def test_memory_grows_by_less_than_three_bytes_for_a_byte_of_text(tmp_path: Path, mode: str) -> None:
    """The growth from a file to a larger one: what the pieces take is the same for both."""
    rng = random.Random(1)
    names = "".join(
        "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) + "\n" for _ in range(10_000)
    )
    script = (
        "import re, sys\n"
        "from microgpt.data.loading import load\n"
        "text = load(sys.argv[1], mode=sys.argv[2])\n"
        "print(len(text), re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])\n"
    )
    sizes, peaks = [], []
    for repeats in (100, 300):
        path = tmp_path / "names.txt"
        with path.open("w") as file:
            for _ in range(repeats):
                file.write(names)
        sizes.append(path.stat().st_size)
        command = [sys.executable, "-c", script, str(path), mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == (10_000 * repeats if mode == "lines" else -(-(sizes[-1] + 1) // 16))
        peaks.append(1024 * peak)
    assert sizes[1] > 20_000_000
    growth = (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
    assert growth < 3, f"{growth:.2f} bytes a byte of text; peaks {peaks} for files of {sizes}"


def test_tokens_and_ends_are_all_that_a_data_set_holds() -> None:
    text = load(["abc"] * 1000)
    assert text.tokens.itemsize * len(text.tokens) == 3000
    assert text.ends.itemsize * len(text.ends) == 8000


# --- Downloading the public names

CONTENT = b"emma\nolivia\nava\n" * 5000  # some pieces of the download
Handle = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder; CONTENT passes for the published file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "MAKEMORE_SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "cache" / "microgpt"


class Server:
    """A web server on this machine, whose answer a test gives."""

    def __init__(self) -> None:
        self.requests = 0
        self.handle: Handle = lambda request: answer(request, CONTENT)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                outer.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/names.txt"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


def answer(request: http.server.BaseHTTPRequestHandler, content: bytes, length: int | None = -1) -> None:
    """A page; length: what the header says, None for no such header."""
    request.send_response(200)
    if length is not None:
        request.send_header("Content-Length", str(len(content) if length == -1 else length))
    request.end_headers()
    request.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def failure(url: str, **options: Any) -> str:
    """The one line that a failed download ends with; it says what to do. No connection is left open."""
    with pytest.raises(DataError) as error:
        makemore(url=url, **options)
    text = str(error.value)
    del error
    gc.collect()  # a connection that is open still warns now, and not in some later test
    assert len(text.splitlines()) == 1
    assert text.endswith(f"download {url} yourself and pass the file, or leave FILE out for the bundled names")
    return text


def everything_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


def test_the_public_names_are_downloaded_once_and_kept(cache: Path, server: Server) -> None:
    assert makemore(url=server.url) == cache / "names.txt"
    assert (cache / "names.txt").read_bytes() == CONTENT
    assert everything_in(cache.parent) == [cache / "names.txt"]
    server.stop()
    assert makemore(url=server.url) == cache / "names.txt"
    assert server.requests == 1


def test_the_data_set_makemore_is_the_file_in_the_cache(cache: Path, server: Server) -> None:
    makemore(url=server.url)
    server.stop()
    text = load("makemore")
    assert text.source == "makemore"
    assert text.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert_reads_as_the_reference(text, CONTENT.decode().split())


@pytest.mark.golden
def test_the_golden_names_pass_the_published_checksum(
    names_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("http_proxy", raising=False)
    content = names_file.read_bytes()
    server.handle = lambda request: answer(request, content)
    assert makemore(url=server.url).read_bytes() == content
    assert len(load("makemore")) == 32033


def test_progress_is_told_as_the_bytes_come_in(cache: Path, server: Server) -> None:
    calls: list[tuple[int, int]] = []
    makemore(lambda done, total: calls.append((done, total)), url=server.url)
    assert len(calls) >= 3
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert {total for _, total in calls} == {len(CONTENT)}
    makemore(lambda done, total: pytest.fail("nothing is downloaded"), url=server.url)


def test_progress_is_told_without_a_total_where_the_server_does_not_say(cache: Path, server: Server) -> None:
    server.handle = lambda request: answer(request, CONTENT, None)
    calls: list[tuple[int, int]] = []
    makemore(lambda done, total: calls.append((done, total)), url=server.url)
    assert calls[-1] == (len(CONTENT), 0)


@pytest.mark.parametrize("content", [b"", b"<html>log in to the hotel's network</html>", CONTENT[:-1], CONTENT + b"\n"])
def test_a_download_that_is_not_the_published_file_is_refused_and_not_kept(
    cache: Path, server: Server, content: bytes
) -> None:
    server.handle = lambda request: answer(request, content)
    digest, expected = (hashlib.sha256(text).hexdigest()[:12] for text in (content, CONTENT))
    assert failure(server.url).startswith(
        f"the download of the makemore names is not the published file (SHA-256 {digest}..., expected {expected}...):"
        " try again, or download http://127.0.0.1:"
    )
    assert everything_in(cache.parent) == []


def test_a_download_that_ends_early_is_refused_and_not_kept(cache: Path, server: Server) -> None:
    server.handle = lambda request: answer(request, CONTENT[:40_000], len(CONTENT))
    assert "the makemore names" in failure(server.url)
    assert everything_in(cache.parent) == []


def chunked_and_cut(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nemma\n")


def chunked_and_wrong(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\nemma\n")


def no_http(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def long_header(request: http.server.BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")


def hang_up(request: http.server.BaseHTTPRequestHandler) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("handle", [chunked_and_cut, chunked_and_wrong, no_http, long_header, hang_up])
def test_a_server_that_breaks_the_protocol_is_a_failed_download(cache: Path, server: Server, handle: Handle) -> None:
    server.handle = handle
    assert failure(server.url).startswith("cannot download the makemore names (")
    assert everything_in(cache.parent) == []


def test_an_error_of_the_server_is_named(cache: Path, server: Server) -> None:
    server.handle = lambda request: request.send_error(404)
    assert failure(server.url).startswith("cannot download the makemore names (Not Found): download http://")
    assert everything_in(cache.parent) == []


def test_without_a_network_one_line_says_what_to_do(cache: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/names.txt"
        text = failure(url)
    assert re.match(r"cannot download the makemore names \(.*refused.*\): download http", text)
    assert not cache.exists()


def test_a_server_that_does_not_answer_is_given_up(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = failure(f"http://127.0.0.1:{silent.getsockname()[1]}/names.txt", timeout=0.2)
    assert text.startswith("cannot download the makemore names (timed out): ")


def test_a_download_that_stalls_is_given_up(cache: Path, server: Server) -> None:
    gone = threading.Event()

    def stall(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(request, CONTENT[:40_000], len(CONTENT))
        gone.wait(30)

    server.handle = stall
    text = failure(server.url, timeout=0.2)
    gone.set()
    assert text.startswith("cannot download the makemore names (timed out): ")
    assert everything_in(cache.parent) == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(cache: Path, server: Server) -> None:
    cache.mkdir(parents=True)
    (cache / "names.txt").write_bytes(CONTENT[:1000])
    assert makemore(url=server.url).read_bytes() == CONTENT
    assert everything_in(cache.parent) == [cache / "names.txt"]


def test_a_damaged_file_in_the_cache_stays_where_nothing_better_comes(cache: Path, server: Server) -> None:
    cache.mkdir(parents=True)
    (cache / "names.txt").write_bytes(CONTENT[:1000])
    server.handle = lambda request: answer(request, b"wrong")
    failure(server.url)
    assert (cache / "names.txt").read_bytes() == CONTENT[:1000]


def test_a_cache_that_cannot_be_written_is_named(
    cache: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocker))
    folder = str(blocker / "microgpt")
    assert failure(server.url).startswith(f"cannot keep the makemore names in {folder!r} (")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_in_the_cache(
    cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, full)
        text = failure(server.url)
    assert text.startswith(f"cannot keep the makemore names in {str(cache)!r} (No space left on device): ")
    assert everything_in(cache.parent) == []


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/microgpt"),
        ("linux", {"HOME": "/home/a"}, "/home/a/.cache/microgpt"),
        ("darwin", {"HOME": "/Users/a"}, "/Users/a/Library/Caches/microgpt"),
        ("darwin", {"HOME": "/Users/a", "XDG_CACHE_HOME": "/x"}, "/x/microgpt"),
        ("win32", {"HOME": "/home/a", "LOCALAPPDATA": "/local"}, "/local/microgpt"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="the paths are those of other systems")
def test_downloads_are_kept_where_the_system_keeps_them(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert download.cache_folder() == Path(expected)
