"""The session: its initial state, and the messages with which it refuses requests."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microgpt import reference
from microgpt.data.loading import load
from microgpt.lab.protocol import SCHEMA
from microgpt.lab.requests import REQUESTS, parameters

from conftest import SOURCE, examples, golden
from lab import session_client
from lab.published import names_model, published
from lab.session_client import Lab

WORD = "emma"


def test_a_new_session_has_the_pretrained_models_and_their_losses(readonly: Lab) -> None:
    hello, model = readonly.ask("hello"), readonly.ask("model")
    assert hello["schema"] == SCHEMA
    assert hello["python"].endswith(sys.version.split()[0])
    assert (model["step"], model["version"], model["num_params"]) == (1000, 0, 4192)
    assert "on 5,387 of the 5,986" in model["about"]
    own, published = readonly.ask("runs")["runs"]
    assert (own["id"], own["active"], published["id"], published["active"]) == ("names", True, "published", False)
    assert own["losses"] == golden("names")["losses"]
    assert [[x["step"], x["loss"]] for x in own["validations"]] == golden("names")["validations"]
    assert published["losses"] == golden("final")["losses"]


def test_the_published_model_is_opened_on_request_and_says_that_its_names_are_not_here(lab: Lab) -> None:
    assert lab.ask("model")["own_text"]
    model = lab.ask("pretrained", run="published")
    assert (model["run"], model["own_text"]) == ("published", False)
    assert "32,033 names of makemore's names.txt. That file is not included" in model["about"]
    assert lab.ask("pretrained")["run"] == "names"


def test_the_text_on_show_is_the_text_that_the_model_learned(readonly: Lab) -> None:
    text = (SOURCE / "data" / "names.txt").read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    assert names_model().provenance.sha256 == golden("names")["data_sha256"] == digest
    assert readonly.session.active.run.data.sha256 == digest
    shown = readonly.ask("data")
    assert shown["num_docs"] == len(text.split())
    assert shown["first"] == text.decode().split()[:12]


@pytest.mark.parametrize(("n_embd", "n_head"), [(16, 4), (12, 4), (8, 1)])
def test_the_page_gets_the_values_derived_from_a_models_settings(lab: Lab, n_embd: int, n_head: int) -> None:
    model = lab.ask("reset", config={"n_embd": n_embd, "n_head": n_head})
    width = len(lab.ask("forward", word="a")["tensors"]["pos0.layer0.x_attn.head0"]["data"])
    assert (model["head_dim"], model["sqrt_head_dim"]) == (width, math.sqrt(width))
    assert model["uniform_loss"] == lab.ask("loss", word="a")["uniform"] == math.log(len(model["symbols"]))


def test_the_published_vocabulary_is_that_of_the_bundled_names() -> None:
    assert load("names").tokenizer.symbols == published().symbols == names_model().symbols


def test_opening_a_session_reads_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.lab.runs.texts.load", lambda *_, **__: pytest.fail("the names were read"))
    lab = Lab()
    lab.ask("hello")
    lab.ask("forward", word=WORD)


def test_the_source_is_the_file_that_runs(readonly: Lab) -> None:
    source = readonly.ask("source")
    assert source["lines"] == Path(reference.__file__).read_text().splitlines()
    places = {f["name"]: (f["first"], f["last"]) for f in source["functions"]}
    code = reference.Value.backward.__code__
    assert places["Value.backward"][0] == code.co_firstlineno
    assert "gpt" in places
    assert [part["title"][:2] for part in source["parts"]] == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert source["parts"][-1]["last"] == len(source["lines"])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"method": 1}', '{"method": "tokens", "params": []}', "{" * 100_000, '{"method": "__init__"}'],
)
def test_invalid_json_and_unknown_methods_are_refused_with_a_message(readonly: Lab, text: str) -> None:
    error = json.loads(readonly.wire.ask(text))["error"]
    assert "a request must be JSON" in error or "unknown method" in error


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("nothing", {}, "unknown method 'nothing'; choose from adam, attention"),
        ("train", {"steps": 1}, "unknown method 'train'"),
        ("forward", {}, "forward requires the parameter 'word'"),
        ("forward", {"word": WORD, "colour": 1}, "unknown parameter 'colour' for forward; valid parameters: word"),
        ("forward", {"word": 3}, "word of forward must be a string, got word=3"),
        ("shuffle", {"seed": 1.5, "count": 8}, "seed of shuffle must be a whole number, got seed=1.5"),
        ("shuffle", {"seed": 1, "count": 1}, "count must be between 2 and 100, got count=1"),
        (
            "number",
            {"word": WORD, "path": "pos9.emb[0]"},
            "between 0 and 4 for this text, got path='pos9.emb",
        ),
        ("number", {"word": WORD, "path": "pos9.probs[2].exp"}, "path must have a position between 0 and 4"),
        ("number", {"word": WORD, "path": "pos3.embed[0]"}, "unknown tensor 'pos3.embed'"),
        ("number", {"word": WORD, "path": "wte"}, "path must name one number"),
        ("dot", {"word": WORD, "path": "wte"}, "path must name one number"),
        ("dot", {"word": WORD, "path": "loss", "depth": 0}, "depth must be between 1 and 12, got depth=0"),
        ("dot", {"word": WORD, "path": "loss", "depth": 13}, "depth must be between 1 and 12, got depth=13"),
        ("history", {"word": "emma", "path": "wte[4]"}, "path must name one weight"),
        ("history", {"word": "emma", "path": "wte[4][99]"}, "must be between 0 and 15"),
        ("change", {"path": "wte[0][0]", "value": "much"}, "value of change must be a number"),
        ("forward", {"word": "x" * 2000}, "at most 1,000 characters"),
        ("gate", {"word": WORD, "layer": 1}, "layer must be between 0 and 0, got layer=1"),
        ("softmax", {"logits": [], "scales": [1]}, "logits must contain at least one value"),
        ("softmax", {"logits": [1, "2"], "scales": [1]}, "logits[1] of softmax must be a number"),
        ("reset", {"config": {"n_embd": 10}}, "n_embd must be a multiple of n_head, got n_embd=10"),
        ("reset", {"config": {"colour": 1}}, "unknown setting 'colour'"),
        ("reset", {"config": {"num_steps": "many"}}, "num_steps must be a whole number, got num_steps='many'"),
        ("reset", {"config": {"n_embd": 4096}}, "choose a smaller n_embd, n_layer or block_size"),
        ("reset", {"val_fraction": 2}, "val_fraction must be at least 0 and less than 1"),
        ("reset", {"config": {"batch_size": 10_000_000}}, "batch_size must be at most 1024 in the lab"),
        ("choose", {"run": "mine"}, "unknown run 'mine'; choose from names, published"),
        ("scrub", {"step": 1001}, "train the run further"),
        ("generate", {"seed": 1, "index": 0, "temperature": 0}, "temperature must be above 0"),
        ("generate", {"seed": 1, "index": 0, "temperature": 1, "top_k": 28}, "top_k must be between 1 and"),
        (
            "generate",
            {"seed": 1, "index": 0, "temperature": 1, "prompt": "Ä"},
            "prompt must contain only characters that the model knows, got 'Ä'",
        ),
        ("generate", {"seed": 1, "index": 0, "temperature": 1, "prompt": "a" * 16}, "prompt must be shorter than"),
        ("samples", {"seed": 1, "count": 2000, "temperature": 1}, "count must be between 0 and 1000"),
        ("surface", {"word": WORD, "x": "wte[0][0]", "y": "wte[0][0]", "size": 5, "reach": 1, "steps": 1}, "twice"),
        ("open_run", {"name": "a", "checkpoint": "%", "metrics": ""}, "checkpoint must be base64"),
        ("open_run", {"name": "a", "checkpoint": "YWJj", "metrics": ""}, "'a' is not a microgpt checkpoint"),
        ("restore", {"state": "{}"}, "cannot read the saved state"),
        ("neighbourhood", {"word": WORD, "path": "loss", "up": 99}, "up must be between 0 and 12, got up=99"),
        (
            "neighbourhood",
            {"word": WORD, "path": "loss", "limit": 999},
            "limit must be between 1 and 300, got limit=999",
        ),
        ("find", {"word": WORD, "query": "q", "limit": 0}, "limit must be between 1 and 50, got limit=0"),
        ("nearest", {"symbol": "ab"}, "symbol must be one of 'a', 'b'"),
    ],
)
def test_an_invalid_request_is_refused_with_a_message(
    readonly: Lab, method: str, params: dict[str, Any], words: str
) -> None:
    assert words in readonly.refused(method, **params)


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["emma", "wte[0][0]", "loss", "published", "a*b"]),
    st.lists(st.floats(allow_nan=False, width=32), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip
METHODS = sorted(name for name, request in REQUESTS.items() if not request.streams)


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), values=st.lists(ANY, min_size=6, max_size=6))
def test_no_request_ends_the_session(shared: Lab, method: str, values: list[Any]) -> None:
    response = session_client.response(
        shared.session, method, **dict(zip(parameters(REQUESTS[method].function), values))
    )
    assert "this is a bug" not in response.get("error", "")


def test_a_bug_of_the_lab_is_answered_as_an_error(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.lab.runs.texts.encode", lambda *_: 1 / 0)
    response = lab.session.ask("tokens", {"text": "a"})
    assert response["error"] == "this is a bug in the lab; please report it: ZeroDivisionError: division by zero"
    assert lab.ask("model")["step"] == 1000
