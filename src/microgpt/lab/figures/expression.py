"""An arithmetic expression as a graph of Values, with its backward pass and gradient checks.

The Values are the reference's own, and every gradient is checked. The little language: statements separated by `;` or
new lines; names, numbers, + - * / and ** to a constant power, unary minus, exp, log and relu as functions or methods.
`c = a * b; d = c.relu() + 1`. Names that no statement has set are the inputs. The expression is read by Python's own
parser and nothing of it is executed: each operation becomes a call of Value's own.
"""

from __future__ import annotations

import ast
import math
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from microgpt.engines.scalar import scalar_arithmetic
from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.protocol.choices import Order, Times
from microgpt.lab.requests import request
from microgpt.reference import Value

if TYPE_CHECKING:
    from microgpt.lab.protocol.numbers import Expression, Op
    from microgpt.lab.session import Session

MAX_CHARACTERS, MAX_NODES, MAX_DEPTH, MAX_MOVES = 2000, 500, 60, 2000
FUNCTIONS = ("exp", "log", "relu")
STEP = 1e-5  # of a central difference, in proportion to the input's size

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


class Noted(Value):
    """A Value that says how it was made: the recording is all that is added, the arithmetic is the reference's."""

    __slots__ = ("exponent", "gradient", "name", "op")
    gradient: float
    made: list[Noted]  # every node of the expression at hand, in the order in which the program made them
    moves: list[tuple[Noted, Noted, float, float]]  # (node, operand, its gradient before, after), as backward goes

    def __init__(self, data: float, a: Any = None, da: Any = None, b: Any = None, db: Any = None, op: str = "") -> None:
        super().__init__(data, a, da, b, db)  # type: ignore[no-untyped-call]
        self.op, self.name = op, ""
        self.exponent: float | None = None
        self.made.append(self)

    @property
    def grad(self) -> float:
        """d result / d self."""
        return self.gradient

    @grad.setter
    def grad(self, gradient: float) -> None:
        caller = sys._getframe(1)
        if caller.f_code is Value.backward.__code__:
            self.moves.append((caller.f_locals.get("node", self), self, self.gradient, gradient))
        self.gradient = gradient


def _noting(made: list[Noted]) -> type[Noted]:
    """A class of Values that note themselves in `made`.

    reference.Value's methods make plain Values; here each of them makes its result a Noted one, and leaves too.
    """

    def noted(x: Any) -> Noted:
        return x if isinstance(x, Noted) else kind(x)

    def wrap(op: str, method: Callable[..., Any]) -> Callable[..., Noted]:
        def run(self: Noted, *others: Any) -> Noted:
            if op in "+*":
                others = (noted(others[0]),)
            plain = method(self, *others)
            result = kind(plain.data, plain.a, plain.da, plain.b, plain.db, op)
            if op == "**":
                result.exponent = others[0]
            return result

        return run

    methods = {"+": "__add__", "*": "__mul__", "**": "__pow__", "log": "log", "exp": "exp", "relu": "relu"}
    body: dict[str, Any] = {name: wrap(op, getattr(Value, name)) for op, name in methods.items()}
    kind: type[Noted] = type("Noted", (Noted,), {**body, "__slots__": (), "made": made, "moves": []})
    return kind


def parse(source: str) -> list[tuple[str, ast.expr]]:
    """The statements: (name, or '' for none, expression). Raises LabError, which says where the mistake is."""
    if len(source) > MAX_CHARACTERS:
        raise LabError(
            f"the expression has {len(source):,} characters; at most {MAX_CHARACTERS:,} are taken: shorten it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's about text that is refused below
            body = ast.parse("\n".join(line.strip() for line in source.splitlines())).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1
        what = getattr(error, "msg", str(error))
        raise LabError(
            f"cannot read the expression at line {line}, column {column}: {what}; write it as c = a * b"
        ) from None
    if not body:
        raise LabError("the expression is empty: write one, such as c = a * b + a")
    statements = []
    for statement in body:
        if isinstance(statement, ast.Expr):
            statements.append(("", statement.value))
        elif (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and isinstance(statement.targets[0], ast.Name)
        ):
            name = statement.targets[0].id
            if name in FUNCTIONS:
                raise _mistake(statement, f"{name} is a function and cannot be a name")
            statements.append((name, statement.value))
        else:
            raise _mistake(statement, "a statement must be an expression, or name = expression")
    for _, expression in statements:
        _check(expression, 0)
    return statements


def _mistake(node: ast.AST, what: str) -> LabError:
    return LabError(f"line {getattr(node, 'lineno', 1)}, column {getattr(node, 'col_offset', 0) + 1}: {what}")


def _check(node: ast.expr, depth: int) -> None:
    """Raise LabError for what the little language does not have."""
    if depth > MAX_DEPTH:
        raise _mistake(node, f"more than {MAX_DEPTH} operations inside one another: give a part a name of its own")
    if isinstance(node, ast.Constant):
        number = node.value
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise _mistake(node, f"{number!r:.40} is no number")
        if not _is_float(number):
            raise _mistake(node, f"the number {str(number)[:40] if type(number) is float else ''} is too large")
    elif isinstance(node, ast.Name):
        if node.id in FUNCTIONS:
            raise _mistake(node, f"{node.id} is a function: write {node.id}(x), or x.{node.id}()")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        _check(node.operand, depth + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        if _constant(node.right) is None:
            raise _mistake(node.right, "a power must be a number, as in x**2; for others write exp(y * log(x))")
        _check(node.left, depth + 1)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        _check(node.left, depth + 1)
        _check(node.right, depth + 1)
    elif isinstance(node, ast.Call):
        f = node.func
        if isinstance(f, ast.Attribute) and f.attr in FUNCTIONS:
            if node.args or node.keywords:
                raise _mistake(node, f"x.{f.attr}() takes nothing between the brackets")
            _check(f.value, depth + 1)
        elif isinstance(f, ast.Name) and f.id in FUNCTIONS:
            if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
                raise _mistake(node, f"{f.id} takes one expression, as in {f.id}(x)")
            _check(node.args[0], depth + 1)
        else:
            raise _mistake(node, f"there are only the functions {', '.join(FUNCTIONS)}")
    else:
        raise _mistake(node, "only names, numbers, + - * / **, exp, log and relu can be used")


def _is_float(number: Any) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _constant(node: ast.expr, depth: int = 0) -> float | None:
    """The number that a power is written as, or None."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        number = _constant(node.operand, depth + 1)
        return None if number is None else -number if isinstance(node.op, ast.USub) else number
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):  # x**(1/3)
        a, b = _constant(node.left, depth + 1), _constant(node.right, depth + 1)
        return None if a is None or not b else a / b
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and _is_float(node.value):
        return float(node.value)
    return None


def inputs_of(statements: list[tuple[str, ast.expr]]) -> list[str]:
    """The names that are read before a statement has set them, in the order in which they are met."""
    found, known = [], set()
    for name, expression in statements:
        for node in _in_order(expression):
            if isinstance(node, ast.Name) and node.id not in known and node.id not in FUNCTIONS:
                known.add(node.id)
                found.append(node.id)
        known.add(name)
    return found


def _in_order(node: ast.AST) -> list[ast.AST]:
    """Every node of a piece of syntax, from left to right."""
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in _in_order(child))]


def _run(statements: list[tuple[str, ast.expr]], values: dict[str, Any], leaf: type[Value]) -> Any:
    """Execute the statements with these Values; gives the last result. leaf: makes a Value of a number."""
    names = dict(values)

    def make(node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return _constant(node)
        if isinstance(node, ast.Name):
            return names[node.id]
        if isinstance(node, ast.UnaryOp):
            operand = make(node.operand)
            return -operand if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            power = _constant(node.right)
            assert power is not None
            root = make(node.left) ** power
            if isinstance(getattr(root, "data", root), complex):
                raise ValueError("a root of a negative number")
            return root
        if isinstance(node, ast.BinOp):
            a, b = make(node.left), make(node.right)
            # the reference has no number - Value nor number / Value, and its 0 + Value, which sum() needs, is no node:
            # such a number becomes a leaf first
            if isinstance(b, Value) and not isinstance(a, Value) and not isinstance(node.op, ast.Mult):
                a = leaf(a)
            return _OPERATIONS[type(node.op)](a, b)
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute):
            operand, function = make(node.func.value), node.func.attr
        else:
            assert isinstance(node.func, ast.Name)
            operand, function = make(node.args[0]), node.func.id
        if not isinstance(operand, Value):
            operand = leaf(operand)
        return getattr(operand, function)()

    result: Any = None
    for name, expression in statements:
        result = make(expression)
        if not isinstance(result, Value):
            result = leaf(result)
        if name:
            names[name] = result
            if isinstance(result, Noted):
                result.name = result.name or name
    return result


@request
def expression(
    session: Session,
    source: str,
    inputs: dict[str, float],
    accumulate: bool = True,
    order: Order = "topological",
    times: Times = 1,
) -> Expression:
    """A small graph of Values, forward and backward."""
    edited.unchanged(session.active, "expressions are computed with it", "Value.")
    return differentiate(source, inputs, accumulate=accumulate, order=order, times=times)


def differentiate(
    source: str,
    given: dict[str, float],
    *,
    accumulate: bool = True,
    order: Order = "topological",
    times: Times = 1,
) -> Expression:
    """The graph of an expression, its backward pass, and every input's gradient beside its central difference.

    accumulate: False sets a gradient (=) where the reference adds to it (+=). order: `naive` lets a node pass its
    gradient on each time that it gets some, instead of once, when it has all of it. times: the calls of backward.
    """
    statements = parse(source)
    names = inputs_of(statements)
    if missing := [name for name in names if name not in given]:
        raise LabError(f"the input {missing[0]} has no value: give it in inputs, or set it before it is used")
    made: list[Noted] = []
    kind = _noting(made)
    try:
        with scalar_arithmetic():
            leaves = {name: kind(given[name]) for name in names}
            for name, leaf in leaves.items():
                leaf.name = name
            result = _run(statements, leaves, kind)
    except FloatingPointError as error:
        raise LabError(
            f"the expression has no value here ({_why(error)}): move its inputs, so that nothing is divided"
            " by 0, no log is of a number of 0 or less, and nothing grows beyond all numbers"
        ) from None
    if len(made) > MAX_NODES:
        raise LabError(f"the expression makes {len(made)} nodes; at most {MAX_NODES} are shown: shorten it")
    moves = _moves(result, accumulate, order, times)
    grads = [node.grad for node in made]
    for node in made:
        node.grad = 0.0
    result.backward()  # as it should be
    right = grads == [node.grad for node in made]
    ids = {id(node): i for i, node in enumerate(made)}
    visited = [node for i, (node, *_) in enumerate(moves) if i == 0 or moves[i - 1][0] is not node]
    return {
        "nodes": [
            {
                "id": i,
                "op": cast("Op", node.op),
                "exponent": node.exponent,
                "name": node.name,
                "data": node.data,
                "grad": grads[i],
                "operands": [{"id": ids[id(operand)], "local": local} for operand, local in _operands(node)],
                "constant": node.a is None and all(node is not leaf for leaf in leaves.values()),
            }
            for i, node in enumerate(made)
        ],
        "result": ids[id(result)],
        "order": [ids[id(node)] for node in visited],
        "backward": [
            {
                "node": ids[id(node)],
                "operand": ids[id(operand)],
                "local": local,
                "out": out,
                "before": before,
                "after": after,
            }
            for node, operand, local, out, before, after in moves
        ],
        "check": [
            {"name": name, "grad": grads[ids[id(leaf)]], "difference": _slope(statements, given, names, name)}
            for name, leaf in leaves.items()
        ],
        "right": right,
    }


def _why(error: FloatingPointError) -> str:
    """Python's own words for what went wrong."""
    return str((error.__cause__ or error).args[-1])


Move = tuple[Noted, Noted, float, float, float, float]  # node, operand, local, the node's gradient, before, after


def _moves(result: Noted, accumulate: bool, order: str, times: int) -> list[Move]:
    """Call backward, and give every hand-over of a gradient from a node to what it was made of."""
    moves: list[Move] = []
    for _ in range(times):
        if accumulate and order == "topological":
            watched = result.moves
            watched.clear()
            result.backward()  # type: ignore[no-untyped-call]
            given = watched[1:]  # the first is the result's own 1.0
            for i, (node, operand, before, after) in enumerate(given):
                second = i > 0 and given[i - 1][0] is node
                moves.append((node, operand, node.db if second else node.da, node.grad, before, after))
        else:
            moves += _wrong(result, accumulate, order)
    return moves


def _visited(result: Noted) -> list[Noted]:
    """The nodes in the order in which the reference's backward visits them."""
    kept = {id(node): node.grad for node in result.made}
    result.moves.clear()
    result.backward()  # type: ignore[no-untyped-call]
    visited = list({id(node): node for node, _, _, _ in result.moves[1:]}.values())
    for node in result.made:
        node.grad = kept[id(node)]
    return visited


def _wrong(result: Noted, accumulate: bool, order: str) -> list[Move]:
    """The reference's backward with one of its two precautions left out, to see what they are for."""
    moves: list[Move] = []

    def hand_on(node: Noted, operand: Noted, local: float) -> None:
        before = operand.grad
        operand.grad = before + local * node.grad if accumulate else local * node.grad
        moves.append((node, operand, local, node.grad, before, operand.grad))

    visited = _visited(result)
    result.grad = 1.0
    if order == "topological":
        for node in visited:
            for operand, local in _operands(node):
                hand_on(node, operand, local)
        return moves
    waiting = [(result, *operand) for operand in reversed(_operands(result))]
    while waiting:  # a node passes its gradient on whenever it gets some, complete or not
        node, operand, local = waiting.pop()
        hand_on(node, operand, local)
        waiting += [(operand, *next_one) for next_one in reversed(_operands(operand))]
        if len(moves) > MAX_MOVES:
            raise LabError(
                f"in the naive order the gradient goes on along every path, more than {MAX_MOVES:,} times here: shorten"
                " the expression"
            )
    return moves


def _operands(node: Noted) -> list[tuple[Noted, float]]:
    return [(operand, local) for operand, local in ((node.a, node.da), (node.b, node.db)) if operand is not None]


def _slope(statements: list[tuple[str, ast.expr]], given: dict[str, float], names: list[str], moved: str) -> float:
    """How the result answers when an input is moved a little in both directions; nan where it has no value there."""
    h = STEP * max(1.0, abs(given[moved]))
    high, low = given[moved] + h, given[moved] - h

    def at(x: float) -> float:
        result: float = _run(
            statements, {name: Value(x if name == moved else given[name]) for name in names}, Value
        ).data
        return result

    try:
        with scalar_arithmetic():
            return (at(high) - at(low)) / (high - low)
    except FloatingPointError:
        return math.nan
