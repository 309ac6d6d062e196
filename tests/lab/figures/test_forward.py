"""The forward pass: every number opens into the sum that produced it, and follows a changed weight."""

from __future__ import annotations

import math
import random

import pytest

from microgpt.config import PRESETS, Config, offsets, shapes
from microgpt.tracing import names as tensor_names
from microgpt.tracing.trace import trace

from conftest import whole
from lab.published import names_model
from lab.session_client import Lab

WORD = "emma"


@pytest.mark.parametrize("count", [200, whole(None)])
def test_every_number_of_a_word_opens_into_a_sum_that_gives_it(
    readonly: Lab, count: int | None, rng: random.Random
) -> None:
    """`count` of the numbers are opened; None opens all."""
    forward = readonly.ask("forward", word=WORD)
    lines = readonly.ask("source")["lines"]
    recorded = trace(forward["tokens"], names_model().params, PRESETS["final"], 27)
    every = [
        (tensor_names.element_path(name, tuple(tensor["shape"]), i), value)
        for name, tensor in forward["tensors"].items()
        for i, value in enumerate(tensor["data"])
    ]
    assert len(every) == sum(math.prod(shape) for shape in tensor_names.intermediates(PRESETS["final"], 27, 5).values())
    for path, value in rng.sample(every, count or len(every)):
        number = readonly.ask("number", word=WORD, path=path)
        assert number["value"] == value == number["recomputed"], path
        assert number["grad"] == recorded.node(path).grad
        total = None
        for term in number["terms"]:
            total = term["value"] if total is None else total + term["value"]
            assert term["total"] == total, path
            assert term["value"] == math.prod(factor["value"] for factor in term["factors"]), path
        if number["terms"] and number["after"] is None:
            assert total == value, path
        if number["after"]:
            assert number["after"]["value"] == value
            assert number["after"]["text"] in lines[number["line"] - 1]
        assert number["formula"] in lines[number["line"] - 1] or number["kind"] == "parameter"
        assert number["meaning"]
        assert len(number["users"]) == min(32, number["num_users"])


def test_the_graph_around_a_number_is_that_of_the_trace(readonly: Lab) -> None:
    around = readonly.ask("neighbourhood", word=WORD, path="pos3.layer0.attn_weights.head2[1]", up=2, down=2)
    paths = {node["path"] for node in around["nodes"]}
    assert "pos3.layer0.attn_weights.head2[1]" in paths
    recorded = trace(readonly.ask("forward", word=WORD)["tokens"], names_model().params, PRESETS["final"], 27)
    for edge in around["edges"]:
        made = recorded.number(edge["to"])
        assert edge["from"] in paths
        local = [
            x["local_gradient"] for x in made["operands"] if recorded.node(x["path"]) is recorded.node(edge["from"])
        ]
        assert edge["local"] in local
    assert readonly.ask("neighbourhood", word=WORD, path="loss", down=12)["cut"]


def test_a_changed_weight_changes_what_depends_on_it_and_can_be_undone(lab: Lab) -> None:
    before = lab.ask("forward", word=WORD)
    state = lab.state()
    weight = names_model().params[offsets(shapes(Config(), 27))["layer0.attn_wv"]][2 * 16 + 3]
    changes = lab.ask("change", path="layer0.attn_wv[2][3]", value=1.5)["changes"]
    assert changes == [{"path": "layer0.attn_wv[2][3]", "before": weight, "after": 1.5}]
    now = lab.ask("forward", word=WORD)
    changed = {name for name, tensor in now["tensors"].items() if tensor != before["tensors"][name]}
    assert now["before"].keys() == changed
    assert "pos0.layer0.v" in changed
    assert "pos0.layer0.q" not in changed
    for name in changed:
        assert now["before"][name] == before["tensors"][name]["data"]
    assert lab.ask("undo")["changes"] == []
    assert lab.state() == state
    assert lab.ask("forward", word=WORD)["before"] == {}


def test_a_weight_that_overflows_the_numbers_gives_a_message(lab: Lab) -> None:
    lab.ask("change", path="layer0.attn_wv[2][3]", value=1e300)
    assert "undo" in lab.refused("forward", word=WORD)
    assert lab.ask("undo")["changes"] == []


def test_only_some_tensors_of_the_forward_pass(readonly: Lab) -> None:
    whole = readonly.ask("forward", word="emma")
    some = readonly.ask("forward", word="emma", only=["emb", "tok_emb"])
    names = [f"pos{t}.{name}" for t in range(5) for name in ("tok_emb", "emb")]
    assert some == {**whole, "tensors": {name: whole["tensors"][name] for name in names}}
