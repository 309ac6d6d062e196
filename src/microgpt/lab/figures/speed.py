"""A live speed comparison of the engines: the same training steps, timed on this machine.

The page shows the comparison as a ladder that leads from the reference to the kernel. Every engine starts from the same
random weights and reads the same names in the same order, so that the losses can be compared. `microgpt bench` measures
more quantities, and measures them more carefully; this comparison is short enough for a page.
"""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.config import Config
from microgpt.engines.base import Engine, Tokens
from microgpt.errors import LabError
from microgpt.lab.requests import stream_request
from microgpt.runs.run import Run
from microgpt.schedule import learning_rate
from microgpt.verification.compare import compare

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import EngineSpeed, SpeedComparison
    from microgpt.lab.session import Session

ENGINES = (("scalar", "exact"), ("native", "exact"), ("native", "float32"))
MAX_STEPS = 1000  # the reference takes minutes to complete this many steps
EVENT_SECONDS = 0.25  # between two events
KERNEL_SECONDS = 0.3  # a fast engine repeats the steps for this long, and its median time is shown
Stretch = Iterator[tuple[list[float], float, int]]  # the losses so far, the seconds they took, the number of rounds


@stream_request(of_model=False)
def ladder(session: Session, steps: int) -> Iterator[SpeedComparison]:
    """Train with each engine for `steps` steps, repeatedly yielding every engine's progress until all are done."""
    if not 1 <= steps <= MAX_STEPS:
        raise LabError(f"steps must be between 1 and {MAX_STEPS:,}, got steps={steps}")
    speeds: list[EngineSpeed] = [
        {
            "engine": engine,
            "precision": precision,
            "step": 0,
            "seconds": 0.0,
            "rounds": 0,
            "losses": [],
            "ratio": None,
            "difference": None,
            "why": "",
        }
        for engine, precision in ENGINES
    ]
    config = Config()
    for speed in speeds:
        try:
            run = Run.begin(session.names.data(config), config, engine=speed["engine"], precision=speed["precision"])
        except ImportError as error:
            speed["why"] = str(error)
            continue
        batches: list[list[Tokens]] = [[run.data.sequence(run.order[step % len(run.order)])] for step in range(steps)]
        rates = [learning_rate(step, config.num_steps, config.learning_rate) for step in range(steps)]
        climb = _step_by_step if speed["engine"] == "scalar" else _in_rounds
        for losses, seconds, rounds in climb(run.engine, batches, rates):
            speed |= {"step": len(losses), "seconds": seconds, "rounds": rounds, "losses": losses}
            yield {"steps": steps, "engines": [_compared(other, speeds[0]) for other in speeds], "done": False}
    yield {"steps": steps, "engines": [_compared(speed, speeds[0]) for speed in speeds], "done": True}


def _compared(speed: EngineSpeed, reference: EngineSpeed) -> EngineSpeed:
    """Return an engine's progress, and a comparison with the reference once both have finished."""
    if not speed["losses"] or len(speed["losses"]) != len(reference["losses"]) or speed is reference:
        return {**speed, "ratio": None, "difference": None}
    per_step = reference["seconds"] / reference["step"], speed["seconds"] / speed["step"]
    losses = reference["losses"], speed["losses"]
    difference = compare("loss", (len(losses[0]),), *losses, tolerance=0.0).largest
    return {**speed, "ratio": per_step[0] / max(per_step[1], 1e-9), "difference": difference}


def _step_by_step(engine: Engine, batches: list[list[Tokens]], rates: list[float]) -> Stretch:
    """Train step by step, and yield the progress along the way."""
    losses: list[float] = []
    seconds, reported = 0.0, -1.0
    for batch, rate in zip(batches, rates):
        began = perf_counter()
        losses += engine.train([batch], [rate])
        seconds += perf_counter() - began
        if seconds - reported > EVENT_SECONDS:
            reported = seconds
            yield list(losses), seconds, 1
    yield losses, seconds, 1


def _in_rounds(engine: Engine, batches: list[list[Tokens]], rates: list[float]) -> Stretch:
    """Train all steps in one call, and repeat the call, because a browser's clock is too coarse for one round."""
    first, zeros = array("d", engine.params), array("d", bytes(8 * len(engine.params)))
    rounds: list[float] = []
    losses: list[float] = []
    while sum(rounds) < KERNEL_SECONDS:
        engine.params[:], engine.m[:], engine.v[:], engine.step = first, zeros, zeros, 0
        began = perf_counter()
        losses = engine.train(batches, rates)
        rounds.append(perf_counter() - began)
    yield losses, statistics.median(rounds), len(rounds)
