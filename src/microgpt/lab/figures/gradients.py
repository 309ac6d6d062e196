"""The gradient of every parameter, and the gradient's norm at each tensor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from microgpt.lab.requests import model_request
from microgpt.lab.runs.texts import read
from microgpt.tracing import names as tensor_names

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Gradients
    from microgpt.lab.session import Session


@model_request
def gradients(session: Session, word: str) -> Gradients:
    """Return the gradient of the loss with respect to every parameter, and the norm of the gradient at each tensor.

    The norms follow the gradient from the loss back to the embeddings. The norms of the parameter gradients come last.
    """
    run, tokens = session.active, session.tokens(word)
    trace = session.trace(tokens)
    grads = {name: trace.grad(name).numbers for name in run.shapes}
    count = len(read(tokens, run.config))
    table = tensor_names.intermediates(run.config, run.engine.vocab_size, count)
    made = [name for name in table if name in trace.graph.tensors]  # an edited program may lack some tensors
    way = [*reversed(made), *reversed(list(run.shapes))]
    return {
        "loss": trace.node("loss").data,
        "grads": grads,
        "zero_rows": {
            name: [r for r in range(rows) if not any(grads[name][r * columns : (r + 1) * columns])]
            for name, (rows, columns) in run.shapes.items()
        },
        "norms": [
            {"name": name, "norm": math.sqrt(math.fsum(g * g for g in trace.grad(name).numbers))} for name in way
        ],
    }
