"""The MLP's units: which units a word activates, and which units are dead."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.requests import model_request
from microgpt.lab.runs.texts import read

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Gate
    from microgpt.lab.session import Session

DOCUMENTS = {"native": 1000, "scalar": 10}  # the largest number of training documents to check, by engine


@model_request
def gate(session: Session, word: str, layer: int) -> Gate:
    """Return which units of a layer's MLP are open at each position of a word, and which are dead.

    A dead unit is closed at every position of many training documents. If a unit is closed at every position of a
    document, the gradient of its row of mlp_fc1 is exactly 0. This zero gradient reveals a dead unit and also keeps
    the unit dead, because training cannot change the row.
    """
    run, tokens = session.active, session.tokens(word)
    recorded, c = session.forward(tokens), run.config
    if not 0 <= layer < c.n_layer:
        raise LabError(f"layer must be between 0 and {c.n_layer - 1}, got layer={layer}")
    gates = [recorded[f"pos{t}.layer{layer}.mlp_pre"].numbers for t in range(len(read(tokens, c)))]
    for t, pre in enumerate(gates):
        act = recorded[f"pos{t}.layer{layer}.mlp_act"].numbers
        if any(x <= 0 and y != 0 for x, y in zip(pre, act)):
            raise LabError("the edited program's activation lets negative numbers through, so it has no gates to show")
    engine = run.scratch()
    table, places = run.model.shapes, run.model.offsets
    after = places[f"layer{layer}.mlp_fc2"]
    for i in range(after.start, after.stop):
        if engine.params[i] == 0.0:  # with an outgoing weight of 0, even an open unit would receive no gradient
            engine.params[i] = 1.0
    place, (units, columns) = places[f"layer{layer}.mlp_fc1"], table[f"layer{layer}.mlp_fc1"]
    dead = set(range(units))
    order = run.run.order
    documents = min(len(order), DOCUMENTS[run.engine.name])
    blank = array("d", bytes(8 * len(engine.grads)))
    for i in range(documents):
        engine.backward([run.run.data.sequence(order[i])])
        grads = engine.grads[place]
        dead -= {u for u in dead if any(grads[u * columns : (u + 1) * columns])}
        engine.grads[:] = blank
        if not dead:
            break
    return {
        "open": [[x > 0 for x in gate] for gate in gates],
        "dead": sorted(dead),
        "documents": documents,
        "layer": layer,
    }
