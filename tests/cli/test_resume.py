"""`microgpt train --resume`: bit for bit the run that was never stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt.cli import display

from cli.commands import SMALL, Microgpt, Reference, contents, metrics, numbered, untimed


def test_resuming_a_run_cuts_the_metrics_back_to_the_checkpoint(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process leaves metrics of later steps than its checkpoint's, and half a last line."""
    command = f"train words.txt {SMALL} --quiet --checkpoint-every 1"
    whole = microgpt(f"{command} --out whole")
    stop_at(4)
    assert microgpt(f"{command} --out killed").status == 130
    monkeypatch.setattr(display.Quiet, "step", lambda self, step: None)
    with Path("killed/metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 1.0, "learning_rate": 0.1, "tokens": 1}\n{"step": 6, "lo')
    assert microgpt("train --out killed --resume --quiet") == whole
    assert contents(here / "killed") == contents(here / "whole")


def test_a_complete_run_that_is_resumed_prints_its_samples_again_and_changes_nothing(
    run: Path, microgpt: Microgpt, truth: Reference
) -> None:
    before = contents(run)
    assert microgpt("train --out run --resume --quiet") == (0, numbered(truth.after_training), "")
    assert contents(run) == before


def test_a_complete_run_that_is_resumed_says_what_to_do(run: Path, microgpt: Microgpt) -> None:
    result = microgpt("train --out run --resume")
    assert result.status == 0
    assert result.err.splitlines()[-2:] == [
        "already complete: all 12 steps are done; to continue, resume with a larger --num-steps",
        "saved in run; for more samples: microgpt sample run",
    ]


def test_a_run_may_grow_and_its_new_learning_rate_is_announced(run: Path, microgpt: Microgpt, trained: Path) -> None:
    before = metrics(run)
    result = microgpt("train --out run --resume --num-steps 16")
    assert result.status == 0
    assert untimed(result.err).splitlines()[0] == ("num_steps: 12 -> 16; the learning rate now decays to 0 at step 16")
    assert "resumed after step 12 of 16" in result.err.splitlines()
    after = metrics(run)
    assert after[:12] == before
    assert [step["learning_rate"] for step in after[12:]] == [0.01 * (1 - s / 16) for s in range(12, 16)]
    assert json.loads((run / "config.json").read_text())["config"]["num_steps"] == 16


def test_a_run_may_shrink_to_the_steps_already_done(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None]
) -> None:
    stop_at(5)
    assert microgpt(f"train words.txt {SMALL} --quiet --checkpoint-every 1 --out run").status == 130
    assert microgpt("train --out run --resume --num-steps 5 --quiet").status == 0
    assert len(metrics(here / "run")) == 5


def test_a_run_can_be_resumed_after_its_data_moved(run: Path, here: Path, microgpt: Microgpt) -> None:
    Path("words.txt").rename("moved.txt")
    assert microgpt("train moved.txt --out run --resume --num-steps 13").status == 0
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(here / "moved.txt")
    assert microgpt("info run --json").out.count(str(here / "moved.txt")) == 1


def test_the_settings_of_a_run_may_be_repeated_when_it_is_resumed(run: Path, microgpt: Microgpt) -> None:
    result = microgpt(f"train words.txt {SMALL} --out run --resume --engine scalar --val-fraction 0 --documents lines")
    assert result.status == 0


def test_a_run_that_stopped_early_says_so_and_how_it_goes_on(here: Path, microgpt: Microgpt) -> None:
    options = f"{SMALL} --num-steps 30 --learning-rate 0.1 --seed 1 --val-fraction 0.3"
    assert microgpt(f"train words.txt {options} --out whole").status == 0
    stopped = microgpt(f"train words.txt {options} --patience 3 --out run")
    assert (stopped.status, len(metrics(here / "run"))) == (0, 18)
    line = "stopped early after step 18 of 30: the held-out loss has been least at step 9, 3 measurements ago"
    line += " (--patience 3)"
    assert line in stopped.err.splitlines()
    before = contents(here / "run")
    again = microgpt("train --out run --resume")
    assert (again.status, again.out) == (0, stopped.out)
    facts = json.loads(microgpt("train --out run --resume --json").out.splitlines()[-1])["held_out"]
    assert (facts["step"], facts["stopped_early"]) == (9, True)
    assert f"{line}; to continue, resume with a larger --patience, or 0" in again.err.splitlines()
    assert contents(here / "run") == before
    assert microgpt("train --out run --resume --patience 0").status == 0
    assert Path("run/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert Path("run/samples.txt").read_bytes() == Path("whole/samples.txt").read_bytes()


def test_patience_without_a_held_out_part_is_refused(here: Path, microgpt: Microgpt) -> None:
    refused = microgpt(f"train words.txt {SMALL} --patience 3 --out run")
    assert refused == (
        2,
        "",
        "error: patience needs held-out documents, got patience=3: set val_fraction, such as val_fraction=0.1\n",
    )
    assert not Path("run").exists()
