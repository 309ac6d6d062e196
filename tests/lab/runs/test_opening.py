"""Opening runs from the files of their folders."""

from __future__ import annotations

import base64
from pathlib import Path

from microgpt.cli import main as cli
from microgpt.config import Config
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.run import Run

from lab.cli_run import cli_losses
from lab.published import published
from lab.session_client import Lab, curve, file

SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


def test_an_opened_run_has_its_losses_and_its_earlier_steps(lab: Lab, tmp_path: Path) -> None:
    losses = cli_losses(tmp_path, "--num-steps", "120", "--val-fraction", "0.1")
    content = (tmp_path / "run" / "model.safetensors").read_bytes()
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    model = lab.ask("open_run", name="my run", checkpoint=file(content), metrics=metrics)
    assert (model["name"], model["step"]) == ("my run", 120)
    state = lab.state()
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    assert run["losses"] == losses
    assert len(run["validations"]) == 10
    assert run["first"] == 0
    lab.ask("scrub", step=77)
    whole = Run.begin("names", Config(num_steps=120), val_fraction=0.1)
    for _ in whole.steps(until=77):
        pass
    assert lab.session.active.engine.params == whole.engine.params
    lab.ask("scrub", step=120)
    assert lab.state() == state
    lab.train(5)
    assert len(curve(lab)) == 125


def test_a_run_whose_text_is_missing_only_has_its_last_step(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("anna\nbob\n" * 10)
    cli_losses(tmp_path, str(tmp_path / "own.txt"), "--num-steps", "5")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    assert curve(lab) == ["nan"] * 5
    assert "are unknown before step 5" in lab.refused("scrub", step=3)
    [response] = lab.events(steps=1)
    assert "which is not loaded: load that file first" in response["error"]
    lab.ask("forward", word="anna")
    lab.ask("load_data", name="own.txt", base64=file((tmp_path / "own.txt").read_bytes()))
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    assert lab.ask("scrub", step=3)["step"] == 3
    lab.train(2)


def test_a_run_that_was_not_trained_in_one_go_cannot_be_scrubbed(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "20")
    assert cli.main(["train", "--resume", "--num-steps", "30", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics=(tmp_path / "run" / "metrics.jsonl").read_text())
    assert "was not trained with these settings" in lab.refused("scrub", step=10)


def test_a_run_with_too_many_steps_is_refused(readonly: Lab, tmp_path: Path) -> None:
    state = published()
    state.step = 1_000_001
    checkpoints.save(tmp_path / "model", state)
    sentence = readonly.refused("open_run", name="run", checkpoint=file((tmp_path / "model").read_bytes()), metrics="")
    assert sentence == "'run' has 1,000,001 steps, but the lab can open runs of at most 1,000,000 steps"


def test_damaged_metrics_are_refused_with_a_message(readonly: Lab, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "model", published())
    sentence = readonly.refused(
        "open_run", name="run", checkpoint=file((tmp_path / "model").read_bytes()), metrics="{}\nnonsense\n"
    )
    assert "'the metrics of run' is not a metrics file, or is damaged: line 1" in sentence


def test_the_package_can_read_an_exported_model(lab: Lab, tmp_path: Path) -> None:
    lab.ask("reset", config=SMALL)
    lab.train(10)
    lab.ask("change", path="wte[0][0]", value=0.5)
    response = lab.ask("export_model")
    (tmp_path / response["name"]).write_bytes(base64.b64decode(response["base64"]))
    run = Run.load(tmp_path / response["name"])
    assert run.engine.params == lab.session.active.engine.params
    assert run.sample(5, seed=1) == lab.ask("samples", seed=1, count=5, temperature=0.5)["texts"]
