"""The loop while a run is trained: one document after another goes through the stations, each with its own numbers."""

from __future__ import annotations

import re

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text

from conftest import golden
from lab.page.browser import Visit
from lab.page.motion import FRAME, LOOP, Mover
from lab.page.shown import Shown, mistake
from lab.page.truth import Truth

STATIONS = 4


@pytest.fixture
def training(visit: Visit) -> Mover:
    """The loop in a tab whose clock stands still."""
    visit.page.clock.install(time=0)
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.clock.pause_at(10**7)
    return Mover(visit, LOOP.title)


def start(mover: Mover, pace: str) -> None:
    mover.page.get_by_role("radio", name=pace, exact=True).click()
    mover.page.get_by_role("button", name="Train 1000 steps").click()
    mover.page.get_by_role("button", name="Pause training").wait_for()


def steps(mover: Mover) -> int:
    """Return how many steps the training has made."""
    return int(re.findall(r"step ([\d,]+) of", mover.page.locator("main .now").inner_text())[0].replace(",", ""))


def on_show(mover: Mover) -> tuple[int, int, list[Shown]]:
    """Return the step whose document is on its way, its station and the numbers, read at once."""
    text, numbers, at = mover.state()
    step = int(re.findall(r"Step ([\d,]+)", text)[0].replace(",", ""))
    return step, int(at), [Shown("", path, value, shown) for path, value, shown in numbers]


def test_documents_go_round_while_the_run_is_trained(training: Mover) -> None:
    truth = Truth(opening.names(Text()).run, load("names"), "emma")
    truth.losses = golden("names")["losses"]
    mover = training
    start(mover, "1 per second")
    seen: dict[int, list[int]] = {}  # the stations that each document came to
    while len(seen) < 4:
        mover.run(4 * FRAME)
        step, at, shown = on_show(mover)
        if seen.setdefault(step, [at])[-1] != at:
            seen[step].append(at)
            if at == STATIONS - 1:
                assert {f"run.loss[{step}]", f"step{step}.pos0.loss"} <= {one.path for one in shown}
                assert [words for one in shown if (words := mistake(one, truth.number(one.path), 1e-9))] == []
    assert list(seen) == sorted(seen)
    for step in list(seen)[:3]:
        assert seen[step] == [*range(STATIONS)]  # each is shown whole
    mover.page.get_by_role("button", name="Pause training").click()


def test_a_reader_who_stops_the_loop_keeps_its_document(training: Mover) -> None:
    mover = training
    start(mover, "watch")
    while mover.at != 2:
        mover.run(2 * FRAME)
    mover.press("Pause")
    [step, at, _], made = on_show(mover), steps(mover)
    while steps(mover) < made + 200:
        mover.run(50)
    assert on_show(mover)[:2] == (step, at) == (step, 2)
    mover.press("Play")  # it goes on, and the latest document follows
    while on_show(mover)[0] == step:
        mover.run(50)
    assert on_show(mover)[0] > made + 100
    mover.page.get_by_role("button", name="Pause training").click()
    mover.tab.settle()
    assert mover.at == STATIONS - 1
