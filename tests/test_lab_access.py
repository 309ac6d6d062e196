"""Rule 5 of the lab: for every eye and every hand. axe finds nothing, tables stand behind heatmaps, keys do everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lab_page import ROOT, SECTIONS, CountingServer, Visit

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
EVERY_SECTION = pytest.mark.parametrize("section", range(SECTIONS))
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def lab(chromium: Any, lab_server: CountingServer) -> Iterator[Visit]:
    """A tab in which Python is ready, at the page's first state."""
    visit = Visit(chromium, lab_server.url)
    visit.open()
    assert visit.ready()["state"] == "ready"
    yield visit
    visit.context.close()
    assert (visit.refused, visit.errors) == ([], [])


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source: the page's policy lets no such script in, so it comes by way of the driver."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    return AXE.read_text()


def violations(lab: Visit, axe: str, *rules: str) -> list[str]:
    """Of all of axe's rules, unless some are named."""
    if not lab.page.evaluate("'axe' in globalThis"):
        lab.page.evaluate(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = lab.page.evaluate("(options) => axe.run(options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {(node['any'] or node['all'] or node['none'])[0]['message']}"
        for rule in found
        for node in rule["nodes"]
    ]


@EVERY_SECTION
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(lab: Visit, axe: str, section: int, size: str) -> None:
    lab.page.set_viewport_size(SIZES[size])
    lab.page.emulate_media(color_scheme="light")
    lab.section(section)
    assert violations(lab, axe) == []
    lab.page.emulate_media(color_scheme="dark")  # which changes colours and nothing else
    assert violations(lab, axe, "color-contrast") == []
    lab.page.emulate_media(color_scheme="light")


def test_axe_would_find_something(lab: Visit, axe: str) -> None:
    """The alarm rings."""
    lab.section(0)
    lab.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img id=bare src=\"\">')")
    assert any(line.startswith("image-alt: ['#bare']") for line in violations(lab, axe))
    lab.page.evaluate("document.querySelector('#bare').remove()")


@EVERY_SECTION
def test_nothing_scrolls_sideways_at_320_pixels(lab: Visit, section: int) -> None:
    lab.page.set_viewport_size({"width": 320, "height": 640})
    lab.section(section)
    wide = "() => [document.documentElement.scrollWidth, innerWidth]"
    width, window = lab.page.evaluate(wide)
    assert width <= window
    lab.page.evaluate("for (const table of document.querySelectorAll('main [aria-expanded=false]')) table.click()")
    lab.settle()
    width, window = lab.page.evaluate(wide)
    assert width <= window
    lab.page.set_viewport_size(SIZES["wide"])
