"""A damaged checkpoint is refused, or can be used safely."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import Config, num_params
from microgpt.errors import CheckpointError
from microgpt.runs import checkpoint as checkpoints
from microgpt.system import safetensors as ours

from runs.checkpoints import example, refusal, thoroughly


def test_a_checkpoint_truncated_at_any_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, example(Config(n_embd=1, n_head=1, block_size=1), ["a", ""]))
    for size in reversed(range(path.stat().st_size)):
        os.truncate(path, size)
        with pytest.raises(CheckpointError):
            checkpoints.load(path)


def test_an_extra_byte_is_refused(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0")
    assert re.search(r"the tensors occupy \d+ bytes, but \d+ follow the header", refusal(path))


def loads_or_is_refused(path: Path, content: bytes) -> None:
    """Load damaged bytes: only a CheckpointError or a usable checkpoint is allowed."""
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
    rng = good.index(b'"rng"')  # thousands of digits, most of the header, should not get most of the examples
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
def test_any_json_in_the_metadata_is_refused_or_harmless(
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
