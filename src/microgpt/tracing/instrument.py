"""The reference, instrumented: every Value knows its op, its line and when it was created.

reference.py (or an edited program) is not modified, and nothing is computed twice: the program's own code runs, in a
copy of its namespace. In this copy, `recorder` wraps the functions, and every Value that they create is a Node.
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
    """A Value that knows how it was created.

    Attributes:
        index: The node's position in the execution's order of creation, counting from 0.
        op: The method that created the node: add, mul, pow, exp, log, relu, or a new method in an edited program. The
            op of a leaf (a parameter or a constant) is "".
        exponent: The exponent of a pow; None for any other op.
        line: The line of the program that created the node; 0 for a leaf.
    """

    __slots__ = ("exponent", "index", "line", "op")
    nodes: list[Node]  # all nodes of one execution, in order of creation

    def __init__(self, data: float, a: Any = None, da: Any = None, b: Any = None, db: Any = None) -> None:
        Value.__init__(self, data, a, da, b, db)
        self.index, self.op, self.line, self.exponent = len(self.nodes), "", 0, None
        self.nodes.append(self)

    def __repr__(self) -> str:
        return f"Value(data={self.data!r}, grad={self.grad!r})"


def _recording(method: Callable[..., Node], op: str, functions: dict[str, Any]) -> Callable[..., Node]:
    """Wrap a method of Value so that each node it creates records the method and the line that called it."""

    def run(self: Node, *args: Any) -> Node:
        node = method(self, *args)
        node.op = op
        if args and node.b is None:
            node.exponent = args[0]
        frame = sys._getframe(1)
        while frame.f_globals is not functions:  # skip other methods (a - b is a + -b), hooks and activations
            assert frame.f_back, "a Value was created outside the program's functions"
            frame = frame.f_back
        node.line = frame.f_lineno
        return node

    return run


class Instrumented:
    """A model whose program runs once on Nodes: copies of its functions and the numbers that they create.

    Use this class in a `with` statement: on exit, it drops the functions, and with them the reference cycle that would
    keep the graph in memory.

    Attributes:
        model: The model.
        functions: Copies of the program's functions and classes, by name; the copies call each other.
        leaves: The weights, as one flat list of nodes.
        state_dict: The same nodes as matrices, in the form that the functions expect.
        nodes: Every number created so far.
        tensors: The nodes of each named tensor, found by `recorder`.
        record_loss: `Recorder.loss`, which completes `tensors`.
        order: The nodes in the order in which backward() passed their gradients back; empty before backward().
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
                op = name.strip("_")
                setattr(self._node, name, _recording(method, op, self.functions) if makes_nodes else method)

    def _copied(self, cls: type) -> type:
        """Return a copy of one of the program's classes; its methods call the instrumented functions."""
        copy = {
            name: FunctionType(f.__code__, self.functions, name, f.__defaults__, f.__closure__)
            for name, f in vars(cls).items()
            if isinstance(f, FunctionType)
        }
        return type(cls.__name__, (cls,), copy)

    def _reversed(self, order: Sequence[Node]) -> Iterator[Node]:
        """Replace reversed() in backward(), whose last loop visits the graph in this order."""
        self.order = list(reversed(order))
        return iter(self.order)

    def __enter__(self) -> Instrumented:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.functions.clear()
        self._methods.clear()
        self._node.nodes = []
        del self.record_loss
