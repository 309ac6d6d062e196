"""Record a running program statement by statement, with the variables at each statement.

An event is the execution of one statement in one of the program's functions. A statement that spans several lines
counts once, including its comprehensions. Python versions differ in how often they visit a statement's lines, but
produce the same events. Value's methods have no events, because they run tens of thousands of times for one
document.
"""

from __future__ import annotations

import ast
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

from microgpt.activations import ACTIVATIONS
from microgpt.engines.program import REFERENCE, Program
from microgpt.tracing.graph import Facts, Graph
from microgpt.tracing.instrument import Instrumented, Node

LONG = 1000  # a longer list is described only by its length, so that it is not copied at every event
OWNERS = {"pos_id": "pos", "i": "layer", "h": "head"}  # variables that locate a statement in the computation


class Statement(NamedTuple):
    """A statement of the program.

    Attributes:
        first: The statement's first line.
        variables: The parameters of the enclosing function and the targets of the enclosing loops.
    """

    first: int
    variables: frozenset[str]


@dataclass
class Event:
    """The execution of one statement.

    Attributes:
        line: The first line of the statement.
        function: The name of the function that contains the statement.
        depth: The number of the program's functions that are waiting for this function to return.
        owner: The place in the computation, in path notation: `pos3.layer0.head2`. Empty outside all positions.
        known: The function's variables before the statement is executed, by name.
        changed: The variables that the statement changed, with their new values; under `return`, the returned value.
    """

    line: int
    function: str
    depth: int
    owner: str
    known: dict[str, Any]
    changed: dict[str, Any] = field(default_factory=dict)


class Number(NamedTuple):
    """A variable that holds a Node, with the node's data and grad at the time of the event: an update changes both."""

    node: Node
    data: float
    grad: float


class Described(NamedTuple):
    """A value described only in words."""

    text: str


@cache
def statements(program: Program = REFERENCE) -> dict[int, Statement]:
    """Return the statement on each line of the program, by line number."""
    table: dict[int, Statement] = {}

    def visit(body: list[ast.stmt], variables: frozenset[str]) -> None:
        for node in body:
            inner = getattr(node, "body", None)  # the head of a compound statement is a separate event
            last = inner[0].lineno - 1 if inner else node.end_lineno or node.lineno
            for line in range(node.lineno, max(last, node.lineno) + 1):
                table.setdefault(line, Statement(node.lineno, variables))
            around = variables
            if isinstance(node, ast.FunctionDef):
                around = frozenset(arg.arg for arg in node.args.args)
            elif isinstance(node, ast.For):
                around |= {target.id for target in ast.walk(node.target) if isinstance(target, ast.Name)}
            for part in (inner or [], getattr(node, "orelse", []), getattr(node, "finalbody", [])):
                visit(part, around)
            for handler in getattr(node, "handlers", []):
                visit(handler.body, around)

    visit(ast.parse(program.text).body, frozenset())
    return table


def events_of(run: Instrumented, call: Callable[..., Any], *args: Any, **options: Any) -> tuple[Any, list[Facts]]:
    """Call an instrumented function and record its events.

    To record `sample`, pass it run.state_dict: its tensors then have the same names as a document's tensors. To update
    a single weight with `adam`, set the grad of run.leaves[i] and pass [run.leaves[i]] and the moments [m] and [v].

    Args:
        run: The instrumented model.
        call: One of run.functions, or a method of a class in run.functions.
        *args: The call's positional arguments.
        **options: The call's keyword arguments.

    Returns:
        The function's result, and its events as described by `describe_events`.

    Example:
        >>> from array import array
        >>> from microgpt import Config
        >>> from microgpt.engines.program import ScalarModel
        >>> config = Config(n_embd=1, n_head=1, block_size=1)
        >>> model = ScalarModel(array("d", [0.1] * 21), config, vocab_size=4)
        >>> with Instrumented(model) as run:
        ...     encode = run.functions["Tokenizer"]("abc").encode
        ...     token_ids, events = events_of(run, encode, "cab")
        >>> token_ids
        [3, 2, 0, 1, 3]
        >>> events[0]["function"], events[0]["known"]["document"]
        ('encode', {'value': 'cab'})
    """
    with watch(run) as steps:
        result = call(*args, **options)
    return result, list(describe_events(Graph(run), steps))


@contextmanager
def watch(run: Instrumented) -> Iterator[list[Event]]:
    """Collect the events of the instrumented functions.

    If a trace function was already set (by a debugger or a coverage tool), it is restored on exit.

    Yields:
        A list of the events in execution order; it grows while the functions run.
    """
    watcher = _Watcher(run.functions, run.model.program)
    before = sys.gettrace()
    sys.settrace(watcher.enter)
    try:
        yield watcher.events
    finally:
        sys.settrace(before)


class _Watcher:
    """The trace functions: Python calls `enter` for each function, and `step` for each line in instrumented ones."""

    def __init__(self, functions: dict[str, Any], program: Program) -> None:
        self.functions, self.table = functions, statements(program)
        self.events: list[Event] = []
        self.running: list[Event | None] = []  # the last event of each function on the call stack

    def enter(self, frame: FrameType, event: str, _: object) -> Any:
        if frame.f_globals is not self.functions or frame.f_code.co_name[0] == "<":  # <listcomp>, <genexpr>
            return None
        self.running.append(None)
        return self.step

    def step(self, frame: FrameType, event: str, result: object) -> Any:
        if event not in ("line", "return"):
            return self.step
        last = self.running[-1]
        line, variables = self.table[frame.f_lineno]
        if event == "line" and last is not None and last.line == line:
            return self.step
        known, here, code = last.known if last else {}, frame.f_locals, frame.f_code
        # the order of f_locals differs between Python versions: take the parameters first, then each new variable
        names = dict.fromkeys([*known, *code.co_varnames[: code.co_argcount], *sorted(here)])
        now = {name: _unless_same(freeze(here[name]), known.get(name)) for name in names}
        if last is not None:
            last.changed = {name: x for name, x in now.items() if name not in known or x is not known[name]}
        if event == "return":
            if last is not None and result is not None:
                last.changed["return"] = freeze(result)
            self.running.pop()
            return self.step
        caller = self.running[-2] if len(self.running) > 1 else None
        owner = caller.owner if caller else ""
        if "pos_id" in variables:
            owner = ".".join(f"{word}{now[name]}" for name, word in OWNERS.items() if name in variables)
        arrival = Event(line, code.co_name, len(self.running) - 1, owner, now)
        self.running[-1] = arrival
        self.events.append(arrival)
        return self.step


def freeze(value: object) -> Any:
    """Return a variable's current value. Lists are copied because the program may change them later."""
    if isinstance(value, Node):
        return Number(value, value.data, value.grad)
    if isinstance(value, (list, tuple)):
        return Described(f"{len(value)} elements") if len(value) > LONG else tuple(_freeze_in_list(x) for x in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value).__name__ == "Tokenizer":
        value = vars(value)
    if isinstance(value, dict):
        if len(value) > LONG or any(isinstance(x, list) and x and isinstance(x[0], list) for x in value.values()):
            return Described(", ".join(map(str, list(value)[:12])))  # the parameters
        return {name: freeze(x) for name, x in value.items()}
    if isinstance(value, set):
        return Described("{" + ", ".join(map(repr, sorted(value))) + "}")  # a set's order differs between processes
    if isinstance(value, slice):
        return Described(f"{value.start}:{value.stop}")
    if isinstance(value, random.Random):
        return Described("a random number generator")
    activation = next((name for name, f in ACTIVATIONS.items() if f is value), getattr(value, "__name__", None))
    return Described(activation or type(value).__name__)


def _unless_same(now: Any, before: Any) -> Any:
    """Return a variable's current value, or the earlier object if it is equal: identity then shows what changed."""
    return before if type(now) is type(before) and now == before else now


def _freeze_in_list(value: object) -> Any:
    """Freeze an item of a list. A Node stays a Node, because a vector is described by its elements' paths."""
    return value if isinstance(value, Node) else freeze(value)


def describe_events(graph: Graph, steps: Iterable[Event]) -> Iterator[Facts]:
    """Describe events as plain data.

    The keys of a described event are the fields of `Event`. Each variable in `known` and `changed` is described by a
    dict with one of these sets of keys:

        path, value, grad   a number
        path                numbers that are adjacent in a tensor, such as `pos3.layer0.q` or `pos3.layer0.q[4:8]`
        paths               other numbers
        value               a plain value, or a list of plain values
        list, table         a list or dict of variables
        text                anything else

    Args:
        graph: The graph of the execution, which names the numbers.
        steps: The events.

    Yields:
        The description of each event.
    """
    descriptions: dict[tuple[int, str], Facts] = {}  # a variable stays the same object as long as it does not change

    def described(variables: dict[str, Any], owner: str) -> dict[str, Facts]:
        for x in variables.values():
            if (id(x), owner) not in descriptions:
                descriptions[id(x), owner] = _variable(graph, x, owner)
        return {name: descriptions[id(x), owner] for name, x in variables.items()}

    for event in steps:
        known, changed = described(event.known, event.owner), described(event.changed, event.owner)
        yield {
            **{"line": event.line, "function": event.function, "depth": event.depth, "owner": event.owner},
            **{"known": known, "changed": changed},
        }


def _variable(graph: Graph, x: Any, near: str) -> Facts:
    if isinstance(x, Number):
        return {"path": graph.path(x.node, near), "value": x.data, "grad": x.grad}
    if isinstance(x, Described):
        return {"text": x.text}
    if isinstance(x, dict):
        return {"table": {name: _variable(graph, item, near) for name, item in x.items()}}
    if not isinstance(x, tuple):
        return {"value": x}
    if x and all(isinstance(node, Node) for node in x):
        name = graph.path_of_all(x, near)
        return {"path": name} if name else {"paths": [graph.path(node, near) for node in x]}
    if all(item is None or isinstance(item, (bool, int, float, str)) for item in x):
        return {"value": list(x)}
    return {"list": [_variable(graph, item, near) for item in x]}
