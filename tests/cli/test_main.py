"""The entry point: the version, `python -m microgpt`, and a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import microgpt as package
from microgpt.cli.main import COMMANDS

from cli.commands import SMALL, Microgpt, Result, metrics
from conftest import HEAVY, clean_environment

# --- Help


def test_the_version_is_the_version_of_the_package(microgpt: Microgpt) -> None:
    assert microgpt("--version") == (0, package.__version__ + "\n", "")


def test_python_m_microgpt_is_the_command(here: Path) -> None:
    def outside(*args: str) -> Result:
        command = [sys.executable, "-m", "microgpt", *args]
        done = subprocess.run(command, cwd=here, env=clean_environment(), capture_output=True, text=True)
        return Result(done.returncode, done.stdout, done.stderr)

    assert outside("--version") == (0, package.__version__ + "\n", "")
    sets = "names, makemore, shakespeare"
    message = f"error: cannot read 'nowhere.txt': no such file; specify a text file or a data set ({sets})\n"
    assert outside("train", "nowhere.txt") == (2, "", message)


# --- What a command loads

LOADED = """
import sys
from microgpt.cli.main import main
status = main(sys.argv[1:])
print(status, *sys.modules, file=sys.stderr)
"""
FOREIGN = {"typer", "click", "pydantic", "rich"}


def loaded(here: Path, line: str) -> set[str]:
    """Return the modules that a command loads."""
    command = [sys.executable, "-c", LOADED, *line.split()]
    done = subprocess.run(command, cwd=here, env=clean_environment(), capture_output=True, text=True, check=True)
    status, *modules = done.stderr.splitlines()[-1].split()
    assert status == "0", done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "train --help",
        f"train words.txt {SMALL} --quiet",
        f"train words.txt {SMALL}",
        f"train words.txt {SMALL} --json",
        "sample run -n 2",
        "evaluate run --num-samples 2",
        "info run",
        "graph ann run",
        "prepare words.txt -o data",
    ],
)
def test_a_command_that_draws_nothing_loads_no_other_package(line: str, run: Path, here: Path) -> None:
    assert not loaded(here, line) & (FOREIGN | HEAVY)


@pytest.mark.parametrize("line", ["", "--help", "--version"])
def test_the_list_of_commands_loads_no_command_and_no_parser(line: str, here: Path) -> None:
    modules = loaded(here, line)
    assert not modules & {"argparse", "microgpt.config", *(f"microgpt.cli.{command}" for command in COMMANDS)}


def test_a_command_loads_no_other_command(here: Path) -> None:
    modules = loaded(here, "train --help")
    assert [command for command in COMMANDS if f"microgpt.cli.{command}" in modules] == ["train"]


# --- A closed pipe


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
@pytest.mark.parametrize(
    "line",
    ["sample run -n 50", "sample run --json", "evaluate run --num-samples 2", "info run", "--help", "--version"],
)
def test_a_broken_pipe_prints_no_traceback(line: str, run: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", *line.split()],
        env=clean_environment(),
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
def test_training_into_a_broken_pipe_leaves_a_complete_checkpoint(here: Path, microgpt: Microgpt) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", "train", "words.txt", *SMALL.split(), "--json", "--out", "run"],
        env=clean_environment(),
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writes)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert microgpt("train --resume --out run --quiet").status == 0
    assert len(metrics(here / "run")) == 12


def test_an_error_without_a_text_names_the_cause(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("microgpt.runs.run.Run.begin", begin)
    message = "error: there is not enough memory: choose a smaller model, batch or text, or close other programs\n"
    assert microgpt("train words.txt") == (2, "", message)
