"""An arithmetic expression as a graph of Values, with its backward pass and gradient checks.

The Values are the reference's own, and each input's gradient is checked. The expression consists of statements,
separated by `;` or newlines, such as `c = a * b; d = c.relu() + 1`. A statement may contain names, numbers, + - * /, **
with a constant exponent, unary minus, and exp, log and relu as functions or methods. A name that no earlier statement
has set is an input. Python's own parser reads the expression, but Python does not execute it: each operation becomes a
call to the corresponding Value method.
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
STEP = 1e-5  # the step of a central difference, relative to the input's size

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


class RecordedValue(Value):
    """A Value that records how it was created and how its gradient changes; the arithmetic is the reference's.

    Attributes:
        op: The operation that created the Value; "" for a leaf.
        exponent: The exponent of a power; None otherwise.
        name: The name assigned by a statement, or the name of the input.
        gradient: The value of `grad`.
        made: Every node of the expression, in order of creation.
        moves: (node, operand, the operand's gradient before and after) for each change that backward() makes, in order.
    """

    __slots__ = ("exponent", "gradient", "name", "op")
    gradient: float
    made: list[RecordedValue]
    moves: list[tuple[RecordedValue, RecordedValue, float, float]]

    def __init__(self, data: float, a: Any = None, da: Any = None, b: Any = None, db: Any = None, op: str = "") -> None:
        super().__init__(data, a, da, b, db)  # type: ignore[no-untyped-call]
        self.op, self.name = op, ""
        self.exponent: float | None = None
        self.made.append(self)

    @property
    def grad(self) -> float:
        """The gradient of the result with respect to this Value."""
        return self.gradient

    @grad.setter
    def grad(self, gradient: float) -> None:
        caller = sys._getframe(1)
        if caller.f_code is Value.backward.__code__:
            self.moves.append((caller.f_locals.get("node", self), self, self.gradient, gradient))
        self.gradient = gradient


def _recording_class(made: list[RecordedValue]) -> type[RecordedValue]:
    """Return a class of Values that append themselves to `made`.

    The methods of reference.Value create plain Values; here each method turns its result, and a leaf that it creates,
    into a RecordedValue.
    """

    def recorded(x: Any) -> RecordedValue:
        return x if isinstance(x, RecordedValue) else kind(x)

    def wrap(op: str, method: Callable[..., Any]) -> Callable[..., RecordedValue]:
        def run(self: RecordedValue, *others: Any) -> RecordedValue:
            if op in "+*":
                others = (recorded(others[0]),)
            plain = method(self, *others)
            result = kind(plain.data, plain.a, plain.da, plain.b, plain.db, op)
            if op == "**":
                result.exponent = others[0]
            return result

        return run

    methods = {"+": "__add__", "*": "__mul__", "**": "__pow__", "log": "log", "exp": "exp", "relu": "relu"}
    body: dict[str, Any] = {name: wrap(op, getattr(Value, name)) for op, name in methods.items()}
    kind: type[RecordedValue] = type(
        "RecordedValue", (RecordedValue,), {**body, "__slots__": (), "made": made, "moves": []}
    )
    return kind


def parse(source: str) -> list[tuple[str, ast.expr]]:
    """Return an expression's statements as (name, expression) pairs; the name is "" for a bare expression.

    Raises:
        LabError: The source is too long, or is not a valid expression. The message gives the line and column.
    """
    if len(source) > MAX_CHARACTERS:
        raise LabError(
            f"the expression must have at most {MAX_CHARACTERS:,} characters, got {len(source):,}: shorten it"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python may warn about text that is rejected below
            body = ast.parse("\n".join(line.strip() for line in source.splitlines())).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", 1) or 1, getattr(error, "offset", 1) or 1
        what = getattr(error, "msg", str(error))
        raise LabError(
            f"cannot read the expression at line {line}, column {column}: {what}; use the form c = a * b"
        ) from None
    if not body:
        raise LabError("the expression is empty: write an expression such as c = a * b + a")
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
                raise _error_at(statement, f"{name} is a function and cannot be assigned to")
            statements.append((name, statement.value))
        else:
            raise _error_at(statement, "a statement must be an expression, or name = expression")
    for _, expression in statements:
        _check(expression, 0)
    return statements


def _error_at(node: ast.AST, what: str) -> LabError:
    return LabError(f"line {getattr(node, 'lineno', 1)}, column {getattr(node, 'col_offset', 0) + 1}: {what}")


def _check(node: ast.expr, depth: int) -> None:
    """Raise LabError if an expression contains syntax that the language does not support."""
    if depth > MAX_DEPTH:
        raise _error_at(node, f"more than {MAX_DEPTH} nested operations: give part of the expression a name")
    if isinstance(node, ast.Constant):
        number = node.value
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise _error_at(node, f"{number!r:.40} is not a number")
        if not _is_float(number):
            raise _error_at(node, "this number is too large for a float64")
    elif isinstance(node, ast.Name):
        if node.id in FUNCTIONS:
            raise _error_at(node, f"{node.id} is a function: write {node.id}(x) or x.{node.id}()")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        _check(node.operand, depth + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        if _constant(node.right) is None:
            raise _error_at(node.right, "an exponent must be a number, as in x**2; for x**y, write exp(y * log(x))")
        _check(node.left, depth + 1)
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        _check(node.left, depth + 1)
        _check(node.right, depth + 1)
    elif isinstance(node, ast.Call):
        f = node.func
        if isinstance(f, ast.Attribute) and f.attr in FUNCTIONS:
            if node.args or node.keywords:
                raise _error_at(node, f"x.{f.attr}() takes no arguments")
            _check(f.value, depth + 1)
        elif isinstance(f, ast.Name) and f.id in FUNCTIONS:
            if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
                raise _error_at(node, f"{f.id} takes one expression, as in {f.id}(x)")
            _check(node.args[0], depth + 1)
        else:
            raise _error_at(node, f"the only functions are {', '.join(FUNCTIONS)}")
    else:
        raise _error_at(node, "only names, numbers, + - * / **, exp, log and relu can be used")


def _is_float(number: Any) -> bool:
    try:
        return math.isfinite(float(number))
    except OverflowError:
        return False


def _constant(node: ast.expr, depth: int = 0) -> float | None:
    """Return the value of a constant expression, or None if the expression is not constant."""
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
    """Return the names that are read before any statement assigns them, in order of appearance."""
    found, known = [], set()
    for name, expression in statements:
        for node in _in_order(expression):
            if isinstance(node, ast.Name) and node.id not in known and node.id not in FUNCTIONS:
                known.add(node.id)
                found.append(node.id)
        known.add(name)
    return found


def _in_order(node: ast.AST) -> list[ast.AST]:
    """Return every node of a syntax tree, from left to right."""
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in _in_order(child))]


def _run(statements: list[tuple[str, ast.expr]], values: dict[str, Any], leaf: type[Value]) -> Any:
    """Execute the statements with these Values, and return the last result; `leaf` turns a number into a Value."""
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
                raise ValueError("a negative number cannot be raised to a fractional power")
            return root
        if isinstance(node, ast.BinOp):
            a, b = make(node.left), make(node.right)
            # the reference does not support number - Value or number / Value, and its 0 + Value (for sum()) creates no
            # node, so such a number becomes a leaf first
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
            if isinstance(result, RecordedValue):
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
    """Return an expression's graph of Values, with its forward and backward passes."""
    edited.unchanged(session.active, "expressions are computed with the reference's Value", "Value.")
    return differentiate(source, inputs, accumulate=accumulate, order=order, times=times)


def differentiate(
    source: str,
    given: dict[str, float],
    *,
    accumulate: bool = True,
    order: Order = "topological",
    times: Times = 1,
) -> Expression:
    """Return the graph of an expression, its backward pass, and each input's gradient and central difference.

    Args:
        source: The expression.
        given: The value of each input.
        accumulate: Whether backward() adds to a gradient (+=), as the reference does, or overwrites it (=).
        order: `topological`, as in the reference, where a node passes its gradient back once, when the gradient is
            complete; or `naive`, where a node passes its gradient back each time it receives a contribution.
        times: How many times to call backward().

    Raises:
        LabError: The expression cannot be read, has no value for these inputs, or is too large.
    """
    statements = parse(source)
    names = inputs_of(statements)
    if missing := [name for name in names if name not in given]:
        raise LabError(f"the input {missing[0]} has no value: add it to inputs, or set it before it is used")
    made: list[RecordedValue] = []
    kind = _recording_class(made)
    try:
        with scalar_arithmetic():
            leaves = {name: kind(given[name]) for name in names}
            for name, leaf in leaves.items():
                leaf.name = name
            result = _run(statements, leaves, kind)
    except FloatingPointError as error:
        raise LabError(
            f"the expression has no value for these inputs ({_why(error)}): choose inputs that avoid division by 0, the"
            " log of 0 or of a negative number, and results outside float64's range"
        ) from None
    if len(made) > MAX_NODES:
        raise LabError(f"the expression must have at most {MAX_NODES} nodes, got {len(made)}: shorten it")
    moves = _moves(result, accumulate, order, times)
    grads = [node.grad for node in made]
    for node in made:
        node.grad = 0.0
    result.backward()  # the correct gradients
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
                "share": local * out,
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
    """Return Python's own message for the error."""
    return str((error.__cause__ or error).args[-1])


# node, operand, local, the node's gradient, before, after
Move = tuple[RecordedValue, RecordedValue, float, float, float, float]


def _moves(result: RecordedValue, accumulate: bool, order: str, times: int) -> list[Move]:
    """Call backward `times` times, and return every contribution from a node to an operand's gradient."""
    moves: list[Move] = []
    for _ in range(times):
        if accumulate and order == "topological":
            watched = result.moves
            watched.clear()
            result.backward()  # type: ignore[no-untyped-call]
            given = watched[1:]  # the first move sets the result's gradient to 1.0
            for i, (node, operand, before, after) in enumerate(given):
                second = i > 0 and given[i - 1][0] is node
                moves.append((node, operand, node.db if second else node.da, node.grad, before, after))
        else:
            moves += _faulty_backward(result, accumulate, order)
    return moves


def _visited(result: RecordedValue) -> list[RecordedValue]:
    """Return the nodes in the order in which the reference's backward() visits them."""
    kept = {id(node): node.grad for node in result.made}
    result.moves.clear()
    result.backward()  # type: ignore[no-untyped-call]
    visited = list({id(node): node for node, _, _, _ in result.moves[1:]}.values())
    for node in result.made:
        node.grad = kept[id(node)]
    return visited


def _faulty_backward(result: RecordedValue, accumulate: bool, order: str) -> list[Move]:
    """Run the reference's backward() without one or both of its precautions, to show why both are needed."""
    moves: list[Move] = []

    def pass_on(node: RecordedValue, operand: RecordedValue, local: float) -> None:
        before = operand.grad
        operand.grad = before + local * node.grad if accumulate else local * node.grad
        moves.append((node, operand, local, node.grad, before, operand.grad))

    visited = _visited(result)
    result.grad = 1.0
    if order == "topological":
        for node in visited:
            for operand, local in _operands(node):
                pass_on(node, operand, local)
        return moves
    waiting = [(result, *operand) for operand in reversed(_operands(result))]
    while waiting:  # a node passes back its gradient after every contribution, even if the gradient is incomplete
        node, operand, local = waiting.pop()
        pass_on(node, operand, local)
        waiting += [(operand, *next_one) for next_one in reversed(_operands(operand))]
        if len(moves) > MAX_MOVES:
            raise LabError(
                f"in naive order, gradients are passed back along every path, so this expression needs more than"
                f" {MAX_MOVES:,} additions: shorten it"
            )
    return moves


def _operands(node: RecordedValue) -> list[tuple[RecordedValue, float]]:
    return [(operand, local) for operand, local in ((node.a, node.da), (node.b, node.db)) if operand is not None]


def _slope(statements: list[tuple[str, ast.expr]], given: dict[str, float], names: list[str], moved: str) -> float:
    """Return the central difference of the result with respect to an input; nan if the result has no value there."""
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
