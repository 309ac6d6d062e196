"""Paths: every number has one that leads back to it, and a wrong path is refused with a message."""

from __future__ import annotations

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.engines.base import num_positions
from microgpt.tracing import inner_names
from microgpt.tracing import names as tensor_names
from microgpt.verification.cases import CASES

from tracing.traces import (
    MAKERS,
    bits,
    case_trace,
    emma,
    every_small,
    small,
)


@every_small
def test_every_number_has_one_path_that_leads_back_to_it(name: str) -> None:
    traced = small(name)
    paths = [traced.path(node) for node in traced.graph.nodes]
    assert len(set(paths)) == len(paths)
    assert [path for path in paths if path.startswith("node")] == []
    for path, node in zip(paths, traced.graph.nodes):
        assert traced.node(path) is node, path


def test_every_number_of_the_published_model_has_a_path() -> None:
    traced = emma()
    paths = [traced.path(node) for node in traced.graph.nodes]
    assert len(set(paths)) == len(paths) > 40_000
    assert all(traced.node(path) is node for path, node in zip(paths, traced.graph.nodes))
    assert not any(path.startswith("node") for path in paths)


def test_every_name_of_the_table_and_every_index_leads_to_its_number() -> None:
    traced = case_trace("layers")
    case = CASES["layers"]
    table = tensor_names.tensors(case.config, case.vocab_size, num_positions(case.batches()[0][0], case.config))
    assert traced.graph.shapes == table
    for name, shape in table.items():
        for position, number in enumerate(traced.tensor(name).numbers):
            path = tensor_names.element_path(name, shape, position)
            node = traced.node(path)
            assert bits(node.data) == bits(number)
            assert path in traced.graph.names(node)


def test_the_examples_in_the_docstrings_work() -> None:
    assert doctest.testmod(inner_names).failed == 0
    assert doctest.testmod(inner_names).attempted == 1


def test_the_explained_roles_are_those_that_occur() -> None:
    explained = set(re.findall(r"^ {8}(?:\[i\]\.)?(\w+)", inner_names.__doc__ or "", re.MULTILINE))
    explained |= set(re.findall(r"[;,] {1,2}(?:\[i\]\.)?(sum|total)\b", inner_names.__doc__ or ""))
    found = set()
    for name in MAKERS:
        traced = small(name)
        inner = [node for node in traced.graph.nodes if not traced.graph.places(node)]
        found |= {re.sub(r"\d+$", "", traced.path(node).rpartition(".")[2]) for node in inner}
    sampled = {"scaled", "inverse_temperature"}  # test_steps.py covers these
    assert found == explained - sampled
    assert sampled <= explained


def test_a_number_that_is_passed_on_unchanged_has_several_names() -> None:
    traced = small("two layers")
    assert traced.graph.names(traced.node("pos1.layer1.resid_pre[2]")) == [
        "pos1.layer0.resid_post[2]",
        "pos1.layer1.resid_pre[2]",
    ]
    assert traced.graph.names(traced.node("pos2.layer0.x_attn[4]")) == [
        "pos2.layer0.x_attn.head1[1]",
        "pos2.layer0.x_attn[4]",
    ]
    assert traced.graph.names(traced.node("wte[0][5]"))[:3] == ["wte[0][5]", "pos1.tok_emb[5]", "pos3.tok_emb[5]"]
    assert traced.node("pos2.layer0.x_attn[4].term1") is traced.node("pos2.layer0.x_attn.head1[1].term1")
    # an operand has the name that is closest to the requested path
    assert [x["path"] for x in traced.number("pos1.layer1.resid_mid[2]")["operands"]] == [
        "pos1.layer1.attn_out[2]",
        "pos1.layer1.resid_pre[2]",
    ]
    assert [x["path"] for x in traced.number("pos3.emb[5]")["operands"]] == ["pos3.tok_emb[5]", "pos3.pos_emb[5]"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pos0.layer0.q", "path must name one number: pos0.layer0.q has shape (6,), got path='pos0.layer0.q'"),
        ("wte[1]", "path must name one number: wte has shape (4, 6), got path='wte[1]'"),
        (
            "pos0.layer0.q[2].exp",
            "unknown intermediate value 'exp': pos0.layer0.q[2] has term0, term1, term2, term3, term4, term5, sum0,"
            " sum1, sum2, sum3, sum4, got path='pos0.layer0.q[2].exp'",
        ),
        (
            "wte[1][2].term0",
            "unknown intermediate value 'term0': wte[1][2] has no intermediate values, got path='wte[1][2].term0'",
        ),
        ("pos9.loss", "path must have a position between 0 and 4 for this text, got path='pos9.loss'"),
        ("pos9.probs[2].exp", "path must have a position between 0 and 4 for this text"),
        ("probs[2]", "did you mean pos4.probs[2] or pos3.probs[2] or pos2.probs[2]?"),
        ("probs[9]", "did you mean pos4.probs or pos3.probs or pos2.probs?"),
        ("pos1.layer0.atn_out[3]", "did you mean pos1.layer0.attn_out[3]?"),
        ("pos0.los", "unknown tensor 'pos0.los'; pos0 contains tok_emb, pos_emb, emb, emb_norm, layer0, layer1"),
        (
            "pos0.layer0.q[6].term0",
            "an index into pos0.layer0.q, which has shape (6,), must be between 0 and 5, got path='pos0.layer0.q[6]'",
        ),
        ("", "path must be a name followed by an index"),
        ("node99999999", "unknown tensor 'node99999999'"),
    ],
)
def test_a_path_to_no_number_is_refused_with_the_existing_names(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small("two layers").number(path)


PIECES = [
    "pos1",
    "layer0",
    ".",
    "q",
    "[2]",
    "[-1]",
    "[",
    "]",
    "probs",
    "term1",
    "sum",
    "total",
    "node",
    "7",
    "wte",
    "\u0663",
]


@given(st.text(max_size=20) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    traced = small("two layers")
    try:
        node = traced.node(text)
    except ValueError:
        return
    assert traced.node(traced.path(node)) is node


def test_a_number_can_be_found_by_its_index() -> None:
    traced = small("two layers")
    turns = traced.backward_order()
    assert traced.number(f"node{turns[0]}")["path"] == "loss"
    assert traced.number("node0")["path"] == "wte[0][0]"
