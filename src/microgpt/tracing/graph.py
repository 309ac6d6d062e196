"""Find the number that a path names, and the paths of a number.

A path such as `pos3.layer0.q[9].term4` names one node of the graph, and every node has a path.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any

from microgpt.tracing import inner_names
from microgpt.tracing import names as tensor_names
from microgpt.tracing.instrument import Instrumented, Node
from microgpt.tracing.names import Shape

_POSITION = re.compile(r"pos(\d{1,18})\.", re.ASCII)
Facts = dict[str, Any]  # the description of a number or an event, as plain data


class Graph:
    """Every number in an execution and its paths.

    A tensor's intermediate values are not named until one of their names is needed.

    Attributes:
        nodes: All numbers, in the order in which the program created them.
        tensors: Each tensor's nodes, row by row, by tensor name.
        shapes: Each tensor's shape, by tensor name.
        positions: The number of positions that the program predicted from.
    """

    def __init__(self, run: Instrumented) -> None:
        model = run.model
        self.nodes: Sequence[Node] = run.nodes
        self.tensors: dict[str, Sequence[Node]] = {name: run.leaves[part] for name, part in model.offsets.items()}
        self.shapes: dict[str, Shape] = {**model.shapes}
        self.positions = sum(name.endswith(".tok_emb") for name in run.tensors)
        if self.positions:
            table = tensor_names.intermediates(model.config, model.vocab_size, self.positions)
            self.shapes |= {name: shape for name, shape in table.items() if name in run.tensors}
            self.tensors |= {name: run.tensors[name] for name in table if name in run.tensors}
        self._inside: dict[str, dict[str, Node]] = {}
        self._paths_inside: dict[str, dict[Node, str]] = {}

    @cached_property
    def users(self) -> list[list[Node]]:
        """For each node in `nodes`, the nodes computed from it, in order of creation."""
        users: list[list[Node]] = [[] for _ in self.nodes]
        for node in self.nodes:
            if node.a is not None:
                users[node.a.index].append(node)
                if node.b is not None and node.b is not node.a:
                    users[node.b.index].append(node)
        return users

    @cached_property
    def _places(self) -> dict[Node, list[tuple[str, int]]]:
        """The places, (name, position), of each node that is in a tensor. The first place determines the path."""
        places: dict[Node, list[tuple[str, int]]] = {}
        for name, nodes in self.tensors.items():
            for position, node in enumerate(nodes):
                places.setdefault(node, []).append((name, position))
        return places

    def places(self, node: Node) -> list[tuple[str, int]]:
        """Return the (tensor name, flat position) of each place where a node occurs; none for an intermediate value."""
        return self._places.get(node, [])

    def names(self, node: Node) -> list[str]:
        """Return all paths of a node; the first one is its usual path, `path(node)`.

        A number in a tensor has several paths if the reference passes it on unchanged: a row of a parameter is an
        embedding, one layer's resid_post is the next layer's resid_pre, and x_attn holds all heads' outputs side by
        side. An intermediate value has one path.
        """
        return [self._path_of(place) for place in self.places(node)] or [self._inner_path(node)]

    def path(self, node: Node, near: str = "") -> str:
        """Return the path of a node.

        Args:
            node: A node of this graph.
            near: If the node has several paths, choose the one that shares the longest prefix with this path.
        """
        places = self.places(node)
        if not places:
            return self._inner_path(node)
        if near and len(places) > 1:
            return self._path_of(max(places, key=lambda place: _alike(place[0], near)))
        return self._path_of(places[0])

    def path_of_all(self, nodes: Sequence[Node], near: str = "") -> str | None:
        """Return one path, such as `q`, `wte[4]` or `q[4:8]`, for several nodes that are adjacent in a tensor.

        Args:
            nodes: The nodes, in order.
            near: If there are several such paths, choose the one that shares the longest prefix with this path.

        Returns:
            The path; None unless the nodes are an entire tensor, a row of a matrix or a slice of a vector.
        """
        paths = []
        for name, start in self.places(nodes[0]):
            stop, shape = start + len(nodes), self.shapes[name]
            if tuple(self.tensors[name][start:stop]) != tuple(nodes):
                continue
            if len(nodes) == len(self.tensors[name]):
                paths.append(name)
            elif len(shape) == 1 and len(nodes) > 1:
                paths.append(f"{name}[{start}:{stop}]")
            elif len(shape) == 2 and start % shape[1] == 0 and len(nodes) == shape[1]:
                paths.append(tensor_names.indexed(name, [start // shape[1]]))
        return max(paths, key=lambda path: _alike(path, near), default=None)

    def node(self, path: str) -> Node:
        """Return the number that a path names.

        Raises:
            ValueError: No number in this execution has this path. The message lists the names that do exist.
        """
        if path.startswith("node") and path[4:].isdecimal() and int(path[4:]) < len(self.nodes):
            return self.nodes[int(path[4:])]
        if self.positions and (found := _POSITION.match(path)) and int(found[1]) >= self.positions:
            raise ValueError(
                f"path must have a position between 0 and {self.positions - 1} for this text, got path={path!r:.60}"
            )
        owner, _, role = path.rpartition(".")  # pos3.layer0.q[9].term4, pos3.probs.total
        in_a_number = "]." in path or tensor_names.tensor_of(path) not in self.shapes
        if not in_a_number or tensor_names.tensor_of(owner) not in self.shapes:
            owner, role = path, ""
        name, index = tensor_names.look_up(owner, self.shapes)
        shape = self.shapes[name]
        if not role:
            if len(index) < len(shape):
                raise ValueError(f"path must name one number: {name} has shape {shape}, got path={path!r}")
            return self.tensors[name][tensor_names.flat_position(index, shape)]
        rest = ""
        if len(index) == len(shape):  # intermediate values are named after their owner's first place
            name, position = self.places(self.tensors[name][tensor_names.flat_position(index, shape)])[0]
            rest = tensor_names.element_path("", self.shapes[name], position)
        inside = self._look_inside(name)
        if f"{rest}.{role}" not in inside:
            roles = [key.rpartition(".")[2] for key in inside if key.rpartition(".")[0] == rest]
            more = f" and {len(roles) - 12} more" if len(roles) > 12 else ""
            known = f"{', '.join(roles[:12])}{more}" or "no intermediate values"
            raise ValueError(f"unknown intermediate value {role!r}: {owner} has {known}, got path={path!r}")
        return inside[f"{rest}.{role}"]

    def behind(self, node: Node) -> dict[Node, int]:
        """Return the nodes that a node was computed from, itself included, nearest first.

        Returns:
            For each node, the least number of operations that lead from it to the given node.
        """
        distance = {node: 0}
        waiting = deque([node])
        while waiting:
            made = waiting.popleft()
            for operand in (made.a, made.b):
                if operand is not None and operand not in distance:
                    distance[operand] = distance[made] + 1
                    waiting.append(operand)
        return distance

    def owner(self, node: Node) -> tuple[str, int] | None:
        """Return the place of the tensor element that an intermediate value belongs to, or None."""
        while node not in self._places:
            users = self.users[node.index]
            if not users:
                return None
            node = users[0]
        return self._places[node][0]

    def _inner_path(self, node: Node) -> str:
        place = self.owner(node)
        if place is None:
            return f"node{node.index}"
        name = place[0]
        self._look_inside(name)
        return self._paths_inside[name].get(node, f"node{node.index}")

    def _look_inside(self, name: str) -> dict[str, Node]:
        if name not in self._inside:
            self._inside[name], self._paths_inside[name] = {}, {}
            for rest, node in inner_names.inside(name, self.tensors[name], not self.shapes[name]):
                self._inside[name][rest] = node
                self._paths_inside[name].setdefault(node, name + rest)
        return self._inside[name]

    def _path_of(self, place: tuple[str, int]) -> str:
        name, position = place
        return tensor_names.element_path(name, self.shapes[name], position)


def _alike(path: str, other: str) -> int:
    """Return the length of the longest common prefix of two paths."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, other)))
