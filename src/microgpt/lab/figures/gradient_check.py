"""A gradient check by finite differences: nudge a number up and down, and compare the losses.

To nudge a weight, the check changes it in a copy of the weights and runs reference.py again. Any other number cannot be
set in advance, so the check repeats the recorded operations from that number on, and recomputes only the numbers that
depend on it. The check uses neither the number's gradient nor the chain rule.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from microgpt.engines.base import Tokens
from microgpt.errors import LabError
from microgpt.lab.requests import Response, model_request
from microgpt.lab.runs.run import LabRun
from microgpt.tracing.instrument import Node
from microgpt.tracing.recorder import forward
from microgpt.tracing.trace import Trace

if TYPE_CHECKING:
    from microgpt.lab.protocol.numbers import Nudge
    from microgpt.lab.session import Session

# Step sizes relative to the number's size. If a step is too large, the loss no longer follows a straight line; if it is
# too small, the two losses differ only in their last digits. The best step size depends on the number.
STEP_SIZES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SMALLEST = 1e-3  # numbers closer to zero than this get the steps for this size


@model_request
def nudge(session: Session, word: str, path: str, eps: float | None = None) -> Nudge:
    """Return the slope of the loss with respect to a number, as a central difference, and the number's gradient.

    Args:
        session: The session.
        word: The word whose loss is computed.
        path: The path of the number.
        eps: The step size in each direction; None to try STEP_SIZES and choose the best one without using the gradient.
    """
    run, tokens = session.active, session.tokens(word)
    trace = session.trace(tokens)
    node = trace.node(path)
    if eps is not None and not 0 < eps <= 1e3:
        raise LabError(f"eps must be above 0 and at most 1000, got eps={eps}")
    loss, remade = _loss(run, tokens, trace, node)

    def stepped(eps: float) -> Response:
        # the actual distance: node.data + eps is rounded to the nearest float
        apart = (node.data + eps) - (node.data - eps)
        if not apart:
            raise LabError(f"a step of {eps:g} is too small to change {node.data:g}: choose a larger eps")
        try:
            above, below = loss(node.data + eps), loss(node.data - eps)
        except (ArithmeticError, ValueError):
            raise LabError(f"a step of {eps:g} produces an out-of-range value: choose a smaller eps") from None
        return {"eps": eps, "above": above, "below": below, "difference": (above - below) / apart}

    found = stepped(eps) if eps is not None else _steadiest(stepped, max(SMALLEST, abs(node.data)))
    return {
        "path": path,
        "value": node.data,
        "grad": node.grad,
        "way": "reference" if _is_parameter(trace, node) else "replay",
        "remade": remade,
        "eps": found["eps"],
        "above": found["above"],
        "below": found["below"],
        "difference": found["difference"],
    }


def _steadiest(stepped: Callable[[float], Response], size: float) -> Response:
    """Return the result of the step size with the most accurate slope, judging only by the slopes.

    Raises LabError if no two step sizes can be compared.
    """
    tried: list[Response] = []
    for step in STEP_SIZES:
        try:
            tried.append(stepped(step * size))
        except LabError:
            tried.clear()  # only smaller steps are possible
    if len(tried) < 2:
        raise LabError("the number is too close to a limit of its range for the default steps: choose a smaller eps")

    def doubt(far: Response, near: Response) -> Any:
        """Estimate the error of the slope `near`, which uses a tenth of the step size of `far`.

        The smaller step reduces the error due to the loss's curvature by a factor of 100 but increases the rounding
        error tenfold.
        """
        bend = abs(far["difference"] - near["difference"]) / 99
        return bend + 4 * math.ulp(near["above"]) / near["eps"]

    return min(pairwise(tried), key=lambda pair: doubt(*pair))[1]


def _is_parameter(trace: Trace, node: Node) -> bool:
    return not node.op and bool(trace.graph.places(node))


def _loss(run: LabRun, tokens: Tokens, trace: Trace, node: Node) -> tuple[Callable[[float], float], int]:
    """Return the loss as a function of one number, and the number of values that each call recomputes."""
    after = _made_from(trace, node)
    if not _is_parameter(trace, node):
        if _replay(trace, node, after, node.data) != trace.node("loss").data:
            raise LabError("the edited program's operations cannot be replayed one by one: nudge a weight instead")
        return (lambda data: _replay(trace, node, after, data)), len(after)
    model, place = run.model, run.index(trace.path(node))

    def of_weight(data: float) -> float:
        params = array("d", model.params)
        params[place] = data
        return float(forward(tokens, replace(model, params=params))["loss"].numbers[0])

    return of_weight, len(after)


def _made_from(trace: Trace, node: Node) -> list[Node]:
    """Return every node computed from a node, directly or indirectly, in order of creation."""
    found = {node.index}
    made = []
    for other in trace.graph.nodes[node.index + 1 :]:
        if (other.a is not None and other.a.index in found) or (other.b is not None and other.b.index in found):
            found.add(other.index)
            made.append(other)
    return made


def _replay(trace: Trace, node: Node, after: list[Node], data: float) -> float:
    """Return the loss with `data` as a node's value; `after` contains the nodes computed from that node."""
    now = {node.index: data}
    for made in after:
        operands = [now.get(x.index, x.data) for x in (made.a, made.b) if x is not None]
        value = trace.arithmetic(made.op)(*operands, *([] if made.exponent is None else [made.exponent]))
        if isinstance(value, complex):  # the root of a number that has become negative
            raise ValueError(f"{made.op} of {operands[0]}")
        now[made.index] = value
    loss = trace.node("loss")
    return float(now.get(loss.index, loss.data))
