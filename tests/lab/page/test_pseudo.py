"""Every text of the page can be translated, and the layout has room for other languages.

With `?locale=pseudo` the page's texts are accented and longer (web/src/texts/texts.ts): a word without accents is still
in the code. Left out is what the page does not say itself: code, numbers with their path, and whatever is marked
translate="no" (names from the program, the reader's texts, the engine's messages).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab.page.browser import SECTIONS, SIZES, Visit
from lab.page.playhead import BEATS
from lab.page.visible import labels, texts

LEVELS = ["plain", "technical", "both"]
OTHERS = "code, pre, kbd, [data-path], [translate=no], script, style, [contenteditable]"
FACT = re.compile(r"⟦[^⟦⟧]*⟧")
WORD = re.compile(r"[^\W\d_]+")
UNACCENTED = re.compile(r"[A-Za-z]{3,}")
ACCENTABLE = re.compile(r"[aceinosuy]", re.I)


def untranslated(shown: list[str]) -> list[str]:
    """Return the texts with a word of three letters or more that the pseudo-locale would have accented."""
    found = []
    for text in shown:
        rest, before = text, ""
        while rest != before:  # a fact may contain a text with facts
            rest, before = FACT.sub(" ", rest), rest
        if any(UNACCENTED.fullmatch(word) and ACCENTABLE.search(word) for word in WORD.findall(rest)):
            found.append(text)
    return found


@pytest.fixture(scope="module")
def pseudo(chromium: Any, lab_server: Any) -> Iterator[Visit]:
    visit = Visit(chromium, f"{lab_server.url}?locale=pseudo")
    visit.open("#level=both")
    visit.ready()
    yield visit
    visit.close()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_every_text_of_a_section_is_in_its_text_file(pseudo: Visit, section: int, level: str) -> None:
    pseudo.section(section, level=level)
    pseudo.page.evaluate("for (const more of document.querySelectorAll('main details')) more.open = true")
    pseudo.settle()
    assert untranslated(texts(pseudo, "main", OTHERS) + labels(pseudo, "main", OTHERS)) == []


FRAMES = {
    "the bar, the contents and the program": ("section=minute", "header.top, .left, aside.right"),
    "an open number": ("section=attention&number=pos3.layer0.q[9]", ".opened"),
    "the playhead": ("play=forward&at=60", "main, .transport"),
    "the big picture": ("play=end", "main"),
    "an exercise": ("section=surprise&exercise=a-word-it-expects", ".exercise"),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("frame", FRAMES)
def test_every_text_around_the_sections_is_in_a_text_file(pseudo: Visit, frame: str, level: str) -> None:
    fragment, root = FRAMES[frame]
    pseudo.go(**dict(part.split("=") for part in fragment.split("&")), level=level)
    for part in ["main h2", *root.split(", ")]:  # the played program is a file of its own, and comes later
        pseudo.page.locator(part).first.wait_for(state="attached")
    pseudo.page.evaluate("idle()")
    for summary in pseudo.page.locator(f"{root.partition(',')[0]} details > summary").all():
        summary.click()
    pseudo.page.evaluate("idle()")
    shown = texts(pseudo, root, OTHERS) + labels(pseudo, root, OTHERS)
    assert len(shown) > 3
    assert untranslated(shown) == []


@pytest.mark.parametrize("level", LEVELS)
def test_every_text_of_the_tour_is_in_a_text_file(pseudo: Visit, level: str) -> None:
    for at in range(BEATS):
        pseudo.go(play="tour", at=at, word="emma", level=level)
        pseudo.page.locator(".tour").wait_for()
        pseudo.page.locator("main figure").first.wait_for()
        pseudo.page.evaluate("idle()")
        shown = texts(pseudo, "main, .tour", OTHERS) + labels(pseudo, "main, .tour", OTHERS)
        assert len(shown) > 3
        assert untranslated(shown) == [], at


@pytest.mark.parametrize("button", ["Exercises", "Glossary"])
def test_every_text_of_a_list_is_in_a_text_file(pseudo: Visit, button: str) -> None:
    pseudo.section(0, level="both")
    pseudo.page.locator("nav button", has=pseudo.page.locator(".name")).nth(int(button == "Glossary")).click()
    pseudo.page.locator("dialog[open] li").first.wait_for()
    shown = texts(pseudo, "dialog[open]", OTHERS) + labels(pseudo, "dialog[open]", OTHERS)
    pseudo.page.keyboard.press("Escape")
    assert len(shown) > 20
    assert untranslated(shown) == []


@pytest.mark.parametrize("section", range(SECTIONS))
@pytest.mark.parametrize("size", SIZES)
def test_long_texts_do_not_scroll_sideways(pseudo: Visit, section: int, size: str) -> None:
    pseudo.page.set_viewport_size(SIZES[size])
    pseudo.section(section, level="both")
    width, window = pseudo.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    pseudo.page.set_viewport_size(SIZES["wide"])
    assert width <= window


@pytest.mark.parametrize("size", SIZES)
def test_long_texts_of_the_tour_do_not_scroll_sideways(pseudo: Visit, size: str) -> None:
    pseudo.page.set_viewport_size(SIZES[size])
    for at in range(BEATS):
        pseudo.go(play="tour", at=at, word="emma", level="both")
        pseudo.page.locator("main figure").first.wait_for()
        pseudo.page.evaluate("idle()")
        width, window = pseudo.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
        assert width <= window, at
    pseudo.page.set_viewport_size(SIZES["wide"])


def test_untranslated_texts_would_be_found(pseudo: Visit) -> None:
    """A test of the test."""
    assert untranslated(["Ábóút thé lóss ·õ·ö", "⟦emma⟧ íš", "⟦⟦12⟧ steps⟧", "BOS", "xyz", "3.14"]) == ["BOS", "xyz"]
    pseudo.section(0, level="both")
    pseudo.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<p id=bare title=\"and here\">typed in</p>')"
    )
    shown = texts(pseudo, "main", OTHERS) + labels(pseudo, "main", OTHERS)
    pseudo.page.evaluate("document.querySelector('#bare').remove()")
    assert {"typed in", "and here"} <= set(untranslated(shown))
