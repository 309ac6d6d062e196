"""The safetensors file format: named F64 or F32 tensors, and no executable code.

A file consists of 8 bytes (the header's length, little-endian), a JSON header (name -> dtype, shape, byte range), and
the tensors' bytes, without gaps. Format: https://huggingface.co/docs/safetensors. The `safetensors` package can read
files written by `write`, and `read` can read the package's F64 and F32 files. `read` never allocates memory based only
on a size that the header claims.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from microgpt.errors import SafetensorsError
from microgpt.system.files import atomic, open_regular
from microgpt.system.memory import check_fits

FLOATS = {"F64": "d", "F32": "f"}  # supported type -> array type code
MAX_HEADER = 100_000_000  # bytes; the package has the same limit


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        dtype: The element type, F64 or F32.
        shape: The size of each dimension.
        data: The elements as little-endian bytes, in row-major order.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | memoryview

    def floats(self) -> array[float]:
        """Return the elements as float64 values."""
        numbers: array[float] = array(FLOATS[self.dtype])
        numbers.frombytes(self.data)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers if self.dtype == "F64" else array("d", numbers)


def tensor(numbers: array[float], shape: tuple[int, ...], dtype: str = "F64") -> Tensor:
    """Convert a flat float64 buffer to an F64 or F32 tensor."""
    if dtype != "F64" or sys.byteorder == "big":
        numbers = array(FLOATS[dtype], numbers)
    if sys.byteorder == "big":
        numbers.byteswap()
    return Tensor(dtype, shape, memoryview(numbers).cast("B"))


def write(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write a file atomically.

    An existing file is replaced only after the new bytes are safely on disk.

    Args:
        path: The file.
        tensors: The tensors, by name.
        metadata: Metadata strings, by name.

    Raises:
        OSError: The file cannot be written; no partial file remains.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, t in tensors.items():
        start, end = end, end + len(t.data)
        header[name] = {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the tensors
    with atomic(Path(path)) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            file.write(t.data)


def read(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file's tensors and metadata.

    The checks match those of the `safetensors` package, or the format's specification where it is stricter (it forbids
    duplicate names, for example).

    Args:
        path: The file.

    Returns:
        The tensors by name, and the metadata.

    Raises:
        OSError: The file cannot be read.
        SafetensorsError: The file violates the format or contains tensors of unsupported types.
        MemoryError: The file does not fit in memory.
    """
    with open_regular(path) as file:
        entries, metadata, file_size = _beginning(file)
        check_fits(file_size, f"reading {str(path)!r}", "choose a smaller file")
        data = memoryview(file.read())  # read only after checking the header's sizes against the file's size
    return {name: Tensor(dtype, shape, data[start:stop]) for start, stop, name, dtype, shape in entries}, metadata


def read_metadata(path: Path | str) -> dict[str, str]:
    """Read a file's metadata, with the same checks of its header and its size as `read`, but not its tensors."""
    with open_regular(path) as file:
        return _beginning(file)[1]


def _beginning(file: BinaryIO) -> tuple[list[Entry], dict[str, str], int]:
    """Read the header of an open file; return its entries, its metadata, and the file's size."""
    beginning = file.read(8)
    beginning += file.read(min(int.from_bytes(beginning, "little"), MAX_HEADER))
    file_size = os.fstat(file.fileno()).st_size
    return *_layout(beginning, file_size), file_size


def parse(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors and metadata of an in-memory file, with the same checks as `read`."""
    entries, metadata = _layout(content, len(content))
    data = memoryview(content)[8 + int.from_bytes(content[:8], "little") :]
    return {name: Tensor(dtype, shape, data[start:stop]) for start, stop, name, dtype, shape in entries}, metadata


Entry = tuple[int, int, str, str, tuple[int, ...]]  # first byte of the data, end, name, dtype, shape


def _layout(beginning: bytes, file_size: int) -> tuple[list[Entry], dict[str, str]]:
    """Check the header, which `beginning` must contain, against the file's size; return its entries and metadata."""
    if file_size < 8:
        raise SafetensorsError(f"a file must be at least 8 bytes long, got {file_size}")
    length = int.from_bytes(beginning[:8], "little")
    if length > MAX_HEADER:
        raise SafetensorsError(f"the header claims {length} bytes; at most {MAX_HEADER} are allowed")
    if length > file_size - 8:
        raise SafetensorsError(f"the header claims {length} bytes, but only {file_size - 8} follow")
    header = _header(beginning[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise SafetensorsError("__metadata__ must map names to strings")
    try:
        "".join([*header, *metadata, *metadata.values()]).encode()
    except UnicodeEncodeError as error:
        raise SafetensorsError(f"a string in the header is not valid Unicode: {error.reason}") from None
    entries = [_entry(name, entry) for name, entry in header.items()]
    end = 0
    for start, stop, name, dtype, shape in sorted(entries):
        if start != end or stop < start:
            raise SafetensorsError(f"tensor {name!r} must start at byte {end}, got bytes {start} to {stop}")
        count = 1
        for size in shape:
            count *= size
            if count >= 2**64:  # no file is that large, and multiplying very many sizes would take a long time
                raise SafetensorsError(f"tensor {name!r} of shape {list(shape)!r:.60} is too large for any file")
        if count * array(FLOATS[dtype]).itemsize != stop - start:
            raise SafetensorsError(
                f"{dtype} tensor {name!r} of shape {list(shape)!r:.60} does not fill bytes {start} to {stop}"
            )
        end = stop
    if end != file_size - 8 - length:
        raise SafetensorsError(f"the tensors occupy {end} bytes, but {file_size - 8 - length} follow the header")
    return entries, metadata


def _header(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise SafetensorsError("the header must begin with '{'")
    try:
        header = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_whole)
    except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are ValueErrors
        raise SafetensorsError(f"the header is not UTF-8 JSON: {error}") from None
    assert isinstance(header, dict)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("duplicate name")
    return table


def _whole(digits: str) -> int:
    if digits == "-0":
        raise ValueError("-0 is not allowed")
    return int(digits)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not valid JSON")


def _entry(name: str, entry: Any) -> Entry:
    def sizes(key: str) -> tuple[int, ...]:
        value = entry[key]
        if not isinstance(value, list) or not all(type(n) is int and 0 <= n < 2**64 for n in value):
            raise SafetensorsError(f"{key} of tensor {name!r} must be a list of whole numbers, got {value!r:.60}")
        return tuple(value)

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"tensor {name!r} must have dtype, shape and data_offsets, and nothing else")
    if not (isinstance(entry["dtype"], str) and entry["dtype"] in FLOATS):
        raise SafetensorsError(f"dtype of tensor {name!r} must be F64 or F32, got {entry['dtype']!r:.60}")
    offsets = sizes("data_offsets")
    if len(offsets) != 2:
        raise SafetensorsError(f"data_offsets of tensor {name!r} must have two elements, got {len(offsets)}")
    return offsets[0], offsets[1], name, entry["dtype"], sizes("shape")
