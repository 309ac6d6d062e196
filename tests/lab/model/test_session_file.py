"""A saved session is restored bit for bit."""

from __future__ import annotations

from pathlib import Path

from lab.cli_run import cli_losses
from lab.session_client import Lab, file

SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


def test_a_restored_session_continues_like_the_original(lab: Lab) -> None:
    lab.train(30)
    lab.ask("load_data", name="own.txt", base64=file("anna\nbob\nbobanna\n" * 30))
    lab.ask("reset", config={**SMALL, "num_steps": 150})
    lab.train(120)
    lab.ask("scrub", step=50)
    lab.ask("change", path="wte[0][0]", value=0.5)
    lab.train(30)
    lab.ask("change", path="wte[0][1]", value=0.25)
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        model = one.ask("model")
        assert model["changes"][0]["path"] == "wte[0][1]"
    assert {**lab.ask("model"), "version": 0} == {**other.ask("model"), "version": 0}
    assert lab.ask("runs")["runs"] == other.ask("runs")["runs"]
    assert lab.state() == other.state()
    for one in (lab, other):
        one.train(70)
        one.ask("scrub", step=64)
    assert lab.state() == other.state()
    assert lab.ask("compare", a="run3", b="run4")["first"] == other.ask("compare", a="run3", b="run4")["first"]
    for one in (lab, other):
        one.ask("undo")
        one.ask("choose", run="run3")
        one.ask("scrub", step=20)
    assert lab.state() == other.state()
    assert other.ask("load_data", name="more.txt", base64=file("otto\n"))["run"] == "run5"


def test_the_state_of_an_opened_run_keeps_its_earlier_steps(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "20")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        one.ask("scrub", step=10)
    assert lab.state() == other.state()


def test_the_state_of_a_run_whose_text_is_missing_still_says_so(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("anna\nbob\n" * 10)
    cli_losses(tmp_path, str(tmp_path / "own.txt"), "--num-steps", "5")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    assert lab.state() == other.state()
    for one in (lab, other):
        assert "which is not loaded: load that file first" in one.refused("data")
        [response] = one.events(steps=1)
        assert "which is not loaded: load that file first" in response["error"]


def test_the_state_of_runs_on_lines_and_on_a_stream_of_one_text(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "5", "--documents", "stream")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    stream = lab.ask("open_run", name="run", checkpoint=content, metrics="")["run"]
    lab.ask("save")  # a saved run must be written again after another text was loaded
    lab.ask("load_data", name="own.txt", base64=file("anna\nbob\n" * 10))
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        assert one.ask("data")["name"] == "own.txt"
        one.ask("choose", run=stream)
        one.train(3)
    assert {**lab.ask("data"), "version": 0} == {**other.ask("data"), "version": 0}
    assert lab.state() == other.state()
