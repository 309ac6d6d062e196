"""A power failure at any moment leaves a whole checkpoint, and metrics that are not behind it."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run

from conftest import TINY, whole
from runs.training import DOCUMENTS, contents, trained


class Disk:
    """A disk that records a folder's writes and renames, and which of them a power failure can undo.

    A file's content survives once the file is synced, and its name once the folder is. Until then, each write and each
    change of a name may or may not reach the disk, in any combination: zeros are in the place of a lost write.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.moments = folder, list[tuple[dict[str, int], list[Any], dict[int, list[Any]], int]]()
        self.names: dict[str, int] = {}  # safely on disk: name -> file
        self.changes: list[tuple[str, int | None]] | list[Any] = []  # not synced: groups of (name, file or None)
        self.now: dict[str, int] = {}
        self.writes: dict[int, list[list[Any]]] = {}  # file -> [content, whether it is synced]
        self.open: dict[int, int] = {}  # descriptor -> file
        self.saved = -1  # the step of the last checkpoint that is said to be on disk
        replace, unlink, fsync, os_open = Path.replace, Path.unlink, os.fsync, os.open
        disk = self

        class File:
            def __init__(self, file: Any, number: int) -> None:
                self.file, self.number = file, number

            def write(self, content: Any) -> Any:
                raw = content.encode() if isinstance(content, str) else bytes(content)
                disk.writes[self.number].append([raw, False])
                disk.moment()
                return self.file.write(content)

            def writelines(self, lines: Any) -> None:
                for line in lines:
                    self.write(line)

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            def __enter__(self) -> File:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

        def recorded_open(path: Path, mode: str, **options: Any) -> Any:
            file = open(path, mode, **options)  # noqa: PTH123, SIM115
            if path.name.endswith(".lock"):
                return file
            if path.name not in disk.now:
                number = len(disk.writes)
                disk.writes[number] = []
                disk.change((path.name, number))
            disk.open[file.fileno()] = disk.now[path.name]
            return File(file, disk.now[path.name])

        def recorded_replace(path: Path, target: Path) -> Path:
            disk.change((target.name, disk.now[path.name]), (path.name, None))
            return replace(path, target)

        def recorded_unlink(path: Path, missing_ok: bool = False) -> None:
            if path.name in disk.now:
                disk.change((path.name, None))
            unlink(path, missing_ok=missing_ok)

        def recorded_os_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            descriptor = os_open(path, flags, *arguments, **options)
            disk.open[descriptor] = -1 if Path(path) == folder else -2
            return descriptor

        def recorded_fsync(descriptor: int) -> None:
            fsync(descriptor)
            number = disk.open[descriptor]
            if number == -1:
                disk.names, disk.changes = dict(disk.now), []
            elif number >= 0:
                for write in disk.writes[number]:
                    write[1] = True
            disk.moment()

        monkeypatch.setattr("microgpt.system.files.open", recorded_open, raising=False)
        monkeypatch.setattr(Path, "replace", recorded_replace)
        monkeypatch.setattr(Path, "unlink", recorded_unlink)
        monkeypatch.setattr(os, "open", recorded_os_open)
        monkeypatch.setattr(os, "fsync", recorded_fsync)

    def change(self, *names: tuple[str, int | None]) -> None:
        """Change names, all at once."""
        self.changes = [*self.changes, names]
        for name, number in names:
            if number is None:
                self.now.pop(name, None)
            else:
                self.now[name] = number
        self.moment()

    def moment(self) -> None:
        """Remember the disk as it is now."""
        reachable = {*self.names.values(), *(number for names in self.changes for _, number in names)} - {None}
        writes = {number: [tuple(write) for write in self.writes[number]] for number in reachable}
        self.moments.append((dict(self.names), list(self.changes), writes, self.saved))

    def failures(self, rng: random.Random, most: int) -> Iterator[tuple[dict[str, bytes], int]]:
        """Yield what each failure can leave, and the step that must not be lost."""
        for names, changes, writes, saved in self.moments:
            pending = len(changes) + sum(not synced for content in writes.values() for _, synced in content)
            if 2**pending <= most:
                choices: Any = itertools.product((False, True), repeat=pending)
            else:
                choices = ([rng.random() < share for _ in range(pending)] for share in [rng.random()] * most)
            for choice in choices:
                kept = iter(choice)
                found = dict(names)
                for change in changes:
                    if next(kept):
                        for name, number in change:
                            found.pop(name, None) if number is None else found.update({name: number})
                files = {}
                for number, content in writes.items():
                    parts = [(part, synced or next(kept)) for part, synced in content]
                    while parts and not parts[-1][1]:
                        parts.pop()
                    files[number] = b"".join(part if is_kept else bytes(len(part)) for part, is_kept in parts)
                yield {name: files[number] for name, number in found.items()}, saved


@pytest.mark.parametrize("most", [4, whole(2**12)])
def test_a_power_failure_at_any_moment_loses_no_checkpoint(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: random.Random
) -> None:
    config, path = TINY.replace(num_steps=6, n_embd=2, n_head=1), tmp_path / "run"
    expected = trained(config, tmp_path / "whole", checkpoint_every=2)
    with monkeypatch.context() as patch:
        disk = Disk(path, patch)
        save = Folder.save

        def noted(folder: Folder) -> None:
            save(folder)
            disk.saved = folder.run.step
            disk.moment()

        patch.setattr(Folder, "save", noted)
        with Folder.create(path, Run.begin(DOCUMENTS, config)) as folder:
            for step in folder.train(checkpoint_every=2):
                if step.step == 3:
                    break
        with Folder.resume(path, source=DOCUMENTS) as folder:
            for _ in folder.train(checkpoint_every=2):
                pass
    assert contents(path) == expected
    seen: set[Any] = set()
    for found, saved in disk.failures(rng, most):
        key = frozenset(item for item in found.items() if not item[0].endswith(".tmp")), saved
        if key in seen:
            continue
        seen.add(key)
        left = tmp_path / "left"
        left.mkdir(exist_ok=True)
        for old in left.iterdir():
            old.unlink()
        for name, content in found.items():
            (left / name).write_bytes(content)
        if "model.safetensors" not in found:
            assert saved == -1, "a checkpoint was lost"
            continue
        step = microgpt.load(left).step  # raises if the checkpoint is damaged
        assert step >= saved, "a checkpoint went back"
        if "metrics.jsonl" in found:
            assert [line["step"] for line in read_metrics(left / "metrics.jsonl", step)] == [*range(1, step + 1)]
        else:
            assert step == 0
        if len(seen) % 5 == 0:
            with Folder.resume(left, source=DOCUMENTS) as folder:
                for _ in folder.train():
                    pass
            assert contents(left) == expected
    print(f"{len(disk.moments)} moments, {len(seen)} different disks")
    assert len(seen) > 10


def test_what_a_power_failure_leaves_after_the_last_checkpoint_is_dropped(tmp_path: Path) -> None:
    expected = trained(TINY, tmp_path / "whole")
    with Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY)) as folder:
        for step in folder.train(checkpoint_every=4):
            if step.step == 4:
                break
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(bytes(100) + b'\n{"step": 6, "loss"\n')  # the file has grown, but its content is not on disk
    with Folder.resume(tmp_path / "run", source=DOCUMENTS) as folder:
        for _ in folder.train():
            pass
    assert contents(tmp_path / "run") == expected
