"""Training in the lab: the same losses as the command line, scrubbing, branches, and where runs diverge."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from microgpt.runs.run import Run
from microgpt.tracing import names as tensor_names

from lab.cli_run import cli_losses
from lab.session_client import Lab, curve

WORD = "emma"
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


def test_the_same_seed_gives_the_curve_of_the_command_line(lab: Lab, tmp_path: Path) -> None:
    expected = cli_losses(tmp_path, "--num-steps", "200")
    lab.ask("reset", config={"num_steps": 200}, val_fraction=0)
    seen: list[float] = []
    for event in lab.events(steps=120, per_event=7):
        seen += event["losses"]
        assert event["step"] == len(seen)
    lab.train(1)
    lab.train(79)
    assert curve(lab) == pytest.approx(expected, rel=0, abs=1e-9)
    assert seen == curve(lab)[:120]
    assert lab.ask("samples", seed=42, count=5, temperature=0.5)["texts"] == Run.load(tmp_path / "run").sample(
        5, seed=42, temperature=0.5
    )


def test_other_settings_and_held_out_losses_agree_with_the_command_line(lab: Lab, tmp_path: Path) -> None:
    options = {"n_embd": 8, "batch_size": 3, "seed": 7, "num_steps": 50}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    expected = cli_losses(tmp_path, *words, "--val-fraction", "0.1")
    lab.ask("reset", config=options, val_fraction=0.1)
    lab.train(50)
    assert curve(lab) == pytest.approx(expected, rel=0, abs=1e-9)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    held_out = [{"step": line["step"], "loss": line["val_loss"]} for line in lines if "val_loss" in line]
    assert len(held_out) == 10
    assert run["validations"] == held_out
    evaluation = lab.ask("evaluate")
    assert evaluation["held_out"]
    assert evaluation["loss"] == pytest.approx(held_out[-1]["loss"], abs=1e-9)
    lab.ask("reset")  # keeps the fraction
    assert lab.ask("evaluate")["held_out"]
    lab.ask("reset", val_fraction=0)
    assert not lab.ask("evaluate")["held_out"]


def test_scrubbing_restores_the_weights_exactly(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 250})
    states = {0: lab.state()}
    for event in lab.events(steps=260, per_event=13):  # beyond num_steps
        states[event["step"]] = lab.state()
    for step in random.Random(1).sample(sorted(states), len(states)):
        assert lab.ask("scrub", step=step)["step"] == step
        assert lab.state() == states[step]
    single = Lab()
    single.ask("reset", config={"num_steps": 250})
    for step in range(1, 40):
        single.train(1)
        lab.ask("scrub", step=step)
        assert lab.state() == single.state()


def test_scrubbing_repeats_changes_by_hand(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 200})
    lab.train(33)
    lab.ask("change", path="wte[4][0]", value=2.0)
    lab.ask("change", path="wte[4][1]", value=-1.0)
    lab.ask("change", path="wte[4][1]", value=-2.0)
    lab.train(50)
    assert lab.ask("model")["changes"] == []
    states = {83: lab.state()}
    lab.train(100)
    states[183] = lab.state()
    for step in (10, 183, 33, 83):
        model = lab.ask("scrub", step=step)
        assert model["changes"] == []
        if step in states:
            assert lab.state() == states[step]
    plain = Lab()
    plain.ask("reset", config={"num_steps": 200})
    plain.train(33)
    lab.ask("scrub", step=33)
    assert lab.state() == plain.state()  # before the change


def test_training_after_scrubbing_back_makes_a_branch(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 100})
    lab.train(60)
    whole, state = curve(lab), lab.state()
    lab.ask("scrub", step=25)
    event = lab.train(35)
    model = lab.ask("model")
    assert model["run"] == event["run"] == "run2"
    assert curve(lab) == whole  # nothing was changed, so it repeats the run
    assert lab.state() == state
    response = lab.ask("runs")["runs"]
    assert [run["id"] for run in response] == ["names", "published", "run1", "run2"]
    assert response[3]["branch"] == {"run": "run1", "step": 25}
    assert (response[2]["step"], response[2]["losses"]) == (60, whole)
    assert lab.ask("compare", a="run1", b="run2")["first"] is None
    lab.ask("scrub", step=30)
    lab.ask("change", path="lm_head[0][0]", value=1.0)
    lab.train(30)
    part = lab.ask("compare", a="run1", b="run3")
    assert part["first"]["step"] == 31
    assert part["documents"] is None
    assert part["differs"] == [{"setting": "changed by hand", "a": "nothing", "b": "lm_head[0][0] at step 30"}]


def test_a_comparison_finds_the_step_where_two_runs_diverge(lab: Lab) -> None:
    for config in ({"num_steps": 100}, {"num_steps": 100, "beta2": 0.95}, {"num_steps": 100, "seed": 1}):
        lab.ask("reset", config={"seed": 42, "beta2": 0.99, **config})
        lab.train(100)
    early = lab.ask("compare", a="run1", b="run2")
    assert early["differs"] == [{"setting": "beta2", "a": 0.99, "b": 0.95}]
    # the first step's v_hat is the squared gradient for any beta2, except for rounding
    assert early["first"]["step"] in (1, 2)
    values = []
    for run in ("run1", "run2"):
        lab.ask("choose", run=run)
        lab.ask("scrub", step=early["first"]["step"])
        name, (row, column) = tensor_names.parse(early["first"]["path"])
        tensor = lab.ask("parameters")["tensors"][name]
        values.append(tensor["data"][row * tensor["shape"][1] + column])
    assert values == [early["first"]["a"], early["first"]["b"]]
    assert values[0] != values[1]
    seeds = lab.ask("compare", a="run1", b="run3")
    assert seeds["first"]["step"] == 0
    assert seeds["first"]["path"] == "wte[0][0]"
    assert seeds["documents"]["step"] == 1
    assert {setting["setting"] for setting in seeds["differs"]} == {"seed"}


@pytest.mark.parametrize("run", ["names", "published"])
def test_training_a_pretrained_model_leaves_it_unchanged(lab: Lab, run: str) -> None:
    lab.ask("pretrained", run=run)
    state = lab.state()
    event = lab.train(20)
    assert event["run"] == "run1"
    assert event["learning_rate"] == pytest.approx(0.005 * (1 - 19 / 1000))  # num_steps doubles: half the initial rate
    assert lab.ask("model")["own_text"] == (run == "names")
    assert lab.ask("pretrained", run=run)["run"] == run
    assert lab.state() == state


def test_training_the_opening_model_on_keeps_its_split_and_makes_it_better(lab: Lab) -> None:
    before = lab.ask("evaluate")
    held_out = list(lab.session.active.run.held_out)
    lab.train(1000)
    run = lab.session.active
    assert list(run.run.held_out) == held_out
    assert run.run.provenance.val_fraction == 0.1
    assert [step for step, _ in run.validations] == [*range(100, 1001, 100), *range(1200, 2001, 200)]
    after = lab.ask("evaluate")
    assert after["loss"] < before["loss"]
    assert sum(run.losses[-100:]) < sum(run.losses[900:1000])


def test_the_opening_model_can_be_scrubbed_to_every_step_of_its_run(lab: Lab) -> None:
    state = lab.state()
    assert lab.ask("scrub", step=3)["step"] == 3
    fresh = Lab()
    fresh.ask("reset", val_fraction=0.1)
    fresh.train(3)
    assert lab.state() == fresh.state()
    lab.ask("scrub", step=1000)
    assert lab.state() == state
    lab.ask("scrub", step=3)
    assert lab.train(1)["run"] == "run1"  # a branch
    assert [run["name"] for run in lab.ask("runs")["runs"]][-1] == "names, from step 3"
    assert lab.ask("pretrained")["step"] == 1000
    assert lab.state() == state


def test_a_branch_of_the_opening_model_can_be_scrubbed_and_compared_over_all_of_its_steps(lab: Lab) -> None:
    lab.train(5)
    found = lab.ask("compare", a="names", b="run1")
    assert found["first"] is None
    assert lab.ask("scrub", step=2)["step"] == 2
    lab.ask("choose", run="names")
    lab.ask("reset", val_fraction=0.1, config={"seed": 1})
    lab.train(2)
    assert lab.ask("compare", a="names", b="run2")["first"]["step"] == 0


def test_a_run_does_not_depend_on_the_number_of_steps_per_request(lab: Lab) -> None:
    ends = []
    for parts in ((90,), (1, 29, 1, 9, 50)):
        lab.ask("reset", config={**SMALL, "num_steps": 20})
        for steps in parts:
            lab.train(steps)
        ends.append((lab.state(), curve(lab)))
    assert ends[0] == ends[1]
    assert lab.ask("model")["num_steps"] == 160


def test_requests_between_two_events_of_a_training_take_effect(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 100})
    events = lab.events(steps=40, per_event=1)
    assert [next(events)["step"] for _ in range(10)] == list(range(1, 11))
    lab.ask("forward", word=WORD)
    lab.ask("change", path="wte[4][0]", value=3.0)
    version = lab.ask("model")["version"]
    event = next(events)
    assert (event["step"], event["version"]) == (11, version + 1)
    state = lab.state()
    lab.ask("scrub", step=5)
    assert list(events) == []  # another run became active
    lab.ask("scrub", step=11)
    assert lab.state() == state
    plain = Lab()
    plain.ask("reset", config={"num_steps": 100})
    plain.train(10)
    plain.ask("change", path="wte[4][0]", value=3.0)
    plain.train(1)
    assert plain.state() == state


def test_a_stopped_training_keeps_the_steps_it_has_done(lab: Lab) -> None:
    lab.ask("reset")
    events = lab.session.stream("train", {"steps": 1000, "per_event": 50})
    seen = [loss for _ in range(2) for loss in next(events)["result"]["losses"]]
    events.close()  # type: ignore[attr-defined]
    assert 0 < len(seen) <= 100
    assert curve(lab) == seen
    assert lab.ask("model")["step"] == len(seen)
    lab.train(3)
    assert len(curve(lab)) == len(seen) + 3


def test_a_training_that_diverges_ends_with_an_error_message(lab: Lab) -> None:
    lab.ask("reset", config={"learning_rate": 1e150, "num_steps": 50})
    *_, last = lab.events(steps=50)
    assert "start a new run with learning_rate below 1e+150" in last["error"]
    assert "can be scrubbed back" in last["error"]
    assert len(curve(lab)) == lab.ask("model")["step"] < 50
    assert lab.ask("scrub", step=0)["step"] == 0
    lab.ask("forward", word=WORD)


def test_invalid_numbers_of_steps_are_refused(lab: Lab) -> None:
    for params, words in (
        ({"steps": 0}, "steps must be between 1 and"),
        ({"steps": 5, "per_event": 0}, "per_event must be"),
    ):
        [response] = lab.events(**params)
        assert words in response["error"]
