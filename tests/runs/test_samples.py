"""Samples that grow piece by piece, end at a text, or are drawn from a nucleus: the same with every engine."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import sampling
from microgpt.runs.run import Run
from microgpt.runs.samples import _until

from conftest import TINY
from runs.training import DOCUMENTS, needs

ENGINES = ("scalar", "native", "torch")
every_engine = pytest.mark.parametrize("engine", ENGINES)
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "seeded": {"seed": 3},
    "top_p": {"seed": 3, "top_p": 0.8, "top_k": 4},
    "a stop": {"seed": 3, "stop": ["ab", "d"]},
    "slide": {"seed": 3, "slide": True, "max_new_tokens": 20, "stop": ["bb"]},
    "a prompt": {"seed": 5, "prompt": "ba", "temperature": 2.0},
}


@cache
def begun(engine: str, tokenizer: str = "char") -> Run:
    """A model that is the same with every engine."""
    if engine != "scalar":
        needs(engine)
    config = TINY.replace(init_std=0.7, block_size=8)
    precision = {"torch": "float64"}.get(engine)
    documents = DOCUMENTS if tokenizer == "char" else ["ä日🙂" * 3, "bä🙂d", "🙂🙂ä"]
    return Run.begin(documents, config, engine=engine, tokenizer=tokenizer, precision=precision)


@every_engine
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_pieces_of_a_growing_sample_are_the_sample(engine: str, way: dict[str, Any]) -> None:
    run = begun(engine)
    first, state = 2 if "seed" in way else 0, run.rng.getstate()
    [text] = run.sample(1, first=first, **way)
    after = run.rng.getstate()
    run.rng.setstate(state)
    pieces = list(run.grow(first=first, **way))
    assert "".join(pieces) == text
    assert run.rng.getstate() == after
    assert len(pieces) >= min(2, len(text))


def test_float32_gives_the_same_text_in_a_terminal_and_in_a_file() -> None:
    needs("native")
    run = Run.begin(DOCUMENTS, TINY.replace(init_std=0.7, block_size=8), engine="native", precision="float32")
    texts = run.sample(40, seed=1, temperature=3.0)
    assert ["".join(run.grow(seed=1, first=i, temperature=3.0)) for i in range(40)] == texts


@every_engine
@pytest.mark.parametrize("way", [way for way in WAYS.values() if "seed" in way], ids=list(WAYS)[1:])
def test_every_engine_samples_the_same_texts(engine: str, way: dict[str, Any]) -> None:
    assert begun(engine).sample(12, **way) == begun("scalar").sample(12, **way)


@every_engine
def test_the_text_before_a_stop_is_that_of_the_sample_without_one(engine: str) -> None:
    run = begun(engine)
    whole = run.sample(60, seed=1, temperature=2.0)
    cut = run.sample(60, seed=1, temperature=2.0, stop=["a", "bd"])
    assert cut == [re.split("a|bd", text)[0] for text in whole]
    assert cut != whole


@every_engine
def test_a_stop_ends_the_draws_from_a_shared_stream(engine: str) -> None:
    found = []
    for run, stop in ((begun("scalar"), ["a"]), (begun(engine), ["a"]), (begun(engine), [])):
        run.rng.seed(8)
        found.append((run.sample(20, temperature=2.0, stop=stop), run.rng.getstate()))
    assert found[0] == found[1] != found[2]
    assert found[1][1] != found[2][1]


def test_top_p_of_1_gives_the_samples_without_it() -> None:
    run = begun("native")
    assert run.sample(20, seed=2, top_p=1.0) == run.sample(20, seed=2)
    assert run.sample(20, seed=2, top_p=0.5, temperature=2.0) != run.sample(20, seed=2, temperature=2.0)


@given(st.text("abc", max_size=12), st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3))
def test_a_text_ends_before_the_stop_that_is_complete_first(text: str, stop: list[str]) -> None:
    tokenizer = begun("scalar").tokenizer
    token_ids = iter([tokenizer.token_ids[char] for char in text.replace("c", "e")])
    expected = text
    for end in range(len(text) + 1):
        if found := [each for each in stop if text[:end].endswith(each)]:
            expected = text[: end - max(map(len, found))]
            break
    got = "".join(_until([each.replace("c", "e") for each in stop], tokenizer, token_ids))
    assert got == expected.replace("c", "e")
    assert len(list(token_ids)) == (0 if expected == text else len(text) - end)


def test_a_piece_never_ends_inside_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun("scalar", "byte")
    text = "a🙂ä日"
    ids = run.tokenizer.encode(text)[1:-1]
    monkeypatch.setattr(sampling, "generate", lambda *_, **__: iter(ids))
    assert list(run.grow(seed=1)) == ["", *text]
    assert list(run.grow(seed=1, stop=["日"])) == ["", *text[:-1]]
    assert list(run.grow(seed=1, stop=["🙂ä"])) == ["", "a"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "top_p": ({"top_p": 0.0}, "top_p must be greater than 0 and at most 1, got top_p=0.0"),
    "one text": ({"stop": "ab"}, "stop must be a list of texts, got stop='ab'"),
    "a number": ({"stop": [1]}, "stop must be a list of texts, got stop=[1]"),
    "empty": ({"stop": ["a", ""]}, "stop must contain at least one character, got stop='': omit it, or give a text"),
    "prompt": ({"prompt": "abbaabba"}, "prompt must be shorter than block_size=8 tokens, got 8: shorten the prompt or"
               " let the context slide (slide=True, --slide)"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_option_is_refused_before_anything_is_generated(options: dict[str, Any], message: str) -> None:
    for generate in (begun("scalar").sample, begun("scalar").grow):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            generate(seed=1, **options)
