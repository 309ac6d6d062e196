"""Expressions: the nodes are the reference's, the gradients are slopes, and errors name their place."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.errors import LabError
from microgpt.lab.figures.expression import MAX_MOVES, differentiate
from microgpt.reference import Value

from lab.session_client import Lab

DIAMOND = "b = a + a; c = b + b"
SOFTMAX = "ea = exp(a); eb = exp(b); ec = exp(c); p = ea / (ea + eb + ec); loss = -log(p)"


def by_name(response: dict[str, Any]) -> dict[str, Any]:
    """Return the nodes that have a name, by name."""
    return {node["name"]: node for node in response["nodes"] if node["name"]}


# Expressions that Python can evaluate with the reference's Values, far from points where a function is undefined: the
# argument of a log or of a negative power is at least 1
inner = st.recursive(
    st.sampled_from(["a", "b", "c"]),
    lambda x: st.one_of(
        st.tuples(x, st.sampled_from([" + ", " - ", " * "]), x).map(lambda t: f"({''.join(t)})"),
        st.tuples(x, st.sampled_from([" + 2", " - 1", " * 0.5", " / 3", "**2", "**3"])).map(
            lambda t: f"({''.join(t)})"
        ),
        st.tuples(x, x).map(lambda t: f"({t[0]} / ({t[1]}**2 + 1))"),
        x.map(lambda e: f"(-{e})"),
        x.map(lambda e: f"({e}**2 + 1).log()"),
        x.map(lambda e: f"(0.1 * {e} / ({e}**2 + 1)).exp()"),
        x.map(lambda e: f"{e}.relu()"),
    ),
    max_leaves=6,
)
numbers = st.floats(-2, 2).map(lambda x: round(x, 3))
inputs = st.fixed_dictionaries({"a": numbers, "b": numbers, "c": numbers})


def reachable(result: Value) -> list[Value]:
    """Return a result and all nodes that it was computed from."""
    found, waiting = {id(result): result}, [result]
    while waiting:
        node = waiting.pop()
        for operand in (node.a, node.b):
            if operand is not None and id(operand) not in found:
                found[id(operand)] = operand
                waiting.append(operand)
    return list(found.values())


@given(source=inner, values=inputs)
def test_the_nodes_are_those_of_the_reference(source: str, values: dict[str, float]) -> None:
    leaves = {name: Value(x) for name, x in values.items()}
    result = eval(source, {}, dict(leaves))
    result.backward()
    response = differentiate(source, values)
    expected = sorted((node.data, node.grad, node.a is None) for node in reachable(result))
    drawn = sorted((node["data"], node["grad"], not node["operands"]) for node in response["nodes"])
    assert drawn == expected
    assert response["right"]
    for node in response["nodes"]:
        assert all(operand["id"] < node["id"] for operand in node["operands"])


@given(source=inner, values=inputs)
def test_every_gradient_is_the_slope(source: str, values: dict[str, float]) -> None:
    response = differentiate(source, values)
    h = 1e-5
    for check in response["check"]:
        at = [
            differentiate(source, {**values, check["name"]: values[check["name"]] + step})["nodes"]
            for step in (-h, 0, h)
        ]
        results = [nodes[response["result"]]["data"] for nodes in at]
        kinked = any(
            node["op"] == "relu" and (node["data"] > 0) != (nodes[node["id"]]["data"] > 0)
            for nodes in (at[0], at[2])
            for node in response["nodes"]
        ) or any(node["op"] == "relu" and node["data"] == 0 == at[1][node["operands"][0]["id"]]["data"]
                 for node in response["nodes"])  # fmt: skip
        if kinked:  # relu has no slope at its corner
            continue
        scale = max(1, abs(check["grad"]), *map(abs, results))
        assert check["difference"] == pytest.approx(check["grad"], abs=1e-6 * scale)


@given(source=inner, values=inputs, order=st.sampled_from(["topological", "naive"]), accumulate=st.booleans(),
       times=st.sampled_from([1, 2]))  # fmt: skip
def test_the_moves_of_backward_add_up_to_the_gradients(
    source: str, values: dict[str, float], order: str, accumulate: bool, times: int
) -> None:
    response = differentiate(source, values, order=order, accumulate=accumulate, times=times)
    grads = dict.fromkeys(range(len(response["nodes"])), 0.0)
    grads[response["result"]] = 1.0
    for move in response["backward"]:
        assert grads[move["operand"]] == move["before"]
        assert move["out"] == grads[move["node"]]
        passed = move["share"]
        assert passed == move["local"] * move["out"]
        assert move["after"] == (move["before"] + passed if accumulate else passed)
        grads[move["operand"]] = move["after"]
    assert [node["grad"] for node in response["nodes"]] == list(grads.values())


@pytest.mark.parametrize(
    ("options", "grad", "right"),
    [
        ({}, 4.0, True),
        ({"order": "naive"}, 6.0, False),
        ({"accumulate": False}, 1.0, False),
        ({"times": 2}, 12.0, False),
    ],
)
def test_leaving_out_a_precaution_of_backward_changes_the_gradient(
    options: dict[str, Any], grad: float, right: bool
) -> None:
    response = differentiate(DIAMOND, {"a": 3.0}, **options)
    assert by_name(response)["a"]["grad"] == grad
    assert response["right"] == right
    assert response["check"][0]["difference"] == pytest.approx(4.0)


def test_the_gradient_of_a_softmax_is_p_minus_one() -> None:
    values = {"a": 0.3, "b": -1.0, "c": 2.0}
    response = differentiate(SOFTMAX, values)
    total = sum(map(math.exp, values.values()))
    grads = [check["grad"] for check in response["check"]]
    assert grads == pytest.approx([math.exp(x) / total - (name == "a") for name, x in values.items()])


def test_names_inputs_and_constants_are_distinguished() -> None:
    response = differentiate("x = 2 - a\ny = x.relu() * a", {"a": 0.5, "unused": 1.0})
    nodes = by_name(response)
    assert list(nodes) == ["a", "x", "y"]
    assert nodes["y"]["id"] == response["result"]
    assert [node["data"] for node in response["nodes"] if node["constant"]] == [2.0, -1]
    assert [check["name"] for check in response["check"]] == ["a"]


def test_an_input_next_to_the_end_of_a_domain_has_no_slope() -> None:
    [check] = differentiate("log(a)", {"a": 1e-6})["check"]
    assert math.isnan(check["difference"])
    assert check["grad"] == 1e6


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "the expression is empty"),
        ("a +", "cannot read the expression at line 1, column 4"),
        ("b = a\nc = b *", "cannot read the expression at line 2"),
        ("a ** b", "line 1, column 6: an exponent must be a number"),
        ("b = 1; a ** b", "an exponent must be a number"),
        ("a ** " + "-" * 1900 + "1", "an exponent must be a number"),
        ("a ** (1" + "/ 1" * 600 + ")", "an exponent must be a number"),
        ("import os", "line 1, column 1: a statement must be an expression"),
        ("a = b = c", "a statement must be an expression"),
        ("__import__('os').system('true')", "the only functions are exp, log, relu"),
        ("a.__class__", "only names, numbers"),
        ("a.exp(2)", "takes no arguments"),
        ("exp(a, b)", "exp takes one expression"),
        ("exp(*a)", "exp takes one expression"),
        ("exp + 1", "exp is a function"),
        ("exp = a", "exp is a function and cannot be assigned to"),
        ("'x' * a", "line 1, column 1: 'x' is not a number"),
        ("True + a", "True is not a number"),
        ("2j * a", "2j is not a number"),
        ("1e999 * a", "this number is too large"),
        ("9" * 400 + " * a", "this number is too large"),
        ("[x for x in a]", "only names, numbers"),
        ("lambda: a", "only names, numbers"),
        ("a if b else c", "only names, numbers"),
        ("nobody + a", "the input nobody has no value"),
        ("log(-1 * a)", "the log of 0 or of a negative number"),
        ("1 / (a - a)", "avoid division by 0"),
        ("(0 - a) ** 0.5", "a negative number cannot be raised to a fractional power"),
        ("(-8) ** 0.5 * a", "a negative number cannot be raised to a fractional power"),
        ("exp(a * 9999)", "results outside float64's range"),
        ("(9 ** 999999) ** 999999", "results outside float64's range"),
        ("(" * 300 + "a" + ")" * 300, "cannot read the expression"),
        ("a" + "+a" * 80, "more than 60 nested operations"),
        ("-" * 70 + "a", "more than 60 nested operations"),
        ("a" * 3000, "at most 2,000 characters"),
        ("a\0", "cannot read the expression"),
    ],
)
def test_an_expression_that_cannot_be_read_or_computed_is_refused_with_its_place(source: str, words: str) -> None:
    with pytest.raises(LabError) as error:
        differentiate(source, {"a": 1.5, "b": 2.0, "c": 1.0})
    assert words in str(error.value)


@given(st.text("ab+-*/()=;. \n0123456789explogru", max_size=40))
def test_any_text_is_read_or_refused(source: str) -> None:
    with suppress(LabError):
        response = differentiate(source, dict.fromkeys("abexplogru", 1.5))
        assert response["nodes"]


def test_the_naive_order_is_stopped_when_its_paths_multiply() -> None:
    doubled = "; ".join(f"{y} = {x} + {x}" for x, y in zip("abcdefghijkl", "bcdefghijklm"))
    with pytest.raises(LabError, match=f"more than {MAX_MOVES:,} additions"):
        differentiate(doubled, {"a": 1.0}, order="naive")
    assert by_name(differentiate(doubled, {"a": 1.0}))["a"]["grad"] == 2.0**12


@pytest.mark.parametrize("options", [{"order": "random"}, {"times": 3}])
def test_unknown_options_of_backward_are_refused(lab: Lab, options: dict[str, Any]) -> None:
    [name] = options
    assert f"{name} must be one of" in lab.refused("expression", source="a", inputs={"a": 1.0}, **options)
