"""An edited program instead of the reference: the figures show what it computes, and say what it does not compute."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest

from microgpt import reference
from microgpt.config import Config
from microgpt.lab.editing import edited
from microgpt.lab.editing.edited import Edited
from microgpt.runs.run import Run
from microgpt.tracing.trace import trace

from lab.editing.changed_source import FILE, replaced, with_change
from lab.session_client import Lab

WORD = "emma"


# --- The unedited source


def test_the_unedited_source_gives_the_numbers_of_the_reference_bit_for_bit() -> None:
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


def test_the_lines_and_events_are_those_of_the_edited_file() -> None:
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


# --- Programs that are refused


@pytest.mark.parametrize(
    ("source", "message"),
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
        (lambda: replaced("        surprise.backward()\n", ""), "main() calls them 1000, 0 and 1000 times"),
        (
            lambda: replaced("random.Random(42)", "random.Random()"),
            "main() must seed random.Random with a whole number",
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
            "init() must create matrices (lists of rows of equal length), but 'bias' is not a matrix",
        ),
        (lambda: "", "the class Value"),
        (lambda: "#" * 300_000, "at most 200,000 characters"),
    ],
)
def test_an_unusable_program_is_refused_with_a_message(source: Callable[[], str], message: str) -> None:
    lab = Lab()
    assert message in lab.refused("edit", source=source())
    assert lab.ask("model")["program"] is None


def test_an_error_that_only_a_figure_causes_names_its_line() -> None:
    lab = Lab()
    line = '    x = [t + p for t, p in zip(state_dict["wte"][token_id], state_dict["wpe"][pos_id])]'
    lab.use(replaced(line, line + "\n    if pos_id == 12: missing_name"))
    message = lab.refused("loss", word="maximilianoaa")
    number = lab.ask("source")["lines"].index("    if pos_id == 12: missing_name") + 1
    assert message == f"error in the edited program, line {number}: NameError: name 'missing_name' is not defined"
    lab.ask("loss", word=WORD)


def test_other_statements_in_main_are_noted() -> None:
    lab = Lab()
    source = replaced(
        "        surprise.backward()\n", "        surprise.backward()\n        for p in params: p.grad *= 0.5\n"
    )
    assert "The statements of main() differ from the reference's" in lab.use(source)["program"]["notes"][0]


def test_settings_come_from_main() -> None:
    lab = Lab()
    source = replaced("random.Random(42)", "random.Random(7)")
    source = source.replace("0.01 * (1 - step / num_steps), beta1=0.85", "0.02, beta1=0.5")
    source = source.replace("tokenizer.bos, rng, 0.5,", "tokenizer.bos, rng, 0.9,")
    lab.use(source)
    run = lab.session.active
    assert run.config == Config(seed=7, learning_rate=0.02, beta1=0.5, temperature=0.9)
    lab.losses(2)
    assert run.next_rate == 0.02  # main() keeps it constant, while the page's own schedule decays
    own = Run.begin(lab.session.names.data(Config()), Config(seed=7), engine="scalar")
    assert list(run.run.order) == list(own.order)


# --- Edited programs in a session


def test_an_edited_run_survives_a_restart_of_the_worker() -> None:
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


def test_an_edited_run_is_scrubbed_branched_and_compared_like_any_run() -> None:
    lab = Lab()
    run = lab.use(with_change("no_scale"))["run"]
    lab.losses(3)
    after = lab.session.active.engine.params[:]
    lab.ask("scrub", step=1)
    lab.ask("scrub", step=3)
    assert lab.session.active.engine.params == after
    lab.ask("pretrained")
    file = lab.ask("reset", val_fraction=0)["run"]  # a program reads every document
    lab.losses(3)
    found = lab.ask("compare", a=file, b=run)
    assert found["differs"] == [{"setting": "program", "a": "reference.py", "b": "edited: attention"}]
    assert found["first"]["step"] == 1
    lab.ask("choose", run=run)
    lab.ask("scrub", step=1)
    lab.losses(1)  # a branch
    assert lab.ask("model")["program"]["changed"] == ["attention"]


def test_the_edited_program_is_kept_for_a_new_model_and_a_new_text() -> None:
    lab = Lab()
    lab.use(with_change("two_layers"))
    assert lab.ask("reset")["program"]["changed"] == ["main"]
    assert "are in its main()" in lab.refused("reset", config={"n_embd": 8})
    model = lab.ask("load_data", name="own.txt", base64="YWIKYmEKYWEKYmIK")
    assert model["program"]["changed"] == ["main"]
    assert model["config"]["n_layer"] == 2
    assert model["symbols"] == ["a", "b", ""]
    assert lab.ask("pretrained")["program"] is None
    assert lab.ask("reset")["program"] is None


def test_samples_come_from_the_edited_sampling() -> None:
    lab = Lab()
    lab.use(replaced("        if token_id == bos: break\n", "        if token_id == bos or pos_id == 2: break\n"))
    assert all(len(text) <= 2 for text in lab.ask("samples", seed=3, count=8, temperature=2.0)["texts"])
    assert "sample() was edited" in lab.refused("generate", seed=3, index=0, temperature=1.0)
    lab.refused("samples", seed=3, count=2, temperature=1.0, top_k=3)


def test_an_edited_backward_is_not_explained_as_the_one_of_the_reference() -> None:
    lab = Lab()
    lab.use(replaced("            node.a.grad += node.da * node.grad", "            node.a.grad = node.da * node.grad"))
    assert "Value.backward() was edited" in lab.refused("backward_step", word=WORD, step=0)
    assert "Value.backward() was edited" in lab.refused("gradient_contributions", word=WORD, path="loss")
    assert lab.ask("number", word=WORD, path="wte[0][0]")["grad"] is not None


def test_the_graph_of_an_edited_value_is_not_shown() -> None:
    lab = Lab()
    source = replaced("        self.data = data\n", "        self.data = data * 1.0\n")
    lab.use(source)
    assert "Value.__init__() was edited" in lab.refused("number", word=WORD, path="loss")
    lab.ask("loss", word=WORD)


def test_changed_comments_and_docstrings_do_not_count_as_changed_functions() -> None:
    docstring = '    """Divide x by its root mean square, so that all vectors have about the same size."""\n'
    assert docstring in FILE
    source = FILE.replace(docstring, "    # nothing\n")
    assert edited.Edited(source).changed == frozenset()
    assert edited.Edited(FILE + "\n\ndef more(): return 1\n").changed == {"more"}
