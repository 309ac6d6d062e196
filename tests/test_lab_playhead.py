"""The playhead on the page: it plays, steps and scrubs over what CPython's session tells, and shows its very values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from test_lab_access import SIZES, axe, violations
from test_lab_playing import Resolved, ask

from microgpt.lab.playing import CHAPTERS
from microgpt.lab.session import Session

from lab_page import Visit

__all__ = ["axe"]  # a fixture

WORD = "emma"
READ = """() => {
  const main = document.querySelector('main').innerText
  const scrubber = document.querySelector('.transport input[type=range]')
  const variables = [...document.querySelectorAll('.variables dl > *')].map((e) => e.innerText)
  const lit = [...document.querySelectorAll('.source li.lit')].map((e) => Number(e.dataset.line))
  return { at: Number(scrubber.value), main, variables, lit }
}"""
# every number in the panel of variables: its path, its full value, the text that is shown
SHOWN = """() => [...document.querySelectorAll('.variables [data-path]')].map((e) => [
  e.closest('dd').previousElementSibling.textContent, e.dataset.path, e.dataset.value, e.textContent])"""


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


class Head:
    """The playhead of a tab."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page

    def open(self, chapter: str, at: int = 0, **state: object) -> None:
        self.tab.page.evaluate("() => { location.hash = '#section=4' }")
        fragment = "&".join(f"{name}={value}" for name, value in {"play": chapter, "at": at, **state}.items())
        self.page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        self.page.wait_for_selector(".transport")
        self.page.wait_for_selector("main .line")
        self.tab.settle()

    def read(self) -> dict[str, Any]:
        self.tab.settle()
        told: dict[str, Any] = self.page.evaluate(READ)
        return told

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


@pytest.fixture
def head(tab: Visit) -> Iterator[Head]:
    yield Head(tab)
    tab.page.set_viewport_size(SIZES["wide"])
    tab.page.evaluate("() => { location.hash = '#section=0' }")
    tab.page.wait_for_selector(".transport", state="detached")


@pytest.mark.parametrize("chapter", ["data", "tokens", "loss", "adam"])
def test_play_to_the_end_and_back_gives_the_same_states(head: Head, chapter: str) -> None:
    head.open(chapter)
    there = [head.read()]
    while head.at < head.last:
        head.press("Step into")
        there.append(head.read())
    assert [state["at"] for state in there] == list(range(head.last + 1))
    assert len({str(state) for state in there}) == len(there)
    back = [head.read()]
    scrubber = head.page.locator(".transport input[type=range]")
    for at in reversed(range(head.last)):
        scrubber.fill(str(at))
        back.append(head.read())
    assert back[::-1] == there


def test_stepping_over_and_back_meets_the_same_moments(head: Head) -> None:
    head.open("forward")
    there = [head.read()]
    for _ in range(12):
        head.press("Step over")
        there.append(head.read())
    for state in reversed(there[:-1]):
        head.press("Step back")
        assert head.read() == state
    assert head.at == 0


def test_backward_is_the_same_there_and_back(head: Head) -> None:
    head.open("backward")
    there = [head.read()]
    for _ in range(10):
        head.press("Step over")
        there.append(head.read())
    for state in reversed(there[:-1]):
        head.press("Step back")
        assert head.read() == state


def test_playing_comes_to_the_end_by_itself(head: Head) -> None:
    head.open("adam")
    while head.page.locator(".transport button.quiet").inner_text() != "16×":
        head.page.locator(".transport button.quiet").click()
    head.press("Play")
    head.page.wait_for_function(
        "() => document.querySelector('.transport input').value === document.querySelector('.transport input').max"
    )
    head.page.wait_for_selector(".transport button[aria-label=Play]")
    head.press("next ›")
    head.page.wait_for_selector("main .line")
    assert head.page.locator(".transport select").input_value() == "sample"


# --- The values


def expected(resolved: Resolved, event: Any) -> dict[str, Any]:
    variables = resolved.variables(event)
    return {**variables, **resolved.variables(event, "changed")}


def flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield value


def as_shown(value: float) -> set[str]:
    """What palette.ts makes of a number, with each count of decimals that the panel uses."""
    texts = set()
    for decimals in (3, 4):
        text = f"{value:.{decimals}f}"
        if value != 0 and abs(value) < 0.5 * 10**-decimals:
            mantissa, _, exponent = f"{value:.2e}".partition("e")
            text = f"{mantissa}e−{int(exponent[1:])}"
        texts.add(text.replace("-", "−"))
    return texts


@pytest.mark.parametrize("chapter", ["tokens", "forward", "loss", "adam", "sample"])
def test_every_variable_shown_has_cpythons_value(head: Head, session: Session, chapter: str) -> None:
    told = ask(session, "chapter", name=chapter, word=WORD)
    resolved = Resolved(session, told)
    head.open(chapter)
    moments = head.page.evaluate("() => Number(document.querySelector('.transport input').max)") + 1
    rows = 0
    checked = 0
    event_at: list[int] = []  # of each moment: rows of a weighted sum come after their statement
    for i, event in enumerate(told["events"]):
        event_at.append(i)
        if event["function"] == "linear":
            made = told["told"][event["changed"]["return"]]["path"]
            rows = told["tensors"][made]["shape"][0]
            event_at += [i] * rows
    assert moments == len(event_at)
    firsts = [at for at in range(moments) if at == 0 or event_at[at] != event_at[at - 1]]
    every = max(1, len(firsts) // 90)
    for at in firsts[::every]:
        head.page.locator(".transport input[type=range]").fill(str(at))
        event = told["events"][event_at[at]]
        head.page.wait_for_function(
            "(line) => document.querySelector('.source li.lit')?.dataset.line == line", arg=event["line"]
        )
        known = expected(resolved, event)
        shown = head.page.evaluate(SHOWN)
        assert {name for name, *_ in shown} <= known.keys()
        for name, path, value, text in shown:
            if isinstance(known[name], (int, str, bool)) or "variable" in path:
                values = list(flat(known[name]))
                if values and not any(isinstance(x, float) for x in values):
                    assert value in {json.dumps(x).strip('"') for x in values}, (at, name, value)
                    continue
            near = min(
                (x for x in flat(known[name]) if isinstance(x, (int, float))), key=lambda x: abs(x - float(value))
            )
            assert near == pytest.approx(float(value), rel=1e-12, abs=1e-15), (at, name, path)
            assert text.strip() in as_shown(near) | {str(near)}, (at, name, path, text, near)
            checked += 1
    assert checked > (0 if chapter == "tokens" else 20) or chapter == "tokens"


def test_backward_shows_cpythons_values(head: Head, session: Session) -> None:
    facts = ask(session, "chapter", name="backward", word=WORD)["facts"]
    steps = [start for start, _ in facts["tensors_met"][::12]] + [facts["steps"] - 1]
    head.open("backward")
    for step in steps:
        head.page.locator(".transport input[type=range]").fill(str(step + 3))
        head.tab.settle()
        one = ask(session, "passed_on", word=WORD, step=step)
        shown = {path: (float(value), text) for _, path, value, text in head.page.evaluate(SHOWN)}
        wanted = {
            f"grad {one['operand']['path']} after {step}": one["after"],
            f"grad {one['node']['path']}": one["node"]["grad"],
            f"local {one['operand']['path']}": one["local"],
            one["operand"]["path"]: one["operand"]["value"],
        }
        for path, value in wanted.items():
            assert shown[path][0] == pytest.approx(value, rel=1e-12, abs=1e-15), path
            assert shown[path][1].strip() in as_shown(value), path
        assert head.read()["lit"] == [one["line"]]


# --- Keys and links


def test_the_keyboard_does_it_all(head: Head) -> None:
    head.open("forward")
    head.page.locator("main").focus()
    head.key("ArrowDown")
    head.key("ArrowDown")
    assert head.at == 2
    head.key("ArrowDown")  # into gpt
    depth = head.at
    head.key("ArrowRight")
    assert head.at == depth + 1
    head.key("ArrowRight")  # over rmsnorm, three statements
    assert head.at == depth + 5
    head.key("ArrowLeft")
    assert head.at == depth + 1
    head.key("ArrowUp")  # out of gpt, to the softmax that is called with what it gives
    assert head.at > depth + 100
    head.key(" ")
    head.page.wait_for_selector(".transport button[aria-label=Pause]")
    now = head.at
    head.page.wait_for_function("(now) => Number(document.querySelector('.transport input').value) > now", arg=now)
    head.key(" ")
    head.page.wait_for_selector(".transport button[aria-label=Play]")
    word = head.page.get_by_label("word", exact=True)
    word.focus()
    now = head.at
    head.key("ArrowLeft")  # in a field it moves the cursor
    assert head.at == now


def test_a_link_captures_the_moment(head: Head, visit: Visit) -> None:
    head.open("forward", 60)
    head.press("Step into")
    state = head.read()
    assert state["at"] == 61
    fragment = head.page.evaluate("() => location.hash")
    assert "play=forward" in fragment
    assert "at=61" in fragment
    visit.open(fragment)
    assert visit.ready()["state"] == "ready"
    visit.page.wait_for_selector("main .line")
    assert Head(visit).read() == state


def test_it_begins_in_the_contents_and_ends_where_the_reader_was(head: Head) -> None:
    head.tab.section(5)
    head.page.get_by_role("button", name="play these lines: Forward").click()
    head.page.wait_for_selector("main .line")
    head.press("leave")
    head.page.wait_for_selector(".transport", state="detached")
    head.tab.settle()
    assert head.page.locator("main h2").inner_text() == "Attention"
    head.page.get_by_role("button", name="Play the program").click()
    head.page.wait_for_selector("main .line")
    assert head.page.locator(".transport select").input_value() == "data"


def test_the_big_picture_leads_back_into_the_program(head: Head) -> None:
    head.open("adam")
    head.page.locator(".transport select").select_option("end")
    head.page.get_by_role("heading", name="The big picture").wait_for()
    text = head.page.locator("main").inner_text()
    for topic in (
        "Mersenne Twister",
        "Fisher and Yates",
        "closed vocabulary",
        "residual stream",
        "4,192 against GPT-3",
    ):
        assert topic.lower() in text.lower(), topic
    head.page.locator("dt", has_text="The spotlight").locator("xpath=following-sibling::dd[1]").get_by_role(
        "button"
    ).click()
    head.page.wait_for_selector("main .line")
    assert "attn_weights = softmax(attn_logits)" in head.page.locator("main .line code").first.inner_text()


@pytest.mark.parametrize("chapter", [*CHAPTERS, "end"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_the_playhead(head: Head, axe: str, chapter: str, size: str) -> None:
    head.page.set_viewport_size(SIZES[size])
    head.page.emulate_media(color_scheme="light")
    if chapter == "end":
        head.open("adam")
        head.page.locator(".transport select").select_option("end")
        head.page.get_by_role("heading", name="The big picture").wait_for()
    else:
        head.open(chapter, 7)
    assert violations(head.tab, axe) == []
    head.page.emulate_media(color_scheme="dark")
    assert violations(head.tab, axe, "color-contrast") == []
    head.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize(
    ("chapter", "at"),
    [
        ("data", 8),
        ("tokens", 6),
        ("forward", 60),
        ("forward", 1279),
        ("loss", 20),
        ("backward", 2000),
        ("adam", 5),
        ("sample", 259),
    ],
)
def test_nothing_scrolls_sideways_on_a_phone(head: Head, chapter: str, at: int) -> None:
    head.page.set_viewport_size({"width": 320, "height": 640})
    head.open(chapter, at)
    width, window = head.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    dock = head.page.locator(".transport").bounding_box()
    assert dock["height"] < 0.25 * 640
    head.page.evaluate("() => scrollTo(0, 1e6)")  # at the foot, the dock covers nothing
    bottom = head.page.evaluate("() => document.querySelector('.right').getBoundingClientRect().bottom")
    assert bottom <= head.page.locator(".transport").bounding_box()["y"] + 1
