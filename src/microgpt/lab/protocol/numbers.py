"""Answer types for single numbers: details, neighbours, gradient checks, small expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from microgpt.lab.protocol.values import Num, PathValue

Op = Literal["", "+", "*", "**", "log", "exp", "relu"]  # '' for a leaf
Way = Literal["reference", "replay"]


class Term(TypedDict):
    """One term of a sum."""

    factors: Sequence[PathValue]
    value: Num
    total: Num  # the sum so far


class After(TypedDict):
    """The operation that follows a sum."""

    text: str  # '/ 4 ** 0.5'
    value: Num
    operands: Sequence[PathValue]


class Link(TypedDict):
    """An operand or a user of a number."""

    path: str
    value: Num
    local: Num


class Opened(TypedDict):
    """The breakdown of a number."""

    path: str
    value: Num
    grad: Num  # d loss / d number, for the current word
    meaning: str  # from the table of names
    kind: str  # 'parameter', 'linear', 'rmsnorm', 'softmax', 'attention logit', 'attention mix', 'relu', 'loss' ...
    line: int  # the line of the program that computes it; 0 for a parameter
    formula: str  # as the program writes it: 'sum(wi * xi for wi, xi in zip(row, x))'
    terms: Sequence[Term]  # the sum in the program's order; each factor has a path of its own
    after: After | None
    recomputed: Num  # computed once more from the terms: equal to value
    operands: Sequence[Link]  # the nodes that it was computed from
    users: Sequence[Link]  # the nodes that were computed from it, at most 32
    num_users: int


class NearNumber(TypedDict):
    """A number in a neighbourhood."""

    path: str
    op: str
    value: Num
    grad: Num
    named: bool  # whether it belongs to a tensor


Edge = TypedDict(
    "Edge",
    {
        "from": str,  # the operand
        "to": str,  # the number computed from it
        "local": Num,
    },
)


class Neighbourhood(TypedDict):
    """The part of the graph around a number."""

    nodes: Sequence[NearNumber]
    edges: Sequence[Edge]
    cut: bool  # whether some nodes were left out


class UserContribution(TypedDict):
    """The contribution of one user of a number to the number's gradient."""

    path: str
    grad: Num
    local: Num
    add: Num  # local * the user's grad
    total: Num  # the gradient so far


class GradientContributions(TypedDict):
    """The chain rule at a number: the contribution of each of its users to its gradient, in the order of backward."""

    path: str
    grad: Num
    start: bool  # whether it is the loss itself, where backward begins with 1
    contributions: Sequence[UserContribution]
    up: str | None  # the next number that belongs to a tensor, along the largest gradient towards the loss
    down: str | None  # the same towards the parameters


class Nudge(TypedDict):
    """A gradient and the central difference to compare it with."""

    path: str
    value: Num
    grad: Num
    way: Way  # for a parameter, the program ran again; for others, the recorded operations from the number on
    remade: int  # how many numbers were computed again
    eps: float
    above: float  # the loss when the number is eps higher
    below: float  # the loss when it is eps lower
    difference: float  # (above - below) / (2 eps)


class FoundNumber(TypedDict):
    """A number that matches, or a tensor or row that still needs an index, which has a shape but no value."""

    path: str
    shape: Sequence[int]
    meaning: str
    value: Num | None


class Found(TypedDict):
    """The numbers that match a search."""

    query: str
    found: Sequence[FoundNumber]
    why: str  # the reason if nothing was found


class ExpressionOperand(TypedDict):
    """An operand of a node."""

    id: int
    local: Num  # d node / d operand


class ExpressionNode(TypedDict):
    """A Value of an expression."""

    id: int  # counted in the order in which the program made the nodes
    op: Op
    exponent: float | None  # the exponent of **
    name: str  # the variable that holds it, or ''
    data: Num
    grad: Num
    operands: Sequence[ExpressionOperand]
    constant: bool


class ExpressionMove(TypedDict):
    """One += of a gradient."""

    node: int
    operand: int
    local: Num
    out: Num  # the node's gradient
    before: Num  # the operand's gradient, before and after
    after: Num


class ExpressionCheck(TypedDict):
    """The gradient of an input and the central difference to compare it with."""

    name: str
    grad: Num
    difference: Num


class Expression(TypedDict):
    """A small graph of Values, forward and backward."""

    nodes: Sequence[ExpressionNode]
    result: int  # the id of the result
    # The ids in the order in which backward visits them. In naive order a node passes gradient on every time that it
    # receives some, so that ids repeat.
    order: Sequence[int]
    backward: Sequence[ExpressionMove]
    check: Sequence[ExpressionCheck]
    right: bool  # whether the gradients are correct: as with accumulation, topological order and one call of backward
