"""Response types for the program: its source, its edits, and the preset changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class Program(TypedDict):
    """An edited program."""

    name: str  # 'edited: gpt, rmsnorm'
    changed: Sequence[str]  # the functions and methods that differ from the reference's
    notes: Sequence[str]  # messages about edits that the figures cannot reflect


class SourceFunction(TypedDict):
    """A function's location in the file: its first and last lines."""

    name: str  # for a method: 'Value.backward'
    first: int
    last: int


class SourcePart(TypedDict):
    """The part of the file under one heading."""

    title: str  # '1. Data ...'
    first: int
    last: int


class Source(TypedDict):
    """The program that computes the numbers: the installed reference.py, or an edited version of it."""

    name: str  # '' for the reference
    lines: Sequence[str]  # line 1 is lines[0]
    functions: Sequence[SourceFunction]
    parts: Sequence[SourcePart]


class Variant(TypedDict):
    """A preset change to the program."""

    name: str
    title: str
    about: str  # what the change does, and what to expect


class Variants(TypedDict):
    """All preset changes."""

    changes: Sequence[Variant]


class Varied(TypedDict):
    """The program with a preset change applied."""

    source: str
