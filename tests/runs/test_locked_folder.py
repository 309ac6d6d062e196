"""At most one process trains in a folder."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import microgpt
from microgpt.errors import RunError
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run

from conftest import TINY, clean_environment
from runs.training import DOCUMENTS, TRAIN, contents


def test_only_one_process_at_a_time_trains_in_a_folder(tmp_path: Path) -> None:
    documents, path = tmp_path / "documents.txt", tmp_path / "run"
    documents.write_text("\n".join(DOCUMENTS))
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(path), str(documents), "100000", "never", "0"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    run = Run.begin(documents, TINY)
    message = re.escape(
        f"out={str(path)!r} is in use by process {process.pid}: wait until the process exits, or stop it"
    )
    locks = list(path.glob("*.lock"))
    for _ in range(3):
        with pytest.raises(RunError, match=message):
            Folder.resume(path)
        with pytest.raises(RunError, match=message):
            Folder.create(path, run, overwrite=True)
    assert list(path.glob("*.lock")) == locks
    assert len(locks) == 1
    while microgpt.load(path, checkpoint="last").step == 0:  # reading needs no lock
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    assert list(path.glob("*.lock")) == locks  # nothing has removed it
    steps = microgpt.load(path, checkpoint="last").step
    assert steps > 0
    with Folder.resume(path) as folder:
        assert folder.run.step == steps
    assert list(path.glob("*.lock")) == []


def test_a_lock_is_released_with_its_folder_object(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY))
    assert len(list((tmp_path / "run").glob("*.lock"))) == 1
    again = Folder.resume(tmp_path / "run", source=DOCUMENTS)  # by the same process
    folder.close()
    assert len(list((tmp_path / "run").glob("*.lock"))) == 1
    del again
    gc.collect()
    assert list((tmp_path / "run").glob("*.lock")) == []


def test_at_most_one_of_many_processes_that_begin_at_once_gets_the_lock(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from microgpt.errors import LockedError
from microgpt.system.locks import Lock
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = Lock(Path(sys.argv[1]))
    print("mine", flush=True)
except LockedError:
    print("another's", flush=True)
sys.stdin.read()  # keep the lock until all have tried
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes if process.stdin and process.stdout]
    assert [out.readline() for _, out in pipes] == ["ready\n"] * 6
    for go, _ in pipes:
        go.write("\n")
        go.flush()
    answers = [out.readline().strip() for _, out in pipes]
    for process in processes:
        process.communicate()
    assert set(answers) <= {"mine", "another's"}
    assert answers.count("mine") <= 1
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from microgpt.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "limit", [1000, 25_000]
)  # bytes per file: too few for a checkpoint; enough for it, but not for the metrics
def test_a_write_that_the_system_refuses_gives_one_line(limit: int, tmp_path: Path) -> None:
    documents = tmp_path / "documents.txt"
    documents.write_text("\n".join(DOCUMENTS))
    arguments = ["train", str(documents), "--out", "run", "--n-embd", "4", "--n-head", "2", "--block-size", "4"]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments, "--checkpoint-every", "10", "--num-steps", "400"],
        cwd=tmp_path,
        env={**clean_environment(), "PYTHONDONTWRITEBYTECODE": "1"},  # the limit also applies to bytecode files
        capture_output=True,
        text=True,
    )
    last = run.stderr.splitlines()[-1]
    if limit == 1000:
        assert last == "error: cannot write to out='run': File too large; choose another folder"
        assert run.returncode == 2
        assert contents(tmp_path / "run") == {}
    else:
        assert "File too large; the last checkpoint is intact; resume with: microgpt train --out run --resume" in last
        assert run.returncode == 1
        assert 0 < microgpt.load(tmp_path / "run").step < 400


def test_a_checkpoint_that_takes_long_is_saved_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, saves = [0.0], []

    def save(folder: Folder) -> None:
        saves.append(folder.run.step)
        now[0] += 6.0

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = Run.begin(DOCUMENTS, TINY.replace(num_steps=40), engine="scalar")
    with Folder.create(tmp_path / "run", run) as folder:
        monkeypatch.setattr(Folder, "save", save)
        for _ in folder.train():
            now[0] += 10.0
    # the first after more than 30 seconds; the next after 120, of which 6 seconds are a twentieth; the last at the end
    assert saves == [5, 18, 31, 40]


def test_only_the_process_that_saves_decides_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other processes do not notice that a checkpoint takes long, and would save again after 30 seconds."""
    now, saves = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(Folder, "save", lambda folder: saves.append(folder.run.step))
    run = Run.begin(DOCUMENTS, TINY, engine="scalar")
    for _ in Folder(Path("first process"), run, run.config.num_steps, None).train():
        now[0] += 100.0
    assert saves == [TINY.num_steps]


def test_a_lost_process_is_not_reported_as_an_unwritable_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(_: Folder) -> None:
        raise ConnectionError("another process in this training run has stopped")

    monkeypatch.setattr(Folder, "save", save)
    with pytest.raises(ConnectionError, match="has stopped"):
        Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY, engine="scalar"))
