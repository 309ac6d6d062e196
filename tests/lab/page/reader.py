"""A reader who does the exercises: presses buttons, chooses options and types on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lab.page.browser import Visit

WAIT = 180_000  # milliseconds, enough to train a model


class Reader:
    """A reader who does the exercises in a tab."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page

    # --- the exercise

    def begin(self, title: str) -> None:
        self.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
        self.page.get_by_role("dialog").get_by_role("button", name=title).first.click()
        self.page.get_by_role("region", name=title).wait_for()
        self.page.wait_for_function("() => unanswered === 0", timeout=WAIT)
        self.tab.settle()

    @property
    def card(self) -> Any:
        return self.page.locator("main .exercise")

    def check(self) -> str:
        self.card.get_by_role("button", name="Check").click()
        verdict = self.card.locator(".verdict .said")
        verdict.wait_for(timeout=WAIT)
        return str(verdict.inner_text())

    def predict(self, value: str) -> None:
        self.card.locator("input[type=radio]").first.wait_for()
        self.card.locator(f"input[value='{value}']").check()

    # --- the page

    def figure(self, title: str) -> Any:
        return self.page.locator("main figure").filter(has=self.page.get_by_role("heading", name=title))

    def press(self, figure: str, button: str) -> None:
        self.figure(figure).get_by_role("button", name=button, exact=True).first.click()
        self.tab.settle()

    def choose(self, figure: str, option: str) -> None:
        self.figure(figure).get_by_role("radio", name=option, exact=True).first.click()
        self.tab.settle()

    def follow(self, word: str) -> None:
        self.page.locator("#word").fill(word)
        self.tab.settle()

    def open(self, path: str) -> None:
        box = self.page.get_by_role("combobox", name="find a number")
        box.fill(path)
        self.page.locator("[role=option] .path").filter(has_text=re.compile(f"^{re.escape(path)}$")).wait_for()
        box.press("Enter")
        self.page.locator(".opened h2").filter(has_text=path).wait_for()
        self.tab.settle()

    def slide(self, figure: str, label: str, value: float) -> None:
        named = self.page.get_by_text(label, exact=True)
        self.figure(figure).locator("label").filter(has=named).locator("input[type=range]").fill(str(value))
        self.tab.settle()

    def line(self, text: str) -> None:
        lines = self.tab.ask("source")["lines"]
        number = next(i for i, line in enumerate(lines, 1) if text in line)
        self.page.locator(f".source li[data-line='{number}'] .gutter").click()

    def unit(self, matches: Callable[[int], bool]) -> None:
        """Move on the board of gates from the first unit to one that matches."""
        board = self.figure("Open or closed").locator(".board")
        board.focus()
        for _ in range(64):
            board.press("ArrowLeft")
        for unit in range(64):
            if unit:
                board.press("ArrowRight")
            if matches(unit):
                return

    def train(self, steps: int) -> None:
        self.page.get_by_role("button", name=f"train {steps}", exact=True).click()
        self.page.get_by_role("button", name="Pause training").wait_for(state="detached", timeout=WAIT)
        self.tab.settle()
