"""Attention without its mask: every number agrees with a plain computation of the full matrix."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest

from microgpt.engines.program import REFERENCE
from microgpt.lab.figures.unmasked import passes
from microgpt.lab.session import Session

from lab.figures.whole_matrix import Transformer, everything, the_past
from lab.session_client import ask


def flat(x: Any) -> list[float]:
    return [x] if isinstance(x, float) else [y for part in x for y in flat(part)]


def near(a: Any, b: Any) -> bool:
    left, right = flat(a), flat(b)
    return len(left) == len(right) and all(math.isclose(x, y, abs_tol=1e-12) for x, y in zip(left, right))


SETTINGS: dict[str, dict[str, Any]] = {
    "published": {},
    "two layers": {"n_layer": 2, "init_std": 0.4},
    "three layers, one head, relu2": {"n_layer": 3, "n_head": 1, "n_embd": 8, "init_std": 0.5, "activation": "relu2"},
    "short": {"block_size": 4, "init_std": 0.4},
}


@pytest.fixture(scope="module", params=SETTINGS)
def session(request: pytest.FixtureRequest) -> Session:
    session = Session()
    if settings := SETTINGS[request.param]:
        ask(session, "reset", config=settings)
    return session


@pytest.mark.sampled(5)
@pytest.mark.parametrize("word", ["emma", "zoe", "q", "", "christopherson"])
def test_unmasked_attention_equals_the_full_matrix(session: Session, word: str) -> None:
    response = ask(session, "unmasked", word=word)
    free, masked = Transformer(session, word, everything), Transformer(session, word, the_past)
    assert near(response["weights"], free.weights)
    for shown, plain in ((response["unmasked"], free), (response["masked"], masked)):
        assert near([letter["prob"] for letter in shown["letters"]], plain.probs)
        assert near(shown["mean"], plain.loss)
    ahead = [[[sum(row[t + 1 :], 0.0) for t, row in enumerate(head)] for head in layer] for layer in free.weights]
    assert near(response["future"], ahead)
    assert all(
        layer[h][-1] == 0.0 for layer in response["future"] for h in range(len(layer))
    )  # nothing follows the last position
    # in the first layer, whose inputs do not depend on attention, the scores equal those with the mask
    attention = ask(session, "attention", word=word)
    for head, other in zip(response["logits"][0], attention["logits"][0]):
        for t, row in enumerate(head):
            assert row[: t + 1] == other[t][: t + 1]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("word", ["emma", "christopherson"])
def test_masked_attention_equals_the_program(session: Session, word: str) -> None:
    response = ask(session, "unmasked", word=word)
    loss = ask(session, "loss", word=word)
    loss.pop("version")
    assert response["masked"] == loss
    tensors = ask(session, "forward", word=word)["tensors"]
    first = passes(session.active, session.tokens(word))[0]
    assert {name: list(tensor.numbers) for name, tensor in first.items()} == {
        name: tensor["data"] for name, tensor in tensors.items()
    }


def test_no_later_layer_keeps_the_mask() -> None:
    """A test of the test: with one pass fewer the second layer would use keys that were computed with the mask."""
    session = Session()
    ask(session, "reset", config=SETTINGS["two layers"])
    made = passes(session.active, [26, 4, 12, 26])
    early, last = (one["pos0.layer1.attn_weights.head0"].numbers for one in made[-2:])
    assert len(early) == len(last) == 3
    assert list(early) != list(last)


def test_the_losses_of_many_documents_are_means() -> None:
    session = Session()
    response = ask(session, "unmasked_documents", count=4)
    run = session.active.run
    words = [run.data.text(i) for i in run.order[:4]]
    pairs = [[Transformer(session, word, sees).loss for sees in (the_past, everything)] for word in words]
    assert near([response["masked"], response["unmasked"]], [sum(column) / 4 for column in zip(*pairs)])
    assert response["lower"] == sum(b < a for a, b in pairs)
    refused = session.ask("unmasked_documents", {"count": 0})
    assert refused["error"].startswith("count must be between 1 and 100, got count=0")


def test_all_documents_are_read_if_the_data_has_fewer() -> None:
    session = Session()
    ask(session, "load_data", name="own.txt", base64=base64.b64encode(b"anna\nbob\neve\n").decode())
    response = ask(session, "unmasked_documents", count=10)
    assert (response["documents"], response["masked"]) == (3, ask(session, "unmasked_documents", count=3)["masked"])


def test_the_edited_program_is_used() -> None:
    session = Session()
    edited = REFERENCE.text.replace(" / len(q) ** 0.5 for k in keys]", " for k in keys]")
    ask(session, "edit", source=edited)
    response = ask(session, "unmasked", word="emma")
    masked = ask(session, "attention", word="emma")
    assert response["logits"][0][0][3][:4] == masked["logits"][0][0][3][:4]
    assert all(math.isclose(sum(row), 1) for head in response["weights"][0] for row in head)


def test_the_prepared_change_looks_ahead() -> None:
    """A later letter changes the losses of earlier ones, which is impossible in the unedited program."""
    session = Session()
    ask(session, "edit", source=REFERENCE.text)
    a, b = (ask(session, "loss", word=word)["letters"] for word in ("emma", "emmy"))
    assert [x == y for x, y in zip(a, b)] == [True, True, True, False, False]
    ask(session, "edit", source=ask(session, "vary", name="no_mask", source=REFERENCE.text)["source"])
    a, b = (ask(session, "loss", word=word)["letters"] for word in ("emma", "emmy"))
    assert not any(x == y for x, y in zip(a, b))
    refused = session.ask("unmasked", {"word": "emma"})
    assert "there is no mask to remove" in refused["error"]
