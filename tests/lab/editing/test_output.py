"""Running a program: what it prints, the losses in its output, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config
from microgpt.lab.editing import output
from microgpt.runs.run import Run

from lab.editing.changed_source import FILE


def run(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[str, Any, list[Any]]:
    """Return what a program prints, how it ended, and the pieces of its output."""
    monkeypatch.chdir(tmp_path)
    pieces: list[Any] = []
    ended = json.loads(output.run(source, None, lambda piece: pieces.append(json.loads(piece)), **options))
    assert not list(tmp_path.iterdir())
    return "".join(piece["text"] for piece in pieces), ended, pieces


def test_a_program_prints_what_python_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, ended, pieces = run(FILE, tmp_path, monkeypatch, steps=4)
    losses = [loss for piece in pieces for loss in piece["losses"]]
    own = Run.begin("names", Config(), engine="scalar")
    assert losses == [round(step.loss, 4) for step in own.steps(until=4)]
    assert text.startswith(f"num docs: {len(own.data)}\nvocab size: 27\nnum params: 4192\nstep    1 / 1000 | loss ")
    assert ended["error"] == ""


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("x = (\n", 1, "SyntaxError: '(' was never closed"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("def f(n): return f(n)\nf(1)\n", 1, "RecursionError"),
        ("import sys\nsys.exit(3)\n", 0, "sys.exit(3)"),
    ],
)
def test_a_traceback_is_reduced_to_the_programs_own_lines(
    source: str, line: int, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ended, _ = run(source, tmp_path, monkeypatch)
    assert error in ended["error"]
    assert ended["line"] == line
    assert "running.py" not in ended["error"]
    assert "json/" not in ended["error"]


def test_a_flood_of_lines_is_counted_but_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, ended, pieces = run("for i in range(300000): print(i)", tmp_path, monkeypatch)
    assert len(text) <= output.MAX_CHARACTERS
    assert text.count("\n") + pieces[-1]["more"] == pytest.approx(300_000, abs=1)
    assert ended["error"] == ""


def test_a_program_may_remove_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import os\nfor name in ('reference.py', 'names.txt'): os.remove(name)\nprint('gone')\n"
    text, ended, _ = run(source, tmp_path, monkeypatch)
    assert text == "gone\n"
    assert ended["error"] == ""


@pytest.mark.parametrize(
    ("line", "losses"),
    [
        ("step    1 / 1000 | loss 3.3660", [3.366]),
        ("loss: 2.", [2.0]),
        ("the loss .5, then loss 7", [0.5]),
        ("loss -1.5e-3 nats", [-0.0015]),
        ("loss 1e+05", [1e5]),
        ("loss 1E5", [1e5]),
        ("loss 1.2.3", []),
        ("loss 3e5e5", []),
        ("loss ...", []),
        ("loss nan, at last loss 3", []),
        ("loss 1e999", []),
        ("gloss 3", []),
        ("x" * output.MAX_LINE + " loss 3", []),
    ],
)
def test_a_loss_is_a_number_after_its_name(
    line: str, losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, ended, pieces = run(f"print({line!r})\nprint('on')", tmp_path, monkeypatch)
    assert [loss for piece in pieces for loss in piece["losses"]] == losses
    assert text == f"{line}\non\n"
    assert ended["error"] == ""


@pytest.mark.parametrize("wide", ["print('x' * 999)", "print('x' * 999, end='')"])
def test_the_steps_of_a_program_that_prints_much_are_counted_to_the_end(
    wide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"for i in range(500):\n    {wide}\n    print()\n    print('loss', i)\nraise KeyError('never stopped')"
    text, ended, pieces = run(source, tmp_path, monkeypatch, steps=450)
    assert len(text) == output.MAX_CHARACTERS
    assert [loss for piece in pieces for loss in piece["losses"]] == list(range(450))
    assert ended["error"] == ""


def test_a_program_reads_the_users_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pieces: list[Any] = []
    output.run(FILE, "aa\nbb\n", lambda piece: pieces.append(json.loads(piece)), steps=1)
    assert "num docs: 2\nvocab size: 3\n" in "".join(piece["text"] for piece in pieces)
