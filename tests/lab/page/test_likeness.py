"""A letter becomes numbers: two rows leave their tables and are added; and the map of the letters by likeness."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.lab.session import Session

from lab.page.axe import violations
from lab.page.browser import Visit
from lab.page.motion import IDENTITY, Clocked, Mover, middle
from lab.page.truth import Truth
from lab.session_client import ask

TITLE = "The rows of wte by likeness"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(opening.names(Text()).run, load("names"), "emma")


def row(mover: Mover, table: str, index: int, rows: int) -> tuple[float, float]:
    """Return the middle of a table's row."""
    _, _, x, y, width, height = mover.box(mover.figure.locator(f".{table} .frame"))
    return x + width / 2, y + (index + 0.5) * height / rows


def heads_for(way: list[tuple[float, float]], start: tuple[float, float], end: tuple[float, float]) -> None:
    """Check that a way goes straight from its start to its end, and never turns back."""
    assert way[0] == pytest.approx(start, abs=1.5)
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    shares = []
    for x, y in way:
        along, across = [(x - start[0]), (y - start[1])], [end[0] - start[0], end[1] - start[1]]
        shares.append((along[0] * across[0] + along[1] * across[1]) / length**2)
        assert abs(along[0] * across[1] - along[1] * across[0]) / length < 1.5
    assert shares == sorted(shares)
    assert shares[-1] > 0.9
    assert len({*way}) >= 6


def test_two_rows_leave_their_tables_are_added_and_the_sum_takes_the_letters_place(
    clocked: Clocked, truth: Truth
) -> None:
    mover = clocked.stopped(IDENTITY)
    figure = mover.figure
    assert mover.last == 5
    assert not figure.locator(".sums li").first.is_visible()
    for t, token_id in enumerate(truth.tokens[:5]):
        mover.press("Step")
        ways: dict[str, list[tuple[float, float]]] = defaultdict(list)
        falling: dict[int, list[float]] = defaultdict(list)
        spelled = []
        for places in mover.frames(72):
            for place in places:
                if place[0] == "number":
                    falling[round(place[2])].append(place[3])
                else:
                    ways[place[0]].append(middle(place))
            spelled.append(sum(one.is_visible() for one in figure.locator(".sums li").all()))
        slots = [middle(mover.box(figure.locator(f".{slot} .frame"))) for slot in ("tok", "pos", "sum")]
        heads_for(ways["letter"], row(mover, "letters", token_id, 27), slots[0])
        heads_for(ways["place"], row(mover, "places", t, 16), slots[1])
        heads_for(ways["sum"], slots[2], middle(mover.box(figure.locator("li.now .frame"))))
        assert len(falling) == 16  # one number of each column, from the letter's row down to the sum
        for fall in falling.values():
            assert fall == sorted(fall)
            assert fall[0] < slots[1][1] < fall[-1] + 12
        assert spelled == sorted(spelled)
        assert (spelled[0], spelled[-1]) == (0, 4)
        # what it shows then is the engine's, and the sum is the sum
        for k in range(4):
            numbers = figure.locator(".sums li").nth(k).locator("[data-path]")
            found = {one.get_attribute("data-path"): float(one.get_attribute("data-value")) for one in numbers.all()}
            wanted = [f"wte[{token_id}][{k}]", f"wpe[{t}][{k}]", f"pos{t}.emb[{k}]"]
            assert found == {path: truth.number(path) for path in wanted}
            assert found[wanted[0]] + found[wanted[1]] == found[wanted[2]]
        assert figure.locator("li.there").count() == t + 1


def places_of(figure: Any) -> dict[str, tuple[float, float]]:
    found = figure.locator(".plane button").evaluate_all(
        """(all) => all.map((e) => [e.textContent, parseFloat(e.style.left), parseFloat(e.style.top)])"""
    )
    return {letter: (x, y) for letter, x, y in found}


def test_the_map_is_drawn_to_scale(tab: Visit, truth: Truth) -> None:
    tab.section(3, word="emma")
    shown = places_of(Mover(tab, TITLE).figure)
    assert len(shown) == 27
    for axis, sign in (("x", 1), ("y", -1)):
        true = {letter: truth.number(f"likeness[{ord(letter) - 97}].{axis}") for letter in "abcdefghijklmnopqrstuvwxyz"}
        mine = {letter: sign * shown[letter]["xy".index(axis)] for letter in true}
        scale = (mine["a"] - mine["n"]) / (true["a"] - true["n"])
        assert scale > 0
        for letter in true:  # the page rounds nothing, so this holds to the digits of the style
            assert mine[letter] - mine["a"] == pytest.approx(scale * (true[letter] - true["a"]), abs=0.01)


def test_a_click_shows_the_letters_most_like_a_letter(tab: Visit, truth: Truth, axe: str) -> None:
    tab.section(3, word="emma")
    figure = Mover(tab, TITLE).figure
    # the button of “u” covers this place, but “a” is nearer to it
    figure.get_by_role("button", name="a", exact=True).click(force=True)
    tab.settle()
    assert figure.locator("h4").inner_text() == "Nearest to “a”, by cosine"
    others = sorted((i for i in range(1, 27)), key=lambda i: -truth.number(f"cosine[{i}] a"))[:5]
    numbers = figure.locator("ol [data-path]")
    assert numbers.evaluate_all("(all) => all.map((e) => e.dataset.path)") == [f"cosine[{i}] a" for i in others]
    assert figure.locator("line").count() == figure.locator("button.near").count() == 5
    assert figure.locator(".vowels").count() == 1
    # by keyboard: one tab stop, and arrows
    assert figure.locator(".plane button[tabindex='0']").count() == 1
    figure.get_by_role("button", name="a", exact=True).press("ArrowRight")
    tab.settle()
    assert figure.locator("h4").inner_text() == "Nearest to “b”, by cosine"
    assert tab.page.evaluate("document.activeElement.textContent") == "b"
    figure.locator("summary").click()
    assert figure.locator("tbody tr").count() == 27
    assert violations(tab, axe) == []


def test_the_letters_move_to_where_they_were_before_training(clocked: Clocked) -> None:
    clocked.tab.page.clock.resume()
    clocked.tab.section(3, word="emma")
    mover = Mover(clocked.tab, TITLE)
    ends = [places_of(mover.figure)]
    clocked.tab.page.clock.pause_at(next(clocked.stops))
    mover.figure.get_by_role("radio", name="before training").click()
    mover.page.evaluate("idle()")
    frames = []
    for _ in range(40):
        mover.run(40)
        frames.append(places_of(mover.figure))
    ends.append(frames[-1])
    session = Session()
    fresh = ask(session, "likeness", fresh=True)["tokens"]
    assert [token["symbol"] for token in fresh][:-1] == [*"abcdefghijklmnopqrstuvwxyz"]
    for axis, (name, sign) in enumerate((("x", 1), ("y", -1))):
        true = [sign * token[name] for token in fresh]
        mine = [ends[1][token["symbol"] or "·"][axis] for token in fresh]
        scale = (max(mine) - min(mine)) / (max(true) - min(true))
        for i in range(27):
            assert mine[i] - mine[0] == pytest.approx(scale * (true[i] - true[0]), abs=0.01)
    for letter, (x, y) in ends[1].items():
        way = [frame[letter] for frame in frames]
        for axis, (start, end) in enumerate(zip(ends[0][letter], (x, y))):
            passed = [place[axis] for place in way]
            assert passed == sorted(passed, reverse=end < start)
        if max(abs(x - ends[0][letter][0]), abs(y - ends[0][letter][1])) > 5:
            assert len({*way}) >= 6
    assert mover.figure.locator(".vowels").count() == 0
    mover.page.emulate_media(reduced_motion="reduce")
    mover.page.evaluate("idle()")
    try:
        mover.figure.get_by_role("radio", name="now").click()
        mover.page.evaluate("idle()")
        assert places_of(mover.figure) == ends[0]  # at once
    finally:
        mover.page.emulate_media(reduced_motion="no-preference")
        mover.page.evaluate("idle()")
