"""A wrong checkpoint is refused with the reason."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from microgpt.config import AT_MOST
from microgpt.runs import checkpoint as checkpoints
from microgpt.system import safetensors as ours
from microgpt.system.safetensors import Tensor

from runs.checkpoints import example, refusal

Change = Callable[[dict[str, Tensor], dict[str, str]], Any]


def change(path: Path, change: Change) -> None:
    tensors, metadata = ours.read(path)
    change(tensors, metadata)
    ours.write(path, tensors, metadata)


def set_json(key: str, value: Any) -> Change:
    return lambda _, metadata: metadata.update({key: value if isinstance(value, str) else json.dumps(value)})


def set_config(**settings: Any) -> Change:
    return lambda _, metadata: metadata.update(config=json.dumps({**json.loads(metadata["config"]), **settings}))


def drop_setting(name: str) -> Change:
    def drop(_: object, metadata: dict[str, str]) -> None:
        settings = json.loads(metadata["config"])
        del settings[name]
        metadata["config"] = json.dumps(settings)

    return drop


def set_rng(i: int, value: Any) -> Change:
    """Change a part of the random state: 0 is its version, 1 its numbers, 2 the number that gauss has stored."""

    def change(_: object, metadata: dict[str, str]) -> None:
        state = json.loads(metadata["rng"])
        state[i] = value(state[i]) if callable(value) else value
        metadata["rng"] = json.dumps(state)

    return change


def set_tensor(name: str, **facts: Any) -> Change:
    return lambda tensors, _: tensors.update({name: replace(tensors[name], **facts)})


def as_float32(tensors: dict[str, Tensor], _: object) -> None:
    tensors["wte"] = Tensor("F32", (4, 2), np.zeros((4, 2), np.float32).tobytes())


WRONG: dict[str, tuple[Change, str]] = {
    "no format": (lambda _, metadata: metadata.pop("format"), "its format is None, expected 'microgpt/1'"),
    "another format": (set_json("format", "pt"), "its format is 'pt', expected 'microgpt/1'"),
    "a later format": (set_json("format", "microgpt/2"), "its format is 'microgpt/2', expected 'microgpt/1'"),
    **{
        f"no {key}": (lambda _, metadata, key=key: metadata.pop(key), f"the metadata has no {key!r}")  # type: ignore[misc]
        for key in ("config", "symbols", "step", "rng", "data")
    },
    **{
        f"{key} that is not JSON": (set_json(key, "{"), f"{key!r} in the metadata is not JSON: ")
        for key in ("config", "symbols", "step", "rng", "data")
    },
    **{
        f"{key} nested 100,000 deep": (set_json(key, "[" * 100_000), f"{key!r} in the metadata is not JSON: ")
        for key in ("config", "symbols", "step", "rng", "data")
    },
    **{
        f"{key} null": (set_json(key, "null"), f"{key!r} in the metadata must be of type {kind}, got NoneType")
        for key, kind in {"config": "dict", "symbols": "list", "step": "int", "rng": "list", "data": "dict"}.items()
    },
    "data in a list": (set_json("data", []), "'data' in the metadata must be of type dict, got list"),
    "a number as data": (set_json("data", 1), "'data' in the metadata must be of type dict, got int"),
    # config
    "a config in a list": (set_json("config", []), "'config' in the metadata must be of type dict, got list"),
    "an empty config": (set_json("config", "{}"), "the activation setting is missing"),
    "a missing setting": (drop_setting("n_embd"), "the n_embd setting is missing"),
    "an unknown setting": (set_config(dropout=0.1), "setting is unknown to this version of microgpt"),
    "an unknown setting of two lines": (set_config(**{"x\ny": 1}), "is unknown to this version of microgpt"),
    "a float as n_embd": (set_config(n_embd=2.0), "n_embd must be a whole number, got n_embd=2.0"),
    "true as n_layer": (set_config(n_layer=True), "n_layer must be a whole number, got n_layer=True"),
    "null as n_head": (set_config(n_head=None), "n_head must be a whole number, got n_head=None"),
    "a string as init_std": (set_config(init_std="0.1"), "init_std must be a number, got init_std='0.1'"),
    "1 as bos_first": (set_config(bos_first=1), "bos_first must be True or False, got bos_first=1"),
    "a list as activation": (set_config(activation=["relu"]), "activation must be a string, got activation=['relu']"),
    "an unknown activation": (set_config(activation="gelu"), "activation must be one of relu, relu2, got"),
    "zero n_embd": (set_config(n_embd=0), "n_embd must be at least 1, got n_embd=0"),
    "negative n_embd": (set_config(n_embd=-2), "n_embd must be at least 1, got n_embd=-2"),
    "n_head that does not divide": (
        set_config(n_head=3),
        "n_embd must be a multiple of n_head, got n_embd=2, n_head=3",
    ),
    "NaN as learning_rate": (
        set_config(learning_rate=math.nan),
        "learning_rate must be finite and at least 0",
    ),
    "infinity as init_std": (set_config(init_std=math.inf), "init_std must be finite and at least 0"),
    "an integer over the largest float": (set_config(init_std=10**400), "init_std must be"),
    "an integer of 5,000 digits": (
        lambda _, metadata: metadata.update(config=metadata["config"].replace("0.08", "9" * 5000)),
        "'config' in the metadata is not JSON: ",
    ),
    "n_layer beyond the file": (
        set_config(n_layer=10**6),
        f"n_layer={10**6} is too large for a file with 45 tensors",
    ),
    "n_layer above the file's": (set_config(n_layer=3), "tensor "),
    "n_layer below the file's": (set_config(n_layer=1), "tensor "),
    "n_embd that is not the file's": (set_config(n_embd=4), "must have shape "),
    "n_embd of 2**26": (set_config(n_embd=2**26), "must have shape "),
    "n_embd of 4,000 digits": (
        set_config(n_embd=10**4000),
        "n_embd must be at most 268,435,456, got n_embd=a number of 13288 bits",
    ),
    **{
        f"{name} of 10**20": (set_config(**{name: 10**20}), f"{name} must be at most {most:,}, got {name}={10**20}")
        for name, most in AT_MOST.items()
    },
    "block_size that is not the file's": (set_config(block_size=4), "tensor 'wpe' must have shape (4, 2), got (3, 2)"),
    # symbols
    "symbols in a string": (set_json("symbols", '"ab"'), "'symbols' in the metadata must be of type list, got str"),
    "no symbols": (set_json("symbols", []), "'symbols' must contain BOS, the empty string"),
    "symbols without BOS": (set_json("symbols", ["a", "b", "c", "ñ"]), "'symbols' must contain BOS, the empty string"),
    "a symbol twice": (set_json("symbols", ["a", "b", "b", ""]), "'symbols' must be distinct single characters"),
    "BOS twice": (set_json("symbols", ["a", "b", "", ""]), "'symbols' must be distinct single characters"),
    "a symbol of two characters": (
        set_json("symbols", ["a", "b", "ñn", ""]),
        "'symbols' must be distinct single characters",
    ),
    "a number among the symbols": (
        set_json("symbols", ["a", "b", 1, ""]),
        "'symbols' must be distinct single characters",
    ),
    "a list among the symbols": (
        set_json("symbols", ["a", "b", [], ""]),
        "'symbols' must be distinct single characters",
    ),
    "null among the symbols": (
        set_json("symbols", ["a", "b", None, ""]),
        "'symbols' must be distinct single characters",
    ),
    "one symbol too few": (set_json("symbols", ["a", "b", ""]), "tensor 'wte' must have shape (3, 2), got (4, 2)"),
    "one symbol too many": (set_json("symbols", ["a", "b", "c", "ñ", ""]), "must have shape (5, 2), got (4, 2)"),
    # step
    "a negative step": (set_json("step", "-1"), "step must be at least 0 and less than 2**62, got -1"),
    "a float as step": (set_json("step", "7.0"), "'step' in the metadata must be of type int, got float"),
    "true as step": (set_json("step", "true"), "'step' in the metadata must be of type int, got bool"),
    "NaN as step": (set_json("step", "NaN"), "'step' in the metadata must be of type int, got float"),
    "a string as step": (set_json("step", '"7"'), "'step' in the metadata must be of type int, got str"),
    "no text as step": (set_json("step", ""), "'step' in the metadata is not JSON: "),
    "5,000 digits as step": (set_json("step", "9" * 5000), "'step' in the metadata is not JSON: "),
    # rng
    "an empty random state": (set_json("rng", []), "'rng' in the metadata is not a random.Random state: "),
    "a random state of four": (
        set_json("rng", [3, [], None, 1]),
        "'rng' in the metadata is not a random.Random state: ",
    ),
    **{
        f"a random state with {what}": (set_rng(i, value), "'rng' in the metadata is not a random.Random state: ")
        for what, i, value in [
            ("an unknown version", 0, 4),
            ("no version", 0, None),
            ("null as its numbers", 1, None),
            ("a number as its numbers", 1, 1),
            ("no numbers", 1, []),
            ("one number too few", 1, lambda numbers: numbers[1:]),
            ("one number too many", 1, lambda numbers: [*numbers, 0]),
            ("a negative number", 1, lambda numbers: [-1, *numbers[1:]]),
            ("a number over 64 bits", 1, lambda numbers: [2**64, *numbers[1:]]),
            ("a float among its numbers", 1, lambda numbers: [0.5, *numbers[1:]]),
            ("a string among its numbers", 1, lambda numbers: ["0", *numbers[1:]]),
            ("an index beyond its numbers", 1, lambda numbers: [*numbers[:-1], 625]),
            ("a negative index", 1, lambda numbers: [*numbers[:-1], -1]),
            ("a string as the number of gauss", 2, "0.5"),
            ("a list as the number of gauss", 2, [0.5]),
            ("an object as the number of gauss", 2, {}),
        ]
    },
    # tensors
    "a missing parameter": (lambda tensors, _: tensors.pop("wte"), "tensor 'wte' is missing"),
    "a missing moment": (lambda tensors, _: tensors.pop("adam_v.lm_head"), "tensor 'adam_v.lm_head' is missing"),
    "one tensor too many": (
        lambda tensors, _: tensors.update(lm_head_bias=tensors["wte"]),
        "tensor 'lm_head_bias' is unknown",
    ),
    "a tensor with a name of two lines": (
        lambda tensors, _: tensors.update({"x\ny": tensors["wte"]}),
        r"tensor 'x\ny'",
    ),
    "a transposed tensor": (set_tensor("wte", shape=(2, 4)), "tensor 'wte' must have shape (4, 2), got (2, 4)"),
    "a flat tensor": (set_tensor("wpe", shape=(6,)), "tensor 'wpe' must have shape (3, 2), got (6,)"),
    "a moment of another shape": (
        set_tensor("adam_m.wte", shape=(8, 1)),
        "tensor 'adam_m.wte' must have shape (4, 2), got (8, 1)",
    ),
    "float32 next to float64": (as_float32, "tensor 'wpe' must be F32 like 'wte', got F64"),
    "whole numbers": (
        set_tensor("adam_v.wpe", dtype="I64"),
        "dtype of tensor 'adam_v.wpe' must be F64 or F32, got 'I64'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_checkpoint_is_refused_with_the_reason(path: Path, name: str) -> None:
    how, words = WRONG[name]
    change(path, how)
    text = refusal(path)
    assert words in text
    assert name.startswith("an unknown setting") or len(text) < 10_000


def test_the_refused_random_state_would_make_a_run_fail(path: Path) -> None:
    """Random accepts anything as the stored number of gauss, but fails when it is used."""
    version, numbers, _ = example().rng_state
    rng = random.Random()
    rng.setstate((version, numbers, "0.5"))
    with pytest.raises(TypeError):
        rng.gauss(0, 1)


@pytest.mark.parametrize("symbols", [["b", "a", "ñ", ""], ["a", "", "b", "ñ"], ["", "a", "b", "ñ"]])
def test_symbols_in_the_wrong_order_are_refused(path: Path, symbols: list[str]) -> None:
    """Symbols are sorted, with BOS first or last; otherwise a run would generate wrong letters."""
    change(path, set_json("symbols", symbols))
    assert "symbols" in refusal(path)


def test_facts_about_the_data_from_another_version_are_kept(path: Path) -> None:
    facts = {"source": None, "num_docs": 3, "later": [1, None]}
    change(path, set_json("data", facts))
    state = checkpoints.load(path)
    assert (state.provenance.num_docs, state.provenance.sha256) == (3, None)
    checkpoints.save(path, state)
    assert json.loads(ours.read(path)[1]["data"]) == facts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a file must be at least 8 bytes long, got 0"),
        (b"emma\nolivia\nava\nisabella\n", "the header claims "),
        (b"PK\x03\x04" + bytes(100), "the header "),
        (bytes(100), "the header must begin with '{'"),
        ((2).to_bytes(8, "little") + b"{}", "its format is None, expected 'microgpt/1'"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    assert words in refusal(path)


def test_a_model_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gpt2.safetensors"
    safetensors.numpy.save_file({"wte": np.zeros((4, 2))}, path, {"format": "pt"})
    assert refusal(path) == "its format is 'pt', expected 'microgpt/1'"


def test_a_file_that_cannot_be_read_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoints.load(tmp_path / "missing")
    with pytest.raises(OSError, match=r"directory|Permission"):
        checkpoints.load(tmp_path)
