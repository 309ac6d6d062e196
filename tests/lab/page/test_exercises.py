"""Exercises: wrong at first, right after the right actions on the page, and judged with the real numbers."""

from __future__ import annotations

import re

import pytest

from lab.page.axe import violations
from lab.page.browser import ROOT, SIZES, Visit
from lab.page.reader import Reader
from lab.page.solutions import DONE, LINES, NUMBERS, PREDICTIONS, greatest, program


def written() -> dict[str, int]:
    """Return the section of every exercise of the page."""
    found = {}
    for file in sorted((ROOT / "web" / "src" / "exercises").glob("[0-9]*.ts")):
        for id in re.findall(r"^    id: '([\w-]+)'", file.read_text(), re.M):
            found[id] = int(file.name.partition("-")[0])
    return found


def test_every_exercise_has_a_solution() -> None:
    solved = [*PREDICTIONS, *LINES, *NUMBERS, *DONE]
    assert len(solved) == len(set(solved))
    assert set(solved) == set(written())


def test_every_section_has_exercises() -> None:
    of_section = list(written().values())
    assert len(of_section) >= 30
    assert all(of_section.count(section) >= 2 for section in range(11))


@pytest.mark.parametrize("id", PREDICTIONS)
def test_a_prediction_is_judged(reader: Reader, id: str) -> None:
    title, truth = PREDICTIONS[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. Choose an answer first.")
    right = truth()
    reader.card.locator("input[type=radio]").first.wait_for()
    offered = reader.card.locator("input[type=radio]").evaluate_all("(all) => all.map((one) => one.value)")
    assert right in offered
    for option in offered:
        reader.predict(option)
        assert reader.check().startswith("Right." if option == right else "Not yet."), option


@pytest.mark.parametrize("id", LINES)
def test_a_line_is_found(reader: Reader, id: str) -> None:
    title, piece = LINES[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. Choose a line first")
    reader.line("import gc, math, random, sys")
    assert reader.check().startswith("Not yet. Line")
    reader.line(piece)
    reader.page.mouse.move(600, 700)  # over a figure, which highlights other lines
    assert reader.check().startswith("Right.")


@pytest.mark.parametrize("id", NUMBERS)
def test_a_number_is_found(reader: Reader, id: str) -> None:
    title, path, other = NUMBERS[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. No number is open")
    reader.open(other)
    assert reader.check().startswith("Not yet.")
    reader.open(path())
    assert reader.check().startswith("Right.")


@pytest.mark.sampled(12)
@pytest.mark.parametrize("id", DONE)
def test_a_task_is_done(reader: Reader, id: str) -> None:
    title, work = DONE[id]
    if id == "make-two-runs-part":  # other exercises have left runs behind
        reader.page.reload()
        reader.tab.ready()
    reader.begin(title)
    assert reader.check().startswith("Not yet.")
    work(reader)
    reader.tab.settle()
    verdict = reader.check()
    assert verdict.startswith("Right."), verdict
    assert "…" not in verdict  # every fact is filled in


def test_another_attention_needs_an_edited_attention(reader: Reader) -> None:
    reader.begin("Attention of another kind")
    program(reader, "no residual")
    assert re.match(r"Not yet. Edited: gpt. Attention is unchanged.", reader.check())


def test_a_late_verdict_is_not_shown_in_another_exercise(reader: Reader) -> None:
    reader.begin("A word it expects")
    reader.page.evaluate(
        """() => {
          const ask = lab.ask.bind(lab)
          lab.ask = (...request) => {
            lab.ask = ask
            return new Promise((resolve) => { globalThis.release = resolve }).then(() => ask(...request))
          }
        }"""
    )
    reader.card.get_by_role("button", name="Check").click()
    reader.page.wait_for_function("() => globalThis.release")
    reader.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    reader.page.get_by_role("dialog").get_by_role("button", name="Surprise, in a line").first.click()
    reader.page.get_by_role("region", name="Surprise, in a line").wait_for()
    reader.page.evaluate("release()")
    reader.page.wait_for_function("() => document.querySelector('.exercise .verdict')?.textContent.trim() === ''")
    reader.tab.settle()
    assert reader.card.locator(".verdict .said").count() == 0


def test_a_link_begins_an_exercise(visit: Visit) -> None:
    visit.open("#section=6&word=olivia&position=0&exercise=the-greatest-surprise")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    assert reader.check().startswith("Not yet.")
    greatest(reader)
    assert reader.check().startswith("Right.")
    assert "exercise=the-greatest-surprise" in visit.page.evaluate("location.hash")


# --- Accessibility


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_exercises(tab: Visit, axe: str, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    reader = Reader(tab)
    for theme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=theme)
        reader.begin("Alone at position 0")
        reader.card.get_by_role("button", name="hint").click()
        reader.check()
        assert violations(tab, axe) == []
        tab.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
        tab.page.get_by_role("dialog").wait_for()
        assert violations(tab, axe) == []
        tab.page.keyboard.press("Escape")
    tab.page.emulate_media(color_scheme="light")
    tab.page.set_viewport_size(SIZES["wide"])


def test_an_exercise_can_be_done_with_only_the_keyboard(reader: Reader) -> None:
    reader.begin("Alone at position 0")
    page = reader.page
    assert page.evaluate("document.activeElement.textContent") == "Alone at position 0"
    for _ in range(3):  # past the card's own buttons
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    verdict = reader.card.locator(".verdict .said")
    verdict.wait_for()
    assert verdict.inner_text().startswith("Right.")


def test_an_exercise_fits_a_narrow_screen(tab: Visit) -> None:
    tab.page.set_viewport_size({"width": 320, "height": 640})
    reader = Reader(tab)
    reader.begin("Alone at position 0")
    width, window = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    tab.page.set_viewport_size(SIZES["wide"])
