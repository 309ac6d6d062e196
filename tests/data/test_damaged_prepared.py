"""Every field of data.json and every file of prepared data is checked; a message names the file and the remedy."""

from __future__ import annotations

import json
import math
import os
from array import array
from pathlib import Path
from typing import Any

import pytest

from microgpt.data.prepared import Prepared, open_prepared
from microgpt.data.tokenizers import CharTokenizer
from microgpt.errors import DataError

TOKENIZER = CharTokenizer("ab", False)  # BOS is 2
TOKENS, STARTS = [2, 0, 1, 2, 1, 2], [0, 3]
FACTS: dict[str, Any] = {
    "format": "microgpt-data/1",
    "asked": {"files": [["a.txt", 5, 1]], "tokenizer": "char"},
    "documents": "lines",
    "tokenizer": TOKENIZER.spec(),
    "sha256": "0",
    "starts_sha256": "0",
    "tokens": 6,
    "num_docs": 2,
    "lengths": [[1, 1], [2, 1]],
}
STREAM = {**FACTS, "documents": "stream", "num_docs": 0, "lengths": [], "tokens": 4}
WRONG: list[Any] = [None, [], [1], {}, {"a": 1}, True, -1, 1.5, "words", math.nan, math.inf, 10**30]


def write(folder: Path, facts: Any = FACTS, tokens: list[int] = TOKENS, starts: list[int] = STARTS) -> Path:
    (folder / "data.json").write_text(facts if isinstance(facts, str) else json.dumps(facts))
    (folder / "tokens.bin").write_bytes(bytes(tokens))
    (folder / "starts.bin").write_bytes(array("Q", starts).tobytes())
    return folder


def read_all(data: Prepared) -> None:
    for i in range(len(data)):
        data.sequence(i)
    data.find_texts(["ab", "b", "x"])
    data.unread(1)
    data.summary()


def refusal(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_all(open_prepared(folder, 2))
    text = str(caught.value)
    assert str(folder) in text
    assert text.endswith("prepare the data again with microgpt prepare --overwrite")
    assert len(text) < 500 + len(str(folder))
    return text


def test_good_data_is_read(tmp_path: Path) -> None:
    data = open_prepared(write(tmp_path), 2)
    assert [*data] == ["ab", "b"]
    read_all(data)
    assert [*open_prepared(write(tmp_path, STREAM, [2, 0, 1, 2]), 3)] == ["ab"]


@pytest.mark.parametrize("name", FACTS)
def test_a_wrong_or_missing_field_is_named(tmp_path: Path, name: str) -> None:
    for value in WRONG:
        if name.endswith("sha256") and value == "words":
            continue  # the digests are compared when the data is checked
        words = refusal(write(tmp_path, {**FACTS, name: value}))
        assert "data.json' is damaged" in words
        assert name in words, words
    assert name in refusal(write(tmp_path, {key: value for key, value in FACTS.items() if key != name}))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        *((name, "data.json' is damaged (asked.") for name in ("files", "tokenizer")),
        ({"asked": {"files": [["a.txt", 5]], "tokenizer": "char"}}, "asked.files[0] must be a list of 3 values"),
        ({"tokenizer": {"kind": "char", "chars": ["ab"], "bos_first": False}}, "chars must be a list of single"),
        ({"tokenizer": {"kind": "char", "chars": ["a", "b"], "bos_first": 1}}, "bos_first must be true or false"),
        ({"num_docs": 3}, "num_docs must match"),
        ({"tokens": 7}, "tokens must be the number of tokens in the documents, got tokens=7"),
        ({"documents": "stream"}, "num_docs must match documents=stream"),
        ({**STREAM, "tokens": 2}, "tokens must be the number of tokens"),
        ({"lengths": [[1, 2**40]]}, "num_docs must match"),
    ],
)
def test_facts_that_do_not_fit_together_are_refused(tmp_path: Path, facts: Any, words: str) -> None:
    if isinstance(facts, str):
        facts = {"asked": {name: value for name, value in FACTS["asked"].items() if name != facts}}
    assert words in refusal(write(tmp_path, {**FACTS, **facts}))


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", "[" * 100_000, "\x00"])
def test_a_file_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    assert "data.json' is damaged" in refusal(write(tmp_path, text))


@pytest.mark.parametrize(
    ("tokens", "starts", "words"),
    [
        ([], STARTS, "tokens.bin' has 0 bytes, expected 6"),
        (TOKENS[:-1], STARTS, "tokens.bin' has 5 bytes, expected 6"),
        ([*TOKENS, 0], STARTS, "tokens.bin' has 7 bytes, expected 6"),
        (TOKENS, [], "starts.bin' has 0 bytes, expected 16"),
        (TOKENS, [0], "starts.bin' has 8 bytes, expected 16"),
        (TOKENS, [0, 2**63], "starts.bin' has changed"),
        (TOKENS, [3, 0], "starts.bin' has changed"),
        (TOKENS, [0, 0], "starts.bin' has changed"),
        (TOKENS, [1, 3], "tokens.bin' has changed"),
        ([2, 0, 9, 2, 1, 2], STARTS, "tokens.bin' has changed"),
        ([2, 0, 1, 2, 1, 255], STARTS, "tokens.bin' has changed"),
    ],
)
def test_damaged_tokens_and_starts_are_noticed(
    tmp_path: Path, tokens: list[int], starts: list[int], words: str
) -> None:
    assert words in refusal(write(tmp_path, FACTS, tokens, starts))


def test_an_unknown_token_of_a_stream_is_noticed(tmp_path: Path) -> None:
    assert "tokens.bin' has changed" in refusal(write(tmp_path, STREAM, [2, 0, 9, 2]))


@pytest.mark.parametrize("name", ["tokens.bin", "starts.bin"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_not_a_file(tmp_path: Path, name: str, make: Any) -> None:
    path = write(tmp_path) / name
    path.unlink()
    make(path)
    assert f"cannot read {str(path)!r}" in refusal(tmp_path)
