"""Documents: token ids, windows of a stream, the part beyond block_size, and texts found in the data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data import sources
from microgpt.data.loading import load
from microgpt.errors import DataError

from data.texts import any_text, characters, line_text, thoroughly

# --- Token ids


def test_bos_is_the_last_id_and_is_at_both_ends() -> None:
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
        with pytest.raises(IndexError, match=f"^i must be between 0 and 1, got i={i}$"):
            text.sequence(i)


@thoroughly
@given(text=any_text | line_text, piece=st.integers(3, 9), block_size=st.integers(1, 9))
def test_a_stream_is_the_whole_text_for_any_piece_size(
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


# --- Streams


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


# --- The unread part


@thoroughly
@given(
    documents=st.lists(st.text("ab", min_size=1, max_size=12), min_size=1, max_size=8), block_size=st.integers(1, 14)
)
def test_the_unread_share_agrees_with_counting(documents: list[str], block_size: int) -> None:
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


# --- Known texts


def test_whole_documents_are_known_and_parts_are_not() -> None:
    text = load(["emma", "ava", "ava"])
    assert text.find_texts(["emma", "ava", "em", "mma", "emmaava", "", "zoe", "é"]) == {"emma", "ava"}


@pytest.mark.parametrize("count", [10, 300, 70000])  # 1, 2 and 4 bytes a token
def test_any_part_of_a_stream_is_known_and_nothing_else(count: int) -> None:
    content = "".join(characters(count))
    stream = load([content], mode="stream")
    parts = {content, content[:3], content[-3:], content[4:7], content[9]}
    assert stream.find_texts([*parts, content[::-1], content[0] + content[2], content + content[0]]) == parts


@pytest.mark.parametrize("bos_first", [False, True])
def test_text_with_characters_that_are_not_in_a_stream_is_not_known(bos_first: bool) -> None:
    stream = load(["abc"], mode="stream", bos_first=bos_first)
    assert stream.find_texts(["abc", "xabc", "abcx", "xabcx", "x"]) == {"abc"}


@thoroughly
@given(text=st.text("ab\u0100", min_size=1, max_size=20), parts=st.lists(st.text("ab\u0100", max_size=4)))
def test_the_known_parts_of_a_stream_are_those_that_python_finds_in_it(text: str, parts: list[str]) -> None:
    alphabet = "".join(characters(300))
    # two bytes a token: bytes that match across two tokens do not count
    stream = load([text + alphabet], mode="stream")
    assert stream.find_texts(parts) == {part for part in parts if part in text + alphabet}
