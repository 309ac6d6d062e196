"""Section 11 of the lab: the ladder of engines, the costs of other sizes, and a word as characters and as bytes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from microgpt.config import Config
from microgpt.lab.session import Session
from microgpt.runs.run import Run

from lab.session_client import events as stream
from lab.session_client import response

GPT2 = {"n_embd": 768, "n_layer": 12, "block_size": 1024, "vocab_size": 50_257}


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def ask(session: Session, method: str, **params: Any) -> Any:
    found = response(session, method, **params)
    return found.get("result", found.get("error"))


def climb(session: Session, steps: int) -> list[dict[str, Any]]:
    return list(stream(session, "ladder", steps=steps))


@pytest.fixture(scope="module")
def events(session: Session) -> list[dict[str, Any]]:
    return climb(session, 12)


def test_every_rung_runs_the_steps_of_a_training_run(events: list[dict[str, Any]]) -> None:
    """Its losses are those of a training run from the first step."""
    run = Run.begin("names", Config())
    losses = [step.loss for step in run.steps(until=12)]
    for rung in events[-1]["engines"]:
        if rung["why"]:
            pytest.skip(rung["why"])
        tolerance = 1e-5 if rung["precision"] == "float32" else 1e-12
        assert rung["losses"] == pytest.approx(losses, rel=0, abs=tolerance), rung["engine"]


def test_the_ladder_shows_the_speedup_and_the_difference(events: list[dict[str, Any]]) -> None:
    reference, *others = events[-1]["engines"]
    assert (reference["ratio"], reference["difference"]) == (None, None)
    assert reference["seconds"] > 0
    for rung in others:
        if rung["why"]:
            pytest.skip(rung["why"])
        assert rung["difference"] == max(abs(a - b) for a, b in zip(rung["losses"], reference["losses"]))
        assert rung["ratio"] == pytest.approx(reference["seconds"] / rung["seconds"])
        assert rung["ratio"] > 10  # a compiled kernel, on any machine


def test_the_ladder_reports_its_progress(events: list[dict[str, Any]]) -> None:
    assert [event["done"] for event in events] == [False] * (len(events) - 1) + [True]
    steps = [event["engines"][0]["step"] for event in events]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1] == 12


def test_the_ladder_does_not_change_the_model(session: Session) -> None:
    before = ask(session, "model")
    climb(session, 2)
    assert ask(session, "model") == before


@pytest.mark.parametrize("steps", [0, 1001])
def test_the_ladder_names_its_limits(session: Session, steps: int) -> None:
    [response] = climb(session, steps)
    assert response["error"] == f"steps must be between 1 and 1,000, got steps={steps}"


def test_the_flops_are_those_of_the_program(session: Session) -> None:
    """The multiplications in matrices and attention are counted while the reference runs with a full context."""
    from microgpt import reference

    class Counted(float):
        """A number that counts multiplications."""

        made = 0

        def __mul__(self, other: object) -> Counted:
            Counted.made += 1
            return Counted(0.5)

        __rmul__ = __mul__

        def __add__(self, other: object) -> Counted:
            return Counted(0.5)

        __radd__ = __add__

    sizes = {"n_embd": 6, "n_layer": 2, "block_size": 5, "vocab_size": 7}
    found = ask(session, "budget", **sizes)
    made = 0
    for name, (rows, columns) in reference.shapes(7, 6, 2, 5).items():
        if name not in ("wte", "wpe"):
            Counted.made = 0
            reference.linear([Counted(1)] * columns, [[Counted(1)] * columns] * rows)
            made += Counted.made
    products = 0
    for _head in range(3):
        Counted.made = 0
        q, past = [Counted(1)] * 2, [[Counted(1)] * 2] * 5
        scores = [sum(a * b for a, b in zip(q, k)) for k in past]
        [sum(score * v[j] for score, v in zip(scores, past)) for j in range(2)]
        products += Counted.made
    assert found["attention"] == 2 * 2 * products
    assert found["flops_token"] == 2 * (made + 2 * products)
    assert found["flops_trained"] == 3 * found["flops_token"]


def test_the_memory_and_flops_of_a_model(session: Session) -> None:
    found = ask(session, "budget", **GPT2)
    assert found["num_params"] == ask(session, "sizes", **GPT2)["num_params"]
    assert found["bytes_kept"] == 2 * found["num_params"]
    assert found["bytes_trained"] == 16 * found["num_params"]
    assert found["bytes_cache"] == 2 * 2 * 12 * 768 * 1024
    # the usual estimate of the FLOPs of a token: twice the parameters of the matrices, plus attention
    assert math.isclose(found["flops_token"] - found["attention"], 2 * (12 * 12 * 768**2 + 50_257 * 768))
    assert "n_embd must be between 1 and" in ask(session, "budget", **{**GPT2, "n_embd": 0})


def test_a_word_as_characters_and_as_bytes(session: Session) -> None:
    found = ask(session, "spelled", text="zoë 🙂")
    assert "".join(one["char"] for one in found["characters"]) == "zoë 🙂"
    assert bytes(byte for one in found["characters"] for byte in one["bytes"]) == "zoë 🙂".encode()
    assert found["num_bytes"] == len("zoë 🙂".encode())
    assert [one["id"] for one in found["characters"]] == [25, 14, None, None, None]
    assert found["unknown"] == 3
    assert found["vocab_size"] == {"characters": 27, "bytes": 257}
    assert found["rows"] == {"characters": 2 * 27 * 16, "bytes": 2 * 257 * 16}
    assert "at most 1,000 characters" in ask(session, "spelled", text="a" * 1001)
