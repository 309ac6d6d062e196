"""The kernel as a shared library, bound with ctypes.

The kernel reads and writes Python's own buffers.
"""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

from microgpt.engines.native.binding import FUNCTIONS, SETTINGS, Kernel

LIBRARY = Path(__file__).parent / ("_kernel.dll" if sys.platform == "win32" else "_kernel.so")
NUMBERS: dict[str, Any] = {"int": c_int, "int64": c_int64, "double": c_double}


class _Buffer:
    @classmethod
    def from_param(cls, buffer: array[Any] | None) -> c_void_p | None:
        return None if buffer is None else c_void_p(buffer.buffer_info()[0])


class _Settings(ctypes.Structure):
    _fields_ = tuple((name, NUMBERS[kind]) for name, kind in SETTINGS.items())

    @classmethod
    def from_param(cls, values: Sequence[float]) -> Any:
        return ctypes.byref(cls(*values))


class _Documents(ctypes.Structure):
    _fields_ = (("tokens", c_void_p), ("lengths", c_void_p))

    @classmethod
    def from_param(cls, documents: Sequence[array[int]]) -> _Documents:
        return cls(*(buffer.buffer_info()[0] for buffer in documents))


KINDS: dict[str, Any] = {
    **NUMBERS,
    **dict.fromkeys(("ints", "doubles", "written"), _Buffer),
    **{"void": None, "handle": c_void_p, "settings": _Settings, "documents": _Documents},
}


class _Table(ctypes.Structure):
    """The struct Kernel that api.h declares."""

    _fields_ = (
        ("name", c_char_p),
        *((name, ctypes.CFUNCTYPE(*(KINDS[kind] for kind in kinds))) for name, kinds in FUNCTIONS.items()),
    )


class SharedLibrary(Kernel):
    """The kernel in the shared library that was compiled during installation.

    Args:
        exact: Whether to use `exact` rather than `float32`.
        isa: The instruction set; None for the best one that this machine supports.

    Raises:
        ImportError: If the library is missing, or was compiled only for instruction sets that this machine lacks.
        ValueError: If this machine does not support the instruction set.
    """

    def __init__(self, exact: bool, isa: str | None) -> None:
        try:
            library = ctypes.CDLL(str(LIBRARY))
        except OSError as error:
            raise ImportError(
                f"the native engine needs its compiled kernel, which cannot be loaded ({error}): reinstall this package"
                " on a machine with a C compiler, or use the scalar engine"
            ) from None
        library.microgpt_kernel.argtypes = [c_int, c_char_p]
        library.microgpt_kernel.restype = POINTER(_Table)
        table = library.microgpt_kernel(exact, isa.encode() if isa else None)
        if not table and isa is None:
            raise ImportError(
                "the native engine's kernel was compiled for another processor: reinstall this package on this machine,"
                " or use the scalar engine"
            )
        if not table:
            raise ValueError(f"isa must be an instruction set that this machine supports, got isa={isa!r}")
        super().__init__(table.contents)
