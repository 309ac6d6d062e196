"""What somebody may have meant who typed what the model cannot read, in any alphabet, wherever a word is typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.tokenizers import ByteTokenizer, CharTokenizer
from microgpt.lab.runs.texts import meant

from lab.page.browser import Visit

LATIN = CharTokenizer("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("typed", "word", "dropped"),
    [
        ("Zoë", "zoe", []),
        ("ZOË", "zoe", []),
        ("Zoe\u0308", "zoe", []),  # the same in two characters
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
def test_the_nearest_word_is_offered(typed: str, word: str, dropped: list[str]) -> None:
    assert meant(typed, LATIN) == {"word": word, "dropped": dropped}


@pytest.mark.parametrize("typed", ["", "emma", "日本", "→", "123", " ", "\u0308"])
def test_nothing_is_offered_where_nothing_is_missing_or_nothing_would_be_left(typed: str) -> None:
    assert meant(typed, LATIN) is None


def test_of_bytes_only_what_is_no_character_cannot_be_read() -> None:
    assert [meant(typed, ByteTokenizer()) for typed in ("Zoë B", "日本 →", "\xa0")] == [None] * 3
    assert meant("Zoë \ud800", ByteTokenizer()) == {"word": "Zoë ", "dropped": ["\ud800"]}


@pytest.mark.parametrize(
    ("alphabet", "typed", "word"),
    [
        ("ABCDEFGHIJKLM", "Adélie", "ADELIE"),  # of capitals only
        ("eozë", "ZOË", "zoë"),  # which has the accent
        ("νικη", "ΝΊΚΗ", "νικη"),
        ("иванйё", "ИВАЙ", "ивай"),  # й is a letter of its own there
        ("иван", "ивай", "иваи"),
        ("0123456789", "٣²", "2"),
    ],
)
def test_it_fits_the_alphabet_of_ones_own_data(alphabet: str, typed: str, word: str) -> None:
    offered = meant(typed, CharTokenizer(set(alphabet)))
    assert offered is not None
    assert offered["word"] == word


@given(st.text(max_size=30))
def test_what_is_offered_can_be_read(text: str) -> None:
    offered = meant(text, LATIN)
    if offered is None:
        return
    assert set(offered["word"]) <= set(LATIN.token_ids) - {""}
    assert offered["word"]
    assert meant(offered["word"], LATIN) is None
    assert not set(offered["dropped"]) & set(LATIN.token_ids)


# --- On the page


def take(tab: Visit, within: Any, word: str) -> None:
    within.get_by_role("button", name=f"take “{word}”").click()
    tab.settle()


def test_the_bar_says_what_of_a_long_word_is_not_read(tab: Visit) -> None:
    tab.section(6, word="emma")
    bar = tab.page.get_by_role("banner")
    tab.page.locator("#word").fill("a" * 16)
    tab.settle()
    assert "are not read" not in bar.inner_text()
    tab.page.locator("#word").fill("a" * 20)
    tab.settle()
    assert "The last 4 characters of the word lie beyond the block size and are not read." in bar.inner_text()


def test_the_bar_offers_it(tab: Visit) -> None:
    tab.section(6, word="emma")
    bar = tab.page.get_by_role("banner")
    tab.page.locator("#word").fill("Zoë!")
    tab.settle()
    assert "The model knows no “Z”, “ë”, “!”" in bar.inner_text()
    assert "without “!”" in bar.inner_text()
    assert "word=" not in tab.page.evaluate("location.hash")
    take(tab, bar, "zoe")
    assert tab.page.locator("#word").input_value() == "zoe"
    assert "word=zoe" in tab.page.evaluate("location.hash")
    assert "knows no" not in bar.inner_text()
    tab.page.locator("#word").fill("zoË")  # the same once more, although the word stays what it is
    tab.settle()
    take(tab, bar, "zoe")
    assert tab.page.locator("#word").input_value() == "zoe"
    tab.page.locator("#word").fill("日本")
    tab.settle()
    assert "The model knows no" in bar.inner_text()
    assert bar.get_by_role("button", name="take").count() == 0
    tab.page.locator("#word").fill("emma")


@pytest.mark.parametrize(
    ("section", "label", "shows"),
    [(1, "text", None), (6, "a word", "loss zoe"), (9, "begins with", None), (11, "you say", None)],
)
def test_every_place_for_a_word_offers_it(tab: Visit, section: int, label: str, shows: str | None) -> None:
    tab.section(section, word="emma")
    field = tab.page.locator("main").get_by_label(label, exact=True)
    before = field.input_value()
    field.fill("Zoë")
    tab.settle()
    take(tab, tab.page.locator("main"), "zoe")
    if shows:  # it is added to what is there
        assert tab.page.locator(f"[data-path='{shows}']").count() == 1
    else:
        assert field.input_value() == "zoe"
        assert tab.page.locator("main [role=alert]").count() == 0
    field.fill(before)
    tab.settle()
