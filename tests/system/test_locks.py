"""Locks: the system holds them, whatever a lock file contains, and releases them with their process."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt.errors import LockedError
from microgpt.system import locks
from microgpt.system.locks import LOCK, Lock

from conftest import clean_environment

HOLD = """
import os, platform, sys
from pathlib import Path
from microgpt.system.locks import Lock
platform.node = lambda: sys.argv[2]
lock = Lock(Path(sys.argv[1]))
if sys.argv[3] == "fork":  # the child outlives its parent
    if os.fork():
        os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


def hold(folder: Path, machine: str = "other", how: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), machine, how],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_process_of_another_container_is_noticed(tmp_path: Path) -> None:
    """Its number means nothing here: no process, or another one, may have it."""
    process = hold(tmp_path)
    with pytest.raises(LockedError, match=f"^is in use by process {process.pid} on 'other': wait until the process"):
        Lock(tmp_path)
    (tmp_path / LOCK).write_text("999999999 nowhere\n")
    with pytest.raises(LockedError, match=r"^is in use by process 999999999 on 'nowhere': wait"):
        Lock(tmp_path)
    (tmp_path / LOCK).write_bytes(b"\xff" * 1000)
    with pytest.raises(LockedError, match=r"^is in use by another process: wait"):
        Lock(tmp_path)
    process.communicate()
    assert list(tmp_path.iterdir()) == []
    Lock(tmp_path).release()


def test_a_process_number_that_is_in_use_again_does_not_block(tmp_path: Path) -> None:
    running = os.getppid()
    (tmp_path / f".{running}.0.lock").touch()  # from an earlier version
    (tmp_path / LOCK).write_text(f"{running} {locks.platform.node()}\n")
    (tmp_path / ".mine.lock").touch()
    lock = Lock(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK, ".mine.lock"]
    lock.release()
    assert [path.name for path in tmp_path.iterdir()] == [".mine.lock"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    process = hold(tmp_path, how="fork")  # only the child has replied
    process.wait()
    Lock(tmp_path).release()
    process.communicate()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks_is_refused(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system has no flock")

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    message = f"cannot be locked: {os.strerror(number)}; choose a folder on a file system that supports locks"
    with pytest.raises(LockedError, match=f"^{re.escape(message)}"):
        Lock(tmp_path)


@pytest.mark.parametrize("link", [Path.symlink_to, os.link], ids=["symbolic", "hard"])
def test_another_file_is_not_changed_through_the_lock_file(link: Any, tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("precious")
    folder.mkdir()
    link(*((folder / LOCK, victim) if link is Path.symlink_to else (victim, folder / LOCK)))
    with pytest.raises((LockedError, OSError)):
        Lock(folder)
    assert victim.read_text() == "precious"


def test_a_holder_notices_that_its_folder_was_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    old = Lock(folder)
    assert old.is_valid()
    shutil.rmtree(folder)
    assert not old.is_valid()
    folder.mkdir()
    new = Lock(folder)
    assert not old.is_valid()
    assert new.is_valid()
    old.release()
    assert new.is_valid()  # the old holder has not removed the new file
    new.release()
    assert list(folder.iterdir()) == []


def test_lost_permissions_are_not_reported_as_a_replaced_folder_and_do_not_hide_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    lock = Lock(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", refuse)
        with pytest.raises(PermissionError):
            lock.is_valid()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        lock.release()
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    Lock(tmp_path).release()  # the file that was left behind does not block
    assert list(tmp_path.iterdir()) == []
