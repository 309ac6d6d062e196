"""The spread of a changed weight: every tensor of a word's forward pass, and the next guess.

Until the reader changes a weight, the figure shows one that the session pushes in a copy of the weights: the one whose
push changes the next guess most.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from microgpt.engines.base import Tokens
from microgpt.engines.program import ScalarModel
from microgpt.lab.figures.next_token import guesses_of, last_of, moved_between, next_probs
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import read
from microgpt.tracing.recorder import Tensor

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Push, Ripple, RippleCell, RippleRow
    from microgpt.lab.session import Session

TRIED = {"native": 4, "scalar": 1}  # weights to try in each matrix, by engine
INNER = (".mean_square", ".scale")  # steps inside a norm, which get no row


@model_request
def ripple(session: Session, word: str, position: int, opening: bool = False) -> Ripple:
    """Return what the weights changed by hand change in a word's forward pass.

    Args:
        session: The session.
        word: The word.
        position: The position whose guess the pushed weight should change.
        opening: Whether to push a weight if none is changed by hand. The model itself stays unchanged.
    """
    tokens, run = session.tokens(word), session.active
    position = last_of(run, tokens, position)
    pushed: Push | None = None
    before, now = session.forward(tokens, run.unchanged()), session.forward(tokens)
    if opening and not run.changes:
        pushed = telling_push(run, tokens, position)
        now = session.forward(tokens, with_weight(run.model, run.index(pushed["path"]), pushed["after"]))
    return {
        "pushed": pushed,
        "rows": _rows(before, now, len(read(tokens, run.config))),
        "guesses": guesses_of(run, tokens, now, before),
    }


def telling_push(run: LabRun, tokens: Tokens, position: int) -> Push:
    """Return the push that changes the guess at a position most.

    Tried are the weights of each matrix that change the word's loss fastest, each pushed to both ends of the slider in
    the figure. lm_head is left out, because each of its weights touches a single token's score.
    """
    engine = run.scratch()
    engine.backward([tokens])
    grads, params = engine.grads, run.model.params
    base = next_probs(run, run.model, tokens[: position + 1])
    best: tuple[float, int, float] = (-1.0, 0, 0.0)
    for name, part in run.model.offsets.items():
        if name == "lm_head":
            continue
        steepest = sorted(range(part.start, part.stop), key=lambda i: -abs(grads[i]))[: TRIED[run.engine.name]]
        for i in steepest:
            reach = float(max(1, math.ceil(2 * abs(params[i]))))
            for after in (-reach, reach):
                model = with_weight(run.model, i, after)
                moved = moved_between(base, next_probs(run, model, tokens[: position + 1]))
                best = max(best, (moved, i, after), key=lambda one: one[0])
    _, i, after = best
    return {"path": run.path(i), "before": params[i], "after": after}


def with_weight(model: ScalarModel, index: int, value: float) -> ScalarModel:
    """Return the model with one weight set to a value."""
    params = array("d", model.params)
    params[index] = value
    return replace(model, params=params)


def _rows(before: Mapping[str, Tensor], now: Mapping[str, Tensor], count: int) -> list[RippleRow]:
    kinds = [
        name.removeprefix("pos0.")
        for name in now
        if name.startswith("pos0.") and not name.endswith(INNER) and ".x_attn.head" not in name
    ]
    rows: list[RippleRow] = []
    for kind in kinds:
        cells = [_most_changed(f"pos{t}.{kind}", before, now) for t in range(count)]
        shares = [cell["share"] if cell else 0.0 for cell in cells]
        largest = max(range(count), key=shares.__getitem__)
        rows.append({"kind": kind, "cells": cells, "largest": largest if cells[largest] else -1})
    return rows


def _most_changed(name: str, before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> RippleCell | None:
    """Return the number of a tensor that changed most; None if nothing changed."""
    if name not in now or name not in before or before[name].numbers == now[name].numbers:
        return None
    was, (shape, numbers) = before[name].numbers, now[name]
    i = max(range(len(numbers)), key=lambda i: abs(numbers[i] - was[i]))
    largest = max(1e-12, *map(abs, was))
    return {
        "path": f"{name}[{i}]" if shape else name,
        "before": was[i],
        "after": numbers[i],
        "share": min(1.0, abs(numbers[i] - was[i]) / largest),
    }
