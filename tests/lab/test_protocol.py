"""The lab's protocol: protocol.ts is up to date, and every response has the type that the protocol says."""

from __future__ import annotations

import base64
import copy
import runpy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from microgpt.engines.program import REFERENCE
from microgpt.lab.protocol import check
from microgpt.lab.protocol.figures import Loss
from microgpt.lab.requests import REQUESTS, Request

from conftest import ROOT
from lab.session_client import Lab, checked

WEB = ROOT / "web"
PROGRAM = REFERENCE.text.replace("16, 1, 4, 16\n", "2, 1, 2, 6\n").replace("len(params), 1000\n", "len(params), 4\n")
DOCUMENTS = base64.b64encode(b"anna\nbob\neve\nanne\nbea\nabe\n").decode()
SMALL = {"n_embd": 2, "n_head": 2, "block_size": 6, "num_steps": 8, "batch_size": 2}
WORD, PATH = "ann", "pos1.layer0.q[1]"
SIZES = {"n_embd": 8, "n_layer": 2, "block_size": 16, "vocab_size": 27}


def generated() -> str:
    text: Callable[[], str] = runpy.run_path(str(WEB / "protocol.py"))["text"]
    return text()


# --- protocol.ts


def test_protocol_ts_is_generated_from_the_types() -> None:
    written = (WEB / "src" / "engine" / "protocol.ts").read_text(encoding="utf-8")
    assert written == generated(), "run `python web/protocol.py`"


def more(session: Any, word: str, count: int = 3) -> Loss:
    """A new request."""
    raise NotImplementedError


def test_a_new_or_removed_request_makes_protocol_ts_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = generated()
    monkeypatch.setitem(REQUESTS, "more", Request(more, of_model=True))
    [added] = [line for line in generated().splitlines() if line not in before and "*" not in line]
    assert added == "  more: { params: { word: string; count?: number }; result: Loss & OfModel }"
    monkeypatch.delitem(REQUESTS, "more")
    monkeypatch.delitem(REQUESTS, "loss")
    assert "  loss: {" in before
    assert "  loss: {" not in generated()


def test_protocol_ts_has_the_meaning_of_each_field() -> None:
    perplexity = "exp(mean): the model is as uncertain as if it were choosing among this many equally likely tokens"
    assert f"  perplexity: Num // {perplexity}\n" in generated()
    assert "  letter?: number // tokens: the index of the letter that is looked up\n" in generated()
    assert "export interface PlayEvent extends EventExtras {\n" in generated()


# --- Responses


@cache
def answered() -> frozenset[str]:
    """Make every request of a session; fail if a response does not fit its type; return the names of the requests."""
    lab, asked = Lab(), set()

    def ask(method: str, **params: Any) -> Any:
        asked.add(method)
        return lab.ask(method, **params)

    checkpoint = ask("export_model")["base64"]
    for method in ("hello", "variants", "source", "runs"):
        ask(method)
    ask("load_data", name="own.txt", base64=DOCUMENTS)
    ask("open_run", name="opened", checkpoint=checkpoint, metrics="")
    ask("choose", run="run1")
    ask("reset", config=SMALL, name="small", val_fraction=0.2)
    lab.train(4)
    ask("scrub", step=2)
    ask("change", path="wte[1][0]", value=0.5)
    ask("forward", word=WORD)
    ask("forward", word=WORD, only=["emb"])
    ask("undo")
    for method in ("model", "data", "schedule", "evaluate", "examples", "pretrained"):
        ask(method)
    ask("choose", run="run3")
    lab.train(2)
    ask("compare", a="run3", b="run4")
    ask("compare", a="run3", b="run1")
    ask("pair", differs="seed")
    ask("memorized")
    ask("progress")
    ask("progress", fresh=True)
    for method in ("attention", "unmasked", "loss", "graph", "gradients"):
        ask(method, word=WORD)
    ask("tokens", text="anné")
    ask("spelled", text="anné")
    ask("shuffle", seed=1, count=3)
    ask("known", text="anna")
    for order in ("topological", "naive"):
        ask("expression", source="y = relu(x * x + 2) ** 2 / exp(x) + log(x)", inputs={"x": 1.5}, order=order)
    ask("parameters", moments=True)
    for fresh in (False, True):
        ask("likeness", fresh=fresh)
        ask("nearest", symbol="a", fresh=fresh)
    ask("history", word=WORD, path="wte[0][0]")
    ask("sizes", **SIZES)
    ask("budget", **SIZES, tokens=1000)
    for path in (PATH, "loss", "wte[0][0]", "pos1.layer0.attn_weights.head0[1]", f"{PATH}.term1"):
        ask("number", word=WORD, path=path)
        ask("neighbourhood", word=WORD, path=path)
        ask("dot", word=WORD, path=path)
        ask("gradient_contributions", word=WORD, path=path)
    ask("nudge", word=WORD, path=PATH)
    for query in ("q", "wte[0]", f"{PATH}.", "nonsense"):
        ask("find", word=WORD, query=query)
    for name in ("data", "tokens", "forward", "loss", "backward", "adam", "sample"):
        ask("chapter", name=name, word=WORD)
    ask("backward_step", word=WORD, step=0)
    ask("backward_step", word=WORD, step=20)
    ask("unmasked_documents", count=2)
    ask("softmax", logits=[1.0, 2.0], scales=[0.5, 1.0])
    ask("update", word=WORD, what=["delta"])
    ask("update", word=WORD, fresh=True)
    ask("adam", word=WORD, path="wte[0][0]")
    ask("learned", word=WORD)
    ask("hike", word=WORD, scene="ravine")
    ask("hike", word=WORD, scene="valleys")
    ask("surface", word=WORD, x="wte[0][0]", y="wte[0][1]", size=3, reach=1, steps=2)
    ask("gate", word=WORD, layer=0)
    ask("guesses", word=WORD)
    ask("guesses_without", word=WORD, layer=0, part="x_attn", numbers=[0])
    ask("guesses_attending", word=WORD, layer=0, head=0, position=1, skip=0)
    ask("deciding_heads")
    ask("guesses_on_the_way", word=WORD, position=1)
    ask("most_missed", word=WORD, layer=0, position=1)
    ask("ripple", word=WORD, position=1, opening=True)
    ask("generate", seed=1, index=0, temperature=0.5)
    ask("samples", seed=1, count=2, temperature=0.5)
    ask("edit", source=ask("vary", name="gelu", source=PROGRAM)["source"])
    for method in ("model", "source", "runs"):
        ask(method)
    ask("number", word=WORD, path="pos0.layer0.mlp_act[0]")
    ask("restore", state=ask("save")["state"])
    return frozenset(asked)


def test_every_response_fits_its_type() -> None:
    assert answered() == {name for name, request in REQUESTS.items() if not request.streams}


def test_every_stream_fits_its_type() -> None:
    lab = Lab()
    streams = {"train": lab.stream("train", steps=2, per_event=1), "ladder": lab.stream("ladder", steps=1)}
    assert streams.keys() == {name for name, request in REQUESTS.items() if request.streams}
    for events in streams.values():
        assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]


LOSS = {
    "version": 3,
    "letters": [{"position": 0, "read": "·", "target": "a", "target_id": 0, "prob": 0.5, "loss": 0.7, "so_far": 0.7}],
    "mean": 0.7,
    "perplexity": "inf",
    "uniform": 3,  # JavaScript has one kind of number
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda a: a.pop("mean"), "response.mean is missing"),
        (lambda a: a.pop("version"), "version is missing"),
        (lambda a: a.update(more=1), "response.more is not in the protocol"),
        (lambda a: a["letters"][0].update(more=1), "response.letters[0].more is not in the protocol"),
        (lambda a: a["letters"][0].pop("prob"), "response.letters[0].prob is missing"),
        (lambda a: a["letters"][0].update(read=1), "response.letters[0].read must be str, got 1"),
        (lambda a: a["letters"][0].update(position=0.5), "response.letters[0].position must be int, got 0.5"),
        (lambda a: a["letters"][0].update(position=True), "response.letters[0].position must be int, got True"),
        (lambda a: a.update(letters={}), "response.letters must be a list, got {}"),
        (lambda a: a.update(letters=[[]]), "response.letters[0] must be an object, got []"),
        (lambda a: a.update(mean="inf"), "response.mean must be float, got 'inf'"),
        (lambda a: a.update(mean=None), "response.mean must be float, got None"),
        (lambda a: a.update(perplexity="much"), "response.perplexity must be Num, got 'much'"),
        (lambda a: a.update(version="3"), "version must be int, got '3'"),
    ],
)
def test_an_response_that_does_not_fit_its_type_is_noticed(change: Callable[[Any], object], fault: str) -> None:
    response = copy.deepcopy(LOSS)
    assert check.response_faults(REQUESTS["loss"], response) == []
    change(response)
    assert check.response_faults(REQUESTS["loss"], response) == [fault]


UPDATE = {"step": 1, "learning_rate": 0.1, "fresh": True, "loss_before": 1.0, "loss_after": 1.0}


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("Shaped", ["wte", 27, 16], ["wte", 27]),
        ("Shaped", ["wte", 27, 16], ["wte", "27", 16]),
        ("UpdateQuantity", "m_hat", "m_hut"),
        ("Variable", {"path": "q", "value": 1.0, "grad": "nan"}, {"path": "q", "value": 1.0}),
        ("Variable", {"list": [{"value": [1, None]}]}, {"list": [{"value": [[1]]}]}),
        ("PlaySwap", {"i": 1, "j": 2, "turn": 0, "of": 5}, {"i": 1, "j": 2, "turn": 0}),
        ("ChapterFacts", {"before": ["anna"]}, {"before": [1]}),
        ("EventExtras", {}, {"letter": "a"}),
        ("Update", {**UPDATE, "tensors": {"wte": {"m": [0.5]}}}, {**UPDATE, "tensors": {"wte": {"n": [0.5]}}}),
    ],
)
def test_every_kind_of_type_is_checked(kind: str, right: Any, wrong: Any) -> None:
    assert list(check.faults(right, check.TYPES[kind])) == []
    assert list(check.faults(wrong, check.TYPES[kind])) != []


def test_the_client_of_the_tests_checks_the_responses() -> None:
    assert checked("softmax", '{"result":{"probs":[[0.5,0.5]]}}')
    with pytest.raises(AssertionError, match="softmax"):
        checked("softmax", '{"result":{"probs":[[0.5,NaN]]}}')
    with pytest.raises(AssertionError, match="softmax"):
        checked("softmax", '{"result":{"chances":[[0.5,0.5]]}}')


def test_the_version_changes_with_every_change() -> None:
    lab = Lab()
    version = lab.ask("model")["version"]
    assert lab.ask("loss", word=WORD)["version"] == version
    assert lab.ask("change", path="wte[1][0]", value=0.5)["version"] == version + 1
    assert lab.ask("loss", word=WORD)["version"] == version + 1
    assert "version" not in lab.ask("shuffle", seed=1, count=3)
