"""Suggestions for a text that the model cannot read, in any alphabet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.tokenizers import ByteTokenizer, CharTokenizer
from microgpt.lab.runs.texts import meant

LATIN = CharTokenizer("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("typed", "word", "dropped"),
    [
        ("Zoë", "zoe", []),
        ("ZOË", "zoe", []),
        ("Zoe\u0308", "zoe", []),  # the ë as two characters
        ("Łukasz", "lukasz", []),
        ("Bjørn", "bjorn", []),
        ("Weiß", "weiss", []),
        ("ﬁona", "fiona", []),
        ("Anna-Maria!", "annamaria", ["-", "!"]),
        ("Ana María", "anamaria", [" "]),
        ("Æsa", "sa", ["Æ"]),
        ("emma 3 3", "emma", [" ", "3"]),
    ],
)
def test_the_closest_readable_word_is_offered(typed: str, word: str, dropped: list[str]) -> None:
    assert meant(typed, LATIN) == {"word": word, "dropped": dropped}


@pytest.mark.parametrize("typed", ["", "emma", "日本", "→", "123", " ", "\u0308"])
def test_nothing_is_offered_for_a_readable_text_or_if_nothing_would_be_left(typed: str) -> None:
    assert meant(typed, LATIN) is None


def test_with_byte_tokens_only_surrogates_cannot_be_read() -> None:
    assert [meant(typed, ByteTokenizer()) for typed in ("Zoë B", "日本 →", "\xa0")] == [None] * 3
    assert meant("Zoë \ud800", ByteTokenizer()) == {"word": "Zoë ", "dropped": ["\ud800"]}


@pytest.mark.parametrize(
    ("alphabet", "typed", "word"),
    [
        ("ABCDEFGHIJKLM", "Adélie", "ADELIE"),  # only capitals
        ("eozë", "ZOË", "zoë"),  # the alphabet has the accent
        ("νικη", "ΝΊΚΗ", "νικη"),
        ("иванйё", "ИВАЙ", "ивай"),  # й is a letter of this alphabet
        ("иван", "ивай", "иваи"),
        ("0123456789", "٣²", "2"),
    ],
)
def test_the_word_fits_the_alphabet_of_the_users_data(alphabet: str, typed: str, word: str) -> None:
    offered = meant(typed, CharTokenizer(set(alphabet)))
    assert offered is not None
    assert offered["word"] == word


@given(st.text(max_size=30))
def test_the_offered_word_can_be_read(text: str) -> None:
    offered = meant(text, LATIN)
    if offered is None:
        return
    assert set(offered["word"]) <= set(LATIN.token_ids) - {""}
    assert offered["word"]
    assert meant(offered["word"], LATIN) is None
    assert not set(offered["dropped"]) & set(LATIN.token_ids)
