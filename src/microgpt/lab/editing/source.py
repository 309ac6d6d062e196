"""The program's source with a table of contents: its lines, functions and headings."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

from microgpt.engines.program import REFERENCE, Program
from microgpt.errors import LabError
from microgpt.lab.requests import request

if TYPE_CHECKING:
    from microgpt.lab.protocol.editing import Source
    from microgpt.lab.session import Session

HEADING = "# --- "


@request
def source(session: Session) -> Source:
    """Return the source of the program that computes the page's numbers."""
    return outline(session.active.program)


def outline(program: Program = REFERENCE) -> Source:
    """Return a program's lines, functions and sections. The default program is the installed reference."""
    text = program.text
    lines = text.splitlines()
    functions = []
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            functions.append((node.name, node))
        if isinstance(node, ast.ClassDef):
            functions += [(f"{node.name}.{f.name}", f) for f in node.body if isinstance(f, ast.FunctionDef)]
    headings = [number for number, line in enumerate(lines, 1) if line.startswith(HEADING)]
    ends = [*(number - 1 for number in headings[1:]), len(lines)]
    return {
        "name": program.name,
        "lines": lines,
        "functions": [{"name": name, "first": f.lineno, "last": f.end_lineno or f.lineno} for name, f in functions],
        "parts": [
            {"title": lines[first - 1].removeprefix(HEADING), "first": first, "last": last}
            for first, last in zip(headings, ends)
        ],
    }


@cache
def line_of(text: str, program: Program = REFERENCE) -> int:
    """Return the number of the first line that contains the text.

    Raises:
        LabError: The edited program has no such line.
    """
    for number, line in enumerate(outline(program)["lines"], 1):
        if text in line:
            return number
    raise LabError(f"this chapter needs a line that contains `{text}`, which is missing from the edited program")
