"""One recorded execution of the reference: its named numbers, its graph and its steps.

    trace = microgpt.trace(tokens, params, config, vocab_size, events=True)
    trace.number("pos3.layer0.q[9]")             its value, gradient, operands and users
    trace.opened("pos3.layer0.q[9]")             the exact sum that it was computed from
    trace.contributions("layer0.attn_wq[9][5]")  the terms that add up to its gradient
    trace.neighbourhood("loss", depth_down=3)    the graph around it
    print(trace.dot("loss", depth=3))            the graph behind it, for Graphviz
    trace.events                                 reference.py's statements, in the order of execution

`steps.events_of` records the events of the reference's other functions (tokenizing, updating, sampling).

The results are plain data (dict, list, str, float, int, None) that can be sent as JSON. Paths name the numbers: `names`
lists the tensors, and `inner_names` lists the intermediate numbers behind a tensor's elements. Nothing is computed
twice: reference.py itself runs (see `instrument`), and a number's description is read from the graph on request.
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
from microgpt.tracing import dot as dot_language
from microgpt.tracing import inner_names
from microgpt.tracing import steps as program_steps
from microgpt.tracing.graph import Facts, Graph
from microgpt.tracing.instrument import Instrumented, Node
from microgpt.tracing.recorder import Tensor
from microgpt.tracing.steps import Event

ARITHMETIC: dict[str, Callable[..., float]] = {  # the arithmetic of Value's methods
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
    """Record the reference's loss() and backward() for one document.

    Args:
        tokens: The document's token ids, with BOS at both ends.
        params: The weights in one flat buffer, in the engines' layout. The buffer is not changed.
        config: The model's settings.
        vocab_size: The number of tokens in the vocabulary, including BOS.
        backward: Whether to run backward(). If false, every gradient is 0.0.
        events: Whether to also record the program's steps, in `Trace.events`.

    Raises:
        ValueError: The tokens are not a valid document for this vocabulary.
        FloatingPointError: A value is outside the range of float64.

    Example:
        >>> import random
        >>> from microgpt.config import Config, init
        >>> config = Config(n_embd=4, n_head=2, block_size=4)
        >>> recorded = trace([2, 0, 1, 2], init(config, 3, random.Random(42)), config, vocab_size=3)
        >>> recorded.tensor("pos1.probs").shape
        (3,)
        >>> loss = recorded.number("loss")
        >>> round(loss["value"], 3), loss["grad"]
        (1.028, 1.0)
        >>> recorded.number("pos2.loss")["users"][0]["path"]
        'loss.total'
    """
    return trace_model(tokens, ScalarModel(params, config, vocab_size), backward=backward, events=events)


def trace_model(tokens: Tokens, model: ScalarModel, *, backward: bool = True, events: bool = False) -> Trace:
    """Record an execution as `trace` does, but for a model of any program: the reference or an edited program.

    Args:
        tokens: The document's token ids, with BOS at both ends.
        model: The model. It is not changed.
        backward: Whether to run backward(). If false, every gradient is 0.0.
        events: Whether to also record the program's steps, in `Trace.events`.

    Raises:
        ValueError: The tokens are not a valid document for the model's vocabulary.
        FloatingPointError: A value is outside the range of float64.
    """
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
    """A recorded execution, as returned by `trace`.

    Every method that takes a path raises ValueError if no number in this execution has that path.

    Attributes:
        graph: Every number in the execution, with its paths.
        program: The program that ran.
    """

    def __init__(self, run: Instrumented, steps: Sequence[Event] = ()) -> None:
        self.graph = Graph(run)
        self.program = run.model.program
        self._order, self._steps = run.order, steps

    # --- Numbers and their names

    def tensor(self, name: str) -> Tensor:
        """Return a tensor's values.

        Raises:
            ValueError: There is no tensor with this name.
        """
        return self._tensor(name, lambda node: node.data)

    def grad(self, name: str) -> Tensor:
        """Return a tensor's gradients, d loss / d element; all are 0.0 before the backward pass.

        Raises:
            ValueError: There is no tensor with this name.
        """
        return self._tensor(name, lambda node: node.grad)

    def _tensor(self, name: str, number: Callable[[Node], float]) -> Tensor:
        if name not in self.graph.tensors:
            raise ValueError(f"name must be a tensor name such as pos0.probs, got name={name!r}")
        return Tensor(self.graph.shapes[name], array("d", map(number, self.graph.tensors[name])))

    def node(self, path: str) -> Node:
        """Return the Node of the number that a path names."""
        return self.graph.node(path)

    def path(self, node: Node) -> str:
        """Return a node's usual path: `node(path(n)) is n` for every node n in the graph."""
        return self.graph.path(node)

    def number(self, path: str) -> Facts:
        """Return a description of a number.

        Returns:
            A dict with these keys:

                path, names   its usual path; all of its paths
                value, grad   grad is d loss / d number, or 0.0 before the backward pass
                op            add, mul, pow (with `exponent`), exp, log, relu; parameter or constant for a leaf
                line          the line of the program that created it; None for a weight
                operands      [{path, value, local_gradient}] of its operands; the gradient is d number / d operand
                users         [{path, value, local_gradient}] of the numbers computed from it; d user / d this number
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
        """Return the first line of the statement that created a node; for a constant, the line of its only user."""
        if node.op:
            return program_steps.statements(self.program)[node.line].first
        return None if self.graph.places(node) else self._line(self.graph.users[node.index][0])

    # --- The graph around a number

    def neighbourhood(self, path: str, *, depth_up: int = 1, depth_down: int = 1, limit: int = 60) -> Facts:
        """Return a number's neighborhood in the graph.

        Args:
            path: The path of the central number.
            depth_up: The number of steps to follow upward, from numbers to their users (toward the loss).
            depth_down: The number of steps to follow downward, from numbers to their operands.
            limit: The maximum number of nodes to return.

        Returns:
            A dict with these keys:

                nodes      [{path, value, grad, op, distance}], nearest first; distance is negative for downward steps
                edges      [{from, to, local_gradient}] between these nodes: the operand's path, the result's path,
                           and d to / d from
                complete   whether all nodes within these depths fit within `limit`
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

    def dot(
        self,
        path: str = "loss",
        *,
        depth: int = dot_language.DEPTH,
        rankdir: str = dot_language.RANKDIRS[0],
        title: str = "",
    ) -> dot_language.Dot:
        """Return the graph behind a number in DOT, Graphviz's language; str() of the result is the text.

        Args:
            path: The path of the number.
            depth: The number of operations to follow from the number to its operands, at least 1.
            rankdir: The direction of the edges, from operands to results: LR (left to right), TB, RL or BT.
            title: The first line above the graph, such as the text that was traced.

        Raises:
            ValueError: depth is less than 1, or rankdir is none of these.
        """
        dot_language.check(depth, rankdir)
        behind = self.graph.behind(self.node(path))
        paths = {node: self.path(node) for node, distance in behind.items() if distance <= depth}
        nodes = [
            {"path": name, **self._facts(node), "named": bool(self.graph.places(node))} for node, name in paths.items()
        ]
        edges = [
            {"from": paths.get(operand), "to": name, "local_gradient": slope}
            for node, name in paths.items()
            for operand, slope in _operands(node)
        ]
        return dot_language.render(path, nodes, edges, [*behind.values()], rankdir, title)

    # --- The sum behind a number

    def opened(self, path: str) -> Facts:
        """Return the exact sum that a number was computed from, with the terms in the program's order.

        Returns:
            A dict with these keys:

                path, value, op, exponent, line   as in `number`
                source      the text of the line
                terms       the terms of the sum: [{path, value, factors, total}]; empty without a sum. factors: the
                            term's two factors, [{path, value}]; empty if the term is computed elsewhere (an exp, a
                            loss). total: the running total after the term.
                steps       the other operations: [{path, value, op, exponent, operands: [{path, value}]}]; the last
                            operation produces the number. Empty if the last total is the number itself.
                recomputed  the same value, recomputed from the factors, operands and constants alone

            A weight or constant has neither terms nor steps, because it was not computed.
        """
        node = self.node(path)
        totals = self._sum_behind(node)
        terms = inner_names.terms(totals) if totals else []
        # a term that has a place in a tensor was computed elsewhere; the other terms are products, computed here
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
        """Return the function that performs an operation on floats.

        Args:
            op: One of the reference's operations, or a method that an edited program adds to Value.
        """
        if op in ARITHMETIC:
            return ARITHMETIC[op]
        value = self.program.module.Value
        return lambda *numbers: float(getattr(value, op)(*map(value, numbers)).data)

    def _sum_behind(self, node: Node) -> list[Node]:
        """Return the running totals of the sum behind a number; an empty list if there is no sum."""
        if places := self.graph.places(node):
            name, position = places[0]
            return inner_names.sum_of(inner_names.kind(name), self.graph.tensors[name], position)
        role = self.path(node).rpartition(".")[2]
        return inner_names.running_totals(node) if role == "total" or role.startswith("sum") else []

    def _made_for(self, node: Node, added: set[Node]) -> list[Node]:
        """Return a number and the intermediate values it was computed from, in order, except those in `added`."""
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
        """Return the order in which the nodes passed their gradients back, as indices into `graph.nodes`."""
        return [node.index for node in self._order]

    @cached_property
    def _turn(self) -> dict[Node, int]:
        return {node: turn for turn, node in enumerate(self._order)}

    def contributions(self, path: str) -> list[Facts]:
        """Return the contributions to a number's gradient, in the order in which the program adds them.

        Adding the contributions to 0.0 in this order reproduces the gradient bit for bit.

        Returns:
            A list of dicts with these keys:

                path, grad           the number that passed its gradient back, and that gradient
                local_gradient       d (that number) / d (this number)
                before, add, after   the gradient before the addition, the amount added (local_gradient * grad), and the
                                     gradient after it

            The list is empty for the loss (backward starts by setting its gradient to 1.0), for a number that the loss
            does not depend on, and before the backward pass.
        """
        return [self._contribution(*given, near=path) for given in self._contributions(self.node(path))]

    def passed_on(self, path: str) -> list[Facts]:
        """Return a number's contributions to its operands' gradients.

        Returns:
            A list of dicts with the same keys as in `contributions`, except that path is the operand's path and grad is
            this number's gradient.
        """
        node = self.node(path)
        return [
            {**self._contribution(*given, near=path), **self._brief(x, path), "grad": node.grad}
            for x in dict.fromkeys(x for x, _ in _operands(node))
            for given in self._contributions(x)
            if given[0] is node
        ]

    def _contributions(self, node: Node) -> Iterator[tuple[Node, float, float, float]]:
        """Yield (user, local gradient, before, add) for each += to a node's gradient."""
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
        """The program's events, as `steps.describe_events` yields them; empty unless they were recorded."""
        return list(program_steps.describe_events(self.graph, self._steps))


def _operands(node: Node) -> Iterator[tuple[Node, float]]:
    """Yield each operand of a node, and d node / d operand."""
    if node.a is not None:
        yield node.a, node.da
        if node.b is not None:
            yield node.b, node.db
