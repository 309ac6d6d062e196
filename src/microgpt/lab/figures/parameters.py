"""The parameters: all weights, one weight's history, and an embedding's nearest neighbors.

A weight's history covers the run's saved steps. An embedding's neighbors are other tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.requests import model_request
from microgpt.lab.runs.texts import names

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import History, Nearest, OtherToken, Parameters
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
def nearest(session: Session, symbol: str) -> Nearest:
    """Return the other tokens, ordered by the distance between their wte rows and this token's row."""
    run = session.active
    symbols = names(run.run.tokenizer)
    if symbol not in symbols:
        raise LabError(f"symbol must be one of {', '.join(map(repr, symbols))}, got symbol={symbol!r:.40}")
    wte, width = run.engine.params[run.model.offsets["wte"]], run.config.n_embd
    own = symbols.index(symbol)
    table = [wte[i : i + width] for i in range(0, len(wte), width)]
    others: list[OtherToken] = [
        {"symbol": other, "id": token_id, "distance": math.dist(table[token_id], table[own])}
        for token_id, other in enumerate(symbols)
        if token_id != own
    ]
    return {"symbol": symbol, "others": sorted(others, key=lambda other: other["distance"])}


@model_request
def history(session: Session, path: str) -> History:
    """Return a weight's values at the saved steps and now, and its current moments."""
    run = session.active
    index = run.index(path)
    values = {step: frame.params[index] for step, frame in run.frames.items() if step <= run.furthest}
    values[run.step] = run.engine.params[index]
    return {
        "path": path,
        "steps": sorted(values),
        "values": [values[step] for step in sorted(values)],
        "m": run.engine.m[index],
        "v": run.engine.v[index],
    }
