"""One step of Adam on the word at hand, by the reference's own adam, and not kept."""

from __future__ import annotations

import sys
from array import array
from typing import Any

from microgpt import reference
from microgpt.config import offsets
from microgpt.engines import Tokens
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.lab.answers import Answer
from microgpt.lab.runs import LabRun
from microgpt.reference import Value

NAMES = ("grad", "m", "v", "m_hat", "v_hat", "before", "after", "delta")


class _Moved(Value):
    """A parameter that, when adam moves it, notes what adam moves it by: the corrected moments of this moment."""

    __slots__ = ("m_hat", "number", "v_hat")

    @property
    def data(self) -> float:
        """The parameter."""
        return self.number

    @data.setter
    def data(self, number: float) -> None:
        adam = sys._getframe(1)
        if adam.f_code is reference.adam.__code__:
            self.m_hat, self.v_hat = adam.f_locals["m_hat"], adam.f_locals["v_hat"]
        self.number = number


def step(run: LabRun, tokens: Tokens) -> tuple[float, dict[str, Any]]:
    """The loss of a document, and for each parameter what NAMES tells, as the next step on it would have them."""
    engine, c = run.scratch(), run.config
    loss = engine.backward([tokens])
    m, v = list(run.engine.m), list(run.engine.v)
    with scalar_arithmetic():
        moved = [_Moved(p) for p in engine.params]  # type: ignore[no-untyped-call]
        for parameter, grad in zip(moved, engine.grads):
            parameter.grad = grad
        reference.adam(moved, m, v, run.step + 1, run.next_rate, c.beta1, c.beta2, c.eps_adam)
    before, after = engine.params, array("d", (p.data for p in moved))
    return loss, {
        "grad": engine.grads,
        "m": m,
        "v": v,
        "m_hat": [p.m_hat for p in moved],
        "v_hat": [p.v_hat for p in moved],
        "before": before,
        "after": after,
        "delta": [b - a for a, b in zip(before, after)],
    }


def update(run: LabRun, tokens: Tokens) -> Answer:
    """Of all parameters, with the word's loss before and after."""
    loss, numbers = step(run, tokens)
    shown = [name for name in NAMES if name not in ("before", "after")]
    return {
        "step": run.step + 1,
        "learning_rate": run.next_rate,
        "loss_before": loss,
        "loss_after": run.scratch(numbers["after"]).backward([tokens]),
        "tensors": {name: {what: numbers[what][part] for what in shown} for name, part in offsets(run.shapes).items()},
    }


def adam(run: LabRun, tokens: Tokens, path: str) -> Answer:
    """Of one parameter, with all that adam reckons with."""
    index, c = run.index(path), run.config
    _, numbers = step(run, tokens)
    return {
        "path": path,
        "step": run.step + 1,
        "learning_rate": run.next_rate,
        "beta1": c.beta1,
        "beta2": c.beta2,
        "eps_adam": c.eps_adam,
        "m_before": run.engine.m[index],
        "v_before": run.engine.v[index],
        **{name: numbers[name][index] for name in NAMES},
        "plain": -run.next_rate * numbers["grad"][index],
    }
