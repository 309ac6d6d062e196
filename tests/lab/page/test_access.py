"""Rule 5 of the lab, accessibility: axe finds nothing, heatmaps have tables, the keyboard controls everything."""

from __future__ import annotations

import re

import pytest

from lab.page.axe import violations
from lab.page.browser import SECTIONS, SIZES, Visit

EVERY_SECTION = pytest.mark.parametrize("section", range(SECTIONS))


@pytest.mark.sampled(8)
@EVERY_SECTION
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(tab: Visit, axe: str, section: int, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    tab.page.emulate_media(color_scheme="light")
    tab.section(section)
    assert violations(tab, axe) == []
    tab.page.emulate_media(color_scheme="dark")  # which only changes colours
    assert violations(tab, axe, "color-contrast") == []
    tab.page.emulate_media(color_scheme="light")


def test_axe_would_find_something(tab: Visit, axe: str) -> None:
    """A test of the test."""
    tab.section(0)
    tab.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img id=bare src=\"\">')")
    assert any(line.startswith("image-alt: ['#bare']") for line in violations(tab, axe))
    tab.page.evaluate("document.querySelector('#bare').remove()")


@pytest.mark.sampled(4)
@EVERY_SECTION
def test_nothing_scrolls_sideways_at_320_pixels(tab: Visit, section: int) -> None:
    tab.page.set_viewport_size({"width": 320, "height": 640})
    tab.section(section)
    wide = "() => [document.documentElement.scrollWidth, innerWidth]"
    width, window = tab.page.evaluate(wide)
    assert width <= window
    tab.page.evaluate("for (const table of document.querySelectorAll('main [aria-expanded=false]')) table.click()")
    tab.settle()
    width, window = tab.page.evaluate(wide)
    assert width <= window
    tab.page.set_viewport_size(SIZES["wide"])


@pytest.mark.sampled(4)
@EVERY_SECTION
def test_a_long_word_breaks_before_the_page_does(tab: Visit, section: int) -> None:
    tab.page.set_viewport_size({"width": 320, "height": 640})
    tab.section(section, word="averyverylongwordherewithoutspaces")
    width, window = tab.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    tab.section(section)
    tab.page.set_viewport_size(SIZES["wide"])
    assert width <= window


# For each heatmap: its figure, its tensor, and whether a table of that figure has its numbers. The attention heatmap
# names tokens instead of a tensor: for it, any table counts
HEATMAPS = """() => [...document.querySelectorAll('main .cells')].filter((e) => e.checkVisibility()).map((e) => {
  const figure = e.closest('figure')
  const bare = (path) => path.replace(/(\\[\\d+\\])*$/, '')
  const named = /open a cell\\. ((?:grad |m |v )?[\\w.]+)(?:\\[\\d+\\])*: /
  const [, tensor] = named.exec(e.getAttribute('aria-label')) ?? []
  const paths = [...figure.querySelectorAll('td[data-path]')].map((cell) => bare(cell.dataset.path))
  return [figure.querySelector('h3').textContent, tensor ?? '', tensor ? paths.includes(tensor) : paths.length > 0]
})"""


def without_table(tab: Visit) -> list[tuple[str, str]]:
    """Return the heatmaps of a section that have no table, with all tables open: (figure, tensor)."""
    for _ in range(3):  # opened parts may contain further tables
        tab.page.evaluate("for (const table of document.querySelectorAll('main [aria-expanded=false]')) table.click()")
        tab.page.evaluate("for (const more of document.querySelectorAll('main details')) more.open = true")
        tab.settle()
    return [(figure, tensor) for figure, tensor, has_table in tab.page.evaluate(HEATMAPS) if not has_table]


@pytest.mark.sampled(5)
@EVERY_SECTION
def test_every_heatmap_has_a_table_behind_it(tab: Visit, section: int) -> None:
    tab.section(section, word="emma")
    bare = without_table(tab)
    for figure, tensor in bare if section == 3 else []:  # a name in the overview shows its matrix and table
        name = tensor.removeprefix("layer0.")
        detail = re.compile(rf"^{name}\b.* in detail$")
        tab.page.locator("figure").filter(has_text=figure).get_by_role("button", name=detail).click()
        tab.settle()
        without_table(tab)
        assert tensor in {other for _, other, has_table in tab.page.evaluate(HEATMAPS) if has_table}
    assert section == 3 or bare == []


@pytest.mark.sampled(4)
@EVERY_SECTION
def test_players_can_be_controlled_by_the_keyboard(tab: Visit, section: int) -> None:
    tab.section(section)
    for player in tab.page.locator("main .player").all():
        scrubber, play = player.locator("input[type=range]"), player.locator("button.primary")
        last = int(scrubber.get_attribute("max") or 0)
        scrubber.focus()
        tab.page.keyboard.press("Home")
        assert scrubber.input_value() == "0"
        tab.page.keyboard.press("ArrowRight")
        assert scrubber.input_value() == str(min(1, last))
        tab.page.keyboard.press("ArrowLeft")
        assert scrubber.input_value() == "0"
        tab.page.keyboard.press("Space")  # plays
        assert play.get_attribute("aria-label") == "Pause"
        tab.page.wait_for_function("(e) => e.value > 0", arg=scrubber.element_handle())
        tab.page.keyboard.press("Space")  # pauses
        assert play.get_attribute("aria-label") == "Play"
        tab.page.keyboard.press("End")
        assert scrubber.input_value() == str(last)
        play.focus()
        tab.page.keyboard.press("Enter")  # at the end: play again from the beginning
        assert play.get_attribute("aria-label") == "Pause"
        tab.page.keyboard.press("Enter")
        step = player.get_by_role("button", name="Step", exact=True)
        tab.page.keyboard.press("Home")
        step.focus()
        tab.page.keyboard.press("Enter")
        assert scrubber.input_value() == "1"
        tab.page.keyboard.press("End")
    tab.settle()


def test_a_cell_opens_and_closes_by_keyboard(tab: Visit) -> None:
    tab.section(0, word="emma")
    cells = tab.page.locator("main .cells").first
    cells.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Enter")
    opened = tab.page.locator(".opened dl")
    opened.wait_for()
    tab.page.keyboard.press("Escape")
    opened.wait_for(state="detached")


def test_every_control_is_reached_by_tab(tab: Visit) -> None:
    """Tab moves the focus through the whole section: nothing traps it, and every control can have it."""
    tab.section(8)
    missing = tab.page.evaluate(
        """() => [...document.querySelectorAll('main :is(button, input, select):not([disabled], [role=radio])')]
          .filter((e) => e.checkVisibility() && e.tabIndex < 0).map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert missing == []
    tab.page.locator(".skip").focus()
    count = tab.page.evaluate("document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]').length")
    for _ in range(count + 5):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.closest('footer') !== null"):
            return
    pytest.fail("the focus did not reach the end of the section")


def test_reduced_motion_turns_animation_into_steps(tab: Visit) -> None:
    tab.page.emulate_media(reduced_motion="reduce")
    try:
        for section in range(SECTIONS):
            tab.section(section)
            moving = tab.page.evaluate(
                """() => [...document.querySelectorAll('body *')].filter((e) => {
                  const { transitionDuration, animationDuration, animationName } = getComputedStyle(e)
                  return transitionDuration.split(', ').some((t) => parseFloat(t) > 0) ||
                    (animationName !== 'none' && parseFloat(animationDuration) > 0)
                }).map((e) => e.outerHTML.slice(0, 80))"""
            )
            assert moving == [], section
            assert tab.page.evaluate("document.getAnimations().length") == 0
    finally:
        tab.page.emulate_media(reduced_motion="no-preference")
