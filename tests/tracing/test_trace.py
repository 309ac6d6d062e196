"""A trace: its numbers are the reference's, and their operands, sums, graph and contributions are right."""

from __future__ import annotations

import gc
import json
import math
import random
import re
import sys
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import FrameType

import pytest

from microgpt import reference
from microgpt.config import PRESETS, init, offsets, shapes
from microgpt.engines.choose import open_engine
from microgpt.engines.program import ScalarModel
from microgpt.tracing import names as tensor_names
from microgpt.tracing import recorder as recording
from microgpt.tracing.instrument import Node
from microgpt.tracing.trace import Trace, trace
from microgpt.verification.cases import CASES

from tracing.traces import (
    EMMA,
    MAKERS,
    TWO_LAYERS,
    bits,
    case_trace,
    emma,
    every_case,
    every_small,
    params_of,
    small,
)

# --- The numbers


@every_case
def test_values_and_gradients_equal_the_reference_bit_for_bit(name: str) -> None:
    case = CASES[name]
    tokens = case.batches()[0][0]
    traced = case_trace(name)
    for tensor, (shape, numbers) in recording.forward(tokens, case.model()).items():
        assert traced.tensor(tensor).shape == shape
        assert traced.tensor(tensor).numbers.tobytes() == numbers.tobytes(), tensor
    engine = open_engine("scalar", case.params(), case.config, case.vocab_size)
    engine.backward([tokens])
    for tensor, part in offsets(shapes(case.config, case.vocab_size)).items():
        assert traced.tensor(tensor).numbers.tobytes() == engine.params[part].tobytes(), tensor
        assert traced.grad(tensor).numbers.tobytes() == engine.grads[part].tobytes(), tensor


def test_tracing_does_not_change_the_reference() -> None:
    before = dict(vars(reference)), dict(vars(reference.Value))
    params = params_of(TWO_LAYERS, 4)
    kept = params[:]
    trace([1, 2, 1], params, TWO_LAYERS, 4, events=True)
    assert (dict(vars(reference)), dict(vars(reference.Value))) == before
    assert params == kept


def test_a_value_prints_its_data_and_gradient_in_full() -> None:
    node = small("two layers").node("pos1.layer0.q[3]")
    assert repr(node) == f"Value(data={node.data!r}, grad={node.grad!r})"
    loss = small("two layers").node("loss")
    assert str([loss]) == f"[Value(data={loss.data}, grad=1.0)]"
    [data] = re.findall(r"data=(\S+),", repr(node))
    assert bits(float(data)) == bits(node.data)


def test_without_backward_there_are_no_gradients() -> None:
    traced = trace([1, 2, 1], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4, backward=False)
    assert traced.backward_order() == traced.contributions("wpe[0][0]") == traced.passed_on("loss") == []
    assert not any(traced.grad("wpe").numbers)


def test_recording_the_steps_adds_no_nodes() -> None:
    config = PRESETS["final"]
    params = init(config, 27, random.Random(config.seed))
    bare, with_events = (trace(EMMA, params, config, 27, events=events) for events in (False, True))
    assert [node.op for node in bare.graph.nodes] == [node.op for node in with_events.graph.nodes]


def test_the_memory_of_a_trace_is_freed_with_its_last_reference() -> None:
    gc.disable()
    try:
        traced = trace([1, 2, 1], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4, events=True)
        traced.number("wpe[0][0]")
        node_class = type(traced.node("loss"))  # each program creates its own class of nodes
        assert sum(type(x) is node_class for x in gc.get_objects()) > 300
        del traced
        assert not any(type(x) is node_class for x in gc.get_objects())
    finally:
        gc.enable()


def test_invalid_documents_and_numbers_out_of_range_are_refused() -> None:
    params = params_of(TWO_LAYERS, 4)
    with pytest.raises(ValueError, match="must have at least two tokens, got"):
        trace([1], params, TWO_LAYERS, 4)
    with pytest.raises(ValueError, match="token_id must be between 0 and 3, got token_id=4"):
        trace([1, 4], params, TWO_LAYERS, 4)
    with pytest.raises(FloatingPointError, match="outside the range of float64"):  # the log of a probability of 0
        trace([1, 2, 1], array("d", [1e5 * p for p in params]), TWO_LAYERS, 4)


# --- The facts of a number


def numbers(traced: Trace) -> Iterator[tuple[str, Node]]:
    for node in traced.graph.nodes:
        yield traced.path(node), node


@pytest.mark.sampled(2)
@every_small
def test_operands_and_users_are_the_same_edges_seen_from_both_ends(name: str) -> None:
    traced = small(name)
    down, up = Counter(), Counter()
    for path, _ in numbers(traced):
        facts = traced.number(path)
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts
        for x in facts["operands"]:
            down[traced.path(traced.node(x["path"])), path, x["local_gradient"]] += 1
        for user in facts["users"]:
            up[path, traced.path(traced.node(user["path"])), user["local_gradient"]] += 1
    assert down == up
    assert down


def test_a_local_gradient_is_the_slope_of_the_operation() -> None:
    does = {
        "add": lambda a, b: a + b,
        "mul": lambda a, b: a * b,
        "exp": math.exp,
        "log": math.log,
        "relu": lambda a: a if a > 0 else 0.0,
    }
    seen = Counter()
    for path, _ in numbers(small("relu2")):
        facts = small("relu2").number(path)
        if not facts["operands"]:
            assert facts["op"] in ("parameter", "constant")
            continue
        f = does[facts["op"]] if facts["op"] in does else partial(lambda n, a: a**n, facts["exponent"])
        at = [x["value"] for x in facts["operands"]]
        assert facts["value"] == pytest.approx(f(*at), rel=1e-12)
        for i, x in enumerate(facts["operands"]):
            h = 1e-6 * max(1e-2, abs(at[i]))
            low, high = ([*at[:i], at[i] + step, *at[i + 1 :]] for step in (-h, h))
            assert x["local_gradient"] == pytest.approx((f(*high) - f(*low)) / (2 * h), rel=1e-5, abs=1e-8), path
        seen[facts["op"]] += 1
    assert set(seen) == {*does, "pow"}


@pytest.mark.parametrize(
    ("path", "statement"),
    [
        ("pos1.emb[0]", "x = [t + p for t, p in"),
        ("pos1.emb_norm.mean_square", "mean_square = sum(xi * xi for xi in x) / len(x)"),
        ("pos1.emb_norm.mean_square.term2", "mean_square = sum(xi * xi for xi in x) / len(x)"),
        ("pos1.emb_norm.mean_square.inverse", "mean_square = sum(xi * xi for xi in x) / len(x)"),
        ("pos1.emb_norm.scale", "scale = (mean_square + 1e-5) ** -0.5"),
        ("pos1.emb_norm[3]", "return [xi * scale for xi in x]"),
        ("pos1.layer1.k[3].sum2", "return [sum(wi * xi for wi, xi in zip(row, x)) for row in w]"),
        ("pos1.layer1.attn_logits.head1[0]", "attn_logits = [sum(qj * kj"),
        ("pos1.layer1.attn_weights.head1[0].exp", "exps = [(logit - largest).exp() for logit in logits]"),
        ("pos1.layer1.attn_weights.head1.total", "total = sum(exps)"),
        ("pos1.layer1.x_attn.head1[0]", "return [sum(weight * v[j]"),
        ("pos1.layer1.resid_mid[0]", "x = [a + b for a, b in zip(x, x_residual)]"),
        ("pos1.layer1.mlp_act[9]", "x = [activation(xi) for xi in x]"),
        ("pos1.probs[2]", "return [e / total for e in exps]"),
        ("pos1.loss", "losses.append(-probs[target_id].log())"),
        ("loss", "return 1 / len(losses) * sum(losses)"),
    ],
)
def test_the_line_is_the_one_that_computed_the_number(path: str, statement: str) -> None:
    opened = small("two layers").opened(path)
    assert opened["source"].startswith(statement)
    assert opened["line"] == small("two layers").number(path)["line"]


# --- The sums


@pytest.mark.sampled(3)
@pytest.mark.parametrize("model", [*MAKERS, *PRESETS])
def test_every_sum_gives_its_number_bit_for_bit(model: str) -> None:
    traced = case_trace(model) if model in PRESETS else small(model)
    for name, shape in traced.graph.shapes.items():
        if model in PRESETS and name in ("wte", "wpe", "lm_head"):
            continue  # parameters have no operands; the small models also test them
        for position, number in enumerate(traced.tensor(name).numbers):
            opened = traced.opened(tensor_names.element_path(name, shape, position))
            assert bits(opened["recomputed"]) == bits(opened["value"]) == bits(number), opened["path"]


@pytest.mark.sampled(2)
@every_small
def test_inner_numbers_also_open(name: str) -> None:
    traced = small(name)
    for path, node in numbers(traced):
        assert bits(traced.opened(path)["recomputed"]) == bits(node.data), path


def test_a_sum_is_recomputed_from_its_operands() -> None:
    traced = trace([3, 0, 1, 3], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4)
    for name, changed in (
        ("pos1.layer0.q[2]", "pos1.layer0.attn_norm[4]"),
        ("pos1.layer0.q[2]", "layer0.attn_wq[2][0]"),
        ("pos1.layer0.attn_logits.head1[0]", "pos0.layer0.k[3]"),
        ("pos1.probs[2]", "pos1.logits[2]"),
        ("pos1.probs[2]", "pos1.probs[0].exp"),
        ("pos1.emb_norm.scale", "pos1.emb_norm.scale.eps"),
        ("loss", "pos2.loss"),
    ):
        node = traced.node(changed)
        before, node.data = node.data, node.data + 0.5
        opened = traced.opened(name)
        assert opened["recomputed"] != opened["value"]
        node.data = before
        opened = traced.opened(name)
        assert opened["recomputed"] == opened["value"]


def test_a_linear_output_opens_into_weights_times_inputs_in_the_order_of_the_program() -> None:
    traced = emma()
    opened = traced.opened("pos3.layer0.q[9]")
    assert opened["steps"] == []
    weights, inputs = traced.tensor("layer0.attn_wq").numbers[9 * 16 : 10 * 16], traced.tensor("pos3.layer0.attn_norm")
    total = 0.0
    for j, (term, w, x) in enumerate(zip(opened["terms"], weights, inputs.numbers)):
        total = w * x if j == 0 else total + w * x
        assert term == {
            "path": f"pos3.layer0.q[9].term{j}",
            "value": w * x,
            "factors": [
                {"path": f"layer0.attn_wq[9][{j}]", "value": w},
                {"path": f"pos3.layer0.attn_norm[{j}]", "value": x},
            ],
            "total": total,
        }
    assert len(opened["terms"]) == 16
    assert total == opened["value"] == opened["recomputed"]


def shown(traced: Trace, path: str) -> tuple[list[str], list[str]]:
    """Return the terms and the steps of a number in a short form."""
    opened = traced.opened(path)
    terms = [" * ".join(x["path"] for x in term["factors"]) or term["path"] for term in opened["terms"]]
    steps = []
    for step in opened["steps"]:
        operands = [x["path"] for x in step["operands"]] + ([str(step["exponent"])] if "exponent" in step else [])
        steps.append(f"{step['op']} {', '.join(operands)}")
    return terms, steps


def test_every_kind_of_number_opens_into_the_steps_of_the_algorithm() -> None:
    traced = small("two layers")
    head = "pos1.layer0.attn_weights.head1"
    assert shown(traced, "pos1.emb[2]") == ([], ["add pos1.tok_emb[2], pos1.pos_emb[2]"])
    assert shown(traced, "pos1.emb_norm[2]") == ([], ["mul pos1.emb[2], pos1.emb_norm.scale"])
    assert shown(traced, "pos1.emb_norm.scale") == (
        [],
        [
            "add pos1.emb_norm.mean_square, pos1.emb_norm.scale.eps",
            "pow pos1.emb_norm.scale.shifted, -0.5",
        ],
    )
    assert shown(traced, "pos1.emb_norm.mean_square") == (
        [f"pos1.emb[{j}] * pos1.emb[{j}]" for j in range(6)],
        ["mul pos1.emb_norm.mean_square.total, pos1.emb_norm.mean_square.inverse"],
    )
    assert shown(traced, "pos1.layer0.attn_logits.head1[0]") == (
        [f"pos1.layer0.q[{j}] * pos0.layer0.k[{j}]" for j in (3, 4, 5)],
        ["mul pos1.layer0.attn_logits.head1[0].total, pos1.layer0.attn_logits.head1[0].inverse"],
    )
    assert shown(traced, f"{head}[1]") == (
        [f"{head}[0].exp", f"{head}[1].exp"],
        [
            f"add pos1.layer0.attn_logits.head1[1], {head}[1].minus_largest",
            f"exp {head}[1].shifted",
            f"pow {head}.total, -1",
            f"mul {head}[1].exp, {head}[1].inverse",
        ],
    )
    assert shown(traced, "pos1.layer0.x_attn.head1[2]") == (
        [f"{head}[{t}] * pos{t}.layer0.v[5]" for t in (0, 1)],
        [],
    )
    assert shown(traced, "pos1.layer0.resid_mid[2]") == ([], ["add pos1.layer0.attn_out[2], pos1.layer0.resid_pre[2]"])
    assert shown(traced, "pos1.layer0.mlp_act[2]") == ([], ["relu pos1.layer0.mlp_pre[2]"])
    assert shown(small("relu2"), "pos1.layer0.mlp_act[2]") == (
        [],
        ["relu pos1.layer0.mlp_pre[2]", "pow pos1.layer0.mlp_act[2].relu, 2"],
    )
    assert shown(traced, "pos1.loss") == ([], ["log pos1.probs[1]", "mul pos1.loss.log, pos1.loss.minus_one"])
    assert shown(traced, "loss") == ([f"pos{t}.loss" for t in range(5)], ["mul loss.total, loss.inverse"])
    assert shown(traced, "wte[1][2]") == shown(traced, "loss.inverse") == ([], [])


# --- The graph


def test_the_graph_leads_from_a_weight_to_the_loss_and_from_the_loss_to_every_used_weight() -> None:
    traced = small("two layers")
    everything = {"limit": 10**6, "depth_up": 10**6, "depth_down": 10**6}
    up = traced.neighbourhood("layer0.attn_wq[2][5]", **everything)
    assert up["complete"]
    assert "loss" in {node["path"] for node in up["nodes"]}
    down = traced.neighbourhood("loss", **everything)
    reached = {node["path"] for node in down["nodes"] if node["op"] == "parameter"}
    table = shapes(TWO_LAYERS, 4)
    for name, part in table.items():
        for position, slope in enumerate(traced.grad(name).numbers):
            assert slope == 0 or tensor_names.element_path(name, part, position) in reached
    unread = small("one position").neighbourhood("loss", **everything)
    assert "wte[2][0]" not in {node["path"] for node in unread["nodes"]}


def test_a_neighbourhood_is_the_nearest_nodes_and_all_edges_between_them() -> None:
    traced = small("two layers")
    path = "pos1.layer0.q[2].sum3"
    around = traced.neighbourhood(path, depth_up=2, depth_down=2)
    assert around["complete"]
    distance = {node["path"]: node["distance"] for node in around["nodes"]}
    assert distance == {
        path: 0,
        "pos1.layer0.q[2].sum2": -1,
        "pos1.layer0.q[2].term3": -1,
        "pos1.layer0.q[2].sum4": 1,
        "pos1.layer0.q[2].sum1": -2,
        "pos1.layer0.q[2].term2": -2,
        "layer0.attn_wq[2][3]": -2,
        "pos1.layer0.attn_norm[3]": -2,
        "pos1.layer0.q[2]": 2,
    }
    edges = {(edge["from"], edge["to"]): edge["local_gradient"] for edge in around["edges"]}
    weight = traced.number("layer0.attn_wq[2][3]")["value"]
    assert edges["pos1.layer0.attn_norm[3]", "pos1.layer0.q[2].term3"] == weight
    assert len(edges) == 8
    few = traced.neighbourhood(path, depth_up=2, depth_down=2, limit=4)
    assert sorted(abs(node["distance"]) for node in few["nodes"]) == [0, 1, 1, 1]
    assert not few["complete"]


# --- Backward


@every_small
def test_contributions_add_up_to_every_gradient_bit_for_bit(name: str) -> None:
    traced = small(name)
    for path, node in numbers(traced):
        total = 0.0
        for share in traced.contributions(path):
            assert bits(share["before"]) == bits(total)
            assert bits(share["add"]) == bits(share["local_gradient"] * share["grad"])
            total += share["add"]
            assert bits(share["after"]) == bits(total)
        assert bits(total if node is not traced.node("loss") else 1.0) == bits(node.grad), path


def test_contributions_add_up_for_every_parameter_of_the_published_model() -> None:
    traced = emma()
    for name, shape in shapes(PRESETS["final"], 27).items():
        for position, slope in enumerate(traced.grad(name).numbers):
            total = 0.0
            for share in traced.contributions(tensor_names.element_path(name, shape, position)):
                total += share["add"]
            assert bits(total) == bits(slope)
    assert len(traced.contributions("layer0.attn_wq[9][5]")) == 5  # one += per position


@pytest.mark.sampled(2)
@every_small
def test_replaying_the_order_of_backward_gives_every_gradient(name: str) -> None:
    traced = small(name)
    order = traced.backward_order()
    nodes = traced.graph.nodes
    grads = dict.fromkeys(nodes, 0.0)
    grads[nodes[order[0]]] = 1.0
    assert traced.path(nodes[order[0]]) == "loss"
    played: Counter[tuple[str, str]] = Counter()
    for index in order:
        path = traced.path(nodes[index])
        for share in traced.passed_on(path):
            to = traced.node(share["path"])
            assert bits(grads[to]) == bits(share["before"])
            grads[to] = share["after"]
            played[path, traced.path(to)] += 1
    assert {node: bits(x) for node, x in grads.items()} == {node: bits(node.grad) for node in nodes}
    added = Counter(
        (traced.path(traced.node(share["path"])), path)
        for path, _ in numbers(traced)
        for share in traced.contributions(path)
    )
    assert added == played


def test_the_order_is_that_of_the_reference() -> None:
    """The reference runs without recording; its order is read from the frame of backward() when it returns."""
    config, params, tokens = TWO_LAYERS, params_of(TWO_LAYERS, 4), [3, 0, 1, 0, 3]
    traced = trace(tokens, params, config, 4)
    loss = reference.loss(tokens, ScalarModel(params, config, 4).state_dict(), config.n_layer, config.n_head, 5)
    order: list[reference.Value] = []

    def watch(frame: FrameType, event: str, _: object) -> object:
        if event == "return":
            order.extend(frame.f_locals["order"])
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    loss.backward()
    sys.settrace(before)
    twin = {loss: traced.node("loss")}  # the same node of the other graph
    for node in reversed(order):
        twin[node.a] = twin[node].a
        if node.b is not None:
            twin[node.b] = twin[node].b
    assert [twin[node].index for node in reversed(order)] == traced.backward_order()
    assert len(order) > 3000
