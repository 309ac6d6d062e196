"""A damaged session file is refused with a message, and the session stays as it is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from microgpt.lab.session import Session

from lab.session_client import Lab, file

WRONG: list[Any] = [None, [], {}, True, -1, 1.5, "words", math.nan, math.inf, 10**30, [1]]

OTHERS = ("format", "config", "losses", "now", "text", "spec", "rng")  # refused in other words


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A session with a small run on its own text."""
    lab = Lab(Session())
    lab.ask("load_data", name="own.txt", base64=file("anna\nbob\n" * 10))
    lab.ask("reset", config={"n_embd": 4, "n_head": 2, "block_size": 4, "num_steps": 5})
    lab.train(3)
    lab.ask("change", path="wte[0][0]", value=0.5)
    return lab


@pytest.fixture(scope="module")
def saved(lab: Lab) -> str:
    return str(lab.ask("save")["state"])


def refusal(lab: Lab, content: Any) -> str:
    text = lab.refused("restore", state=content if isinstance(content, str) else json.dumps(content))
    assert text.startswith("cannot read the saved state: ")
    assert text.endswith("; start a new session")
    return text


def test_every_wrong_or_missing_field_is_named(lab: Lab, saved: str) -> None:
    good = json.loads(saved)
    may_be: dict[str, Callable[[Any], bool]] = {  # values that are allowed, or that only show another text
        "about": lambda value: isinstance(value, str),
        "missing": lambda value: isinstance(value, str),
        "name": lambda value: isinstance(value, str),
        "id": lambda value: isinstance(value, str),
        "frozen": lambda value: value is True,
        "again": lambda value: value is True,
        "branch": lambda value: value is None,
        "program": lambda value: value is None or isinstance(value, str),
        "base64": lambda value: value is None or isinstance(value, str),
        "changes": lambda value: value == [],
        "edits": lambda value: value == [],
        "validations": lambda value: value == [],
        "data": lambda value: value == {},
        "spec": lambda value: value == {},
        "texts": lambda value: value == [],
        "runs": lambda value: value == [],
    }
    for place, names in (((), good), (("texts", 0), good["texts"][0]), (("runs", -1), good["runs"][-1])):
        for name in names:
            for value in WRONG:
                if may_be.get(name, lambda _: False)(value):
                    continue
                content = json.loads(saved)
                part = content
                for key in place:
                    part = part[key]
                part[name] = value
                text = refusal(lab, content)
                assert "must" in text or name in ("format", "config", "losses", "now", "text", "spec", "rng"), (
                    name,
                    value,
                )


@pytest.mark.parametrize("name", ["format", "version", "begun", "active", "texts", "runs"])
def test_a_missing_field_is_named(lab: Lab, saved: str, name: str) -> None:
    content = json.loads(saved)
    del content[name]
    assert name in refusal(lab, content)


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", "[" * 100_000])
def test_what_is_no_session_is_refused(lab: Lab, text: str) -> None:
    refusal(lab, text)


def changed(**facts: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda run: run.update(facts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(losses="99999999999 zeros"), "a run can have at most 10,000,000 numbers, got 99999999999 zeros"),
        (changed(losses="-1 zeros"), "a run can have at most"),
        (changed(losses="0 zeros"), "frames must start at or before first=0 and step=3, and end at or before 0"),
        (changed(text=2), "text must be the index of one of 2 texts, got text=2"),
        (changed(symbols=["a", "b"]), "'symbols' must contain BOS"),
        (changed(frames=[]), "frames must start at or before"),
        (changed(first=7), "frames must start at or before"),
        (changed(edits=[[0, 10**6, 0.0, 1.0]]), "an edit must change one of"),
        (changed(edits=[[0, 1, 0.0]]), "must be a list of 4 values"),
        (lambda run: run["now"].update(m="3 zeros"), "m must have"),
        (lambda run: run["now"].update(step=10**9), "and end at or before 3"),
        (lambda run: run["config"].update(n_embd=2**20), "produces about"),
        (lambda run: run["config"].update(batch_size=10**20), "batch_size must be at most"),
        (lambda run: run["data"].update(documents="words"), ""),
    ],
)
def test_a_run_whose_parts_do_not_fit_is_refused(
    lab: Lab, saved: str, change: Callable[[dict[str, Any]], Any], words: str
) -> None:
    content = json.loads(saved)
    change(content["runs"][-1])
    if words:
        assert words in refusal(lab, content)
    else:  # an unknown fact about the data only prevents training
        other = Lab(Session())
        other.ask("restore", state=json.dumps(content))
        [event] = other.events(steps=1)
        assert "documents must be one of lines, stream, " in event["error"]


def test_infinity_as_a_number_of_runs_is_not_called_a_bug(lab: Lab, saved: str) -> None:
    [begun] = [part for part in saved.split(",") if '"begun"' in part]
    assert "begun must be a whole number, got begun=inf" in refusal(lab, saved.replace(begun, '"begun":1e999'))
