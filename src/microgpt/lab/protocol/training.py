"""Answer types for training: an Adam update, the schedule, the loss surface, engine timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from microgpt.lab.protocol.choices import Moved
from microgpt.lab.protocol.values import Num

Hiking = Literal["SGD", "Adam"]


class Update(TypedDict):
    """One step of Adam on a word, not kept."""

    step: int  # that it would be, as Adam counts: 1 where its memory is empty
    learning_rate: float
    fresh: bool  # m and v were empty before: as requested, or because the model has none yet
    loss_before: float
    loss_after: float
    tensors: Mapping[str, Mapping[Moved, Sequence[float]]]  # what was asked for, else all of it


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
    plain: float  # what plain descent would do: -learning_rate * grad


class Schedule(TypedDict):
    """The learning rate, from the first step of the plan to its last; some steps of it."""

    steps: Sequence[int]  # updates made before each
    rates: Sequence[float]


class Axis(TypedDict):
    """A parameter that varies along a surface."""

    path: str
    values: Sequence[float]


class HikerStep(TypedDict):
    """Where a hiker stands."""

    x: float
    y: float
    loss: float


class Hiker(TypedDict):
    """An optimizer that walks downhill."""

    name: Hiking
    learning_rate: float
    path: Sequence[HikerStep]


class Surface(TypedDict):
    """The loss of a word over two parameters, the others as they are."""

    x: Axis
    y: Axis
    loss: Sequence[Num]  # rows of y, columns of x
    hikers: Sequence[Hiker]


class Rung(TypedDict):
    """An engine, as far as it has come."""

    engine: str
    precision: str
    step: int
    seconds: float  # for its steps so far; the median, where there were several rounds
    rounds: int
    losses: Sequence[float]
    ratio: float | None  # times as fast as the reference
    difference: float | None  # the largest between its losses and the reference's
    why: str  # why the engine is missing here, or ''


class Ladder(TypedDict):
    """An event while the engines climb: each rung as far as it is."""

    steps: int
    rungs: Sequence[Rung]
    done: bool
