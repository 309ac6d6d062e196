"""The frame of the page: sticky parts, the room for an open number, Escape, the way back, and any host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from microgpt.lab.server import SITE, Pages, export

from lab.page.browser import SIZES, Visit
from lab.page.plain_host import plain_host

NUMBER = "pos3.layer0.q[9]"
BOX = """(selector) => {
  const { left, top, right, bottom } = document.querySelector(selector).getBoundingClientRect()
  return [left, top, right, bottom]
}"""


@pytest.fixture
def shell(tab: Visit) -> Iterator[Visit]:
    yield tab
    tab.page.set_viewport_size(SIZES["wide"])
    go(tab, section=0)


def go(tab: Visit, **state: object) -> None:
    tab.go(**{"word": "emma", **state})
    tab.settle()


def box(tab: Visit, selector: str) -> list[float]:
    """Return an element's left, top, right and bottom in the window."""
    found: list[float] = tab.page.evaluate(BOX, selector)
    return found


def overlap(a: list[float], b: list[float]) -> bool:
    return a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1


def playing(tab: Visit) -> bool:
    return bool(tab.page.evaluate("Boolean(document.querySelector('.transport'))"))


# --- Sticky parts


@pytest.mark.parametrize("width", [1440, 1024])
def test_the_columns_stay_below_the_head_at_any_height(shell: Visit, width: int) -> None:
    shell.page.set_viewport_size({"width": width, "height": 900})
    go(shell, section=4)
    quiet = box(shell, "header.top")[3]
    go(shell, section=4, word="ñandú")
    shell.page.get_by_text("The model cannot read").wait_for()
    for scrolled in (0, 700):
        shell.page.evaluate("(y) => scrollTo(0, y)", scrolled)
        shell.frames()
        head = box(shell, "header.top")[3]
        assert head > quiet + 10  # the message makes the head higher
        sides = [".left"] if width < 1181 else [".left", "aside.right"]
        for side in sides:
            _, top, _, bottom = box(shell, side)
            assert top == pytest.approx(head, abs=1), side
            assert bottom == pytest.approx(900, abs=1), side
        if not scrolled:
            assert box(shell, "main")[1] >= head - 1


def test_the_titles_of_the_contents_are_left_aligned(shell: Visit) -> None:
    lefts = shell.page.evaluate(
        "() => [...document.querySelectorAll('nav .name')].map((e) => e.getBoundingClientRect().left)"
    )
    assert len(lefts) > 11
    assert max(lefts) - min(lefts) < 1


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(10))
def test_parts_that_scroll_sideways_are_marked(shell: Visit, section: int) -> None:
    shell.page.set_viewport_size(SIZES["phone"])
    go(shell, section=section)
    shell.frames()
    boxes: list[tuple[str, bool, str]] = shell.page.evaluate(
        """() => [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() &&
          ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1)
          .map((e) => [e.outerHTML.slice(0, 80), e.hasAttribute('data-more-right'), getComputedStyle(e).maskImage])"""
    )
    assert [text for text, marked, mask in boxes if not marked or "gradient" not in mask] == []
    if section == 5:
        assert boxes
    shell.page.evaluate("document.querySelectorAll('[data-more-right]').forEach((e) => e.scrollTo(1e6, 0))")
    shell.frames()
    assert shell.page.locator("main [data-more-right]").count() == 0  # at the right end nothing more follows
    assert shell.page.locator("main [data-more-left]").count() == len(boxes)


# --- An open number


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1440, 900), (1280, 720), (1181, 720)])
def test_an_open_number_fits_next_to_the_playhead(shell: Visit, width: int, height: int) -> None:
    shell.page.set_viewport_size({"width": width, "height": height})
    go(shell, play="forward", at=60, number=NUMBER)
    shell.page.locator(".opened dl").wait_for()
    shell.page.locator(".variables").wait_for()
    selectors = ["main figure", ".opened", ".source", ".find", ".transport", "header.top"]
    boxes = {selector: box(shell, selector) for selector in selectors}
    for one in (".opened", ".source", ".find"):
        assert not [other for other in selectors if other != one and overlap(boxes[one], boxes[other])], one
        assert boxes[one][2] <= width
    assert boxes["main figure"][2] - boxes["main figure"][0] > 400
    assert boxes[".opened"][3] - boxes[".opened"][1] > 0.6 * height
    shell.page.wait_for_function(  # the source scrolls smoothly
        """() => {
          const box = (selector) => document.querySelector(selector).getBoundingClientRect()
          const [lit, list] = [box('.source li.lit'), box('.source ol')]
          return lit.top >= list.top && lit.bottom <= list.bottom
        }"""
    )
    lines, variables = box(shell, ".source ol"), box(shell, ".variables")
    assert lines[3] - lines[1] > 150
    assert variables[3] <= boxes[".source"][3] + 1


def test_on_a_phone_the_figure_is_visible_above_an_open_number(shell: Visit) -> None:
    """Next to the playhead, the number only shows its name and value until it is unfolded."""
    shell.page.set_viewport_size(SIZES["phone"])
    go(shell, play="forward", at=60, number=NUMBER)
    shell.page.locator(".opened dl").wait_for()
    _, top, _, bottom = box(shell, ".opened")
    assert bottom - top < 0.15 * 844
    assert bottom == pytest.approx(box(shell, ".transport")[1], abs=1)
    assert not shell.page.locator(".opened details").first.is_visible()
    shell.page.get_by_role("button", name="expand").click()
    shell.page.locator(".opened table").first.wait_for()
    shell.settle()
    assert box(shell, ".opened")[3] == pytest.approx(box(shell, ".transport")[1], abs=1)
    shell.page.evaluate("scrollTo(0, 1e6)")  # at the end of the page it covers nothing
    shell.frames()
    assert box(shell, ".source")[3] <= box(shell, ".opened")[1] + 1
    go(shell, section=4)
    go(shell, section=4, number=NUMBER)  # in a section it opens unfolded
    shell.page.locator(".opened table").first.wait_for()


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1280, 720)])
def test_in_a_presentation_a_number_is_next_to_the_figure_in_large_type(shell: Visit, width: int, height: int) -> None:
    shell.page.set_viewport_size({"width": width, "height": height})
    go(shell, section=5, present=2, hide="source,contents", number=NUMBER)
    shell.page.locator(".opened table").first.wait_for()
    shell.settle()
    selectors = ["main figure:not([data-offscreen])", ".screens", "header.top"]
    opened = box(shell, ".opened")
    assert not [selector for selector in selectors if overlap(opened, box(shell, selector))]
    assert opened[2] <= width
    sizes = shell.page.evaluate(
        """() => ['.opened dd', '.opened td .mono, .opened td.mono'].map((selector) => {
          const e = document.querySelector(selector)
          return parseFloat(getComputedStyle(e).fontSize) * e.currentCSSZoom
        })"""
    )
    assert sizes[0] > 26
    assert sizes[1] > (16 if width == 1920 else 13)
    assert shell.page.evaluate("document.documentElement.scrollWidth") <= width


# --- Escape, and the way back


def test_escape_closes_the_innermost_part_first(shell: Visit) -> None:
    go(shell, section=5, play="forward", at=60, number=NUMBER)
    shell.page.locator(".opened dl").wait_for()
    search = shell.page.get_by_role("combobox", name="find a number")
    search.fill("loss")
    shell.page.locator(".find [role=option]").first.wait_for()

    def state() -> tuple[bool, str, bool, bool]:
        expanded = search.get_attribute("aria-expanded") == "true"
        return expanded, search.input_value(), shell.page.locator(".opened").count() == 1, playing(shell)

    seen = [state()]
    for _ in range(4):
        shell.page.keyboard.press("Escape")
        shell.frames()
        seen.append(state())
    assert seen == [
        (True, "loss", True, True),
        (False, "loss", True, True),
        (False, "", True, True),
        (False, "", False, True),
        (False, "", False, False),
    ]
    shell.settle()
    assert shell.page.locator("main h2").inner_text() == "Attention"


def test_escape_closes_a_dialog_but_not_the_playhead_behind_it(shell: Visit) -> None:
    go(shell, section=5, play="forward", at=60)
    shell.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    shell.page.get_by_role("dialog").wait_for()
    shell.page.keyboard.press("Escape")
    shell.page.get_by_role("dialog").wait_for(state="detached")
    assert playing(shell)
    shell.page.keyboard.press("Escape")
    shell.page.locator(".transport").wait_for(state="detached")


def test_in_a_presentation_escape_leaves_the_playhead_first(shell: Visit) -> None:
    go(shell, section=5, present=1, hide="source,contents", play="forward")
    shell.page.keyboard.press("Escape")
    shell.page.locator(".transport").wait_for(state="detached")
    assert "present=1" in shell.page.evaluate("location.hash")
    shell.page.keyboard.press("Escape")
    shell.page.locator(".screens").wait_for(state="detached")


LEAVE: dict[str, Any] = {
    "Escape": lambda page: page.keyboard.press("Escape"),
    "the button": lambda page: page.get_by_role("button", name="exit", exact=True).click(),
    "the browser's way back": lambda page: page.go_back(),
    "the contents": lambda page: page.get_by_role("button", name="Play the program").click(),
}


@pytest.mark.parametrize("way", LEAVE)
@pytest.mark.parametrize("size", SIZES)
def test_leaving_the_playhead_restores_the_scroll_position(shell: Visit, size: str, way: str) -> None:
    shell.page.set_viewport_size(SIZES[size])
    go(shell, section=5)
    figure = shell.page.locator("main figure").nth(3)
    figure.scroll_into_view_if_needed()
    shell.page.evaluate("scrollBy(0, 123)")
    shell.frames()
    before = figure.bounding_box()["y"]
    assert shell.page.evaluate("scrollY") > 1000
    shell.page.get_by_role("button", name="Play the program").click()
    shell.page.locator("main .beat").wait_for()
    assert 0 <= shell.page.locator("main .beat").bounding_box()["y"] < 200  # the tour begins at its top
    LEAVE[way](shell.page)
    shell.page.locator(".transport").wait_for(state="detached")
    shell.settle()
    assert figure.bounding_box()["y"] == pytest.approx(before, abs=2)


def test_another_section_begins_at_its_top(shell: Visit) -> None:
    go(shell, section=5)
    shell.page.evaluate("scrollTo(0, 2000)")
    shell.page.get_by_role("button", name="Play the program").click()
    shell.page.locator("main .beat").wait_for()
    shell.page.get_by_role("link", name="Training").click()
    shell.page.locator(".transport").wait_for(state="detached")
    shell.settle()
    assert shell.page.evaluate("scrollY") == 0


# --- Any host


@pytest.mark.parametrize("how", ["as it is built", "exported"])
def test_a_plain_host_has_everything_that_the_page_requests(visit: Visit, tmp_path: Any, how: str) -> None:
    export(Pages(), tmp_path / "page")
    folder = SITE if how == "as it is built" else tmp_path / "page"
    missing: list[tuple[str, int]] = []
    visit.page.on(
        "response", lambda response: response.status >= 400 and missing.append((response.url, response.status))
    )
    with plain_host(folder) as address:
        visit.address = address
        visit.open("#section=8")
        visit.ready()
        visit.page.wait_for_load_state("networkidle")  # leaving would end requests, which is an error in the console
        with visit.page.expect_response("**/runs/index.json"):
            visit.open("?again#section=8")
        visit.ready()
        visit.settle()
        visit.page.wait_for_load_state("networkidle")
        visit.page.close()  # it loads the other sections when it has time, so perhaps only after the server has ended
    assert missing == []


# --- The source


@pytest.mark.parametrize(
    ("section", "line"), [(5, "def attention("), (9, "# --- 5."), (0, '"""A GPT'), (2, "# --- 2.")]
)
def test_the_source_is_scrolled_to_the_lines_of_the_section(shell: Visit, section: int, line: str) -> None:
    shell.page.mouse.move(1, 1)  # pointing at a figure shows its lines
    go(shell, section=1)  # another section, so that no line is left chosen
    go(shell, section=section)
    first = shell.page.evaluate("""() => {
      const list = document.querySelector('.source ol')
      const top = list.getBoundingClientRect().top
      return [...list.children].find((e) => e.getBoundingClientRect().bottom > top + 8).textContent
    }""")
    assert line in first
