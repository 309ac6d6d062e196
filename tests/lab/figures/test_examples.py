"""The examples that the engine finds are what their names say, of the model that trained on the names."""

from __future__ import annotations

import math
from typing import Any

import pytest

from microgpt.engines.scalar import ScalarEngine

from lab.published import names_model
from lab.session_client import Lab, file

WORDS = ("familiar", "held_out", "invented", "worse")


@pytest.fixture(scope="module")
def found() -> Any:
    return Lab().ask("examples")


def loss(word: str) -> float:
    """Return the program's loss for a word."""
    state = names_model()
    tokens = [26, *(ord(letter) - ord("a") for letter in word), 26]
    return ScalarEngine(state.params, state.config, 27).backward([tokens])


def test_the_losses_are_the_programs(found: Any) -> None:
    for example in [found[name][0] for name in WORDS]:
        assert example["loss"] == pytest.approx(loss(example["word"]), abs=1e-12)
    first = found["backwards"][0]
    assert first["backwards_loss"] == pytest.approx(loss(first["word"][::-1]), abs=1e-12)


def test_the_parts_are_those_of_the_split(found: Any, readonly: Lab) -> None:
    run = readonly.session.active.run
    training, held_out = ({run.data.text(i) for i in part} for part in (run.order, run.held_out))
    assert {example["word"] for example in found["familiar"]} <= training
    assert {example["word"] for example in found["held_out"]} <= held_out
    assert not {example["word"] for example in found["invented"]} & (training | held_out)
    for example in found["worse"]:
        assert example["word"] in (training if example["part"] == "training" else held_out)


def test_each_example_is_what_its_name_says(found: Any) -> None:
    assert all(found[name] for name in (*WORDS, "backwards", "suggested"))
    assert all(example["loss"] < 2.5 < math.log(27) for example in found["familiar"] + found["held_out"])
    for pair in found["backwards"]:
        assert pair["backwards"] == pair["word"][::-1]
        assert pair["backwards_loss"] > pair["loss"]
    differences = [pair["backwards_loss"] - pair["loss"] for pair in found["backwards"]]
    assert differences == sorted(differences, reverse=True)
    assert all(example["loss"] > math.log(27) for example in found["worse"])
    assert found["num_worse"] >= len(found["worse"])
    assert len(found["suggested"]) == len(set(found["suggested"])) == 24


def test_a_model_that_knows_nothing_has_examples_too(lab: Lab) -> None:
    lab.ask("reset", val_fraction=0)
    found = lab.ask("examples")
    assert found["held_out"] == []
    assert found["familiar"]


def test_examples_are_found_in_the_readers_own_text(lab: Lab) -> None:
    lab.ask("load_data", name="mine.txt", base64=file("rosa\nrose\nrosi\nröschen\n"))
    found = lab.ask("examples")
    assert {example["word"] for example in found["familiar"]} == {"rosa", "rose", "rosi", "röschen"}
    assert found["held_out"] == []
    lab.ask("load_data", name="long.txt", base64=file("a long text without any line " * 20))
    assert lab.ask("examples")["searched"]
