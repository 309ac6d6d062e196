"""The program's steps: the number of events of each statement, their variables, and the same on every Python."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.reference import Value
from microgpt.tracing import steps as program_steps
from microgpt.tracing.graph import Graph
from microgpt.tracing.instrument import Instrumented
from microgpt.tracing.steps import events_of
from microgpt.tracing.trace import trace
from microgpt.verification.cases import CASES, Case

from conftest import ROOT, SOURCE, clean_environment, every_python

LINES = (SOURCE / "reference.py").read_text().splitlines()
LAYERS, HEADS = CASES["layers"], CASES["odd_sizes"]


def line_of(statement: str) -> int:
    """Return the number of the only line of the reference that begins with a text."""
    [line] = [i for i, text in enumerate(LINES, start=1) if text.strip().startswith(statement)]
    return line


def events_of_loss(case: Case) -> list[dict[str, Any]]:
    return trace(case.batches()[0][0], case.params(), case.config, case.vocab_size, events=True).events


@pytest.mark.parametrize("name", ["layers", "odd_sizes", "short_block", "relu2"])
def test_the_number_of_events_of_each_statement_follows_from_the_sizes(name: str) -> None:
    case = CASES[name]
    c = case.config
    T, L, H = min(len(case.batches()[0][0]) - 1, c.block_size), c.n_layer, c.n_head
    norms, softmaxes = T * (1 + 2 * L), T * (L * H + 1)
    expected = {
        "keys, values, losses =": 1,
        "for pos_id, (token_id, target_id)": T + 1,  # once more, when the loop ends
        "probs = softmax(gpt(": T,
        "losses.append": T,
        "return 1 / len(losses)": 1,
        "x = [t + p": T,
        "for i in range(len(keys))": T * (L + 1),
        "x_residual = x  # attention": T * L,
        'q = linear(x, state_dict[f"layer{i}.attn_wq"])': T * L,
        'k = linear(x, state_dict[f"layer{i}.attn_wk"])': T * L,
        'v = linear(x, state_dict[f"layer{i}.attn_wv"])': T * L,
        "keys[i].append(k)": T * L,
        "values[i].append(v)": T * L,
        "x_attn = []": T * L,
        "for h in range(n_head)": T * L * (H + 1),
        "head = slice": T * L * H,
        "x_attn += attention": T * L * H,
        "x = linear(x_attn": T * L,
        "x_residual = x  # mlp": T * L,
        'x = linear(x, state_dict[f"layer{i}.mlp_fc1"])': T * L,
        "x = [activation(xi)": T * L,
        'x = linear(x, state_dict[f"layer{i}.mlp_fc2"])': T * L,
        'return linear(x, state_dict["lm_head"])': T,
        "mean_square =": norms,
        "scale =": norms,
        "return [xi * scale": norms,
        "return [sum(wi * xi": T * (6 * L + 1),
        "attn_logits =": T * L * H,
        "attn_weights =": T * L * H,
        "return [sum(weight": T * L * H,
        "largest =": softmaxes,
        "exps =": softmaxes,
        "total =": softmaxes,
        "return [e / total": softmaxes,
    }
    counts = Counter(event["line"] for event in events_of_loss(case))
    for statement, count in expected.items():
        assert counts.pop(line_of(statement)) == count, statement
    # two statements occur two or three times in gpt()
    names = Counter({LINES[line - 1].strip(): 0 for line in counts})
    for line, count in counts.items():
        names[LINES[line - 1].strip()] += count
    assert names == {"x = rmsnorm(x)": norms, "x = [a + b for a, b in zip(x, x_residual)]": 2 * T * L}


@pytest.mark.parametrize("case", [LAYERS, HEADS], ids=lambda case: case.name)
def test_the_changes_of_a_statement_are_known_at_the_next_one(case: Case) -> None:
    events = events_of_loss(case)
    waiting: list[dict[str, Any]] = []  # the last event of each function on the stack
    compared = 0
    for event in events:
        last = waiting[event["depth"]] if event["depth"] < len(waiting) else None
        del waiting[event["depth"] :]
        waiting.append(event)
        if last is not None and "return" not in last["changed"]:  # in the same call
            now = last["known"] | last["changed"]
            assert now.keys() == event["known"].keys()
            if event["owner"] == last["owner"]:  # otherwise some numbers have other names
                assert now == event["known"]
                compared += 1
    assert compared > len(events) / 3
    assert events[-1]["changed"]["return"]["path"] == "loss"
    assert json.loads(json.dumps(events, allow_nan=False)) == events


def test_an_event_has_its_place_and_the_paths_of_its_variables() -> None:
    events = events_of_loss(LAYERS)
    attention = [event for event in events if event["line"] == line_of("attn_weights =")]
    event = next(event for event in attention if event["owner"] == "pos2.layer1.head1")
    assert (event["function"], event["depth"]) == ("attention", 2)
    assert event["known"] == {
        "q": {"path": "pos2.layer1.q[4:8]"},
        "keys": {"list": [{"path": f"pos{t}.layer1.k[4:8]"} for t in range(3)]},
        "values": {"list": [{"path": f"pos{t}.layer1.v[4:8]"} for t in range(3)]},
        "attn_logits": {"path": "pos2.layer1.attn_logits.head1"},
    }
    assert event["changed"] == {"attn_weights": {"path": "pos2.layer1.attn_weights.head1"}}
    [residual] = [e for e in events if e["line"] == line_of("x_residual = x  # mlp") and e["owner"] == "pos2.layer1"]
    assert residual["changed"] == {"x_residual": {"path": "pos2.layer1.resid_mid"}}
    assert residual["known"]["i"] == {"value": 1}
    assert residual["known"]["activation"] == {"text": "relu"}
    [logits] = [
        e for e in events if e["line"] == line_of('return linear(x, state_dict["lm_head"])') and e["owner"] == "pos4"
    ]
    assert logits["changed"] == {"return": {"path": "pos4.logits"}}


def test_the_methods_of_value_have_no_events() -> None:
    functions = {event["function"] for event in events_of_loss(LAYERS)}
    assert functions == {"loss", "gpt", "rmsnorm", "linear", "attention", "softmax"}


# --- The other functions of the program


def test_a_sample_equals_the_reference_and_its_numbers_have_names() -> None:
    case = LAYERS
    c = case.config
    args = (case.bos, 0.7, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])
    state_dict = case.model().state_dict()
    expected = reference.sample(state_dict, args[0], random.Random(3), *args[1:])
    with Instrumented(case.model()) as run:
        sample = run.functions["sample"]
        token_ids, events = events_of(run, sample, run.state_dict, args[0], random.Random(3), *args[1:])
        numbers = Graph(run)
    assert token_ids == expected != []
    drawn = [event for event in events if event["line"] == line_of("if token_id == bos")]
    assert [event["known"]["token_id"]["value"] for event in drawn][: len(token_ids)] == token_ids
    assert [event["owner"] for event in drawn] == [f"pos{t}" for t in range(len(drawn))]
    assert events[-1]["changed"] == {"return": {"value": token_ids}}
    scaled = numbers.node("pos0.probs[2].scaled")
    assert scaled.a is numbers.node("pos0.logits[2]")
    assert scaled.b is numbers.node("pos0.probs[2].inverse_temperature")
    assert scaled.b.data == pytest.approx(1 / 0.7, rel=1e-15)
    paths = [numbers.path(node) for node in numbers.nodes]
    assert len(set(paths)) == len(paths)
    assert all(numbers.node(path) is node for path, node in zip(paths, numbers.nodes))
    assert not any(path.startswith("node") for path in paths)


def test_an_update_of_one_parameter_equals_the_reference() -> None:
    case = HEADS
    other, m, v = Value(case.params()[20]), [0.1], [0.2]
    other.grad = 0.25
    reference.adam([other], m, v, 3, 0.01, 0.85, 0.99, 1e-8)
    with Instrumented(case.model()) as run:
        parameter, mine = run.leaves[20], ([0.1], [0.2])
        parameter.grad = 0.25
        _, events = events_of(run, run.functions["adam"], [parameter], *mine, 3, 0.01, 0.85, 0.99, 1e-8)
    assert (parameter.data, *mine) == (other.data, m, v)
    assert [event["line"] for event in events] == [
        *range(line_of("for i, p in enumerate(params)"), line_of("p.grad = 0.0") + 1),
        line_of("for i, p in enumerate(params)"),
    ]
    moved, cleared = (next(e for e in events if e["line"] == line_of(s)) for s in ("p.data -=", "p.grad = 0.0"))
    before, after = moved["known"]["p"], moved["changed"]["p"]
    assert before == {"path": "wte[2][2]", "value": case.params()[20], "grad": 0.25}
    assert after == {"path": "wte[2][2]", "value": other.data, "grad": 0.25}
    assert cleared["changed"]["p"]["grad"] == 0.0
    assert moved["known"]["m_hat"]["value"] == mine[0][0] / (1 - 0.85**3)


def test_reading_and_tokenizing_have_events(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("ab\n\nca\n")
    with Instrumented(HEADS.model()) as run:
        docs, events = events_of(run, run.functions["documents"], str(tmp_path / "names.txt"))
        assert docs == ["ab", "ca"]
        assert events[-1]["changed"] == {"return": {"value": ["ab", "ca"]}}
        tokenizer, events = events_of(run, run.functions["Tokenizer"], {"b", "a", "c"})
        assert isinstance(tokenizer, reference.Tokenizer)
        assert [event["line"] for event in events] == [
            line_of(s) for s in ("chars = sorted", "self.bos =", "self.symbols", "self.token_ids")
        ]
        assert events[1]["changed"] == {"self": {"table": {"bos": {"value": 3}}}}
        token_ids, [event] = events_of(run, tokenizer.encode, "cab")
        assert token_ids == [3, 2, 0, 1, 3]
        assert event["changed"] == {"return": {"value": token_ids}}
        table, events = events_of(run, run.functions["shapes"], 3, 2, 1, 4)
        assert events[-1]["changed"]["return"]["table"]["wpe"] == {"value": [4, 2]}
        assert table == reference.shapes(3, 2, 1, 4)


def test_a_list_too_long_to_copy_at_every_event_is_replaced_by_its_length() -> None:
    with Instrumented(HEADS.model()) as run:
        tokenizer = run.functions["Tokenizer"]("ab")
        _, [event] = events_of(run, tokenizer.decode, [0, 1] * 501)
    assert event["known"]["token_ids"] == {"text": "1002 elements"}


def test_the_previous_tracer_is_restored_even_after_an_error() -> None:
    with Instrumented(HEADS.model()) as run:
        encode = run.functions["Tokenizer"]("ab").encode
        before = sys.gettrace()

        def tracer(*_: object) -> None:
            return None

        sys.settrace(tracer)
        try:
            with pytest.raises(KeyError), program_steps.watch(run) as events:
                encode("abz")
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)
    assert [event.line for event in events] == [line_of("return [self.bos,")]


# --- On every Python

PLAY = """
import json, random
from pathlib import Path
from microgpt.activations import ACTIVATIONS
from microgpt.tracing.instrument import Instrumented
from microgpt.tracing.steps import events_of
from microgpt.tracing.trace import trace
from microgpt.verification.cases import CASES
found = {}
Path("names.txt").write_text("ab\\n\\nca\\n")
for name in ("odd_sizes", "layers"):
    case = CASES[name]
    c = case.config
    found[f"{name}: loss"] = trace(case.batches()[0][0], case.params(), c, case.vocab_size, events=True).events
    with Instrumented(case.model()) as run:
        f, p = run.functions, run.leaves[0]
        p.grad = 0.5
        activation = ACTIVATIONS[c.activation]
        calls = {
            "sample": (run.state_dict, case.bos, random.Random(3), 0.7, c.n_layer, c.n_head, 4, activation),
            "adam": ([p], [0.1], [0.2], 3, 0.01, 0.85, 0.99, 1e-8),
            "shapes": (3, 2, 1, 4),
            "init": ({"a": (2, 3), "b": (1, 2)}, random.Random(1), 0.1),
            "documents": ("names.txt",),
            "Tokenizer": ("cab",),
        }
        for function, args in calls.items():
            result, found[f"{name}: {function}"] = events_of(run, f[function], *args)
        found[f"{name}: encode"] = events_of(run, result.encode, "abc")[1]
"""


def same(a: Any, b: Any) -> bool:
    """Compare, except for the last bits of numbers: another build of Python may have other exp and log functions."""
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15)
    return type(a) is type(b) and a == b


def assert_same(here: dict[str, Any], there: dict[str, Any]) -> None:
    assert here.keys() == there.keys()
    assert sum(map(len, here.values())) > 1500
    for what in here:
        for mine, other in zip(here[what], there[what]):
            assert same(mine, other), (what, mine, other)
        assert len(here[what]) == len(there[what])


def events_from(python: str, folder: Path) -> dict[str, Any]:
    command = [python, "-c", f"{PLAY}print(json.dumps(found))"]
    run = subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.slow
@every_python
def test_the_events_are_the_same_on_every_python(python: str, tmp_path: Path) -> None:
    assert_same(events_from(sys.executable, tmp_path), events_from(python, tmp_path))


@pytest.mark.slow
def test_the_events_are_the_same_in_a_browsers_python(tmp_path: Path) -> None:
    pyodide = ROOT / "web" / "node_modules" / "pyodide"
    if not pyodide.is_dir() or not shutil.which("node"):
        pytest.skip("needs Pyodide: run `npm ci` in web/")
    program = tmp_path / "program.py"
    program.write_text(f"{PLAY}json.dumps(found)")
    command = ["node", ROOT / "tests" / "pyodide_run.mjs", pyodide, "none", program, SOURCE.parent]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert_same(events_from(sys.executable, tmp_path), json.loads(run.stdout))


def test_another_event_would_be_noticed(tmp_path: Path) -> None:
    found = events_from(sys.executable, tmp_path)
    other = json.loads(json.dumps(found))
    assert_same(found, other)
    del other["layers: loss"][30]
    with pytest.raises(AssertionError):
        assert_same(found, other)
