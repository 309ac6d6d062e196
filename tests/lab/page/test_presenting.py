"""Presenting: one figure per screen, controlled by a clicker; and parts of the page that the address hides."""

from __future__ import annotations

from typing import Any

import pytest

from lab.page.axe import violations
from lab.page.browser import FOLDERS, SECTIONS, Visit
from lab.page.playhead import BEATS

ON_SCREEN = """() => [...document.querySelectorAll('main figure')].filter((e) => e.checkVisibility())
  .map((e) => e.querySelector('h3').textContent)"""


def show(tab: Visit, section: int, **state: object) -> None:
    """Go to a section by its address; Visit.section fails if the address hides the contents."""
    tab.go(**{"section": section, "word": "emma", **state})
    tab.settle()


@pytest.fixture
def presented(tab: Visit) -> Any:
    """Section 5 in presentation mode."""
    show(tab, 5, present=1, hide="source,contents")
    yield tab
    show(tab, 0)


def screen(tab: Visit) -> str:
    tab.settle()
    return str(tab.page.get_by_role("navigation", name="Screens").get_by_role("status").inner_text())


def test_a_clicker_goes_from_figure_to_figure(presented: Visit) -> None:
    press, seen = presented.page.keyboard.press, []
    assert screen(presented).startswith("1 / ")
    count = int(screen(presented).split(" / ")[1])
    for at in range(1, count + 1):
        assert screen(presented) == f"{at} / {count}"
        figures = presented.page.evaluate(ON_SCREEN)
        assert len(figures) <= 1, figures
        seen += figures
        press("PageDown")
    presented.settle()
    assert "section=surprise" in presented.page.evaluate("location.hash")  # after the last, the next section
    press("PageUp")
    assert screen(presented) == f"{count} / {count}"
    show(presented, 5)
    assert seen == presented.page.evaluate(ON_SCREEN)


def test_without_the_prose_every_screen_is_a_figure(presented: Visit) -> None:
    with_words = int(screen(presented).split(" / ")[1])
    show(presented, 6, present=1)
    show(presented, 5, present=1, hide="source,contents,prose")
    count = int(screen(presented).split(" / ")[1])
    assert count < with_words
    show(presented, 5)
    exercises = presented.page.locator("main .foot").count()
    assert count == len(presented.page.evaluate(ON_SCREEN)) + exercises


@pytest.mark.parametrize(("on", "back"), [("PageDown", "PageUp"), ("ArrowRight", "ArrowLeft"), ("Space", "ArrowUp")])
def test_every_key_of_a_clicker_is_known(presented: Visit, on: str, back: str) -> None:
    presented.page.keyboard.press(on)
    assert screen(presented).startswith("2 / ")
    presented.page.keyboard.press(back)
    assert screen(presented).startswith("1 / ")


def test_a_full_stop_darkens_the_screen_and_escape_leaves(presented: Visit) -> None:
    press, dark = presented.page.keyboard.press, presented.page.get_by_role("button", name="The screen is blank")
    press(".")
    assert dark.is_visible()
    press(".")
    assert not dark.is_visible()
    press("Escape")
    presented.settle()
    assert "present" not in presented.page.evaluate("location.hash")
    assert "hide" not in presented.page.evaluate("location.hash")
    assert presented.page.locator("main [data-offscreen]").count() == 0
    assert presented.page.locator(".source").is_visible()


def test_escape_after_typing_a_word_returns_the_keys_to_the_presentation(presented: Visit) -> None:
    presented.page.locator("#word").fill("ann")
    presented.page.keyboard.press("Escape")
    presented.page.keyboard.press("ArrowRight")
    assert screen(presented).startswith("2 / ")
    presented.page.keyboard.press("Escape")
    presented.page.locator(".screens").wait_for(state="detached")


def test_keys_do_not_change_the_screen_while_typing(presented: Visit) -> None:
    """Keys go to the control that has the focus: a field, a player, a cell."""
    presented.page.locator("#word").fill("ann")
    presented.page.locator("#word").press("ArrowRight")
    presented.page.locator("#word").press("Space")
    assert screen(presented).startswith("1 / ")
    show(presented, 5, present=2, hide="source,contents")
    scrubber = presented.page.locator("main .player input[type=range]").first
    scrubber.focus()
    presented.page.keyboard.press("ArrowLeft")
    assert screen(presented).startswith("2 / ")


def test_an_editor_gets_the_keys(presented: Visit) -> None:
    show(presented, FOLDERS.index("10-workbench"), present=2, hide="source,contents")
    presented.page.locator("main figure").first.get_by_role("textbox").first.click()
    for key in ("Space", "b", ".", "ArrowRight"):
        presented.page.keyboard.press(key)
    assert screen(presented).startswith("2 / ")
    assert not presented.page.get_by_role("button", name="The screen is blank").is_visible()
    for _ in range(3):
        presented.page.keyboard.press("Backspace")


def test_the_bar_has_a_button_for_presenting(tab: Visit) -> None:
    show(tab, 4)
    tab.page.get_by_role("button", name="present", exact=True).click()
    assert screen(tab).startswith("1 / ")
    assert not tab.page.locator(".source").is_visible()
    assert tab.page.evaluate("document.querySelector('nav[aria-label=Sections]')") is None
    size = "parseFloat(getComputedStyle(document.querySelector('main')).zoom)"
    assert tab.page.evaluate(size) > 1.2  # large type
    tab.page.get_by_role("button", name="exit Esc").click()
    assert tab.page.evaluate(size) == 1


HIDDEN = {
    "bar": ".top .bar",
    "contents": "nav[aria-label=Sections]",
    "source": ".source",
    "prose": "main .prose",
    "captions": "main figcaption",
}


@pytest.mark.parametrize("part", HIDDEN)
def test_the_address_hides_a_part(tab: Visit, part: str) -> None:
    fragment = f"#section=6&hide={part}"
    tab.page.goto(f"{tab.address}{fragment}")
    tab.ready()
    tab.settle()
    for name, selector in HIDDEN.items():
        assert tab.page.locator(selector).first.is_visible() == (name != part), name
    width, window = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    tab.page.goto(tab.address)
    tab.ready()


def test_a_number_opens_while_the_source_is_hidden(presented: Visit) -> None:
    show(presented, 5, present=2, hide="source,contents", number="pos3.layer0.q[9]")
    assert presented.page.locator(".opened dl").is_visible()
    presented.page.keyboard.press("Escape")  # closes the number
    presented.page.locator(".opened dl").wait_for(state="detached")
    assert "present=2" in presented.page.evaluate("location.hash")  # only the number is closed


def test_the_playhead_keeps_its_keys(presented: Visit) -> None:
    """While the program plays, arrows and space control it; the page keys of a clicker still change the screen."""
    show(presented, 5, present=1, hide="source,contents", play="forward")
    before = presented.page.evaluate("location.hash.match(/present=\\d+/)[0]")
    presented.page.keyboard.press("ArrowRight")
    presented.settle()
    assert presented.page.evaluate("location.hash.match(/present=\\d+/)[0]") == before
    presented.linked("at=1")


@pytest.mark.parametrize(("on", "back"), [("PageDown", "PageUp"), ("ArrowRight", "ArrowLeft")])
def test_the_tour_can_be_presented(presented: Visit, on: str, back: str) -> None:
    """A beat is one screen, with its caption; the figures of the end are screens of a clicker."""
    press, scrubber = presented.page.keyboard.press, presented.page.locator(".tour input[type=range]")
    show(presented, 5, present=1, hide="source,contents", play="tour", at=0, level="plain")
    for at in range(BEATS - 1):
        assert screen(presented) == "1 / 1"
        assert scrubber.input_value() == str(at)
        assert presented.page.locator("main .beat .caption").is_visible()
        assert len(presented.page.evaluate(ON_SCREEN)) == 1, at
        width, window = presented.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= window, at
        press(on)
    count = int(screen(presented).split(" / ")[1])
    assert count > 3
    if on == "PageDown":
        for at in range(2, count + 1):
            press(on)
            assert screen(presented) == f"{at} / {count}"
            assert scrubber.input_value() == str(BEATS - 1)
        for _ in range(count - 1):
            press(back)
    press(back)
    assert screen(presented) == "1 / 1"
    assert scrubber.input_value() == str(BEATS - 2)
    assert "section=attention" in presented.page.evaluate("location.hash")


def test_the_screen_goes_dark_on_the_tour_and_escape_leaves_the_tour_first(presented: Visit) -> None:
    press, dark = presented.page.keyboard.press, presented.page.get_by_role("button", name="The screen is blank")
    show(presented, 5, present=1, hide="source,contents", play="tour", at=3, level="plain")
    press(".")
    assert dark.is_visible()
    press(".")
    assert not dark.is_visible()
    press("Escape")
    presented.page.locator(".tour").wait_for(state="detached")
    assert screen(presented).startswith("1 / ")
    press("Escape")
    presented.page.locator(".screens").wait_for(state="detached")


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_every_section_can_be_presented(presented: Visit, section: int) -> None:
    """Every screen is reached, and nothing is wider than the window."""
    show(presented, section, present=1, hide="bar,source,contents")
    count = int(screen(presented).split(" / ")[1])
    for at in range(1, count + 1):
        assert screen(presented) == f"{at} / {count}"
        width, window = presented.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= window
        presented.page.keyboard.press("PageDown")


def test_axe_finds_nothing_while_presenting(presented: Visit, axe: str) -> None:
    assert violations(presented, axe) == []
