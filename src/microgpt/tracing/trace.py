"""One recorded execution of the reference: its named numbers, its graph and its steps.

    trace = microgpt.trace(tokens, params, config, vocab_size, events=True)
    trace.number("pos3.layer0.q[9]")             its value, its gradient, what it is made from and what is made from it
    trace.opened("pos3.layer0.q[9]")             the exact sum that made it
    trace.contributions("layer0.attn_wq[9][5]")  what was added up to its gradient
    trace.neighbourhood("loss", depth_down=3)    the graph around it
    trace.events                                 the statements of reference.py in the order of their execution

`steps.events_of` records the same steps of any other function of the reference (tokenizing, an update, a sample).

What these give is plain data (dict, list, str, float, int, None), ready to be sent as JSON. Numbers are named by paths:
`names` says which tensors there are, `inner_names` what is inside their numbers. Nothing is computed a second time:
reference.py itself ran (see `instrument`), and what is told of a number is read off its own graph, when asked for.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from microgpt.config import Config
from microgpt.engines.base import Tokens, check_batch
from microgpt.engines.program import ScalarModel
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.tracing import inner_names
from microgpt.tracing import steps as program_steps
from microgpt.tracing.graph import Facts, Graph
from microgpt.tracing.instrument import Instrumented, Node
from microgpt.tracing.recorder import Tensor
from microgpt.tracing.steps import Event

ARITHMETIC: dict[str, Callable[..., float]] = {  # what the methods of Value do with numbers
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "pow": lambda a, n: a**n,
    "exp": math.exp,
    "log": math.log,
    "relu": lambda a: max(0.0, a),
}


def trace(
    tokens: Tokens,
    params: array[float],
    config: Config,
    vocab_size: int,
    *,
    backward: bool = True,
    events: bool = False,
) -> Trace:
    """The reference's loss() of one document, and with `backward` its backward(), recorded.

    tokens: the document's token ids, BOS at both ends included. params: flat, as an engine takes them; left alone.
    events: record the program's steps too.
    Raises ValueError for tokens that are no document of this vocabulary, FloatingPointError where a
    number leaves the range of float64.
    """
    return trace_model(tokens, ScalarModel(params, config, vocab_size), backward=backward, events=events)


def trace_model(tokens: Tokens, model: ScalarModel, *, backward: bool = True, events: bool = False) -> Trace:
    """`trace` for a model of any program, the reference or an edited one."""
    check_batch([tokens], model.vocab_size)
    steps: list[Event] = []
    with Instrumented(model) as run, scalar_arithmetic():
        run_loss = run.functions["loss"]
        if events:
            with program_steps.watch(run) as steps:
                loss = run.record_loss(run_loss, tokens)
        else:
            loss = run.record_loss(run_loss, tokens)
        if backward:
            loss.backward()
        return Trace(run, steps)


class Trace:
    """See `trace`. Whatever takes a path raises ValueError for one that names no number of this execution."""

    def __init__(self, run: Instrumented, steps: Sequence[Event] = ()) -> None:
        self.graph = Graph(run)
        self.program = run.model.program
        self._order, self._steps = run.order, steps

    # --- Numbers and their names

    def tensor(self, name: str) -> Tensor:
        """The values of a whole tensor."""
        return self._tensor(name, lambda node: node.data)

    def grad(self, name: str) -> Tensor:
        """The gradients of a whole tensor: d loss / d each of its numbers; zeros before backward."""
        return self._tensor(name, lambda node: node.grad)

    def _tensor(self, name: str, number: Callable[[Node], float]) -> Tensor:
        if name not in self.graph.tensors:
            raise ValueError(f"name must be that of a whole tensor, such as pos0.probs, got name={name!r}")
        return Tensor(self.graph.shapes[name], array("d", map(number, self.graph.tensors[name])))

    def node(self, path: str) -> Node:
        """The number itself: a Value of the reference."""
        return self.graph.node(path)

    def path(self, node: Node) -> str:
        """The path that a node goes by: `node(path(n)) is n` for every one of `graph.nodes`."""
        return self.graph.path(node)

    def number(self, path: str) -> Facts:
        """What there is to know of a number.

        path, names      the path it goes by; all of its paths
        value, grad      grad is d loss / d number, 0.0 before backward
        op               add, mul, pow (with `exponent`), exp, log, relu; parameter or constant, for a leaf
        line             of reference.py, where it was made; None for a parameter
        operands         [{path, value, local_gradient}]: what it was made from, and d number / d that
        users            [{path, value, local_gradient}]: what was made from it, and d that / d number
        """
        node = self.node(path)
        names = self.graph.names(node)
        return {
            "path": names[0],
            "names": names,
            **self._facts(node),
            "line": self._line(node),
            "operands": [{**self._brief(x, path), "local_gradient": slope} for x, slope in _operands(node)],
            "users": [
                {**self._brief(user, path), "local_gradient": slope}
                for user in self.graph.users[node.index]
                for x, slope in _operands(user)
                if x is node
            ],
        }

    def _facts(self, node: Node) -> Facts:
        return {"value": node.data, "grad": node.grad, **self._operation(node)}

    def _operation(self, node: Node) -> Facts:
        op = node.op or ("parameter" if self.graph.places(node) else "constant")
        return {"op": op} if node.exponent is None else {"op": op, "exponent": node.exponent}

    def _brief(self, node: Node, near: str = "") -> Facts:
        return {"path": self.graph.path(node, near), "value": node.data}

    def _line(self, node: Node) -> int | None:
        """The first line of the statement that made a node; a constant was made for its only user."""
        if node.op:
            return program_steps.statements(self.program)[node.line].first
        return None if self.graph.places(node) else self._line(self.graph.users[node.index][0])

    # --- The graph around a number

    def neighbourhood(self, path: str, *, depth_up: int = 1, depth_down: int = 1, limit: int = 60) -> Facts:
        """The graph near a number: up to those made from it, on the way to the loss; down to what it was made from.

        nodes     [{path, value, grad, op, distance}], the nearest first; distance is negative on the way down
        edges     [{from, to, local_gradient}] between these nodes: paths of operand and result, d to / d from
        complete  whether `limit` nodes were enough
        """
        start = self.node(path)
        distance = {start: 0}
        complete = True
        waiting = deque([start])
        while waiting:
            node = waiting.popleft()
            d = distance[node]
            around: list[tuple[Node, int]] = []
            if 0 <= d < depth_up:
                around += [(user, d + 1) for user in self.graph.users[node.index]]
            if -depth_down < d <= 0:
                around += [(x, d - 1) for x, _ in _operands(node)]
            for other, there in around:
                if other in distance:
                    continue
                if len(distance) >= limit:
                    complete = False
                    break
                distance[other] = there
                waiting.append(other)
        paths = {node: self.path(node) for node in distance}
        return {
            "nodes": [{"path": paths[node], **self._facts(node), "distance": d} for node, d in distance.items()],
            "edges": [
                {"from": paths[x], "to": paths[node], "local_gradient": slope}
                for node in distance
                for x, slope in _operands(node)
                if x in distance
            ],
            "complete": complete,
        }

    # --- The sum that made a number

    def opened(self, path: str) -> Facts:
        """The exact sum that made a number, in the program's order.

            path, value, op, exponent, line, source   as `number` gives them; source is the text of the line
            terms       what was added up for it: [{path, value, factors, total}]. factors: [{path, value}], the two
                        that were multiplied for the term, none where it is a number of its own (an exp, a loss);
                        total: the running total after it. Empty where there is no sum over many
            steps       what was done besides, and after: [{path, value, op, exponent, operands: [{path, value}]}],
                        up to the number itself; empty where the last total is the number
            recomputed  the number, made again from factors, operands and constants alone: equal to the last bit

        A parameter or constant has neither terms nor steps: nothing made it.
        """
        node = self.node(path)
        totals = self._sum_behind(node)
        terms = inner_names.terms(totals) if totals else []
        # a term that is a number of its own is made elsewhere; the others are products, made here
        products = {term for term in terms if term.op == "mul" and (term is node or not self.graph.places(term))}
        steps = self._made_for(node, {*products, *totals[1:]}) if node.op else []
        value: dict[Node, float] = {}
        for made in sorted({*products, *totals[1:], *steps}, key=lambda made: made.index):
            operands = [value.get(x, x.data) for x, _ in _operands(made)]
            value[made] = self.arithmetic(made.op)(*operands, *([] if made.exponent is None else [made.exponent]))
        line = self._line(node)
        return {
            **self._brief(node),
            **self._operation(node),
            "line": line,
            "source": self._lines[line - 1].strip() if line else None,
            "terms": [
                {
                    **self._brief(term, path),
                    "factors": [self._brief(x, path) for x, _ in _operands(term)] if term in products else [],
                    "total": total.data,
                }
                for term, total in zip(terms, totals)
            ],
            "steps": [self._step(made, path) for made in steps],
            "recomputed": value.get(node, node.data),
        }

    @cached_property
    def _lines(self) -> list[str]:
        return self.program.text.splitlines()

    def arithmetic(self, op: str) -> Callable[..., float]:
        """What an operation does with numbers; an edited program may have more of them."""
        if op in ARITHMETIC:
            return ARITHMETIC[op]
        value = self.program.module.Value
        return lambda *numbers: float(getattr(value, op)(*map(value, numbers)).data)

    def _sum_behind(self, node: Node) -> list[Node]:
        """The running totals of the sum that a number is, or is made from; empty where there is none."""
        if places := self.graph.places(node):
            name, position = places[0]
            return inner_names.sum_of(inner_names.kind(name), self.graph.tensors[name], position)
        role = self.path(node).rpartition(".")[2]
        return inner_names.running_totals(node) if role == "total" or role.startswith("sum") else []

    def _made_for(self, node: Node, added: set[Node]) -> list[Node]:
        """The inner numbers made on the way to a number, in order, and itself; without those that were added up."""
        found: set[Node] = set()
        waiting = [node]
        while waiting:
            made = waiting.pop()
            if made not in added and made not in found:
                found.add(made)
                waiting += [x for x, _ in _operands(made) if x.op and not self.graph.places(x)]
        return sorted(found, key=lambda made: made.index)

    def _step(self, node: Node, near: str) -> Facts:
        operands = [self._brief(x, near) for x, _ in _operands(node)]
        return {**self._brief(node, near), **self._operation(node), "operands": operands}

    # --- Backward, node by node

    def backward_order(self) -> list[int]:
        """The nodes, as indices into `graph.nodes`, in the order in which they passed on their gradients."""
        return [node.index for node in self._order]

    @cached_property
    def _turn(self) -> dict[Node, int]:
        return {node: turn for turn, node in enumerate(self._order)}

    def contributions(self, path: str) -> list[Facts]:
        """The += that made a number's gradient, in the program's order; from 0.0 they add up to it to the last bit.

            path, grad       the number that passed its gradient on, and that gradient
            local_gradient   d that / d this number
            before, add, after   add is local_gradient * grad

        Empty for the loss, where backward starts (its gradient is set to 1.0), for what the loss does not depend on,
        and before backward.
        """
        return [self._contribution(*given, near=path) for given in self._contributions(self.node(path))]

    def passed_on(self, path: str) -> list[Facts]:
        """What a number added to the gradients of its operands when its turn came.

        As `contributions`, but path is the operand's, and grad the number's own.
        """
        node = self.node(path)
        return [
            {**self._contribution(*given, near=path), **self._brief(x, path), "grad": node.grad}
            for x in dict.fromkeys(x for x, _ in _operands(node))
            for given in self._contributions(x)
            if given[0] is node
        ]

    def _contributions(self, node: Node) -> Iterator[tuple[Node, float, float, float]]:
        """(user, local gradient, before, add) of each += to a node's gradient."""
        grad = 0.0
        users = [user for user in self.graph.users[node.index] if user in self._turn]
        for user in sorted(users, key=self._turn.__getitem__):
            for x, slope in _operands(user):
                if x is node:
                    yield user, slope, grad, slope * user.grad
                    grad += slope * user.grad

    def _contribution(self, user: Node, slope: float, before: float, add: float, near: str) -> Facts:
        return {
            "path": self.graph.path(user, near),
            "grad": user.grad,
            "local_gradient": slope,
            "before": before,
            "add": add,
            "after": before + add,
        }

    # --- The program's steps

    @cached_property
    def events(self) -> list[Facts]:
        """The program's steps, as `steps.told` tells them; none unless they were asked for."""
        return list(program_steps.told(self.graph, self._steps))


def _operands(node: Node) -> Iterator[tuple[Node, float]]:
    """What a node was made from, and d node / d that."""
    if node.a is not None:
        yield node.a, node.da
        if node.b is not None:
            yield node.b, node.db
