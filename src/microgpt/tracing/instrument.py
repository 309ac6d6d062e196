"""The reference, instrumented: every Value knows its op, its line and when it was created.

reference.py (or an edited program) is not touched, and nothing is computed a second time: its own code runs, in a copy
of its namespace. There its functions are the wrapped ones of `recorder`, and the Value that its methods make is a Node.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType, TracebackType
from typing import Any, cast

from microgpt.engines.program import ScalarModel
from microgpt.reference import Value
from microgpt.tracing.recorder import Recorder


class Node(Value):
    """A Value and how it came to be.

    index: its turn, from 0, among all numbers of the execution. op: the method that made it: add, mul, pow, exp, log or
    relu, or a new one of an edited program; "" for a leaf, which is a parameter or a constant. exponent: of pow. line:
    of the program; 0 for a leaf.
    """

    __slots__ = ("exponent", "index", "line", "op")
    nodes: list[Node]  # all of one execution, in the order in which they were made

    def __init__(self, data: float, a: Any = None, da: Any = None, b: Any = None, db: Any = None) -> None:
        Value.__init__(self, data, a, da, b, db)
        self.index, self.op, self.line, self.exponent = len(self.nodes), "", 0, None
        self.nodes.append(self)


def _noted(method: Callable[..., Node], op: str, functions: dict[str, Any]) -> Callable[..., Node]:
    """A method of Value that makes nodes, and tells each of them that it was this one, and who asked for it."""

    def run(self: Node, *args: Any) -> Node:
        node = method(self, *args)
        node.op = op
        if args and node.b is None:
            node.exponent = args[0]
        frame = sys._getframe(1)
        while frame.f_globals is not functions:  # another method (a - b is a + -b), a hook, or an activation of ours
            assert frame.f_back, "a number was made by nobody of the reference"
            frame = frame.f_back
        node.line = frame.f_lineno
        return node

    return run


class Instrumented:
    """A model whose program runs once over Nodes: a copy of its functions, and the numbers that they make.

    functions: by name; they call each other. state_dict: the parameters as the functions take them. nodes: every number
    made so far. tensors: the named ones, as `recorder` notes them. order: the nodes in the order in which backward()
    had them pass on their gradients; empty before.

    Use it in a `with`: on exit the functions are dropped, and with them the cycle that would keep the graph in memory.
    """

    def __init__(self, model: ScalarModel) -> None:
        self.model = model
        module = model.program.module
        self.nodes: list[Node] = []
        self.order: list[Node] = []
        self._methods = dict(vars(module))
        self._node: type[Node] = type("Value", (Node,), {"__slots__": (), "nodes": self.nodes})
        self.leaves = cast("list[Node]", model.leaves(self._node))
        self.state_dict = model.state_dict(self.leaves)
        recorder = Recorder(model, self.state_dict)
        self.record_loss = recorder.loss
        self.tensors = cast("dict[str, Sequence[Node]]", recorder.nodes)
        self.functions = recorder.functions()
        self.functions["Value"] = self._methods["Value"] = self._node
        for name, cls in vars(module).items():
            if isinstance(cls, type) and cls.__module__ == module.__name__ and name != "Value":
                self.functions[name] = self._copied(cls)
        self._methods["reversed"] = self._reversed
        for name, f in vars(module.Value).items():
            if isinstance(f, FunctionType) and name != "__init__":
                method = FunctionType(f.__code__, self._methods, name, f.__defaults__, f.__closure__)
                makes_nodes = "Value" in f.__code__.co_names
                setattr(self._node, name, _noted(method, name.strip("_"), self.functions) if makes_nodes else method)

    def _copied(self, cls: type) -> type:
        """A class of the program whose methods call these functions."""
        copy = {
            name: FunctionType(f.__code__, self.functions, name, f.__defaults__, f.__closure__)
            for name, f in vars(cls).items()
            if isinstance(f, FunctionType)
        }
        return type(cls.__name__, (cls,), copy)

    def _reversed(self, order: Sequence[Node]) -> Iterator[Node]:
        """What backward() means by reversed(): its last step goes over the graph in this order."""
        self.order = list(reversed(order))
        return iter(self.order)

    def __enter__(self) -> Instrumented:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.functions.clear()
        self._methods.clear()
        self._node.nodes = []
        del self.record_loss
