"""One Adam step on the current word, as a demonstration that does not change the model.

The program's own adam() computes the step, after the weight decay if the run has any.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from microgpt.engines.base import Tokens
from microgpt.engines.program import ScalarModel
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.errors import LabError
from microgpt.evaluation import spread
from microgpt.lab.figures.loss import by_letter
from microgpt.lab.protocol.choices import UpdateQuantity
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.reference import Value

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import AdamStep, Learned, Schedule, Update
    from microgpt.lab.session import Session

SHOWN: tuple[UpdateQuantity, ...] = get_args(UpdateQuantity)
NAMES = (*SHOWN, "before", "after")
MAX_RATE = 1e6
DRAWN = 80  # the largest number of plotted steps, besides the steps where the schedule bends


class _RecordingWeight(Value):
    """A weight that records the corrected moments, m_hat and v_hat, with which adam() updates the weight."""

    __slots__ = ("m_hat", "number", "v_hat")
    adam: CodeType

    @property
    def data(self) -> float:
        """The weight's value."""
        return self.number

    @data.setter
    def data(self, number: float) -> None:
        adam = sys._getframe(1)
        if adam.f_code is self.adam:
            self.m_hat, self.v_hat = adam.f_locals.get("m_hat"), adam.f_locals.get("v_hat")
        self.number = number


class UpdateSettings(NamedTuple):
    """The settings for an update, taken from the run's next step or requested by the page.

    Attributes:
        step: Adam's step number, counting from 1.
        learning_rate: The learning rate.
        m: Each weight's first moment before the update.
        v: Each weight's second moment before the update.
        fresh: Whether the update starts with Adam's moments set to zero.
    """

    step: int
    learning_rate: float
    m: list[float]
    v: list[float]
    fresh: bool


def update_settings(run: LabRun, learning_rate: float | None, fresh: bool) -> UpdateSettings:
    """Return the settings for an update.

    Args:
        run: The run that supplies the moments and the default learning rate.
        learning_rate: The learning rate; None for the rate of the run's next step.
        fresh: Whether to start with the moments set to zero, as at the first step. If the run's moments are all zero,
            the update is always fresh, because Adam's bias correction depends on how many steps the moments have
            accumulated.

    Raises:
        LabError: The learning rate is negative or too large.
    """
    if learning_rate is not None and not 0 <= learning_rate <= MAX_RATE:
        raise LabError(f"learning_rate must be between 0 and {MAX_RATE:,.0f}, got learning_rate={learning_rate}")
    rate = run.next_rate if learning_rate is None else learning_rate
    if fresh or not any(run.engine.v):
        empty = [0.0] * len(run.engine.params)
        return UpdateSettings(1, rate, empty, [*empty], True)
    return UpdateSettings(run.step + 1, rate, list(run.engine.m), list(run.engine.v), False)


@model_request
def schedule(session: Session) -> Schedule:
    """Return the learning-rate schedule over the run's planned steps."""
    run = session.active
    last, planned = run.run.config.num_steps - 1, run.config.num_steps
    bends = {run.config.warmup_steps - 1, run.config.warmup_steps, last}
    while planned <= last:  # the plan was doubled
        bends |= {planned - 1, planned}
        planned *= 2
    steps = sorted({*spread(range(last + 1), DRAWN), *(step for step in bends if 0 <= step <= last)})
    return {"steps": steps, "rates": [run.rate(step) for step in steps]}


def step(run: LabRun, tokens: Tokens, settings: UpdateSettings) -> tuple[float, dict[str, Any]]:
    """Return a document's loss and the values computed in one update on that document.

    Args:
        run: The run. It is not changed.
        tokens: The document.
        settings: The update's settings.

    Returns:
        The loss and a dict that maps each quantity to its values, one per weight. The dict omits the quantities in
        NAMES that adam() does not compute.
    """
    engine, model = run.scratch(), run.model
    loss = engine.backward([tokens])
    m, v = settings.m[:], settings.v[:]
    with scalar_arithmetic():
        kind = type("Value", (_RecordingWeight,), {"__slots__": (), "adam": run.program.module.adam.__code__})
        weights = [kind(p) for p in engine.params]
        for parameter, grad in zip(weights, engine.grads):
            parameter.grad = grad
        model.update(weights, m, v, settings.step, settings.learning_rate)
    before, after = engine.params, array("d", (p.data for p in weights))
    numbers = {
        "grad": engine.grads,
        "m": m,
        "v": v,
        "m_hat": [p.m_hat for p in weights],
        "v_hat": [p.v_hat for p in weights],
        "before": before,
        "after": after,
        "delta": [b - a for a, b in zip(before, after)],
    }
    return loss, {name: of_all for name, of_all in numbers.items() if of_all[0] is not None}


def _require(numbers: dict[str, Any], names: Iterable[str]) -> None:
    """Raise LabError unless adam() computed all of these values. An edited adam() may have other variables."""
    for name in names:
        if name not in numbers:
            raise LabError(f"the edited adam() has no variable {name}, which this figure shows")


@model_request
def update(
    session: Session,
    word: str,
    what: list[UpdateQuantity] | None = None,
    learning_rate: float | None = None,
    fresh: bool = False,
) -> Update:
    """Take one Adam step on a copy of the model; return the losses before and after it, and every weight's update.

    Args:
        session: The session.
        word: The word.
        what: The quantities to return for each weight; None for all.
        learning_rate: The learning rate; None for the rate of the run's next step.
        fresh: Whether to start with Adam's moments set to zero.
    """
    run, tokens = session.active, session.tokens(word)
    settings = update_settings(run, learning_rate, fresh)
    loss, numbers = step(run, tokens, settings)
    shown = [name for name in SHOWN if name in numbers] if what is None else what
    _require(numbers, shown)
    return {
        "step": settings.step,
        "learning_rate": settings.learning_rate,
        "fresh": settings.fresh,
        "loss_before": loss,
        "loss_after": run.scratch(numbers["after"]).backward([tokens]),
        "tensors": {name: {what: numbers[what][part] for what in shown} for name, part in run.model.offsets.items()},
    }


@model_request
def learned(session: Session, word: str, learning_rate: float | None = None, fresh: bool = False) -> Learned:
    """Take one Adam step on a copy of the model; return each letter's loss before and after it.

    Args:
        session: The session.
        word: The word.
        learning_rate: The learning rate; None for the rate of the run's next step.
        fresh: Whether to start with Adam's moments set to zero.
    """
    run, tokens = session.active, session.tokens(word)
    settings = update_settings(run, learning_rate, fresh)
    _, numbers = step(run, tokens, settings)
    after = ScalarModel(numbers["after"], run.config, run.engine.vocab_size, run.program)
    losses = [by_letter(run, tokens, session.forward(tokens, model)) for model in (run.model, after)]
    return {
        "step": settings.step,
        "learning_rate": settings.learning_rate,
        "fresh": settings.fresh,
        "loss_before": losses[0]["mean"],
        "loss_after": losses[1]["mean"],
        "letters": [
            {"position": a["position"], "target": a["target"], "before": a["loss"], "after": b["loss"]}
            for a, b in zip(losses[0]["letters"], losses[1]["letters"])
        ],
    }


@model_request
def adam(session: Session, word: str, path: str, learning_rate: float | None = None, fresh: bool = False) -> AdamStep:
    """Take one Adam step on a copy of the model; return everything that the step computes for one weight.

    Args:
        session: The session.
        word: The word.
        path: The weight's path.
        learning_rate: The learning rate; None for the rate of the run's next step.
        fresh: Whether to start with Adam's moments set to zero.
    """
    run, tokens = session.active, session.tokens(word)
    settings = update_settings(run, learning_rate, fresh)
    index, c = run.index(path), run.config
    _, numbers = step(run, tokens, settings)
    _require(numbers, NAMES)
    return {
        "path": path,
        "step": settings.step,
        "learning_rate": settings.learning_rate,
        "fresh": settings.fresh,
        "beta1": c.beta1,
        "beta2": c.beta2,
        "eps_adam": c.eps_adam,
        "weight_decay": c.weight_decay,
        "m_before": settings.m[index],
        "v_before": settings.v[index],
        "grad": numbers["grad"][index],
        "m": numbers["m"][index],
        "v": numbers["v"][index],
        "m_hat": numbers["m_hat"][index],
        "v_hat": numbers["v_hat"][index],
        "before": numbers["before"][index],
        "after": numbers["after"][index],
        "delta": numbers["delta"][index],
        "plain": -settings.learning_rate * numbers["grad"][index],
    }
