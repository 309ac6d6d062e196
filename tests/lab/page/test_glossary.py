"""The glossary: a word opens its explanation beside it, and every linked term exists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lab.page.axe import violations
from lab.page.browser import ROOT, SECTIONS, SIZES, Visit
from lab.page.typed_figures import figures

WEB = ROOT / "web" / "src"
TERM = re.compile(r"\]\(term:([^)]*)\)")


def terms() -> dict[str, dict[str, str]]:
    """Return the glossary: term -> name, plain and technical words."""
    text = (WEB / "glossary" / "text.ts").read_text(encoding="utf-8").partition("  terms: {\n")[2]
    entries = re.findall(r"(?m)^    (?:'([\w-]+)'|(\w+)): \{\n(.*?)^    \},", text, re.S | re.M)
    return {quoted or bare: dict(re.findall(r"(\w+):\s+'((?:[^'\\]|\\.)*)'", body)) for quoted, bare, body in entries}


def linked() -> dict[str, set[str]]:
    """Return the terms that the page's texts link, file by file."""
    files = [*WEB.rglob("*.ts"), *WEB.rglob("*.svelte"), *WEB.rglob("*.md")]
    found = {path.relative_to(WEB).as_posix(): set(TERM.findall(path.read_text(encoding="utf-8"))) for path in files}
    return {name: names for name, names in found.items() if names and not name.startswith(("glossary/", "parts/"))}


def test_every_term_has_plain_and_technical_words() -> None:
    assert 35 < len(terms()) < 80
    for name, entry in terms().items():
        assert set(entry) == {"name", "plain", "technical"}, name
        sentences = [len(re.findall(r"[.!?](?= |$)", entry[level])) for level in ("plain", "technical")]
        assert 2 <= sum(sentences) <= 6, name
        assert len(" ".join(entry.values())) < 420, name


def test_plain_words_of_a_term_are_plain() -> None:
    assert {name for name, entry in terms().items() if re.search(r"`|[√Σ∂∇]", entry["plain"])} == set()


def test_the_glossary_types_no_number_of_the_model() -> None:
    typed = {(name, level): figures(text) for name, entry in terms().items() for level, text in entry.items()}
    constants = {("nat", "plain"), ("nat", "technical"), ("rmsnorm", "technical")}  # of mathematics and of the code
    assert {key: found for key, found in typed.items() if found and key not in constants} == {}


def test_every_linked_term_exists() -> None:
    assert {name: unknown for name, links in linked().items() if (unknown := links - set(terms()))} == {}


@pytest.mark.parametrize("section", range(SECTIONS))
def test_a_sections_prose_links_terms(tab: Visit, section: int) -> None:
    tab.section(section, level="both")
    assert tab.page.locator("main .term").count() > 0


@pytest.mark.parametrize("size", SIZES)
def test_a_word_opens_its_explanation(tab: Visit, axe: str, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    tab.section(5)
    word = tab.page.locator("main .term").first
    word.focus()
    tab.page.keyboard.press("Enter")
    box = tab.page.locator("main [popover]:popover-open")
    box.locator("b").wait_for()
    assert len(box.inner_text().split()) > 12
    place = box.bounding_box()
    assert place
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= SIZES[size]["width"]
    assert place["y"] + place["height"] <= SIZES[size]["height"]
    assert violations(tab, axe) == []
    tab.page.keyboard.press("Escape")
    assert box.count() == 0
    assert tab.page.evaluate("document.activeElement.className").startswith("term")
    word.click()
    box.locator("b").wait_for()
    tab.page.locator("main h2").click()  # elsewhere
    assert box.count() == 0
    tab.section(0)
    tab.page.set_viewport_size(SIZES["wide"])


def test_an_explanation_that_comes_too_late_is_not_placed(visit: Visit) -> None:
    visit.open("#section=attention")
    visit.ready()
    visit.page.locator("main .term").first.wait_for()
    held: list[Any] = []
    visit.page.route("**/*.js", lambda route: held.append(route))
    visit.page.locator("main .term").first.click()
    while not held:
        visit.frames()
    visit.go(play="end")  # while the glossary's texts are on their way
    for route in held:
        route.continue_()
    visit.page.unroute("**/*.js")
    visit.page.get_by_role("heading", name="The big picture").wait_for()
    visit.frames()  # closing the tab checks that no error was written


def test_escape_closes_only_the_explanation(tab: Visit) -> None:
    tab.section(5, number="loss")
    tab.page.locator("main .term").first.click()
    tab.page.locator("main [popover]:popover-open b").wait_for()
    tab.page.keyboard.press("Escape")
    assert tab.page.locator(".opened").count() == 1
    tab.section(0)


def test_the_contents_lead_to_all_terms(tab: Visit, axe: str) -> None:
    tab.section(0)
    tab.page.get_by_role("button", name="Glossary").click()
    tab.page.locator("dialog[open] li b").nth(len(terms()) - 1).wait_for()
    assert tab.page.locator("dialog[open] li").count() == len(terms())
    names = tab.page.locator("dialog[open] li b").all_inner_texts()
    assert names == sorted(names, key=str.casefold)
    assert violations(tab, axe) == []
    tab.page.keyboard.press("Escape")
    tab.page.locator("dialog").wait_for(state="detached")
