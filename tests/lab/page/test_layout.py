"""Rules 10 and 15 of the lab: the figure comes first, and the best figures are one click away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab.page.browser import SECTIONS, SIZES, Visit
from lab.page.visible import first_drawing

ABOVE = {"wide": 450, "phone": 520}  # pixels from the page's top
LEVELS = ["plain", "both"]


@pytest.fixture
def sized(tab: Visit) -> Iterator[Visit]:
    yield tab
    tab.page.set_viewport_size(SIZES["wide"])
    tab.section(0)


@pytest.mark.sampled(8)
@pytest.mark.parametrize("section", range(SECTIONS))
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", SIZES)
def test_the_first_figure_begins_high_on_the_page(sized: Visit, section: int, level: str, size: str) -> None:
    sized.page.set_viewport_size(SIZES[size])
    sized.section(section, level=level)
    found = first_drawing(sized)
    assert found, "the section has no drawing of data"
    assert found[0] < ABOVE[size]


def test_a_low_figure_would_be_found(sized: Visit) -> None:
    """A test of the test: neither headings nor controls count, and prose before a figure pushes it down."""
    sized.section(6)
    found = first_drawing(sized)
    assert found
    sized.page.evaluate("""() => {
      const figure = document.createElement('figure')
      figure.id = 'decoy'
      figure.innerHTML = '<h3>Title</h3><div><input type="range"></div>'
      for (const part of figure.children) part.style.height = '200px'
      document.querySelector('main').prepend(figure)
    }""")
    lower = first_drawing(sized)
    assert lower
    assert lower[0] > found[0] + 350
    sized.page.evaluate("document.querySelector('#decoy').remove()")


def drawn(tab: Visit, selector: str) -> dict[str, Any]:
    """Return the box of the first visible element, and the window's height."""
    box: dict[str, Any] = tab.page.evaluate(
        """(selector) => {
          const one = [...document.querySelectorAll(selector)].find((e) => e.checkVisibility())
          const { top, bottom, height } = one.getBoundingClientRect()
          return { top, bottom, height, window: innerHeight, scrolled: scrollY }
        }""",
        selector,
    )
    return box


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("section", "selector"),
    [("attention", "main figure :is(canvas, .cells)"), ("training", "main figure svg[role=img]")],
)
def test_the_heatmap_and_the_loss_curve_are_one_click_away(
    sized: Visit, section: str, selector: str, size: str
) -> None:
    sized.page.set_viewport_size(SIZES[size])
    sized.section(0)
    sized.page.locator(f"nav a[href='./#section={section}']").click()
    sized.page.locator(selector).first.wait_for()
    sized.settle()
    box = drawn(sized, selector)
    assert box["scrolled"] == 0
    shown = min(box["bottom"], box["window"]) - box["top"]
    assert box["top"] >= 0
    assert shown >= (box["height"] - 1 if size == "wide" else 150)
