"""Answer types for training: an Adam update, the schedule, the loss surface, engine timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from microgpt.lab.protocol.choices import UpdateQuantity
from microgpt.lab.protocol.values import Num

Hiking = Literal["SGD", "Adam"]


class Update(TypedDict):
    """One step of Adam on a word. The model does not keep it."""

    step: int  # the number that Adam would give the step; 1 if its moments are zero
    learning_rate: float
    fresh: bool  # whether m and v were zero before, as requested or because the model has no moments yet
    loss_before: float
    loss_after: float
    tensors: Mapping[str, Mapping[UpdateQuantity, Sequence[float]]]  # the requested ones; all of them without `what`


class AdamStep(TypedDict):
    """One step of Adam for one parameter."""

    path: str
    step: int
    learning_rate: float
    fresh: bool
    beta1: float
    beta2: float
    eps_adam: float
    grad: float
    m_before: float
    m: float
    v_before: float
    v: float
    m_hat: float
    v_hat: float
    before: float
    after: float
    delta: float  # after - before
    plain: float  # the change by plain gradient descent: -learning_rate * grad


class Schedule(TypedDict):
    """The learning rate at some steps of the plan, from the first step to the last."""

    steps: Sequence[int]  # the number of updates made before each of them
    rates: Sequence[float]


class Axis(TypedDict):
    """A parameter that varies along one axis of a surface."""

    path: str
    values: Sequence[float]


class HikerStep(TypedDict):
    """A hiker's position."""

    x: float
    y: float
    loss: float


class Hiker(TypedDict):
    """An optimizer that walks downhill."""

    name: Hiking
    learning_rate: float
    path: Sequence[HikerStep]


class Surface(TypedDict):
    """The loss of a word over two parameters, while all others stay the same."""

    x: Axis
    y: Axis
    loss: Sequence[Num]  # rows of y, columns of x
    hikers: Sequence[Hiker]


class EngineSpeed(TypedDict):
    """An engine in the speed comparison, and its progress."""

    engine: str
    precision: str
    step: int
    seconds: float  # the time for its steps so far; the median if there were several rounds
    rounds: int
    losses: Sequence[float]
    ratio: float | None  # how many times as fast as the reference it is
    difference: float | None  # the largest difference between its losses and the reference's
    why: str  # why the engine is not available, or ''


class SpeedComparison(TypedDict):
    """An event of the speed comparison: the progress of every engine."""

    steps: int
    engines: Sequence[EngineSpeed]
    done: bool
