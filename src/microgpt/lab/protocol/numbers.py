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
    total: Num  # so far


class After(TypedDict):
    """What is done with a sum."""

    text: str  # '/ 4 ** 0.5'
    value: Num
    operands: Sequence[PathValue]


class Link(TypedDict):
    """A number that another one was made from, or went into."""

    path: str
    value: Num
    local: Num


class Opened(TypedDict):
    """One number, opened."""

    path: str
    value: Num
    grad: Num  # d loss / d number, for the word at hand
    meaning: str  # from the table of names
    kind: str  # 'parameter', 'linear', 'rmsnorm', 'softmax', 'attention logit', 'attention mix', 'relu', 'loss' ...
    line: int  # of the reference, where it is made; 0 for a parameter
    formula: str  # in the reference's words: 'sum(wi * xi for wi, xi in zip(row, x))'
    terms: Sequence[Term]  # the sum in the program's order; a factor has a path of its own
    after: After | None
    recomputed: Num  # the terms put together once more: equal to value
    operands: Sequence[Link]  # the graph: made from
    users: Sequence[Link]  # the graph: used by, at most 32
    num_users: int


class NearNumber(TypedDict):
    """A number in a neighbourhood."""

    path: str
    op: str
    value: Num
    grad: Num
    named: bool  # whether it is a number of a tensor


Edge = TypedDict(
    "Edge",
    {
        "from": str,  # the operand
        "to": str,  # the number made of it
        "local": Num,
    },
)


class Neighbourhood(TypedDict):
    """A piece of the graph around a number."""

    nodes: Sequence[NearNumber]
    edges: Sequence[Edge]
    cut: bool  # whether more was left out


class Share(TypedDict):
    """What one user of a number added to its gradient."""

    path: str
    grad: Num
    local: Num
    add: Num  # local * the user's grad
    total: Num  # so far


class Blame(TypedDict):
    """The chain rule at a number: what each user of it added to its gradient, in the order of backward."""

    path: str
    grad: Num
    start: bool  # the loss itself, where backward begins with 1
    shares: Sequence[Share]
    up: str | None  # the next number of a tensor along the largest gradient, towards the loss
    down: str | None  # and towards the parameters


class Nudge(TypedDict):
    """A gradient beside the central difference."""

    path: str
    value: Num
    grad: Num
    way: Way  # a parameter: the program ran again; else: the recorded operations, from the number on
    remade: int  # numbers that were made again
    eps: float
    above: float  # the loss with the number eps higher
    below: float
    difference: float  # (above - below) / (2 eps)


class FoundNumber(TypedDict):
    """A number that fits, or a tensor or row that still needs an index: it has a shape, and no value."""

    path: str
    shape: Sequence[int]
    meaning: str
    value: Num | None


class Found(TypedDict):
    """Numbers that fit what is typed."""

    query: str
    found: Sequence[FoundNumber]
    why: str  # why there are none


class ExpressionOperand(TypedDict):
    """What a node was made from."""

    id: int
    local: Num  # d node / d operand


class ExpressionNode(TypedDict):
    """A Value of an expression."""

    id: int  # in the order in which the program made them
    op: Op
    exponent: float | None  # of **
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
    before: Num  # the operand's
    after: Num


class ExpressionCheck(TypedDict):
    """An input's gradient beside its central difference."""

    name: str
    grad: Num
    difference: Num


class Expression(TypedDict):
    """A small graph of Values, forward and backward."""

    nodes: Sequence[ExpressionNode]
    result: int  # id
    order: Sequence[int]  # ids as backward visits them; naive: a node passes on whenever it gets some, so ids repeat
    backward: Sequence[ExpressionMove]
    check: Sequence[ExpressionCheck]
    right: bool  # whether grads are those of the true rules (accumulating, topological, once)
