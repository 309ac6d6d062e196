"""The parameters: the pretrained ones, their number at any size, their history."""

from __future__ import annotations

from pathlib import Path

import pytest

from microgpt.config import PRESETS, offsets, shapes
from microgpt.engines.native.library import LIBRARY
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.run import Run

from lab.published import names_model, published
from lab.session_client import Lab


@pytest.mark.parametrize(("run", "expected"), [("names", names_model()), ("published", published())])
def test_the_parameters_are_those_of_the_pretrained_models_file(shared: Lab, run: str, expected: Checkpoint) -> None:
    shared.ask("pretrained", run=run)
    response = shared.ask("parameters", moments=True)
    table = shapes(expected.config, 27)
    assert list(response["tensors"]) == list(table)
    for name, part in offsets(table).items():
        assert response["tensors"][name] == {"shape": list(table[name]), "data": list(expected.params[part])}
        assert response["m"][name] == list(expected.m[part])
        assert response["v"][name] == list(expected.v[part])
    one = shared.ask("history", word="emma", path="lm_head[26][15]")
    assert one["grad"] == shared.ask("gradients", word="emma")["grads"]["lm_head"][-1]
    assert (one["m"], one["v"]) == (response["m"]["lm_head"][-1], response["v"]["lm_head"][-1])
    assert shared.ask("parameters")["m"] == {}


@pytest.mark.golden
def test_the_published_state_is_that_of_the_published_run(names_file: Path) -> None:
    if not LIBRARY.exists():
        pytest.skip("the scalar engine would take two minutes")
    run = Run.begin(names_file, PRESETS["final"])
    for _ in run.steps(together=True):
        pass
    for saved, trained in zip(
        (published().params, published().m, published().v), (run.engine.params, run.engine.m, run.engine.v)
    ):
        assert saved.tobytes() == trained.tobytes()


def test_parameters_are_counted_for_models_of_any_size(readonly: Lab) -> None:
    config = {"n_embd": 16, "n_layer": 1, "block_size": 16, "vocab_size": 27}
    model = readonly.ask("model")
    assert readonly.ask("sizes", **config) == {"num_params": model["num_params"], "shapes": model["shapes"]}
    gpt3 = {"n_embd": 12_288, "n_layer": 96, "block_size": 2048, "vocab_size": 50_257}
    layers = 96 * (4 + 8) * 12_288**2  # attention's four matrices, and the MLP's two, each four times as large
    assert readonly.ask("sizes", **gpt3)["num_params"] == layers + (50_257 + 2048 + 50_257) * 12_288
    for name, size in (("n_embd", 0), ("n_layer", 1001), ("vocab_size", 10**9)):
        assert f"got {name}={size}" in readonly.refused("sizes", **{**config, name: size})


def test_the_history_of_a_weight_has_its_values_at_earlier_steps(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 300})
    lab.train(300)
    history = lab.ask("history", word="emma", path="layer0.mlp_fc1[63][15]")
    assert history["steps"] == [0, 100, 200, 300]
    for step, value in zip(history["steps"], history["values"]):
        lab.ask("scrub", step=step)
        assert lab.ask("parameters")["tensors"]["layer0.mlp_fc1"]["data"][-1] == value
