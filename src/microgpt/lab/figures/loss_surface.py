"""One word's loss as a surface over two weights, with the paths of gradient descent and Adam.

The page shows the two optimizers as hikers going downhill. hike.py searches for surfaces that are worth showing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from microgpt.engines.base import Tokens, num_positions
from microgpt.errors import LabError
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.reference import Value

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import Hiker, HikerStep, Lowest, Surface
    from microgpt.lab.session import Session

# With a slow engine, a surface has fewer points, and the hikers take fewer steps. These limits are calculated, not
# measured, so that the same request always produces the same response.
SECONDS = 2.0  # roughly the time that a surface may take
COST = {"native": 1e-9, "scalar": 2.5e-6}  # seconds for a loss and its gradient, per weight and position
MAX_SIZE, MAX_STEPS, MAX_RATE = 101, 1000, 1e6

LEVEL = 1e-9  # a smaller difference in loss is none: it may be due to the platform's exp and log

Point = tuple[float, float]


class Plane:
    """The loss of one document, as a function of two of the model's weights.

    Attributes:
        start: The two weights' values in the model.
        looks: The number of losses computed so far.
    """

    def __init__(self, run: LabRun, tokens: Tokens, x: int, y: int) -> None:
        self._model, self._engine, self._tokens, self._places = run.model, run.scratch(), tokens, (x, y)
        self.start: Point = (self._engine.params[x], self._engine.params[y])
        self.looks = 0

    def turn_to(self, x: int, y: int) -> None:
        """Exchange the two weights for two others; all other weights keep the model's values."""
        for place, value in zip(self._places, self.start):
            self._engine.params[place] = value
        self._places, self.start = (x, y), (self._engine.params[x], self._engine.params[y])

    def look(self, x: float, y: float) -> tuple[float, Point]:
        """Return the loss at a point and its slopes along both axes."""
        engine, (a, b) = self._engine, self._places
        self.looks += 1
        engine.params[a], engine.params[b] = x, y
        engine.grads[a] = engine.grads[b] = 0.0  # the engine adds to the gradients
        try:
            loss = engine.backward([self._tokens])
        except FloatingPointError:  # raised by an edited program if a number leaves the range of float64
            loss = math.nan
        return loss, (engine.grads[a], engine.grads[b])

    def loss(self, x: float, y: float) -> float:
        """Return the loss at a point."""
        return self.look(x, y)[0]

    def adam(self, steps: int, learning_rate: float) -> list[HikerStep]:
        """Return Adam's path, computed by the program's own function; its moments start at 0."""
        at, m, v = [Value(p) for p in self.start], [0.0, 0.0], [0.0, 0.0]
        loss, grad = self.look(*self.start)
        path: list[HikerStep] = [{"x": self.start[0], "y": self.start[1], "loss": loss}]
        for step in range(1, steps + 1):
            for p, g in zip(at, grad):
                p.grad = g
            self._model.update(at, m, v, step, learning_rate)
            loss, grad = self.look(at[0].data, at[1].data)
            path.append({"x": at[0].data, "y": at[1].data, "loss": loss})
        return path

    def sgd(self, steps: int, learning_rate: float) -> list[HikerStep]:
        """Return the path of gradient descent, which ends early if it leaves the range of float64."""
        x, y = self.start
        loss, grad = self.look(x, y)
        path: list[HikerStep] = [{"x": x, "y": y, "loss": loss}]
        for _ in range(steps):
            x, y = x - learning_rate * grad[0], y - learning_rate * grad[1]
            if not math.isfinite(x + y):
                break  # too large a learning rate led it out of the world
            loss, grad = self.look(x, y)
            path.append({"x": x, "y": y, "loss": loss})
        return path


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
    sgd_rate: float | None = None,
    across: float = 0.0,
    up: float = 0.0,
) -> Surface:
    """Return the losses on a grid over two weights, and the paths that SGD and Adam take across it.

    No loss or gradient is interpolated. The hikers start at the model's own weights and move only along these two axes.
    Adam's moments start at 0.

    Args:
        session: The session.
        word: The word whose loss is computed.
        x: The path of the weight on the x axis.
        y: The path of the weight on the y axis.
        size: The number of grid points along each axis; fewer if the engine is slow.
        reach: The grid extends from -reach to +reach around its middle.
        steps: The number of steps that each hiker takes; fewer if the engine is slow.
        learning_rate: Adam's learning rate; None for the run's peak learning rate.
        sgd_rate: SGD's learning rate; None for a rate at which its first step is as long as Adam's.
        across: How far the middle of the grid is from the model's weights along the x axis.
        up: How far the middle of the grid is from the model's weights along the y axis.
    """
    if x == y:
        raise LabError(f"x and y must be two different weights, got {x!r} twice: choose another weight")
    if not 2 <= size <= MAX_SIZE:
        raise LabError(f"size must be between 2 and {MAX_SIZE}, got size={size}")
    if not 0 < reach <= 1e6:
        raise LabError(f"reach must be above 0 and at most 1,000,000, got reach={reach}")
    if not 0 <= steps <= MAX_STEPS:
        raise LabError(f"steps must be between 0 and {MAX_STEPS}, got steps={steps}")
    for name, rate in (("learning_rate", learning_rate), ("sgd_rate", sgd_rate)):
        if rate is not None and not 0 < rate <= MAX_RATE:
            raise LabError(f"{name} must be above 0 and at most {MAX_RATE:,.0f}, got {name}={rate}")
    run, tokens = session.active, session.tokens(word)
    plane = Plane(run, tokens, run.index(x), run.index(y))
    looks = affordable(run, tokens)
    if 2 * steps + size * size > looks:
        size = max(5, min(size, math.isqrt(looks // 2))) if size > 5 else size
        steps = min(steps, max(8, looks // 4))
    return draw(plane, (x, y), size, reach, (across, up), steps, learning_rate or run.config.learning_rate, sgd_rate)


def affordable(run: LabRun, tokens: Tokens) -> int:
    """Return the number of losses that a request may compute."""
    cost = COST[run.engine.name] * len(run.engine.params) * num_positions(tokens, run.config)
    return int(SECONDS / cost)


def draw(
    plane: Plane,
    names: tuple[str, str],
    size: int,
    reach: float,
    middle: Point,
    steps: int,
    learning_rate: float,
    sgd_rate: float | None = None,
) -> Surface:
    """Return the surface and the hikers' paths; `middle` is relative to the model's weights."""
    axes = [
        [start + shift + reach * (2 * i / (size - 1) - 1) for i in range(size)]
        for start, shift in zip(plane.start, middle)
    ]
    losses = [plane.loss(a, b) for b in axes[1] for a in axes[0]]
    adam = plane.adam(steps, learning_rate)
    if sgd_rate is None:
        slope = math.hypot(*plane.look(*plane.start)[1])
        sgd_rate = math.dist(_at(adam[0]), _at(adam[1])) / slope if steps and slope else learning_rate
    return {
        "x": {"path": names[0], "values": axes[0]},
        "y": {"path": names[1], "values": axes[1]},
        "loss": losses,
        "lowest": lowest(axes, losses),
        "hikers": [
            _hiker("SGD", sgd_rate, plane.sgd(steps, sgd_rate), axes),
            _hiker("Adam", learning_rate, adam, axes),
        ],
    }


def lowest(axes: Sequence[Sequence[float]], losses: Sequence[float]) -> Lowest:
    """Return the grid point with the lowest loss."""
    size = len(axes[0])
    place = min(range(len(losses)), key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf)
    row, column = divmod(place, size)
    return {
        "x": axes[0][column],
        "y": axes[1][row],
        "loss": losses[place],
        "inside": 0 < column < size - 1 and 0 < row < len(axes[1]) - 1,
    }


def turns(path: Sequence[HikerStep]) -> int:
    """Return how many of a hiker's steps lead back, at more than 90 degrees to the step before."""
    ways = [(b["x"] - a["x"], b["y"] - a["y"]) for a, b in pairwise(path)]
    return sum(a[0] * b[0] + a[1] * b[1] < 0 for a, b in pairwise(ways))


def rises(path: Sequence[HikerStep]) -> int:
    """Return how many of a hiker's steps lead uphill."""
    return sum(b["loss"] > a["loss"] + LEVEL for a, b in pairwise(path))


def _hiker(name: str, learning_rate: float, path: list[HikerStep], axes: Sequence[Sequence[float]]) -> Hiker:
    return {
        "name": "SGD" if name == "SGD" else "Adam",
        "learning_rate": learning_rate,
        "path": path,
        "turns": turns(path),
        "rises": rises(path),
        "on_map": all(
            axis[0] <= value <= axis[-1] for step in path for axis, value in zip(axes, (step["x"], step["y"]))
        ),
    }


def _at(step: HikerStep) -> Point:
    return step["x"], step["y"]
