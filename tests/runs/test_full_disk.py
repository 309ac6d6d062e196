"""A disk that fails at any write does not lose a checkpoint."""

from __future__ import annotations

import errno
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.errors import RunError
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
from microgpt.system import safetensors

from conftest import TINY, whole
from runs.training import DOCUMENTS, contents, trained

every_write = pytest.mark.parametrize("every", [4, whole(1)])  # the quick test fails at every fourth write


class FailingDisk:
    """A disk that allows `allowed` changes, and then fails every further one: no space is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed, self.count = sys.maxsize, 0
        replace, fsync = Path.replace, safetensors.os.fsync
        disk = self

        class File:
            def __init__(self, file: Any) -> None:
                self.file = file

            def write(self, content: Any) -> Any:
                disk.spend()
                return self.file.write(content)

            def writelines(self, lines: Any) -> None:
                for line in lines:
                    self.write(line)

            def flush(self) -> None:
                disk.spend()
                self.file.flush()

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            def __enter__(self) -> File:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            def __iter__(self) -> Iterator[Any]:
                return iter(self.file)

        def failing_open(*args: Any, **options: Any) -> Any:
            disk.spend()
            return File(open(*args, **options))  # noqa: PTH123

        def failing_replace(path: Path, target: Path) -> Path:
            disk.spend()
            return replace(path, target)

        def failing_fsync(descriptor: int) -> None:
            disk.spend()
            fsync(descriptor)

        monkeypatch.setattr("microgpt.system.files.open", failing_open, raising=False)
        monkeypatch.setattr(Path, "replace", failing_replace)
        monkeypatch.setattr(safetensors.os, "fsync", failing_fsync)

    def spend(self) -> None:
        self.count += 1
        if self.count > self.allowed:
            raise OSError(errno.ENOSPC, "No space left on device")


@every_write
def test_a_disk_that_is_full_at_any_write_does_not_lose_a_checkpoint(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random
) -> None:
    config = TINY.replace(num_steps=6)
    whole = trained(config, tmp_path / "whole", checkpoint_every=2)
    disk = FailingDisk(monkeypatch)
    trained(config, tmp_path / "counted", checkpoint_every=2)
    writes = disk.count
    assert writes > 40
    loaded = 0
    for allowed in range(rng.randrange(every), writes, every):
        disk.count, disk.allowed = 0, allowed
        path = tmp_path / f"full{allowed}"
        try:  # only the last operation, the sync of the folder, may fail without an error
            assert trained(config, path, checkpoint_every=2) == whole
            assert allowed == writes - 1
        except (OSError, RunError) as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        disk.allowed = sys.maxsize
        assert [p for p in path.glob(".*") if p.suffix == ".tmp"] == []
        if (path / "model.safetensors").exists():
            loaded += 1
            for _ in Folder.resume(path, source=DOCUMENTS).train(checkpoint_every=2):
                pass
            assert contents(path) == whole, f"after {allowed} writes"
    print(f"{writes} writes failed in turn; {loaded} times there was a checkpoint, and it was intact")


@every_write
def test_a_disk_that_is_full_while_resuming_does_not_lose_a_checkpoint(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random
) -> None:
    config = TINY.replace(num_steps=6)
    whole = trained(config, tmp_path / "whole", checkpoint_every=2)
    with Folder.create(tmp_path / "stopped", Run.begin(DOCUMENTS, config)) as folder:
        for step in folder.train(checkpoint_every=2):
            if step.step == 3:  # the metrics are ahead of the checkpoint
                break
    disk = FailingDisk(monkeypatch)

    def resumed(path: Path) -> dict[str, bytes]:
        with Folder.resume(path, source=DOCUMENTS) as folder:
            for _ in folder.train(checkpoint_every=2):
                pass
        return contents(path)

    shutil.copytree(tmp_path / "stopped", tmp_path / "counted")
    disk.count = 0
    assert resumed(tmp_path / "counted") == whole
    writes = disk.count
    assert writes > 20
    for allowed in range(rng.randrange(every), writes, every):
        path = tmp_path / f"full{allowed}"
        shutil.copytree(tmp_path / "stopped", path)
        disk.count, disk.allowed = 0, allowed
        try:
            assert resumed(path) == whole
            assert allowed == writes - 1
        except (OSError, RunError) as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        disk.allowed = sys.maxsize
        assert [p.name for p in path.glob(".*")] == []
        assert microgpt.load(path).step >= 2
        assert resumed(path) == whole, f"after {allowed} writes"
    print(f"{writes} writes failed in turn")
