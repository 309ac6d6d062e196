"""kernel.c as a WebAssembly module in a browser: reached from Pyodide through `js`.

Whoever runs Python there instantiates kernel.wasm first, calls its _initialize, and puts what it exports on globalThis
as microgptKernel. Its memory is another than Python's: buffers are copied in before a call, and out after it.
"""

from __future__ import annotations

import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import js
from pyodide.ffi import JsBigInt

# The fields of struct Kernel after its name, in order
FUNCTIONS = (
    *("open", "close", "load", "store", "backward", "train", "update"),
    *("decoder", "decoder_close", "feed", "rewind"),
)


class WebAssembly:
    """The side of `native.Kernel` that the module's instance is behind."""

    def __init__(self, exact: bool, isa: str | None) -> None:
        exports = getattr(js, "microgptKernel", None)
        if exports is None:
            raise ImportError(
                "the native engine needs its compiled kernel, which is not here: before opening it, put the exports of"
                " the instantiated kernel.wasm on globalThis.microgptKernel; or use the scalar engine"
            )
        if isa not in (None, "plain"):
            raise ValueError(f"isa must be plain in WebAssembly, got isa={isa!r}")
        self._memory, self._malloc, self._free = exports.memory, exports.malloc, exports.free
        self._bytes = js.Uint8Array.new(self._memory.buffer)
        table = array("I", bytes(4 * len(FUNCTIONS)))
        self._copy_out(exports.microgpt_kernel(exact, 0) + 4, table)
        in_table = getattr(exports, "__indirect_function_table").get  # after a dot, a class renames it
        self._functions = dict(zip(FUNCTIONS, map(in_table, table)))
        self.close, self.decoder = self._functions["close"], self._functions["decoder"]
        self.decoder_close, self.rewind = self._functions["decoder_close"], self._functions["rewind"]
        self._pace = (0, 1)  # a net, and how many of its steps last about a slice of time

    def _view(self, address: int, size: int) -> Any:
        """So many bytes of the kernel's memory. Worthless after any call, which may let that memory grow."""
        if not self._bytes.byteLength:  # it has grown
            self._bytes = js.Uint8Array.new(self._memory.buffer)
        return self._bytes.subarray(address, address + size)

    def _copy_out(self, address: int, buffer: array[Any]) -> None:
        content = memoryview(buffer).cast("B")
        self._view(address, len(content)).assign_to(content)

    def _point(self, pair: int, addresses: Sequence[int]) -> None:
        """Writes the two pointers of a struct Documents."""
        self._view(pair, 8).assign(struct.pack("<2I", *addresses))

    @contextmanager
    def _lent(self, *buffers: array[Any] | bytes) -> Iterator[list[int]]:
        """The addresses of copies of these buffers in the kernel's memory, which are gone afterwards."""
        parts = [bytes(memoryview(buffer)) for buffer in buffers]
        parts = [part + bytes(-len(part) % 8) for part in parts]
        content = b"".join(parts)
        block = self._malloc(len(content))
        if not block:
            raise MemoryError(f"{len(content)} bytes more do not fit into the memory of WebAssembly")
        try:
            self._view(block, len(content)).assign(content)
            yield list(accumulate(map(len, parts[:-1]), initial=block))
        finally:
            self._free(block)

    def open(self, sizes: Sequence[int], adam: Sequence[float], threads: int) -> int:
        if threads != 1:
            raise ValueError(f"threads must be 1 in WebAssembly, got threads={threads}")
        with self._lent(struct.pack("<6i3di4x", *sizes, *adam, threads)) as (settings,):
            net: int = self._functions["open"](settings)
        return net

    def load(self, net: int, params: array[float], m: array[float] | None, v: array[float] | None) -> None:
        given = [buffer for buffer in (params, m, v) if buffer is not None]
        with self._lent(*given) as addresses:
            self._functions["load"](net, *addresses, *[0] * (3 - len(given)))

    def store(self, net: int, params: array[float], m: array[float], v: array[float]) -> None:
        buffers = (params, m, v)
        with self._lent(*buffers) as addresses:
            self._functions["store"](net, *addresses)
            for address, buffer in zip(addresses, buffers):
                self._copy_out(address, buffer)

    def backward(
        self, net: int, grads: array[float], tokens: array[int], lengths: array[int], weight: float
    ) -> float | None:
        loss = array("d", [0.0])
        with self._lent(loss, grads, bytes(8), tokens, lengths) as (loss_at, grads_at, documents, *texts):
            self._point(documents, texts)
            done = self._functions["backward"](net, grads_at, documents, len(lengths), weight, loss_at)
            self._copy_out(grads_at, grads)
            self._copy_out(loss_at, loss)
        return loss[0] if done else None

    def train(
        self,
        net: int,
        tokens: array[int],
        lengths: array[int],
        batch_sizes: array[int],
        learning_rates: array[float],
        step: int,
        seconds: float,
    ) -> array[float] | None:
        """The module has no clock: how many steps there is time for, the slice before has told."""
        paced, steps = self._pace
        steps = min(steps if paced == net else 1, len(learning_rates))
        documents = sum(batch_sizes[:steps])
        losses = array("d", bytes(8 * steps))
        parts = (tokens[: sum(lengths[:documents])], lengths[:documents], batch_sizes[:steps], learning_rates[:steps])
        start = time.perf_counter()
        with self._lent(losses, bytes(8), *parts) as (losses_at, pair, *addresses):
            self._point(pair, addresses[:2])
            done = self._functions["train"](net, pair, *addresses[2:], JsBigInt(step), steps, seconds, losses_at)
            self._copy_out(losses_at, losses)
        in_time = steps * seconds / max(time.perf_counter() - start, 1e-6)
        self._pace = (net, max(1, int(min(8 * steps, in_time))))
        return losses[:done] if done >= 0 else None

    def update(
        self,
        net: int,
        params: array[float],
        grads: array[float],
        m: array[float],
        v: array[float],
        step: int,
        learning_rate: float,
    ) -> None:
        buffers = (params, grads, m, v)
        with self._lent(*buffers) as addresses:
            self._functions["update"](net, *addresses, JsBigInt(len(params)), JsBigInt(step), learning_rate)
            for address, buffer in zip(addresses, buffers):
                self._copy_out(address, buffer)

    def feed(self, decoder: int, token_ids: array[int], logits: array[float]) -> None:
        with self._lent(token_ids, logits) as (ids_at, logits_at):
            self._functions["feed"](decoder, ids_at, logits_at)
            self._copy_out(logits_at, logits)
