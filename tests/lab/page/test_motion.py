"""Players that move, on a clock that the test turns: what moves goes the way that the data take.

At every moment the figure shows the engine's numbers. The frames between two moments only move what is marked
(data-moves), and end where a step leads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.lab.session import Session

from lab.page.axe import violations
from lab.page.browser import GREETINGS, CountingServer, Visit
from lab.page.expressions import expected
from lab.page.motion import (
    ARRIVAL,
    BLAME,
    CASES,
    FRAME,
    HIKERS,
    SHUFFLE,
    SPOTLIGHT,
    TOKENIZER,
    Case,
    Clocked,
    Mover,
    middle,
    show,
    ways,
)
from lab.page.shown import Shown, mistake
from lab.page.truth import Truth
from lab.session_client import ask

COMMIT = 300  # nodes and attributes that a frame in which a moment comes may change


EVERY = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(opening.names(Text()).run, load("names"), "emma")


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
    visit.open("#section=6")
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
    mover.figure.locator("h3").dispatch_event("pointerdown")
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


# --- the ways: test_motion_graph.py has those along edges and lanes


def test_a_letter_travels_through_all_stations_and_then_the_next_one_is_read(clocked: Clocked, truth: Truth) -> None:
    mover = clocked.stopped(ARRIVAL)
    stations = mover.figure.locator("ol > li")
    count = stations.count()
    assert (count, mover.last + 1) == (6, 6 * len(truth.tokens[:-1]))
    tops = [mover.box(stations.nth(i))[3] for i in range(count)]
    for moment in range(1, 2 * count + 1):
        mover.press("Step")
        frames = [places[0] for places in mover.frames(14)]
        assert [what for what, *_ in frames] == ["letter"] * 15
        t, station = divmod(moment, count)
        assert {letter for _, letter, *_ in frames} == {["BOS", *"emma"][t]}
        ys = [y for _, _, _, y, *_ in frames]
        assert ys == sorted(ys, reverse=station == 0)  # down the map, and back to its top
        assert (ys[0], ys[-1]) == (pytest.approx(tops[station - 1], abs=2), pytest.approx(tops[station], abs=2))
        assert len({*ys}) >= 6
        assert mover.figure.locator("ol > li.pending").count() == count - 1 - station
        assert mover.page.evaluate("location.hash").count(f"position={t}") == (t != 3)


def test_cards_change_places_on_opposite_sides_swap_by_swap(clocked: Clocked, session: Session) -> None:
    mover = clocked.stopped(SHUFFLE)
    mover.figure.get_by_label("second seed").fill("7")
    clocked.tab.settle()
    decks = [ask(session, "shuffle", seed=seed, count=8) for seed in (42, 7)]
    lists = mover.figure.locator("ol")
    rest = [middle(place)[1] for place in mover.places()[:8]]  # the heights of the places
    for swap in range(7):
        mover.press("Step")
        frames = [*mover.frames(24)]
        for number, deck in enumerate(decks):
            i, j = deck["swaps"][swap]["i"], deck["swaps"][swap]["j"]
            before = deck["swaps"][swap - 1]["after"] if swap else deck["before"]
            after = deck["swaps"][swap]["after"]
            assert lists.nth(number).locator("li").all_inner_texts() == after
            cards = [{place[1]: middle(place) for place in places[8 * number : 8 * number + 8]} for places in frames]
            home = next(x for text, (x, _) in cards[0].items() if before.index(text) not in (i, j))
            for place, text in enumerate(after):
                way = [card[text] for card in cards]
                if place not in (i, j):
                    assert {*way} == {way[0]}
                    continue
                start, end = rest[before.index(text)], rest[place]
                assert (way[0][1], way[-1][1]) == (pytest.approx(start, abs=1), pytest.approx(end, abs=1))
                heights, sides = [y for _, y in way], [x - home for x, _ in way]
                assert heights == sorted(heights, reverse=end < start)
                assert len({*way}) >= 6
                assert max(map(abs, sides)) > 6
                # down the left side, up the right side; a card that stays is drawn and put back
                assert all(side <= 0.1 for side in sides) if end > start else all(side >= -0.1 for side in sides)
    assert mover.figure.locator("p[role=status]").inner_text() == "Another seed makes another deck."
    mover.figure.get_by_label("second seed").fill("42")
    clocked.tab.settle()
    assert mover.figure.locator("p[role=status]").inner_text().startswith("The same seed makes the same deck")
    [first, second] = [lists.nth(i).locator("li").all_inner_texts() for i in range(2)]
    assert first == second


def test_bos_comes_to_both_ends_and_each_letter_turns_into_its_id(clocked: Clocked, truth: Truth) -> None:
    mover = clocked.stopped(TOKENIZER)
    tiles = mover.figure.locator(".tokens li")
    letters = [middle(mover.box(tiles.nth(i)))[0] for i in range(1, 5)]
    left, right = ways(mover, "bos")
    for way, sign in ((left, 1), (right, -1)):
        xs = [sign * middle(place)[0] for place in way]
        assert xs == sorted(xs)
        assert len({*xs}) >= 6
    assert middle(left[-1])[0] < letters[0]
    assert middle(right[-1])[0] > letters[-1]
    for i, token_id in enumerate(truth.tokens):
        way = next(way for way in ways(mover, "id") if way[0][2:] != way[-1][2:])
        tile = mover.box(tiles.nth(i).locator(".char"))
        edges = [y + height for _, _, _, y, _, height in way]  # the lower edge of the flap
        assert len({*edges}) >= 6
        assert edges[0] == pytest.approx(tile[3] + tile[5], abs=1)  # it begins on the letter ...
        assert tile[3] <= way[0][3] <= tile[3] + 8
        assert way[-1][3] == pytest.approx(tile[3] + tile[5], abs=1)  # ... and ends below it
        assert all(a <= b + 2 for a, b in pairwise(edges))  # a flap that comes near looks a little longer
        assert tiles.nth(i).locator(".id").inner_text() == str(token_id)
        assert tiles.locator(".id").count() == i + 1
    assert mover.at == mover.last


def test_the_spotlight_moves_along_the_word_and_beams_reach_what_is_looked_at(clocked: Clocked, truth: Truth) -> None:
    mover = clocked.stopped(SPOTLIGHT)
    row = mover.figure.locator(".row").first
    seats = [middle(mover.box(row.locator(".seat").nth(s)))[0] for s in range(5)]
    tops = [mover.box(row.locator(".letter").nth(s))[3] for s in range(5)]
    for t in range(1, 5):
        mover.press("Step")
        frames = [*mover.frames(44)]
        assert mover.at == t
        light = [middle(next(place for place in places if place[0] == "spotlight"))[0] for places in frames]
        assert (light[0], light[-1]) == (pytest.approx(seats[t - 1], abs=1), pytest.approx(seats[t], abs=1))
        assert light == sorted(light)
        assert len({*light}) >= 6
        beams = [[place for place in places if place[0] == "beam"][: t + 1] for places in frames]
        for s in range(t):  # from the letter that looks to the letter that it looks at
            lefts = [places[s][2] for places in beams]
            assert lefts == sorted(lefts, reverse=True)
            assert lefts[0] == pytest.approx(seats[t], abs=8)
            assert lefts[-1] == pytest.approx(seats[s], abs=8)
            assert len({*lefts}) >= 6
        widths = mover.figure.locator("path[data-moves=beam]").evaluate_all(
            "(beams) => beams.map((e) => Number(e.getAttribute('stroke-width')))"
        )
        for h in range(4):
            weights = [truth.number(f"pos{t}.layer0.attn_weights.head{h}[{s}]") for s in range(t)]
            assert widths[h * t : (h + 1) * t] == pytest.approx([max(0.75, 12 * weight) for weight in weights])
        messages = [[place for place in places if place[0] == "message"][:t] for places in frames]
        for s in range(t):  # from there it comes back
            xs = [middle(places[s])[0] for places in messages if places]
            assert len({*xs}) >= 6
            assert xs == sorted(xs)
            assert seats[s] - 1 <= xs[0] < xs[-1] <= seats[t] + 1
        # the row of weights ends below the rows of the positions before
        ends = [[place for place in places if place[0] == "weights"][:1] for places in frames]
        heights = [places[0][3] for places in ends if places]
        assert heights == sorted(heights)
        assert len({*heights}) >= 6
        assert 13 * t - 3 < heights[-1] - heights[0] <= 13 * t + 1
        assert heights[0] > tops[0]


def test_the_hikers_walk_their_real_paths(clocked: Clocked, session: Session) -> None:
    mover = clocked.stopped(HIKERS)
    surface = ask(session, "hike", word="emma", scene="ravine")["surface"]
    paths = [hiker["path"] for hiker in surface["hikers"]]

    def hikers() -> list[tuple[float, float]]:
        return [middle(place) for place in mover.places() if place[0] == "hiker"]

    stops = []
    for at in range(mover.last + 1):
        mover.scrub(at)
        stops.append(hikers())
    # the map is a scale: two steps fix it, and all others are on it
    for axis, values in enumerate(("x", "y")):
        (a, b), (p, q) = [paths[0][i][values] for i in (0, 1)], [stops[i][0][axis] for i in (0, 1)]
        for which, path in enumerate(paths):
            for at, stop in enumerate(stops):
                expected = p + (path[at][values] - a) * (q - p) / (b - a)
                assert stop[which][axis] == pytest.approx(expected, abs=0.5)
    mover.scrub(0)
    for at in range(1, 7):
        mover.press("Step")
        frames = [hikers()]
        drawn = [[place for place in mover.places() if place[0] == "path"]]
        for _ in range(12):
            mover.run(3 * FRAME)
            frames.append(hikers())
            drawn.append([place for place in mover.places() if place[0] == "path"])
        for which in range(2):
            start, end = stops[at - 1][which], stops[at][which]
            way = [frame[which] for frame in frames]
            assert way[0] == pytest.approx(start, abs=0.5)
            assert way[-1] == pytest.approx(end, abs=0.5)
            length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
            shares = []
            for x, y in way:
                share = ((x - start[0]) * (end[0] - start[0]) + (y - start[1]) * (end[1] - start[1])) / length**2
                aside = ((x - start[0]) * (end[1] - start[1]) - (y - start[1]) * (end[0] - start[0])) / length
                assert abs(aside) < 0.5  # on the straight way of a step
                shares.append(share)
            assert all(a <= b + 0.01 for a, b in pairwise(shares))
            assert sum(0.02 < share < 0.98 for share in shares) >= 6
            for place, (x, y) in zip([frame[which] for frame in drawn], way, strict=True):
                _, _, left, top, width, height = place  # the path behind the hiker ends where it is
                assert left - 2 <= x <= left + width + 2
                assert top - 2 <= y <= top + height + 2


def test_a_hiker_who_leaves_the_map_is_marked_at_its_edge(clocked: Clocked) -> None:
    mover = clocked.stopped(HIKERS)
    mover.page.clock.resume()
    slider = mover.figure.get_by_role("slider", name=re.compile("gradient descent"))
    slider.fill("1")
    clocked.tab.settle()
    area = mover.box(mover.figure.locator("canvas"))
    try:
        mover.scrub(mover.last)
        marks = mover.figure.locator("path.hiker")
        marked = 0
        for at in range(6):
            mover.scrub(at)
            away = 0
            for _, _, x, y in [(*place[:2], *middle(place)) for place in mover.places() if place[0] == "hiker"]:
                inside = area[2] <= x <= area[2] + area[4] and area[3] <= y <= area[3] + area[5]
                away += not inside
            assert marks.count() == away
            marked += away
            for i in range(away):
                x, y = middle(mover.box(marks.nth(i)))
                assert area[2] - 16 <= x <= area[2] + area[4] + 16
                assert area[3] - 16 <= y <= area[3] + area[5] + 16
        assert marked
    finally:
        mover.figure.get_by_role("button", name="reset").click()
        clocked.tab.settle()
