"""The kernel as a WebAssembly module in the browser, called from Pyodide through `js`.

Before Python opens the kernel, the page must instantiate kernel.wasm, call its _initialize, and assign its exports to
globalThis.microgptKernel. The module has its own memory: buffers are copied into it before each call, and copied
back afterward.
"""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import js
from pyodide.ffi import JsBigInt

from microgpt.engines.native.binding import FUNCTIONS, SETTINGS, Kernel

# The format of struct Settings. Python also runs as WebAssembly, so it aligns fields as the kernel's C compiler does
SETTINGS_FORMAT = "".join({"int": "i", "double": "d"}[kind] for kind in SETTINGS.values()) + "0d"
POINTERS = {"settings", "documents", "ints", "doubles", "written"}


class WebAssembly(Kernel):
    """The kernel as a WebAssembly module that the page has instantiated.

    Args:
        exact: Whether to use `exact` precision rather than `float32`.
        isa: `plain` or None; both have the same effect here.

    Raises:
        ImportError: The page has not set globalThis.microgptKernel.
        ValueError: isa is neither `plain` nor None.
    """

    def __init__(self, exact: bool, isa: str | None) -> None:
        exports = getattr(js, "microgptKernel", None)
        if exports is None:
            raise ImportError(
                "the native engine needs its compiled kernel, which was not found: either assign the exports of the"
                " instantiated kernel.wasm to globalThis.microgptKernel before opening the engine, or use the scalar"
                " engine"
            )
        if isa not in (None, "plain"):
            raise ValueError(f"isa must be plain in WebAssembly, got isa={isa!r}")
        self._memory, self._malloc, self._free = exports.memory, exports.malloc, exports.free
        self._bytes = js.Uint8Array.new(self._memory.buffer)
        table = array("I", bytes(4 * len(FUNCTIONS)))
        self._copy_out(exports.microgpt_kernel(exact, 0) + 4, table)
        in_table = getattr(exports, "__indirect_function_table").get  # as an attribute, the name would be mangled
        super().__init__(
            SimpleNamespace(
                **{
                    name: self._bound(in_table(index), kinds)
                    for index, (name, (_, *kinds)) in zip(table, FUNCTIONS.items())
                }
            )
        )
        # The last net, and how many of its steps or documents fit in one time slice
        self._paces = {"train": (0, 1), "losses": (0, 1)}

    def _view(self, address: int, size: int) -> Any:
        """Return a view of part of the kernel's memory; the next call may grow the memory and invalidate the view."""
        if not self._bytes.byteLength:  # the memory has grown and detached the old array
            self._bytes = js.Uint8Array.new(self._memory.buffer)
        return self._bytes.subarray(address, address + size)

    def _copy_out(self, address: int, buffer: array[Any]) -> None:
        content = memoryview(buffer).cast("B")
        self._view(address, len(content)).assign_to(content)

    @contextmanager
    def _copied_in(self, *buffers: array[Any] | bytes) -> Iterator[list[int]]:
        """Copy buffers into the kernel's memory for the duration of the context; yield the copies' addresses."""
        parts = [bytes(memoryview(buffer)) for buffer in buffers]
        parts = [part + bytes(-len(part) % 8) for part in parts]
        content = b"".join(parts)
        block = self._malloc(len(content))
        if not block:
            raise MemoryError(f"cannot allocate {len(content)} bytes of WebAssembly memory")
        try:
            self._view(block, len(content)).assign(content)
            yield list(accumulate(map(len, parts[:-1]), initial=block))
        finally:
            self._free(block)

    def _bound(self, function: Any, kinds: Sequence[str]) -> Callable[..., Any]:
        return partial(self._call, function, kinds) if POINTERS & set(kinds) else function

    def _call(self, function: Any, kinds: Sequence[str], *values: Any) -> Any:
        """Call one of the kernel's functions, then copy the buffers that the function changed back to Python."""
        buffers: list[array[Any] | bytes] = []
        for kind, value in zip(kinds, values):
            if kind == "settings":
                buffers.append(struct.pack(SETTINGS_FORMAT, *value))
            elif kind == "documents":
                buffers += [bytes(8), *value]  # room for two pointers, filled in once the addresses are known
            elif kind in POINTERS and value is not None:
                buffers.append(value)
        with self._copied_in(*buffers) as addresses:
            following = iter(addresses)
            arguments: list[Any] = []
            for kind, value in zip(kinds, values):
                if kind == "int64":
                    arguments.append(JsBigInt(value))
                elif kind in POINTERS:
                    arguments.append(0 if value is None else next(following))
                else:
                    arguments.append(value)
                if kind == "documents":
                    pointers = struct.pack("<2I", next(following), next(following))
                    self._view(arguments[-1], 8).assign(pointers)
            result = function(*arguments)
            for kind, value, address in zip(kinds, values, arguments):
                if kind == "written":
                    self._copy_out(address, value)
        return result

    def open(self, sizes: Sequence[int], optimizer: Sequence[float], threads: int) -> int:
        if threads != 1:
            raise ValueError(f"threads must be 1 in WebAssembly, got threads={threads}")
        return super().open(sizes, optimizer, threads)

    def train(
        self,
        net: int,
        tokens: array[int],
        lengths: array[int],
        batch_sizes: array[int],
        learning_rates: array[float],
        part: int,
        step: int,
        seconds: float,
    ) -> array[float] | None:
        with self._paced("train", net, len(learning_rates), seconds) as steps:
            documents = sum(batch_sizes[:steps])
            read = (tokens[: sum(lengths[:documents])], lengths[:documents])
            return super().train(net, *read, batch_sizes[:steps], learning_rates[:steps], part, step, seconds)

    def losses(self, net: int, tokens: array[int], lengths: array[int], seconds: float) -> array[float] | None:
        with self._paced("losses", net, len(lengths), seconds) as documents:
            return super().losses(net, tokens[: sum(lengths[:documents])], lengths[:documents], seconds)

    @contextmanager
    def _paced(self, name: str, net: int, count: int, seconds: float) -> Iterator[int]:
        """Time the context, and yield how many of `count` steps or documents to compute in it.

        The module has no clock, so the number that fits into `seconds` is known from the last call's duration.
        """
        paced, fitting = self._paces[name]
        number = min(fitting if paced == net else 1, count)
        start = time.perf_counter()
        yield number
        in_time = number * seconds / max(time.perf_counter() - start, 1e-6)
        self._paces[name] = (net, max(1, int(min(8 * number, in_time))))
