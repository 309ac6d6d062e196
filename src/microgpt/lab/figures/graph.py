"""The size and depth of the computation graph behind a word's loss."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from microgpt.lab.requests import model_request
from microgpt.tracing.instrument import Node

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Graph
    from microgpt.lab.session import Session


@model_request
def graph(session: Session, word: str) -> Graph:
    """Return the size and depth of the graph behind the loss. A recursive backward() would recurse to this depth."""
    trace = session.trace(session.tokens(word))
    depth: dict[Node, int] = {}
    behind = trace.graph.behind(trace.node("loss"))
    for node in sorted(behind, key=lambda node: node.index):  # a number's operands were created before it
        depth[node] = 1 + max((depth[x] for x in (node.a, node.b) if x is not None), default=-1)
    return {
        "nodes": len(behind),
        "operations": sum(node.a is not None for node in behind),
        "depth": max(depth.values()),
        "limit": sys.getrecursionlimit(),
    }
