"""Suggestions for a word that the model cannot read, wherever a word is typed."""

from __future__ import annotations

from typing import Any

import pytest

from lab.page.browser import Visit


def take(tab: Visit, within: Any, word: str) -> None:
    within.get_by_role("button", name=f"use “{word}”").click()
    tab.settle()


def test_the_bar_says_which_characters_of_a_long_word_are_not_read(tab: Visit) -> None:
    tab.section(6, word="emma")
    bar = tab.page.get_by_role("banner")
    tab.page.locator("#word").fill("a" * 16)
    tab.settle()
    assert "block size" not in bar.inner_text()
    tab.page.locator("#word").fill("a" * 20)
    tab.settle()
    assert "The last 4 characters of the word are past the block size and are ignored." in bar.inner_text()


def test_the_bar_offers_a_readable_word(tab: Visit) -> None:
    tab.section(6, word="emma")
    bar = tab.page.get_by_role("banner")
    tab.page.locator("#word").fill("Zoë!")
    tab.settle()
    assert "The model cannot read “Z”, “ë”, “!”" in bar.inner_text()
    assert "without “!”" in bar.inner_text()
    assert "word=" not in tab.page.evaluate("location.hash")
    take(tab, bar, "zoe")
    assert tab.page.locator("#word").input_value() == "zoe"
    assert "word=zoe" in tab.page.evaluate("location.hash")
    assert "knows no" not in bar.inner_text()
    tab.page.locator("#word").fill("zoË")  # the suggestion is offered again, although the word stays zoe
    tab.settle()
    take(tab, bar, "zoe")
    assert tab.page.locator("#word").input_value() == "zoe"
    tab.page.locator("#word").fill("日本")
    tab.settle()
    assert "The model cannot read" in bar.inner_text()
    assert bar.get_by_role("button", name="use “").count() == 0
    tab.page.locator("#word").fill("emma")


@pytest.mark.parametrize(
    ("section", "label", "shows"),
    [(1, "text", None), (6, "new word", "loss zoe"), (9, "begins with", None), (11, "you say", None)],
)
def test_every_field_for_a_word_offers_a_readable_word(tab: Visit, section: int, label: str, shows: str | None) -> None:
    tab.section(section, word="emma")
    field = tab.page.locator("main").get_by_label(label, exact=True)
    before = field.input_value()
    field.fill("Zoë")
    tab.settle()
    take(tab, tab.page.locator("main"), "zoe")
    if shows:  # the word is added to a list
        assert tab.page.locator(f"[data-path='{shows}']").count() == 1
    else:
        assert field.input_value() == "zoe"
        assert tab.page.locator("main [role=alert]").count() == 0
    field.fill(before)
    tab.settle()
