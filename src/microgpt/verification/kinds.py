"""The kinds of tensors that a port can compute, and what no comparison of a port covers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from microgpt.system.text import visible

KINDS = {  # in order of computation within a step
    "logits": "the logits at each position",
    "activations": "all other tensors of a document's forward pass, including its losses",
    "losses": "the loss of each step",
    "doc_grads": "each document's gradients, of its activations and of the parameters",
    "grads": "each step's gradients of the parameters",
    "adam": "Adam's moments m and v after each step",
    "params": "the parameters after each step",
}
INPUTS = "init."  # the beginning of the names of the tensors that are inputs, and are never compared
NOT_TESTED = ("schedule", "clipping", "random numbers", "tokenizer", "sampling")

_PATTERNS = {  # the first pattern that matches a name determines its kind
    r"step\d+\.doc\d+\.grad\.": "doc_grads",
    r"step\d+\.doc\d+\.pos\d+\.logits$": "logits",
    r"step\d+\.doc\d+\.": "activations",
    r"step\d+\.loss$": "losses",
    r"step\d+\.grad\.": "grads",
    r"step\d+\.[mv]\.": "adam",
    r"step\d+\.params\.": "params",
}
_SUGGESTED = 100  # the maximum number of unknown patterns for which a similar name is searched


def kind_of(name: str) -> str | None:
    """Return the kind of a tensor in the export; None for an input, which is never compared.

    >>> kind_of("step2.v.wte"), kind_of("init.wte")
    ('adam', None)
    """
    return next((kind for pattern, kind in _PATTERNS.items() if re.match(pattern, name)), None)


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds without spaces and repetitions.

    Raises:
        ValueError: A kind is unknown.
    """
    kinds = tuple(dict.fromkeys(kind.strip() for kind in kinds))
    for kind in kinds:
        if kind not in KINDS:
            near = nearest(kind, KINDS)
            raise ValueError(
                f"require must be a comma-separated list of {', '.join(KINDS)}, got require={kind!r:.80}"
                + (f" (did you mean {near}?)" if near else "")
            )
    return kinds


def pattern_of(name: str) -> str:
    """Return a name with an asterisk in place of each number."""
    return re.sub(r"\d+", "*", name)


def patterns(names: Iterable[str]) -> dict[str, int]:
    """Return the patterns of names, such as `step*.doc*.pos*.probs`, each with its number of names."""
    return dict(Counter(map(pattern_of, names)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to an unknown one; None if there is no similar name."""
    import difflib  # only if a name is unknown

    name, table = name[:200].lower(), {candidate.lower(): candidate for candidate in known}
    ending = [candidate for candidate in table if candidate.endswith(f".{name}")]  # only the beginning is missing
    similar = [min(ending, key=len)] if ending else difflib.get_close_matches(name, table, 1)
    return table[similar[0]] if similar else None


class Unknown(NamedTuple):
    """Tensors in a port's file that are not in the export.

    Attributes:
        name: Their pattern; if there is only one tensor, its name.
        number: How many there are.
        nearest: The most similar pattern or name in the export; None if there is no similar one.
    """

    name: str
    number: int
    nearest: str | None

    def __str__(self) -> str:
        number = f"{self.number} tensors" if self.number > 1 else "1 tensor"
        return f"{visible(self.name):.80} ({number}{f'; did you mean {self.nearest}?' if self.nearest else ''})"


def unknown(names: Sequence[str], known: Sequence[str]) -> tuple[Unknown, ...]:
    """Group names that are not in the export by pattern, and find the most similar pattern or name in the export."""
    first = {pattern_of(name): name for name in reversed(names)}
    table = [name for name in known if kind_of(name)]
    known_patterns = patterns(table)
    groups: list[Unknown] = []
    for pattern, number in patterns(names).items():
        near = None
        if len(groups) < _SUGGESTED:
            only_numbers = pattern in known_patterns
            near = nearest(first[pattern], table) if only_numbers else nearest(pattern, known_patterns)
        groups.append(Unknown(first[pattern] if number == 1 else pattern, number, near))
    return tuple(groups)
