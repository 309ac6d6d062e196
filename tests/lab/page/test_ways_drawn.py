"""Players whose elements go along drawn lines: numbers on a graph's edges, vectors on the residual road."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from microgpt.lab.session import Session

from lab.page.motion import BLAME, ROAD, Clocked, Mover, middle
from lab.session_client import ask

# How far each moving number is along the edge that it is nearest to, 0 at its beginning, and how far from it, in pixels
ON_EDGES = """(figure) => {
  const paper = figure.querySelector('.paper').getBoundingClientRect()
  const edges = [...figure.querySelectorAll('.paper path')]
  return [...figure.querySelectorAll('.paper [data-moves]')].map((e) => {
    const box = e.getBoundingClientRect()
    const [x, y] = [box.x + box.width / 2 - paper.x, box.y + box.height / 2 - paper.y]
    let best = { far: Infinity }
    edges.forEach((edge, i) => {
      const length = edge.getTotalLength()
      for (let k = 0; k <= 400; k++) {
        const point = edge.getPointAtLength((k / 400) * length)
        const far = Math.hypot(point.x - x, point.y - y)
        if (far < best.far) best = { edge: i, along: k / 400, far }
      }
    })
    return { ...best, kind: e.dataset.moves, says: e.innerText, path: e.querySelector('[data-path]').dataset.path }
  })
}"""


def shown(mover: Mover, name: str) -> tuple[str, str | None]:
    """Return the value and the gradient that a node shows; a missing gradient is None."""
    box = mover.figure.locator(".node").filter(has=mover.page.locator("b", has_text=name)).first
    value, grad = (box.locator(".line .number").nth(i) for i in (0, 1))
    return value.inner_text(), grad.get_attribute("data-value")


def on_edges(mover: Mover) -> Any:
    found = mover.figure.evaluate(ON_EDGES)
    assert all(pill["far"] < 1.5 for pill in found)
    return found


@pytest.fixture(scope="module")
def expression() -> Any:
    return ask(Session(), "expression", source="y = x * x + x", inputs={"x": 1.5})


def test_values_come_down_the_edges_and_then_the_operation_has_its_value(clocked: Clocked, expression: Any) -> None:
    mover = clocked.stopped(BLAME)
    made = [node for node in expression["nodes"] if node["operands"]]
    names = [node["name"] or f"n{node['id']}" for node in expression["nodes"]]
    assert [shown(mover, name) for name in names] == [("1.5000", None), ("–", None), ("–", None)]
    edge = 0
    for node in made:
        mover.press("Step")
        ways: dict[int, list[float]] = {}
        while pills := on_edges(mover):
            assert {pill["kind"] for pill in pills} == {"value"}
            assert shown(mover, names[node["id"]]) == ("–", None)  # what it is made of has not come
            for pill, operand in zip(pills, node["operands"], strict=True):
                assert pill["path"] == names[operand["id"]]
                ways.setdefault(pill["edge"], []).append(pill["along"])
            mover.run(64)
        assert sorted(ways) == [*range(edge, edge + len(node["operands"]))]
        edge += len(node["operands"])
        for way in ways.values():
            assert way == sorted(way)
            assert way[0] < 0.05
            assert way[-1] > 0.9
            assert len({*way}) >= 6
        assert shown(mover, names[node["id"]])[0] == f"{node['data']:.4f}"


def test_gradients_go_back_up_the_edges_and_add_where_branches_meet(clocked: Clocked, expression: Any) -> None:
    mover = clocked.stopped(BLAME)
    names = [node["name"] or f"n{node['id']}" for node in expression["nodes"]]
    moves = expression["backward"]
    mover.scrub(mover.last - len(moves))
    assert shown(mover, "y") == ("3.7500", "1")
    edges = []
    for i, move in enumerate(moves):
        mover.press("Step")
        way, says = [], []
        while pills := on_edges(mover):
            [pill] = pills
            assert pill["kind"] == "gradient"
            assert float(shown(mover, names[move["operand"]])[1] or "nan") == move["before"]  # the sum so far
            multiplied = pill["along"] < 0.5
            if abs(pill["along"] - 0.5) > 0.02:
                assert pill["path"] == f"backward[{i}].{'share' if multiplied else 'out'}"
            way.append(pill["along"])
            says.append(pill["says"])
            edges.append(pill["edge"])
            mover.run(64)
        assert all(a >= b for a, b in pairwise(way))
        assert way[0] > 0.95
        assert way[-1] < 0.05
        assert len({*way}) >= 6
        assert says[0] == f"{move['out']:.2f}"
        assert says[-1] == f"+{move['share']:.2f}"  # the addition stands below the sum so far ...
        assert says.count(says[-1]) >= 4
        last = i == len(moves) - 1
        assert float(shown(mover, names[move["operand"]])[1] or "nan") == move["after"]  # ... and then there is the sum
        assert mover.figure.locator(f".graph [data-path='backward[{i}].after']").count() == (not last)
    assert [edge for edge, after in pairwise([*edges, -1]) if edge != after] == [2, 3, 0, 1]  # each edge once
    met = [move for move in moves if move["operand"] == 0]
    assert [move["after"] for move in met] == [1.0, 2.5, 4.0]


def test_a_copy_leaves_the_lane_and_what_comes_of_it_meets_the_lane_again(clocked: Clocked) -> None:
    mover = clocked.stopped(ROAD)
    lines = mover.figure.locator(".beats > li")
    heights = [lines.nth(i).bounding_box()["y"] for i in range(6)]
    assert heights == sorted(heights)
    xs, ys = set(), []
    for at in range(1, 6):
        mover.press("Step")
        ways: dict[str, list[tuple[float, float]]] = {}
        for places in mover.frames(50):
            for place in places:
                ways.setdefault(place[0], []).append(middle(place))
        lane = ways["lane"]
        xs |= {round(x) for x, _ in lane}
        ys += [y for _, y in lane]
        assert len({*lane}) >= 6
        leaves, returns = at in (1, 3), at in (2, 4)
        assert ("copy" in ways, "gift" in ways) == (leaves, returns)
        if leaves:
            copy = ways["copy"]
            assert copy[0] == pytest.approx(lane[0], abs=2)
            sides = [x for x, _ in copy]
            assert sides == sorted(sides)
            assert sides[-1] > sides[0] + 100
            [block] = [mover.box(lines.nth(at).locator(".reads .frame"))]
            assert copy[-1] == pytest.approx(middle(block), abs=4)
        if returns:
            gift = ways["gift"]
            sides = [x for x, _ in gift]
            assert sides == sorted(sides, reverse=True)
            assert middle(mover.box(lines.nth(at - 1).locator(".gives .frame"))) == pytest.approx(gift[0], abs=2)
            assert gift[-1] == pytest.approx(lane[len(gift) - 1], abs=4)  # they meet ...
            assert lane[-1][1] > lane[len(gift) - 1][1]  # ... and the lane goes on
    assert len(xs) == 1  # straight on
    assert ys == sorted(ys)


def test_the_sum_of_a_merge_stands_beside_the_lane(clocked: Clocked) -> None:
    mover = clocked.stopped(ROAD)
    sums = mover.figure.locator(".sum[class*=small]")
    assert sums.count() == 2
    assert not any(one.is_visible() for one in sums.all())
    mover.scrub(mover.last)
    for one in sums.all():
        before, added, after = one.locator("[data-value]").evaluate_all("(all) => all.map((e) => +e.dataset.value)")
        assert before + added == after
