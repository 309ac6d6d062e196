"""Openings that the reader overtakes, and addresses edited by hand: the page shows the last address.

The tests hold the page's scripts and the client's responses, and release them one by one in random order.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from conftest import whole
from lab.page.browser import GO, Visit

ADDRESSES = [
    *(f"section={name}" for name in ("minute", "data", "value", "forward", "attention", "surprise", "update")),
    *(f"section=forward&play={chapter}" for chapter in ("data", "forward", "backward", "sample", "end")),
    "section=attention&play=forward&at=60",
    "section=forward&number=pos3.layer0.q%5B9%5D",
    "section=update&number=loss&play=loss",
    "section=attention&exercise=break-causality",
]

# Lets a test hold the responses of the page's client
HOLD = """
globalThis.held = []
globalThis.holding = false
const { get, set } = Object.getOwnPropertyDescriptor(globalThis, 'lab')
Object.defineProperty(globalThis, 'lab', { configurable: true, get, set: (value) => {
  set(value)
  const ask = value.ask
  value.ask = (...request) => {
    const response = ask(...request)
    return holding ? new Promise((go) => held.push(go)).then(() => response) : response
  }
} })
"""
STATE = """() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((e) => e.innerText)
  return {
    address: location.hash,
    section: texts('nav [aria-current=page] .number'),
    title: texts('main > header h2'),
    parts: [...new Set([...document.querySelectorAll('main > *')].map((e) => e.localName))],
    playhead: [...document.querySelectorAll('.transport select')].map((e) => e.value),
    number: [...document.querySelectorAll('.opened')].map((e) => e.ariaLabel),
    exercise: texts('.exercise h2'),
  }
}"""
SAME = f"(state) => JSON.stringify(({STATE})()) === JSON.stringify(state)"


class Held:
    """A tab without Python whose scripts and responses a test releases."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.page = visit, visit.page
        self.scripts: list[Any] = []
        self.holding = False
        visit.context.add_init_script(HOLD)
        self.page.route("**/assets/*.js", self.hold)
        self.page.route("**/assets/worker-*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))

    def hold(self, route: Any) -> None:
        if self.holding:
            self.scripts.append(route)
        else:
            route.continue_()

    def open(self, address: str) -> dict[str, Any]:
        """Open an address directly; return the page's state once all of its parts are shown."""
        self.visit.open(f"#{address}")
        wanted = {name: f".{part}" for name, part in PARTS.items() if f"{name}=" in address}
        if "play" not in wanted:
            wanted["section"] = "main > figure, main > :has(figure)"
        elif re.search("play=(backward|sample)", address):
            wanted["chapter"] = "main .chapter"  # only Python can record it
        elif "play=end" not in address:
            wanted["chapter"] = "main .line"
        for selector in wanted.values():
            self.page.wait_for_selector(selector, state="attached")
        state: dict[str, Any] = self.page.evaluate(STATE)
        return state

    def start_holding(self, holds: bool) -> None:
        self.holding = holds
        self.page.evaluate("(holds) => { holding = holds }", holds)

    def release(self, rng: random.Random) -> bool:
        """Release a script or a response; return whether there was one."""
        responses = self.page.evaluate("held.length")
        at = rng.randrange(len(self.scripts) + responses or 1)
        if at < len(self.scripts):
            self.scripts.pop(at).continue_()
        elif responses:
            self.page.evaluate("(at) => held.splice(at, 1)[0]()", at - len(self.scripts))
        else:
            return False
        self.visit.responds()
        return True


# The parts of an address that show a part of the page
PARTS = {"play": "transport", "number": "opened", "exercise": "exercise"}


@pytest.fixture
def held(visit: Visit) -> Held:
    return Held(visit)


@pytest.fixture
def direct(chromium: Any, visit: Visit) -> Iterator[Held]:
    """Another tab, in which an address is opened directly."""
    other = Visit(chromium, visit.address)
    yield Held(other)
    other.close()


@pytest.mark.parametrize("part", [0, 1, *map(whole, range(2, 30))])
def test_the_page_shows_the_last_address_whatever_arrives_late(
    held: Held, direct: Held, rng: random.Random, part: int
) -> None:
    walk = [rng.choice(ADDRESSES) for _ in range(9)]
    print("part", part, "walk", walk)
    held.open(walk[0])
    held.start_holding(True)
    for address in walk[1:]:
        held.visit.go(**dict(parse_qsl(address)))
        for _ in range(rng.randrange(4)):
            held.release(rng)
    while held.release(rng):
        held.visit.frames()
    held.start_holding(False)
    while held.release(rng):
        pass
    expected = direct.open(walk[-1])
    held.page.wait_for_function(SAME, arg=expected)
    held.visit.frames()
    held.visit.responds()
    assert held.page.evaluate(STATE) == expected
    assert held.visit.errors == []


def test_a_chapter_that_arrives_after_the_reader_has_left_does_not_open(held: Held, rng: random.Random) -> None:
    """The button in a section opens its chapter; the reader goes elsewhere while the playhead's scripts load."""
    held.open("section=forward")
    held.start_holding(True)
    held.page.get_by_role("button", name="play “Forward”").click()
    held.visit.go(section="value")
    held.start_holding(False)
    while held.release(rng):
        pass
    held.page.wait_for_selector("main figure")
    # the module has arrived once the playhead opens for this address, which it does at its beginning
    held.visit.go(section="value", play="forward")
    held.page.wait_for_selector("main .line")
    assert held.page.locator(".transport input[type=range]").input_value() == "0"
    held.visit.go(section="value")
    held.page.wait_for_selector(".transport", state="detached")
    held.visit.frames()
    assert held.page.evaluate("location.hash") == "#section=value"


NAMES = ["section", "word", "position", "layer", "head", "number", "level", "theme", "play", "at", "weight"]
NAMES += ["exercise", "present", "hide", "config"]  # and step, which would train
VALUES = ["", "-1", "99", "9999999", "1e99", "9" * 400, "NaN", "nowhere", "__proto__", "%zz", "%ff", "%00", "[]"]
BAD = [f"{name}={value}" for name in NAMES for value in VALUES]
BAD += [f"{name}=99&{name}=nowhere&play=adam" for name in NAMES]
BAD += ["step=-2", "step=%zz", "step=NaN", "&&&=", "=&?#", "section=99&play=forward&at=9999999&number=%zz&present=99"]


def test_an_address_edited_by_hand_causes_no_error(held: Held) -> None:
    held.open("section=forward")
    for bad in BAD:
        held.page.evaluate(GO, bad)
        held.visit.frames()
        assert held.visit.errors == [], bad
        held.page.wait_for_selector("main h2", state="attached")


@pytest.mark.parametrize("bad", ["section=99", "section=99&play=nowhere&at=-1&exercise=nowhere&present=-1&position=-1"])
def test_a_page_opened_at_such_an_address_shows_the_first_section(held: Held, bad: str) -> None:
    held.visit.open(f"#{bad}")
    held.page.wait_for_selector("main figure")
    assert held.page.locator("main h2").first.inner_text() == "One minute"
    held.page.wait_for_function("() => !/99|nowhere|-1/.test(location.hash)")
