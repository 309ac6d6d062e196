"""The parser: where options may appear, and what their values may be."""

from __future__ import annotations

import importlib
import shlex
from pathlib import Path
from typing import Any

import pytest

from microgpt.cli.parser import Parser


def parsed(line: str) -> dict[str, Any]:
    """Return the values that a command's function would receive."""
    command, *args = shlex.split(line)
    return Parser(command, "", importlib.import_module(f"microgpt.cli.{command}").ARGUMENTS).parse(args)


@pytest.mark.parametrize(
    ("first", "others"),
    [
        (
            "sample run -n 3 --json",
            ["sample -n 3 --json run", "sample --json run -n3", "sample --num-samples=3 --json run"],
        ),
        ("sample run --json", ["sample --json -- run"]),
        ("evaluate run words.txt --limit 5", ["evaluate run --limit 5 words.txt", "evaluate --limit 5 run words.txt"]),
        ("plot a b -o x.svg", ["plot a -o x.svg b", "plot --output=x.svg a b"]),
        ("prepare a b -o data --verify", ["prepare a -o data b --verify", "prepare --verify --output data a b"]),
        ("lab a b --no-browser", ["lab a --no-browser b", "lab --browser a --no-browser b"]),
        ("train names --quiet --out x", ["train --quiet names --out x", "train --out=x --quiet names"]),
    ],
)
def test_an_option_may_stand_before_between_or_after_the_arguments(first: str, others: list[str]) -> None:
    for other in others:
        assert parsed(other) == parsed(first)


def test_an_option_without_a_default_is_none_and_a_setting_that_is_not_given_is_absent() -> None:
    values = parsed("train")
    assert (values["files"], values["preset"], values["engine"], values["quiet"]) == ([], None, "auto", False)
    assert "n_embd" not in values
    assert "zero_init" not in values


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("train --zero-init", True),
        ("train --no-zero-init", False),
        ("train --zero-init --no-zero-init", False),
        ("train --no-zero-init --zero-init", True),
    ],
)
def test_the_last_of_a_switch_and_its_opposite_counts(line: str, value: bool) -> None:
    assert parsed(line)["zero_init"] is value


@pytest.mark.parametrize("text", ["-1", "-0.5", "-.5", "-1e-3", "-1E5", "-inf"])
def test_a_negative_number_is_a_value(text: str) -> None:
    assert parsed(f"train --learning-rate {text} names")["learning_rate"] == float(text)
    assert parsed(f"train names --learning-rate={text}")["learning_rate"] == float(text)


def test_a_value_after_an_equals_sign_may_be_anything() -> None:
    for text in ("", "-x", "--json", "a=b", "- a"):
        assert parsed(f"sample run {shlex.quote(f'--prompt={text}')}")["prompt"] == text


def test_a_repeatable_option_collects_its_values() -> None:
    assert parsed("bench --n-embd 16 --n-embd=32 --work train")["sizes"] == [16, 32]
    assert parsed("bench")["sizes"] is None


def test_paths_are_paths() -> None:
    assert parsed("plot a b") == {"runs": [Path("a"), Path("b")], "output": Path("loss.svg"), "smoothing": 50}
