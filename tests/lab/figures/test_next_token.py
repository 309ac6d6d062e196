"""The next guess without a part of the model, compared with edits of the weights or the source made here."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from microgpt import reference
from microgpt.engines.base import Tokens
from microgpt.engines.program import REFERENCE, ScalarModel
from microgpt.lab.session import Session
from microgpt.tracing.recorder import forward

from lab.session_client import Lab, ask

WORD = "emma"
DEEP: dict[str, Any] = {"n_embd": 8, "n_head": 2, "n_layer": 2, "block_size": 6, "init_std": 0.4}


@pytest.fixture(scope="module")
def deep() -> Session:
    session = Session()
    ask(session, "reset", config=DEEP)
    return session


def model_of(session: Session) -> tuple[ScalarModel, Tokens]:
    return session.active.model, session.tokens(WORD)


def probs(model: ScalarModel, tokens: Tokens) -> list[list[float]]:
    return [t.numbers.tolist() for name, t in forward(tokens, model).items() if name.endswith(".probs")]


def run_source(model: ScalarModel, tokens: Tokens, before: str, after: str) -> list[list[float]]:
    """Return the probabilities of an edited copy of reference.py, position by position."""
    assert REFERENCE.text.count(before) == 1
    module: dict[str, Any] = {"__name__": "edited"}
    exec(REFERENCE.text.replace(before, after), module)
    weights = iter(model.params)
    state = {
        name: [[module["Value"](next(weights)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in model.shapes.items()
    }
    keys: list[Any] = [[] for _ in range(model.config.n_layer)]
    values: list[Any] = [[] for _ in keys]
    made = []
    for t, token_id in enumerate(tokens[: min(len(tokens) - 1, model.config.block_size)]):
        module["POS"], module["CALLS"] = t, 0
        logits = module["gpt"](token_id, t, keys, values, state, model.config.n_head)
        made.append([p.data for p in module["softmax"](logits)])
    return made


ATTEND = "x_attn += attention(q[head], [k[head] for k in keys[i]], [v[head] for v in values[i]])"


def test_the_guesses_are_the_programs_probabilities(readonly: Lab) -> None:
    response, tensors = readonly.ask("guesses", word=WORD), readonly.ask("forward", word=WORD)["tensors"]
    assert response["probs"] == [tensors[f"pos{t}.probs"]["data"] for t in range(len(WORD) + 1)]
    assert response["before"] == response["probs"]
    assert response["moved"] == [0.0] * (len(WORD) + 1)
    assert response["labels"] == ["·", *WORD]


def test_deciding_heads_are_those_whose_absence_changes_the_best_guess(readonly: Lab) -> None:
    """Compared with the scalar program's forward pass without each head, for all words that are searched."""
    response, words = readonly.ask("deciding_heads"), readonly.ask("examples")["suggested"]
    assert response["searched"] == len(words) > 10
    expected: dict[str, dict[str, Any]] = {}
    for word, head in product(words, range(4)):
        numbers = [*range(4 * head, 4 * head + 4)]
        off = readonly.ask("guesses_without", word=word, layer=0, part="x_attn", numbers=numbers)
        for t, (was, now, moved) in enumerate(zip(off["before"], off["probs"], off["moved"])):
            best, instead = was.index(max(was)), now.index(max(now))
            if best != instead and moved > expected.get(word[:t], {"moved": 0})["moved"]:
                expected[word[:t]] = {"position": t, "head": head, "best": best, "instead": instead, "moved": moved}
    largest = sorted(expected.items(), key=lambda item: -item[1]["moved"])[:4]
    assert len(largest) > 1
    assert [one["word"][: one["position"]] for one in response["found"]] == [begins for begins, _ in largest]
    for one, (_, other) in zip(response["found"], largest):
        assert {**other, "moved": pytest.approx(other["moved"], abs=1e-12)}.items() <= one.items()


def test_a_model_without_attention_has_no_deciding_head() -> None:
    lab = Lab()
    shapes = {name: shape for name, *shape in lab.ask("model")["shapes"]}
    for row, column in product(*map(range, shapes["layer0.attn_wo"])):
        lab.ask("change", path=f"layer0.attn_wo[{row}][{column}]", value=0.0)
    assert lab.ask("deciding_heads")["found"] == []


def test_the_guesses_follow_a_weight_changed_by_hand() -> None:
    lab = Lab()
    before = lab.ask("guesses", word=WORD)["probs"]
    lab.ask("change", path="wpe[2][0]", value=2.0)
    response = lab.ask("guesses", word=WORD)
    assert response["before"] == before
    assert response["moved"][:2] == [0.0, 0.0]
    assert response["moved"][2] == pytest.approx(
        sum(abs(a - b) for a, b in zip(before[2], response["probs"][2])) / 2, abs=1e-15
    )


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("head", [0, 1])
def test_a_missing_head_is_a_head_whose_output_is_zero(deep: Session, layer: int, head: int) -> None:
    """The edited source replaces the head's output; the request edits the weights that read it."""
    size = DEEP["n_embd"] // DEEP["n_head"]
    numbers = [*range(head * size, (head + 1) * size)]
    response = ask(deep, "guesses_without", word=WORD, layer=layer, part="x_attn", numbers=numbers)
    after = f"x_attn += [Value(0.0) for _ in q[head]] if (i, h) == ({layer}, {head}) else {ATTEND[10:]}"
    expected = run_source(*model_of(deep), ATTEND, after)
    assert response["probs"] == expected
    assert response["probs"] != response["before"]
    assert response["before"] == probs(*model_of(deep))


def test_a_missing_unit_is_a_unit_that_passes_on_nothing(deep: Session) -> None:
    model, tokens = model_of(deep)
    response = ask(deep, "guesses_without", word=WORD, layer=1, part="mlp_act", numbers=[3, 5])
    line = "x = [activation(xi) for xi in x]"
    after = f"{line}; x = [Value(0.0) if i == 1 and u in (3, 5) else xi for u, xi in enumerate(x)]"
    assert response["probs"] == run_source(model, tokens, line, after)


def test_nothing_missing_changes_nothing(deep: Session) -> None:
    response = ask(deep, "guesses_without", word=WORD, layer=0, part="x_attn", numbers=[])
    assert response["probs"] == response["before"]


def test_a_head_that_does_not_see_an_entry(deep: Session) -> None:
    model, tokens = model_of(deep)
    response = ask(deep, "guesses_attending", word=WORD, layer=0, head=1, position=3, skip=1)
    skipped = "for s, {0} in enumerate({1}[i]) if not (POS == 3 and (i, h) == (0, 1) and s == 1)"
    after = (
        f"x_attn += attention(q[head], [k[head] {skipped.format('k', 'keys')}],"
        f" [v[head] {skipped.format('v', 'values')}])"
    )
    assert response["probs"] == run_source(model, tokens, ATTEND, after)
    changed = [a != b for a, b in zip(response["probs"], response["before"])]
    assert changed == [False, False, False, True, True]  # the second layer passes the change on to the last position


@pytest.mark.parametrize("scale", [0.0, 1.0, 3.5])
def test_a_head_with_multiplied_scores(deep: Session, scale: float) -> None:
    model, tokens = model_of(deep)
    response = ask(deep, "guesses_attending", word=WORD, layer=1, head=0, position=2, scale=scale)
    line = "attn_weights = softmax(attn_logits)"
    after = "CALL(); attn_weights = softmax([z * (SCALE if AT() else 1.0) for z in attn_logits])"
    source = REFERENCE.text.replace(line, after)
    assert source != REFERENCE.text
    calls = [0]  # the program calls attention() for each position, layer and head in turn
    at = (2 * DEEP["n_layer"] + 1) * DEEP["n_head"] + 0 + 1
    module: dict[str, Any] = {"__name__": "edited"}
    exec(source, module)
    module |= {"SCALE": scale, "CALL": lambda: calls.append(calls.pop() + 1), "AT": lambda: calls[0] == at}
    weights = iter(model.params)
    state = {
        name: [[module["Value"](next(weights)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in model.shapes.items()
    }
    keys: list[Any] = [[], []]
    values: list[Any] = [[], []]
    for t, token_id in enumerate(tokens[:-1]):
        made = module["softmax"](module["gpt"](token_id, t, keys, values, state, 2))
        assert response["probs"][t] == pytest.approx([p.data for p in made], abs=1e-12)
    if scale == 1:
        assert response["probs"] == response["before"]


def test_the_guess_on_the_way_ends_with_the_models_guess(deep: Session) -> None:
    model, tokens = model_of(deep)
    response = ask(deep, "guesses_on_the_way", word=WORD, position=2)
    tensors = forward(tokens, model)
    names = ["layer0.resid_pre", "layer0.resid_mid", "layer0.resid_post", "layer1.resid_mid", "layer1.resid_post"]
    assert [stage["path"] for stage in response["stages"]] == [f"pos2.{name}" for name in names]
    part, columns = model.offsets["lm_head"], model.config.n_embd
    rows = [model.params[i : i + columns] for i in range(part.start, part.stop, columns)]
    for stage in response["stages"]:
        stream = tensors[stage["path"]].numbers
        logits = [sum(w * x for w, x in zip(row, stream)) for row in rows]
        expected = [p.data for p in reference.softmax(list(map(reference.Value, logits)))]
        assert stage["probs"] == pytest.approx(expected, abs=1e-14)
    assert response["stages"][-1]["probs"] == tensors["pos2.probs"].numbers.tolist()


def test_the_most_missed_unit_moves_most(readonly: Lab) -> None:
    missed = readonly.ask("most_missed", word=WORD, layer=0, position=3)
    moved = [
        readonly.ask("guesses_without", word=WORD, layer=0, part="mlp_act", numbers=[unit])["moved"][3]
        for unit in range(64)
    ]
    assert missed["unit"] == max(range(64), key=moved.__getitem__)
    assert missed["moved"] == pytest.approx(max(moved), abs=1e-12)
    last = readonly.ask("most_missed", word="e", layer=0, position=9)  # beyond the word: its last position
    assert last["unit"] == readonly.ask("most_missed", word="e", layer=0, position=1)["unit"]


@pytest.mark.parametrize(
    ("method", "wrong", "message"),
    [
        ("guesses_without", {"part": "q"}, "part must be one of x_attn, mlp_act, got part='q'"),
        ("guesses_without", {"layer": 1}, "the model has no layer1.attn_wo"),
        ("guesses_without", {"numbers": [16]}, "numbers of x_attn must be between 0 and 15, got 16"),
        ("guesses_attending", {"head": 4}, "head must be between 0 and 3, got head=4"),
        ("guesses_attending", {"position": 5}, "position must be between 0 and 4, got position=5"),
        ("guesses_attending", {"skip": 4}, "skip must be between -1 and 3, got skip=4"),
        ("guesses_attending", {"position": 0, "skip": 0}, "position 0 sees nothing but itself"),
        ("guesses_on_the_way", {"position": -1}, "position must be at least 0, got position=-1"),
    ],
)
def test_wrong_parameters_are_refused(readonly: Lab, method: str, wrong: dict[str, Any], message: str) -> None:
    right: dict[str, dict[str, Any]] = {
        "guesses_without": {"layer": 0, "part": "x_attn", "numbers": [0]},
        "guesses_attending": {"layer": 0, "head": 0, "position": 3},
        "guesses_on_the_way": {},
    }
    assert message in readonly.refused(method, word=WORD, **(right[method] | wrong))


# --- The spread of a change


def test_the_ripple_compares_every_tensor_before_and_after() -> None:
    lab = Lab()
    empty = lab.ask("ripple", word=WORD, position=3)
    assert empty["pushed"] is None
    assert all(row["largest"] == -1 and set(row["cells"]) == {None} for row in empty["rows"])
    lab.ask("change", path="wpe[2][0]", value=2.0)
    response, tensors = lab.ask("ripple", word=WORD, position=3), lab.ask("forward", word=WORD)
    rows = {row["kind"]: row for row in response["rows"]}
    assert [cell is not None for cell in rows["layer0.q"]["cells"]] == [False, False, True, False, False]
    assert [cell is not None for cell in rows["layer0.x_attn"]["cells"]] == [False, False, True, True, True]
    for kind, row in rows.items():
        for t, cell in enumerate(row["cells"]):
            name = f"pos{t}.{kind}"
            if cell is None:
                assert name not in tensors["before"]
                continue
            now, was = tensors["tensors"][name]["data"], tensors["before"][name]
            i = max(range(len(now)), key=lambda i: abs(now[i] - was[i]))
            assert (cell["before"], cell["after"]) == (was[i], now[i])
            assert cell["share"] == min(1.0, abs(now[i] - was[i]) / max(map(abs, was)))
    assert response["guesses"]["probs"] == [tensors["tensors"][f"pos{t}.probs"]["data"] for t in range(5)]
    pushed = lab.ask("ripple", word=WORD, position=3, opening=True)  # changes by hand come first
    assert pushed["pushed"] is None
    assert pushed["rows"] == response["rows"]


def test_the_opening_pushes_a_telling_weight_and_leaves_the_model_alone(readonly: Lab) -> None:
    response = readonly.ask("ripple", word=WORD, position=3, opening=True)
    push = response["pushed"]
    session = readonly.session
    model, tokens = model_of(session)
    index = session.active.index(push["path"])
    assert model.params[index] == push["before"]
    params = array("d", model.params)
    params[index] = push["after"]
    assert response["guesses"]["probs"] == probs(replace(model, params=params), tokens)
    assert response["guesses"]["before"] == probs(model, tokens)
    assert not push["path"].startswith("lm_head")
    # no steepest weight of another matrix, pushed to either end of its slider, would move more
    engine = session.active.scratch()
    engine.backward([tokens])
    for name, part in model.offsets.items():
        i = max(range(part.start, part.stop), key=lambda i: abs(engine.grads[i]))
        for to in (-1.0, 1.0):
            if name != "lm_head" and abs(model.params[i]) <= 0.5:
                params = array("d", model.params)
                params[i] = to
                other = probs(replace(model, params=params), tokens)[3]
                moved = sum(abs(a - b) for a, b in zip(other, response["guesses"]["before"][3])) / 2
                assert moved <= response["guesses"]["moved"][3] + 1e-9
