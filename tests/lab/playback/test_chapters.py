"""The playhead's chapters: every value is that of the running program, statement by statement, += by +=.

The authority is reference.py itself, run on plain Values with this file's own tracer.
"""

from __future__ import annotations

import random
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, ClassVar

import pytest

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import PRESETS
from microgpt.data.sources import NAMES
from microgpt.lab.figures import adam as adam_figures
from microgpt.lab.figures.generation import RecordingRandom
from microgpt.lab.playback.backward import backward_steps
from microgpt.lab.playback.chapters import CHAPTERS
from microgpt.lab.session import Session
from microgpt.reference import Value
from microgpt.tracing.steps import statements

from lab.playback.resolved import Resolved
from lab.session_client import ask

WORD = "emma"
EXACT = {"rel": 1e-12, "abs": 1e-15}


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


# --- The authority: the same calls on plain Values, with their variables recorded at each statement


def plain(x: Any) -> Any:
    """Return a variable's value as numbers and texts; values that no figure shows are None."""
    if isinstance(x, Value):
        return x.data
    if isinstance(x, (list, tuple)):
        return [plain(item) for item in x]
    return x if isinstance(x, (bool, int, float, str)) else None


Arrival = tuple[str, int, dict[str, Any]]


def arrivals(call: Callable[..., Any], *args: Any) -> tuple[Any, list[Arrival]]:
    """Return the result of a call, and (function, line, variables) at each arrival at a statement of reference.py."""
    found: list[Arrival] = []
    last: dict[FrameType, int] = {}

    def step(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            line = statements()[frame.f_lineno].first
            if last.get(frame) != line:
                last[frame] = line
                found.append((frame.f_code.co_name, line, {name: plain(x) for name, x in frame.f_locals.items()}))
        return step

    def enter(frame: FrameType, event: str, _: object) -> Any:
        played = frame.f_code.co_filename == reference.__file__ and frame.f_code.co_qualname.split(".")[0] != "Value"
        return step if played and frame.f_code.co_name[0] != "<" else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        result = call(*args)
    finally:
        sys.settrace(before)
    return result, found


def same(a: Any, b: Any) -> bool:
    if a == b:  # the usual case, and approx() is slow
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        return a == pytest.approx(b, **EXACT)
    return bool(a == b)


def compare(resolved: Resolved, authority: list[Arrival]) -> int:
    """Check that each event is an arrival with the same values, and return the number of compared variables."""
    events = [event for event in resolved.events if "swap" not in event and "letter" not in event]
    assert [(e["function"], e["line"]) for e in events] == [(function, line) for function, line, _ in authority]
    compared = 0
    for event, (_, _, variables) in zip(events, authority):
        mine = resolved.variables(event)
        assert mine.keys() == variables.keys(), event["line"]
        for name, value in mine.items():
            if value is not None and variables[name] is not None:
                assert same(value, variables[name]), (event["line"], event["owner"], name, value, variables[name])
                compared += 1
    return compared


def loss_arguments(session: Session, word: str) -> tuple[Any, ...]:
    run = session.active
    c = run.config
    state_dict = run.model.state_dict()
    return session.tokens(word), state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("word", [WORD, "", "x", "maximiliannatalie"])
def test_forward_has_the_values_of_the_running_program(session: Session, word: str) -> None:
    chapter = ask(session, "chapter", name="forward", word=word)
    _, authority = arrivals(reference.loss, *loss_arguments(session, word))
    resolved = Resolved(session, chapter)
    assert compare(resolved, authority) > 5 * len(authority)
    final = resolved.variables(resolved.events[-1], "changed")["return"]
    assert final == pytest.approx(reference.loss(*loss_arguments(session, word)).data, **EXACT)


def test_another_value_would_be_noticed(session: Session) -> None:
    """A test of the test."""
    chapter = ask(session, "chapter", name="forward", word=WORD)
    _, authority = arrivals(reference.loss, *loss_arguments(session, WORD))
    chapter["tensors"]["pos2.layer0.k"]["data"][5] += 1e-9
    with pytest.raises(AssertionError, match="'k'"):
        compare(Resolved(session, chapter), authority)


def test_the_changes_of_a_line_are_known_at_the_next_one(session: Session) -> None:
    chapter = ask(session, "chapter", name="forward", word=WORD)
    resolved = Resolved(session, chapter)
    waiting: list[Any] = []
    for event in resolved.events:
        last = waiting[event["depth"]] if event["depth"] < len(waiting) else None
        del waiting[event["depth"] :]
        waiting.append(event)
        if last is not None and "return" not in last["changed"]:
            assert {**resolved.variables(last), **resolved.variables(last, "changed")} == resolved.variables(event)


def test_the_loss_is_the_same_execution_without_its_forward_passes(session: Session) -> None:
    whole = Resolved(session, ask(session, "chapter", name="forward", word=WORD))
    part = Resolved(session, ask(session, "chapter", name="loss", word=WORD))
    kept = [e for e in whole.events if e["function"] == "loss" or (e["function"], e["depth"]) == ("softmax", 1)]
    assert [e["line"] for e in part.events] == [e["line"] for e in kept]
    for mine, other in zip(part.events, kept):
        names = {"tokens", "pos_id", "token_id", "target_id", "probs", "losses", "logits", "exps", "largest", "total"}
        a, b = (resolved.variables(event) for resolved, event in ((part, mine), (whole, other)))
        assert {n: a[n] for n in a if n in names} == {n: b[n] for n in b if n in names}


@pytest.mark.parametrize("path", ["", "layer0.attn_wq[3][5]", "wpe[15][0]"])
def test_adam_has_the_values_of_the_running_program(session: Session, path: str) -> None:
    chapter = ask(session, "chapter", name="adam", word=WORD, path=path)
    run, facts = session.active, chapter["facts"]
    grads = ask(session, "gradients", word=WORD)["grads"]
    flat = [g for name in grads for g in grads[name]]
    index = run.index(facts["path"])
    assert index == (run.index(path) if path else max(range(len(flat)), key=lambda i: abs(flat[i])))
    way, c = adam_figures.update_settings(run, None, False), run.config
    p = Value(run.engine.params[index])
    p.grad = flat[index]
    settings = way.step, way.learning_rate, c.beta1, c.beta2, c.eps_adam
    _, authority = arrivals(reference.adam, [p], [way.m[index]], [way.v[index]], *settings)
    resolved = Resolved(session, chapter)
    assert compare(resolved, authority) > 70
    assert facts["after"] == pytest.approx(p.data, **EXACT)
    assert facts["before"] == run.engine.params[index]
    assert facts["plain"] == -way.learning_rate * flat[index]
    whole = ask(session, "adam", word=WORD, path=facts["path"])
    assert (facts["after"], facts["grad"]) == pytest.approx((whole["after"], whole["grad"]), **EXACT)


def test_adam_begins_with_the_decayed_weight() -> None:
    session = Session()
    ask(session, "reset", config={"n_embd": 8, "n_head": 2, "block_size": 8, "weight_decay": 9.0})
    facts = ask(session, "chapter", name="adam", word=WORD, path="")["facts"]
    whole = ask(session, "adam", word=WORD, path=facts["path"])
    assert [facts[name] for name in ("before", "after", "grad")] == [
        whole[name] for name in ("before", "after", "grad")
    ]
    assert whole["delta"] == pytest.approx(-whole["learning_rate"] * (1 + 9.0 * whole["before"]), rel=1e-6) or (
        whole["delta"] == pytest.approx(whole["learning_rate"] * (1 - 9.0 * whole["before"]), rel=1e-6)
    )  # the first step moves each weight by the learning rate


@pytest.mark.parametrize(("seed", "index", "temperature"), [(42, 0, 0.5), (7, 3, 1.0), (1, 1, 2.0)])
def test_a_sample_has_the_values_of_the_running_program(
    session: Session, seed: int, index: int, temperature: float
) -> None:
    settings = {"seed": seed, "index": index, "temperature": temperature}
    chapter = ask(session, "chapter", name="sample", word=WORD, **settings)
    run = session.active
    c, bos = run.config, run.run.tokenizer.bos
    _, state_dict, *sizes = loss_arguments(session, WORD)
    rng = RecordingRandom(f"{seed}:{index}")
    ids, authority = arrivals(reference.sample, state_dict, bos, rng, temperature, *sizes)
    resolved = Resolved(session, chapter)
    assert compare(resolved, authority) > 4 * len(authority)
    assert chapter["facts"]["token_ids"] == ids
    assert chapter["facts"]["text"] == run.run.sample(index + 1, temperature=temperature, seed=seed)[index]
    chances = [event["chance"] for event in resolved.events if "chance" in event]
    stream = random.Random(f"{seed}:{index}")
    assert chances == rng.chances == [stream.random() for _ in chances]
    assert len(chances) == len(ids) + (len(ids) < c.block_size)
    assert resolved.events[-1]["text"] == chapter["facts"]["text"]


# --- Data and tokens


def test_main_is_played_up_to_its_first_step(session: Session) -> None:
    chapter = ask(session, "chapter", name="data", word=WORD)
    lines = ask(session, "source")["lines"]
    docs = reference.documents(NAMES)
    shuffled = list(docs)
    random.Random(42).shuffle(shuffled)
    facts = chapter["facts"]
    assert (facts["num_docs"], facts["before"]) == (len(docs), docs[:12])
    assert facts["after"] == shuffled[:12] == chapter["events"][-1]["first"]
    functions = [event["function"] for event in chapter["events"]]
    assert list(dict.fromkeys(functions)) == ["documents", "main", "shuffle", "__init__", "shapes", "init"]
    assert lines[chapter["events"][-1]["line"] - 1].strip() == "for step in range(num_steps):"
    [printed] = [event["printed"] for event in chapter["events"] if "printed" in event]
    assert printed == f"num docs: {len(docs)}\nvocab size: 27\nnum params: 4192"


def test_the_exchanges_are_those_of_the_shuffle(session: Session) -> None:
    chapter = ask(session, "chapter", name="data", word=WORD)
    resolved = Resolved(session, chapter)
    docs = reference.documents(NAMES)
    draw = random.Random(42)
    expected = [(i, draw._randbelow(i + 1)) for i in reversed(range(1, len(docs)))]  # type: ignore[attr-defined]
    swaps = [event for event in resolved.events if "swap" in event]
    assert len(swaps) == 16
    assert swaps[-1]["swap"]["turn"] == len(expected) - 1
    now = list(docs)
    by_turn = {event["swap"]["turn"]: event for event in swaps}
    for turn, (i, j) in enumerate(expected):
        if turn in by_turn:
            event = by_turn[turn]
            assert (event["swap"]["i"], event["swap"]["j"], event["swap"]["of"]) == (i, j, len(expected))
            assert resolved.variables(event) == {"i": i, "j": j, "x[i]": now[i], "x[j]": now[j]}
        now[i], now[j] = now[j], now[i]
        if turn in by_turn:
            assert resolved.variables(event, "changed") == {"x[i]": now[i], "x[j]": now[j]}
            assert event["first"] == now[:12]


def test_the_word_is_looked_up_letter_by_letter(session: Session) -> None:
    chapter = ask(session, "chapter", name="tokens", word=WORD)
    tokenizer = session.active.run.tokenizer
    assert chapter["facts"]["ids"] == tokenizer.encode(WORD)
    assert chapter["facts"]["symbols"] == tokenizer.symbols
    assert chapter["facts"]["decoded"] == WORD
    resolved = Resolved(session, chapter)
    letters = [event for event in resolved.events if "letter" in event]
    assert [resolved.variables(event)["char"] for event in letters] == list(WORD)
    found = [resolved.variables(event, "changed")["self.token_ids[char]"] for event in letters]
    assert found == [tokenizer.token_ids[char] for char in WORD]


# --- Backward


class Logged(Value):
    """A Value that records every new value of its gradient in a shared list."""

    __slots__ = ("now",)
    noted: ClassVar[list[tuple[int, float]]] = []

    @property
    def grad(self) -> float:  # type: ignore[override]
        return self.now

    @grad.setter
    def grad(self, grad: float) -> None:
        self.now = grad
        self.noted.append((id(self), grad))


@pytest.fixture
def logged(session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, float]]]:
    """Each (number, gradient) that reference.backward() sets for the word, beginning with the loss."""
    monkeypatch.setattr(reference, "Value", Logged)
    run = session.active
    state_dict = run.model.state_dict(run.model.leaves(Logged))
    tokens, _, *sizes = loss_arguments(session, WORD)
    loss = reference.loss(tokens, state_dict, *sizes)
    Logged.noted.clear()
    loss.backward()
    yield list(Logged.noted)
    Logged.noted.clear()


def test_every_step_of_backward_equals_the_program(session: Session, logged: list[tuple[int, float]]) -> None:
    backward = backward_steps(session, WORD)
    assert len(logged) == len(backward) + 1  # the first is the loss's 1.0
    assert logged[0][1] == 1.0
    which: dict[int, int] = {}
    for step, (number, after) in zip(backward.steps, logged[1:]):
        assert step.after == pytest.approx(after, **EXACT)
        assert which.setdefault(number, step.operand.index) == step.operand.index  # the same number each time
    chapter = ask(session, "chapter", name="backward", word=WORD)
    assert chapter["facts"]["steps"] == len(backward)
    assert chapter["facts"]["nodes"] == ask(session, "graph", word=WORD)["nodes"]


def test_a_step_of_backward_names_its_node_operand_and_contribution(session: Session) -> None:
    backward = backward_steps(session, WORD)
    source = ask(session, "source")["lines"]
    chosen = random.Random(1).sample(range(len(backward)), 60)
    for at in [0, 1, *chosen, len(backward) - 1]:
        found = ask(session, "backward_step", word=WORD, step=at)
        assert found["after"] == found["before"] + found["add"]
        assert found["add"] == found["local"] * found["node"]["grad"]
        assert found["operand"]["grad"] == found["after"]
        one = ask(session, "number", word=WORD, path=found["operand"]["path"])
        assert (one["value"], one["grad"]) == (found["operand"]["value"], found["final"])
        assert "node.b.grad" in source[found["line"] - 1] or "node.a.grad" in source[found["line"] - 1]
        assert found["num_contributions"] >= one["num_users"]  # x * x contributes twice
        assert [added["after"] for added in found["contributions"] if added["step"] == at] == [found["after"]]
        number = ask(session, "number", word=WORD, path=found["node"]["path"])
        assert (number["value"], number["grad"]) == (found["node"]["value"], found["node"]["grad"])
        paths = {operand["path"] for operand in number["operands"]}
        assert found["operand"]["path"] in paths
    with pytest.raises(AssertionError, match="step must be between 0 and"):
        ask(session, "backward_step", word=WORD, step=len(backward))


def test_backward_ends_with_the_gradient(session: Session) -> None:
    backward = backward_steps(session, WORD)
    last = {step.operand.index: step.after for step in backward.steps}
    grads = ask(session, "gradients", word=WORD)["grads"]
    flat = [g for name in grads for g in grads[name]]
    assert [last.get(i, 0.0) for i in range(len(flat))] == flat
    assert max(map(abs, flat)) > 0.1


def test_the_relay_stops_at_every_tensor_and_number(session: Session) -> None:
    facts = ask(session, "chapter", name="backward", word=WORD)["facts"]
    starts = [start for start, _ in facts["tensors_met"]]
    assert starts == sorted(set(starts))
    assert set(starts) <= set(facts["numbers_met"])
    names = [name for _, name in facts["tensors_met"]]
    assert names[0] == "loss"
    assert len(set(names)) == len(names)
    made = {name for name in ask(session, "forward", word=WORD)["tensors"] if not name.endswith("_emb")}
    # another name for numbers that were already met is left out
    assert set(names) <= made
    assert {"pos0.emb", "pos4.layer0.q", "pos4.logits"} <= set(names)
    for start, name in facts["tensors_met"][::20]:
        assert ask(session, "backward_step", word=WORD, step=start)["node"]["path"].startswith(name)


# --- Any model, any word


SETTINGS: dict[str, dict[str, Any]] = {
    "random": {},
    "two layers": {"n_layer": 2, "n_embd": 8, "n_head": 2},
    "first": PRESETS["first"].to_dict(),
    "short": {"block_size": 3, "n_embd": 4, "n_head": 1},
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", SETTINGS)
def test_every_chapter_plays_for_any_model(name: str) -> None:
    session = Session()
    ask(session, "reset", config=SETTINGS[name])
    for word in ("", "zoe"):
        for chapter in CHAPTERS:
            found = ask(session, "chapter", name=chapter, word=word)
            assert found["chapter"] == chapter
            assert found["events"] or found["facts"]["steps"]
        _, authority = arrivals(reference.loss, *loss_arguments(session, word))
        forward = Resolved(session, ask(session, "chapter", name="forward", word=word))
        assert compare(forward, authority) > len(authority)


def test_every_chapter_plays_for_another_alphabet() -> None:
    session = Session()
    text = "αβγ\nγβα\nαα\nβγβγ\n".encode()
    ask(session, "load_data", name="own.txt", base64=b64encode(text).decode())
    for chapter in CHAPTERS:
        found = ask(session, "chapter", name=chapter, word="αγ")
        assert found["events"] or found["facts"]["steps"]
    data = ask(session, "chapter", name="data", word="αγ")
    docs = ["αβγ", "γβα", "αα", "βγβγ"]
    assert data["facts"]["before"] == docs
    random.Random(42).shuffle(docs)
    assert data["facts"]["after"] == docs
    assert sum("swap" in event for event in data["events"]) == 3


def test_every_session_plays_the_same_chapters() -> None:
    played = []
    for _ in range(2):
        session = Session()
        played.append([ask(session, "chapter", name=name, word="zoe") for name in CHAPTERS])
    assert played[0] == played[1]
    assert all(chapter["events"] or chapter["facts"]["steps"] for chapter in played[0])


@pytest.mark.parametrize(
    "edit",
    [
        "docs.reverse()\n    {}",
        "docs.sort(key=len)\n    {}",
        "{}\n    docs.sort()",
        "docs.append('bb')\n    {}",
        "docs[:] = docs[::-1]\n    {}",
        "docs[0] = 'bb'\n    {}",
        "docs = docs[:4]\n    {}",
        "{}\n    {}",
    ],
)
def test_a_main_that_does_more_than_shuffle_the_documents_is_not_played(edit: str) -> None:
    session = Session()
    ask(session, "load_data", name="own.txt", base64=b64encode(b"bba\naab\nba\nab\nabb\na\n").decode())
    line = "    rng.shuffle(docs)\n"
    source = "\n".join(ask(session, "source")["lines"]) + "\n"
    assert source.count(line) == 1
    ask(session, "edit", source=source.replace(line, "    " + edit.replace("{}", line.strip()) + "\n"))
    assert session.ask("chapter", {"name": "data", "word": "a"})["error"] == (
        "cannot play this chapter: the edited main() does more to the documents than shuffle them once"
    )
    ask(session, "edit", source="# only shuffled\n" + source)
    assert ask(session, "chapter", name="data", word="a")["facts"]["num_docs"] == 6


def test_a_chapter_that_cannot_be_played_gives_an_error(session: Session) -> None:
    def error(method: str, **params: Any) -> str:
        return str(session.ask(method, params)["error"])

    assert error("chapter", name="nonsense", word=WORD).startswith("name must be one of data, tokens, forward")
    assert "temperature must be above 0" in error("chapter", name="sample", word=WORD, temperature=0)
    assert "unknown tensor 'nonsense'" in error("chapter", name="adam", word=WORD, path="nonsense[0][0]")
