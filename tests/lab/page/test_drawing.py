"""Every figure as an SVG: an XML parser reads it, it contains every visible number, and a browser renders it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from lab.page.browser import FOLDERS, NAMES, SECTIONS, Visit

SVG = "{http://www.w3.org/2000/svg}"

# The visible numbers of a figure: those with a path, and those in its SVGs
NUMBERS = """(figure) => [...figure.querySelectorAll('[data-path][data-value], svg text')]
  .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((e) => !e.closest('.visually-hidden'))
  .map((e) => [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join(' ').trim())
  .filter((text) => /\\d/.test(text))"""

# The size of the picture in a browser, its number of colours, and the share of it that is not background
RENDERED = """async (text) => {
  const address = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }))
  const image = new Image()
  await new Promise((resolve, reject) => { image.onload = resolve; image.onerror = reject; image.src = address })
  URL.revokeObjectURL(address)
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height })
  const context = canvas.getContext('2d')
  context.drawImage(image, 0, 0)
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height)
  const counts = new Map()
  for (let i = 0; i < data.length; i += 4) {
    const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2]
    counts.set(colour, (counts.get(colour) ?? 0) + 1)
  }
  return [image.width, image.height, counts.size, 1 - Math.max(...counts.values()) / (data.length / 4)]
}"""


def saved(tab: Visit, figure: Any) -> str:
    """Click the save button of a figure, and return the SVG."""
    figure.hover()
    with tab.page.expect_download() as download:
        figure.locator("[data-tool].tool").click()
    assert download.value.suggested_filename.endswith(".svg")
    return Path(download.value.path()).read_text(encoding="utf-8")


def words(root: ElementTree.Element) -> str:
    return " ".join(" ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text")).split())


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_every_figure_is_saved_as_an_svg(tab: Visit, section: int) -> None:
    tab.section(section, word="emma")
    figures = tab.page.locator("main figure").all()
    assert figures
    for figure in figures:
        title = figure.locator("h3").first.inner_text()
        numbers = figure.evaluate(NUMBERS)
        text = saved(tab, figure)
        root = ElementTree.fromstring(text)
        assert root.findtext(f"{SVG}title") == title
        assert f"section={NAMES[section]}" in (root.findtext(f"{SVG}desc") or "") or section == 0
        shown = words(root)
        assert title in shown
        assert [number for number in numbers if " ".join(number.split()) not in shown] == [], title
        assert not re.search(r"foreignObject|var\(|color-mix|light-dark|oklab|<script|class=", text), title
        assert all(value.startswith("data:") or value.startswith("#") for value in re.findall(r'href="([^"]*)"', text))
        width, height, colours, drawn = tab.page.evaluate(RENDERED, text)
        assert width > 200, title
        assert height > 50, title
        assert colours > 8, title
        assert drawn > 0.005, title


# The texts of a figure's controls, which only work on the page; the texts of the chosen options; the number of sliders
CONTROLS = """(figure) => {
  const text = (where) => [...figure.querySelectorAll(where)]
    .filter((e) => e.checkVisibility() && !e.closest('ol, ul, table'))
    .map((e) => e.innerText.trim())
    .filter((text) => /[a-z]{3}/i.test(text))
  return [
    text('[role=radio][aria-checked=false], button.primary, button[aria-expanded]'),
    text('[role=radio][aria-checked=true], .slider output, .player output'),
    [...figure.querySelectorAll('input[type=range]')].filter((e) => e.checkVisibility()).length,
  ]
}"""
# Pseudo-elements that are not positioned: the SVG would lack them
UNPLACED = """() => [...document.querySelectorAll('main figure *')].filter((e) => e.checkVisibility()).flatMap((e) =>
  ['::before', '::after'].filter((which) => {
    const style = getComputedStyle(e, which)
    return !['none', 'normal'].includes(style.content) && style.display !== 'none' && style.position !== 'absolute'
  }).map((which) => e.className + which))"""


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_controls_are_left_out_and_their_values_stay(tab: Visit, section: int) -> None:
    tab.section(section, word="emma")
    assert tab.page.evaluate(UNPLACED) == []
    for figure in tab.page.locator("main figure").all():
        left_out, kept, sliders = figure.evaluate(CONTROLS)
        root = ElementTree.fromstring(saved(tab, figure))
        shown = {" ".join("".join(text.itertext()).split()) for text in root.iter(f"{SVG}text")}
        assert shown & set(left_out) - set(kept) == set()
        assert [text for text in kept if text not in " ".join(words(root).split())] == []
        assert figure.locator("input[type=range]:visible").count() == sliders  # the page still has them


def test_a_figure_with_a_slider_keeps_its_value(tab: Visit) -> None:
    tab.section(5, word="emma", head=2)
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name="From uniform to peaked"))
    figure.locator("input[type=range]").fill("7.3")
    tab.settle()
    shown = words(ElementTree.fromstring(saved(tab, figure)))
    assert "multiply scores by 7.3" in shown
    assert "head 2 position 3 m" in shown
    assert "uniform: " not in shown
    assert "peaked" not in shown.removeprefix("From uniform to peaked")


def test_the_svg_of_an_editor_has_its_text(tab: Visit) -> None:
    tab.section(FOLDERS.index("10-workbench"))
    figure = tab.page.locator("main figure").first
    figure.get_by_role("textbox").first.wait_for()
    tab.page.locator("main .cm-scroller").first.evaluate("(editor) => (editor.scrollTop = 0)")  # draws what is in sight
    tab.page.locator("main .cm-line").filter(has_text="import gc, math").first.wait_for()
    assert "import gc, math, random, sys" in words(ElementTree.fromstring(saved(tab, figure)))


def test_the_svg_of_a_dark_page_is_light_and_the_page_stays_dark(tab: Visit) -> None:
    tab.section(5, word="emma")
    figure = tab.page.locator("main figure").first
    light = saved(tab, figure)
    tab.section(5, word="emma", theme="dark")
    before = tab.page.locator("main").inner_html()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = tab.page.evaluate(ground)
    assert saved(tab, figure).replace("&amp;theme=dark", "") == light
    assert tab.page.evaluate(ground) == dark
    assert tab.page.locator("main").inner_html() == before
    assert "theme=dark" in tab.page.evaluate("location.hash")
    tab.section(5, word="emma", theme="auto")


def test_the_save_button_is_visible_when_it_has_the_focus(tab: Visit) -> None:
    tab.section(0)
    tab.page.mouse.move(0, 0)
    button = tab.page.locator("main figure [data-tool]").first
    opacity = "(e) => getComputedStyle(e).opacity"
    assert button.evaluate(opacity) == "0"
    button.focus()
    assert button.evaluate(opacity) == "1"
    with tab.page.expect_download():
        tab.page.keyboard.press("Enter")
