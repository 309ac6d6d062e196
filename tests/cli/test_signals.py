"""Ctrl-C, SIGTERM and SIGHUP: a run stops, is saved, and can be resumed."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from microgpt.cli import display, signals

from cli.commands import SMALL, Microgpt, Reference, contents, metrics, names, numbered
from conftest import clean_environment

LONG = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 600"  # about two seconds


PRESSED = """
import signal, sys
from microgpt.__main__ import main

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["microgpt.cli.main", "microgpt.cli.train", "microgpt.runs.run"])
def test_ctrl_c_during_an_import_prints_no_traceback(module: str) -> None:
    code = f"MODULE = {module!r}\n{PRESSED}"
    command = [sys.executable, "-c", code, "train"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: stopped\n")


WAITING = """  # the command, made to wait after its third step
import signal, sys
from microgpt.__main__ import main
from microgpt.runs.folder import Folder
train = Folder.train
def waits(*arguments, **options):
    for step in train(*arguments, **options):
        if step.step == 3:
            print("here", flush=True)
            if sys.stdin.readline() == "raise_hangup\\n":
                signal.raise_signal(signal.SIGHUP)
        yield step
Folder.train = waits
sys.exit(main())
"""


def waiting(*arguments: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a command that trains in this folder, and return its process when it waits after its third step."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", WAITING, "train", "words.txt", *arguments],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stopped_process_prints_a_command_that_resumes_bit_for_bit(
    here: Path, microgpt: Microgpt, name: str, status: int
) -> None:
    process = waiting(*LONG.split(), "--out", "stopped")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate("go on\n")
    assert (process.returncode, out) == (status, "")
    match = re.fullmatch(r"stopped and saved after step (\d+); resume with: microgpt (.*)", err.splitlines()[-1])
    assert match, err
    assert match[1] == "3"
    assert [step["step"] for step in metrics(here / "stopped")] == list(range(1, int(match[1]) + 1))

    again = microgpt(match[2])
    assert again.status == 0
    assert f"resumed after step {match[1]} of 600" in again.err
    uninterrupted = microgpt(f"train words.txt {LONG} --out whole --quiet")
    assert again.out == uninterrupted.out
    assert contents(here / "stopped") == contents(here / "whole")


DESERTED = """  # a process that waits for another one, which is dead
import signal, sys, threading
from pathlib import Path
from types import SimpleNamespace
from microgpt.cli import signals
signals.GRACE = 0.01
folder = SimpleNamespace(path=Path(), run=SimpleNamespace(engine=SimpleNamespace(world_size=2, rank=1)))
with signals.signals(), signals.not_waiting_for_the_dead(folder):
    signal.raise_signal(getattr(signal, sys.argv[1]))
    threading.Event().wait(120)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("is_read", [True, False], ids=["stderr is read", "the reader of stderr is gone"])
def test_a_process_that_waits_for_another_ends_on_request(name: str, is_read: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DESERTED, name], env=clean_environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    if is_read:
        end = "the first process reports where the last checkpoint is"
        message = f"error: stopped while waiting for another process; {end}\n"
        assert process.stderr.read() == message
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
@pytest.mark.parametrize("first", ["SIGHUP", "SIGTERM", "SIGINT"])
def test_a_hangup_after_the_first_signal_does_not_prevent_saving(here: Path, first: str) -> None:
    """When a terminal is closed, the shell and the system each send one."""
    process = waiting(*LONG.split(), "--out", "stopped")
    assert process.stdin is not None
    process.send_signal(getattr(signal, first))
    process.stdin.write("raise_hangup\n")
    _, err = process.communicate()
    assert process.returncode == 128 + getattr(signal, first)
    assert "stopped and saved after step 3; resume with: " in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_nohup_keeps_training_after_a_hangup(here: Path) -> None:
    process = waiting(*SMALL.split(), "--out", "run", before=["nohup"])
    process.send_signal(signal.SIGHUP)
    process.communicate("go on\n")
    assert process.returncode == 0
    assert len(metrics(here / "run")) == 12


@pytest.mark.sampled(5)
@pytest.mark.parametrize("at", [1, 5, 11])
@pytest.mark.parametrize(
    ("out", "options"),
    [
        ("plain", ""),
        ("my run", ""),
        ("held-out", "--val-fraction 0.25"),
        ("often", "--val-fraction 0.25 --validate-every 3"),
        ("batches", "--batch-size 3 --micro-batch-size 2"),
        ("stream", "--documents stream"),
    ],
    ids=["plain", "a space in the name", "held out", "held out, measured often", "batches", "stream"],
)
def test_the_command_that_a_stopped_run_prints_gives_the_files_of_an_uninterrupted_run(
    here: Path,
    microgpt: Microgpt,
    stop_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    out: str,
    options: str,
) -> None:
    command = f"train words.txt {SMALL} {options} --quiet --checkpoint-every 1"
    with monkeypatch.context() as here_only:
        expected = microgpt(f"{command} --out whole")
        assert expected.status == 0
        stop_at(at)
        stopped = microgpt(f"{command} --out {shlex.quote(out)}")
        here_only.undo()
    assert stopped.status == 130
    message = stopped.err.splitlines()[-1]
    assert message.startswith(f"stopped and saved after step {at}; resume with: microgpt train ")
    monkeypatch.setattr(display.Quiet, "step", lambda self, step: None)
    again = microgpt(message.partition("resume with: microgpt ")[2] + " --quiet")
    assert again == (0, expected.out, "")
    assert contents(here / out) == contents(here / "whole")


def test_a_run_that_is_stopped_at_its_last_step_is_complete(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None], truth: Reference
) -> None:
    stop_at(12)
    assert microgpt(f"train words.txt {SMALL} --quiet") == (0, numbered(truth.after_training), "")


def test_the_first_signal_is_recorded_and_the_second_acts_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[int] = []

    def twice() -> None:
        with signals.signals() as caught:
            signal.raise_signal(signal.SIGINT)
            seen.extend(caught)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_training_leaves_no_traceback_and_no_folder(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("microgpt.runs.training_data.load_data", interrupted)
    result = microgpt(f"train words.txt {SMALL}")
    assert (result.status, result.out) == (130, "")
    assert result.err.strip() in ("", "error: stopped")
    assert names(here) == ["words.txt"]
