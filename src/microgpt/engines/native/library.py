"""kernel.c as a shared library: bound with ctypes, it reads and writes Python's own buffers."""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parent / ("_kernel.dll" if sys.platform == "win32" else "_kernel.so")


class _Settings(ctypes.Structure):
    _fields_ = (
        *((name, c_int) for name in ("n_embd", "n_head", "n_layer", "block_size", "vocab_size", "relu2")),
        *((name, c_double) for name in ("beta1", "beta2", "eps_adam")),
        ("threads", c_int),
    )


class _Documents(ctypes.Structure):
    _fields_ = (("tokens", c_void_p), ("lengths", c_void_p))


def _function(result: Any, *arguments: Any) -> Any:
    return ctypes.CFUNCTYPE(result, *arguments)


class _Kernel(ctypes.Structure):
    """struct Kernel of kernel.c, field by field."""

    _fields_ = (
        ("name", c_char_p),
        ("open", _function(c_void_p, POINTER(_Settings))),
        ("close", _function(None, c_void_p)),
        ("load", _function(None, *[c_void_p] * 4)),
        ("store", _function(None, *[c_void_p] * 4)),
        ("backward", _function(c_int, c_void_p, c_void_p, _Documents, c_int, c_double, POINTER(c_double))),
        (
            "train",
            _function(c_int, c_void_p, _Documents, c_void_p, c_void_p, c_int64, c_int, c_double, c_void_p),
        ),
        ("update", _function(None, *[c_void_p] * 5, c_int64, c_int64, c_double)),
        ("decoder", _function(c_void_p, c_void_p, c_int)),
        ("decoder_close", _function(None, c_void_p)),
        ("feed", _function(None, c_void_p, c_void_p, c_void_p)),
        ("rewind", _function(None, c_void_p)),
    )


def _address(buffer: array[Any]) -> int:
    return buffer.buffer_info()[0]


def _documents(tokens: array[int], lengths: array[int]) -> _Documents:
    return _Documents(_address(tokens), _address(lengths))


class SharedLibrary:
    """The side of `native.Kernel` that the compiled library is behind."""

    def __init__(self, exact: bool, isa: str | None) -> None:
        try:
            library = ctypes.CDLL(str(LIBRARY))
        except OSError as error:
            raise ImportError(
                f"the native engine needs its compiled kernel, which is not here ({error}): reinstall microgpt-lab on a"
                " machine with a C compiler, or use the scalar engine"
            ) from None
        library.microgpt_kernel.argtypes = [c_int, c_char_p]
        library.microgpt_kernel.restype = POINTER(_Kernel)
        table = library.microgpt_kernel(exact, isa.encode() if isa else None)
        if not table:
            raise ValueError(f"isa must be one that this machine can run, got isa={isa!r}")
        self._kernel = table.contents
        self.close, self.decoder_close = self._kernel.close, self._kernel.decoder_close
        self.rewind = self._kernel.rewind

    def open(self, sizes: Sequence[int], adam: Sequence[float], threads: int) -> int:
        return self._kernel.open(_Settings(*sizes, *adam, threads)) or 0

    def load(self, net: int, params: array[float], m: array[float] | None, v: array[float] | None) -> None:
        self._kernel.load(net, _address(params), m and _address(m), v and _address(v))

    def store(self, net: int, params: array[float], m: array[float], v: array[float]) -> None:
        self._kernel.store(net, _address(params), _address(m), _address(v))

    def backward(
        self, net: int, grads: array[float], tokens: array[int], lengths: array[int], weight: float
    ) -> float | None:
        loss = c_double()
        done = self._kernel.backward(net, _address(grads), _documents(tokens, lengths), len(lengths), weight, loss)
        return loss.value if done else None

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
        steps = len(learning_rates)
        losses = array("d", bytes(8 * steps))
        done = self._kernel.train(
            net,
            _documents(tokens, lengths),
            _address(batch_sizes),
            _address(learning_rates),
            step,
            steps,
            seconds,
            _address(losses),
        )
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
        self._kernel.update(net, *map(_address, (params, grads, m, v)), len(params), step, learning_rate)

    def decoder(self, net: int, streams: int) -> int:
        return self._kernel.decoder(net, streams) or 0

    def feed(self, decoder: int, token_ids: array[int], logits: array[float]) -> None:
        self._kernel.feed(decoder, _address(token_ids), _address(logits))
