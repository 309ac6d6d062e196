"""Every field of a line of metrics is checked."""

from __future__ import annotations

import itertools
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from microgpt.errors import RunError
from microgpt.runs.metrics import read_metrics

WRONG: list[Any] = ["x", [], {}, True, math.nan, math.inf, 10**400]
GOOD = {"step": 1, "loss": 3.0, "learning_rate": 0.01, "tokens": 5, "val_loss": 3.1}


@pytest.mark.parametrize(("field", "value"), [*itertools.product(GOOD, WRONG), ("step", 0), ("tokens", -1)])
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: Any) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, field: value}) + "\n")
    with pytest.raises(RunError, match=rf"line 2 does not describe a step \({field} must be .*\); fix that line"):
        read_metrics(path)


def test_lines_with_only_a_step_and_a_loss_are_read_unchanged(tmp_path: Path) -> None:
    lines = [{"step": 1, "loss": 3.0}, {**GOOD, "later": 1}, {**GOOD, "val_loss": None}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_metrics(tmp_path / "metrics.jsonl") == lines


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(OSError, match="not a regular file"):
        read_metrics(tmp_path / "metrics.jsonl")
