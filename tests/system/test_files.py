"""Atomic writes: whichever call fails, a file is either complete or unchanged."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from microgpt.system.files import atomic, open_own, open_regular, read_bytes, sha256, sweep
from microgpt.system.safetensors import Tensor, read, write

from system.packages import facts, written

OLD = {"a": Tensor("F32", (1,), b"old.")}
NEW = {"a": Tensor("F32", (2,), b"newer..."), "b": Tensor("F32", (1,), b"!!!!")}


class Disk:
    """Counts the system calls that write a file, and makes number `fail_at` fail as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
        self.fail_at, self.calls = fail_at, list[str]()
        replace = Path.replace

        def open_file(*args: Any, **kwargs: Any) -> Any:
            return File(self.call("open", open, *args, **kwargs), self)

        monkeypatch.setattr("microgpt.system.files.open", open_file, raising=False)
        monkeypatch.setattr(Path, "replace", lambda *args: self.call("replace", replace, *args))
        for name in ("fsync", "open", "close"):
            monkeypatch.setattr(os, name, self.counted(f"os.{name}", getattr(os, name)))

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.call(name, function, *args, **kwargs)

    def call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self.fail_at + 1:
            if name == "os.close":  # a descriptor is released even if closing it fails
                function(*args)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args, **kwargs)


class File:
    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.file, name)
        return self.disk.counted(name, value) if name in ("write", "flush", "close") else value


def test_whichever_call_fails_the_file_is_intact_and_no_other_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    failed = {}
    for fail_at in range(50):
        write(path, OLD)
        with monkeypatch.context() as patch:
            disk = Disk(patch, fail_at)
            try:
                write(path, NEW)
            except OSError as error:
                failed[fail_at] = disk.calls[fail_at], error.errno
        replaced = "replace" in disk.calls[:fail_at]  # after that, only the sync of the folder can fail
        assert replaced or fail_at in failed
        assert facts(read(path)[0]) == facts(NEW if replaced else OLD), disk.calls
        assert list(tmp_path.iterdir()) == [path], disk.calls
        if len(disk.calls) <= fail_at:
            break
    else:
        pytest.fail("the file was never written")
    assert {error for _, error in failed.values()} == {errno.ENOSPC}
    names = [name for name, _ in failed.values()]
    assert {"open", "write", "flush", "os.fsync", "close", "replace"} <= set(names)
    assert names.count("write") >= 3  # the header and each tensor


def test_the_new_file_is_synced_before_it_replaces_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, fail_at=-1)
        write(tmp_path / "x", NEW)
    at = {name: i for i, name in reversed(list(enumerate(disk.calls)))}  # the first call of each name
    last_write = max(i for i, name in enumerate(disk.calls) if name == "write")
    assert last_write < at["flush"] < at["os.fsync"] < at["replace"], disk.calls
    assert "os.fsync" in disk.calls[at["replace"] :], (
        disk.calls
    )  # the folder's sync, so that the rename survives a crash


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Limit all files to `size` bytes, so that the system refuses in the middle of a write.

    Python ignores the signal of that limit, so an OSError is raised.
    """
    resource = pytest.importorskip("resource", reason="this system has no limit for the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_after_any_byte_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = written(path, NEW)
    write(path, OLD)
    for size in range(len(content)):
        with files_end_at(size), pytest.raises(OSError, match=re.escape(os.strerror(errno.EFBIG))):
            write(path, NEW)
        assert facts(read(path)[0]) == facts(OLD)
        assert list(tmp_path.iterdir()) == [path]
    with files_end_at(len(content)):
        write(path, NEW)
    assert path.read_bytes() == content


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(stop), atomic(path) as file:  # noqa: PT012
        file.write(b"new")
        raise stop
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_through_a_symbolic_link(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_bytes(b"precious")
    folder.mkdir()
    for name in ("x", f".x.{os.getpid()}.tmp", "y"):
        (folder / name).symlink_to(victim)
    with atomic(folder / "x") as file:
        file.write(b"new")
    assert (folder / "x").read_bytes() == b"new"
    assert not (folder / "x").is_symlink()
    for mode in ("ab", "wb", "a+b", "xb"):
        with pytest.raises(OSError, match=re.escape(f"{folder / 'y'}")):
            open_own(folder / "y", mode)
    assert victim.read_bytes() == b"precious"


def test_two_writers_of_a_file_do_not_share_an_incomplete_file(tmp_path: Path) -> None:
    with atomic(tmp_path / "x") as one, atomic(tmp_path / "x") as other:
        one.write(b"one")
        other.write(b"the other")
    assert (tmp_path / "x").read_bytes() == b"one"


def test_only_incomplete_files_are_swept(tmp_path: Path) -> None:
    mine = [".notes.tmp", "a.0123456789abcdef.tmp", ".config.json.12x.tmp"]
    for name in [*mine, ".model.safetensors.4711.tmp", ".model.safetensors.0123456789abcdef.tmp"]:
        (tmp_path / name).touch()
    (tmp_path / ".folder.1.tmp").mkdir()
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*mine, ".folder.1.tmp"])


def test_a_folder_that_becomes_unwritable_does_not_hide_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with pytest.raises(RuntimeError, match="the first error"), atomic(tmp_path / "x"):  # noqa: PT012
        monkeypatch.setattr(Path, "unlink", refuse)
        raise RuntimeError("the first error")


def test_a_failed_write_does_not_create_a_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic(tmp_path / "x") as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing" / "x", NEW)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(path)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "link")
    (tmp_path / "file").write_bytes(b"emma")
    assert read_bytes(tmp_path / "link") == b"emma"
    assert sha256(tmp_path / "link") == hashlib.sha256(b"emma").hexdigest()
