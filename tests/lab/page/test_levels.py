"""Rule 12 of the lab: three levels, everywhere. The page asks for one on arrival, and plain means plain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lab.page.axe import violations
from lab.page.browser import SECTIONS, SIZES, Visit
from lab.page.jargon import names_and_formulas, unexplained
from lab.page.visible import first_drawing, texts

MOST_WORDS = 250
# Questions and their answers fold; code and data are not prose; the exercises have their own pages
FOLDED = "details:not([open]), details[open] > :not(summary), .exercise, .foot, footer"
DATA = "[data-path], [translate=no], code, pre, kbd, [contenteditable], svg, td"
CONTROLS = "button:not(.term), label, option, output, legend, [role=radiogroup]"
EVERY_SECTION = pytest.mark.parametrize("section", range(SECTIONS))
ASK = ".ask"


@pytest.fixture
def plain(tab: Visit) -> Iterator[Visit]:
    yield tab
    tab.section(0, level="both")


@pytest.fixture
def newcomer(chromium: Any, lab_server: Any) -> Iterator[Visit]:
    """The tab of a reader on a first visit."""
    visit = Visit(chromium, lab_server.url, arrives=True)
    yield visit
    visit.close()


def levels_chosen(visit: Visit) -> list[str]:
    return [
        one.inner_text() for one in visit.page.locator(".bar [role=radio][aria-checked=true]").all() if one.is_visible()
    ]


# --- The choice


def test_the_page_asks_once_for_the_level(newcomer: Visit, axe: str) -> None:
    newcomer.open("#section=surprise")
    newcomer.page.locator("main figure").first.wait_for()
    assert newcomer.page.locator(f"{ASK} button").count() == 4
    assert levels_chosen(newcomer) == ["both"]
    newcomer.frames()
    ask = newcomer.page.locator(ASK).bounding_box()
    assert ask
    assert ask["y"] + ask["height"] <= newcomer.page.locator("main").bounding_box()["y"]  # it covers nothing
    assert violations(newcomer, axe) == []
    newcomer.page.locator(f"{ASK} button", has_text="plain").press("Enter")
    newcomer.page.locator(ASK).wait_for(state="detached")
    assert levels_chosen(newcomer) == ["plain"]
    assert newcomer.page.evaluate("document.activeElement.id") == "main"
    newcomer.page.reload()
    newcomer.page.locator("main figure").first.wait_for()
    assert newcomer.page.locator(ASK).count() == 0
    assert levels_chosen(newcomer) == ["plain"]


@pytest.mark.parametrize("size", SIZES)
def test_the_question_leaves_room_for_the_first_figure(newcomer: Visit, size: str) -> None:
    newcomer.page.set_viewport_size(SIZES[size])
    newcomer.open()
    newcomer.page.locator("main figure").first.wait_for()
    newcomer.settle()
    found = first_drawing(newcomer)
    assert found
    assert found[0] < SIZES[size]["height"] - 150  # in sight, below the question


def test_the_question_can_be_dismissed(newcomer: Visit) -> None:
    newcomer.open()
    newcomer.page.locator(ASK).get_by_role("button", name="Decide later").click()
    newcomer.page.locator(ASK).wait_for(state="detached")
    newcomer.page.reload()
    newcomer.page.locator("main").wait_for()
    assert newcomer.page.locator(ASK).count() == 0
    assert levels_chosen(newcomer) == ["both"]


def test_a_link_shows_its_level_and_leaves_the_readers_own(newcomer: Visit) -> None:
    newcomer.open("#level=technical")
    newcomer.page.locator("main figure").first.wait_for()
    assert levels_chosen(newcomer) == ["technical"]
    assert newcomer.page.locator(ASK).count() == 0  # the link has answered
    newcomer.page.locator(".bar").get_by_role("radio", name="plain").click()
    newcomer.go(section="data", level="technical")
    assert levels_chosen(newcomer) == ["technical"]
    newcomer.go(section="value")
    newcomer.page.wait_for_function("() => document.querySelector('.bar [aria-checked=true]').innerText === 'plain'")
    newcomer.go(section="value", level="both")
    newcomer.page.wait_for_function("() => document.querySelector('.bar [aria-checked=true]').innerText === 'both'")
    assert "level=both" in newcomer.linked("level=")  # without it, the address would mean plain


# --- The program's panel


def test_plain_begins_with_the_program_closed(newcomer: Visit) -> None:
    newcomer.open("#section=data")
    newcomer.page.locator("section.source").wait_for()
    newcomer.page.locator(f"{ASK} button", has_text="plain").click()
    newcomer.page.locator("section.source").wait_for(state="detached")
    newcomer.page.get_by_role("button", name="Show the program").click()
    newcomer.page.locator("section.source").wait_for()
    newcomer.page.reload()
    newcomer.page.locator("section.source").wait_for()  # as the reader left it
    newcomer.page.get_by_role("button", name="Close the program").click()
    newcomer.page.locator("section.source").wait_for(state="detached")
    newcomer.page.locator(".bar").get_by_role("radio", name="both").click()
    assert newcomer.page.locator("section.source").count() == 0


def test_a_figures_lines_open_the_program(newcomer: Visit) -> None:
    newcomer.open("#section=data&level=plain")
    newcomer.page.locator("main figure .head").get_by_role("button", name=re.compile("^lines? ")).first.click()
    newcomer.page.locator("section.source li.lit").first.wait_for()


# --- Plain words


@EVERY_SECTION
def test_plain_shows_no_names_of_tensors_and_no_formulas(plain: Visit, section: int) -> None:
    plain.section(section, level="plain")
    shown = texts(plain, "main", ".exercise, .foot, footer, [contenteditable], details:not([open])")
    assert names_and_formulas(shown) == []


@EVERY_SECTION
def test_plain_explains_every_term_at_its_word(plain: Visit, section: int) -> None:
    plain.section(section, level="plain")
    explained = texts(plain, "main .term")
    assert unexplained(texts(plain, "main", f"{FOLDED}, {DATA}"), explained) == []


@EVERY_SECTION
def test_plain_is_short(plain: Visit, section: int) -> None:
    plain.section(section, level="plain")
    words = re.findall(r"[^\W\d_]{2,}", " ".join(texts(plain, "main", f"{FOLDED}, {DATA}, {CONTROLS}")))
    assert len(words) <= MOST_WORDS


@EVERY_SECTION
def test_the_levels_reach_the_figures(plain: Visit, section: int) -> None:
    """The titles, labels and captions of a section's figures differ between plain and technical."""
    shown = {}
    for level in ("plain", "technical"):
        plain.section(section, level=level)
        shown[level] = texts(plain, "main figure", "[data-path], code, pre")
    assert set(shown["plain"]) - set(shown["technical"])


def test_jargon_would_be_found() -> None:
    """A test of the test."""
    bad = ["pos3.layer0.q[9]", "the wte matrix", "−log p", "q·k/√d", "softmax(x)", "a mlp_act", "dL/dx", "v̂"]
    assert names_and_formulas(bad) == bad
    assert names_and_formulas(["The letter table.", "It looks back", "position 3", "30.1%"]) == []
    assert unexplained(["Two logits and a gradient."], ["logits"]) == ["gradient", "logit"][:1]
    assert unexplained(["The key to the city; adamant navigators"], []) == []


# --- The open number


def test_an_open_number_speaks_plainly(plain: Visit) -> None:
    plain.section(5, level="plain", number="pos3.layer0.q[9]")
    plain.page.locator(".opened dl").wait_for()
    for summary in plain.page.locator(".opened details > summary").all():
        summary.click()
    plain.settle()
    shown = texts(plain, ".opened")
    assert names_and_formulas(shown) == []
    assert unexplained(shown, []) == []
    plain.go(section=5, level="technical", number="pos3.layer0.q[9]")
    plain.page.locator(".opened h2", has_text="pos3.layer0.q[9]").wait_for()
