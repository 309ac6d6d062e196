"""A checkpoint comes back bit for bit, or is refused with a CheckpointError that says what is wrong."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import re
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.config import Config, num_params, offsets, shapes
from microgpt.errors import CheckpointError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance
from microgpt.system import safetensors as ours
from microgpt.system.safetensors import Tensor

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=150)

SMALL = Config(n_embd=2, n_head=1, n_layer=2, block_size=3)
# numbers that a text or a rounding would lose
SPECIAL = [0.1, -0.0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, 1 / 3, -1e-17]


def example(config: Config = SMALL, symbols: list[str] | None = None) -> Checkpoint:
    symbols = ["a", "b", "ñ", ""] if symbols is None else symbols
    rng = random.Random(1)
    count = num_params(config, len(symbols))
    buffers = [array("d", (*SPECIAL, *(rng.gauss(0, 1) for _ in range(count)))[:count]) for _ in range(3)]
    for buffer in buffers:
        rng.shuffle(buffer)
    while rng.getstate()[2] is None:  # gauss makes pairs, and keeps the second number in store
        rng.gauss(0, 1)
    data = {"source": '/tmp/é\u2028"\\.txt', "sha256": "0" * 64, "documents": "lines", "val_fraction": 0.1}
    return Checkpoint(
        config, symbols, *buffers, step=7, rng_state=rng.getstate(), provenance=Provenance.from_dict(data)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint that is as it should be."""
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, example())
    return path


def assert_same(got: Checkpoint, expected: Checkpoint) -> None:
    """Equal to the bit: == alone would take -0.0 for 0.0."""
    for name in ("params", "m", "v"):
        a, b = getattr(got, name), getattr(expected, name)
        differ = [(i, x, y) for i, (x, y) in enumerate(zip(a, b)) if x.hex() != y.hex()]
        assert len(a) == len(b), name
        assert not differ, f"{name} differs at {len(differ)} places, the first: {differ[:5]}"
        assert a.tobytes() == b.tobytes(), name
    assert got.config.to_dict() == expected.config.to_dict()
    assert repr(got.config) == repr(expected.config)
    for name in ("symbols", "step", "rng_state", "provenance", "dtype"):
        assert getattr(got, name) == getattr(expected, name), name


# --- There and back


def test_a_checkpoint_comes_back_bit_for_bit(path: Path) -> None:
    assert_same(checkpoints.load(path), example())
    assert_same(checkpoints.load(str(path)), example())


def test_numbers_that_are_float32_take_half_the_room_and_come_back_bit_for_bit(path: Path) -> None:
    expected = example()
    for name in ("params", "m", "v"):
        setattr(expected, name, array("d", array("f", getattr(expected, name))))
    expected.dtype = "F32"
    checkpoints.save(path, expected)
    assert_same(checkpoints.load(path), expected)
    tensors = ours.read(path)[0].values()
    assert {t.dtype for t in tensors} == {"F32"}
    assert sum(len(t.data) for t in tensors) == 3 * 4 * len(expected.params)


def test_its_random_stream_goes_on_where_it_stopped(path: Path) -> None:
    expected, got = random.Random(), random.Random()
    expected.setstate(example().rng_state)
    got.setstate(checkpoints.load(path).rng_state)
    for draw in (lambda rng: rng.gauss(0, 1), random.Random.random, lambda rng: rng.choices("abc", k=3)):
        assert [draw(got) for _ in range(700)] == [draw(expected) for _ in range(700)]


@pytest.mark.parametrize(
    "symbols",
    [
        [""],
        ["", "a"],
        ["\t", " ", '"', "'", "\\", "é", "\u0301", "\u2028", "あ", "\ufeff", "😀", "\U0010ffff", ""],
        ["\ud800", "\udfff", ""],  # from documents in memory
        [*map(chr, range(1, 400)), ""],
    ],
)
def test_any_characters_can_be_its_symbols(tmp_path: Path, symbols: list[str]) -> None:
    expected = example(SMALL.replace(bos_first=symbols[0] == ""), symbols)
    checkpoints.save(tmp_path / "x", expected)
    assert_same(checkpoints.load(tmp_path / "x"), expected)


@thoroughly
@given(
    number=st.floats(min_value=0, max_value=0.999),
    large=st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False),
    step=st.integers(0, 10**12),
    seed=st.integers(),
    gauss=st.booleans(),
    numbers=st.lists(st.floats(allow_nan=False), min_size=20, max_size=20),
)
def test_whatever_its_numbers_are_they_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    number: float,
    large: float,
    step: int,
    seed: int,
    gauss: bool,
    numbers: list[float],
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-checkpoint.safetensors"
    config = Config(
        n_embd=1,
        n_head=1,
        block_size=1,
        init_std=large,
        learning_rate=large,
        beta1=number,
        beta2=number,
        eps_adam=large,
    )
    rng = random.Random(seed)
    if gauss:
        rng.gauss(0, 1)
    expected = example(config, ["a", ""])
    for buffer in (expected.params, expected.m, expected.v):
        buffer[:] = array("d", numbers[: len(buffer)])
    expected = replace(expected, step=step, rng_state=rng.getstate(), config=config.replace(seed=seed))
    checkpoints.save(path, expected)
    assert_same(checkpoints.load(path), expected)


def expected_tensors(state: Checkpoint) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors that other tools should see: each parameter by its name, in its shape, and its two moments."""
    table = shapes(state.config, len(state.symbols))
    where = offsets(table)
    return {
        prefix + name: np.array(numbers[where[name]]).reshape(table[name])
        for prefix, numbers in (("", state.params), ("adam_m.", state.m), ("adam_v.", state.v))
        for name in table
    }


def test_numpy_opens_it_through_the_safetensors_package(path: Path) -> None:
    expected = expected_tensors(example())
    got = safetensors.numpy.load_file(path)
    assert got.keys() == expected.keys()
    for name, numbers in expected.items():
        assert got[name].dtype == np.float64, name
        assert got[name].shape == numbers.shape, name
        assert got[name].tobytes() == numbers.tobytes(), name
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    assert metadata["format"] == "microgpt/1"
    assert json.loads(metadata["config"]) == SMALL.to_dict()
    assert json.loads(metadata["symbols"]) == ["a", "b", "ñ", ""]
    assert json.loads(metadata["step"]) == 7


def test_torch_opens_it_through_the_safetensors_package(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    from safetensors.torch import load_file

    expected, got = expected_tensors(example()), load_file(path)
    assert got.keys() == expected.keys()
    for name, numbers in expected.items():
        assert got[name].dtype == torch.float64, name
        assert got[name].numpy().tobytes() == numbers.tobytes(), name
        assert got[name].shape == numbers.shape, name


def test_a_file_that_the_package_wrote_again_is_a_checkpoint_still(path: Path) -> None:
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata)
    assert_same(checkpoints.load(path), example())


def test_a_checkpoint_from_before_a_setting_has_its_default(path: Path) -> None:
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    for name in ("warmup_steps", "decay", "clip"):
        del config[name]
    metadata["config"] = json.dumps(config)
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata)
    assert_same(checkpoints.load(path), example())


# --- What is refused

Change = Callable[[dict[str, Tensor], dict[str, str]], Any]


def refusal(path: Path) -> str:
    """The text of the CheckpointError: one line, with the file's name and what to do. Nothing else may be raised."""
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(path)
    text = str(error.value)
    assert len(text.splitlines()) == 1, text
    start, end = f"{str(path)!r} is not a microgpt checkpoint, or is damaged: ", "; give another one, or train again"
    assert text.startswith(start)
    assert text.endswith(end)
    return text[len(start) : -len(end)]


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
    """Change a part of the random state: 0 its version, 1 its numbers, 2 the number that gauss has in store."""

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
    "a number for data": (set_json("data", 1), "'data' in the metadata must be of type dict, got int"),
    # config
    "a config in a list": (set_json("config", []), "'config' in the metadata must be of type dict, got list"),
    "an empty config": (set_json("config", "{}"), "the setting activation is missing"),
    "a missing setting": (drop_setting("n_embd"), "the setting n_embd is missing"),
    "an unknown setting": (set_config(dropout=0.1), "is unknown to this version of microgpt"),
    "an unknown setting of two lines": (set_config(**{"x\ny": 1}), "is unknown to this version of microgpt"),
    "a float for n_embd": (set_config(n_embd=2.0), "n_embd must be a whole number, got n_embd=2.0"),
    "true for n_layer": (set_config(n_layer=True), "n_layer must be a whole number, got n_layer=True"),
    "null for n_head": (set_config(n_head=None), "n_head must be a whole number, got n_head=None"),
    "a string for init_std": (set_config(init_std="0.1"), "init_std must be a number, got init_std='0.1'"),
    "1 for bos_first": (set_config(bos_first=1), "bos_first must be True or False, got bos_first=1"),
    "a list for activation": (set_config(activation=["relu"]), "activation must be a string, got activation=['relu']"),
    "an unknown activation": (set_config(activation="gelu"), "activation must be one of relu, relu2, got"),
    "zero n_embd": (set_config(n_embd=0), "n_embd must be at least 1, got n_embd=0"),
    "negative n_embd": (set_config(n_embd=-2), "n_embd must be at least 1, got n_embd=-2"),
    "n_head that does not divide": (
        set_config(n_head=3),
        "n_embd must be a multiple of n_head, got n_embd=2, n_head=3",
    ),
    "NaN for learning_rate": (
        set_config(learning_rate=math.nan),
        "learning_rate must be a finite number of at least 0",
    ),
    "infinity for init_std": (set_config(init_std=math.inf), "init_std must be a finite number of at least 0"),
    "an integer over the largest float": (set_config(init_std=10**400), "init_std must be"),
    "an integer of 5,000 digits": (
        lambda _, metadata: metadata.update(config=metadata["config"].replace("0.08", "9" * 5000)),
        "'config' in the metadata is not JSON: ",
    ),
    "n_layer beyond the file": (set_config(n_layer=10**15), f"n_layer={10**15} does not fit a file of 45 tensors"),
    "n_layer beyond what is there": (set_config(n_layer=3), "tensor "),
    "n_layer short of what is there": (set_config(n_layer=1), "tensor "),
    "n_embd that is not the file's": (set_config(n_embd=4), "must have shape "),
    "n_embd of 2**62": (set_config(n_embd=2**62), "must have shape "),
    "n_embd of 4,000 digits": (set_config(n_embd=10**4000), "must have shape "),
    "block_size that is not the file's": (set_config(block_size=4), "tensor 'wpe' must have shape (4, 2), got (3, 2)"),
    # symbols
    "symbols in a string": (set_json("symbols", '"ab"'), "'symbols' in the metadata must be of type list, got str"),
    "no symbols": (set_json("symbols", []), "'symbols' lacks BOS, the empty string"),
    "symbols without BOS": (set_json("symbols", ["a", "b", "c", "ñ"]), "'symbols' lacks BOS, the empty string"),
    "a symbol twice": (set_json("symbols", ["a", "b", "b", ""]), "'symbols' must be single characters, each once"),
    "BOS twice": (set_json("symbols", ["a", "b", "", ""]), "'symbols' must be single characters, each once"),
    "a symbol of two characters": (set_json("symbols", ["a", "b", "ñn", ""]), "'symbols' must be single characters"),
    "a number among the symbols": (set_json("symbols", ["a", "b", 1, ""]), "'symbols' must be single characters"),
    "a list among the symbols": (set_json("symbols", ["a", "b", [], ""]), "'symbols' must be single characters"),
    "null among the symbols": (set_json("symbols", ["a", "b", None, ""]), "'symbols' must be single characters"),
    "a symbol too few": (set_json("symbols", ["a", "b", ""]), "tensor 'wte' must have shape (3, 2), got (4, 2)"),
    "a symbol too many": (set_json("symbols", ["a", "b", "c", "ñ", ""]), "must have shape (5, 2), got (4, 2)"),
    # step
    "a negative step": (set_json("step", "-1"), "step must be at least 0, got -1"),
    "a float for step": (set_json("step", "7.0"), "'step' in the metadata must be of type int, got float"),
    "true for step": (set_json("step", "true"), "'step' in the metadata must be of type int, got bool"),
    "NaN for step": (set_json("step", "NaN"), "'step' in the metadata must be of type int, got float"),
    "a string for step": (set_json("step", '"7"'), "'step' in the metadata must be of type int, got str"),
    "no text for step": (set_json("step", ""), "'step' in the metadata is not JSON: "),
    "5,000 digits for step": (set_json("step", "9" * 5000), "'step' in the metadata is not JSON: "),
    # rng
    "an empty random state": (set_json("rng", []), "'rng' in the metadata is no state of random.Random: "),
    "a random state of four": (
        set_json("rng", [3, [], None, 1]),
        "'rng' in the metadata is no state of random.Random: ",
    ),
    **{
        f"a random state with {what}": (set_rng(i, value), "'rng' in the metadata is no state of random.Random: ")
        for what, i, value in [
            ("an unknown version", 0, 4),
            ("no version", 0, None),
            ("null for its numbers", 1, None),
            ("a number for its numbers", 1, 1),
            ("no numbers", 1, []),
            ("a number too few", 1, lambda numbers: numbers[1:]),
            ("a number too many", 1, lambda numbers: [*numbers, 0]),
            ("a negative number", 1, lambda numbers: [-1, *numbers[1:]]),
            ("a number over 64 bits", 1, lambda numbers: [2**64, *numbers[1:]]),
            ("a float among its numbers", 1, lambda numbers: [0.5, *numbers[1:]]),
            ("a string among its numbers", 1, lambda numbers: ["0", *numbers[1:]]),
            ("an index beyond its numbers", 1, lambda numbers: [*numbers[:-1], 625]),
            ("a negative index", 1, lambda numbers: [*numbers[:-1], -1]),
            ("a string for gauss", 2, "0.5"),
            ("a list for gauss", 2, [0.5]),
            ("an object for gauss", 2, {}),
        ]
    },
    # tensors
    "a missing parameter": (lambda tensors, _: tensors.pop("wte"), "tensor 'wte' is missing"),
    "a missing moment": (lambda tensors, _: tensors.pop("adam_v.lm_head"), "tensor 'adam_v.lm_head' is missing"),
    "a tensor too many": (
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
    "float32 beside float64": (as_float32, "tensor 'wpe' must be F32 as 'wte', got F64"),
    "whole numbers": (
        set_tensor("adam_v.wpe", dtype="I64"),
        "dtype of tensor 'adam_v.wpe' must be F64 or F32, got 'I64'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_checkpoint_that_is_wrong_is_refused_with_the_reason(path: Path, name: str) -> None:
    how, words = WRONG[name]
    change(path, how)
    text = refusal(path)
    assert words in text
    assert name.startswith("an unknown setting") or len(text) < 10_000


def test_the_random_state_that_is_refused_would_have_stopped_a_run(path: Path) -> None:
    """Why the number in store matters: Random itself takes anything for it, and fails when it is drawn."""
    version, numbers, _ = example().rng_state
    rng = random.Random()
    rng.setstate((version, numbers, "0.5"))
    with pytest.raises(TypeError):
        rng.gauss(0, 1)


@pytest.mark.parametrize("symbols", [["b", "a", "ñ", ""], ["a", "", "b", "ñ"], ["", "a", "b", "ñ"]])
def test_symbols_in_an_order_that_no_tokenizer_has_are_refused(path: Path, symbols: list[str]) -> None:
    """They are sorted, with BOS where bos_first says: else a run would write other letters than its model has read."""
    change(path, set_json("symbols", symbols))
    assert "symbols" in refusal(path)


def test_facts_that_another_version_wrote_of_its_data_are_kept(path: Path) -> None:
    facts = {"source": None, "num_docs": 3, "later": [1, None]}
    change(path, set_json("data", facts))
    state = checkpoints.load(path)
    assert (state.provenance.num_docs, state.provenance.sha256) == (3, None)
    checkpoints.save(path, state)
    assert json.loads(ours.read(path)[1]["data"]) == facts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a file has at least 8 bytes, this one has 0"),
        (b"emma\nolivia\nava\nisabella\n", "the header is said to take "),
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


def test_what_cannot_be_read_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        checkpoints.load(tmp_path / "missing")
    with pytest.raises(OSError, match=r"directory|Permission"):
        checkpoints.load(tmp_path)


# --- Damage


def test_a_checkpoint_truncated_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, example(Config(n_embd=1, n_head=1, block_size=1), ["a", ""]))
    for size in reversed(range(path.stat().st_size)):
        os.truncate(path, size)
        with pytest.raises(CheckpointError):
            checkpoints.load(path)


def test_a_byte_too_many_is_refused(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")
    assert re.search(r"the tensors take \d+ bytes, but \d+ follow the header", refusal(path))


def loads_or_is_refused(path: Path, content: bytes) -> None:
    """Load damaged bytes: CheckpointError, or a checkpoint that can be used. Anything else is a failure."""
    path.write_bytes(content)
    try:
        state = checkpoints.load(path)
    except CheckpointError:
        return
    count = num_params(state.config, len(state.symbols))
    assert [len(buffer) for buffer in (state.params, state.m, state.v)] == [count] * 3
    rng = random.Random()
    rng.setstate(state.rng_state)
    assert all(isinstance(rng.gauss(0.0, 1.0), float) for _ in range(2))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.getbasetemp() / "good.safetensors"
    checkpoints.save(path, example(Config(n_embd=1, n_head=1, block_size=1), ["a", ""]))
    return path.read_bytes()


@thoroughly
@given(data=st.data())
def test_flipped_bytes_of_the_header_are_refused_or_harmless(
    good: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    end = 8 + int.from_bytes(good[:8], "little")
    rng = good.index(b'"rng"')  # most of the header: thousands of digits, which are not to take most of the examples
    places = st.one_of(
        st.integers(0, rng + 50), st.integers(0, end - 1), st.integers(good.index(b'"data"') - 20, end - 1)
    )
    content = bytearray(good)
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=3)):
        content[at] = byte
    loads_or_is_refused(tmp_path_factory.getbasetemp() / "flipped.safetensors", bytes(content))


def test_a_bit_flipped_in_the_header_is_refused_or_harmless(
    good: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "bit.safetensors"
    rng, data = good.index(b'"rng"'), good.index(b'"data"')
    places = [*range(rng + 50), *range(data - 50, 8 + int.from_bytes(good[:8], "little"))]
    for at in places[::3]:
        loads_or_is_refused(path, good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(0, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


@thoroughly
@given(key=st.sampled_from(["config", "symbols", "step", "rng", "data"]), value=anything, data=st.data())
def test_whatever_json_is_in_the_metadata_is_refused_or_harmless(
    good: bytes, tmp_path_factory: pytest.TempPathFactory, key: str, value: Any, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "wild-metadata.safetensors"
    tensors, metadata = ours.parse(good)
    old = json.loads(metadata[key])
    if data.draw(st.booleans(), label="replace only a part"):
        if isinstance(old, dict):
            old[data.draw(st.sampled_from(sorted(old)))] = value
            value = old
        elif isinstance(old, list):
            old[data.draw(st.integers(0, len(old) - 1))] = value
            value = old
    ours.write(path, tensors, {**metadata, key: json.dumps(value)})
    loads_or_is_refused(path, path.read_bytes())


# --- Saving


def test_a_disk_that_is_full_leaves_the_last_checkpoint_whole(path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limit for the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    later = replace(example(), step=8)
    size = path.stat().st_size
    for end in [*range(0, size, 97), size - 1]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (end, limits[1]))
        try:
            with pytest.raises(OSError, match=re.escape(os.strerror(errno.EFBIG))):
                checkpoints.save(path, later)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert_same(checkpoints.load(path), example())
        assert list(path.parent.iterdir()) == [path]
    checkpoints.save(path, later)
    assert_same(checkpoints.load(path), later)


def test_saving_leaves_the_state_as_it_was(path: Path) -> None:
    state = example()
    checkpoints.save(path, state)
    assert_same(state, example())
    state.params.append(0.0)  # its memory is free again: no view of it is held
