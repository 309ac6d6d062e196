"""Answer types for the program: its source, an edit of it, and suggested changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Program(TypedDict):
    """An edited program."""

    name: str  # 'edited: gpt, rmsnorm'
    changed: Sequence[str]  # functions and methods that differ from the reference's
    notes: Sequence[str]  # what the figures do not follow, in words


class SourceFunction(TypedDict):
    """Where a function stands."""

    name: str  # a method as Value.backward
    first: int
    last: int


class SourcePart(TypedDict):
    """A part of the file under one of its own headings."""

    title: str  # '1. Data ...'
    first: int
    last: int


class Source(TypedDict):
    """The program that computes the numbers: the installed reference.py, unless it was edited."""

    name: str  # '' for the reference
    lines: Sequence[str]  # line 1 is lines[0]
    functions: Sequence[SourceFunction]
    parts: Sequence[SourcePart]


class Variant(TypedDict):
    """A change to try."""

    name: str
    title: str
    about: str  # what it changes, and what to expect


class Variants(TypedDict):
    """All changes to try."""

    changes: Sequence[Variant]


class Varied(TypedDict):
    """The program with one of these changes."""

    source: str
