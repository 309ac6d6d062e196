"""The memory that a process may use, and what does not fit in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from microgpt.system import memory


@pytest.mark.parametrize(
    ("group", "file", "limit"),
    [
        ("0::/a/b\n", "a/memory.max", "1048576\n"),
        ("0::/\n", "memory.max", "1048576\n"),
        ("4:cpu:/\n5:memory:/a\n", "memory/a/memory.limit_in_bytes", "1048576\n"),
    ],
)
def test_a_containers_limit_is_read(tmp_path: Path, group: str, file: str, limit: str) -> None:
    (tmp_path / "groups").write_text(group)
    (tmp_path / "root" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "root" / file).write_text(limit)
    assert memory._container_limit(tmp_path / "root", tmp_path / "groups") == 1 << 20
    (tmp_path / "root" / file).write_text("max\n")
    assert memory._container_limit(tmp_path / "root", tmp_path / "groups") is None


def test_a_containers_limit_counts_if_it_is_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_available", lambda: 1000)
    monkeypatch.setattr(memory, "_container_limit", lambda: 10)
    assert memory.free_memory() == 10
    monkeypatch.setattr(memory, "_container_limit", lambda: None)
    assert memory.free_memory() == 1000


def test_where_memory_is_unknown_everything_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "emscripten")
    assert memory.free_memory() is None
    memory.check_fits(2**80, "n=1", "request fewer")
