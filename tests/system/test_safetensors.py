"""What the `safetensors` package writes ours reads, and the other way round; what the package refuses ours refuses."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import sys
import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.errors import SafetensorsError
from microgpt.system.files import atomic
from microgpt.system.safetensors import MAX_HEADER, Tensor, parse, read, tensor, write

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=300)

SIZES = {"F64": 8, "F32": 4}  # bytes of a number of each type that ours reads
Facts = dict[str, tuple[str, tuple[int, ...], bytes]]


def facts(tensors: dict[str, Tensor]) -> Facts:
    return {name: (t.dtype, t.shape, bytes(t.data)) for name, t in tensors.items()}


def theirs(content: bytes) -> Facts:
    """What the package reads; SafetensorError where it refuses."""
    return {
        name: (entry["dtype"], tuple(entry["shape"]), bytes(entry["data"]))
        for name, entry in safetensors.deserialize(content)
    }


def file_of(header: str | bytes, data: bytes = b"") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    return len(text).to_bytes(8, "little") + text + data


def one(
    dtype: str = '"F32"', shape: str = "[1]", offsets: str = "[0,4]", more: str = "", data: bytes = b"1234"
) -> bytes:
    """A file of one tensor `a` whose fields are these pieces of JSON."""
    return file_of(f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}}}', data)


def written(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    write(path, tensors, metadata)
    return path.read_bytes()


# --- The judge of hostile files


def allowed_strictness(content: bytes) -> set[str]:
    """The reasons for which ours may refuse a file that the package accepts. There are no others."""
    text = content[8 : 8 + int.from_bytes(content[:8], "little")].decode()
    reasons = set() if text.startswith("{") else {"white space before the header"}

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(items)) < len(items):
            reasons.add("a name given twice")
        return dict(items)

    header = json.loads(text, object_pairs_hook=pairs)
    if header.pop("__metadata__", {}) is None:
        reasons.add("null for no metadata")
    for entry in header.values():
        if isinstance(entry, list):
            reasons.add("a tensor described by a list")
        elif not isinstance(entry["dtype"], str):
            reasons.add("a dtype in the form of an object")
        elif entry["dtype"] not in SIZES:
            reasons.add("a dtype that no file of ours has")
        elif entry.keys() - {"dtype", "shape", "data_offsets"}:
            reasons.add("a field that the published format does not name")
    return reasons


def disagreement(content: bytes, parse: Callable[[bytes], tuple[dict[str, Tensor], Any]] = parse) -> str | None:
    """How our reading of a file departs from the package's in a way that is not allowed; None if it does not."""
    expected: Facts | None
    got: Facts | None
    try:
        expected = theirs(content)
    except safetensors.SafetensorError:
        expected = None
    try:
        got = facts(parse(content)[0])
    except SafetensorsError:
        got = None
    except Exception as error:
        return f"ours raises {type(error).__name__}: {content!r}"
    if expected is None and got is not None:
        return f"ours accepts what the package refuses: {content!r}"
    if expected is not None and got is None and not allowed_strictness(content):
        return f"ours refuses what the package accepts: {content!r}"
    if expected is not None and got is not None and got != expected:
        return f"ours reads {got}, the package {expected}: {content!r}"
    return None


def judge(contents: Iterator[bytes]) -> None:
    found = [text for content in contents if (text := disagreement(content))]
    assert not found, "\n".join([f"{len(found)} disagreements, the first of them:", *(t[:400] for t in found[:5])])


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
def test_the_judge_sees_a_reader_that_is_wrong(wrong: Callable[[bytes], Any], content: bytes, words: str) -> None:
    assert words in (disagreement(content, wrong) or "")
    assert disagreement(content) is None


# --- Files that are as they should be

NUMPY_TYPES = ["f4", "f8"]
SHAPES = [(), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (2, 1, 3), (1, 1, 1, 1)]


def example_arrays() -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for dtype in NUMPY_TYPES:
        for shape in SHAPES:
            count = int(np.prod(shape))
            arrays[f"{dtype} {shape}"] = np.arange(count).astype(dtype).reshape(shape)
    return arrays


def test_ours_reads_every_type_and_shape_that_the_package_writes(tmp_path: Path) -> None:
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


def test_the_package_reads_every_type_and_shape_that_ours_writes(tmp_path: Path) -> None:
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
def test_a_file_of_ours_has_the_very_bytes_of_the_packages(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    numbers = array("d", [1.5, -0.0, 5e-324, float("inf"), float("nan"), 1 / 3])
    ours = written(tmp_path / "x", {"layer0.mlp_fc1": tensor(numbers, (2, 3))}, metadata)
    assert ours == safetensors.numpy.save({"layer0.mlp_fc1": np.array(numbers).reshape(2, 3)}, metadata)


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
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
def test_whatever_ours_writes_the_package_reads_and_so_does_ours(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    content = written(path, tensors, metadata)
    assert theirs(content) == facts(tensors)
    with safetensors.safe_open(path, "numpy") as file:
        assert (file.metadata() or {}) == metadata
    assert (facts(read(path)[0]), read(path)[1]) == (facts(tensors), metadata)
    assert list(read(path)[0]) == list(tensors)  # in the order of the header
    assert int.from_bytes(content[:8], "little") % 8 == 0  # the numbers lie aligned


@thoroughly
@given(
    shapes=st.dictionaries(names, st.tuples(st.sampled_from(NUMPY_TYPES), dimensions), max_size=5),
    metadata=some_metadata,
)
def test_whatever_the_package_writes_ours_reads(
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


@pytest.mark.skipif(sys.byteorder == "big", reason="on a big-endian machine every other test here tests the swap")
def test_a_big_endian_machine_swaps_its_bytes_and_leaves_its_numbers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = array("d", [1.0, -2.5])
    monkeypatch.setattr(sys, "byteorder", "big")
    stored = tensor(numbers, (2,))
    assert bytes(stored.data) == struct.pack(">2d", 1.0, -2.5)  # a swap of what this machine holds
    assert numbers == array("d", [1.0, -2.5])
    assert stored.floats() == numbers


# --- Files that are not

F32 = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
NEXT = '{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'
HUGE = str(2**63)

HOSTILE = {
    "an empty file": b"",
    "seven bytes": bytes(7),
    "a header of no bytes": bytes(8),
    "a header longer than the file": b"\x03" + bytes(7) + b"{}",
    "a header of 2**63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a header of 2**64 - 1 bytes": b"\xff" * 8 + b"{}",
    "a header over the limit": (MAX_HEADER + 1).to_bytes(8, "little") + b"{}",
    "a list for a header": file_of("[]"),
    "null for a header": file_of("null"),
    "a string for a header": file_of('"{}"'),
    "a header in UTF-16": file_of("{}".encode("utf-16")),
    "a byte-order mark": file_of(b"\xef\xbb\xbf{}"),
    "half a header": file_of('{"a":'),
    "text after the header": file_of(f'{{"a":{F32}}} {{}}', b"1234"),
    "zero bytes after the header": file_of(f'{{"a":{F32}}}\0', b"1234"),
    "an invalid byte in a name": file_of(b'{"\xff":' + F32.encode() + b"}", b"1234"),
    "an overlong encoding in a name": file_of(b'{"\xc0\xaf":' + F32.encode() + b"}", b"1234"),
    "a surrogate in UTF-8 in a name": file_of(b'{"\xed\xa0\x80":' + F32.encode() + b"}", b"1234"),
    "an escaped lone surrogate for a name": file_of(f'{{"\\ud800":{F32}}}', b"1234"),
    "an escaped low surrogate for a name": file_of(f'{{"\\udfff":{F32}}}', b"1234"),
    "an escaped lone surrogate in the metadata": file_of(f'{{"__metadata__":{{"k":"\\ud800"}},"a":{F32}}}', b"1234"),
    "an escaped lone surrogate in a field": one(more=',"x":"\\ud800"'),
    "a control character in a name": file_of(f'{{"\n":{F32}}}', b"1234"),
    "an unknown escape in a name": file_of(f'{{"\\x41":{F32}}}', b"1234"),
    "single quotes": file_of("{'a':" + F32 + "}", b"1234"),
    "a comma at the end": file_of(f'{{"a":{F32},}}', b"1234"),
    "a comment": file_of(f'{{"a":{F32}/**/}}', b"1234"),
    "a number for metadata": file_of('{"__metadata__":1}'),
    "a list for metadata": file_of('{"__metadata__":[]}'),
    "metadata that is no string": file_of('{"__metadata__":{"k":1}}'),
    "metadata that is null": file_of('{"__metadata__":{"k":null}}'),
    "null for a tensor": file_of('{"a":null}'),
    "a string for a tensor": file_of('{"a":"F32"}'),
    "a tensor without fields": file_of('{"a":{}}'),
    "no dtype": file_of('{"a":{"shape":[1],"data_offsets":[0,4]}}', b"1234"),
    "no shape": file_of('{"a":{"dtype":"F32","data_offsets":[0,4]}}', b"1234"),
    "no offsets": file_of('{"a":{"dtype":"F32","shape":[1]}}', b"1234"),
    "a field given twice": one(more=',"shape":[1]'),
    "NaN in a field": one(more=',"x":NaN'),
    "Infinity in a field": one(more=',"x":-Infinity'),
    "a number over the largest float in a field": one(more=',"x":1e400'),
    "an integer over the largest float in a field": one(more=f',"x":{"9" * 400}'),
    "an integer of 5,000 digits": one(shape=f"[{'9' * 5000}]"),
    "a header 130 levels deep": one(more=f',"x":{"[" * 130}{"]" * 130}'),
    "a header 100,000 levels deep": one(more=f',"x":{"[" * 100_000}{"]" * 100_000}'),
    "100,000 brackets": file_of("{" + '"a":[' * 100_000),
    "an unknown dtype": one('"F31"'),
    "a dtype in small letters": one('"f32"'),
    "a number for a dtype": one("32"),
    "null for a dtype": one("null"),
    "a list for a dtype": one('["F32"]'),
    "the wrong dtype": one('"F64"'),
    "a number for a shape": one(shape="1"),
    "a string for a shape": one(shape='"1"'),
    "an object for a shape": one(shape='{"0":1}'),
    "a float in a shape": one(shape="[1.0]"),
    "an exponent in a shape": one(shape="[1e0]"),
    "true in a shape": one(shape="[true]"),
    "null in a shape": one(shape="[null]"),
    "a string in a shape": one(shape='["1"]'),
    "a list in a shape": one(shape="[[1]]"),
    "a negative size": one(shape="[-1]"),
    "two negative sizes": one(shape="[-1,-1]"),
    "minus zero in a shape": one(shape="[-0]", offsets="[0,0]", data=b""),
    "a leading zero in a shape": one(shape="[01]"),
    "a plus sign in a shape": one(shape="[+1]"),
    "NaN in a shape": one(shape="[NaN]"),
    "the wrong shape": one(shape="[2]"),
    "a shape for no bytes": one(shape="[0]"),
    "a size of 2**63": one(shape=f"[{HUGE}]"),
    "a size of 2**64": one(shape=f"[{2**64}]", offsets="[0,0]", data=b""),
    "a product of sizes that wraps around to 0": one(shape="[4294967296,4294967296]", offsets="[0,0]", data=b""),
    "a product of sizes that wraps around to 1": one(shape="[18446744073709551615,18446744073709551615]"),
    "a number of bits that wraps around to 0": one(shape=f"[{2**59}]", offsets="[0,0]", data=b""),
    "a product over 64 bits before a zero": one(shape=f"[{HUGE},4,0]", offsets="[0,0]", data=b""),
    "no offsets in the list": one(offsets="[]"),
    "one offset": one(offsets="[0]"),
    "three offsets": one(offsets="[0,4,4]"),
    "a float in the offsets": one(offsets="[0.0,4]"),
    "true in the offsets": one(offsets="[0,true]"),
    "minus zero in the offsets": one(offsets="[-0,4]"),
    "a negative offset": one(offsets="[-4,0]"),
    "reversed offsets": one(offsets="[4,0]"),
    "offsets beyond the file": one(shape="[2]", offsets="[0,8]"),
    "offsets of 2**63": one(offsets=f"[{HUGE},{HUGE}]", shape="[0]"),
    "offsets up to 2**63": one(shape=f"[{2**61}]", offsets=f"[0,{HUGE}]"),
    "offsets of 2**64": one(offsets=f"[0,{2**64}]"),
    "a hole at the beginning": one(offsets="[4,8]", data=bytes(8)),
    "a hole in the middle": file_of(
        f'{{"a":{F32},"b":{{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}}}', bytes(12)
    ),
    "a hole at the end": one(data=bytes(5)),
    "bytes of no tensor": file_of("{}", b"1"),
    "two tensors on the same bytes": file_of(f'{{"a":{F32},"b":{F32}}}', b"1234"),
    "tensors that overlap": file_of(f'{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},"b":{NEXT}}}', bytes(8)),
    "an empty tensor within another": file_of(
        f'{{"a":{F32},"b":{{"dtype":"F32","shape":[0],"data_offsets":[2,2]}}}}', b"1234"
    ),
    "an empty tensor beyond the end": file_of(
        f'{{"a":{F32},"b":{{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}}}', b"1234"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_the_package_and_by_ours(name: str) -> None:
    with pytest.raises(safetensors.SafetensorError):
        theirs(HOSTILE[name])
    with pytest.raises(SafetensorsError) as refusal:
        parse(HOSTILE[name])
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("white space before the header", file_of(f' {{"a":{F32}}}', b"1234")),
        ("a name given twice", file_of(f'{{"a":{F32},"a":{F32}}}', b"1234")),
        ("a name given twice", file_of(f'{{"a":{F32},"\\u0061":{F32}}}', b"1234")),
        ("a name given twice", file_of(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{F32}}}', b"1234")),
        ("null for no metadata", file_of(f'{{"__metadata__":null,"a":{F32}}}', b"1234")),
        ("a tensor described by a list", file_of('{"a":["F32",[1],[0,4]]}', b"1234")),
        ("a dtype in the form of an object", one('{"F32":null}')),
        ("a dtype that no file of ours has", one('"I32"')),
    ],
)
def test_ours_is_stricter_than_the_package_where_the_formats_text_is(reason: str, content: bytes) -> None:
    theirs(content)  # no error
    assert reason in allowed_strictness(content)
    with pytest.raises(SafetensorsError):
        parse(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1234567", "a file has at least 8 bytes, this one has 7"),
        ((10).to_bytes(8, "little") + b"{}", "the header is said to take 10 bytes, but only 2 follow"),
        (b"\xff" * 8, f"the header is said to take {2**64 - 1} bytes; at most 100000000 are allowed"),
        (file_of("[]"), "the header must begin with '{'"),
        (file_of("{]"), "the header is not JSON in UTF-8: "),
        (file_of(b'{"\xff":1}'), "the header is not JSON in UTF-8: "),
        (file_of(f'{{"a":{F32},"a":{F32}}}', b"1234"), "the header is not JSON in UTF-8: a name is given twice"),
        (one(shape="[NaN]"), "the header is not JSON in UTF-8: NaN is not JSON"),
        (file_of('{"__metadata__":{"k":1}}'), "__metadata__ must map names to strings"),
        (file_of('{"a":{}}'), "tensor 'a' must have dtype, shape and data_offsets"),
        (one('"F31"'), "dtype of tensor 'a' must be F64 or F32, got 'F31'"),
        (one(shape="[1.0]"), "shape of tensor 'a' must be a list of whole numbers, got [1.0]"),
        (one(offsets="[0]"), "data_offsets of tensor 'a' must be two numbers, got 1"),
        (one(offsets="[1,5]", data=bytes(5)), "tensor 'a' lies at bytes 1 to 5; it should begin at 0"),
        (one(shape="[2,3]"), "tensor 'a' of shape [2, 3] F32 does not fill bytes 0 to 4"),
        (one(data=b"123"), "the tensors take 4 bytes, but 3 follow the header"),
        (one(data=b"12345"), "the tensors take 4 bytes, but 5 follow the header"),
    ],
)
def test_a_refusal_says_where_the_file_departs_from_the_format(content: bytes, words: str) -> None:
    with pytest.raises(SafetensorsError, match="^" + re.escape(words)):
        parse(content)


GOOD = [
    one(),
    file_of(
        f'{{"__metadata__":{{"k":"v"}},"b":{{"dtype":"F64","shape":[1,0],"data_offsets":[4,4]}},"a":{F32},"c":{NEXT}}}',
        b"12345678",
    ),
]


def test_a_file_cut_or_lengthened_anywhere_is_refused() -> None:
    for content in GOOD:
        assert disagreement(content) is None
        for end in range(len(content)):
            with pytest.raises(SafetensorsError):
                parse(content[:end])
        judge(content[:end] for end in range(len(content)))
        judge(content[:at] + b"0" + content[at:] for at in range(len(content) + 1))


def test_every_byte_replaced_by_every_other_is_judged_as_the_package_judges_it() -> None:
    for content in GOOD:
        judge(
            content[:at] + bytes([byte]) + content[at + 1 :]
            for at in range(len(content))
            for byte in (range(256) if len(content) < 100 else b'\0 "-.019AEe[\\]aeu{}\x80\xc0\xff')
        )


TOKEN = re.compile(r'"[^"]*"|\d+|[][{}:,]')
WILD = [
    *["", "0", "-0", "1", "2", "4", "8", "12", "-1", "-4", "1.0", "0.0", "1e0", "01", "true", "false", "null", "NaN"],
    *[str(2**32), str(2**61), HUGE, str(2**64 - 1), str(2**64), "9" * 30, "9" * 400, "9" * 5000, "1e400", "Infinity"],
    *['"a"', '"b"', '"\\u0061"', '"\\ud800"', '"__metadata__"', '"dtype"', '"shape"', '"data_offsets"', '"x"', '"'],
    *['"F32"', '"F64"', '"BF16"', '"F4"', '"U8"', '"BOOL"', '""', "1,1", "0,0", f"{2**32},{2**32}", f"{HUGE},4,0"],
    *[
        "[]",
        "{}",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "[0]",
        "[1]",
        "[0,4]",
        "[4,0]",
        "[1,1]",
        "[[1]]",
        F32,
        f'"x":1,"a":{F32}',
    ],
]


def tokens(content: bytes) -> list[str]:
    return TOKEN.findall(content[8 : 8 + int.from_bytes(content[:8], "little")].decode())


def test_every_token_of_a_header_replaced_by_every_wild_one_is_judged_as_the_package_judges_it() -> None:
    for content in GOOD:
        good = tokens(content)
        data = content[8 + len("".join(good)) :]
        assert file_of("".join(good), data) == content
        judge(file_of("".join([*good[:i], wild, *good[i + 1 :]]), data) for i in range(len(good)) for wild in WILD)


@thoroughly
@given(
    content=st.sampled_from(GOOD),
    edits=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(WILD)), min_size=2, max_size=4),
    data=st.binary(max_size=12),
)
def test_wild_headers_are_judged_as_the_package_judges_them(
    content: bytes, edits: list[tuple[int, str]], data: bytes
) -> None:
    header = tokens(content)
    for at, wild in edits:
        header[at % len(header)] = wild
    assert disagreement(file_of("".join(header), data)) is None


@thoroughly
@given(start=st.sampled_from([b"", b"{", b'{"a":']), content=st.binary(max_size=40))
def test_random_bytes_are_judged_as_the_package_judges_them(start: bytes, content: bytes) -> None:
    assert disagreement(content) is None
    assert disagreement(file_of(start + content)) is None


@thoroughly
@given(
    entries=st.lists(
        st.tuples(
            st.sampled_from(["F64", "F32", "BF16", "U8", "F4", "X"]),
            st.lists(st.sampled_from([0, 1, 2, 3, 2**32, 2**63, 2**64 - 1]), max_size=4),
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=3,
    ),
    size=st.integers(0, 12),
)
def test_any_layout_is_judged_as_the_package_judges_it(
    entries: list[tuple[str, list[int], int, int]], size: int
) -> None:
    header = {
        f"t{i}": {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
        for i, (dtype, shape, start, stop) in enumerate(entries)
    }
    assert disagreement(file_of(json.dumps(header), bytes(size))) is None


def test_a_declared_size_takes_no_memory_before_it_is_refused() -> None:
    huge = [one(shape=f"[{size // 4}]", offsets=f"[0,{size}]") for size in (2**30, 2**40, 2**50, 2**62, 2**63)]
    huge += [n.to_bytes(8, "little") + b"{}" for n in (MAX_HEADER, 2**32, 2**63, 2**64 - 1)]
    tracemalloc.start()
    try:
        for content in huge:
            with pytest.raises(SafetensorsError):
                parse(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000, f"{peak} bytes"


def test_tensors_share_the_memory_of_the_file_that_was_read() -> None:
    content = one('"F32"', "[1000000]", "[0,4000000]", data=bytes(4_000_000))
    tracemalloc.start()
    try:
        parse(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000, f"{peak} bytes"


def test_the_product_of_fifty_thousand_huge_sizes_is_not_computed() -> None:
    content = one(shape=json.dumps([2**63] * 50_000), offsets="[0,0]", data=b"")
    with pytest.raises(SafetensorsError, match="is larger than any file") as refusal:
        parse(content)
    assert len(str(refusal.value)) < 400


def test_what_cannot_be_read_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")
    with pytest.raises(OSError, match=r"directory|Permission"):
        read(tmp_path)


# --- Writing: whole or not at all

OLD = {"a": Tensor("F32", (1,), b"old.")}
NEW = {"a": Tensor("F32", (2,), b"newer..."), "b": Tensor("F32", (1,), b"!!!!")}


class Disk:
    """The calls of the system by which a file is written, of which number `fail_at` fails as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
        self.fail_at, self.calls = fail_at, list[str]()
        open_file, replace = Path.open, Path.replace

        def path_open(path: Path, *args: Any, **kwargs: Any) -> Any:
            return File(self.call("open", open_file, path, *args, **kwargs), self)

        monkeypatch.setattr(Path, "open", path_open)
        monkeypatch.setattr(Path, "replace", lambda *args: self.call("replace", replace, *args))
        for name in ("fsync", "open", "close"):
            monkeypatch.setattr(os, name, self.counted(f"os.{name}", getattr(os, name)))

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.call(name, function, *args, **kwargs)

    def call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append(name)
        if len(self.calls) == self.fail_at + 1:
            if name == "os.close":  # a descriptor is gone even where closing it fails
                function(*args)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args, **kwargs)


class File:
    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.file, name)
        return self.disk.counted(name, value) if name in ("write", "flush", "close") else value


def test_whichever_call_fails_the_file_is_whole_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.safetensors"
    failed = {}
    for fail_at in range(50):
        write(path, OLD)
        with monkeypatch.context() as patch:
            disk = Disk(patch, fail_at)
            try:
                write(path, NEW)
            except OSError as error:
                failed[fail_at] = disk.calls[fail_at], error.errno
        replaced = "replace" in disk.calls[:fail_at]  # then what fails is only to make the rename last
        assert replaced or fail_at in failed
        assert facts(read(path)[0]) == facts(NEW if replaced else OLD), disk.calls
        assert list(tmp_path.iterdir()) == [path], disk.calls
        if len(disk.calls) <= fail_at:
            break
    else:
        pytest.fail("the file was never written")
    assert {error for _, error in failed.values()} == {errno.ENOSPC}
    names = [name for name, _ in failed.values()]
    assert {"open", "write", "flush", "os.fsync", "close", "replace"} <= set(names)
    assert names.count("write") >= 3  # the header and each tensor


def test_the_bytes_are_on_the_disk_before_they_take_the_place_of_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(patch, fail_at=-1)
        write(tmp_path / "x", NEW)
    at = {name: i for i, name in reversed(list(enumerate(disk.calls)))}  # of its first time
    last_write = max(i for i, name in enumerate(disk.calls) if name == "write")
    assert last_write < at["flush"] < at["os.fsync"] < at["replace"], disk.calls
    assert "os.fsync" in disk.calls[at["replace"] :], disk.calls  # the folder's, so that the rename survives too


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: the system's own refusal, in the middle of a write.

    (Python ignores the signal that comes with it, so that an OSError remains.)
    """
    resource = pytest.importorskip("resource", reason="this system has no limit for the size of a file")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_is_full_after_any_byte_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = written(path, NEW)
    write(path, OLD)
    for size in range(len(content)):
        with files_end_at(size), pytest.raises(OSError, match=re.escape(os.strerror(errno.EFBIG))):
            write(path, NEW)
        assert facts(read(path)[0]) == facts(OLD)
        assert list(tmp_path.iterdir()) == [path]
    with files_end_at(len(content)):
        write(path, NEW)
    assert path.read_bytes() == content


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with pytest.raises(stop), atomic(path) as file:  # noqa: PT012
        file.write(b"new")
        raise stop
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_not_there_is_not_there_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic(tmp_path / "x") as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_that_does_not_exist_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing" / "x", NEW)
