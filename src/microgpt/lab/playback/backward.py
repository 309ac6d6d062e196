"""The backward pass of a word's loss, one += at a time.

Each += shows how much gradient a number passes back to an operand, and how the operand's gradient accumulates. The
steps follow the order in which backward() visited the graph (see `tracing`). Each += is repeated in that order, with
the local gradients that are stored in the nodes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.editing.source import line_of
from microgpt.lab.requests import model_request
from microgpt.tracing.instrument import Node
from microgpt.tracing.trace import Trace

if TYPE_CHECKING:
    from microgpt.lab.protocol.playback import BackwardStep, Contribution, NumberGrad
    from microgpt.lab.session import Session

MAX_CONTRIBUTIONS = 64  # the largest number of listed contributions to the operand
ABOVE = 3  # the largest number of listed contributions to the node


class Step(NamedTuple):
    """One += in backward(): `local * node.grad` is added to operand.grad.

    Attributes:
        node: The number that passes its gradient back.
        operand: The number that receives the contribution.
        local: d node / d operand.
        before: The operand's gradient before the step.
        after: The operand's gradient after the step.
        second: Whether the operand is node.b, whose += is in the body of the `if` statement.
    """

    node: Node
    operand: Node
    local: float
    before: float
    after: float
    second: bool


class BackwardSteps:
    """The steps of a recorded backward(), in order.

    Attributes:
        graph: The execution's graph.
        program: The program that ran.
        order: The numbers in the order in which they pass back their gradients.
        steps: Every +=, in order.
        starts: The steps at which the backward pass reaches a new tensor element; the steps of the element's inner
            numbers follow.
        landmarks: A (step, name) pair for each tensor: its first step in `starts` and its name.
    """

    def __init__(self, recorded: Trace) -> None:
        self.graph, self.program = recorded.graph, recorded.program
        graph = recorded.graph
        self.order = [graph.nodes[index] for index in recorded.backward_order()]
        self.steps: list[Step] = []
        self.starts: list[int] = []
        self.landmarks: list[tuple[int, str]] = []
        self._given: defaultdict[Node, list[int]] = defaultdict(list)  # the steps that add to a number
        grads: defaultdict[Node, float] = defaultdict(float)
        last, met = None, set()
        for node in self.order:
            owner = graph.owner(node)
            if owner != last:
                self.starts.append(len(self.steps))
                last = owner
                if owner and owner[0] not in met:
                    met.add(owner[0])
                    self.landmarks.append((len(self.steps), owner[0]))
            for operand, local, second in ((node.a, node.da, False), (node.b, node.db, True)):
                if operand is not None:
                    before = grads[operand]
                    grads[operand] = after = before + local * node.grad
                    self._given[operand].append(len(self.steps))
                    self.steps.append(Step(node, operand, local, before, after, second))

    @property
    def nodes(self) -> int:
        """The number of nodes in the loss's graph, including the loss itself."""
        return len(self._given) + 1

    def __len__(self) -> int:
        return len(self.steps)

    def step(self, at: int) -> BackwardStep:
        """Return one +=, with the contributions to the operand and to the node.

        Raises:
            LabError: There is no step with this index.
        """
        if not 0 <= at < len(self.steps):
            raise LabError(f"step must be between 0 and {len(self.steps) - 1}, got step={at}")
        node, operand, local, before, after, second = self.steps[at]
        path = self.graph.path(node)
        given = self._given[operand]
        above = list(
            {self.steps[i].node: i for i in self._given[node]}.values()
        )  # a user such as x * x adds to x twice, but is listed once
        other, slope = (node.a, node.da) if second else (node.b, node.db)
        return {
            "step": at,
            "line": line_of("node.b.grad +=" if second else "node.a.grad +=", self.program),
            "node": self._number(node, node.grad, ""),
            "operand": self._number(operand, after, path),
            "other": None if other is None else {**self._number(other, self._grad(other, at), path), "local": slope},
            "local": local,
            "add": local * node.grad,
            "before": before,
            "after": after,
            "contributions": [self._contribution(i, path) for i in given[:MAX_CONTRIBUTIONS]],
            "num_contributions": len(given),
            "above": [self._contribution(i, path) for i in above[:ABOVE]],
            "num_above": len(above),
            "final": self.steps[given[-1]].after,
        }

    def _grad(self, node: Node, at: int) -> float:
        """Return a number's gradient after step `at`."""
        return next((self.steps[i].after for i in reversed(self._given[node]) if i <= at), 0.0)

    def _number(self, node: Node, grad: float, near: str) -> NumberGrad:
        return {"path": self.graph.path(node, near), "op": node.op, "value": node.data, "grad": grad}

    def _contribution(self, i: int, near: str) -> Contribution:
        step = self.steps[i]
        return {
            "step": i,
            **self._number(step.node, step.node.grad, near),
            "local": step.local,
            "add": step.local * step.node.grad,
            "after": step.after,
        }


_BACKWARD_STEPS: WeakKeyDictionary[Trace, BackwardSteps] = WeakKeyDictionary()


def backward_steps(session: Session, word: str) -> BackwardSteps:
    """Return the steps of the recorded backward() for a word's loss.

    Raises:
        LabError: The word cannot be traced, or the program's backward() was edited.
    """
    edited.unchanged(session.active, "this chapter repeats each += of the reference's backward()", "Value.backward")
    recorded = session.trace(session.tokens(word))
    if recorded not in _BACKWARD_STEPS:
        _BACKWARD_STEPS[recorded] = BackwardSteps(recorded)
    return _BACKWARD_STEPS[recorded]


@model_request
def backward_step(session: Session, word: str, step: int) -> BackwardStep:
    """Return one += in backward()."""
    return backward_steps(session, word).step(step)
