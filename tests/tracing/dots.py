"""A strict parser for directed graphs in DOT, written from Graphviz's grammar (graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<id>[A-Za-z_]\w*|-?(?:\.\d+|\d+(?:\.\d*)?))|(?P<mark>->|[{}\[\]=,;])'
)
SPACE = re.compile(r"[ \t\r\n]*")
KEYWORDS = {"node", "edge", "graph", "digraph", "subgraph", "strict"}

Attributes = dict[str, str]


@dataclass
class Parsed:
    """A parsed graph; a quoted text is without its quotes, but with Graphviz's own escapes (see `shown`)."""

    name: str = ""
    attributes: Attributes = field(default_factory=dict)  # the graph's own
    nodes: dict[str, Attributes] = field(default_factory=dict)
    edges: list[tuple[str, str, Attributes]] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """Parse `digraph ID { statements }`; anything else is an AssertionError."""
    tokens: list[tuple[str, str]] = []  # (kind, text)
    at = 0
    while (at := SPACE.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        found = TOKEN.match(text, at)
        assert found, f"no DOT at {text[at : at + 40]!r}"
        tokens.append((found.lastgroup or "", found[0]))
        at = found.end()
    tokens.reverse()

    def take(expected: str = "") -> str:
        kind, token = tokens.pop()
        if expected:
            assert token == expected, f"expected {expected}, got {token}"
            return token
        assert kind != "mark", f"expected an ID, got {token}"
        assert token.lower() not in KEYWORDS, f"expected an ID, got {token}"
        return token[1:-1].replace('\\"', '"') if kind == "quoted" else token

    def comes(token: str) -> bool:
        return bool(tokens) and tokens[-1][1] == token

    def attributes() -> Attributes:
        found: Attributes = {}
        take("[")
        while not comes("]"):
            name = take()
            assert name not in found, f"{name} is set twice"
            take("=")
            found[name] = take()
            if not comes("]"):
                take(",")
        take("]")
        return found

    take("digraph")
    graph = Parsed(take())
    take("{")
    while not comes("}"):
        if comes("node") or comes("edge") or comes("graph"):
            tokens.pop()
            attributes()
            continue
        first = take()
        if comes("="):
            take("=")
            graph.attributes[first] = take()
        elif comes("->"):
            take("->")
            graph.edges.append((first, take(), attributes()))
        else:
            assert first not in graph.nodes, f"{first} is declared twice"
            graph.nodes[first] = attributes()
    take("}")
    assert not tokens
    assert {end for edge in graph.edges for end in edge[:2]} <= graph.nodes.keys()
    return graph


def shown(label: str) -> list[str]:
    """Return the lines of a label as Graphviz shows them."""
    text = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else "\0" * (found[1] == "\\") or found[1], label)
    return [html.unescape(line).replace("\0", "\\") for line in text.split("\n")]
