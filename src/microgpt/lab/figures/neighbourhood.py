"""A number's neighborhood in the graph, also as DOT, and each user's contribution to its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.requests import Response, model_request
from microgpt.tracing.dot import DEPTH
from microgpt.tracing.trace import Trace

if TYPE_CHECKING:
    from microgpt.lab.protocol.numbers import Dot, GradientContributions, Neighbourhood
    from microgpt.lab.session import Session

AROUND, MOST_AROUND = 60, 300  # numbers in a neighbourhood: the default limit and the largest limit
FURTHEST = 12  # the largest number of steps up or down


@model_request
def neighbourhood(
    session: Session, word: str, path: str, up: int = 1, down: int = 1, limit: int = AROUND
) -> Neighbourhood:
    """Return a number's neighborhood: `up` steps toward the loss and `down` steps toward the parameters."""
    for name, steps in (("up", up), ("down", down)):
        if not 0 <= steps <= FURTHEST:
            raise LabError(f"{name} must be between 0 and {FURTHEST}, got {name}={steps}")
    if not 1 <= limit <= MOST_AROUND:
        raise LabError(f"limit must be between 1 and {MOST_AROUND}, got limit={limit}")
    trace = session.trace(session.tokens(word))
    found = trace.neighbourhood(path, depth_up=up, depth_down=down, limit=limit)
    return {
        "nodes": [
            {
                "path": node["path"],
                "op": node["op"],
                "value": node["value"],
                "grad": node["grad"],
                "named": bool(trace.graph.places(trace.node(node["path"]))),
            }
            for node in found["nodes"]
        ],
        "edges": [{"from": e["from"], "to": e["to"], "local": e["local_gradient"]} for e in found["edges"]],
        "cut": not found["complete"],
    }


@model_request
def dot(session: Session, word: str, path: str, depth: int = DEPTH) -> Dot:
    """Return the graph behind a number in DOT, down to the numbers that are `depth` operations away."""
    if not 1 <= depth <= FURTHEST:
        raise LabError(f"depth must be between 1 and {FURTHEST}, got depth={depth}")
    tokens = session.tokens(word)
    found = session.trace(tokens).dot(path, depth=depth, title=session.active.run.tokenizer.decode(tokens))
    return {"path": path, "text": found.text, "nodes": found.nodes, "all_nodes": found.all_nodes}


@model_request
def gradient_contributions(session: Session, word: str, path: str) -> GradientContributions:
    """Return each user's contribution to a number's gradient, in the order of backward()."""
    edited.unchanged(session.active, "this figure sums gradients as the reference does", "Value.backward")
    trace = session.trace(session.tokens(word))
    return {
        "path": path,
        "grad": trace.node(path).grad,
        "start": trace.node(path) is trace.node("loss"),  # backward begins here, with a gradient of 1
        "contributions": [
            {
                "path": contribution["path"],
                "grad": contribution["grad"],
                "local": contribution["local_gradient"],
                "add": contribution["add"],
                "total": contribution["after"],
            }
            for contribution in trace.contributions(path)
        ],
        "up": _next_named(trace, path, trace.contributions),
        "down": _next_named(trace, path, trace.passed_on),
    }


def _next_named(trace: Trace, path: str, around: Callable[[str], list[Response]]) -> str | None:
    """Return the path of the next tensor element, following the largest contribution in one direction.

    around: `trace.contributions` to go toward the loss, `trace.passed_on` to go toward the parameters.
    """
    while steps := [step for step in around(path) if not _is_constant(trace, step["path"])]:
        path = max(reversed(steps), key=lambda step: abs(step["add"]))["path"]  # on a tie, choose the last step
        if trace.graph.places(trace.node(path)):
            return path
    return None


def _is_constant(trace: Trace, path: str) -> bool:
    node = trace.node(path)
    return not node.op and not trace.graph.places(node)
