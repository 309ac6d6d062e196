"""The parameters: all weights, and one weight's history over the run's saved steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microgpt.lab.requests import model_request

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import History, Parameters
    from microgpt.lab.session import Session


@model_request
def parameters(session: Session, moments: bool = False) -> Parameters:
    """Return the parameters and, on request, Adam's moments."""
    run = session.active
    e, parts = run.engine, run.model.offsets
    return {
        "tensors": {name: {"shape": run.shapes[name], "data": e.params[part]} for name, part in parts.items()},
        "m": {name: e.m[part] for name, part in parts.items() if moments},
        "v": {name: e.v[part] for name, part in parts.items() if moments},
    }


@model_request
def history(session: Session, word: str, path: str) -> History:
    """Return a weight's values at the saved steps and now, its moments, and its gradient for a word."""
    run = session.active
    index = run.index(path)
    values = {step: frame.params[index] for step, frame in run.frames.items() if step <= run.furthest}
    values[run.step] = run.engine.params[index]
    return {
        "path": path,
        "steps": sorted(values),
        "values": [values[step] for step in sorted(values)],
        "grad": session.trace(session.tokens(word)).node(path).grad,
        "m": run.engine.m[index],
        "v": run.engine.v[index],
    }
