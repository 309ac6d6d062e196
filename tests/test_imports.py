"""Imports point down, by one rule per folder; and a test of that test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from conftest import HEAVY, SOURCE, clean_environment

# The entries of each folder from the top down: an entry may only import what is in the lines below its own. Folders
# that are not listed have no order; no folder may have a cycle.
LAYERS: dict[str, list[str]] = {
    "": [
        "__main__",
        "cli",
        "lab",
        "verification export",
        "runs",
        "tracing",
        "training sampling evaluation",
        "engines data",
        "flops",
        "config",
        "activations",
        "schedule clipping parameters reference system",
        "errors",
    ],
    "engines": ["choose", "native torch scalar", "base program"],
    "lab": [
        "snapshot claims",
        "wire",
        "session server",
        "playback",
        "figures",
        "model",
        "editing",
        "runs",
        "protocol",
        "requests addresses",
    ],
}
TYPED = "lab.session"  # modules that register requests use its class in their signatures, and it imports them
FACADE = "__init__"  # the package itself: only the command line and the lab import it, for the version


def modules(root: Path) -> dict[str, Path]:
    """Return every module by its dotted name inside the package; a folder's __init__ has the folder's name."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        *folders, name = path.relative_to(root).with_suffix("").parts
        found[".".join([*folders, name]).removesuffix(".__init__")] = path
    return found


@cache
def parsed(source: str) -> tuple[list[ast.Import | ast.ImportFrom | ast.Call], frozenset[int]]:
    """Return the imports and calls of a file, and the lines that only a type checker reads."""
    kept: list[ast.Import | ast.ImportFrom | ast.Call] = []
    typing_only = set[int]()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call)):
            kept.append(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            typing_only |= {inner.lineno for inner in ast.walk(node) if isinstance(inner, ast.stmt)}
    return kept, frozenset(typing_only)


def imports(source: str, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """Yield (module, line) of a file's imports: our modules without `microgpt.`, others by their top-level name."""
    for node in parsed(source)[0]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("microgpt.") in known else node.module for name in inside]
        else:
            continue
        for name in dict.fromkeys(names):
            if name == "microgpt":
                yield FACADE, node.lineno
            elif name.startswith("microgpt."):
                yield name.removeprefix("microgpt."), node.lineno
            else:
                yield name.split(".")[0], node.lineno


def upward(importer: str, imported: str) -> str:
    """Return why an import of one of our modules breaks the order of a folder, or an empty string."""
    here, there = importer.split("."), imported.split(".")
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    if shared == min(len(here), len(there)):  # a folder's __init__ and what is in the folder
        return ""
    folder = ".".join(here[:shared])
    layers = [line.split() for line in LAYERS.get(folder, [])]
    if not layers:
        return ""
    place = {entry: i for i, line in enumerate(layers) for entry in line}
    for entry in (here[shared], there[shared]):
        if entry not in place:
            return f"{entry} has no place in the order of {folder or 'microgpt'}"
    if place[there[shared]] <= place[here[shared]]:
        return f"{there[shared]} is not below {here[shared]}"
    return ""


def cycles(graph: dict[str, set[str]]) -> list[str]:
    """Return the import cycles, each once."""
    found, done = [], set()

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append(" -> ".join([*way[way.index(name) :], name]))
        elif name not in done:
            for other in sorted(graph.get(name, ())):
                walk(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        walk(name, [])
    return found


def faults(root: Path) -> list[str]:
    files, found = modules(root), []
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        source = path.read_text()
        nodes, typing_only = parsed(source)
        if name == FACADE:
            continue
        for imported, line in imports(source, files):
            where = f"{name}, line {line}: "
            top = name.split(".")[0]
            if imported in files and imported != FACADE:
                named = imported == TYPED and line in typing_only
                if (reason := upward(name, imported)) and not named:
                    found.append(f"{where}{reason}")
                if line not in typing_only:
                    graph.setdefault(name, set()).add(imported)
            if imported == FACADE and top not in ("cli", "lab"):
                found.append(f"{where}imports the facade")
            if name == "reference" and imported not in sys.stdlib_module_names:
                found.append(f"{where}the reference imports {imported}")
            if imported == "torch" and not name.startswith("engines.torch"):
                found.append(f"{where}torch outside its engine")
            if name in ("training", "sampling") and imported.startswith("engines.") and imported != "engines.base":
                found.append(f"{where}names an engine")
        calls = (node for node in nodes if isinstance(node, ast.Call))
        if name in ("training", "sampling"):
            found += [f"{name} prints" for call in calls if getattr(call.func, "id", "") == "print"]
    return found + [f"a cycle: {cycle}" for cycle in cycles(graph)]


def test_imports_point_down() -> None:
    assert faults(SOURCE) == []


def test_every_entry_of_an_ordered_folder_has_its_place() -> None:
    for folder, lines in LAYERS.items():
        path = SOURCE / folder.replace(".", "/")
        entries = {
            entry.stem
            for entry in path.iterdir()
            if entry.suffix == ".py" or (entry.is_dir() and (entry / "__init__.py").exists())
        }
        assert entries - {FACADE} == set(" ".join(lines).split())


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("reference", "import microgpt.config", "reference, line 1: config is not below reference"),
        ("reference", "import numpy", "reference, line 1: the reference imports numpy"),
        ("config", "from microgpt import training", "config, line 1: training is not below config"),
        (
            "data/tokenizers",
            "from microgpt.runs.run import load",
            "data.tokenizers, line 1: runs is not below data",
        ),
        (
            "engines/scalar",
            "from microgpt.data import prepare",
            "engines.scalar, line 1: data is not below engines",
        ),
        (
            "engines/scalar",
            "from microgpt.engines.choose import open_engine",
            "engines.scalar, line 1: choose is not below scalar",
        ),
        ("training", "from microgpt import sampling", "training, line 1: sampling is not below training"),
        ("training", "from microgpt.engines.scalar import ScalarEngine", "training, line 1: names an engine"),
        ("sampling", "print(1)", "sampling prints"),
        ("runs/run", "import torch", "runs.run, line 1: torch outside its engine"),
        ("runs/run", "import microgpt", "runs.run, line 1: imports the facade"),
        ("attic", "from microgpt import config", "attic, line 1: attic has no place in the order of microgpt"),
        (
            "lab/runs/texts",
            "from microgpt.lab.session import Session",
            "lab.runs.texts, line 1: session is not below runs",
        ),
        (
            "system/files",
            "from microgpt.system import safetensors",
            "a cycle: system.files -> system.safetensors -> system.files",
        ),
    ],
)
def test_an_import_that_breaks_a_rule_is_noticed(module: str, line: str, fault: str, tmp_path: Path) -> None:
    for path in SOURCE.rglob("*.py"):
        copy = tmp_path / path.relative_to(SOURCE)
        copy.parent.mkdir(exist_ok=True, parents=True)
        copy.write_text(path.read_text())
    file = tmp_path / f"{module}.py"
    file.write_text(line + "\n" + (file.read_text() if file.exists() and file.stem != "reference" else ""))
    assert fault in faults(tmp_path)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, microgpt; microgpt.train, microgpt.load, microgpt.Config; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(run.stdout.split())
