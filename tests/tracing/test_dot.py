"""The graph behind a number in DOT: it is valid, and its numbers are the trace's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.tracing.dot import DEPTH, RANKDIRS
from microgpt.tracing.trace import Trace, trace

from tracing.dots import Parsed, parse, shown
from tracing.traces import TWO_LAYERS, bits, emma, every_small, params_of, small

WHOLE = 10**6  # deeper than any graph


@cache
def whole(name: str) -> Parsed:
    """Return the graph behind the loss of a small model, which tests must not change."""
    return graph(small(name))


def graph(traced: Trace, path: str = "loss", depth: int = WHOLE) -> Parsed:
    return parse(str(traced.dot(path, depth=depth)))


@every_small
def test_every_number_and_edge_behind_the_loss_is_the_traces(name: str) -> None:
    traced = small(name)
    found = whole(name)
    behind = {traced.path(node): node for node in traced.graph.behind(traced.node("loss"))}
    assert found.nodes.keys() == behind.keys()
    for path, attributes in found.nodes.items():
        facts = traced.number(path)
        assert bits(float(attributes["data"])) == bits(facts["value"])
        assert bits(float(attributes["grad"])) == bits(facts["grad"])
        assert attributes["op"] == facts["op"]
        assert attributes.get("exponent") == (str(facts["exponent"]) if "exponent" in facts else None)
    edges = Counter((a, b, bits(float(attributes["local_gradient"]))) for a, b, attributes in found.edges)
    assert edges == Counter(
        (traced.path(operand), path, bits(slope))
        for path, node in behind.items()
        for operand, slope in ((node.a, node.da), (node.b, node.db))
        if operand is not None
    )


@every_small
def test_the_edges_of_the_file_add_up_to_its_gradients(name: str) -> None:
    """The chain rule, from the file alone: a gradient is the sum of local gradient * the result's gradient."""
    found = whole(name)
    grads = {path: float(attributes["grad"]) for path, attributes in found.nodes.items()}
    sums = defaultdict(float, {"loss": 1.0})
    for operand, result, attributes in found.edges:
        sums[operand] += float(attributes["local_gradient"]) * grads[result]
    assert grads.keys() == sums.keys()
    for path, grad in grads.items():
        assert sums[path] == pytest.approx(grad, rel=1e-12, abs=1e-12), path


def test_a_number_that_is_used_twice_by_one_operation_has_two_edges() -> None:
    found = graph(small("two layers"), "pos1.emb_norm.mean_square.term2")
    twice = [edge[:2] for edge in found.edges if edge[1] == "pos1.emb_norm.mean_square.term2"]
    assert twice == [("pos1.emb[2]", "pos1.emb_norm.mean_square.term2")] * 2


def test_the_label_of_a_named_number_has_its_path_and_that_of_an_intermediate_value_its_operation() -> None:
    traced = small("two layers")
    for path, attributes in whole("two layers").nodes.items():
        node, facts = traced.node(path), traced.number(path)
        operation = f"{facts['op']} {facts['exponent']}" if "exponent" in facts else facts["op"]
        named = [path] * bool(traced.graph.places(node))
        assert shown(attributes["label"]) == [*named, operation, f"data {node.data:.4g}", f"grad {node.grad:.4g}"]
        assert attributes["shape"] == ("box" if named else "ellipse")
        assert ("filled" in attributes.get("style", "")) == (facts["op"] == "parameter")


def test_an_operation_of_depth_1_shows_only_a_number_and_its_operands() -> None:
    found = graph(small("two layers"), "pos3.emb[5]", 1)
    assert [*found.nodes] == ["pos3.emb[5]", "wte[0][5]", "wpe[3][5]"]
    assert [edge[:2] for edge in found.edges] == [("wte[0][5]", "pos3.emb[5]"), ("wpe[3][5]", "pos3.emb[5]")]


@pytest.mark.parametrize("depth", [1, 2, DEPTH, 20])
@pytest.mark.parametrize("path", ["loss", "pos2.logits[3]", "pos2.layer0.q[5]", "pos2.layer0.q[5].term4", "wte[0][0]"])
def test_what_the_depth_cuts_off_is_counted_and_dashed(path: str, depth: int) -> None:
    traced = emma()
    behind = traced.graph.behind(traced.node(path))
    dot = traced.dot(path, depth=depth)
    found = parse(dot.text)
    assert found.nodes.keys() == {traced.path(node) for node, distance in behind.items() if distance <= depth}
    assert (dot.nodes, dot.all_nodes, dot.all_depth) == (len(found.nodes), len(behind), max(behind.values()))
    arriving = Counter(result for _, result, _ in found.edges)
    for made, attributes in found.nodes.items():
        cut = arriving[made] < len(traced.number(made)["operands"])
        assert ("dashed" in attributes.get("style", "")) == cut, made
    about = shown(found.attributes["label"])
    if dot.nodes < dot.all_nodes:
        assert about == [f"{path}: {dot.nodes:,} of {dot.all_nodes:,} numbers", "dashed: the operands are left out"]
    else:
        assert about == [f"{path}: {dot.nodes:,} numbers"]


def test_the_named_depth_shows_everything_and_one_less_does_not() -> None:
    traced = small("two layers")
    deepest = traced.dot("pos0.loss").all_depth
    assert traced.dot("pos0.loss", depth=deepest).nodes == traced.dot("pos0.loss").all_nodes
    assert traced.dot("pos0.loss", depth=deepest - 1).nodes < traced.dot("pos0.loss").all_nodes


def test_a_leaf_is_a_graph_of_one_number() -> None:
    found = graph(small("two layers"), "wte[0][0]", 1)
    assert [*found.nodes] == ["wte[0][0]"]
    assert not found.edges


def test_the_default_graph_of_the_loss_is_small_enough_to_read() -> None:
    assert 10 < emma().dot().nodes < 64
    assert emma().dot().all_nodes > 40_000


def test_the_text_is_the_same_for_every_trace_of_the_same_execution() -> None:
    texts = {str(trace([3, 0, 3], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4).dot(depth=WHOLE)) for _ in range(2)}
    assert len(texts) == 1


def test_without_backward_every_gradient_is_0() -> None:
    found = graph(trace([1, 2, 1], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4, backward=False))
    assert {attributes["grad"] for attributes in found.nodes.values()} == {"0.0"}


@pytest.mark.parametrize("rankdir", RANKDIRS)
def test_the_edges_point_in_the_given_direction(rankdir: str) -> None:
    assert parse(str(emma().dot(rankdir=rankdir))).attributes["rankdir"] == rankdir


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be at least 1, got depth=0"),
        ({"depth": -2}, "depth must be at least 1, got depth=-2"),
        ({"rankdir": "lr"}, "rankdir must be one of LR, TB, RL, BT, got rankdir='lr'"),
        ({"path": "pos9.loss"}, "path must have a position between 0 and 4 for this text, got path='pos9.loss'"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        emma().dot(**options)  # type: ignore[arg-type]


# --- Any text


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ('a"b', 'a"b'),
        ("a\\", "a\\"),
        ('\\"', '\\"'),
        ("\\N\\n\\l\\E", "\\N\\n\\l\\E"),
        ("&lt;&amp;&#65;", "&lt;&amp;&#65;"),
        ("<b>{x|y}</b>", "<b>{x|y}</b>"),
        ('"]; } digraph {', '"]; } digraph {'),
        ("zoë 日本 🙂", "zoë 日本 🙂"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x00\x1b[2J\u202e\ud800", "\\x00\\x1b[2J\\u202e\\ud800"),
        ("x" * 81, "x" * 79 + "…"),
    ],
)
def test_a_hostile_title_is_shown_as_it_is(title: str, line: str) -> None:
    text = str(emma().dot("pos0.emb[0]", title=title))
    text.encode()
    assert shown(parse(text).attributes["label"])[0] == line


@given(st.text(min_size=1, max_size=20))
def test_any_title_gives_a_valid_file_with_the_same_graph(title: str) -> None:
    found, plain = (parse(str(emma().dot("pos0.emb[0]", title=each))) for each in (title, "plain"))
    assert (found.nodes, found.edges) == (plain.nodes, plain.edges)
    assert len(shown(found.attributes["label"])) == len(shown(plain.attributes["label"]))


@pytest.mark.parametrize(
    "text",
    [
        "digraph x { a [label=1e-5] }",
        'digraph x { "a }',
        "digraph x { a -> b [] }",
        "graph x { a [] }",
        "digraph x { a",
    ],
)
def test_the_parser_refuses_what_graphviz_refuses_or_would_add(text: str) -> None:
    """A test of the test: 1e-5 is two tokens in DOT, and an edge may not add nodes of its own."""
    with pytest.raises((AssertionError, IndexError)):
        parse(text)
