"""The reference as a text with a table of contents: its lines, its functions, its own headings."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from microgpt import reference
from microgpt.lab.answers import Answer

HEADING = "# --- "


def source() -> Answer:
    """The lines that run, as they stand in the installed package."""
    text = Path(reference.__file__).read_text(encoding="utf-8")
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
        "lines": lines,
        "functions": [{"name": name, "first": f.lineno, "last": f.end_lineno} for name, f in functions],
        "parts": [
            {"title": lines[first - 1].removeprefix(HEADING), "first": first, "last": last}
            for first, last in zip(headings, ends)
        ],
    }


@cache
def line_of(text: str) -> int:
    """The number of the first line that holds this text."""
    return next(number for number, line in enumerate(source()["lines"], 1) if text in line)
