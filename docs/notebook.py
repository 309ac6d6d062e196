"""Write the reference as a notebook for hosted notebook services: `python docs/notebook.py` writes docs/microgpt.ipynb.

The code cells are reference.py's statements, unchanged and in order. The cells between them are the lab's explanations
(web/src/explain/reference.md). The last lines of reference.py read the command line; in the notebook, two cells that
download the names and start the training replace these lines. A test compares the notebook with this script's output
and runs the notebook's cells.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microgpt.data.download import MAKEMORE_URL

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "microgpt" / "reference.py"
EXPLAINED = ROOT / "web" / "src" / "explain" / "reference.md"
NOTEBOOK = ROOT / "docs" / "microgpt.ipynb"

FIRST = """# microgpt: a complete GPT

This notebook goes through a single Python file, `reference.py`, cell by cell: data, automatic differentiation, the
model, training and sampling. It requires only Python. Run all cells; the last cell trains for a few minutes and then
generates names. Change any code you like and run the cells again. The microgpt lab shows every number that this program
computes.

The algorithm is Andrej Karpathy's microgpt (2026). Paragraphs with a bar on the left are technical; skip them on the
first reading."""

GET = f"""from pathlib import Path
from urllib.request import urlretrieve

if not Path("input.txt").exists():  # or upload your own text as input.txt, with one document per line
    urlretrieve("{MAKEMORE_URL}", "input.txt")
docs = documents("input.txt")
print(f"{{len(docs)}} documents; the first five are {{docs[:5]}}")"""

RUN = "main(docs)"


def blocks(source: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the first source line and the Markdown of every act and every block in the explanations.

    The explanations of single lines and the acts of main's blocks are left out, because only the lab uses them.
    """
    lines = iter([number for number, line in enumerate(source, 1) if line.strip()])
    words: list[str] = []
    in_head = False
    for line in EXPLAINED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            words.append(f"## {line[2:]}")
        elif line.startswith("## "):
            words.append(f"### {line[3:]}")
            in_head = True
        elif line.startswith("> "):
            number = next(lines)
            if words:
                yield number, "\n\n".join(words)
            words, in_head = [], False
        elif in_head and line.startswith(("plain: ", "technical: ")):
            kind, text = line.split(": ", 1)
            words.append(text if kind == "plain" else f"> {text}")


def statements(source: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each top-level statement, with the comments before it."""
    end = 0
    for node in ast.parse("\n".join(source)).body:
        assert node.end_lineno is not None
        yield end + 1, node.end_lineno
        end = node.end_lineno


def cells() -> Iterator[tuple[str, str]]:
    """Yield the kind and text of each cell."""
    source = SOURCE.read_text(encoding="utf-8").splitlines()
    explanations = list(blocks(source))
    yield "markdown", FIRST
    for first, last in statements(source):
        code = "\n".join(source[first - 1 : last]).strip("\n")
        if words := [text for line, text in explanations if first <= line <= last]:
            yield "markdown", "\n\n".join(words)
        if "__main__" in code:
            yield "code", GET
            yield "code", RUN
        else:
            yield "code", code


def notebook() -> str:
    """Return the notebook as JSON text."""
    made: list[dict[str, Any]] = []
    for i, (kind, text) in enumerate(cells()):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{i:02d}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        made.append({**cell, "source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": made,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    text = notebook()
    if "--check" in sys.argv:
        sys.exit(text != NOTEBOOK.read_text(encoding="utf-8"))
    NOTEBOOK.write_text(text, encoding="utf-8")
