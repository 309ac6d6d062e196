"""A player that moves, on a clock that the test turns: its moments, the places of what it moves, and the frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lab.page.browser import Visit

FRAME = 16  # ms, as Playwright's clock counts them

# The places of a figure's moving elements, each [what, text, x, y, width, height] in pixels from the figure's corner
PLACES = """(figure) => {
  const { left, top } = figure.getBoundingClientRect()
  return [...figure.querySelectorAll('[data-moves]')].filter((e) => e.checkVisibility({ visibilityProperty: true }))
    .map((e) => {
      const box = e.getBoundingClientRect()
      const numbers = [box.x - left, box.y - top, box.width, box.height].map((x) => Math.round(100 * x) / 100)
      return [e.dataset.moves, e.textContent.trim(), ...numbers]
    })
}"""
# What a figure says: its text, its numbers in full precision, and where the scrubber is
STATE = """(figure) => [
  figure.innerText,
  [...figure.querySelectorAll('[data-path]')].map((e) => [e.dataset.path, e.dataset.value, e.textContent]),
  figure.querySelector('.player input').value,
]"""
# Counts the changes of a figure and the requests since the count was last read
COUNT = """(figure) => {
  let [changes, requests] = [0, 0]
  const count = (records) => {
    for (const { type, addedNodes, removedNodes } of records)
      changes += type === 'childList' ? addedNodes.length + removedNodes.length : 1
  }
  const ask = lab.ask.bind(lab)
  lab.ask = (...request) => { requests += 1; return ask(...request) }
  const watcher = new MutationObserver(count)
  watcher.observe(figure, { subtree: true, childList: true, attributes: true, characterData: true })
  globalThis.counted = () => {
    count(watcher.takeRecords())
    const result = [changes, requests]
    ;[changes, requests] = [0, 0]
    return result
  }
}"""


class Mover:
    """A figure with a player, on a stopped clock: time passes only while a method says so."""

    def __init__(self, tab: Visit, title: str) -> None:
        self.tab, self.page = tab, tab.page
        heading = self.page.get_by_role("heading", name=title, exact=True)
        self.figure = self.page.locator("[data-act], figure").filter(has=heading).last  # an act is inside a figure
        self.player = self.figure.locator(".player")
        self.scrubber = self.player.locator("input[type=range]")

    @property
    def at(self) -> int:
        return int(self.scrubber.input_value())

    @property
    def last(self) -> int:
        return int(self.scrubber.get_attribute("max"))

    @property
    def play_button(self) -> Any:
        return self.player.locator("button.primary").element_handle()

    @property
    def plays(self) -> bool:
        return bool(self.player.locator("button.primary").get_attribute("aria-label") == "Pause")

    def places(self) -> list[list[Any]]:
        found: list[list[Any]] = self.figure.evaluate(PLACES)
        return found

    def box(self, locator: Any) -> list[Any]:
        """Return the place of one element, as `places` does."""
        found: list[Any] = locator.evaluate(
            """(e) => {
              const [box, from] = [e.getBoundingClientRect(), e.closest('figure').getBoundingClientRect()]
              return ['', e.textContent.trim(), box.x - from.x, box.y - from.y, box.width, box.height]
            }"""
        )
        return found

    def state(self) -> Any:
        return self.figure.evaluate(STATE)

    def press(self, name: str) -> None:
        self.player.get_by_role("button", name=name, exact=True).click()

    def scrub(self, at: int) -> None:
        self.scrubber.fill(str(at))

    def run(self, ms: float) -> None:
        self.page.clock.run_for(ms)

    def frames(self, count: int, ms: int = 3 * FRAME) -> Iterator[list[list[Any]]]:
        """Yield the places now and after each of `count` steps in time."""
        yield self.places()
        for _ in range(count):
            self.run(ms)
            yield self.places()

    def count(self) -> None:
        """Begin to count; `counted()` in the page returns the changes and requests since it was last called."""
        self.figure.evaluate(COUNT)

    def counted(self) -> tuple[int, int]:
        changes, requests = self.page.evaluate("counted()")
        return changes, requests

    def centre(self) -> None:
        """Scroll the figure to the middle of the screen, and wait for the page to notice."""
        self.figure.evaluate("(e) => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
        self.seen()

    def seen(self) -> None:
        """Wait for the page to notice what is in view: a browser notifies observers after one of its own frames."""
        self.figure.evaluate(
            "(e) => new Promise((done) => new IntersectionObserver((_, o) => (o.disconnect(), done())).observe(e))"
        )


class Case(NamedTuple):
    """A player that moves."""

    name: str
    section: int
    title: str  # of its figure
    question: str = ""  # behind which the figure is
    changes: int = 24  # nodes and attributes that a frame between two moments may change
    requests: int = 0  # that a moment may cause in the section's other figures
    play: str = ""  # the chapter of the played program that has the figure, in place of the section


CASES = [
    Case("arrival", 0, "Forward pass of “emma”"),
    Case("signal", 0, "One signal through all stages: “emma”", play="end"),
    Case("scale", 0, "4,192 and 175 billion on one scale", play="end"),
    Case("shuffle", 1, "The shuffle"),
    Case("tokenizer", 1, "Type anything"),
    Case("blame", 2, "An expression and its gradients", changes=32),
    Case("identity", 3, "A token’s row plus its position’s row"),
    Case("road", 4, "One position, beat by beat", changes=64),
    Case("spotlight", 5, "The spotlight", changes=64, requests=10),
    Case("cache", 5, "The lists grow", "Where do the earlier letters wait?", changes=48),
    Case("penalty", 6, "Surprise at each letter of “emma”", changes=32),
    Case(
        "hikers",
        7,
        "Two hikers: gradient descent and Adam on a real loss surface",
        "How do two hikers find the valley?",
    ),
    Case("loop", 8, "The loop: one step"),
    Case("die", 9, "One letter at a time", changes=32),
    Case("temperature", 9, "The same logits, from cold to hot", changes=32),
]
ARRIVAL, SIGNAL, SCALE, SHUFFLE, TOKENIZER, BLAME, IDENTITY, ROAD, SPOTLIGHT, CACHE, PENALTY = CASES[:11]
HIKERS, LOOP, DIE, TEMPERATURE = CASES[11:]


def show(tab: Visit, case: Case) -> Mover:
    """Go to a player while time passes."""
    if case.play:
        tab.go(play=case.play, word="emma")
    else:
        tab.section(6 if case.section == 3 else 3)  # away, so that the section begins in its first state
        tab.section(case.section, word="emma")
    return opened(tab, case)


def opened(tab: Visit, case: Case) -> Mover:
    """Wait for a player of the section that is open; if it is behind a question, open that."""
    mover = Mover(tab, case.title)
    if case.question and not mover.figure.count():
        tab.page.get_by_text(case.question).first.click()
    mover.player.wait_for()
    tab.settle()
    return mover


class Clocked(NamedTuple):
    """A tab in which Python is ready and all greetings are over; its clock stands still while a player is tested."""

    tab: Visit
    stops: Iterator[int]

    def stopped(self, case: Case) -> Mover:
        self.tab.page.clock.resume()
        mover = show(self.tab, case)
        self.tab.page.clock.pause_at(next(self.stops))
        mover.scrub(0)
        return mover


def middle(place: list[Any]) -> tuple[float, float]:
    _, _, x, y, width, height = place
    return x + width / 2, y + height / 2


def ways(mover: Mover, what: str) -> list[list[list[Any]]]:
    """Step forward, and return the places of each moving element in its frames, those with the same text in order."""
    mover.press("Step")
    frames = [[place for place in places if place[0] == what] for places in mover.frames(24)]
    frames = [places for places in frames if len(places) == len(frames[-1])]  # what comes in is not there at first
    assert len(frames) >= 24
    ordered = [sorted(places, key=lambda place: place[1]) for places in frames]
    return [list(way) for way in zip(*ordered, strict=True)]
