"""The page for teachers: every link opens the lab in the state that it names, and the page is accessible."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from microgpt.lab.playback.chapters import CHAPTERS

from lab.page.axe import violations
from lab.page.browser import NAMES, ROOT, CountingServer, Visit
from lab.page.typed_figures import figures

PAGE = (ROOT / "web" / "teachers.html").read_text(encoding="utf-8")


class Links(HTMLParser):
    """Collects the addresses that the page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs)["href"] or "")


def links() -> list[str]:
    reader = Links()
    reader.feed(PAGE)
    return list(dict.fromkeys(reader.found))


def lines_played() -> dict[str, str]:
    """Return, for each link to the playhead, the piece of code that its text quotes, or an empty string."""
    found = {}
    for state, text in re.findall(r"<a\s+href=\"\./#([^\"]*play=[^\"]*)\"\s*>(.*?)</a>", PAGE, re.S):
        code = re.search(r"<code>(.*?)</code>", text, re.S)
        found[unescape(state)] = " ".join(unescape(code.group(1)).split()) if code else ""
    return found


PLAYED = lines_played()
STATES = [link.removeprefix("./#") for link in links() if link.startswith("./#")]
DEFAULTS = {"section": "minute", "word": "emma", "position": "3", "layer": "0", "head": "0", "level": "both", "at": "0"}


def test_every_section_has_a_link() -> None:
    assert {dict(parse_qsl(state))["section"] for state in STATES} == {*NAMES}
    assert all(link.startswith("./") for link in links())  # relative, so that any address can serve it


def test_the_lessons_play_every_chapter_except_loss() -> None:
    assert set(PLAYED) == {state for state in STATES if "play=" in state}
    assert {dict(parse_qsl(state))["play"] for state in PLAYED} == {*CHAPTERS} - {"loss"}
    assert sum(map(bool, PLAYED.values())) >= 7


def test_the_minutes_of_each_lesson_add_up() -> None:
    lessons = re.findall(r'<h2>([^<]*)<span class="soft">(\d+) minutes</span></h2>.*?<tbody>(.*?)</tbody>', PAGE, re.S)
    assert [int(total) for _, total, _ in lessons] == [45, 90]
    for title, total, rows in lessons:
        assert sum(map(int, re.findall(r"<td>(\d+)</td>", rows))) == int(total), title
        assert "section=attention" in rows, title


def test_links_within_the_page_lead_to_its_sections() -> None:
    within = [link.partition("#")[2] for link in links() if link.startswith("./teachers.html#")]
    assert within == re.findall(r'<section id="([\w-]+)">', PAGE)


@pytest.mark.parametrize("state", STATES)
def test_every_link_opens_the_state_that_it_names(tab: Visit, state: str) -> None:
    named = dict(parse_qsl(state))
    tab.go(section="chatgpt")  # away from the state of the previous link
    tab.page.wait_for_function("() => document.querySelector('.section p')?.textContent.startsWith('11 of')")
    tab.page.evaluate("(fragment) => { location.hash = fragment }", state)
    if "play" in named:
        tab.page.wait_for_selector(".transport")
        lit = tab.page.locator(".source li.lit")
        lit.first.wait_for()
        tab.settle()
        assert lit.count() == 1
        assert PLAYED[state] in lit.inner_text()
    else:
        tab.page.wait_for_function(
            "(number) => document.querySelector('.section p')?.textContent.startsWith(`${number} of`)",
            arg=NAMES.index(named["section"]),
        )
    tab.settle()
    now = dict(parse_qsl(tab.page.evaluate("location.hash.slice(1)")))
    assert now == {name: value for name, value in named.items() if DEFAULTS.get(name) != value}, urlencode(now)
    shown = [error for error in tab.page.locator("[role=alert], .error").all_text_contents() if error.strip()]
    assert shown == []
    assert "play" in named or tab.page.locator("main figure").first.count() == 1
    if "exercise" in named:
        tab.page.locator("main .exercise h2").wait_for()
    if "number" in named:
        tab.page.locator(".opened dl").wait_for()
        assert named["number"] in tab.page.locator(".opened").inner_text()
    if "present" in named:
        assert tab.page.get_by_role("navigation", name="Screens").is_visible()


@pytest.fixture(scope="module")
def teachers(chromium: Any, lab_server: CountingServer) -> Any:
    visit = Visit(chromium, lab_server.url)
    visit.page.goto(f"{lab_server.url}teachers.html")
    yield visit
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing(teachers: Visit, axe: str, width: int, scheme: Any) -> None:
    teachers.page.set_viewport_size({"width": width, "height": 900})
    teachers.page.emulate_media(color_scheme=scheme)
    assert violations(teachers, axe) == []


def test_the_page_does_not_scroll_sideways_at_320_pixels(teachers: Visit) -> None:
    teachers.page.set_viewport_size({"width": 320, "height": 640})
    width, window = teachers.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window


def test_the_page_needs_no_script(teachers: Visit) -> None:
    assert teachers.page.locator("script").count() == 0
    assert teachers.page.locator("h1").inner_text() == "For teachers"


def test_the_files_it_links_to_are_served(teachers: Visit) -> None:
    for link in links():
        if not link.startswith("./#"):
            response = teachers.page.request.get(f"{teachers.address}{link.removeprefix('./')}")
            assert response.ok, link


def test_the_lab_links_to_the_page_and_the_notebook(tab: Visit) -> None:
    tab.section(0)
    contents = tab.page.get_by_role("navigation", name="Sections")
    assert contents.get_by_role("link", name="for teachers").get_attribute("href") == "./teachers.html"
    assert contents.get_by_role("link", name="notebook").get_attribute("href") == "./microgpt.ipynb"


def test_the_page_types_no_number_of_the_model() -> None:
    """It may type minutes, the numbers in a timetable, and code."""
    text = re.sub(r"(?s)<!--.*?-->|<head>.*?</head>|<td>\d+</td>|<code>.*?</code>|\d+ minutes|<[^>]+>", " ", PAGE)
    assert figures(re.sub(r"\s+", " ", text)) == []
