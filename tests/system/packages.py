"""The `safetensors` package as the authority for our reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors
import safetensors.numpy
from hypothesis import settings
from hypothesis import strategies as st

from microgpt.errors import SafetensorsError
from microgpt.system.safetensors import Tensor, parse, write

from conftest import examples

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=examples(300))


SIZES = {"F64": 8, "F32": 4}  # bytes per number of each type that our reader supports
Facts = dict[str, tuple[str, tuple[int, ...], bytes]]


def facts(tensors: dict[str, Tensor]) -> Facts:
    return {name: (t.dtype, t.shape, bytes(t.data)) for name, t in tensors.items()}


def theirs(content: bytes) -> Facts:
    """Read a file with the package, which raises SafetensorError if it refuses."""
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
    """Return a file with one tensor `a`, whose fields are these pieces of JSON."""
    return file_of(f'{{"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}}}', data)


def written(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    write(path, tensors, metadata)
    return path.read_bytes()


def allowed_strictness(content: bytes) -> set[str]:
    """Return the reasons for which our reader may refuse a file that the package accepts."""
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
            reasons.add("a dtype that we do not support")
        elif entry.keys() - {"dtype", "shape", "data_offsets"}:
            reasons.add("a field that the published format does not name")
    return reasons


def disagreement(content: bytes, parse: Callable[[bytes], tuple[dict[str, Tensor], Any]] = parse) -> str | None:
    """Return how our reader differs from the package in a way that is not allowed; None if it does not."""
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


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")


F32 = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
