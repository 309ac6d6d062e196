"""Fixtures of the checkpoint tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from microgpt.runs import checkpoint as checkpoints

from runs.checkpoints import example


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A valid checkpoint."""
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, example())
    return path
