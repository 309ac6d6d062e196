"""Players of chance: a chance becomes a penalty, the die hits a stretch of the line, the temperature evens out."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise
from typing import Any

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.lab.session import Session

from lab.page.motion import DIE, PENALTY, TEMPERATURE, Clocked, Mover, middle
from lab.page.truth import Truth
from lab.session_client import ask

# The numbers in a figure's moving elements: [path, value]
CARRIED = """(figure) => [...figure.querySelectorAll('[data-moves] [data-path]')]
  .map((e) => [e.dataset.path, +e.dataset.value])"""


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(opening.names(Text()).run, load("names"), "emma")


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def rises(way: list[float], reverse: bool = False) -> bool:
    return all(b <= a + 0.05 if reverse else a <= b + 0.05 for a, b in pairwise(way))


def of(places: list[list[Any]], what: str) -> list[list[Any]]:
    return [place for place in places if place[0] == what]


def test_a_chance_goes_along_its_axis_up_to_the_curve_and_across_to_its_column(
    clocked: Clocked, truth: Truth, session: Session
) -> None:
    mover = clocked.stopped(PENALTY)
    letters = ask(session, "loss", word="emma")["letters"]
    tiles = [middle(mover.box(mover.figure.locator(".tile").nth(i)))[0] for i in range(5)]
    zero, whole = (middle(mover.box(mover.figure.get_by_text(tick, exact=True)))[0] for tick in ("0%", "100%"))
    heights = []
    for i, letter in enumerate(letters):
        mover.press("Step")
        xs, ys, carried = [], [], []
        for places in mover.frames(44):
            assert len(of(places, "column")) in (i, i + 1)
            for _, _, x, y, width, height in of(places, "chance"):
                [[path, value]] = mover.figure.evaluate(CARRIED)
                assert value == truth.number(path)
                carried.append(path)
                circle = mover.box(mover.figure.locator(".mark circle"))
                xs.append(middle(circle)[0])
                ys.append(middle(circle)[1])
                assert x - 1 <= xs[-1] <= x + width + 1
                assert y - 1 <= ys[-1] <= y + height + 1
        assert rises(xs)
        assert rises(ys, reverse=True)
        assert (len({*xs}), len({*ys})) > (6, 6)
        risen = ys.index(min(ys))
        assert xs[0] == pytest.approx(zero, abs=2)
        assert xs[risen] == pytest.approx(zero + letter["prob"] * (whole - zero), abs=2)  # the chance, on the axis
        assert xs[-1] == pytest.approx(tiles[i], abs=2)  # the letter that really came
        ends = [f"pos{i}.probs[{letter['target_id']}]", f"pos{i}.loss"]
        assert [*dict.fromkeys(carried)] == ends
        *_, top, _, height = of(mover.places(), "column")[i]
        assert top == pytest.approx(ys[-1], abs=1.5)  # the column is as high as the curve is there
        heights.append(height)
        assert mover.figure.locator(f"[data-path='loss so far {i}']").count() == 1
    for letter, height in zip(letters, heights, strict=True):
        assert height / heights[0] == pytest.approx(letter["loss"] / letters[0]["loss"], abs=0.01)


def test_the_columns_are_levelled_to_their_mean(clocked: Clocked, truth: Truth, session: Session) -> None:
    mover = clocked.stopped(PENALTY)
    loss = ask(session, "loss", word="emma")
    mover.scrub(5)
    assert mover.figure.locator("[data-path=loss]:visible").count() == 0
    before = of(mover.places(), "column")
    scale = before[0][5] / loss["letters"][0]["loss"]
    mover.press("Step")
    tops: dict[int, list[float]] = {i: [] for i in range(5)}
    for places in mover.frames(44):
        given = {round(place[2]): place for place in of(places, "given")}
        for i, column in enumerate(of(places, "column")):
            tops[i].append(given.get(round(column[2]), column)[3])
    floor = before[0][3] + before[0][5]
    for i, letter in enumerate(loss["letters"]):
        assert tops[i][0] == pytest.approx(floor - scale * letter["loss"], abs=1)
        assert tops[i][-1] == pytest.approx(floor - scale * loss["mean"], abs=1)
        assert rises(tops[i], reverse=letter["loss"] < loss["mean"])
        assert len({*tops[i]}) > 6
    assert mover.figure.locator("[data-path=loss]:visible").count() >= 1


def test_the_die_lands_in_the_stretch_of_the_letter_that_flies_to_the_end_of_the_name(
    clocked: Clocked, truth: Truth, session: Session
) -> None:
    mover = clocked.stopped(DIE)
    generated = ask(session, "generate", seed=42, index=0, temperature=0.5)
    dice = random.Random("42:0")
    line = mover.figure.locator(".die svg > rect")
    _, _, left, top, *_ = mover.box(line.first)
    _, _, x, _, width, _ = mover.box(line.last)
    whole = x + width + 0.8 - left
    assert mover.figure.locator(".written").inner_text() == ""
    for i, letter in enumerate(generated["letters"]):
        mover.press("Step")
        die, flight = [], []
        written = mover.figure.locator(".written")
        for places in mover.frames(42):
            if of(places, "die"):
                [[path, chance], *_] = mover.figure.evaluate(CARRIED)
                assert path == f"generated[{i}].chance"
                tip = mover.box(mover.figure.locator("[data-moves=die] path"))
                die.append((middle(tip)[0], tip[3] + tip[5]))
            for place in of(places, "letter"):
                assert place[1] == (letter["char"] or "BOS")
                flight.append(middle(place))
        assert chance == letter["chance"] == dice.random()
        bounds = [0.0, *accumulate(truth.generated[i][1])]
        assert bounds[letter["token_id"]] <= chance < bounds[letter["token_id"] + 1]
        assert {round(x - left - chance * whole) for x, _ in die} == {0}  # it falls at its place ...
        heights = [y for _, y in die]
        assert rises(heights)
        assert len({*heights}) > 6
        assert top < heights[-1] < top + 40
        hit = mover.figure.locator(".die svg > rect.hit")
        _, _, x, y, width, height = mover.box(hit)
        assert x - 0.5 <= die[-1][0] <= x + width + 1  # ... in the stretch of the letter
        assert flight[0] == pytest.approx((x + width / 2, y + height / 2), abs=6)
        assert rises([y for _, y in flight], reverse=True)
        assert rises([x for x, _ in flight], reverse=flight[-1][0] < flight[0][0])
        assert len({*flight}) > 6
        assert written.inner_text() == generated["text"][: i + 1]
        goal = mover.box(written.locator("span:not(.cursor)" if letter["char"] else ".cursor"))
        assert flight[-1] == pytest.approx(middle(goal), abs=8 if letter["char"] else 12)  # a full stop stands low
    assert mover.at == mover.last


def test_before_the_die_lands_nothing_tells_where(clocked: Clocked) -> None:
    mover = clocked.stopped(DIE)
    mover.press("Step")
    mover.run(400)
    assert mover.figure.locator(".hit").count() == 0
    assert not mover.figure.locator(".die p").is_visible()
    assert mover.figure.locator(".bars .strong").count() == 0
    mover.run(600)
    assert mover.figure.locator(".die p").is_visible()


def test_another_name_is_played_from_its_beginning(clocked: Clocked, session: Session) -> None:
    mover = clocked.stopped(DIE)
    mover.scrub(mover.last)
    mover.figure.get_by_role("button", name="Generate another name").click()
    clocked.tab.settle()
    assert (mover.at, mover.plays) == (0, True)
    for _ in range(200):
        mover.run(250)
        if not mover.plays:
            break
    text = ask(session, "generate", seed=42, index=1, temperature=0.5)["text"]
    assert mover.figure.locator(".written").inner_text() == text


def test_bars_go_through_the_chances_of_the_temperatures_on_the_way(
    clocked: Clocked, truth: Truth, session: Session
) -> None:
    mover = clocked.stopped(TEMPERATURE)
    temperatures = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2]
    logits = truth.generated[0][2]
    likely = sorted(range(len(logits)), key=lambda i: -logits[i])[:8]
    whole = mover.box(mover.figure.locator(".track").first)[4]
    assert mover.last + 1 == len(temperatures)
    yours = mover.figure.locator(".names").nth(1).locator("li")
    for before, after in pairwise(temperatures):
        mover.press("Step")
        frames = [*mover.frames(26)]
        widths = [[place[4] / whole for place in of(places, "bar")] for places in frames]
        course = [before + (after - before) * i / 16 for i in range(17)]
        states = [[truth.softened(logits, t)[i] for i in likely] for t in course]
        passed = [min(range(17), key=lambda k: abs(states[k][0] - frame[0])) for frame in widths]
        assert passed == sorted(passed)
        assert (passed[0], passed[-1]) == (0, 16)
        assert len({*passed}) > 6
        for frame, k in zip(widths, passed, strict=True):  # each frame is what a temperature makes of the logits
            assert frame == pytest.approx(states[k], abs=0.002)
        names = [ask(session, "samples", seed=7, count=10, temperature=t)["texts"] for t in (before, after)]
        assert [text.split(",")[0].strip() for text in yours.all_inner_texts()] == [name or "–" for name in names[1]]
        new = [b for a, b in zip(*names, strict=True) if a != b]
        moving = [of(places, "name") for places in frames]
        assert [place[1].split(",")[0] for place in moving[-1]] == [name or "–" for name in new]
        for way in zip(*moving, strict=True):
            assert rises([place[2] for place in way])
            assert way[-1][2] > way[0][2] + 60


def test_a_temperature_that_passes_by_leaves_the_other_figures_alone(clocked: Clocked) -> None:
    mover = clocked.stopped(TEMPERATURE)
    mover.scrub(mover.last)
    assert mover.page.locator("main .die [data-path=temperature]").inner_text() == "0.50"
    slider = mover.figure.get_by_role("slider", name="temperature", exact=True)
    assert slider.input_value() == "2"
    slider.fill("0.75")
    clocked.tab.settle()
    assert mover.page.locator("main .die [data-path=temperature]").inner_text() == "0.75"
    assert mover.figure.locator("[data-path='temperature 0.75']").count() == 1
    slider.fill("0.5")
    clocked.tab.settle()


def test_a_slider_that_is_dragged_stops_the_player(clocked: Clocked) -> None:
    mover: Mover = clocked.stopped(TEMPERATURE)
    mover.press("Play")
    mover.run(600)
    mover.figure.get_by_role("slider", name="temperature", exact=True).fill("0.5")
    assert not mover.plays
    assert mover.at == 3
