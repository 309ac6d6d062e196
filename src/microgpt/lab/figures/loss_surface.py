"""One word's loss as a surface over two weights, with the paths of gradient descent and Adam.

The page shows the two optimizers as hikers going downhill.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from microgpt.engines.base import Engine, Tokens, num_positions
from microgpt.errors import LabError
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.reference import Value

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import Hiker, HikerStep, Surface
    from microgpt.lab.session import Session

# With a slow engine, a surface has fewer points, and the hikers take fewer steps. These limits are calculated, not
# measured, so that the same request always produces the same response.
SECONDS = 2.0  # roughly the time that a surface may take
COST = {"native": 1e-9, "scalar": 2.5e-6}  # seconds for a loss and its gradient, per weight and position
MAX_SIZE, MAX_STEPS = 101, 1000


@model_request
def surface(
    session: Session,
    word: str,
    x: str,
    y: str,
    size: int,
    reach: float,
    steps: int,
    learning_rate: float | None = None,
) -> Surface:
    """Return the losses on a grid over two weights, and the paths that SGD and Adam take across it.

    No loss or gradient is interpolated. The hikers start at the model's own weights and move only along these two axes.
    Adam's moments start at 0. SGD's learning rate is set so that its first step is as long as Adam's.

    Args:
        session: The session.
        word: The word whose loss is computed.
        x: The path of the weight on the x axis.
        y: The path of the weight on the y axis.
        size: The number of grid points along each axis; fewer if the engine is slow.
        reach: The grid extends from -reach to +reach around the model's weights.
        steps: The number of steps that each hiker takes; fewer if the engine is slow.
        learning_rate: Adam's learning rate; None for the run's peak learning rate.
    """
    if x == y:
        raise LabError(f"x and y must be two different weights, got {x!r} twice: choose another weight")
    if not 2 <= size <= MAX_SIZE:
        raise LabError(f"size must be between 2 and {MAX_SIZE}, got size={size}")
    if not 0 < reach <= 1e6:
        raise LabError(f"reach must be above 0 and at most 1,000,000, got reach={reach}")
    if not 0 <= steps <= MAX_STEPS:
        raise LabError(f"steps must be between 0 and {MAX_STEPS}, got steps={steps}")
    if learning_rate is not None and not 0 < learning_rate <= 1e6:
        raise LabError(f"learning_rate must be above 0 and at most 1,000,000, got learning_rate={learning_rate}")
    run, tokens = session.active, session.tokens(word)
    places = run.index(x), run.index(y)
    engine = run.scratch()
    affordable = SECONDS / (COST[run.engine.name] * len(engine.params) * num_positions(tokens, run.config))
    if 2 * steps + size * size > affordable:
        size = max(5, min(size, math.isqrt(int(affordable / 2)))) if size > 5 else size
        steps = min(steps, max(8, int(affordable / 4)))
    center = tuple(engine.params[place] for place in places)
    axes = [[c + reach * (2 * i / (size - 1) - 1) for i in range(size)] for c in center]
    losses = []
    for b in axes[1]:
        for a in axes[0]:
            engine.params[places[0]], engine.params[places[1]] = a, b
            losses.append(_loss(engine, tokens))
    return {
        "x": {"path": x, "values": axes[0]},
        "y": {"path": y, "values": axes[1]},
        "loss": losses,
        "hikers": _hikers(run, engine, tokens, places, center, steps, learning_rate or run.config.learning_rate),
    }


def _loss(engine: Engine, tokens: Tokens) -> float:
    try:
        return engine.backward([tokens])
    except FloatingPointError:  # raised by an edited program if a number leaves the range of float64
        return math.nan


def _hikers(
    run: LabRun,
    engine: Engine,
    tokens: Tokens,
    places: tuple[int, int],
    start: tuple[float, ...],
    steps: int,
    learning_rate: float,
) -> list[Hiker]:
    model = run.model
    zeros = array("d", bytes(8 * len(engine.grads)))

    def look(at: list[float]) -> tuple[float, list[float]]:
        """Return the loss at a point and its slopes along both axes."""
        engine.params[places[0]], engine.params[places[1]] = at
        engine.grads[:] = zeros
        loss = _loss(engine, tokens)
        return loss, [engine.grads[place] for place in places]

    at, m, v = [Value(p) for p in start], [0.0, 0.0], [0.0, 0.0]
    loss, grad = look(list(start))
    adam: list[HikerStep] = [{"x": start[0], "y": start[1], "loss": loss}]
    first = 0.0
    for step in range(1, steps + 1):
        for p, g in zip(at, grad):
            p.grad = g
        model.program.module.adam(at, m, v, step, learning_rate, **model.adam_arguments)
        if step == 1:
            first = math.hypot(at[0].data - start[0], at[1].data - start[1])
        loss, grad = look([p.data for p in at])
        adam.append({"x": at[0].data, "y": at[1].data, "loss": loss})
    point = list(start)
    loss, grad = look(point)
    slope = math.hypot(*grad)
    rate = first / slope if slope else learning_rate
    sgd: list[HikerStep] = [{"x": point[0], "y": point[1], "loss": loss}]
    for _ in range(steps):
        point = [p - rate * g for p, g in zip(point, grad)]
        loss, grad = look(point)
        sgd.append({"x": point[0], "y": point[1], "loss": loss})
    return [
        {"name": "SGD", "learning_rate": rate, "path": sgd},
        {"name": "Adam", "learning_rate": learning_rate, "path": adam},
    ]
