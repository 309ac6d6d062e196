"""Rule 5 of the lab: for every eye and every hand. axe finds nothing, heatmaps have tables, keys do everything."""

from __future__ import annotations

import pytest

from lab_page import ROOT, SECTIONS, Visit

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
EVERY_SECTION = pytest.mark.parametrize("section", range(SECTIONS))
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source: the page's policy lets no such script in, so it comes by way of the driver."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    return AXE.read_text()


def violations(tab: Visit, axe: str, *rules: str) -> list[str]:
    """Of all of axe's rules, unless some are named."""
    if not tab.page.evaluate("'axe' in globalThis"):
        tab.page.evaluate(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = tab.page.evaluate("(options) => axe.run(options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {(node['any'] or node['all'] or node['none'])[0]['message']}"
        for rule in found
        for node in rule["nodes"]
    ]


@EVERY_SECTION
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing(tab: Visit, axe: str, section: int, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    tab.page.emulate_media(color_scheme="light")
    tab.section(section)
    assert violations(tab, axe) == []
    tab.page.emulate_media(color_scheme="dark")  # which changes colours and nothing else
    assert violations(tab, axe, "color-contrast") == []
    tab.page.emulate_media(color_scheme="light")


def test_axe_would_find_something(tab: Visit, axe: str) -> None:
    """The alarm rings."""
    tab.section(0)
    tab.page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img id=bare src=\"\">')")
    assert any(line.startswith("image-alt: ['#bare']") for line in violations(tab, axe))
    tab.page.evaluate("document.querySelector('#bare').remove()")


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
