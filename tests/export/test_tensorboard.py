"""TensorBoard gets the same numbers as metrics.jsonl."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.runs.metrics import read_metrics

RUN = ["train", "names", "--n-embd", "4", "--n-head", "2", "--num-steps", "12", "--val-fraction", "0.1", "--quiet"]


def written(tmp_path: Path, *options: str) -> dict[tuple[str, int], float]:
    """Train a short run, and return what was written for TensorBoard: (name, step) -> number."""
    pytest.importorskip("tensorboard", reason="needs TensorBoard: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert cli.main([*RUN, *options, "--out", str(tmp_path / "run"), "--tensorboard"]) == 0
    shown = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"tensors": 0})
    shown.Reload()
    from tensorboard.util.tensor_util import make_ndarray

    return {
        (tag, event.step): float(make_ndarray(event.tensor_proto))
        for tag in shown.Tags()["tensors"]
        for event in shown.Tensors(tag)
    }


def test_every_metric_of_every_step_is_written(tmp_path: Path) -> None:
    found = written(tmp_path)
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")
    expected = {(name, line["step"]): line[name] for line in metrics for name in line if name != "step"}
    assert found.keys() == expected.keys()
    assert {"loss", "val_loss", "learning_rate"} <= {name for name, _ in expected}
    assert all(math.isclose(found[key], expected[key], rel_tol=1e-6) for key in expected)  # TensorBoard stores 32 bits


def test_the_diagnostics_of_an_engine_that_reports_them_are_written(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    found = written(tmp_path, "--engine", "torch")
    last = {name: value for (name, step), value in found.items() if step == 12}
    assert 0 < last["grad_norm"] < 1000
    assert last["tokens_per_second"] > 0
    assert last["memory"] > 1e6
    assert "loss" in last


def test_without_the_tensorboard_package_no_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it were not installed
    assert cli.main([*RUN, "--out", str(tmp_path / "run"), "--tensorboard"]) == 2
    assert capsys.readouterr().err.endswith("pip install tensorboard\n")
    assert not (tmp_path / "run").exists()
