"""Players that move, on a clock that the test turns: what moves goes the way that the data take.

At every moment the figure shows the engine's numbers. The frames between two moments only move what is marked
(data-moves), and end where a step leads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.lab.session import Session

from conftest import golden
from lab.page.axe import violations
from lab.page.browser import GREETINGS, CountingServer, Visit
from lab.page.expressions import expected
from lab.page.motion import (
    BLAME,
    CASES,
    FRAME,
    SHUFFLE,
    TOKENIZER,
    Case,
    Clocked,
    Mover,
    show,
)
from lab.page.shown import Shown, mistake
from lab.page.truth import Truth

COMMIT = 300  # nodes and attributes that a frame in which a moment comes may change


EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def truth() -> Truth:
    truth = Truth(opening.names(Text()).run, load("names"), "emma")
    truth.losses = golden("names")["losses"]
    return truth


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


@pytest.fixture(scope="module")
def expression() -> dict[str, Any]:
    return {**expected("y = x * x + x", {"x": 1.5}), "fact name": "x", "fact result": "y"}


def wrong(mover: Mover, number: Callable[[str], Any]) -> list[str]:
    """Return what is wrong about the numbers that a figure shows."""
    _, numbers, _ = mover.state()
    shown = [Shown("", path, value, text.strip()) for path, value, text in numbers if value is not None]
    assert shown or mover.at < 2
    return [words for one in shown if (words := mistake(one, number(one.path), 1e-12))]


def play_to_the_end(mover: Mover) -> None:
    for _ in range(400):
        if not mover.plays:
            return
        mover.run(250)
    pytest.fail("the player does not end")


def test_every_player_that_greets_is_tested() -> None:
    assert sorted(case.name for case in CASES) == GREETINGS


@EVERY
def test_a_player_plays_once_by_itself_and_a_touch_stops_it(
    chromium: Any, lab_server: CountingServer, case: Case
) -> None:
    visit = Visit(chromium, lab_server.url, greets=True, viewport={"width": 1440, "height": 900})
    visit.page.clock.install(time=0)
    visit.open("#section=3")
    visit.ready()
    mover = show(visit, case)
    visit.page.clock.pause_at(10**7)
    mover.centre()
    mover.page.wait_for_function("(e) => e.getAttribute('aria-label') === 'Pause'", arg=mover.play_button, polling=50)
    mover.player.evaluate("(e) => e.scrollIntoView({ block: 'nearest', behavior: 'instant' })")
    on_the_way = max(2, mover.at + 1)
    for _ in range(600):
        mover.run(FRAME)
        if mover.at >= on_the_way:
            break
    assert mover.plays
    assert mover.at == on_the_way
    mover.run(100)
    assert mover.player.locator("button.primary").is_visible()
    mover.figure.locator("h3, h4").first.dispatch_event("pointerdown")
    assert not mover.plays
    state, places = mover.state(), mover.places()
    mover.run(3000)
    assert (mover.state(), mover.places()) == (state, places)  # it stays on its way
    mover.press("Play")
    mover.run(100)
    assert mover.at == on_the_way
    assert mover.places() != places
    play_to_the_end(mover)
    assert mover.at == mover.last

    visit.page.clock.resume()
    visit.page.reload()
    mover = show(visit, case)
    mover.centre()
    mover.run(3000)
    assert not mover.plays
    visit.close()


def test_a_used_figure_and_a_link_to_a_moment_do_not_play_by_themselves(
    chromium: Any, lab_server: CountingServer
) -> None:
    visit = Visit(chromium, lab_server.url, greets=True, viewport={"width": 1440, "height": 900})
    visit.open("#section=data&position=2")
    mover = Mover(visit, TOKENIZER.title)
    mover.player.wait_for()
    mover.centre()
    visit.frames()
    assert not mover.plays
    visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    visit.frames()
    visit.go(section=1)
    mover.figure.get_by_role("textbox").dispatch_event("keydown", {"key": "a"})
    mover.centre()
    visit.frames()
    assert not mover.plays
    assert visit.page.evaluate("localStorage.getItem('microgpt.greeted')") in (None, "shuffle")
    visit.close()


@EVERY
def test_playing_ends_where_steps_lead_and_shows_the_engines_numbers_on_the_way(
    clocked: Clocked, truth: Truth, expression: dict[str, Any], case: Case
) -> None:
    number = expression.__getitem__ if case is BLAME else truth.number
    mover = clocked.stopped(case)
    mover.press("Play")
    seen, met = mover.at, {mover.at}
    for _ in range(4000):
        mover.run(120)
        if mover.at != seen:
            assert mover.at == seen + 1
            seen = mover.at
            met.add(seen)
            assert wrong(mover, number) == []
        if not mover.plays:
            break
    assert met == {*range(mover.last + 1)}
    played = mover.state(), mover.places()
    mover.scrub(0)
    mover.scrub(mover.last)
    assert (mover.state(), mover.places()) == played
    mover.press("Step back")
    back = mover.state(), mover.places()
    mover.scrub(mover.last - 1)
    assert (mover.state(), mover.places()) == back


@EVERY
def test_a_frame_between_two_moments_does_little_and_asks_nothing(clocked: Clocked, case: Case) -> None:
    mover = clocked.stopped(case)
    mover.count()
    mover.press("Play")
    mover.counted()
    most, moving, at, asked, moments = [0, 0], 0, mover.at, 0, 0
    for _ in range(260):
        mover.run(FRAME)
        changes, requests = mover.counted()
        came = mover.at != at
        asked += requests
        moments += came
        most[came] = max(most[came], changes)
        moving += changes > 0
        at = mover.at
        if not mover.plays:
            break
    print(f"{case.name}: at most {most[0]} changes in a frame, {most[1]} when a moment comes")
    assert moving > 50
    assert moments > 1
    assert asked <= case.requests * moments
    assert most[False] <= case.changes
    assert most[True] <= COMMIT


@EVERY
def test_with_reduced_motion_a_player_has_the_same_moments_and_nothing_between_them(
    clocked: Clocked, case: Case
) -> None:
    mover = clocked.stopped(case)
    mover.press("Step")
    mover.run(2 * FRAME)
    on_its_way = mover.places()
    mover.page.emulate_media(reduced_motion="reduce")
    mover.page.evaluate("idle()")
    try:
        stepped = {}
        assert mover.places() != on_its_way  # at once
        for at in range(min(mover.last, 6) + 1):
            mover.scrub(at)
            stepped[at] = mover.places()
        mover.scrub(0)
        mover.press("Step")
        assert mover.places() == stepped[1]
        mover.press("Play")
        while mover.plays and mover.at < 6:
            mover.run(5 * FRAME)
            if mover.at in stepped:
                assert mover.places() == stepped[mover.at]
    finally:
        mover.page.emulate_media(reduced_motion="no-preference")
        mover.page.evaluate("idle()")


def test_there_are_three_speeds(clocked: Clocked) -> None:
    mover = clocked.stopped(SHUFFLE)
    times = {}
    for _ in range(3):
        shown = mover.player.locator("button").last.inner_text()
        mover.scrub(1)
        mover.press("Play")
        while mover.at < 2:
            mover.run(FRAME)
        begun = 0
        while mover.at < 3:
            mover.run(FRAME)
            begun += FRAME
        mover.press("Pause")
        times[shown] = begun
        mover.player.locator("button").last.click()
    assert list(times) == ["1×", "2×", "½×"]
    assert times["½×"] == pytest.approx(2 * times["1×"], abs=3 * FRAME)
    assert times["2×"] == pytest.approx(times["1×"] / 2, abs=3 * FRAME)


@EVERY
def test_a_player_on_its_way_is_accessible(clocked: Clocked, axe: str, case: Case) -> None:
    mover = clocked.stopped(case)
    mover.scrub(2)
    mover.press("Step")
    mover.press("Play")
    mover.run(160)
    mover.press("Pause")  # it stays on its way
    mover.page.clock.resume()
    assert violations(clocked.tab, axe) == []
