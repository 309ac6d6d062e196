"""Record a running program statement by statement, with its variables at each one.

An event is an arrival at a statement of one of the reference's functions. A comprehension belongs to its statement, as
a statement written over several lines is one; how often Python itself comes by on the way differs from version to
version, these events do not. The methods of Value are no events: they run tens of thousands of times for one document.
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

LONG = 1000  # a longer list is only told by its length, and not copied at every event
OWNERS = {"pos_id": "pos", "i": "layer", "h": "head"}  # the variables that say where in the computation a statement is


class Statement(NamedTuple):
    """first: its line. variables: the parameters of its function and the targets of the loops around it."""

    first: int
    variables: frozenset[str]


@dataclass
class Event:
    """An arrival at a statement.

    line: the statement's first. depth: how many of the reference's functions wait for this one. owner: where in the
    computation, as in a path: pos3.layer0.head2; empty outside of any. known: the function's variables on arrival.
    changed: those that differ after the statement; under `return` what it returns.
    """

    line: int
    function: str
    depth: int
    owner: str
    known: dict[str, Any]
    changed: dict[str, Any] = field(default_factory=dict)


class Number(NamedTuple):
    """A variable that is a Node, as it was at an event: an update changes its data and grad."""

    node: Node
    data: float
    grad: float


class Other(NamedTuple):
    """What is told in words only."""

    text: str


@cache
def statements(program: Program = REFERENCE) -> dict[int, Statement]:
    """The statement that each line of a function of the program belongs to: line -> Statement."""
    table: dict[int, Statement] = {}

    def visit(body: list[ast.stmt], variables: frozenset[str]) -> None:
        for node in body:
            inner = getattr(node, "body", None)  # of a compound statement: its head is an event of its own
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
    """Call an instrumented function: what it returns, and its steps, as `told` tells them.

        with Instrumented(ScalarModel(params, config, vocab_size)) as run:
            encode = run.functions["Tokenizer"]("abc").encode
            token_ids, events = events_of(run, encode, "cab")

    In the same way: `sample` over run.state_dict, whose tensors are named like those of a document; `adam` over
    [run.leaves[i]] with its grad set, and [m], [v], for the update of one parameter among all.
    """
    with watch(run) as steps:
        result = call(*args, **options)
    return result, list(told(Graph(run), steps))


@contextmanager
def watch(run: Instrumented) -> Iterator[list[Event]]:
    """Collect the events of the instrumented functions, in the order of their arrival.

    Whoever traced before (a debugger, a measurement of coverage) goes on afterwards.
    """
    watcher = _Watcher(run.functions, run.model.program)
    before = sys.gettrace()
    sys.settrace(watcher.enter)
    try:
        yield watcher.events
    finally:
        sys.settrace(before)


class _Watcher:
    """What Python calls when it enters a function, and in ours whenever it comes to a line."""

    def __init__(self, functions: dict[str, Any], program: Program) -> None:
        self.functions, self.table = functions, statements(program)
        self.events: list[Event] = []
        self.running: list[Event | None] = []  # the last event of each function that waits, and of the one that runs

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
        # Python's own order is not that of its other versions: parameters, then as they come
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
    """What a variable is at this moment: lists are copied, as the program may go on to change them."""
    if isinstance(value, Node):
        return Number(value, value.data, value.grad)
    if isinstance(value, (list, tuple)):
        return Other(f"{len(value)} numbers") if len(value) > LONG else tuple(_freeze_in_list(x) for x in value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value).__name__ == "Tokenizer":
        value = vars(value)
    if isinstance(value, dict):
        if len(value) > LONG or any(isinstance(x, list) and x and isinstance(x[0], list) for x in value.values()):
            return Other(", ".join(map(str, list(value)[:12])))  # the parameters
        return {name: freeze(x) for name, x in value.items()}
    if isinstance(value, set):
        return Other("{" + ", ".join(map(repr, sorted(value))) + "}")  # its own order is another in every process
    if isinstance(value, slice):
        return Other(f"{value.start}:{value.stop}")
    if isinstance(value, random.Random):
        return Other("a source of chance")
    activation = next((name for name, f in ACTIVATIONS.items() if f is value), getattr(value, "__name__", None))
    return Other(activation or type(value).__name__)


def _unless_same(now: Any, before: Any) -> Any:
    """What a variable is; the same object as long as it stays the same."""
    return before if type(now) is type(before) and now == before else now


def _freeze_in_list(value: object) -> Any:
    """A Node stays itself here: what is told of a vector is whose numbers they are."""
    return value if isinstance(value, Node) else freeze(value)


def told(graph: Graph, steps: Iterable[Event]) -> Iterator[Facts]:
    """Events as plain data.

        line, function   where; depth: how many of the reference's functions wait for this one
        owner            where in the computation, as in a path: pos3.layer0.head2; empty outside of any
        known            the function's variables on arrival, by name
        changed          those that the statement changed, with their new values; under `return` what it returns

    A variable is told by one of: {path, value, grad} for a number, {path} for numbers of one tensor side by side
    (`pos3.layer0.q`, or a part of it, `pos3.layer0.q[4:8]`), {paths} for other numbers, {value} for what is plain,
    {list} or {table} of variables, {text} for anything else.
    """
    descriptions: dict[tuple[int, str], Facts] = {}  # a variable stays the same object as long as it does not change

    def tell(variables: dict[str, Any], owner: str) -> dict[str, Facts]:
        for x in variables.values():
            if (id(x), owner) not in descriptions:
                descriptions[id(x), owner] = _variable(graph, x, owner)
        return {name: descriptions[id(x), owner] for name, x in variables.items()}

    for event in steps:
        known, changed = tell(event.known, event.owner), tell(event.changed, event.owner)
        yield {
            **{"line": event.line, "function": event.function, "depth": event.depth, "owner": event.owner},
            **{"known": known, "changed": changed},
        }


def _variable(graph: Graph, x: Any, near: str) -> Facts:
    if isinstance(x, Number):
        return {"path": graph.path(x.node, near), "value": x.data, "grad": x.grad}
    if isinstance(x, Other):
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
