"""The entry point: the version, `python -m microgpt`, and a closed pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import microgpt as package

from cli.commands import SMALL, Answer, Microgpt, metrics
from conftest import clean_environment

# --- Help


def test_the_version_is_the_version_of_the_package(microgpt: Microgpt) -> None:
    assert microgpt("--version") == (0, package.__version__ + "\n", "")


def test_python_m_microgpt_is_the_command(here: Path) -> None:
    def outside(*args: str) -> Answer:
        command = [sys.executable, "-m", "microgpt", *args]
        done = subprocess.run(command, cwd=here, env=clean_environment(), capture_output=True, text=True)
        return Answer(done.returncode, done.stdout, done.stderr)

    assert outside("--version") == (0, package.__version__ + "\n", "")
    message = "error: cannot read 'nowhere.txt': no such file; specify a text file or a data set (names, makemore)\n"
    assert outside("train", "nowhere.txt") == (2, "", message)


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
