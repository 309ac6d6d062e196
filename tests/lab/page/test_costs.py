"""Section 11 on the page: the ladder of engines runs and stops, a word is spelled, and a base model continues it."""

from __future__ import annotations

import pytest

from microgpt.config import Config
from microgpt.runs.run import Run

from lab.page.browser import FOLDERS, Visit

SECTION = FOLDERS.index("11-chatgpt")
MEASURED = """() => Object.fromEntries([...document.querySelectorAll('[data-path^="ladder."]')]
  .map((e) => [e.dataset.path.replace('ladder.', ''), Number(e.dataset.value)]))"""


def test_the_page_runs_the_ladder(tab: Visit) -> None:
    """A hundred steps in the browser: the last loss equals CPython's, and the kernel is much faster."""
    tab.section(SECTION)
    tab.page.get_by_role("button", name="Train for 100 steps with each engine").click()
    tab.page.locator('[data-path="ladder.native.float32.difference"]').wait_for(timeout=180_000)
    tab.settle()
    measured = tab.page.evaluate(MEASURED)
    loss = [step.loss for step in Run.begin("names", Config()).steps(until=100)][-1]
    assert measured["scalar.exact.loss"] == pytest.approx(loss, rel=0, abs=1e-9)
    assert measured["native.exact.difference"] < 1e-9
    assert measured["native.float32.difference"] < 1e-4
    assert measured["native.exact.ratio"] > 20
    assert measured["native.exact.ratio"] == pytest.approx(
        measured["scalar.exact.seconds"] / measured["native.exact.seconds"]
    )


def test_the_ladder_can_be_stopped(tab: Visit) -> None:
    tab.section(SECTION)
    start = tab.page.get_by_role("button", name="Train for 100 steps with each engine")
    start.click()
    tab.page.get_by_role("status").filter(has_text="The reference is at step").wait_for()
    tab.page.get_by_role("button", name="Stop", exact=True).click()
    start.wait_for()
    assert tab.ask("loss", word="emma")["mean"] > 0  # Python answers other requests again


def test_a_word_with_unknown_letters_is_spelled_in_bytes(tab: Visit) -> None:
    tab.section(SECTION)
    figure = tab.page.locator("figure").filter(has_text="A word as characters and bytes")
    figure.get_by_label("text", exact=True).fill("zoë")
    tab.settle()
    shown = figure.evaluate(
        "(f) => [...f.querySelectorAll('[data-path*=\".bytes[\"]')].map((e) => Number(e.dataset.value))"
    )
    assert bytes(shown).decode() == "zoë"
    assert "cannot read one of them" in figure.inner_text()


def test_a_base_model_continues_a_text(tab: Visit) -> None:
    """The figure shows the text that `microgpt sample` generates after the same prompt."""
    tab.section(SECTION)
    figure = tab.page.locator("figure").filter(has_text="Say something to the model")
    figure.get_by_label("you say").fill("bo")
    tab.settle()
    generated = tab.ask("generate", seed=42, index=0, temperature=0.5, prompt="bo")
    assert figure.locator(".said").inner_text() == generated["text"]
    assert generated["text"].startswith("bo")
