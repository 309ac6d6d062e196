"""Search for a number by its name or part of its name, with suggestions as the user types.

Queries look like `pos3.layer0.q[9]` or `q head2`. A query consists of words in any order. Each word must be a
component of the name or the start of a component (`q`, `attn`, `pos3`), a pattern with `*` that matches the name
(`pos*.loss`), an index (`wte[4]`), a head (`q head2` finds the head's components), a token (`probs e`), or a word in
the number's meaning (`query`). Once a number's path is complete, its intermediate values are suggested:
`pos3.layer0.q[9].`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from microgpt.errors import LabError
from microgpt.lab.figures.meanings import meaning
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import names
from microgpt.tracing.names import Shape, indexed
from microgpt.tracing.trace import Trace

if TYPE_CHECKING:
    from microgpt.lab.protocol.numbers import Found, FoundNumber
    from microgpt.lab.session import Session

MOST = 50  # the largest number of results
OF_TOKENS = ("wte", "lm_head", "logits", "probs")  # these tensors have an element or a row for each token
OF_HEADS = ("q", "k", "v", "x_attn")  # in these tensors, each head owns some of the components


class Fit(NamedTuple):
    """How well a tensor matches a query, and which elements the query selects.

    Attributes:
        rank: The rank of the match; 0 is best.
        at: The index given in the query, possibly partial.
        components: The components of the head that the query names; None if it names no head.
    """

    rank: int
    at: tuple[int, ...] = ()
    components: range | None = None


@model_request
def find(session: Session, word: str, query: str, position: int = 0, limit: int = 12) -> Found:
    """Return the numbers that match a query or, if nothing matches, a message that explains why.

    The best matches come first. Equally good matches are ordered by their distance from `position`.
    """
    if not 1 <= limit <= MOST:
        raise LabError(f"limit must be between 1 and {MOST}, got limit={limit}")
    run, trace, words = session.active, session.trace(session.tokens(word)), query.split()
    found: list[FoundNumber] = []
    if len(words) == 1 and "]." in query:
        found = _inside(trace, query, limit)
    elif words:
        found = _among(run, trace.graph.shapes, trace, words, position, limit)
    return {"query": query, "found": found, "why": "" if found or not words else _why(trace, query)}


def _inside(trace: Trace, query: str, limit: int) -> list[FoundNumber]:
    """Return the intermediate values of the number whose path precedes the query's last dot."""
    owner, _, begun = query.rpartition(".")
    try:
        node = trace.node(owner)
    except ValueError:
        return []
    inner = [other for other in trace.graph.nodes[: node.index] if other.op and not trace.graph.places(other)]
    prefix = f"{trace.path(node)}.{begun}"
    paths = [path for path in map(trace.path, inner) if path.startswith(prefix)]
    return [_number(trace, path) for path in paths[:limit]]


def _among(
    run: LabRun, shapes: dict[str, Shape], trace: Trace, words: Sequence[str], position: int, limit: int
) -> list[FoundNumber]:
    fits: list[tuple[int, int, int, str, Fit]] = []
    for order, (name, shape) in enumerate(shapes.items()):
        fit = _fit(run, name, shape, words)
        if fit is not None:
            where = re.match(r"pos(\d+)\.", name)
            fits.append((fit.rank, abs(int(where[1]) - position) if where else 0, order, name, fit))
    fits.sort()
    found: list[FoundNumber] = []
    for _, _, _, name, fit in fits:
        if len(found) >= limit:
            break
        shape = shapes[name]
        if len(fit.at) == len(shape):
            found.append(_number(trace, indexed(name, fit.at)))
        elif fit.components is not None:
            found += [_number(trace, indexed(name, [i])) for i in fit.components]
        else:
            path = indexed(name, fit.at)
            found.append({"path": path, "shape": shape[len(fit.at) :], "meaning": meaning(path), "value": None})
            if len(fits) == 1:  # the only match: add its first elements
                rows = [0] * (len(shape) - len(fit.at) - 1)
                found += [_number(trace, indexed(path, [*rows, i])) for i in range(shape[-1])]
    return found[:limit]


def _fit(run: LabRun, name: str, shape: Shape, words: Sequence[str]) -> Fit | None:
    """Return how well a tensor matches all the words, or None if any word does not match."""
    rank = 0
    index: tuple[int, ...] = ()
    components: range | None = None
    parts = name.split(".")
    for word in words:
        begun, bracket, _ = word.partition("[")
        if bracket:
            given = tuple(int(i) for i in re.findall(r"\[(\d{1,9})", word))
            if len(given) > len(shape) or any(i >= size for i, size in zip(given, shape)):
                return None
            index = given
        one = _rank(begun, name, parts)
        head = re.fullmatch(r"head(\d{1,3})", word)
        if one is None and head and parts[-1] in OF_HEADS and int(head[1]) < run.config.n_head:
            size = run.config.n_embd // run.config.n_head
            one, components = 0, range(int(head[1]) * size, (int(head[1]) + 1) * size)
        if one is None and parts[-1] in OF_TOKENS and word in (symbols := names(run.run.tokenizer)):
            one, index = 0, (symbols.index(word),)
        if one is None and len(word) > 2 and word.lower() in meaning(name).lower():
            one = 6
        if one is None:
            return None
        rank += one
    return Fit(rank, index, components)


def _rank(word: str, name: str, parts: Sequence[str]) -> int | None:
    """Return the rank of a word's match with a name (0 is best), or None if the word does not match."""
    if word == name:
        return 0
    if word == parts[-1]:
        return 1
    if word in parts or (word and f".{name}.".endswith(f".{word}.")):
        return 2
    if "*" in word:
        return 3 if fnmatchcase(name, word) else None
    if name.startswith(word):
        return 3
    if any(part.startswith(word) for part in parts):
        return 4
    return 5 if len(word) > 2 and word in name else None


def _number(trace: Trace, path: str) -> FoundNumber:
    return {"path": path, "shape": [], "meaning": meaning(path), "value": trace.node(path).data}


def _why(trace: Trace, query: str) -> str:
    """Return a message that explains why nothing matches a query."""
    try:
        trace.node(query)
    except ValueError as error:
        sentence = str(error)
        if " " not in query and not sentence.startswith("path must be"):
            return sentence
    return f"no name matches {query!r:.60}: write a name like pos3.layer0.q[9], or words from a name, like q head2"
