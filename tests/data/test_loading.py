"""Loaded texts: the vocabulary, the memory, and the texts that are refused."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data import sources
from microgpt.data.loading import load
from microgpt.data.sources import Part
from microgpt.data.tokenizers import CharTokenizer
from microgpt.errors import DataError

from data.texts import Write, any_text, assert_reads_as_the_reference, characters, line_text, refusal, thoroughly

# --- Any text


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
            assert_reads_as_the_reference(load(path, mode="lines", bos_first=bos_first), expected, bos_first)
        else:
            with pytest.raises(DataError, match="is empty"):
                load(path, bos_first=bos_first)


# --- Large vocabularies


@pytest.mark.parametrize(
    ("count", "width"), [(1, 1), (255, 1), (256, 2), (257, 2), (0xE000, 2), (65535, 2), (65536, 4), (70000, 4)]
)
@pytest.mark.parametrize("bos_first", [False, True])
def test_a_token_takes_the_bytes_that_its_vocabulary_needs(
    write: Write, count: int, width: int, bos_first: bool
) -> None:
    """The ids also survive: from 0xD800 on, an id is a surrogate when it passes through a string."""
    alphabet = characters(count)
    random.Random(1).shuffle(alphabet)
    documents = ["".join(alphabet[i : i + 1000]) for i in range(0, count, 1000)]
    path = write("\n".join(documents))
    text = load(path, mode="lines", bos_first=bos_first)
    assert text.vocab_size == count + 1  # and BOS
    assert text.bytes_per_token == width == text.tokens.itemsize
    assert sorted(text.tokens) == list(range(1, count + 1) if bos_first else range(count))
    assert_reads_as_the_reference(text, documents, bos_first)


def test_adjacent_ids_in_the_range_of_surrogates_survive() -> None:
    alphabet = characters(0xE100)
    high, low = sorted(alphabet)[0xD800], sorted(alphabet)[0xDC00]  # as ids, a pair that is one character in UTF-16
    documents = [high + low + high + low, low + high, "".join(alphabet)]
    text = load(documents)
    assert text.sequence(0)[1:-1] == [0xD800, 0xDC00, 0xD800, 0xDC00]
    assert_reads_as_the_reference(text, documents)
    stream = load(documents, mode="stream", block_size=3)
    assert stream.tokenizer.decode(stream.tokens) == "\n".join(documents)


# --- Texts that cannot be used


def test_characters_outside_a_vocabulary_are_named() -> None:
    assert load(["ab"], tokenizer=CharTokenizer("abc")).tokenizer.symbols == ["a", "b", "c", ""]
    start = "the list of documents contains characters that the model has never seen: "
    end = "; remove them, or train a model on a text that contains them"
    assert refusal(["abé", "d"], tokenizer=CharTokenizer("abc")) == f"{start}'d' 'é'{end}"
    shown = "'#' '$' '%' '&' \"'\" '(' ')' '*' '+' ','"
    assert refusal(["".join(characters(30))], tokenizer=CharTokenizer('!"')) == f"{start}{shown} and 18 more{end}"


def test_another_text_can_be_read_with_the_vocabulary_of_the_first(write: Write) -> None:
    first = load(["abc"])
    second = load(write("cb\n"), tokenizer=first.tokenizer)
    assert second.sequence(0) == [3, 2, 1, 3]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^documents must be one of lines, stream, paragraphs, got documents='words'$"
    ):
        load(["a"], mode="words")


def test_a_file_that_changes_while_it_is_read_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its tokens would not match its SHA-256, or would not be in its vocabulary."""
    path, read, reads = write("emma\nava\n"), Part.read, list[Part]()

    def changing(part: Part, *args: Any) -> Iterator[str]:
        reads.append(part)
        if len(reads) > 1:
            path.write_text("emma\nolivia\n")
        return read(part, *args)

    monkeypatch.setattr(Part, "read", changing)
    with pytest.raises(DataError, match="changed while it was being read"):
        load(path)
    assert len(reads) == 2


# --- Memory


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.sampled(1)
@pytest.mark.parametrize("mode", ["lines", "stream"])
def test_memory_grows_by_less_than_three_bytes_for_a_byte_of_text(tmp_path: Path, mode: str) -> None:
    """Two file sizes are compared: the memory for the pieces is the same for both."""
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
    assert growth < 3, f"{growth:.2f} bytes per byte of text; peaks {peaks} for files of {sizes}"


def test_a_data_set_holds_only_tokens_and_ends() -> None:
    text = load(["abc"] * 1000)
    assert text.tokens.itemsize * len(text.tokens) == 3000
    assert text.ends.itemsize * len(text.ends) == 8000
