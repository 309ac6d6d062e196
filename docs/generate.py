"""Fill in the generated parts of the documentation: `python docs/generate.py [--check]`.

In README.md and docs/*.md, a generated number or table is written between two comments, `<!--NAME-->` and `<!--/-->`,
which readers do not see. NAME is a key of `figures()`; `lines:X` stands for the lines of reference.py that define X
(`Value`, `Value.backward`). --check writes nothing, and exits with 1 if a document is out of date.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import random
import re
import sys
from pathlib import Path

from microgpt import reference
from microgpt.config import PRESETS, Config, num_params, shapes
from microgpt.data.sources import NAMES
from microgpt.parameters import role
from microgpt.reference import Value
from microgpt.tracing import names as tensor_names
from microgpt.verification import port
from microgpt.verification.cases import CASES
from microgpt.verification.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "microgpt"
MARK = re.compile(r"<!--([a-z][\w:. -]*)-->(.*?)<!--/-->", re.DOTALL)

PLACES = {  # the other entries of the file map: folders whose files have no first line to show
    "web/": "the lab's page, in Svelte and TypeScript, which build_site.py builds into the package",
    "web/src/engine/": "the worker, its client and the generated protocol.ts",
    "web/src/sections/": "one folder per section, with the section's figures and text (text.ts)",
    "web/src/play/": "playback: the transport, the stage and the figure for each line",
    "web/src/end/": "what follows the last line: all stages, the tree of the parameters, one scale, the credits",
    "web/src/parts/": "components that several figures share: curves, graphs, heatmaps and numbers",
    "web/src/motion/": "how players move: their course in time, ways between two places, and what plays by itself",
    "web/src/shell/": "the page around the sections: contents, bar, search and presenter",
    "web/src/exercises/": "the exercises, with the code that checks solutions",
    "web/src/explain/": "plain and technical explanations of every line of the reference",
    "tests/": "the tests, in the same folders as src/microgpt; those in tests/lab/page/ need a browser",
    "benchmarks/": "commands that measure speed and memory",
    "docs/": "guides to the reference, verification, the lab, speed and contributing",
}


def definitions() -> dict[str, tuple[int, int]]:
    """Return the first and last line of each function, class and method of reference.py."""
    source = (SOURCE / "reference.py").read_text()
    table = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert node.end_lineno
            table[node.name] = (node.lineno, node.end_lineno)
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    assert method.end_lineno
                    table[f"{node.name}.{method.name}"] = (method.lineno, method.end_lineno)
    return table


def graph_size(word: str) -> tuple[int, int]:
    """Return how many nodes and how many parameters the graph of a word's loss contains, in the standard model."""
    documents = reference.documents(NAMES)
    tokenizer = reference.Tokenizer(set("".join(documents)))
    state_dict = reference.init(reference.shapes(27, 16, 1, 16), random.Random(42), 0.08)
    loss = reference.loss(tokenizer.encode(word), state_dict, 1, 4, 16)
    seen: set[Value] = set()
    stack = [loss]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += [operand for operand in (node.a, node.b) if operand is not None]
    params = {p for matrix in state_dict.values() for row in matrix for p in row}
    return len(seen), len(seen & params)


def settings_table() -> str:
    rows = ["| setting | final | first | what it is |", "|---|---|---|---|"]
    for f in dataclasses.fields(Config):
        final, first = (getattr(PRESETS[preset], f.name) for preset in ("final", "first"))
        rows.append(f"| `{f.name}` | {final} | {'' if first == final else first} | {f.metadata['help']} |")
    return "\n" + "\n".join(rows) + "\n"


def shapes_table() -> str:
    rows = ["| matrix | rows x columns | weights | what it is |", "|---|---|---|---|"]
    for name, (height, width) in shapes(Config(), 27).items():
        rows.append(f"| `{name}` | {height} x {width} | {height * width:,} | {role(name).meaning} |")
    rows.append(f"| | total | {num_params(Config(), 27):,} | |")
    return "\n" + "\n".join(rows) + "\n"


def tensors_table() -> str:
    rows = ["| name | shape | what it is |", "|---|---|---|"]
    for part in (
        tensor_names.EMBEDDING,
        tensor_names.BEFORE_HEADS,
        tensor_names.HEAD,
        tensor_names.AFTER_HEADS,
        tensor_names.OUTPUT,
        tensor_names.DOCUMENT,
    ):
        for name, shape, meaning in part:
            name = name.replace("{t}", "T").replace("{i}", "L").replace("{h}", "H")
            rows.append(f"| `{name}` | {', '.join(shape).replace('t+1', 'T+1') or 'scalar'} | {meaning} |")
    return "\n" + "\n".join(rows) + "\n"


def cases_table() -> str:
    rows = ["| case | what it is | n_embd | n_head | n_layer | block_size | characters of each step's documents |"]
    rows.append("|---|---|---|---|---|---|---|")
    for case in CASES.values():
        c = case.config
        lengths = "; ".join(", ".join(map(str, step)) for step in case.lengths)
        sizes = f"{c.n_embd} | {c.n_head} | {c.n_layer} | {c.block_size}"
        rows.append(f"| `{case.name}` | {case.about} | {sizes} | {lengths} |")
    return "\n" + "\n".join(rows) + "\n"


def kinds_table() -> str:
    rows = ["| kind | what it is |", "|---|---|", *(f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items())]
    return "\n" + "\n".join(rows) + "\n"


def first_line(path: Path) -> str:
    """Return the first line of a source file's docstring or opening comment, without the full stop."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        line = (ast.get_docstring(ast.parse(text)) or "").splitlines()[0]
    else:
        line = text.removeprefix("/*").strip().splitlines()[0].removesuffix("*/")
    return line.strip().removesuffix(".")


def file_map(deep: bool = True) -> str:
    """Return the source tree as text: each folder and file with its first line.

    Args:
        deep: Include the files in each folder. If False, list only the folders and the top-level files.
    """
    rows: list[tuple[str, str]] = []

    def walk(folder: Path, depth: int) -> None:
        entries = [path for path in folder.iterdir() if not path.name.startswith(("_", "."))]
        for path in sorted(entries, key=lambda path: (path.is_dir(), path.name)):
            indent = "  " * depth
            if path.is_dir() and path.name not in ("site", "golden"):
                head = next(head for name in ("__init__.py", "net.c") if (head := path / name).exists())
                rows.append((f"{indent}{path.name}/", first_line(head)))
                if deep:
                    walk(path, depth + 1)
            elif path.suffix in (".py", ".c", ".h"):
                rows.append((f"{indent}{path.name}", first_line(path)))

    walk(SOURCE, 1)
    places = [(place, what) for place, what in PLACES.items() if deep or place.count("/") == 1]
    rows = [("src/microgpt/", first_line(SOURCE / "__init__.py")), *rows, *places]
    width = max(len(name) for name, _ in rows)
    return "\n```\n" + "\n".join(f"{name:{width}}  {what}" for name, what in rows) + "\n```\n"


def figures() -> dict[str, str]:
    """Return a dictionary of every generated number and table."""
    nodes, used = graph_size("emma")
    published = PRESETS["final"]
    return {
        "length": str(len((SOURCE / "reference.py").read_text().splitlines())),
        "names": f"{len(reference.documents(NAMES)):,}",
        "params": f"{num_params(published, 27):,}",
        "params first": f"{num_params(PRESETS['first'], 27):,}",
        "head_dim": str(published.n_embd // published.n_head),
        "ln27": f"{math.log(27):.4f}",
        "nodes emma": f"{nodes:,}",
        "params emma": f"{used:,}",
        "settings": settings_table(),
        "shapes": shapes_table(),
        "map": file_map(),
        "folders": file_map(deep=False),
        "tensors": tensors_table(),
        "cases": cases_table(),
        "kinds": kinds_table(),
        "tolerance F64": f"{port.TOLERANCES['F64']:g}",
        "tolerance F32": f"{port.TOLERANCES['F32']:g}",
        **{f"lines:{name}": f"{first}–{last}" for name, (first, last) in definitions().items()},
    }


def fill(text: str, table: dict[str, str]) -> str:
    """Return a document's text with its generated parts filled in.

    Raises:
        KeyError: A name in the document is not in the table.
    """
    return MARK.sub(lambda match: f"<!--{match[1]}-->{table[match[1]]}<!--/-->", text)


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> int:
    table, stale = figures(), []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        filled = fill(text, table)
        if filled != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(filled, encoding="utf-8")
    for name in stale:
        print(f"{'out of date' if '--check' in sys.argv else 'updated'}: {name}")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
