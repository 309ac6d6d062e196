r"""Write a graph in DOT, Graphviz's language: `dot -Tsvg loss.dot -o loss.svg` renders it.

An edge leads from an operand to the number computed from it. Labels have four significant digits; the attributes `data`
and `grad` of a node, and `local_gradient` of an edge, have every digit, so that programs can read the numbers back. A
node's identifier is its path. In an SVG picture, the path and every digit also appear where a reader points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from microgpt.system.text import visible

DEPTH = 5  # the default number of operations: at most 63 numbers, which a reader can still take in
RANKDIRS = ("LR", "TB", "RL", "BT")
LONGEST = 80  # characters of the title

_BOX = {True: "box", False: "ellipse"}  # by whether the number has a name
_STYLES = """\
  graph [labelloc="t", fontname="Helvetica"]
  node [fontname="Helvetica", fontsize="10"]
  edge [fontname="Helvetica", fontsize="9"]"""


class Dot(NamedTuple):
    """A graph in DOT; str() returns its text.

    Attributes:
        text: The text, which ends with a newline.
        nodes: How many numbers it shows.
        all_nodes: How many numbers there are behind the number that it is about, itself included.
        all_depth: The least depth that shows all of them.
    """

    text: str
    nodes: int
    all_nodes: int
    all_depth: int

    def __str__(self) -> str:
        return self.text


def check(depth: int, rankdir: str) -> None:
    """Check the options of a graph.

    Raises:
        ValueError: The depth is less than 1, or the direction is not one of RANKDIRS.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got depth={depth}")
    if rankdir not in RANKDIRS:
        raise ValueError(f"rankdir must be one of {', '.join(RANKDIRS)}, got rankdir={rankdir!r}")


def render(
    path: str,
    nodes: Sequence[dict[str, Any]],
    edges: Sequence[dict[str, Any]],
    distances: Sequence[int],
    rankdir: str,
    title: str,
) -> Dot:
    """Return the graph behind a number.

    Args:
        path: The number's path.
        nodes: The numbers to show, as in `Trace.neighbourhood`, this one first; and for each, whether it is `named`,
            and how many `operands` it has.
        edges: The edges between them, as in `Trace.neighbourhood`.
        distances: The distance of every number behind this one, whether shown or not.
        rankdir: The direction of the edges, one of RANKDIRS.
        title: The first line above the graph; empty for none.
    """
    missing = {node["path"]: node["operands"] for node in nodes}
    for edge in edges:
        missing[edge["to"]] -= 1
    about = [path, f"{len(nodes):,} of {len(distances):,} numbers" if any(missing.values()) else f"{len(nodes):,} numbers"]
    if any(missing.values()):
        about.append("dashed: the operands are left out")
    lines = [
        f"digraph {_quoted(path)} {{",
        _STYLES,
        f"  rankdir={_quoted(rankdir)}",
        f"  label={_lines([_shortened(title)] * bool(title) + [': '.join(about[:2]), *about[2:]])}",
    ]
    for i, node in enumerate(nodes):
        lines.append(f"  {_quoted(node['path'])} {_attributes(_look(node, not i, missing[node['path']] > 0))}")
    for edge in edges:
        slope = edge["local_gradient"]
        look = {
            "label": _quoted(f"{slope:.4g}"),
            "local_gradient": _quoted(repr(slope)),
            "tooltip": _quoted(f"d {edge['to']} / d {edge['from']} = {slope!r}"),
        }
        lines.append(f"  {_quoted(edge['from'])} -> {_quoted(edge['to'])} {_attributes(look)}")
    return Dot("\n".join([*lines, "}", ""]), len(nodes), len(distances), max(distances))


def _look(node: dict[str, Any], is_first: bool, is_cut: bool) -> dict[str, str]:
    """Return a node's attributes, whose values are quoted."""
    operation = node["op"] + (f" {node['exponent']}" if "exponent" in node else "")
    label = [node["path"]] * node["named"] + [operation, f"data {node['value']:.4g}", f"grad {node['grad']:.4g}"]
    look = {"label": _lines(label), "shape": _quoted(_BOX[node["named"]])}
    styles = ["filled"] * (node["op"] == "parameter") + ["bold"] * is_first + ["dashed"] * is_cut
    if styles:
        look["style"] = _quoted(",".join(styles))
    data, grad = repr(node["value"]), repr(node["grad"])
    look["tooltip"] = _lines([node["path"], f"data {data}", f"grad {grad}"])
    look["op"] = _quoted(node["op"])
    if "exponent" in node:
        look["exponent"] = _quoted(str(node["exponent"]))
    return {**look, "data": _quoted(data), "grad": _quoted(grad)}


def _attributes(values: dict[str, str]) -> str:
    return "[" + ", ".join(f"{name}={value}" for name, value in values.items()) + "]"


def _lines(texts: Iterable[str]) -> str:
    return '"' + "\\n".join(map(_escaped, texts)) + '"'


def _quoted(text: str) -> str:
    return _lines([text])


def _escaped(text: str) -> str:
    """Return a text as Graphviz reads it in quotes: a backslash begins an escape, and `&` an HTML entity."""
    return visible(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
