"""Response types for training: an Adam update, the schedule, the loss surface, and engine timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from microgpt.lab.protocol.choices import Landscape, UpdateQuantity
from microgpt.lab.protocol.values import Num

Hiking = Literal["SGD", "Adam"]


class Update(TypedDict):
    """One Adam step on a word. The step does not change the model."""

    step: int  # the step number that Adam uses; 1 if its moments are zero
    learning_rate: float
    fresh: bool  # whether m and v started at zero, as requested or because the model has no moments yet
    loss_before: float
    loss_after: float
    tensors: Mapping[str, Mapping[UpdateQuantity, Sequence[float]]]  # the quantities in `what`, or all quantities


class LearnedLetter(TypedDict):
    """A letter's loss before and after an update."""

    position: int
    target: str
    before: float
    after: float


class Learned(TypedDict):
    """The loss of a word's letters before and after one Adam step on the word. The step does not change the model."""

    step: int
    learning_rate: float
    fresh: bool
    loss_before: float
    loss_after: float
    letters: Sequence[LearnedLetter]


class AdamStep(TypedDict):
    """One Adam step for one weight."""

    path: str
    step: int
    learning_rate: float
    fresh: bool
    beta1: float
    beta2: float
    eps_adam: float
    weight_decay: float
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
    plain: float  # plain gradient descent's change: -learning_rate * grad


class ReadLetter(TypedDict):
    """A token of the document that a step reads, and its probability before the step."""

    target: str
    path: str
    prob: float
    surprise: Num  # -log(prob), in nats


class Moved(TypedDict):
    """The gradient of a weight in a step, and the change that the step makes to the weight."""

    path: str
    grad: Num  # before any clipping
    delta: float


class CloseUp(TypedDict):
    """A training step seen up close."""

    step: int  # counting from 1
    document: str  # the last document of the step's batch
    letters: Sequence[ReadLetter]  # empty for an edited program
    loss: Num  # of the step's batch, in nats per token, before the update
    learning_rate: float
    moved: Sequence[Moved]  # the weights of BOS's row of wte, which every step moves


class Row(TypedDict):
    """Samples of a run after a step, always with the same random numbers."""

    step: int
    texts: Sequence[str]


class Progress(TypedDict):
    """A run at rest: how far it is, its samples along the way, and its next step."""

    step: int
    planned: int  # the number of steps in the run's settings
    documents: int  # the number of documents that training reads
    held_out: int  # the number of documents that training never reads
    batch_size: int
    mean: float | None  # the mean of the last 30 losses; null before the first step
    learning_rate: float  # of the last step; before it, of the first step
    next: CloseUp
    rows: Sequence[Row]


class Split(TypedDict):
    """The loss on documents that training has read, and on documents that it has not read."""

    known: bool  # whether the model's text is loaded; if not, it is unknown which documents training has read
    read: float | None  # null before the first step
    read_documents: int
    unread: float | None  # null if training has read every document
    unread_documents: int
    held_out: bool  # whether the unread documents are held out; if not, training has not reached them yet


class Schedule(TypedDict):
    """The planned learning rate at selected steps, from the first step to the last."""

    steps: Sequence[int]  # the number of updates before each selected step
    rates: Sequence[float]


class Axis(TypedDict):
    """A weight that varies along one axis of a surface."""

    path: str
    values: Sequence[float]


class HikerStep(TypedDict):
    """A hiker's position."""

    x: float
    y: float
    loss: Num


class Hiker(TypedDict):
    """An optimizer that walks downhill."""

    name: Hiking
    learning_rate: float
    path: Sequence[HikerStep]
    turns: int  # the steps that lead back: at more than 90 degrees to the step before
    rises: int  # the steps that lead uphill
    on_map: bool  # whether the whole path is on the map


class Lowest(TypedDict):
    """The lowest point of a surface's grid."""

    x: float
    y: float
    loss: Num
    inside: bool  # whether it is not on the edge


class Surface(TypedDict):
    """A word's loss as a function of two weights, with all other weights held constant."""

    x: Axis
    y: Axis
    loss: Sequence[Num]  # one row for each value of y, one column for each value of x
    lowest: Lowest
    hikers: Sequence[Hiker]


class Calm(TypedDict):
    """Gradient descent at a rate at which it never goes uphill and never turns back."""

    learning_rate: float
    loss: float  # where it ends, after as many steps


class Hike(TypedDict):
    """Two weights over which a word's loss is a landscape that teaches something, found by a search."""

    scene: Landscape
    found: bool  # if not, the surface is that of the two steepest weights
    size: int  # the rest are the parameters with which `surface` returns the same surface
    reach: float
    across: float
    up: float
    steps: int
    weights: int  # the number of weights that the search looked along
    calm: Calm | None
    surface: Surface


class EngineSpeed(TypedDict):
    """An engine's progress in the speed comparison."""

    engine: str
    precision: str
    step: int
    seconds: float  # the time for the steps so far; the median if there were several rounds
    rounds: int
    losses: Sequence[float]
    ratio: float | None  # the engine's speed as a multiple of the reference's speed
    difference: float | None  # the largest difference between the engine's losses and the reference's
    why: str  # why the engine is not available, or ''


class SpeedComparison(TypedDict):
    """An event from the speed comparison, with every engine's progress."""

    steps: int
    engines: Sequence[EngineSpeed]
    done: bool
