"""The loss of every letter, its graph, and the gates of the MLP."""

from __future__ import annotations

import math
import sys
from itertools import accumulate

import pytest

from microgpt import reference
from microgpt.config import Config, shapes
from microgpt.engines.scalar import ScalarEngine
from microgpt.reference import Value
from microgpt.tracing.trace import trace

from lab.published import names_model
from lab.session_client import Lab

WORD = "emma"
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


@pytest.mark.parametrize("word", [WORD, "", "z", "maximiliannatalie"])
def test_the_mean_of_the_shown_losses_is_the_loss_of_the_program(readonly: Lab, word: str) -> None:
    response = readonly.ask("loss", word=word)
    tokens = readonly.ask("forward", word=word)["tokens"]
    program = ScalarEngine(names_model().params, Config(), 27).backward([tokens])
    assert response["mean"] == program
    assert sum(x["loss"] for x in response["letters"]) / len(response["letters"]) == pytest.approx(program, abs=1e-12)
    assert [x["so_far"] for x in response["letters"]] == [*accumulate(x["loss"] for x in response["letters"])]
    assert response["uniform"] == math.log(27)
    assert all(x["loss"] == -math.log(x["prob"]) for x in response["letters"])


def test_the_perplexity_is_the_exponential_of_the_loss(readonly: Lab) -> None:
    response = readonly.ask("loss", word=WORD)
    assert math.log(response["perplexity"]) == pytest.approx(response["mean"], rel=1e-12)


def test_the_size_and_depth_of_the_graph_agree_with_a_walk(readonly: Lab) -> None:
    tokens = readonly.ask("forward", word=WORD)["tokens"]
    response = readonly.ask("graph", word=WORD)
    params = names_model().params
    leaves = iter([Value(p) for p in params])
    state_dict = {
        name: [[next(leaves) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes(Config(), 27).items()
    }
    loss = reference.loss(tokens, state_dict, 1, 4, 16)
    level, depth, seen = {loss}, 0, {loss}
    while below := {x for node in level for x in (node.a, node.b) if x is not None}:
        level, depth, seen = below, depth + 1, seen | below
    assert (response["nodes"], response["depth"]) == (len(seen), depth)
    assert response["operations"] == sum(node.a is not None for node in seen)
    assert response["limit"] == sys.getrecursionlimit()


def test_a_power_has_its_exponent(readonly: Lab) -> None:
    nodes = readonly.ask("expression", source="y = x**3 / 2", inputs={"x": 2})["nodes"]
    assert [node["exponent"] for node in nodes if node["op"] == "**"] == [3]
    assert {node["exponent"] for node in nodes if node["op"] != "**"} == {None}


def test_a_gate_is_open_where_its_input_is_positive_and_dead_units_never_are(lab: Lab) -> None:
    lab.ask("reset", config={**SMALL, "num_steps": 40})
    lab.train(40)
    for column in range(8):
        lab.ask("change", path=f"layer0.mlp_fc1[5][{column}]", value=0)
    response = lab.ask("gate", word="anna", layer=0)
    tensors = lab.ask("forward", word="anna")["tensors"]
    for t, gate in enumerate(response["open"]):
        assert gate == [x > 0 for x in tensors[f"pos{t}.layer0.mlp_pre"]["data"]]
    run = lab.session.active.run
    ever: set[int] = set()
    for i in range(60):  # computed independently, from the traced forward pass of some of these documents
        recorded = trace(run.data.sequence(run.order[i]), run.engine.params, run.config, 27, backward=False)
        for t in range(min(8, len(run.data.sequence(run.order[i])) - 1)):
            ever |= {u for u, x in enumerate(recorded.tensor(f"pos{t}.layer0.mlp_pre").numbers) if x > 0}
    assert response["documents"] >= 60
    assert not ever & set(response["dead"])
    assert 5 in response["dead"]
    assert len(response["dead"]) < 32
