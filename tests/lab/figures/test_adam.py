"""An update: the gradient, Adam's step, the schedule, the loss surface."""

from __future__ import annotations

import math
from typing import Any

import pytest

from microgpt.config import Config, offsets, shapes
from microgpt.engines.scalar import ScalarEngine
from microgpt.lab import snapshot
from microgpt.schedule import learning_rate
from microgpt.tracing import names as tensor_names

from lab.published import names_model
from lab.session_client import Lab

WORD = "emma"
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


def test_the_gradient_is_that_of_the_engine_and_zero_in_unused_rows(readonly: Lab) -> None:
    response = readonly.ask("gradients", word=WORD)
    tokens = readonly.ask("forward", word=WORD)["tokens"]
    engine = ScalarEngine(names_model().params, Config(), 27)
    assert response["loss"] == engine.backward([tokens])
    for name, part in offsets(shapes(Config(), 27)).items():
        assert response["grads"][name] == list(engine.grads[part])
    assert response["zero_rows"]["wte"] == [i for i in range(27) if i not in tokens[:-1]]
    assert response["zero_rows"]["wpe"] == list(range(5, 16))
    assert response["zero_rows"]["lm_head"] == []
    assert response["norms"][0] == {"name": "loss", "norm": 1.0}
    norms = {norm["name"]: norm["norm"] for norm in response["norms"]}
    assert norms["lm_head"] == pytest.approx(math.hypot(*response["grads"]["lm_head"]), rel=1e-12)
    assert norms["pos0.layer0.q"] == 0.0  # a softmax over one logit is constant


def test_the_snapshot_contains_the_steepest_parameter(readonly: Lab) -> None:
    grads = readonly.ask("gradients", word=WORD)["grads"]
    name, (row, column) = tensor_names.look_up(snapshot.STEEP, shapes(Config(), 27))
    assert abs(grads[name][16 * row + column]) == max(abs(g) for numbers in grads.values() for g in numbers)


def test_the_letters_after_an_update_are_those_of_the_updated_model(lab: Lab) -> None:
    before = lab.ask("loss", word=WORD)
    response = lab.ask("learned", word=WORD, learning_rate=0.02)
    update = lab.ask("update", word=WORD, what=[], learning_rate=0.02)
    assert [letter["before"] for letter in response["letters"]] == [letter["loss"] for letter in before["letters"]]
    assert response["loss_after"] == pytest.approx(update["loss_after"], abs=1e-12)
    after = [letter["after"] for letter in response["letters"]]
    assert math.fsum(after) / len(after) == pytest.approx(response["loss_after"], abs=1e-12)
    assert response["loss_after"] < response["loss_before"] == before["mean"]


@pytest.mark.parametrize("weight_decay", [0.0, 3.0])
def test_the_shown_update_equals_the_next_training_step(lab: Lab, weight_decay: float) -> None:
    lab.ask("reset", config={"num_steps": 30, "weight_decay": weight_decay})
    lab.train(7)
    word = lab.ask("data")["shuffled"][7]  # the next document
    response = lab.ask("update", word=word)
    path = "layer0.mlp_fc2[3][5]"
    one = lab.ask("adam", word=word, path=path)
    before = lab.ask("parameters", moments=True)
    event = lab.train(1)
    after = lab.ask("parameters", moments=True)
    assert (response["step"], response["learning_rate"]) == (8, event["learning_rate"])
    assert response["loss_before"] == event["losses"][0]
    for name, tensor in response["tensors"].items():
        moved = [b - a for a, b in zip(before["tensors"][name]["data"], after["tensors"][name]["data"])]
        assert tensor["delta"] == moved
        assert tensor["m"] == after["m"][name]
        assert tensor["v"] == after["v"][name]
        c = Config()
        assert tensor["m_hat"] == [m / (1 - c.beta1**8) for m in tensor["m"]]
        assert tensor["v_hat"] == [v / (1 - c.beta2**8) for v in tensor["v"]]
    i = 3 * 64 + 5
    assert {name: response["tensors"]["layer0.mlp_fc2"][name][i] for name in ("grad", "m", "v", "delta")} == {
        name: one[name] for name in ("grad", "m", "v", "delta")
    }
    assert one["after"] - one["before"] == one["delta"]
    assert (one["before"], one["after"]) == (before["tensors"]["layer0.mlp_fc2"]["data"][i],
                                             after["tensors"]["layer0.mlp_fc2"]["data"][i])  # fmt: skip
    assert (one["m_before"], one["v_before"]) == (before["m"]["layer0.mlp_fc2"][i], before["v"]["layer0.mlp_fc2"][i])
    step = one["learning_rate"] * one["m_hat"] / (math.sqrt(one["v_hat"]) + one["eps_adam"])
    decay = one["learning_rate"] * one["weight_decay"] * one["before"]
    assert (one["weight_decay"], one["delta"]) == (weight_decay, pytest.approx(-step - decay, rel=1e-9))
    assert one["plain"] == -one["learning_rate"] * one["grad"]
    assert lab.ask("loss", word=word)["mean"] == pytest.approx(response["loss_after"], abs=1e-12)


@pytest.mark.parametrize(
    "config", [{}, {"decay": "cosine", "warmup_steps": 7}, {"decay": "cosine"}, {"warmup_steps": 39}], ids=str
)
def test_the_shown_schedule_is_the_one_used_in_training(lab: Lab, config: dict[str, Any]) -> None:
    lab.ask("reset", config={**SMALL, "num_steps": 40, **config})
    rates = [lab.train(1)["learning_rate"] for _ in range(40)]
    drawn = lab.ask("schedule")
    assert drawn["steps"] == list(range(40))
    assert drawn["rates"] == rates
    rates += [lab.train(1)["learning_rate"] for _ in range(40)]  # the number of steps doubles
    drawn = lab.ask("schedule")
    assert (drawn["steps"], drawn["rates"]) == (list(range(80)), rates)


def test_a_long_schedule_is_sampled_and_includes_its_bends(lab: Lab) -> None:
    config = Config(num_steps=100_000, warmup_steps=777, decay="cosine")
    lab.ask("reset", config={"num_steps": 100_000, "warmup_steps": 777, "decay": "cosine"})
    drawn = lab.ask("schedule")
    assert {0, 776, 777, 99_999} <= set(drawn["steps"])
    assert len(drawn["steps"]) < 250
    assert max(drawn["rates"]) == config.learning_rate
    for step, rate in zip(drawn["steps"], drawn["rates"]):
        assert rate == learning_rate(step, 100_000, config.learning_rate, 777, "cosine")


def test_rows_without_a_gradient_do_not_move(readonly: Lab) -> None:
    zero_rows = readonly.ask("gradients", word=WORD)["zero_rows"]
    response = readonly.ask(
        "update", word=WORD, fresh=True, learning_rate=0.01
    )  # a nonzero m would also move other rows
    for name, rows in zero_rows.items():
        columns = readonly.ask("parameters")["tensors"][name]["shape"][1]
        for row in rows:
            assert not any(response["tensors"][name]["delta"][row * columns : (row + 1) * columns])
    assert len(zero_rows["wte"]) == 23
    assert response["loss_after"] < response["loss_before"]


def test_the_first_step_of_adam_without_moments_is_as_long_as_the_learning_rate(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 30})
    lab.train(7)
    word, path = WORD, "layer0.attn_wo[2][9]"
    known, fresh = lab.ask("adam", word=word, path=path), lab.ask("adam", word=word, path=path, fresh=True)
    assert (known["step"], known["fresh"], fresh["step"], fresh["fresh"]) == (8, False, 1, True)
    assert (fresh["m_before"], fresh["v_before"]) == (0.0, 0.0)
    assert fresh["m_hat"] == pytest.approx(fresh["grad"], rel=1e-12)
    assert fresh["delta"] == pytest.approx(-fresh["learning_rate"] * math.copysign(1, fresh["grad"]), rel=1e-5)
    assert known["learning_rate"] == fresh["learning_rate"]
    lab.ask("reset")  # Adam has no moments yet
    assert lab.ask("adam", word=word, path=path) == lab.ask("adam", word=word, path=path, fresh=True)


def test_an_update_has_the_requested_learning_rate_and_numbers(readonly: Lab) -> None:
    longest = readonly.ask("update", word=WORD, what=["delta"], learning_rate=0.5, fresh=True)
    assert longest["learning_rate"] == 0.5
    assert longest["loss_after"] > longest["loss_before"]
    assert {tuple(tensor) for tensor in longest["tensors"].values()} == {("delta",)}
    none = readonly.ask("update", word=WORD, what=[], learning_rate=0)
    assert none["loss_after"] == none["loss_before"]
    assert set(map(len, none["tensors"].values())) == {0}


def test_a_hiker_has_the_requested_learning_rate(readonly: Lab) -> None:
    asked = {"word": WORD, "x": "lm_head[0][0]", "y": "wte[0][0]", "size": 2, "reach": 1, "steps": 1}
    _, adam = readonly.ask("surface", **asked, learning_rate=0.25)["hikers"]
    assert adam["learning_rate"] == 0.25
    assert abs(adam["path"][1]["x"] - adam["path"][0]["x"]) == pytest.approx(0.25, rel=1e-4)


def test_the_surface_shows_real_losses_and_the_hikers_use_real_gradients(readonly: Lab) -> None:
    x, y = "wte[12][3]", "layer0.attn_wo[2][9]"
    response = readonly.ask("surface", word=WORD, x=x, y=y, size=7, reach=0.5, steps=12)
    tokens = readonly.ask("forward", word=WORD)["tokens"]
    places = [offsets(shapes(Config(), 27))["wte"].start + 12 * 16 + 3,
              offsets(shapes(Config(), 27))["layer0.attn_wo"].start + 2 * 16 + 9]  # fmt: skip

    def at(a: float, b: float) -> tuple[float, list[float]]:
        params = names_model().params
        params[places[0]], params[places[1]] = a, b
        engine = ScalarEngine(params, Config(), 27)
        return engine.backward([tokens]), [engine.grads[place] for place in places]

    size = len(response["x"]["values"])
    for row, column in ((0, 0), (size - 1, 0), (2, 3)):
        expected, _ = at(response["x"]["values"][column], response["y"]["values"][row])
        assert response["loss"][row * size + column] == pytest.approx(expected, abs=1e-12)
    start = [names_model().params[place] for place in places]
    sgd, adam = response["hikers"]
    for hiker in (sgd, adam):
        assert [hiker["path"][0]["x"], hiker["path"][0]["y"]] == start
        for point in hiker["path"][::4]:
            assert point["loss"] == pytest.approx(at(point["x"], point["y"])[0], abs=1e-12)
        assert hiker["path"][-1]["loss"] < hiker["path"][0]["loss"]
    a, b = sgd["path"][3:5]
    _, grad = at(a["x"], a["y"])
    assert b["x"] == pytest.approx(a["x"] - sgd["learning_rate"] * grad[0], abs=1e-12)
    steps = [math.hypot(h["path"][1]["x"] - start[0], h["path"][1]["y"] - start[1]) for h in (sgd, adam)]
    assert steps[0] == pytest.approx(steps[1])
