"""A checkpoint is loaded bit for bit, and other packages can open it."""

from __future__ import annotations

import errno
import json
import os
import random
import re
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import Config, offsets, shapes
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.system import safetensors as ours

from runs.checkpoints import SMALL, example, thoroughly


def assert_same(got: Checkpoint, expected: Checkpoint) -> None:
    """Compare bit for bit: == would not distinguish -0.0 from 0.0."""
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


# --- Loading


def test_a_checkpoint_is_loaded_bit_for_bit(path: Path) -> None:
    assert_same(checkpoints.load(path), example())
    assert_same(checkpoints.load(str(path)), example())


def test_float32_numbers_take_half_the_size_and_are_loaded_bit_for_bit(path: Path) -> None:
    expected = example()
    for name in ("params", "m", "v"):
        setattr(expected, name, array("d", array("f", getattr(expected, name))))
    expected.dtype = "F32"
    checkpoints.save(path, expected)
    assert_same(checkpoints.load(path), expected)
    tensors = ours.read(path)[0].values()
    assert {t.dtype for t in tensors} == {"F32"}
    assert sum(len(t.data) for t in tensors) == 3 * 4 * len(expected.params)


def test_the_random_stream_continues_where_it_stopped(path: Path) -> None:
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
def test_any_characters_can_be_symbols(tmp_path: Path, symbols: list[str]) -> None:
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
def test_a_checkpoint_with_any_numbers_survives_a_round_trip(
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
    """Return the tensors that other tools should see: each parameter in its shape, and its two moments."""
    table = shapes(state.config, len(state.symbols))
    where = offsets(table)
    return {
        prefix + name: np.array(numbers[where[name]]).reshape(table[name])
        for prefix, numbers in (("", state.params), ("adam_m.", state.m), ("adam_v.", state.v))
        for name in table
    }


def test_numpy_can_open_it_with_the_safetensors_package(path: Path) -> None:
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
    assert json.loads(metadata["config"]) == SMALL.to_file()
    assert json.loads(metadata["symbols"]) == ["a", "b", "ñ", ""]
    assert json.loads(metadata["step"]) == 7


def test_torch_can_open_it_with_the_safetensors_package(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    from safetensors.torch import load_file

    expected, got = expected_tensors(example()), load_file(path)
    assert got.keys() == expected.keys()
    for name, numbers in expected.items():
        assert got[name].dtype == torch.float64, name
        assert got[name].numpy().tobytes() == numbers.tobytes(), name
        assert got[name].shape == numbers.shape, name


def test_a_file_that_the_package_rewrote_is_still_a_checkpoint(path: Path) -> None:
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata)
    assert_same(checkpoints.load(path), example())


def test_a_checkpoint_without_a_newer_setting_has_its_default(path: Path) -> None:
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    for name in ("warmup_steps", "decay", "clip"):
        del config[name]
    metadata["config"] = json.dumps(config)
    safetensors.numpy.save_file(safetensors.numpy.load_file(path), path, metadata)
    assert_same(checkpoints.load(path), example())


# --- Saving


def test_a_full_disk_leaves_the_last_checkpoint_intact(path: Path) -> None:
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


def test_saving_does_not_change_the_state(path: Path) -> None:
    state = example()
    checkpoints.save(path, state)
    assert_same(state, example())
    state.params.append(0.0)  # no view keeps the buffer from growing
