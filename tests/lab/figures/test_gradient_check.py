"""A gradient checked with a small push, the chain rule in numbers, and the search for a number by name."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from microgpt.config import PRESETS, offsets
from microgpt.engines.scalar import ScalarEngine
from microgpt.lab.figures import gradient_check
from microgpt.lab.session import Session
from microgpt.tracing.trace import Trace

from conftest import whole
from lab.session_client import ask

WORD = "emma"
MODELS = {
    "published": {},
    "first": {key: value for key, value in PRESETS["first"].to_dict().items() if key not in ("num_steps", "seed")},
    "two layers": {"n_layer": 2, "n_embd": 8, "n_head": 2},
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS)


@cache
def session(model: str) -> Session:
    session = Session()
    if MODELS[model]:
        ask(session, "reset", config=MODELS[model])
        assert all(
            "error" not in event for event in session.stream("train", {"steps": 30})
        )  # so that the gradients are not as small as at initialization
    return session


def traced(session: Session) -> Trace:
    return session.trace(session.tokens(WORD))


def kinds(trace: Trace) -> dict[str, list[str]]:
    """Return the paths of an execution by kind: the last piece of the name, without its index."""
    found: dict[str, list[str]] = {}
    for node in trace.graph.nodes:
        path = trace.path(node)
        role = path.rpartition(".")[2].partition("[")[0].rstrip("0123456789")
        found.setdefault(role or "node", []).append(path)
    return found


def far(nudge: Any) -> float:
    """Return the error of the difference quotient relative to the gradient, or to 1e-3 if the gradient is smaller."""
    return abs(nudge["grad"] - nudge["difference"]) / max(1e-3, abs(nudge["grad"]))


@EVERY_MODEL
@pytest.mark.parametrize("count", [8, whole(None)])
def test_a_nudge_shows_the_gradient_of_every_kind_of_number(model: str, count: int | None, rng: random.Random) -> None:
    """`count` numbers are tried; None tries three of each kind."""
    lab = session(model)
    by_kind = kinds(traced(lab))
    inside = {
        "term",
        "sum",
        "total",
        "exp",
        "shifted",
        "inverse",
        "mean_square",
        "scale",
        "probs",
        "loss",
        "wte",
        "wpe",
    }
    assert inside <= by_kind.keys()
    assert len(by_kind) > 30
    tried = [path for paths in by_kind.values() for path in rng.sample(paths, min(3, len(paths)))]
    assert len(tried) > 80
    tried = rng.sample(tried, count or len(tried))
    worst = {path: far(ask(lab, "nudge", word=WORD, path=path)) for path in tried}
    off = {path: by for path, by in worst.items() if by > 1e-6}
    assert not off, f"largest: {max(worst.values())}"


@pytest.mark.parametrize("count", [10, whole(200)])
def test_a_nudge_shows_the_gradient_of_random_numbers_of_the_published_model(count: int, rng: random.Random) -> None:
    lab = session("published")
    trace = traced(lab)
    nodes = rng.sample([node for node in trace.graph.nodes if node.op], count)
    assert max(far(ask(lab, "nudge", word=WORD, path=trace.path(node))) for node in nodes) < 1e-6


def test_a_wrong_gradient_would_be_noticed() -> None:
    """A test of the test: the push does not use the gradient."""
    lab = session("published")
    node = traced(lab).node("pos3.layer0.q[9]")
    right, node.grad = node.grad, 2 * node.grad
    try:
        assert far(ask(lab, "nudge", word=WORD, path="pos3.layer0.q[9]")) > 0.1
    finally:
        node.grad = right


def test_a_replay_without_a_push_gives_the_loss_bit_for_bit() -> None:
    lab = session("published")
    trace = traced(lab)
    for path in ("pos0.emb[3]", "pos2.layer0.attn_logits.head1[1]", "pos4.probs.total", "pos3.layer0.mlp_act[7]"):
        node = trace.node(path)
        assert (
            gradient_check._replay(trace, node, gradient_check._made_from(trace, node), node.data)
            == trace.node("loss").data
        )


def test_a_nudge_of_a_weight_runs_the_program_with_that_weight() -> None:
    """The two losses of a nudge equal those of a separate engine with that weight changed."""
    lab = session("published")
    run = lab.active
    found = ask(lab, "nudge", word=WORD, path="layer0.attn_wq[2][5]", eps=0.01)
    place = offsets(run.shapes)["layer0.attn_wq"].start + 2 * run.config.n_embd + 5
    for name, by in (("above", 0.01), ("below", -0.01)):
        engine = ScalarEngine(run.engine.params[:], run.config, run.engine.vocab_size)
        engine.params[place] += by
        assert engine.backward([lab.tokens(WORD)]) == pytest.approx(found[name], abs=1e-12)
    assert found["way"] == "reference"
    assert found["eps"] == 0.01
    assert found["difference"] == pytest.approx((found["above"] - found["below"]) / 0.02)


@pytest.mark.parametrize(
    ("path", "eps", "message"),
    [
        ("pos3.layer0.q[9]", 0, "eps must be above 0 and at most 1000, got eps=0"),
        ("pos4.probs[26]", 900, "a step of 900 produces an out-of-range value: choose a smaller eps"),
        ("pos3.layer0.z", None, "unknown tensor 'pos3.layer0.z'"),
    ],
)
def test_a_number_that_cannot_be_pushed_gives_an_error(path: str, eps: float | None, message: str) -> None:
    found = session("published").ask("nudge", {"word": WORD, "path": path, "eps": eps})
    assert message in found["error"]


@pytest.mark.parametrize(
    ("weight", "value", "path", "eps", "message", "better"),
    [
        ("lm_head[4][2]", 12.0, "pos0.probs[4]", None, "a limit of its range for the default steps", 1e-22),
        ("wte[4][3]", 1e5, "wte[4][3]", 1e-12, "1e-12 is too small to change 100000: choose a larger", 1e-3),
    ],
)
def test_a_push_of_an_unsuitable_size_gives_an_error(
    weight: str, value: float, path: str, eps: float | None, message: str, better: float
) -> None:
    """A probability of 5e-20, which every default push takes below 0, and a weight far from 0."""
    lab = Session()
    ask(lab, "pretrained", run="published")
    ask(lab, "change", path=weight, value=value)
    found = lab.ask("nudge", {"word": WORD, "path": path, "eps": eps})
    assert message in found["error"]
    assert far(ask(lab, "nudge", word=WORD, path=path, eps=better)) < 1e-3


def test_a_nudge_runs_the_edited_program() -> None:
    """The push uses the edited loss, so it shows that a backward with = instead of += gives wrong gradients."""
    lab = Session()
    source = "\n".join(ask(lab, "source")["lines"]) + "\n"
    gelu = ask(lab, "vary", name="gelu", source=source)["source"]
    ask(lab, "edit", source=gelu)
    assert far(ask(lab, "nudge", word=WORD, path="wte[4][3]")) < 1e-6
    assert far(ask(lab, "nudge", word=WORD, path="pos3.layer0.mlp_pre[9]")) < 1e-6
    ask(lab, "edit", source=source.replace("node.a.grad += node.da", "node.a.grad = node.da"))
    assert far(ask(lab, "nudge", word=WORD, path="wte[4][3]")) > 1e-3
    ask(lab, "edit", source=source.replace("Value(self.data * other.data,", "Value(1.001 * self.data * other.data,"))
    assert "cannot be replayed" in lab.ask("nudge", {"word": WORD, "path": "pos3.layer0.mlp_pre[9]"})["error"]


@EVERY_MODEL
def test_the_chain_rule_adds_up_to_the_gradient(model: str) -> None:
    lab = session(model)
    rng = random.Random(3)
    for paths in kinds(traced(lab)).values():
        path = rng.choice(paths)
        found = ask(lab, "gradient_contributions", word=WORD, path=path)
        total = 1.0 if found["start"] else 0.0
        for share in found["contributions"]:
            assert share["add"] == share["local"] * share["grad"]
            assert share["grad"] == traced(lab).node(share["path"]).grad
            total += share["add"]
            assert share["total"] == total
        assert total == found["grad"] == traced(lab).node(path).grad


@EVERY_MODEL
def test_a_walk_ends_at_the_loss_and_at_a_weight(model: str) -> None:
    lab = session(model)
    trace = traced(lab)
    ends = set()
    for path in ("pos0.layer0.q[3]", "pos3.emb[2]", "pos2.layer0.mlp_norm.scale", "layer0.attn_wv[3][5]"):
        for way in ("up", "down"):
            here, seen = path, [path]
            while (there := ask(lab, "gradient_contributions", word=WORD, path=here)[way]) is not None:
                index = trace.node(there).index, trace.node(here).index
                assert index[0] > index[1] if way == "up" else index[0] < index[1]
                here = there
                seen.append(here)
            ends.add(trace.node(here).op or "parameter" if way == "down" else here)
            assert len(seen) < 40
    assert ends == {"loss", "parameter"}


# --- Finding a number by its name


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("pos3.layer0.q[9]", ["pos3.layer0.q[9]"]),
        ("q head2", [f"pos3.layer0.q[{i}]" for i in (8, 9, 10, 11)]),
        ("wte[4]", ["wte[4]", "wte[4][0]", "wte[4][1]"]),
        ("wte e", ["wte[4]", "wte[4][0]"]),
        ("probs e", ["pos3.probs[4]"]),
        ("pos*.loss", ["pos3.loss"]),
        ("pos1 loss", ["pos1.loss"]),
        ("attn_weights head1 pos2", ["pos2.layer0.attn_weights.head1"]),
        ("query", ["pos3.layer0.q"]),
        ("pos3.layer0.q[9].te", [f"pos3.layer0.q[9].term{i}" for i in range(3)]),
        ("pos2.probs[3].ex", ["pos2.probs[3].exp"]),
    ],
)
def test_part_of_a_name_finds_the_number(query: str, first: list[str]) -> None:
    found = ask(session("published"), "find", word=WORD, query=query, position=3)
    assert [match["path"] for match in found["found"]][: len(first)] == first
    trace = traced(session("published"))
    for match in found["found"]:
        assert match["meaning"]
        if not match["shape"]:
            assert match["value"] == trace.node(match["path"]).data


@EVERY_MODEL
def test_every_tensor_is_found_by_its_name(model: str) -> None:
    lab = session(model)
    for name in traced(lab).graph.shapes:
        assert ask(lab, "find", word=WORD, query=name)["found"][0]["path"] == name


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("pos3.layer0.qq", "unknown tensor 'pos3.layer0.qq'; pos3.layer0 contains resid_pre"),
        ("wte[99]", "an index into wte, which has shape (27, 16), must be between 0 and 26"),
        ("pos3.layer0.q[9].nothing", "unknown intermediate value 'nothing': pos3.layer0.q[9] has"),
        (
            "fish and chips",
            "no name matches 'fish and chips': write a name like pos3.layer0.q[9], or words from a name, like q head2",
        ),
        ("", ""),
    ],
)
def test_a_search_without_results_says_why(query: str, message: str) -> None:
    found = ask(session("published"), "find", word=WORD, query=query)
    assert found["found"] == []
    assert found["why"].startswith(message)
