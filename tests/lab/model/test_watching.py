"""Requests for watching a training: close-ups of a step, samples along the way, and pairs of short runs."""

from __future__ import annotations

import math

import pytest

from lab.session_client import Lab


def test_a_watched_training_makes_the_same_run_and_shows_each_step_as_it_was(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 200})
    plain = lab.losses(200)
    ends = lab.state()
    lab.ask("reset", config={"num_steps": 200})
    events = list(lab.events(steps=200, per_event=10, watch=50))
    assert [loss for event in events for loss in event["losses"]] == plain
    assert lab.state() == ends
    close_ups = [event["close_up"] for event in events if event["close_up"]]
    assert [seen["step"] for seen in close_ups] == [50, 100, 150, 200]
    for seen in close_ups:
        nats = [-math.log(letter["prob"]) for letter in seen["letters"]]
        assert [letter["surprise"] for letter in seen["letters"]] == nats
        assert sum(nats) / len(nats) == pytest.approx(plain[seen["step"] - 1], abs=1e-12)
        assert seen["loss"] == plain[seen["step"] - 1]
    assert [event["row"]["step"] for event in events if event["row"]] == [100, 200]
    assert events[-1]["mean"] == pytest.approx(sum(plain[-30:]) / 30)
    assert lab.ask("progress")["rows"][1:] == [event["row"] for event in events if event["row"]]


def test_a_close_up_of_the_next_step_is_what_the_step_then_does(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 20, "batch_size": 2})
    lab.train(5)
    ahead = lab.ask("progress")["next"]
    state = lab.state()
    assert lab.ask("progress")["next"] == ahead
    assert lab.state() == state
    event = lab.train(1, watch=1)
    assert event["close_up"] == ahead


def test_a_close_up_has_the_gradient_of_the_whole_batch_before_clipping(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 20, "batch_size": 3, "clip": 1e-3})
    lab.train(5)
    ahead = lab.ask("progress")["next"]
    session = lab.session.active
    engine = session.scratch()
    assert ahead["loss"] == engine.backward(session.sequences(5))
    place = session.model.offsets["wte"].start + session.run.tokenizer.bos * 16
    assert [moved["grad"] for moved in ahead["moved"]] == list(engine.grads[place : place + 16])
    assert max(abs(moved["delta"]) for moved in ahead["moved"]) < 0.02


def test_a_fresh_run_is_described_without_changing_the_model(lab: Lab) -> None:
    before = lab.ask("model")
    fresh = lab.ask("progress", fresh=True)
    assert lab.ask("model") == before
    lab.ask("reset")
    begun = lab.ask("progress")
    assert {**fresh, "version": 0} == {**begun, "version": 0}
    assert begun["step"] == 0
    assert begun["mean"] is None


@pytest.mark.parametrize(("differs", "step"), [("learning_rate", 1), ("seed", 0), ("weight", 101)])
def test_a_pair_of_runs_differs_in_one_thing_and_parts_there(lab: Lab, differs: str, step: int) -> None:
    before = lab.ask("runs")
    pair = lab.ask("pair", differs=differs)
    assert len(pair["comparison"]["differs"]) == 1
    assert pair["comparison"]["first"]["step"] == step
    assert pair["a"]["losses"] != pair["b"]["losses"]
    assert lab.ask("runs") == before


def test_the_loss_on_read_and_unread_documents(lab: Lab) -> None:
    lab.ask("reset", val_fraction=0.1)
    assert lab.ask("memorized")["read"] is None
    lab.train(20)
    split = lab.ask("memorized")
    assert split["held_out"]
    assert split["unread"] == lab.ask("evaluate")["loss"]
    assert split["read_documents"] == 20


def test_edited_programs_and_the_scalar_engine_can_be_watched(lab: Lab) -> None:
    source = lab.ask("source")
    lab.use(lab.ask("vary", name="gelu", source="\n".join(source["lines"]) + "\n")["source"])
    [event] = list(lab.events(steps=1, per_event=1, watch=1))
    assert event["close_up"]["letters"] == []
    assert len(event["close_up"]["moved"]) == 16
