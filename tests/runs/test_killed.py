"""A run that is killed at any moment can be resumed, and equals one that was never stopped."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import microgpt
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run

from conftest import clean_environment, whole
from runs.training import DOCUMENTS, TRAIN, contents


@pytest.mark.parametrize("kills", [10, whole(60)])
def test_a_run_killed_many_times_equals_one_that_was_never_stopped(
    kills: int, tmp_path: Path, rng: random.Random
) -> None:
    documents, num_steps = tmp_path / "documents.txt", 100_000
    documents.write_text("\n".join(DOCUMENTS))
    begun, last = 0, -1
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "run"), str(documents)]
    for _ in range(kills):
        when, seconds = ("training" if rng.random() < 0.9 else "starting"), rng.uniform(0.001, 0.15)
        process = subprocess.run(
            [*command, str(num_steps), when, str(seconds)], env=clean_environment(), capture_output=True, cwd=tmp_path
        )
        assert process.returncode == -signal.SIGPROF, process.stderr
        if (tmp_path / "run" / "model.safetensors").exists():
            begun += 1
            step = microgpt.load(tmp_path / "run", checkpoint="last").step  # raises if the checkpoint is damaged
            if (tmp_path / "run" / "best.safetensors").exists():
                assert microgpt.load(tmp_path / "run").is_best
            assert step >= last, "a checkpoint went back"
            assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) >= step
            last = step
    print(f"{kills} kills, {begun} with a checkpoint, {last} steps done")
    assert begun > 0
    assert last > 0
    # train both a few steps further than the killed run came
    state = microgpt.load(tmp_path / "run", checkpoint="last")
    assert state.config.num_steps == num_steps
    resumed = Folder.resume(tmp_path / "run")
    straight = Folder.create(
        tmp_path / "straight", Run.begin(documents, state.config, val_fraction=0.3, validate_every=2)
    )
    for folder in (resumed, straight):
        for step in folder.train():
            if step.step == last + 20:
                break
    both = [contents(folder.path) for folder in (resumed, straight)]
    assert resumed.run.engine.params == straight.run.engine.params
    assert resumed.run.engine.v == straight.run.engine.v
    lines = [files["metrics.jsonl"].splitlines()[: last + 20] for files in both]
    assert lines[0] == lines[1]
    assert both[0]["best.safetensors"] == both[1]["best.safetensors"]
