"""Hostile files: our reader refuses what the `safetensors` package refuses."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from microgpt.errors import SafetensorsError
from microgpt.system.safetensors import MAX_HEADER, parse, read

from system.packages import F32, allowed_strictness, disagreement, file_of, one, theirs, thoroughly


def judge(contents: Iterator[bytes]) -> None:
    found = [text for content in contents if (text := disagreement(content))]
    assert not found, "\n".join([f"{len(found)} disagreements, the first ones:", *(t[:400] for t in found[:5])])


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
    "a list as the header": file_of("[]"),
    "null as the header": file_of("null"),
    "a string as the header": file_of('"{}"'),
    "a header in UTF-16": file_of("{}".encode("utf-16")),
    "a byte-order mark": file_of(b"\xef\xbb\xbf{}"),
    "half a header": file_of('{"a":'),
    "text after the header": file_of(f'{{"a":{F32}}} {{}}', b"1234"),
    "zero bytes after the header": file_of(f'{{"a":{F32}}}\0', b"1234"),
    "an invalid byte in a name": file_of(b'{"\xff":' + F32.encode() + b"}", b"1234"),
    "an overlong encoding in a name": file_of(b'{"\xc0\xaf":' + F32.encode() + b"}", b"1234"),
    "a surrogate in UTF-8 in a name": file_of(b'{"\xed\xa0\x80":' + F32.encode() + b"}", b"1234"),
    "an escaped lone surrogate as a name": file_of(f'{{"\\ud800":{F32}}}', b"1234"),
    "an escaped low surrogate as a name": file_of(f'{{"\\udfff":{F32}}}', b"1234"),
    "an escaped lone surrogate in the metadata": file_of(f'{{"__metadata__":{{"k":"\\ud800"}},"a":{F32}}}', b"1234"),
    "an escaped lone surrogate in a field": one(more=',"x":"\\ud800"'),
    "a control character in a name": file_of(f'{{"\n":{F32}}}', b"1234"),
    "an unknown escape in a name": file_of(f'{{"\\x41":{F32}}}', b"1234"),
    "single quotes": file_of("{'a':" + F32 + "}", b"1234"),
    "a comma at the end": file_of(f'{{"a":{F32},}}', b"1234"),
    "a comment": file_of(f'{{"a":{F32}/**/}}', b"1234"),
    "a number as metadata": file_of('{"__metadata__":1}'),
    "a list as metadata": file_of('{"__metadata__":[]}'),
    "metadata that is not a string": file_of('{"__metadata__":{"k":1}}'),
    "metadata that is null": file_of('{"__metadata__":{"k":null}}'),
    "null as a tensor": file_of('{"a":null}'),
    "a string as a tensor": file_of('{"a":"F32"}'),
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
    "a number as a dtype": one("32"),
    "null as a dtype": one("null"),
    "a list as a dtype": one('["F32"]'),
    "the wrong dtype": one('"F64"'),
    "a number as a shape": one(shape="1"),
    "a string as a shape": one(shape='"1"'),
    "an object as a shape": one(shape='{"0":1}'),
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
    "bytes without a tensor": file_of("{}", b"1"),
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
def test_a_hostile_file_is_refused_by_the_package_and_by_our_reader(name: str) -> None:
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
        ("a dtype that we do not support", one('"I32"')),
    ],
)
def test_our_reader_is_stricter_than_the_package_only_where_the_specification_is(reason: str, content: bytes) -> None:
    theirs(content)  # no error
    assert reason in allowed_strictness(content)
    with pytest.raises(SafetensorsError):
        parse(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"1234567", "a file must be at least 8 bytes long, got 7"),
        ((10).to_bytes(8, "little") + b"{}", "the header claims 10 bytes, but only 2 follow"),
        (b"\xff" * 8, f"the header claims {2**64 - 1} bytes; at most 100000000 are allowed"),
        (file_of("[]"), "the header must begin with '{'"),
        (file_of("{]"), "the header is not UTF-8 JSON: "),
        (file_of(b'{"\xff":1}'), "the header is not UTF-8 JSON: "),
        (file_of(f'{{"a":{F32},"a":{F32}}}', b"1234"), "the header is not UTF-8 JSON: duplicate name"),
        (one(shape="[NaN]"), "the header is not UTF-8 JSON: NaN is not valid JSON"),
        (file_of('{"__metadata__":{"k":1}}'), "__metadata__ must map names to strings"),
        (file_of('{"a":{}}'), "tensor 'a' must have dtype, shape and data_offsets"),
        (one('"F31"'), "dtype of tensor 'a' must be F64 or F32, got 'F31'"),
        (one(shape="[1.0]"), "shape of tensor 'a' must be a list of whole numbers, got [1.0]"),
        (one(offsets="[0]"), "data_offsets of tensor 'a' must have two elements, got 1"),
        (one(offsets="[1,5]", data=bytes(5)), "tensor 'a' must start at byte 0, got bytes 1 to 5"),
        (one(shape="[2,3]"), "F32 tensor 'a' of shape [2, 3] does not fill bytes 0 to 4"),
        (one(data=b"123"), "the tensors occupy 4 bytes, but 3 follow the header"),
        (one(data=b"12345"), "the tensors occupy 4 bytes, but 5 follow the header"),
    ],
)
def test_a_refusal_says_where_the_file_violates_the_format(content: bytes, words: str) -> None:
    with pytest.raises(SafetensorsError, match="^" + re.escape(words)):
        parse(content)


GOOD = [
    one(),
    file_of(
        f'{{"__metadata__":{{"k":"v"}},"b":{{"dtype":"F64","shape":[1,0],"data_offsets":[4,4]}},"a":{F32},"c":{NEXT}}}',
        b"12345678",
    ),
]


def test_a_file_truncated_or_extended_anywhere_is_refused() -> None:
    for content in GOOD:
        assert disagreement(content) is None
        for end in range(len(content)):
            with pytest.raises(SafetensorsError):
                parse(content[:end])
        judge(content[:end] for end in range(len(content)))
        judge(content[:at] + b"0" + content[at:] for at in range(len(content) + 1))


def test_every_replaced_byte_is_judged_as_by_the_package() -> None:
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


def test_every_replaced_token_of_a_header_is_judged_as_by_the_package() -> None:
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
def test_wild_headers_are_judged_as_by_the_package(content: bytes, edits: list[tuple[int, str]], data: bytes) -> None:
    header = tokens(content)
    for at, wild in edits:
        header[at % len(header)] = wild
    assert disagreement(file_of("".join(header), data)) is None


@thoroughly
@given(start=st.sampled_from([b"", b"{", b'{"a":']), content=st.binary(max_size=40))
def test_random_bytes_are_judged_as_by_the_package(start: bytes, content: bytes) -> None:
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
def test_any_layout_is_judged_as_by_the_package(entries: list[tuple[str, list[int], int, int]], size: int) -> None:
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


def test_tensors_share_the_memory_of_the_file_content() -> None:
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
    with pytest.raises(SafetensorsError, match="is too large for any file") as refusal:
        parse(content)
    assert len(str(refusal.value)) < 400


def test_a_file_that_cannot_be_read_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")
    with pytest.raises(OSError, match=r"directory|Permission"):
        read(tmp_path)
