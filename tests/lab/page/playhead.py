"""The playhead of a tab, driven as a user would."""

from __future__ import annotations

from typing import Any

from lab.page.browser import Visit

READ = """() => {
  const main = document.querySelector('main').innerText
  const scrubber = document.querySelector('.transport input[type=range]')
  const variables = [...document.querySelectorAll('.variables dl > *')].map((e) => e.innerText)
  const lit = [...document.querySelectorAll('.source li.lit')].map((e) => Number(e.dataset.line))
  return { at: Number(scrubber.value), main, variables, lit }
}"""

BEATS = 27  # of the tour


class Head:
    """The playhead of a tab."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page

    def open(self, chapter: str, at: int = 0, **state: object) -> None:
        self.tab.go(section=4)
        self.tab.go(play=chapter, at=at, **state)
        self.page.wait_for_selector(".transport")
        self.page.wait_for_selector("main .line")
        self.tab.settle()

    def read(self) -> dict[str, Any]:
        self.tab.settle()
        shown: dict[str, Any] = self.page.evaluate(READ)
        return shown

    @property
    def at(self) -> int:
        return int(self.page.locator(".transport input[type=range]").input_value())

    @property
    def last(self) -> int:
        return int(self.page.locator(".transport input[type=range]").get_attribute("max") or 0)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def key(self, name: str) -> None:
        self.page.keyboard.press(name)
