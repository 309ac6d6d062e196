"""Response types for single numbers: details, neighbors, gradient checks and small expressions."""

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
    line: int  # the program line that computes the number; 0 for a weight
    formula: str  # as the program writes it: 'sum(wi * xi for wi, xi in zip(row, x))'
    terms: Sequence[Term]  # the sum in the program's order; each factor has its own path
    after: After | None
    recomputed: Num  # the value recomputed from the terms: equal to `value`
    operands: Sequence[Link]  # the nodes that the number was computed from
    users: Sequence[Link]  # the nodes that were computed from the number, at most 32
    num_users: int


class NearNumber(TypedDict):
    """A number in a neighbourhood."""

    path: str
    op: str
    value: Num
    grad: Num
    named: bool  # whether the number belongs to a tensor


Edge = TypedDict(
    "Edge",
    {
        "from": str,  # the operand
        "to": str,  # the number computed from it
        "local": Num,
    },
)


class Neighbourhood(TypedDict):
    """A number's neighborhood in the graph."""

    nodes: Sequence[NearNumber]
    edges: Sequence[Edge]
    cut: bool  # whether some nodes were omitted


class Dot(TypedDict):
    """The graph behind a number in DOT, Graphviz's language."""

    path: str
    text: str
    nodes: int  # how many numbers it shows
    all_nodes: int  # how many numbers there are behind the number, itself included


class UserContribution(TypedDict):
    """One user's contribution to a number's gradient."""

    path: str
    grad: Num
    local: Num
    add: Num  # local * the user's grad
    total: Num  # the gradient so far


class GradientContributions(TypedDict):
    """The chain rule at a number: each user's contribution to its gradient, in the order of backward()."""

    path: str
    grad: Num
    start: bool  # whether the number is the loss, where backward begins with a gradient of 1
    contributions: Sequence[UserContribution]
    up: str | None  # the next tensor element toward the loss, along the largest contributions
    down: str | None  # the next tensor element toward the parameters


class Nudge(TypedDict):
    """A gradient and the central difference to compare it with."""

    path: str
    value: Num
    grad: Num
    way: Way  # 'reference' if the program was run again (for a weight); 'replay' if operations were repeated
    remade: int  # the number of values recomputed
    eps: float
    above: float  # the loss with eps added to the number
    below: float  # the loss with eps subtracted from the number
    difference: float  # (above - below) / (2 eps)


class FoundNumber(TypedDict):
    """A matching number, or a matching tensor or row that still needs an index (it has a shape but no value)."""

    path: str
    shape: Sequence[int]
    meaning: str
    value: Num | None


class Found(TypedDict):
    """The numbers that match a search."""

    query: str
    found: Sequence[FoundNumber]
    why: str  # why nothing was found, or ''


class ExpressionOperand(TypedDict):
    """An operand of a node."""

    id: int
    local: Num  # d node / d operand


class ExpressionNode(TypedDict):
    """A Value of an expression."""

    id: int  # numbered in the order in which the program created the nodes
    op: Op
    exponent: float | None  # the exponent of **
    name: str  # the name of the variable that holds the node, or ''
    data: Num
    grad: Num
    operands: Sequence[ExpressionOperand]
    constant: bool


class ExpressionMove(TypedDict):
    """One += on a gradient."""

    node: int
    operand: int
    local: Num
    out: Num  # the node's gradient
    share: Num  # local * out: what the operand receives
    before: Num  # the operand's gradient before and after the addition
    after: Num


class ExpressionCheck(TypedDict):
    """An input's gradient and the central difference to compare it with."""

    name: str
    grad: Num
    difference: Num


class Expression(TypedDict):
    """A small graph of Values, with its forward and backward passes."""

    nodes: Sequence[ExpressionNode]
    result: int  # the id of the result
    # The ids of the nodes in the order in which backward visits them. In naive order, a node passes back its gradient
    # each time it receives a contribution, so ids repeat.
    order: Sequence[int]
    backward: Sequence[ExpressionMove]
    check: Sequence[ExpressionCheck]
    right: bool  # whether the gradients are correct, that is, equal to the reference's
