"""The playhead on the page: it plays, steps and scrubs over what CPython's session tells, and shows its very values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_lab_numbers import Shown, mistake, read
from test_lab_playing import Resolved, ask

from microgpt.lab.playing import CHAPTERS
from microgpt.lab.session import Session

from lab_page import Visit
from test_lab_access import SIZES, axe, violations

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

    def scrub(self, at: int, line: int) -> None:
        """To a moment at that line."""
        self.page.locator(".transport input[type=range]").fill(str(at))
        self.page.wait_for_function("(n) => document.querySelector('.source li.lit')?.dataset.line == n", arg=line)

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
    while head.at < head.last:  # from tensor to tensor, of which each has many moments
        head.press("Step over")
        there.append(head.read())
    assert len(there) > 171
    states = {state["at"]: state for state in there}
    met = {head.at}
    while head.at:  # the last tensor node by node, the others at once
        head.press("Step back")
        if head.at in states:
            assert head.read() == states[head.at]
            met.add(head.at)
    assert met == set(states)


@pytest.mark.parametrize("chapter", ["forward", "sample"])
def test_a_long_chapter_is_the_same_from_end_to_end_and_back(head: Head, chapter: str) -> None:
    head.open(chapter)
    scrubber = head.page.locator(".transport input[type=range]")
    moments = [*range(0, head.last, 11), head.last]

    def read(at: int) -> dict[str, Any]:
        scrubber.fill(str(at))
        return head.read()

    there = [read(at) for at in moments]
    assert [state["at"] for state in there] == moments
    assert [read(at) for at in reversed(moments)] == there[::-1]


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


def moments_of(told: Any) -> list[int]:
    """The event of each moment of a chapter: the rows of a weighted sum come after their statement."""
    events: list[int] = []
    for i, event in enumerate(told["events"]):
        made = told["told"][event["changed"]["return"]]["path"] if event["function"] == "linear" else None
        events += [i] * (1 + (told["tensors"][made]["shape"][0] if made else 0))
    return events


def wrong_variables(shown: list[list[str]], known: dict[str, Any]) -> Iterator[str]:
    """Of the numbers in the panel of variables, those that are not what the chapter tells in CPython."""
    for name, path, value, text in shown:
        values = list(flat(known[name]))
        if path.startswith("variable ") and not any(isinstance(x, float) for x in values):
            if value not in {str(x).lower() if isinstance(x, bool) else str(x) for x in values}:
                yield f"{path}: {value} is none of {values}"
            continue
        near = min((x for x in values if isinstance(x, (int, float))), key=lambda x: abs(x - float(value)))
        yield from filter(None, [mistake(Shown("", path, value, text.strip()), float(near), 1e-12)])


@pytest.mark.parametrize("chapter", ["tokens", "forward", "loss", "adam", "sample"])
def test_every_variable_shown_has_cpythons_value(head: Head, session: Session, chapter: str) -> None:
    told = ask(session, "chapter", name=chapter, word=WORD)
    resolved = Resolved(session, told)
    head.open(chapter)
    event_at = moments_of(told)
    assert head.last + 1 == len(event_at)
    starts = [at for at in range(len(event_at)) if at == 0 or event_at[at] != event_at[at - 1]]
    checked, wrong = 0, []
    for at in starts[:: 5 if chapter == "sample" else 1]:
        event = told["events"][event_at[at]]
        head.scrub(at, event["line"])
        shown = head.page.evaluate(SHOWN)
        known = expected(resolved, event)
        assert {name for name, *_ in shown} <= known.keys()
        wrong += [f"moment {at}: {words}" for words in wrong_variables(shown, known)]
        checked += len(shown)
    assert wrong == []
    assert checked > 4 * len(starts) / (5 if chapter == "sample" else 1)


@pytest.mark.parametrize("size", SIZES)
def test_the_variables_can_be_seen(head: Head, size: str) -> None:
    head.page.set_viewport_size(SIZES[size])
    head.open("forward", 7)
    panel = head.page.locator(".variables")
    assert panel.count() == 1
    assert panel.bounding_box()["height"] > 4 * 16
    assert panel.locator("dd").first.is_visible()


def test_another_variable_would_be_noticed() -> None:
    """The alarm rings: in the value, and in the digits shown."""
    known = {"x": [0.25, -0.5], "n_head": 4}
    right = [["x", "pos0.emb[0]", "0.25", "0.250"], ["n_head", "variable n_head", "4", "4"]]
    assert list(wrong_variables(right, known)) == []
    for i, column, other in ((0, 2, "0.2500001"), (0, 3, "0.251"), (1, 2, "5")):
        changed = [row[:] for row in right]
        changed[i][column] = other
        assert len(list(wrong_variables(changed, known))) == 1


@pytest.mark.parametrize("chapter", ["forward", "loss"])
def test_every_number_of_the_figures_is_cpythons(head: Head, session: Session, chapter: str) -> None:
    told = ask(session, "chapter", name=chapter, word=WORD)
    trace = session._trace(session._tokens(WORD))
    event_at = moments_of(told)
    head.open(chapter)
    checked, wrong, kinds = 0, [], set()
    for at in range(0, len(event_at), 23 if chapter == "forward" else 1):
        head.scrub(at, told["events"][event_at[at]]["line"])
        head.tab.settle()
        kinds.add(head.page.locator("main figure h3").first.inner_text())
        for shown in read(head.tab):
            if shown.figure and not shown.path.startswith(("fact ", "variable ", "position")):
                wrong += filter(None, [mistake(shown, trace.node(shown.path).data, 1e-12)])
                checked += 1
    assert wrong == []
    assert checked > 200
    assert len(kinds) > (6 if chapter == "forward" else 2)


def test_backward_shows_cpythons_values(head: Head, session: Session) -> None:
    facts = ask(session, "chapter", name="backward", word=WORD)["facts"]
    steps = [start for start, _ in facts["tensors_met"][::12]] + [facts["steps"] - 1]
    head.open("backward")
    for step in steps:
        head.page.locator(".transport input[type=range]").fill(str(step + 3))
        head.tab.settle()
        one = ask(session, "passed_on", word=WORD, step=step)
        shown = {path: (value, text.strip()) for _, path, value, text in head.page.evaluate(SHOWN)}
        wanted = {
            f"grad {one['operand']['path']} after {step}": one["after"],
            f"grad {one['node']['path']}": one["node"]["grad"],
            f"local {one['operand']['path']}": one["local"],
            one["operand"]["path"]: one["operand"]["value"],
        }
        for path, value in wanted.items():
            assert not mistake(Shown("", path, *shown[path]), value, 1e-12)
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
    head.page.locator(".variables").focus()
    head.key("ArrowDown")  # it scrolls
    assert head.at == now
    head.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    head.page.get_by_role("dialog").wait_for()
    for name in ("ArrowRight", "ArrowDown"):
        head.key(name)
    assert head.at == now
    head.key("Escape")
    head.page.locator("main").focus()
    head.key("ArrowRight")
    assert head.at != now


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


def test_whoever_clicks_a_line_goes_on_to_it(head: Head) -> None:
    head.open("forward")
    lines = head.page.evaluate("async () => (await lab.ask('source', {})).lines")
    line = next(i for i, text in enumerate(lines, 1) if "attn_weights = softmax(attn_logits)" in text)
    places = []
    for _ in range(2):
        head.page.locator(f".source li[data-line='{line}'] .gutter").click()
        head.page.wait_for_function(
            "(n) => document.querySelector('main .line code').innerText.startsWith('attn_weights')"
        )
        places.append(head.at)
        head.press("Step into")
    assert places[0] < places[1]
    line = next(i for i, text in enumerate(lines, 1) if "p.data -=" in text)  # which another chapter plays
    head.page.locator(f".source li[data-line='{line}'] .gutter").click()
    head.page.wait_for_function("() => document.querySelector('main .line code')?.innerText.startsWith('p.data -=')")
    assert head.page.locator(".transport select").input_value() == "adam"


def test_an_open_number_does_not_move_it(head: Head, visit: Visit) -> None:
    """Though the number was made at a line, which is lit up elsewhere."""
    path = "pos3.layer0.attn_logits.head1[1]"
    head.open("forward", 60)
    state = head.read()
    box = head.page.get_by_role("combobox", name="find a number")
    box.fill(path)
    head.page.locator("[role=option] .path").first.wait_for()
    box.press("Enter")
    line = head.page.locator(".opened .formula button")
    line.wait_for()
    assert head.read() == state
    fragment = head.page.evaluate("() => location.hash")
    assert "at=60" in fragment
    assert "number=" in fragment
    visit.open(fragment)
    assert visit.ready()["state"] == "ready"
    visit.page.locator(".opened .formula button").wait_for()
    visit.page.wait_for_selector("main .line")
    assert Head(visit).read() == state
    line.click()  # whoever asks for it goes there
    head.page.wait_for_function("() => document.querySelector('.transport input').value !== '60'")


def test_it_does_not_play_on_once_the_reader_has_left(head: Head) -> None:
    head.open("forward")
    head.press("Play")
    head.page.wait_for_selector(".transport button[aria-label=Pause]")
    head.page.get_by_role("navigation", name="Sections").get_by_role("link", name="Attention").click()
    head.page.wait_for_selector(".transport", state="detached")
    head.page.get_by_role("button", name="Play the program").click()
    head.page.wait_for_selector("main .line")
    assert head.page.get_by_role("button", name="Play", exact=True).is_visible()
    assert head.at == 0


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


def test_the_big_picture_leads_back_into_the_program(head: Head, session: Session) -> None:
    head.open("adam")
    head.page.locator(".transport select").select_option("end")
    head.page.get_by_role("heading", name="The big picture").wait_for()
    head.page.wait_for_function("() => document.querySelectorAll('.seen').length === 7 && unanswered === 0")
    seen = dict(
        head.page.evaluate(
            "() => [...document.querySelectorAll('.seen span')].map((e) => [e.dataset.path, e.dataset.value])"
        )
    )
    told = {name: ask(session, "chapter", name=name, word=WORD) for name in CHAPTERS}
    facts = told["adam"]["facts"]
    wanted = {
        "num_docs": told["data"]["facts"]["num_docs"],
        "events": len(told["forward"]["events"]),
        "loss": told["loss"]["tensors"]["loss"]["data"][0],
        "steps": told["backward"]["facts"]["steps"],
        f"before {facts['path']}": facts["before"],
        f"after {facts['path']}": facts["after"],
        **{f"tokens[{i}]": token_id for i, token_id in enumerate(told["tokens"]["facts"]["ids"])},
    }
    assert seen.pop("sample") == told["sample"]["facts"]["text"]
    assert {path: float(value) for path, value in seen.items()} == pytest.approx(wanted, rel=1e-12)
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


def test_a_link_that_names_no_chapter_leads_to_the_guide(head: Head) -> None:
    head.page.evaluate("() => { location.hash = '#section=5&play=nonsense&at=-3' }")
    head.page.wait_for_function("() => !location.hash.includes('play')")
    head.tab.settle()
    assert head.page.locator("main h2").inner_text() == "Attention"
    assert head.page.locator(".transport").count() == 0


def test_nothing_moves_where_motion_is_reduced(head: Head) -> None:
    head.page.emulate_media(reduced_motion="reduce")
    head.open("backward", 100)
    moving = """() => [...document.querySelectorAll('body *')].filter((e) =>
      getComputedStyle(e).transitionDuration.split(', ').some((t) => parseFloat(t) > 0)).length"""
    assert head.page.evaluate(moving) == 0
    head.press("Step over")
    assert head.page.evaluate("() => document.getAnimations().length") == 0
    head.page.emulate_media(reduced_motion="no-preference")


def test_no_line_is_told_of_before_there_is_one(visit: Visit) -> None:
    visit.page.route("**/pyodide/**", lambda route: None)  # it never comes
    visit.open("#play=forward&word=zoe")
    visit.page.wait_for_selector(".transport")
    visit.page.wait_for_timeout(1200)
    assert visit.page.locator(".transport [aria-live]").text_content() == ""


def test_what_changed_is_said_once_it_rests(head: Head) -> None:
    head.open("forward", 3)
    said = head.page.locator(".transport [aria-live=polite]")
    head.page.wait_for_function("() => document.querySelector('.transport [aria-live]').textContent.includes('zip(')")
    assert said.inner_text().endswith("Sets x.")


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
