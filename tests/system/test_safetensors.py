"""Our reader reads the files of the `safetensors` package, and the package reads ours."""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from microgpt.system.safetensors import Tensor, parse, read, tensor, write

from system.packages import SIZES, disagreement, facts, names, one, theirs, thoroughly, written

# --- The comparison of readers


@pytest.mark.parametrize(
    ("wrong", "content", "words"),
    [
        (lambda content: ({"a": Tensor("F32", (1,), b"1235")}, {}), one(), "ours reads"),
        (lambda content: ({}, {}), one(), "ours reads"),
        (lambda content: ({}, {}), one(data=b""), "ours accepts what the package refuses"),
        (lambda content: parse(b""), one(), "ours refuses what the package accepts"),
        (lambda content: parse(None), one(), "ours raises TypeError"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_reader_is_noticed(wrong: Callable[[bytes], Any], content: bytes, words: str) -> None:
    assert words in (disagreement(content, wrong) or "")
    assert disagreement(content) is None


# --- Valid files


NUMPY_TYPES = ["f4", "f8"]
SHAPES = [(), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (2, 1, 3), (1, 1, 1, 1)]


def example_arrays() -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for dtype in NUMPY_TYPES:
        for shape in SHAPES:
            count = int(np.prod(shape))
            arrays[f"{dtype} {shape}"] = np.arange(count).astype(dtype).reshape(shape)
    return arrays


def test_our_reader_reads_every_type_and_shape_that_the_package_writes(tmp_path: Path) -> None:
    arrays, metadata = example_arrays(), {"format": "x", "": "", "ключ": 'värde \u2028 \0 " \\ 😀'}
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(arrays, path, metadata)
    tensors, read_metadata = read(path)
    assert read_metadata == metadata
    assert tensors.keys() == arrays.keys()
    for name, numbers in arrays.items():
        assert tensors[name].shape == numbers.shape, name
        assert bytes(tensors[name].data) == numbers.tobytes(), name
        assert SIZES[tensors[name].dtype] == numbers.itemsize, name


def test_the_package_reads_every_type_and_shape_that_we_write(tmp_path: Path) -> None:
    arrays, metadata = example_arrays(), {"format": "x", "": "", "ключ": 'värde \u2028 \0 " \\ 😀'}
    path = tmp_path / "x.safetensors"
    types = theirs(safetensors.numpy.save(arrays))
    write(path, {name: Tensor(types[name][0], a.shape, a.tobytes()) for name, a in arrays.items()}, metadata)
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == metadata
    loaded = safetensors.numpy.load_file(path)
    assert loaded.keys() == arrays.keys()
    for name, numbers in arrays.items():
        assert loaded[name].dtype == numbers.dtype, name
        assert loaded[name].shape == numbers.shape, name
        assert loaded[name].tobytes() == numbers.tobytes(), name


@pytest.mark.parametrize("dtype", SIZES)
def test_the_package_knows_each_of_our_types_and_its_size(dtype: str) -> None:
    data = bytes(range(3 * SIZES[dtype]))
    content = one(json.dumps(dtype), "[3]", f"[0,{len(data)}]", data=data)
    assert theirs(content) == {"a": (dtype, (3,), data)} == facts(parse(content)[0])


@pytest.mark.parametrize("metadata", [None, {"format": "x"}])
def test_our_file_has_the_same_bytes_as_the_packages(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    numbers = array("d", [1.5, -0.0, 5e-324, float("inf"), float("nan"), 1 / 3])
    content = written(tmp_path / "x", {"layer0.mlp_fc1": tensor(numbers, (2, 3))}, metadata)
    assert content == safetensors.numpy.save({"layer0.mlp_fc1": np.array(numbers).reshape(2, 3)}, metadata)


some_metadata = st.dictionaries(names, names, max_size=3)
dimensions = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def some_tensors(draw: st.DrawFn) -> dict[str, Tensor]:
    tensors = {}
    for name in draw(st.lists(names, max_size=5, unique=True)):
        dtype, shape = draw(st.sampled_from(list(SIZES))), tuple(draw(dimensions))
        size = int(np.prod(shape)) * SIZES[dtype]
        tensors[name] = Tensor(dtype, shape, draw(st.binary(min_size=size, max_size=size)))
    return tensors


@thoroughly
@given(tensors=some_tensors(), metadata=some_metadata)
def test_anything_that_we_write_is_read_by_the_package_and_by_our_reader(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    content = written(path, tensors, metadata)
    assert theirs(content) == facts(tensors)
    with safetensors.safe_open(path, "numpy") as file:
        assert (file.metadata() or {}) == metadata
    assert (facts(read(path)[0]), read(path)[1]) == (facts(tensors), metadata)
    assert list(read(path)[0]) == list(tensors)  # in the order of the header
    assert int.from_bytes(content[:8], "little") % 8 == 0  # the numbers are aligned


@thoroughly
@given(
    shapes=st.dictionaries(names, st.tuples(st.sampled_from(NUMPY_TYPES), dimensions), max_size=5),
    metadata=some_metadata,
)
def test_our_reader_reads_anything_that_the_package_writes(
    shapes: dict[str, tuple[str, list[int]]], metadata: dict[str, str]
) -> None:
    arrays = {
        name: np.arange(int(np.prod(shape))).astype(kind).reshape(shape) for name, (kind, shape) in shapes.items()
    }
    tensors, read_metadata = parse(safetensors.numpy.save(arrays, metadata or None))
    assert read_metadata == metadata
    assert {name: (t.shape, bytes(t.data)) for name, t in tensors.items()} == {
        name: (a.shape, a.tobytes()) for name, a in arrays.items()
    }


def test_floats_gives_float64_from_both_float_types() -> None:
    assert Tensor("F64", (2,), struct.pack("<2d", 0.1, -0.0)).floats() == array("d", [0.1, -0.0])
    assert Tensor("F32", (2,), struct.pack("<2f", 0.1, 2.0)).floats() == array("d", [np.float32(0.1).item(), 2.0])


def test_an_empty_tensor_has_no_numbers(tmp_path: Path) -> None:
    content = written(tmp_path / "x", {"a": tensor(array("d"), (0, 3))})
    assert parse(content)[0]["a"].floats() == array("d")
    assert theirs(content) == {"a": ("F64", (0, 3), b"")}


@pytest.mark.skipif(sys.byteorder == "big", reason="on a big-endian machine the other tests of this file test the swap")
def test_a_big_endian_machine_swaps_bytes_without_changing_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = array("d", [1.0, -2.5])
    monkeypatch.setattr(sys, "byteorder", "big")
    stored = tensor(numbers, (2,))
    assert bytes(stored.data) == struct.pack(">2d", 1.0, -2.5)  # the bytes of this machine, swapped
    assert numbers == array("d", [1.0, -2.5])
    assert stored.floats() == numbers
