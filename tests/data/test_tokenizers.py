"""Characters, bytes and byte pairs: decoding an encoded text gives the text back."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data.sources import NAMES
from microgpt.data.tokenizers import BpeTokenizer, ByteTokenizer, CharTokenizer, from_spec, learn, size_of

from conftest import whole

UNICODE = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]  # all except surrogates, which are not text
TEXT = NAMES.read_text(encoding="utf-8") + "the cat sat on the mat; Ünïcödé, 日本語, 🙂\n" * 40


@pytest.fixture(scope="module")
def bpe() -> BpeTokenizer:
    pytest.importorskip("tokenizers", reason="needs Hugging Face's tokenizers: pip install tokenizers")
    learned = learn("bpe:400", [TEXT])
    assert isinstance(learned, BpeTokenizer)
    return learned


@pytest.mark.parametrize("bos_first", [False, True])
def test_the_character_tokenizer_equals_the_reference(bos_first: bool) -> None:
    tokenizer, expected = learn("char", ["emma", "zoe"], bos_first), reference.Tokenizer(set("emmazoe"), bos_first)
    assert (tokenizer.symbols, tokenizer.bos) == (expected.symbols, expected.bos)
    assert tokenizer.encode("zoe") == expected.encode("zoe")
    with pytest.raises(KeyError):
        tokenizer.encode("x")


@pytest.mark.parametrize("bos_first", [False, True])
def test_bytes_are_utf_8(bos_first: bool) -> None:
    tokenizer = ByteTokenizer(bos_first)
    assert len(tokenizer.symbols) == len(set(tokenizer.symbols)) == 257
    assert [i - bos_first for i in tokenizer.encode("aé")[1:-1]] == [0x61, 0xC3, 0xA9]
    assert tokenizer.encode("")[0] == tokenizer.bos == (0 if bos_first else 256)
    assert tokenizer.decode(tokenizer.encode("aé")[:-2]) == "a�"


@pytest.mark.parametrize("every", [64, whole(1)])
def test_every_unicode_character_survives_a_round_trip(every: int, bpe: BpeTokenizer, rng: random.Random) -> None:
    characters = UNICODE[rng.randrange(every) :: every]
    everything = "".join(characters)
    for tokenizer in (CharTokenizer(characters), ByteTokenizer(), ByteTokenizer(True), bpe):
        token_ids = tokenizer.encode(everything)
        assert token_ids[0] == token_ids[-1] == tokenizer.bos
        assert tokenizer.bos not in token_ids[1:-1]
        assert 0 <= min(token_ids) <= max(token_ids) < len(tokenizer.symbols)
        assert tokenizer.decode(token_ids) == everything


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_a_round_trip(text: str, bpe: BpeTokenizer) -> None:
    for tokenizer in (learn("char", [text]), ByteTokenizer(), bpe):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        again = from_spec(json.loads(json.dumps(tokenizer.spec())))
        assert (again.symbols, again.bos, again.encode(text)) == (
            tokenizer.symbols,
            tokenizer.bos,
            tokenizer.encode(text),
        )


@given(data=st.data())
@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_the_pieces_of_a_growing_text_are_whole_characters_and_together_the_text(
    kind: str, bpe: BpeTokenizer, data: st.DataObject
) -> None:
    tokenizer = {"char": learn("char", [TEXT]), "byte": ByteTokenizer(), "bpe": bpe}[kind]
    ids = data.draw(st.lists(st.integers(0, len(tokenizer.symbols) - 1), max_size=30))  # also broken UTF-8
    if data.draw(st.booleans()):
        ids = tokenizer.encode("日本語, 🙂 a" if kind != "char" else "日本語, 🙂 cat")
    decode = tokenizer.grow()
    pieces = [decode([token_id], False) for token_id in ids]
    assert "".join([*pieces, decode([], True)]) == tokenizer.decode(ids)
    if "\ufffd" not in tokenizer.decode(ids):
        assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("bos_first", [False, True])
def test_byte_pairs_fill_the_vocabulary_and_shorten_the_text(bpe: BpeTokenizer, bos_first: bool) -> None:
    tokenizer = learn("bpe:300", [TEXT], bos_first)
    assert len(tokenizer.symbols) == len(set(tokenizer.symbols)) == 300
    assert tokenizer.bos == (0 if bos_first else 299)
    assert len(tokenizer.encode(TEXT)) < 0.9 * len(TEXT.encode())
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
    shifted = [i - 1 if bos_first else i for i in tokenizer.encode("the cat")[1:-1]]
    assert shifted == learn("bpe:300", [TEXT]).encode("the cat")[1:-1]  # learning is deterministic
    assert len(learn("bpe:5000", ["aa"]).symbols) < 300


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("word", r"tokenizer must be one of char, byte, bpe:N, got tokenizer='word'"),
        ("bpe", r"tokenizer must be one of .*'bpe'"),
        ("bpe:x", r"tokenizer must be one of .*'bpe:x'"),
        ("bpe:256", r"N in bpe:N must be between 257 .*, got tokenizer='bpe:256': try bpe:1024"),
    ],
)
def test_an_unknown_kind_of_tokenizer_is_refused(kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        learn(kind, ["a"])
    assert size_of("bpe:257") == 257


def test_token_ids_can_be_decoded_without_the_library(bpe: BpeTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    token_ids, again = bpe.encode("the cat"), BpeTokenizer(bpe.model)
    monkeypatch.setitem(sys.modules, "tokenizers", None)  # as if it were not installed
    assert again.decode(token_ids) == "the cat"
    for ask in (lambda: again.encode("the cat"), lambda: learn("bpe:300", ["a"])):
        with pytest.raises(ImportError, match=r"byte-pair encoding needs .*: pip install tokenizers"):
            ask()


@pytest.mark.parametrize(
    "spec", [{}, {"kind": "bpe", "bos_first": False, "model": "{}"}, {"kind": 7, "bos_first": True}]
)
def test_a_damaged_tokenizer_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"the tokenizer is damaged|unknown tokenizer kind"):
        from_spec(spec)


@pytest.mark.parametrize("bos_first", [False, True])
@given(documents=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))))
def test_documents_are_packed_in_order(bos_first: bool, documents: list[str], bpe: BpeTokenizer) -> None:
    kinds = (learn("char", documents, bos_first), ByteTokenizer(bos_first), BpeTokenizer(bpe.model, bos_first))
    for tokenizer in kinds:
        each = [tokenizer.encode(document)[1:-1] for document in documents]
        for bos in (False, True):
            tokens, lengths = tokenizer.pack(documents, bos)
            assert list(tokens) == [i for ids in each for i in ([tokenizer.bos] * bos + ids)]
            assert lengths == list(map(len, each))


def test_a_character_without_a_token_is_an_error() -> None:
    with pytest.raises(KeyError, match="x"):
        learn("char", ["abc"]).pack(["ab", "axy"], bos=True)
