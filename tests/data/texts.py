"""Texts for the data tests, and a comparison with the reference."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.errors import DataError

from conftest import examples

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))


Write = Callable[[bytes | str], Path]


def assert_reads_as_the_reference(got: Data, documents: list[str], bos_first: bool = False) -> None:
    tokenizer = reference.Tokenizer(set("".join(documents)), bos_first)
    assert list(got) == documents
    assert got.tokenizer.symbols == tokenizer.symbols
    assert got.tokenizer.bos == tokenizer.bos
    assert got.vocab_size == len(tokenizer.symbols)
    assert len(got) == len(documents)
    assert [got.sequence(i) for i in range(len(got))] == [tokenizer.encode(document) for document in documents]


any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
line_text = st.text(st.sampled_from("ab é😀\u0301\ufeff \t\r\n\r\n\r\n\x1c\x85\u2028"), max_size=40)


def characters(count: int) -> list[str]:
    """Return distinct characters that a file can contain, without spaces, line ends and surrogates."""
    found = (chr(i) for i in range(33, sys.maxunicode + 1) if not 0xD800 <= i <= 0xDFFF and not chr(i).isspace())
    return [char for char, _ in zip(found, range(count))]


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(DataError) as error:
        load(source, **options)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)
