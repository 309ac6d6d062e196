"""Imports only go down: the picture of the house, and a test of that test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import SOURCE, clean_environment

FLOORS = [
    {"reference", "safetensors", "tables", "machine", "lock", "permutation", "searching"},
    {"config", "tokenization"},
    {"data", "checkpoint", "naming", "listing"},
    {"prepared"},
    {"engines", "comparison", "engines.shared_library", "engines.webassembly"},
    {"engines.native", "engines.scalar", "engines.torch_model", "engines.torch_ranks"},
    {"engines.torch"},
    {"training", "sampling", "evaluation", "recording", "preparing"},
    {"program"},
    {"anatomy"},
    {"graph", "run", "cases"},
    {"stepping"},
    {"tracing"},
    {"display"},
    {"exporting", "board", "plot", "verify", "ports", "bench", "lab.answers"},
    {"lab.texts", "lab.expression", "lab.source", "lab.variants", "lab.running"},
    {"lab.runs"},
    {"lab.edited"},
    {
        "lab.figures",
        "lab.updates",
        "lab.surface",
        "lab.generation",
        "lab.comparing",
        "lab.saving",
        "lab.opened",
        "lab.ladder",
        "lab.relay",
    },
    {"lab.scale", "lab.finding", "lab.nudging", "lab.playing", "lab.unmasked"},
    {"lab", "lab.session", "lab.server"},
    {"lab.snapshot"},
    {"cli"},
    {"__main__"},
]
FACADE = "__init__"  # above all floors; only the command line and the lab may look up to it, for the version
FLOOR = {name: i for i, floor in enumerate(FLOORS) for name in floor}

ENGINES_MUST_NOT = {"training", "sampling", "data", "checkpoint"}
HEAVY = {"torch", "numpy", "typer", "rich", "matplotlib"}


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imports(source: str, modules: set[str]) -> Iterator[tuple[str, int]]:
    """What a file imports, with the line: our own modules without `microgpt.`, the others by their first name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            ours = [name for name in inside if name.removeprefix("microgpt.") in modules]
            names = ours or [node.module]
        else:
            continue
        for name in names:
            if name == "microgpt":
                yield FACADE, node.lineno
            elif name.startswith("microgpt."):
                yield name.removeprefix("microgpt."), node.lineno
            else:
                yield name.split(".")[0], node.lineno


def faults(root: Path) -> list[str]:
    files = {module_name(path, root): path for path in sorted(root.rglob("*.py"))}
    found = [f"{name} stands on no floor" for name in files if name not in FLOOR and name != FACADE]
    for name, path in files.items():
        for imported, line in imports(path.read_text(), set(files)):
            where = f"{name}, line {line}: "
            if imported in FLOOR and name in FLOOR and FLOOR[imported] >= FLOOR[name]:
                found.append(f"{where}imports {imported}, which is not below it")
            if imported == FACADE and name not in ("cli", "lab.session", "__main__"):
                found.append(f"{where}imports the facade")
            if name == "reference" and imported not in sys.stdlib_module_names:
                found.append(f"{where}the reference imports {imported}")
            if name.startswith("engines") and imported in ENGINES_MUST_NOT:
                found.append(f"{where}an engine imports {imported}")
            if imported == "torch" and not name.startswith("engines.torch"):
                found.append(f"{where}torch outside its engine")
            if name in ("training", "sampling") and imported.startswith("engines."):
                found.append(f"{where}names an engine")
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        if name in ("training", "sampling"):
            found += [f"{name} prints" for call in calls if getattr(call.func, "id", "") == "print"]
    return found


def test_imports_only_go_down() -> None:
    assert faults(SOURCE) == []


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("reference", "import microgpt.config", "reference, line 1: imports config, which is not below it"),
        ("reference", "import numpy", "reference, line 1: the reference imports numpy"),
        ("config", "from microgpt import training", "config, line 1: imports training, which is not below it"),
        ("config", "from microgpt.data import load", "config, line 1: imports data, which is not below it"),
        ("engines/scalar", "from microgpt import data", "engines.scalar, line 1: an engine imports data"),
        ("training", "from microgpt import sampling", "training, line 1: imports sampling, which is not below it"),
        ("training", "from microgpt.engines.scalar import ScalarEngine", "training, line 1: names an engine"),
        ("sampling", "print(1)", "sampling prints"),
        ("run", "import torch", "run, line 1: torch outside its engine"),
        ("run", "import microgpt", "run, line 1: imports the facade"),
        ("attic", "", "attic stands on no floor"),
    ],
)
def test_the_alarm_rings(module: str, line: str, fault: str, tmp_path: Path) -> None:
    for path in SOURCE.rglob("*.py"):
        copy = tmp_path / path.relative_to(SOURCE)
        copy.parent.mkdir(exist_ok=True)
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
