"""Sections 0, 1 and 9 of the lab: their figures come before their prose, and what they say of a name is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from microgpt.lab.session import Session

from lab import session_client as client
from lab.page.browser import SIZES, Visit

BEGINS = {"wide": 450, "phone": 520}  # pixels from the top of the window, at most
# The tops of the figures' drawings that are at least 150 pixels high; neither a heading nor a row of controls is one
DRAWINGS = """() => [...document.querySelectorAll('main figure > :not(.head, .row, .player, figcaption, p, h4)')]
  .map((e) => e.getBoundingClientRect()).filter(({ height }) => height >= 150).map(({ top }) => top + scrollY)"""
SAYS = {"training": "in the data", "held out": "held out", None: "new"}
WORDS = """() => {  // of prose, captions and labels, without names, numbers, folded answers and controls
  const main = document.querySelector('main').cloneNode(true)
  const left = 'details > :not(summary), button, ol.mono, ul.mono, .foot, footer, [data-path], svg, .visually-hidden'
  for (const e of main.querySelectorAll(left)) e.remove()
  return main.textContent.match(/\\p{L}[\\p{L}’-]+/gu).length
}"""


@cache
def native() -> Session:
    return Session()


def ask(method: str, **params: Any) -> Any:
    """Return CPython's response to a request."""
    return client.ask(native(), method, **params)


@pytest.fixture
def phone(tab: Visit) -> Iterator[Visit]:
    tab.page.set_viewport_size(SIZES["phone"])
    yield tab
    tab.page.set_viewport_size(SIZES["wide"])


def figure(tab: Visit, title: str) -> Any:
    return tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name=title))


@pytest.mark.parametrize("section", [0, 1, 9])
@pytest.mark.parametrize("level", ["plain", "technical", "both"])
def test_the_figure_comes_first(tab: Visit, section: int, level: str) -> None:
    tab.section(section, level=level)
    assert tab.page.evaluate(DRAWINGS)[0] <= BEGINS["wide"]


@pytest.mark.parametrize("section", [0, 1, 9])
def test_the_figure_comes_first_on_a_phone(phone: Visit, section: int) -> None:
    phone.section(section, level="both")
    assert phone.page.evaluate(DRAWINGS)[0] <= BEGINS["phone"]


@pytest.mark.parametrize("section", [0, 1, 9])
def test_in_plain_words_there_are_few_and_no_code(tab: Visit, section: int) -> None:
    tab.section(section, level="plain")
    assert tab.page.evaluate(WORDS) <= 250
    text = tab.page.locator("main").inner_text()
    assert re.findall(r"logit|softmax|nats|BOS|lm_head|layer0|pos\d", text) == []


# --- One minute


def test_the_letters_of_the_map_can_be_chosen(tab: Visit) -> None:
    tab.section(0, word="emma")
    letters = tab.page.locator("main .letters button")
    assert [letter.inner_text().split()[0] for letter in letters.all()] == ["BOS", "e", "m", "m", "a"]
    for position in (1, 4):
        letters.nth(position).click()
        tab.settle()
        assert letters.nth(position).get_attribute("aria-pressed") == "true"
        assert f"position={position}" in tab.page.evaluate("location.hash")
        shown = tab.page.locator(f"main .bars [data-path^='pos{position}.probs']")
        probs = ask("forward", word="emma")["tensors"][f"pos{position}.probs"]["data"]
        values = [float(value.get_attribute("data-value")) for value in shown.all()]
        assert values == pytest.approx(sorted(probs, reverse=True)[: len(values)], abs=1e-12)
        # a strip for each letter so far, with the letter beside it
        labels = tab.page.locator("main .strips").first.locator(".label").all_inner_texts()
        assert labels == ["BOS", "e", "m", "m", "a"][: position + 1]


def test_only_a_name_in_the_data_says_what_really_came_next(tab: Visit) -> None:
    invented = next(text for text in ask("samples", seed=42, count=12, temperature=0.5)["texts"] if made_up(text))
    real = ask("data")["first"][0]
    for word, known in ((real, True), (invented, False)):
        tab.section(0, word=word, position=1)
        outcome = tab.page.locator("main .outcome")
        outcome.filter(has_text="really" if known else "Your word").wait_for()
        assert ("really" in outcome.inner_text()) == known
    tab.section(0, word="emma")


def made_up(text: str) -> bool:
    return len(text) > 2 and ask("known", text=text)["part"] is None


def test_each_name_says_whether_it_is_new(tab: Visit) -> None:
    tab.section(0)
    samples = ask("samples", seed=42, count=6, temperature=0.5)
    shown = tab.page.locator("main .names li button:not(.primary)")
    assert [text.split() for text in shown.all_inner_texts()] == [
        [name, *SAYS[part].split()] for name, part in zip(samples["texts"], samples["parts"])
    ]
    count = sum(part is None for part in samples["parts"])
    assert tab.page.locator("main .names").get_by_text(f"{count} of 6 are new").is_visible()


# --- Data and tokenizer


def test_the_vocabulary_is_a_grid_of_all_symbols_that_marks_them_in_the_documents(tab: Visit) -> None:
    tab.section(1)
    data, symbols = ask("data"), ask("model")["symbols"]
    grid = tab.page.locator("main .vocabulary li")
    assert [text.split() for text in grid.all_inner_texts()] == [[s or "BOS", str(i)] for i, s in enumerate(symbols)]
    grid.nth(1).get_by_role("button").click()
    documents = tab.page.locator("main .file li")
    assert documents.all_inner_texts()[:12] == list(data["first"])
    assert documents.locator("b").all_inner_texts() == [symbols[1]] * "".join(data["first"]).count(symbols[1])
    rest = data["num_docs"] - len(data["first"])
    assert documents.last.inner_text() == f"and {rest:,} more"
    tab.page.get_by_role("radio", name="training order").click()
    assert documents.all_inner_texts()[:12] == list(data["shuffled"])


# --- Generation


def test_ten_names_at_each_of_three_temperatures_follow_the_slider(tab: Visit) -> None:
    tab.section(9)
    evened = figure(tab, "The same logits, from cold to hot")
    boxes = evened.locator(".names")
    for yours in (0.5, 1.2):
        evened.get_by_role("slider", name="temperature", exact=True).fill(str(yours))
        tab.settle()
        for box, temperature in zip(boxes.all(), (0.2, yours, 2.0), strict=True):
            samples = ask("samples", seed=7, count=10, temperature=temperature)
            shown = [text.split(",")[0].strip() for text in box.locator("li").all_inner_texts()]
            assert shown == [text or "–" for text in samples["texts"]]
            assert box.locator(".known").count() == sum(part is not None for part in samples["parts"])
    tab.section(0)


def test_a_name_is_judged_only_when_its_last_letter_is_written(tab: Visit) -> None:
    tab.section(9)
    text = ask("generate", seed=42, index=0, temperature=0.5)["text"]
    novelty = figure(tab, "New or copied?")
    other = ask("generate", seed=7, index=0, temperature=0.5)["text"]
    assert novelty.locator("strong").inner_text() == other
    tab.page.locator("main .player").first.get_by_role("button", name="Step", exact=True).click()
    assert text not in tab.page.locator("main").inner_text()
    novelty.get_by_role("button", name="Finish it").click()
    tab.settle()
    assert novelty.locator("strong").inner_text() == text
    assert tab.page.locator("main .written").inner_text() == text
    tab.section(0)


@pytest.mark.parametrize("section", [0, 9])
def test_the_temperature_stands_beside_every_chance(tab: Visit, section: int) -> None:
    tab.section(section)
    for chart in tab.page.locator("main :is(.bars, .die)").all():
        beside = chart.locator("xpath=ancestor::*[.//*[starts-with(@data-path, 'temperature')]][1]")
        if chart.locator("[data-path*='probs']").count():
            assert beside.evaluate("(e) => e.tagName") != "MAIN"
            assert beside.evaluate("(e) => e.closest('figure') !== null")
