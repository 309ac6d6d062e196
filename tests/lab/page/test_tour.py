"""The tour: some beats through the whole program, which plays by itself on a clock that the test turns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from lab.page.axe import violations
from lab.page.browser import SIZES, Visit
from lab.page.jargon import names_and_formulas, unexplained
from lab.page.playhead import BEATS, Head

LEAST, PER_WORD = 6000, 300  # ms, at speed 1: 200 words a minute
LEVELS = ("plain", "technical", "both")
CHAPTERS = ["data", "tokens", "forward", "loss", "backward", "adam", "data", "sample", "end"]
LONG = "annabelelisbeth"  # 15 letters
TWO_LAYERS = '{"n_layer":2,"num_steps":1}'
SHOWN = """() => {
  const textOf = (selector) => document.querySelector(selector)?.innerText ?? ''
  const scrubber = document.querySelector('.tour input[type=range]')
  return {
    at: Number(scrubber.value),
    said: scrubber.getAttribute('aria-valuetext'),
    title: textOf('main .beat h2'),
    caption: textOf('main .caption'),
    code: textOf('main .beat code'),
    figure: textOf('main figure h3'),
    drawn: textOf('main figure'),
    numbers: [...document.querySelectorAll('main figure [data-path]')].map((e) => [e.dataset.path, e.dataset.value]),
    empty: document.querySelector('main figure')?.getBoundingClientRect().height < 90,
  }
}"""
UNDER = """() => {
  const bottom = document.querySelector('main figure').getBoundingClientRect().bottom
  return bottom - document.querySelector('.transport').getBoundingClientRect().top
}"""


class Tour(NamedTuple):
    """The tour in a tab."""

    tab: Visit

    @property
    def page(self) -> Any:
        return self.tab.page

    def open(self, at: int, **state: object) -> dict[str, Any]:
        """Open a beat by its link."""
        self.tab.go(**{"play": "tour", "at": at, "word": "emma", "level": "plain", **state})
        return self.read()

    def read(self) -> dict[str, Any]:
        self.page.locator(".tour").wait_for()
        self.page.locator("main figure").first.wait_for()
        self.page.evaluate("idle()")
        shown: dict[str, Any] = self.page.evaluate(SHOWN)
        return shown

    @property
    def at(self) -> int:
        return int(self.page.locator(".tour input[type=range]").input_value())

    @property
    def plays(self) -> bool:
        return bool(self.page.locator(".tour button.primary").get_attribute("aria-label") == "Pause")

    def press(self, name: str) -> None:
        self.page.locator(".tour").get_by_role("button", name=name, exact=True).click()

    def start(self) -> None:
        """Open the tour by its button, and wait until it is there."""
        self.page.get_by_role("button", name="Play the program").click()
        self.read()


@pytest.fixture
def tour(tab: Visit) -> Iterator[Tour]:
    yield Tour(tab)
    tab.page.set_viewport_size(SIZES["wide"])
    tab.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    tab.go(section=0, level="both")
    tab.page.wait_for_selector(".transport", state="detached")


@pytest.fixture
def clocked(visit: Visit) -> Tour:
    """A tab in which Python is ready, and whose clock stands still."""
    visit.page.clock.install(time=0)
    visit.open("#section=forward&level=plain")
    visit.ready()
    visit.settle()
    visit.page.clock.pause_at(10**7)
    return Tour(visit)


def words(caption: str) -> int:
    return len([word for word in caption.split() if re.search(r"[^\W_]", word)])


def lasts(caption: str) -> int:
    return max(LEAST, PER_WORD * words(caption))


# --- The beats


@pytest.mark.smoke
def test_every_beat_shows_its_own_moment(tour: Tour) -> None:
    """Every caption has a figure, whose line is the beat's; no two beats show the same."""
    beats = [tour.open(at, level="both") for at in range(BEATS)]
    assert [beat["at"] for beat in beats] == list(range(BEATS))
    assert len({beat["title"] for beat in beats}) == BEATS
    assert len({beat["caption"] for beat in beats}) == BEATS
    assert len({beat["drawn"] + beat["code"] for beat in beats}) == BEATS
    lines = tour.page.evaluate("async () => (await lab.ask('source', {})).lines")
    for beat in beats[:-1]:
        assert beat["code"] in {re.sub(r" {2}# .*", "", line.strip()) for line in lines}
        assert beat["figure"]
        assert not beat["empty"], beat
    tour.open(BEATS + 7)  # after the last, the last
    assert tour.at == BEATS - 1


CODES = """() => {
  const code = document.querySelector('main .beat code')?.innerText ?? 'end'
  return [code, document.querySelector('.source li.lit')?.dataset.line]
}"""


@pytest.mark.parametrize("word", ["annabelle", "a"])
def test_every_beat_exists_for_another_word(tour: Tour, word: str) -> None:
    for at in range(BEATS):
        tour.open(at, level="both")
        expected = tour.page.evaluate(CODES)
        shown = tour.open(at, level="both", word=word)
        assert tour.page.evaluate(CODES) == expected, at
        assert not shown["empty"], shown
        assert "{" not in shown["caption"]


def test_every_beat_exists_in_a_model_with_two_layers(visit: Visit) -> None:
    visit.open(f"#section=training&level=both&step=1&config={TWO_LAYERS}")
    visit.ready()
    visit.settle()
    visit.page.wait_for_function("async () => (await lab.ask('model', {})).config.n_layer === 2")
    tour, codes = Tour(visit), []
    for at in range(BEATS):
        visit.page.evaluate("(at) => { location.hash = `#play=tour&level=both&at=${at}` }", at)
        visit.page.wait_for_function("(at) => document.querySelector('.tour input')?.value == at", arg=at)
        shown = tour.read()
        assert not shown["empty"], shown
        codes.append(shown["code"])
        assert at != 7 or "layer1" in shown["drawn"]  # the last layer
    assert len(set(codes)) >= BEATS - 2  # two lines have two beats


def test_captions_are_short_and_plain(tour: Tour) -> None:
    plain = [tour.open(at)["caption"] for at in range(BEATS)]
    technical = [tour.open(at, level="technical")["caption"] for at in range(BEATS)]
    assert [caption for caption in plain + technical if not 12 <= words(caption) <= 35] == []
    assert [caption for caption in plain + technical if caption.count(". ") + caption.count("? ") > 3] == []
    assert names_and_formulas(plain) == []
    assert unexplained(plain, []) == []
    assert [caption for caption in plain if re.search(r"[`_{}=\[\]]|\bnode\b", caption)] == []
    both = [tour.open(at, level="both")["caption"] for at in range(BEATS)]
    assert both == plain


def test_plain_shows_no_code(tour: Tour) -> None:
    for at in (1, 5, 20):
        assert tour.open(at)["code"] == ""
        assert (
            tour.page.locator(".variables:visible, .source:visible, main figure .head button:has-text('line')").count()
            == 0
        )
        assert tour.open(at, level="both")["code"]
        assert tour.page.locator(".variables").count() == 1


@pytest.mark.parametrize("level", LEVELS)
def test_the_tour_takes_about_four_minutes(tour: Tour, level: str) -> None:
    total = sum(lasts(tour.open(at, level=level)["caption"]) for at in range(BEATS))
    print(f"{level}: {total / 1000:.0f} s")
    assert 3 * 60_000 <= total <= 5 * 60_000


# --- Playing


def test_the_button_plays_the_tour_and_playing_is_stepping(clocked: Tour) -> None:
    clocked.start()
    assert clocked.plays
    played = [clocked.read()]
    spent = 0  # ms of the beat that have passed
    while clocked.at < BEATS - 1:
        before = clocked.at
        clocked.page.clock.run_for(lasts(played[-1]["caption"]) - spent - 200)  # as long as its words take to read
        assert clocked.at == before
        clocked.page.clock.run_for(400)
        assert clocked.at == before + 1
        played.append(clocked.read())
        spent = 200
    clocked.page.clock.run_for(20_000)
    assert not clocked.plays
    for beat in reversed(played[:-1]):
        clocked.press("Step back")
        assert clocked.read() == beat


def test_the_chapter_of_the_next_beat_is_there_in_time(clocked: Tour) -> None:
    """A chapter is asked for during the beat before its first one, so that playing never waits."""
    clocked.start()
    clocked.page.evaluate("""() => {
      const ask = lab.ask.bind(lab)
      globalThis.asked = []
      lab.ask = (method, params) => { if (method === 'chapter') asked.push(params.name); return ask(method, params) }
    }""")
    chapters = {}
    for _ in range(BEATS - 2):  # the end asks for all of them
        clocked.press("Step")
        clocked.read()
        chapters[clocked.at] = clocked.page.evaluate("asked.splice(0)")
    assert {at: names for at, names in chapters.items() if names} == {
        3: ["tokens"], 4: ["forward"], 16: ["loss"], 18: ["backward"], 21: ["adam"], 22: ["data"], 23: ["sample"]
    }  # fmt: skip


def test_time_stands_still_until_the_chapter_is_there(visit: Visit) -> None:
    visit.page.route("**/pyodide/**", lambda route: None)  # Python never loads
    visit.page.clock.install(time=0)
    visit.open("#section=forward&level=plain&word=zoe")
    visit.page.get_by_role("button", name="Play the program").wait_for()
    visit.page.clock.pause_at(10**7)
    visit.page.get_by_role("button", name="Play the program").click()
    tour = Tour(visit)
    visit.page.locator("main .caption").wait_for()
    visit.page.clock.run_for(30_000)
    assert tour.plays
    assert tour.at == 0


def test_pause_back_speed_and_keys(clocked: Tour) -> None:
    clocked.start()
    clocked.page.keyboard.press(" ")  # the button that opened the tour has lost the focus
    assert not clocked.plays
    clocked.page.clock.run_for(60_000)
    assert clocked.at == 0
    clocked.page.keyboard.press("ArrowRight")
    clocked.page.keyboard.press("ArrowRight")
    assert clocked.at == 2
    clocked.page.keyboard.press("ArrowLeft")
    assert clocked.at == 1
    clocked.page.keyboard.press("End")
    assert clocked.at == BEATS - 1
    clocked.page.keyboard.press("Home")
    assert clocked.at == 0
    clocked.press("Speed: 1×")
    clocked.press("Play")
    clocked.page.clock.run_for(LEAST)
    assert clocked.at == 1  # at speed 2
    clocked.press("Pause")
    clocked.press("Step")
    clocked.page.clock.run_for(60_000)
    assert clocked.at == 2
    clocked.page.locator("#word").focus()
    clocked.page.keyboard.press("ArrowLeft")  # moves the cursor in the field
    assert clocked.at == 2
    clocked.page.locator("main").focus()
    clocked.page.keyboard.press("Escape")
    clocked.page.locator(".transport").wait_for(state="detached")


def test_a_touch_of_the_figure_pauses(clocked: Tour) -> None:
    clocked.start()
    assert clocked.plays
    clocked.page.locator("main figure h3").first.click()
    assert not clocked.plays


def test_the_tour_opens_paused_with_reduced_motion(clocked: Tour) -> None:
    clocked.page.emulate_media(reduced_motion="reduce")
    clocked.start()
    assert not clocked.plays
    clocked.press("Play")
    clocked.page.clock.run_for(20_000)
    assert clocked.at > 0


# --- Links and the switch


def test_a_link_opens_its_beat_paused(visit: Visit) -> None:
    visit.open("#play=tour&at=9&level=plain")
    visit.ready()
    tour = Tour(visit)
    shown = tour.read()
    assert shown["at"] == 9
    assert shown["said"].endswith(shown["title"])
    assert not tour.plays
    tour.press("Step")
    assert "play=tour" in visit.linked("at=10")


def test_the_switch_keeps_the_moment(tour: Tour) -> None:
    head = Head(tour.tab)
    for at in range(BEATS - 1):
        beat = tour.open(at, level="both")
        tour.press("every statement")
        tour.page.locator("main .line > code").wait_for()
        tour.page.evaluate("idle()")
        assert tour.page.locator("main .line > code").inner_text() == beat["code"]
        assert tour.page.locator("main figure h3").inner_text() == beat["figure"]
        head.press("the tour")
        assert tour.read() == beat


@pytest.mark.parametrize(
    ("chapter", "by", "at"), [("forward", 1, 5), ("forward", -1, 4), ("backward", 5000, 20), ("loss", -1, 16)]
)
def test_a_statement_between_two_beats_belongs_to_the_beat_before(tour: Tour, chapter: str, by: int, at: int) -> None:
    head = Head(tour.tab)
    tour.open({"forward": 5, "backward": 20, "loss": 17}[chapter])
    tour.press("every statement")
    tour.page.locator("main .line > code").wait_for()
    tour.tab.go(play=chapter, at=head.at + by, word="emma")
    tour.page.evaluate("idle()")
    head.press("the tour")
    assert tour.read()["at"] == at


def test_the_end_is_the_last_beat(tour: Tour) -> None:
    tour.open(BEATS - 1)
    tour.page.get_by_role("heading", name="The big picture").wait_for()
    tour.press("every statement")
    tour.page.locator(".transport select").wait_for()
    assert tour.page.locator(".transport select").input_value() == "end"
    Head(tour.tab).press("the tour")
    assert tour.read()["at"] == BEATS - 1


# --- Layout


def test_nothing_of_the_figure_is_under_the_controls_on_a_phone(tour: Tour) -> None:
    tour.page.set_viewport_size(SIZES["phone"])
    for at in range(BEATS - 1):
        tour.open(at)
        tour.tab.frames()
        assert tour.page.evaluate(UNDER) <= 0, at
    tour.page.set_viewport_size({"width": 320, "height": 640})
    for at in range(BEATS):
        tour.open(at, level="both")
        tour.tab.frames()
        width, window = tour.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= window
        tour.page.evaluate("scrollTo(0, 1e6)")
        assert tour.page.evaluate(UNDER) <= 0, at


@pytest.mark.parametrize("size", SIZES)
def test_the_figures_of_a_long_word_fit_on_the_screen(tour: Tour, size: str) -> None:
    """The longest word has as many letters as the model can look back at."""
    tour.page.set_viewport_size(SIZES[size])
    for at in range(BEATS - 1):
        tour.open(at, word=LONG)
        tour.tab.frames()
        assert tour.page.evaluate(UNDER) <= 0, at


def test_a_long_word_has_every_label_and_every_share(tour: Tour) -> None:
    tour.page.set_viewport_size(SIZES["phone"])
    tour.open(8, word=LONG)
    assert tour.page.locator("main figure canvas:visible").count() == len(LONG) + 1
    tour.page.locator("main figure .caption button").last.click()
    assert tour.page.locator("main figure td").count() == 16
    for at in (9, 10, 11):  # the scores; the shares; the shares and the blend
        tour.open(at, word=LONG)
        assert tour.page.locator("main figure .bars li:visible").count() == len(LONG) + 1


@pytest.mark.sampled(4)
@pytest.mark.parametrize("at", range(0, BEATS, 2))
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_on_the_tour(tour: Tour, axe: str, at: int, size: str) -> None:
    tour.page.set_viewport_size(SIZES[size])
    tour.page.emulate_media(color_scheme="light")
    tour.open(at)
    assert violations(tour.tab, axe) == []
    tour.page.emulate_media(color_scheme="dark")
    assert violations(tour.tab, axe, "color-contrast") == []


# --- The figures and the variables


def test_the_figure_lists_the_documents_of_the_variables(head: Head) -> None:
    """At every line of the data chapter that has documents: also at the shuffle, and where the file has been read."""
    head.open("data")
    compared = 0
    for at in range(head.last + 1):
        head.tab.go(play="data", at=at, word="emma")
        head.page.evaluate("idle()")
        shown = head.page.evaluate("""() => {
          const names = [...document.querySelectorAll('.variables dt')]
          const of = names.find((e) => ['docs', 'return'].includes(e.textContent))?.nextElementSibling.textContent
          return [of ?? '', [...document.querySelectorAll('main figure ol[start] li')].map((e) => e.textContent)]
        }""")
        listed = re.search(r"documents: (.*), …", shown[0])
        if listed and head.page.locator("main figure h3").inner_text() == "The documents":
            assert listed[1].split(", ") == shown[1][:4], at
            compared += 1
    assert compared >= 3


def test_nodes_of_backward_say_what_they_are(tour: Tour) -> None:
    facts = tour.tab.ask("chapter", name="backward", word="emma")["facts"]
    steps = {start + i for start, name in facts["tensors_met"] if re.match(r"pos[04]|loss", name) for i in (0, 2, 3)}
    for level in LEVELS:
        for step in sorted(steps)[::4]:
            tour.tab.go(play="backward", at=3 + step, level=level, word="emma")
            tour.page.evaluate("idle()")
            for name in tour.page.locator("main .graph .node .head b").all_inner_texts():
                assert name, step
                assert "…" not in name
                assert not re.search(r"\.[a-z_]+\d*$", name) or name.endswith((".mean_square", ".scale", ".loss")), name
                if level == "plain":
                    assert names_and_formulas([name]) == []
