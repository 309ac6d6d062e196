"""The notebook: its code is the reference, cell by cell, and its cells train the published run."""

from __future__ import annotations

import ast
import gc
import json
import re
import runpy
import shutil
import string
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, SOURCE, golden

STEPS = 12


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "docs" / "microgpt.ipynb").read_text(encoding="utf-8"))
    return loaded


def code(document: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "code"]


def test_the_file_is_what_the_script_writes() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "notebook.py"))
    assert (ROOT / "docs" / "microgpt.ipynb").read_text(encoding="utf-8") == script["notebook"]()


def test_the_code_is_the_reference_statement_by_statement(document: dict[str, Any]) -> None:
    """The last statement is left out: it reads the command line."""
    statements = ast.parse((SOURCE / "reference.py").read_text(encoding="utf-8")).body
    own = [statement for cell in code(document)[:-2] for statement in ast.parse(cell).body]
    assert [ast.dump(statement) for statement in own] == [ast.dump(statement) for statement in statements[:-1]]
    comments = [line for line in (SOURCE / "reference.py").read_text().splitlines() if line.startswith("# ---")]
    text = "\n".join(code(document)).splitlines()
    assert [line for line in text if line.startswith("# ---")] == comments


def test_every_part_is_explained(document: dict[str, Any]) -> None:
    kinds = [cell["cell_type"] for cell in document["cells"]]
    assert kinds[0] == "markdown"
    words = "\n".join("".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == "markdown")
    explained = (ROOT / "web" / "src" / "explain" / "reference.md").read_text(encoding="utf-8").splitlines()
    for line in explained:
        if line.startswith("## "):
            assert f"### {line[3:]}\n" in words
        elif line.startswith("# "):
            assert f"## {line[2:]}\n" in words
    assert not re.search(r"\{\w+\}", words)  # no placeholder is left


def test_the_file_is_a_valid_notebook(document: dict[str, Any]) -> None:
    """Every cell has the keys that nbformat 4.5 requires, and no others."""
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(set(id) <= set(string.ascii_letters + string.digits + "-_") and len(id) <= 64 for id in ids)
    for cell in document["cells"]:
        more = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | more
        assert all(line.endswith("\n") for line in cell["source"][:-1])


class StopTrainingError(Exception):
    """Ends the training after enough steps."""


def test_the_cells_train_the_published_run(
    document: dict[str, Any], names_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All cells run in one namespace, as in a notebook; training stops after the first losses."""
    shutil.copy(names_file, tmp_path / "input.txt")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__", "print": lambda *_: None}
    *before, last = code(document)
    for cell in before:
        exec(cell, namespace)
    losses, of_document = [], namespace["loss"]

    def listening(*arguments: Any) -> Any:
        if len(losses) == STEPS:
            raise StopTrainingError
        value = of_document(*arguments)
        losses.append(value.data)
        return value

    namespace["loss"] = listening
    try:
        with pytest.raises(StopTrainingError):
            exec(last, namespace)
    finally:
        gc.enable()
    assert losses == pytest.approx(golden("final")["losses"][:STEPS], rel=0, abs=1e-12)
