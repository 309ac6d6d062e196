"""Fixtures of the command tests: a folder with a text, a trained run, and the same run by the reference."""

from __future__ import annotations

import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt.cli import display
from microgpt.cli import main as cli

from cli.commands import SMALL, WORDS, Microgpt, Reference, Result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new current folder that contains words.txt."""
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("".join(word + "\n" for word in WORDS))
    return tmp_path


@pytest.fixture
def microgpt(capsys: pytest.CaptureFixture[str]) -> Microgpt:
    """Run a command in this process: `microgpt("train words.txt")`."""

    def call(line: str) -> Result:
        capsys.readouterr()
        status = cli.main(shlex.split(line))
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with words.txt and a run trained on it, in `run`. Read-only: the fixture `run` is a copy to change."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "words.txt").write_text("".join(word + "\n" for word in WORDS))
    assert cli.main(["train", str(folder / "words.txt"), *SMALL.split(), "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def run(trained: Path, here: Path) -> Path:
    """A copy of the trained run; its training data is still the words.txt of `trained`."""
    shutil.copytree(trained / "run", here / "run")
    return here / "run"


@pytest.fixture(scope="session")
def truth() -> Reference:
    """The reference's version of `trained`."""
    return Reference.of_words()


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, signal.Signals], None]:
    """Send this process a signal after a given step (with --quiet)."""

    def arm(at: int, number: signal.Signals = signal.SIGINT) -> None:
        def step(self: object, step: Any) -> None:
            if step.step == at:
                signal.raise_signal(number)

        monkeypatch.setattr(display.Quiet, "step", step)

    return arm
