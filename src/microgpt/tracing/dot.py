r"""Write a graph in DOT, Graphviz's language: `dot -Tsvg loss.dot -o loss.svg` renders it.

An edge leads from an operand to the number computed from it. Labels have four significant digits; the attributes `data`
and `grad` of a node, and `local_gradient` of an edge, have every digit, so that programs can read the numbers back. A
node's identifier is its path. In an SVG picture, the path and every digit also appear where a reader points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from microgpt.system.text import visible

DEPTH = 5  # the default number of operations: at most 63 numbers, which a reader can still take in
RANKDIRS = ("LR", "TB", "RL", "BT")
LONGEST = 80  # characters of the title

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
        nodes: The numbers to show, this one first: [{path, value, grad, op, exponent, named}], as in `Trace.number`;
            `named` numbers belong to a tensor.
        edges: [{from, to, local_gradient}] of all operands of these numbers: the operand's path, or None if the operand
            is not shown; the number's path; and d number / d operand.
        distances: The distance of every number behind this one, whether shown or not.
        rankdir: The direction of the edges, one of RANKDIRS.
        title: The first line above the graph; empty for none.
    """
    cut = {edge["to"] for edge in edges if edge["from"] is None}
    count = f"{len(nodes):,} of {len(distances):,}" if cut else f"{len(nodes):,}"
    about = [_shortened(title)] * bool(title) + [f"{path}: {count} numbers"]
    if cut:
        about.append("dashed: the operands are left out")
    lines = [f"digraph {_quoted(path)} {{", _STYLES, f'  rankdir="{rankdir}"', f"  label={_quoted(*about)}"]
    names = {node["path"]: _quoted(node["path"]) for node in nodes}
    for node in nodes:
        look = _look(node, is_first=node is nodes[0], is_cut=node["path"] in cut)
        lines.append(f"  {names[node['path']]} {look}")
    for edge in edges:
        if edge["from"] is not None:
            lines.append(f"  {names[edge['from']]} -> {names[edge['to']]} {_slope(edge)}")
    return Dot("\n".join([*lines, "}", ""]), len(nodes), len(distances), max(distances))


def _look(node: dict[str, Any], is_first: bool, is_cut: bool) -> str:
    """Return a node's attributes."""
    data, grad = node["value"], node["grad"]
    operation = f"{node['op']} {node['exponent']}" if "exponent" in node else node["op"]
    named = [node["path"]] * node["named"]
    styles = ["filled"] * (node["op"] == "parameter") + ["bold"] * is_first + ["dashed"] * is_cut
    look = {
        "label": _quoted(*named, operation, f"data {data:.4g}", f"grad {grad:.4g}"),
        "shape": "box" if named else "ellipse",
        "style": _quoted(",".join(styles)),
        "tooltip": _quoted(node["path"], f"data {data!r}", f"grad {grad!r}"),
        "op": _quoted(node["op"]),
        "data": f'"{data!r}"',  # 1e-05 is no number in DOT, so all numbers are quoted
        "grad": f'"{grad!r}"',
    }
    if "exponent" in node:
        look["exponent"] = _quoted(str(node["exponent"]))
    return _attributes(look)


def _slope(edge: dict[str, Any]) -> str:
    """Return an edge's attributes."""
    slope = edge["local_gradient"]
    return _attributes(
        {
            "label": f'"{slope:.4g}"',
            "tooltip": _quoted(f"d {edge['to']} / d {edge['from']} = {slope!r}"),
            "local_gradient": f'"{slope!r}"',
        }
    )


def _attributes(values: dict[str, str]) -> str:
    return "[" + ", ".join(f"{name}={value}" for name, value in values.items()) + "]"


def _quoted(*lines: str) -> str:
    """Return lines of text as Graphviz reads them: in quotes, a backslash begins an escape and `&` an HTML entity."""
    escaped = (visible(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
