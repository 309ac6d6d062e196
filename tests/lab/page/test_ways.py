"""The ways of moving players: what moves goes where the data go. test_ways_drawn.py has those along drawn lines."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.lab.session import Session

from lab.page.motion import (
    ARRIVAL,
    CACHE,
    FRAME,
    HIKERS,
    LOOP,
    SCALE,
    SHUFFLE,
    SIGNAL,
    SPOTLIGHT,
    TOKENIZER,
    Case,
    Clocked,
    middle,
    ways,
)
from lab.page.truth import Truth
from lab.session_client import ask


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(opening.names(Text()).run, load("names"), "emma")


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def test_a_letter_travels_through_all_stations_and_then_the_next_one_is_read(clocked: Clocked, truth: Truth) -> None:
    mover = clocked.stopped(ARRIVAL)
    stations = mover.figure.locator("ol > li")
    count = stations.count()
    assert (count, mover.last + 1) == (6, 6 * len(truth.tokens[:-1]))
    tops = [mover.box(stations.nth(i))[3] for i in range(count)]
    for moment in range(1, 2 * count + 1):
        mover.press("Step")
        frames = [places[0] for places in mover.frames(14)]
        assert [what for what, *_ in frames] == ["traveller"] * 15
        t, station = divmod(moment, count)
        assert {letter for _, letter, *_ in frames} == {["BOS", *"emma"][t]}
        ys = [y for _, _, _, y, *_ in frames]
        assert ys == sorted(ys, reverse=station == 0)  # down the map, and back to its top
        assert (ys[0], ys[-1]) == (pytest.approx(tops[station - 1], abs=2), pytest.approx(tops[station], abs=2))
        assert len({*ys}) >= 6
        assert mover.figure.locator("ol > li.pending").count() == count - 1 - station
        assert "position=" not in mover.page.evaluate("location.hash")  # other sections keep the reader's


@pytest.mark.parametrize("case", [SIGNAL, LOOP], ids=lambda case: case.name)
def test_a_signal_and_a_document_travel_through_all_stations(clocked: Clocked, case: Case) -> None:
    mover = clocked.stopped(case)
    stations = mover.figure.locator("ol:has(> .traveller) > li")
    tops = [mover.box(stations.nth(i))[3] for i in range(stations.count())]
    assert len(tops) == mover.last + 1
    for at in range(1, len(tops)):
        mover.press("Step")
        frames = [next(place for place in places if place[0] == "traveller") for places in mover.frames(24)]
        ys = [place[3] - frames[0][3] for place in frames]
        assert ys == sorted(ys)
        assert len({*ys}) >= 6
        assert ys[-1] == pytest.approx(tops[at] - tops[at - 1], abs=1)
        assert mover.figure.locator("li.pending").count() == mover.last - at


def test_the_bars_of_the_scale_shrink_together(clocked: Clocked) -> None:
    mover = clocked.stopped(SCALE)
    room = mover.box(mover.figure.locator("ol"))[4]
    for _ in range(mover.last):
        mover.press("Step")
        frames = [[place[4] for place in places if place[0] == "bar"] for places in mover.frames(26)]
        if any(1 < width < room for width in frames[-1]):  # a bar that fits, and can be seen
            assert len({tuple(frame) for frame in frames}) >= 6
        for widths in zip(*frames, strict=True):
            assert [*widths] == sorted(widths, reverse=True)
            if widths[0] < room and widths[-1] > 1:  # it was whole before, and can still be seen
                assert widths[-1] == pytest.approx(widths[0] / 10, abs=0.1)


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


def test_a_key_and_a_value_drop_into_the_lists_and_the_query_passes_the_keys(clocked: Clocked) -> None:
    mover = clocked.stopped(CACHE)
    rows = mover.figure.locator("tbody tr")
    tops = [mover.box(rows.nth(s))[3] for s in range(5)]
    for t in range(1, 5):
        mover.press("Step")
        frames = [*mover.frames(44)]
        assert mover.at == t
        for what in ("key", "value"):
            ys = [next(place for place in places if place[0] == what)[3] for places in frames]
            assert ys == sorted(ys)
            assert len({*ys}) >= 6
            assert ys[0] == pytest.approx(tops[0] - tops[t] + ys[-1], abs=3)  # from the first row ...
            assert tops[t] - 1 <= ys[-1] <= tops[t] + 8  # ... into its own
        asks = [place[3] for places in frames for place in places if place[0] == "query"]
        assert asks == sorted(asks)
        assert len({*asks}) >= 6
        assert asks[0] == pytest.approx(tops[0], abs=6)
        assert tops[t - 1] <= asks[-1] <= tops[t] + 6
    mover.scrub(0)
    mover.press("Step")
    mover.run(600)  # the key has dropped, the query has not passed it yet
    hidden = mover.figure.locator("tbody tr").nth(1).locator(".away").count()
    assert hidden == 2
