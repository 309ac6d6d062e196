"""An edited program in the reference's place: the figures show what it computes, and say what it does not."""

from __future__ import annotations

import json
import math
import random
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference
from microgpt.config import PRESETS, Config, offsets
from microgpt.engines.program import REFERENCE
from microgpt.lab.editing import edited, output
from microgpt.lab.editing.edited import Edited
from microgpt.lab.editing.variants import VARIANTS, apply
from microgpt.lab.playback.chapters import CHAPTERS
from microgpt.runs.run import Run
from microgpt.tracing.trace import trace

from conftest import golden
from lab.session_client import Lab

WORD = "emma"
FILE = REFERENCE.text


def with_change(*names: str) -> str:
    source = FILE
    for name in names:
        source = apply(name, source)
    return source


def replaced(old: str, new: str) -> str:
    assert FILE.count(old) == 1, old
    return FILE.replace(old, new)


# --- The unedited source


def test_the_unedited_source_gives_the_references_numbers_to_the_last_bit() -> None:
    lab = Lab()
    assert lab.use(FILE)["program"] == {"name": "edited", "changed": [], "notes": []}
    run = lab.session.active
    assert isinstance(run.program, Edited)
    assert run.program.module is not reference
    own = Run.begin(lab.session.names.data(Config()), Config(), engine="scalar")
    assert run.engine.params == own.engine.params
    assert list(run.run.order) == list(own.order)
    assert run.run.rng.getstate() == own.rng.getstate()
    tokens = lab.session.tokens(WORD)
    expected = trace(tokens, own.engine.params, Config(), 27)
    shown = lab.ask("forward", word=WORD)["tensors"]
    names = [name for name in expected.graph.tensors if name not in run.shapes]
    assert list(shown) == names
    for name in names:
        assert array("d", shown[name]["data"]) == expected.tensor(name).numbers, name
    for name, grads in lab.ask("gradients", word=WORD)["grads"].items():
        assert array("d", grads) == expected.grad(name).numbers, name
    assert lab.losses(3) == [step.loss for step in own.steps(until=3)]
    for buffer in ("params", "m", "v"):
        assert getattr(run.engine, buffer) == getattr(own.engine, buffer)
    assert lab.ask("samples", seed=5, count=3, temperature=0.5)["texts"] == own.sample(3, temperature=0.5, seed=5)


def test_its_lines_and_its_events_are_those_of_the_file_that_runs() -> None:
    lab = Lab()
    shifted = "# a line more\n" + FILE
    before = lab.ask("chapter", name="forward", word="a")["events"]
    lab.use(shifted)
    assert lab.ask("source")["lines"] == shifted.splitlines()
    after = lab.ask("chapter", name="forward", word="a")["events"]
    assert [event["line"] for event in after] == [event["line"] + 1 for event in before]
    number = lab.ask("number", word=WORD, path="pos1.layer0.q[3]")
    assert number["formula"] == "sum(wi * xi for wi, xi in zip(row, x))"
    assert shifted.splitlines()[number["line"] - 1].strip().startswith("return [sum(wi * xi")
    lab.ask("pretrained")
    assert lab.ask("source")["lines"] == FILE.splitlines()


# --- The changes to try


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_applies_and_runs(name: str) -> None:
    lab = Lab()
    source = lab.ask("vary", name=name, source=FILE)["source"]
    assert source != FILE
    program = lab.use(source)["program"]
    assert program["changed"]
    losses = lab.losses(2)
    lab.ask("choose", run="published")
    lab.ask("reset")
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert losses != lab.losses(2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_figure_of_a_variant_is_drawn_or_says_why_not(name: str) -> None:
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
        ("passed_on", {"word": WORD, "step": 5}),
        ("blame", {"word": WORD, "path": "pos3.layer0.q[9]"}),
        *[("nudge", {"word": "a", "path": path}) for path in ("wte[0][0]", "pos1.layer0.mlp_pre[3]")],
        ("find", {"word": WORD, "query": "q head2"}),
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
        ("softmax", {"logits": [1.0, 2.0], "scale": 1.0}),
        ("expression", {"source": "y = x * x", "inputs": {"x": 2.0}}),
        ("data", {}),
        ("parameters", {"moments": True}),
        ("history", {"path": "wte[0][0]"}),
    ]
    said: dict[str, str] = {}
    for method, params in questions:
        answer = lab.session.ask(method, params)
        assert "this is a bug" not in answer.get("error", ""), (method, answer)
        said[method] = answer.get("error", "")
    assert not any(said[method] for method in ("forward", "loss", "gradients", "update", "samples", "find", "nudge"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_gradient_of_a_variant_is_its_slope(name: str) -> None:
    """Central differences, by the program's own loss."""
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


def test_the_edited_programs_chapters_are_its_own_lines() -> None:
    lab = Lab()
    lab.use(with_change("gelu"))
    lines = lab.ask("source")["lines"]
    played = lab.ask("chapter", name="forward", word="a")
    called = next(i for i, line in enumerate(lines, 1) if "x = [xi.gelu() for xi in x]" in line)
    assert called in {event["line"] for event in played["events"]}
    nudged = lab.ask("nudge", word="a", path="pos0.layer0.mlp_pre[3]")  # its slope is gelu's own
    assert nudged["difference"] == pytest.approx(nudged["grad"], abs=1e-7)
    assert lab.ask("chapter", name="sample", word="a")["facts"]["text"] is not None


def test_a_backward_of_ones_own_is_not_told_as_the_references() -> None:
    lab = Lab()
    lab.use(replaced("            node.a.grad += node.da * node.grad", "            node.a.grad = node.da * node.grad"))
    assert "Value.backward() was edited" in lab.refused("passed_on", word=WORD, step=0)
    assert "Value.backward() was edited" in lab.refused("blame", word=WORD, path="loss")
    assert lab.ask("number", word=WORD, path="wte[0][0]")["grad"] is not None


def test_two_layers_are_the_packages_own_two_layers() -> None:
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


def test_the_first_version_is_the_preset_of_that_name() -> None:
    lab = Lab()
    lab.use(with_change("first"))
    config = PRESETS["first"]
    run = lab.session.active
    assert run.config == config.replace(activation="relu")  # what is squared stands in gpt() now
    own = Run.begin(lab.session.names.data(config), config, engine="scalar")
    assert run.engine.params == own.engine.params
    losses = lab.losses(10)
    assert losses == pytest.approx([step.loss for step in own.steps(until=10)], abs=1e-9)


def test_the_first_version_makes_its_published_losses(
    names_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[Any] = []
    monkeypatch.chdir(tmp_path)
    # as many digits as there are, where the program prints four
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
    assert number["meaning"].endswith("(as the unedited program has it)")
    assert number["recomputed"] == number["value"]
    assert len(number["terms"]) == 4
    attention = lab.ask("attention", word=WORD)
    assert attention["own"]
    assert attention["difference"] > 0.01  # from the textbook's
    assert attention["logits"][0][2][1][:2] == tensors["pos1.layer0.attn_logits.head2"]["data"]
    assert attention["logits"][0][2][1][2:] == ["-inf"] * (attention["positions"] - 2)
    assert attention["weights"][0][2][1][:2] == tensors["pos1.layer0.attn_weights.head2"]["data"]


def test_a_removed_residual_is_told_of_and_everything_else_goes_on() -> None:
    lab = Lab()
    program = lab.use(with_change("no_residual"))["program"]
    assert "makes no resid_mid, mlp_norm.mean_square, mlp_norm.scale and resid_post;" in program["notes"][0]
    tensors = lab.ask("forward", word=WORD)["tensors"]
    assert "pos0.layer0.resid_pre" in tensors
    assert "pos0.layer0.mlp_norm" in tensors
    assert "pos0.layer0.mlp_norm.mean_square" not in tensors  # of resid_mid, says the table
    assert "pos0.layer0.attn_norm.mean_square" in tensors
    assert not [name for name in tensors if name.endswith(("resid_mid", "resid_post"))]
    said = lab.refused("number", word=WORD, path="pos0.layer0.resid_mid[0]")
    assert said.startswith("there is no tensor 'pos0.layer0.resid_mid'; pos0.layer0 has")


def test_another_norm_loses_the_names_of_the_old_ones_inside() -> None:
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
    for name, told in update["tensors"].items():
        for grad, delta in zip(told["grad"], told["delta"]):
            assert delta == pytest.approx(-0.1 * grad, abs=1e-12), name
    assert "the edited adam() has no m_hat" in lab.refused("adam", word=WORD, path="wte[0][0]")
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


def test_changes_add_up() -> None:
    lab = Lab()
    changed = lab.use(with_change("gelu", "no_scale", "two_layers", "tied"))["program"]["changed"]
    assert set(changed) == {"Value.gelu", "gpt", "attention", "main", "shapes"}
    said = lab.refused("vary", name="gelu", source=with_change("gelu"))
    assert said.startswith("“GELU” changes the line `")


# --- What cannot be taken


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (lambda: replaced("def rmsnorm(x):", "def rmsnorm(x:"), "line 99: SyntaxError"),
        (
            lambda: replaced('    return linear(x, state_dict["lm_head"])', "    return lineer(x, None)"),
            "line 136: NameError",
        ),
        (lambda: replaced("def adam(", "def addam(").replace("        adam(", "        addam("), "function adam()"),
        (
            lambda: replaced("def loss(tokens, state_dict,", "def loss(state_dict, tokens,"),
            "line 139: the figures call loss(tokens, state_dict, ...)",
        ),
        (lambda: replaced("class Value:", "class Number:").replace("Value", "Number"), "the class Value"),
        (lambda: replaced("        surprise.backward()\n", ""), "main() has 1000, 0 and 1000"),
        (
            lambda: replaced("random.Random(42)", "random.Random()"),
            "main() must begin with random.Random(a whole number)",
        ),
        (lambda: "import nothing_of_that_name\n" + FILE, "line 1: ModuleNotFoundError"),
        (
            lambda: replaced("len(tokenizer.symbols), 16, 1, 4, 16", "len(tokenizer.symbols), 16, 1, 5, 16"),
            "n_embd must be",
        ),
        (lambda: "raise SystemExit\n" + FILE, "line 1: SystemExit"),
        (
            lambda: replaced(
                "            for name, (rows, columns) in shapes.items()}",
                '            for name, (rows, columns) in shapes.items()} | {"bias": [[], [Value(0.0)]]}',
            ),
            "init() must make matrices, lists of rows of the same length, which 'bias' is not",
        ),
        (lambda: "", "the class Value"),
        (lambda: "#" * 300_000, "at most 200,000 characters"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(source: Callable[[], str], said: str) -> None:
    lab = Lab()
    assert said in lab.refused("edit", source=source())
    assert lab.ask("model")["program"] is None


def test_a_mistake_that_only_a_figure_meets_is_told_with_its_line() -> None:
    lab = Lab()
    line = '    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]'
    lab.use(replaced(line, line + "\n    if pos_id == 12: missing_name"))
    said = lab.refused("loss", word="maximilianoaa")
    number = lab.ask("source")["lines"].index("    if pos_id == 12: missing_name") + 1
    assert said == f"the edited program, line {number}: NameError: name 'missing_name' is not defined"
    lab.ask("loss", word=WORD)


def test_what_main_does_beyond_the_steps_is_told() -> None:
    lab = Lab()
    source = replaced(
        "        surprise.backward()\n", "        surprise.backward()\n        for p in params: p.grad *= 0.5\n"
    )
    assert "main() has other statements" in lab.use(source)["program"]["notes"][0]


def test_settings_come_from_main() -> None:
    lab = Lab()
    source = replaced("random.Random(42)", "random.Random(7)")
    source = source.replace("0.01 * (1 - step / num_steps), beta1=0.85", "0.02, beta1=0.5")
    source = source.replace("tokenizer.bos, rng, 0.5,", "tokenizer.bos, rng, 0.9,")
    lab.use(source)
    run = lab.session.active
    assert run.config == Config(seed=7, learning_rate=0.02, beta1=0.5, temperature=0.9)
    lab.losses(2)
    assert run.next_rate == 0.02  # main() lets it stay, where the page's own schedule falls
    own = Run.begin(lab.session.names.data(Config()), Config(seed=7), engine="scalar")
    assert list(run.run.order) == list(own.order)


# --- The session around it


def test_an_edited_run_survives_the_worker() -> None:
    lab = Lab()
    lab.use(with_change("tied"))
    lab.losses(2)
    state = lab.ask("save")["state"]
    forward = lab.ask("forward", word=WORD)["tensors"]
    other = Lab()
    other.ask("restore", state=state)
    assert other.ask("model")["program"] == lab.ask("model")["program"]
    assert other.ask("forward", word=WORD)["tensors"] == forward
    assert other.losses(1) == lab.losses(1)


def test_it_is_scrubbed_forked_and_compared_like_any_run() -> None:
    lab = Lab()
    run = lab.use(with_change("no_scale"))["run"]
    lab.losses(3)
    after = lab.session.active.engine.params[:]
    lab.ask("scrub", step=1)
    lab.ask("scrub", step=3)
    assert lab.session.active.engine.params == after
    lab.ask("choose", run="published")
    file = lab.ask("reset")["run"]
    lab.losses(3)
    found = lab.ask("compare", a=file, b=run)
    assert found["differs"] == [{"setting": "program", "a": "reference.py", "b": "edited: attention"}]
    assert found["first"]["step"] == 1
    lab.ask("choose", run=run)
    lab.ask("scrub", step=1)
    lab.losses(1)  # a branch
    assert lab.ask("model")["program"]["changed"] == ["attention"]


def test_another_random_model_and_another_text_are_the_edited_programs_too() -> None:
    lab = Lab()
    lab.use(with_change("two_layers"))
    assert lab.ask("reset")["program"]["changed"] == ["main"]
    assert "stand in its main()" in lab.refused("reset", config={"n_embd": 8})
    model = lab.ask("load_data", name="own.txt", base64="YWIKYmEKYWEKYmIK")
    assert model["program"]["changed"] == ["main"]
    assert model["config"]["n_layer"] == 2
    assert model["symbols"] == ["a", "b", ""]
    assert lab.ask("pretrained")["program"] is None
    assert lab.ask("reset")["program"] is None


def test_edited_sampling_is_what_is_sampled() -> None:
    lab = Lab()
    lab.use(replaced("        if token_id == bos: break\n", "        if token_id == bos or pos_id == 2: break\n"))
    assert all(len(text) <= 2 for text in lab.ask("samples", seed=3, count=8, temperature=2.0)["texts"])
    assert "sample() was edited" in lab.refused("generate", seed=3, index=0, temperature=1.0)
    lab.refused("samples", seed=3, count=2, temperature=1.0, top_k=3)


def test_a_new_value_with_other_fields_is_no_graph_that_is_read() -> None:
    lab = Lab()
    source = replaced("        self.data = data\n", "        self.data = data * 1.0\n")
    lab.use(source)
    assert "Value.__init__() was edited" in lab.refused("number", word=WORD, path="loss")
    lab.ask("loss", word=WORD)


# --- A program that is run


def run(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[str, Any, list[Any]]:
    """What it prints, how it ended, and the pieces."""
    monkeypatch.chdir(tmp_path)
    pieces: list[Any] = []
    ended = json.loads(output.run(source, None, lambda piece: pieces.append(json.loads(piece)), **options))
    assert not list(tmp_path.iterdir())
    return "".join(piece["text"] for piece in pieces), ended, pieces


def test_a_program_prints_what_python_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, ended, pieces = run(FILE, tmp_path, monkeypatch, steps=4)
    losses = [loss for piece in pieces for loss in piece["losses"]]
    own = Run.begin("names", Config(), engine="scalar")
    assert losses == [round(step.loss, 4) for step in own.steps(until=4)]
    assert text.startswith(f"num docs: {len(own.data)}\nvocab size: 27\nnum params: 4192\nstep    1 / 1000 | loss ")
    assert ended["error"] == ""


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("x = (\n", 1, "SyntaxError: '(' was never closed"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("def f(n): return f(n)\nf(1)\n", 1, "RecursionError"),
        ("import sys\nsys.exit(3)\n", 0, "sys.exit(3)"),
    ],
)
def test_a_traceback_is_reduced_to_the_programs_own_lines(
    source: str, line: int, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ended, _ = run(source, tmp_path, monkeypatch)
    assert error in ended["error"]
    assert ended["line"] == line
    assert "running.py" not in ended["error"]
    assert "json/" not in ended["error"]


def test_a_flood_of_lines_is_counted_and_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, ended, pieces = run("for i in range(300000): print(i)", tmp_path, monkeypatch)
    assert len(text) <= output.MAX_CHARACTERS
    assert text.count("\n") + pieces[-1]["more"] == pytest.approx(300_000, abs=1)
    assert ended["error"] == ""


def test_a_program_may_remove_its_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import os\nfor name in ('reference.py', 'names.txt'): os.remove(name)\nprint('gone')\n"
    text, ended, _ = run(source, tmp_path, monkeypatch)
    assert text == "gone\n"
    assert ended["error"] == ""


@pytest.mark.parametrize(
    ("line", "losses"),
    [
        ("step    1 / 1000 | loss 3.3660", [3.366]),
        ("loss: 2.", [2.0]),
        ("the loss .5, then loss 7", [0.5]),
        ("loss -1.5e-3 nats", [-0.0015]),
        ("loss 1e+05", [1e5]),
        ("loss 1E5", [1e5]),
        ("loss 1.2.3", []),
        ("loss 3e5e5", []),
        ("loss ...", []),
        ("loss nan, at last loss 3", []),
        ("loss 1e999", []),
        ("gloss 3", []),
        ("x" * output.MAX_LINE + " loss 3", []),
    ],
)
def test_a_loss_is_a_number_after_its_name(
    line: str, losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, ended, pieces = run(f"print({line!r})\nprint('on')", tmp_path, monkeypatch)
    assert [loss for piece in pieces for loss in piece["losses"]] == losses
    assert text == f"{line}\non\n"
    assert ended["error"] == ""


@pytest.mark.parametrize("wide", ["print('x' * 999)", "print('x' * 999, end='')"])
def test_the_steps_of_a_program_that_prints_much_are_counted_to_the_end(
    wide: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"for i in range(500):\n    {wide}\n    print()\n    print('loss', i)\nraise KeyError('never stopped')"
    text, ended, pieces = run(source, tmp_path, monkeypatch, steps=450)
    assert len(text) == output.MAX_CHARACTERS
    assert [loss for piece in pieces for loss in piece["losses"]] == list(range(450))
    assert ended["error"] == ""


def test_own_documents_are_what_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pieces: list[Any] = []
    output.run(FILE, "aa\nbb\n", lambda piece: pieces.append(json.loads(piece)), steps=1)
    assert "num docs: 2\nvocab size: 3\n" in "".join(piece["text"] for piece in pieces)


def test_the_changed_functions_are_told_without_comments_and_docstrings() -> None:
    source = FILE.replace('    """x at a common loudness: divided by its root mean square."""\n', "    # nothing\n")
    assert edited.Edited(source).changed == frozenset()
    assert edited.Edited(FILE + "\n\ndef more(): return 1\n").changed == {"more"}
