"""Fixtures of the data tests: text files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes | str], Path]:
    """Write a text to a file, and return its path."""

    def write(content: bytes | str) -> Path:
        path = tmp_path / "text.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
