"""Suggestions for a name that somebody meant."""

from __future__ import annotations

import pytest

from microgpt.cli.main import COMMANDS
from microgpt.config import Config
from microgpt.system.suggestions import NOTHING, WORDS, suggestion

FIELDS = [*Config().to_dict()]
OPTIONS = ["--" + name.replace("_", "-") for name in (*FIELDS, "documents", "out", "help", "val_fraction")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("--lr", "--learning-rate"),
        ("--epochs", "--num-steps"),
        ("--d-model", "--n-embd"),
        ("--seq-len", "--block-size"),
        ("--val", "--val-fraction"),
        ("--learning_rate", "--learning-rate"),
        ("--lerning-rate", "--learning-rate"),
        ("--num-step", "--num-steps"),
        ("--dropout", None),
        ("--optimizer", None),
        ("--xyz", None),
    ],
)
def test_an_option_is_suggested_by_its_meaning_or_not_at_all(name: str, expected: str | None) -> None:
    assert suggestion(name, OPTIONS) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("generate", "sample"), ("complete", "sample"), ("eval", "evaluate"), ("trian", "train"), ("serve", "lab")],
)
def test_a_command_is_suggested_by_its_meaning(name: str, expected: str) -> None:
    assert suggestion(name, [*COMMANDS]) == expected


def test_no_word_stands_for_two_options_or_for_two_commands() -> None:
    for known in (FIELDS, [*COMMANDS]):
        words = [word for ours, line in WORDS.items() if ours in known for word in line.split()]
        assert sorted(words) == sorted(set(words))
        assert not {*words} & {*known, *NOTHING.split()}
