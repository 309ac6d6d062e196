"""The preset changes: each of them runs, and changes the figures as its name says."""

from __future__ import annotations

import json
import math
import random
import re
import statistics
from array import array
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import PRESETS, Config, offsets
from microgpt.data.loading import load
from microgpt.lab.editing import output
from microgpt.lab.editing.variants import VARIANTS
from microgpt.lab.playback.chapters import CHAPTERS
from microgpt.runs.run import Run
from microgpt.tracing.trace import trace

from conftest import golden
from lab.editing.changed_source import FILE, with_change
from lab.session_client import Lab

WORD = "emma"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_applies_and_runs(name: str) -> None:
    lab = Lab()
    source = lab.ask("vary", name=name, source=FILE)["source"]
    assert source != FILE
    program = lab.use(source)["program"]
    assert program["changed"]
    losses = lab.losses(2)
    lab.ask("pretrained")
    lab.ask("reset")
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert losses != lab.losses(2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_figure_of_a_variant_is_shown_or_says_why_not(name: str) -> None:
    lab = Lab()
    lab.use(with_change(name))
    point = {"x": "wte[0][0]", "y": "wte[4][0]", "size": 3, "reach": 1, "steps": 2}
    questions: list[tuple[str, dict[str, Any]]] = [
        *[(method, {"word": WORD}) for method in ("forward", "loss", "gradients", "attention", "graph", "update")],
        *[("number", {"word": WORD, "path": path}) for path in ("pos3.layer0.q[9]", "pos3.layer0.mlp_act[0]", "loss")],
        ("number", {"word": WORD, "path": "pos3.layer0.attn_logits.head0[0]"}),
        ("number", {"word": WORD, "path": "pos3.layer0.resid_post[0]"}),
        ("neighbourhood", {"word": WORD, "path": "pos3.layer0.q[9]", "up": 2, "down": 2}),
        *[("chapter", {"name": chapter, "word": "a"}) for chapter in CHAPTERS],
        ("backward_step", {"word": WORD, "step": 5}),
        ("gradient_contributions", {"word": WORD, "path": "pos3.layer0.q[9]"}),
        *[("nudge", {"word": "a", "path": path}) for path in ("wte[0][0]", "pos1.layer0.mlp_pre[3]")],
        ("find", {"word": WORD, "query": "q head2"}),
        ("likeness", {}),
        ("nearest", {"symbol": "a"}),
        ("budget", {"n_embd": 16, "n_layer": 1, "block_size": 16, "vocab_size": 27}),
        ("runs", {}),
        ("gate", {"word": WORD, "layer": 0}),
        ("adam", {"word": WORD, "path": "wte[0][0]"}),
        ("surface", {"word": WORD, **point}),
        ("samples", {"seed": 1, "count": 2, "temperature": 0.5}),
        ("generate", {"seed": 1, "index": 0, "temperature": 0.5}),
        ("evaluate", {}),
        ("export_model", {}),
        ("softmax", {"logits": [1.0, 2.0], "scales": [1.0]}),
        ("expression", {"source": "y = x * x", "inputs": {"x": 2.0}}),
        ("data", {}),
        ("parameters", {"moments": True}),
        ("history", {"word": WORD, "path": "wte[0][0]"}),
    ]
    errors: dict[str, str] = {}
    for method, params in questions:
        response = lab.session.ask(method, params)
        assert "this is a bug" not in response.get("error", ""), (method, response)
        errors[method] = response.get("error", "")
    assert not any(errors[method] for method in ("forward", "loss", "gradients", "update", "samples", "find", "nudge"))


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_gradient_of_a_variant_is_its_slope(name: str) -> None:
    """The slopes are central differences of the program's own loss."""
    lab = Lab()
    lab.use(with_change(name))
    run = lab.session.active
    tokens = lab.session.tokens("ann")
    recorded = lab.session.trace(tokens)
    rng = random.Random(1)
    for matrix, part in offsets(run.shapes).items():
        grads = recorded.grad(matrix).numbers
        i = max(range(len(grads)), key=lambda i: abs(grads[i])) if rng.random() < 0.8 else rng.randrange(len(grads))
        slopes = []
        for step in (1e-5, -1e-5):
            params = array("d", run.engine.params)
            params[part.start + i] += step
            slopes.append(run.scratch(params).backward([tokens]))
        assert grads[i] == pytest.approx((slopes[0] - slopes[1]) / 2e-5, abs=1e-6), matrix


@cache
def losses_of(source: str, steps: int) -> list[float]:
    """Return the losses that a program prints in its first steps."""
    pieces: list[Any] = []
    output.run(source, "\n".join(load("names")), lambda piece: pieces.append(json.loads(piece)), steps=steps)
    return [loss for piece in pieces for loss in piece["losses"]]


@pytest.mark.slow
@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_what_a_variants_note_says_of_the_losses_holds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    holds = VARIANTS[name].holds
    steps = max(int(end) for end in re.findall(r", (\d+)\)", holds))

    def mean(source: str, begin: int, end: int) -> float:
        return statistics.fmean(losses_of(source, steps)[begin:end])

    assert eval(holds, {"mean": mean, "math": math, "changed": with_change(name), "original": FILE}), holds


def test_the_chapters_of_an_edited_program_play_its_own_lines() -> None:
    lab = Lab()
    lab.use(with_change("gelu"))
    lines = lab.ask("source")["lines"]
    played = lab.ask("chapter", name="forward", word="a")
    called = next(i for i, line in enumerate(lines, 1) if "x = [xi.gelu() for xi in x]" in line)
    assert called in {event["line"] for event in played["events"]}
    nudged = lab.ask("nudge", word="a", path="pos0.layer0.mlp_pre[3]")  # its slope is gelu's own
    assert nudged["difference"] == pytest.approx(nudged["grad"], abs=1e-7)
    assert lab.ask("chapter", name="sample", word="a")["facts"]["text"] is not None


def test_two_layers_equal_the_two_layers_of_the_package() -> None:
    lab = Lab()
    lab.use(with_change("two_layers"))
    run = lab.session.active
    config = Config(n_layer=2)
    own = Run.begin(lab.session.names.data(config), config, engine="scalar")
    assert run.config == config
    assert lab.losses(3) == [step.loss for step in own.steps(until=3)]
    assert run.engine.params == own.engine.params
    tokens = lab.session.tokens(WORD)
    expected = trace(tokens, own.engine.params, config, 27)
    for name, tensor in lab.ask("forward", word=WORD)["tensors"].items():
        assert array("d", tensor["data"]) == expected.tensor(name).numbers, name


def test_the_first_version_equals_the_preset_of_that_name() -> None:
    lab = Lab()
    lab.use(with_change("first"))
    config = PRESETS["first"]
    run = lab.session.active
    assert run.config == config.replace(activation="relu")  # the square is now in gpt()
    own = Run.begin(lab.session.names.data(config), config, engine="scalar")
    assert run.engine.params == own.engine.params
    losses = lab.losses(10)
    assert losses == pytest.approx([step.loss for step in own.steps(until=10)], abs=1e-9)


def test_the_first_version_gives_its_published_losses(
    names_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[Any] = []
    monkeypatch.chdir(tmp_path)
    # print all digits instead of four
    source = with_change("first").replace("loss {surprise.data:.4f}", "loss {surprise.data!r}")
    output.run(source, names_file.read_text(), lambda piece: pieces.append(json.loads(piece)), steps=12)
    losses = [loss for piece in pieces for loss in piece["losses"]]
    assert losses == pytest.approx(golden("first")["losses"][:12], abs=1e-9)


def test_without_the_scale_the_logits_are_q_times_k() -> None:
    lab = Lab()
    lab.use(with_change("no_scale"))
    tensors = lab.ask("forward", word=WORD)["tensors"]
    for t in range(3):
        for h in range(4):
            q = tensors[f"pos{t}.layer0.q"]["data"][4 * h : 4 * h + 4]
            for s, logit in enumerate(tensors[f"pos{t}.layer0.attn_logits.head{h}"]["data"]):
                product = 0.0
                for a, b in zip(q, tensors[f"pos{s}.layer0.k"]["data"][4 * h : 4 * h + 4]):
                    product += a * b
                assert logit == product
    number = lab.ask("number", word=WORD, path="pos2.layer0.attn_logits.head0[1]")
    assert number["formula"] == "sum(qj * kj for qj, kj in zip(q, k))"
    assert number["meaning"].endswith("(in the unedited program)")
    assert number["recomputed"] == number["value"]
    assert len(number["terms"]) == 4
    attention = lab.ask("attention", word=WORD)
    assert attention["own"]
    assert attention["difference"] > 0.01  # from scaled attention
    assert attention["logits"][0][2][1][:2] == tensors["pos1.layer0.attn_logits.head2"]["data"]
    assert attention["logits"][0][2][1][2:] == ["-inf"] * (attention["positions"] - 2)
    assert attention["weights"][0][2][1][:2] == tensors["pos1.layer0.attn_weights.head2"]["data"]


def test_a_removed_residual_is_noted_and_everything_else_still_works() -> None:
    lab = Lab()
    program = lab.use(with_change("no_residual"))["program"]
    assert "does not compute resid_mid, mlp_norm.mean_square, mlp_norm.scale and resid_post;" in program["notes"][0]
    tensors = lab.ask("forward", word=WORD)["tensors"]
    assert "pos0.layer0.resid_pre" in tensors
    assert "pos0.layer0.mlp_norm" in tensors
    assert "pos0.layer0.mlp_norm.mean_square" not in tensors  # the table of names defines it by resid_mid
    assert "pos0.layer0.attn_norm.mean_square" in tensors
    assert not [name for name in tensors if name.endswith(("resid_mid", "resid_post"))]
    message = lab.refused("number", word=WORD, path="pos0.layer0.resid_mid[0]")
    assert message.startswith("unknown tensor 'pos0.layer0.resid_mid'; pos0.layer0 contains")


def test_another_norm_has_no_names_for_the_intermediates_of_the_old_one() -> None:
    lab = Lab()
    program = lab.use(with_change("layernorm"))["program"]
    assert "attn_norm.scale" in program["notes"][0]
    tensors = lab.ask("forward", word=WORD)["tensors"]
    normed = tensors["pos1.layer0.attn_norm"]["data"]
    assert sum(normed) == pytest.approx(0.0, abs=1e-12)
    assert sum(x * x for x in normed) / 16 == pytest.approx(1.0, abs=1e-2)
    assert "pos1.emb_norm.scale" not in tensors


def test_gelu_is_gelu_and_has_no_gates() -> None:
    lab = Lab()
    lab.use(with_change("gelu"))
    tensors = lab.ask("forward", word=WORD)["tensors"]
    for x, y in zip(tensors["pos2.layer0.mlp_pre"]["data"], tensors["pos2.layer0.mlp_act"]["data"]):
        assert y == pytest.approx(x * (1 + math.erf(x / 2**0.5)) / 2, abs=1e-15)
    assert "it has no gates to show" in lab.refused("gate", word=WORD, layer=0)
    number = lab.ask("number", word=WORD, path="pos2.layer0.mlp_act[3]")
    assert number["recomputed"] == number["value"]


def test_sgd_moves_by_the_gradient_and_has_no_moments() -> None:
    lab = Lab()
    lab.use(with_change("sgd"))
    run = lab.session.active
    assert run.next_rate == 0.1
    update = lab.ask("update", word=WORD, what=["grad", "delta"])
    for name, tensor in update["tensors"].items():
        for grad, delta in zip(tensor["grad"], tensor["delta"]):
            assert delta == pytest.approx(-0.1 * grad, abs=1e-12), name
    assert "the edited adam() has no variable m_hat" in lab.refused("adam", word=WORD, path="wte[0][0]")
    lab.losses(2)
    assert not any(run.engine.m)


def test_tied_weights_are_one_matrix_with_both_gradients() -> None:
    lab = Lab()
    model = lab.use(with_change("tied"))
    assert model["num_params"] == 4192 - 27 * 16
    assert "lm_head" not in [name for name, *_ in model["shapes"]]
    tensors = lab.ask("forward", word=WORD)["tensors"]
    wte = lab.ask("parameters")["tensors"]["wte"]["data"]
    out = tensors["pos0.layer0.resid_post"]["data"]
    total = 0.0
    for w, x in zip(wte[16:32], out):
        total += w * x
    assert tensors["pos0.logits"]["data"][1] == total
    assert lab.ask("gradients", word=WORD)["zero_rows"].get("wte") == []
    lab.losses(1)
    lab.refused("export_model")


def test_changes_can_be_combined() -> None:
    lab = Lab()
    changed = lab.use(with_change("gelu", "no_scale", "two_layers", "tied"))["program"]["changed"]
    assert set(changed) == {"Value.gelu", "gpt", "attention", "main", "shapes"}
    message = lab.refused("vary", name="gelu", source=with_change("gelu"))
    assert message.startswith("“GELU” changes the line `")
