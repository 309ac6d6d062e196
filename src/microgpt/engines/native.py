"""The native engine: kernel.c, which is compiled when the package is installed, behind the contract of an engine.

`exact` computes in float64 and gives the reference's numbers bit for bit; `float32` is as fast as the machine goes.
The buffers of the contract lie in Python's memory; the kernel has its own copies, in its own layout and precision, and
brings them up to date at the start and at the end of every call.
"""

from __future__ import annotations

import ctypes
import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_void_p
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from microgpt.config import Config, num_params
from microgpt.engines import Engine, Tokens, check_batch, check_tokens

PRECISIONS = ("exact", "float32")

LIBRARY = Path(__file__).parent / ("_kernel.dll" if sys.platform == "win32" else "_kernel.so")

# One call into the kernel lasts at most about this long, in seconds, or one step: Ctrl-C is answered between two calls.
SLICE = 0.05
# So many steps are handed to the kernel at once: enough that Python does not show, few enough to hold in memory.
STEPS_AT_ONCE = 4096


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


@cache
def kernel(precision: str = "exact", isa: str | None = None) -> Any:
    """The kernel's functions for a precision; isa: `avx512`, `avx2` or `plain` instead of the best this machine has.

    Raises ValueError for an unknown precision or an isa that this machine cannot run, ImportError with the remedy where
    the kernel was not built.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got precision={precision!r}")
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise ImportError(
            f"the native engine needs its compiled kernel, which is not here ({error}): reinstall microgpt-lab on a"
            " machine with a C compiler, or use the scalar engine"
        ) from None
    library.microgpt_kernel.argtypes = [c_int, c_char_p]
    library.microgpt_kernel.restype = POINTER(_Kernel)
    table = library.microgpt_kernel(precision == "exact", isa.encode() if isa else None)
    if not table:
        raise ValueError(f"isa must be one that this machine can run, got isa={isa!r}")
    return table.contents


class NativeEngine(Engine):
    """threads: over the documents of a batch; the numbers are the same for any number of them.

    isa: `avx512`, `avx2` or `plain` instead of the best instruction set that this machine has.
    """

    precisions = PRECISIONS

    def __init__(
        self,
        params: array[float],
        config: Config,
        vocab_size: int,
        *,
        precision: str = "exact",
        threads: int = 1,
        isa: str | None = None,
    ) -> None:
        self._net = None
        self._kernel = kernel(precision, isa)
        if not 1 <= threads <= 256:
            raise ValueError(f"threads must be from 1 to 256, got threads={threads}")
        self.config, self.vocab_size, self.precision = config, vocab_size, precision
        self.params = params
        self._length = num_params(config, vocab_size)
        self._zeros = bytes(8 * self._length)
        self.grads, self.m, self.v = (array("d", self._zeros) for _ in range(3))
        self.step = 0
        sizes = (config.n_embd, config.n_head, config.n_layer, config.block_size, vocab_size)
        settings = _Settings(*sizes, config.activation == "relu2", config.beta1, config.beta2, config.eps_adam, threads)
        self._address("params")
        self._net = self._kernel.open(settings)
        if not self._net:
            raise MemoryError(f"a model of {self._length} parameters does not fit into memory")

    def __del__(self) -> None:
        if self._net:
            self._kernel.close(self._net)

    def _address(self, name: str) -> int:
        """Where the kernel finds a buffer; ValueError if its owner has put something else in its place."""
        buffer = getattr(self, name)
        if not isinstance(buffer, array) or buffer.typecode != "d" or len(buffer) != self._length:
            raise ValueError(f"{name} must be an array('d') of {self._length} numbers, got {str(buffer)[:60]}")
        return buffer.buffer_info()[0]

    def _load(self, *names: str) -> None:
        self._kernel.load(self._net, *(self._address(n) if n in names else None for n in ("params", "m", "v")))

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        check_batch(batch, self.vocab_size)
        packed = _Packed(self.config.block_size)
        packed.add(batch)
        loss = c_double()
        grads = self._address("grads")
        self._load("params")
        weight = 1 / (total or len(batch))
        if not self._kernel.backward(self._net, grads, packed.documents(), len(batch), weight, loss):
            raise MemoryError(f"a batch of {len(batch)} documents does not fit into memory")
        return loss.value

    def update(self, learning_rate: float) -> None:
        buffers = [self._address(name) for name in ("params", "grads", "m", "v")]
        self.step += 1
        self._kernel.update(self._net, *buffers, self._length, self.step, learning_rate)

    def train(self, batches: Iterable[Sequence[Tokens]], learning_rates: Iterable[float]) -> list[float]:
        losses: list[float] = []
        steps = zip(batches, learning_rates)
        if self.grads.tobytes() != self._zeros:  # left from an earlier backward: they belong to the first step
            for batch, learning_rate in islice(steps, 1):
                losses.append(self.backward(batch))
                if not math.isfinite(losses[-1]):
                    return losses
                self.update(learning_rate)
        while True:
            packed = _Packed(self.config.block_size)
            try:
                for batch, learning_rate in islice(steps, STEPS_AT_ONCE):
                    check_batch(batch, self.vocab_size)
                    packed.add(batch, learning_rate)
            finally:  # a mistake in one batch does not undo the steps before it
                losses += self._train(packed)
            if len(packed.learning_rates) < STEPS_AT_ONCE or not math.isfinite(losses[-1]):
                return losses

    def _train(self, packed: _Packed) -> array[float]:
        """All the steps in `packed`, in slices of time, between which Ctrl-C is answered."""
        count = len(packed.learning_rates)
        losses = array("d", bytes(8 * count))
        if not count:
            return losses
        buffers = [self._address(name) for name in ("params", "m", "v")]
        self._kernel.load(self._net, *buffers)
        done = documents = tokens = 0
        try:
            while done < count and (not done or math.isfinite(losses[done - 1])):
                now = self._kernel.train(
                    self._net,
                    packed.documents(tokens, documents),
                    packed.batch_sizes.buffer_info()[0] + 4 * done,
                    packed.learning_rates.buffer_info()[0] + 8 * done,
                    self.step,
                    count - done,
                    SLICE,
                    losses.buffer_info()[0] + 8 * done,
                )
                if now < 0:
                    raise MemoryError(f"a batch of {max(packed.batch_sizes)} documents does not fit into memory")
                self.step += now if math.isfinite(losses[done + now - 1]) else now - 1
                passed = sum(packed.batch_sizes[done : done + now])
                tokens += sum(packed.lengths[documents : documents + passed])
                documents += passed
                done += now
        finally:
            self._kernel.store(self._net, *buffers)
        return losses[:done]

    def logits(self, tokens: Tokens) -> list[Sequence[float]]:
        decoder = self.decoder()
        return [decoder.feed(token_id) for token_id in tokens]

    def decoder(self) -> NativeDecoder:
        return NativeDecoder(self)

    def streams(self, count: int) -> NativeStreams:
        """`count` contexts that grow together, a token each at a time: several times faster than one after another."""
        return NativeStreams(self, count)


class _Packed:
    """Documents end to end, as the kernel reads them, and the steps that they belong to."""

    def __init__(self, block_size: int) -> None:
        self._longest = block_size + 1
        self.tokens, self.lengths, self.batch_sizes = array("i"), array("i"), array("i")
        self.learning_rates = array("d")

    def add(self, batch: Sequence[Tokens], learning_rate: float = 0.0) -> None:
        """A step more. Of a document longer than the context only what is read is kept."""
        for document in batch:
            read = document[: self._longest]
            self.tokens.extend(read)
            self.lengths.append(len(read))
        self.batch_sizes.append(len(batch))
        self.learning_rates.append(learning_rate)

    def documents(self, tokens: int = 0, documents: int = 0) -> _Documents:
        """From this token and this document on."""
        return _Documents(self.tokens.buffer_info()[0] + 4 * tokens, self.lengths.buffer_info()[0] + 4 * documents)


class NativeStreams:
    """Several growing contexts over the parameters of the moment when it was opened."""

    def __init__(self, engine: NativeEngine, count: int) -> None:
        self._decoder = None
        if not 1 <= count <= 65536:
            raise ValueError(f"count must be from 1 to 65536, got count={count}")
        self._engine, self.count = engine, count
        self._kernel, self._vocab_size = engine._kernel, engine.vocab_size
        self._position = 0
        engine._load("params")
        self._decoder = self._kernel.decoder(engine._net, count)
        if not self._decoder:
            raise MemoryError(f"{count} contexts of {engine.config.block_size} tokens do not fit into memory")
        self._logits = array("d", bytes(8 * count * self._vocab_size))

    def __del__(self) -> None:
        if self._decoder:
            self._kernel.decoder_close(self._decoder)

    def feed(self, token_ids: Tokens) -> list[array[float]]:
        """A token for each context -> (count, vocab_size): the logits of the next.

        Raises ValueError when block_size tokens were fed before, or a token_id is not in the vocabulary.
        """
        if len(token_ids) != self.count:
            raise ValueError(f"token_ids must be one for each of {self.count} contexts, got {len(token_ids)}")
        check_tokens(token_ids, self._vocab_size)
        block_size = self._engine.config.block_size
        if self._position == block_size:
            raise ValueError(f"the context is full: block_size={block_size} tokens were fed; open a new decoder")
        self._position += 1
        ids = array("i", token_ids)
        self._kernel.feed(self._decoder, ids.buffer_info()[0], self._logits.buffer_info()[0])
        return [self._logits[i : i + self._vocab_size] for i in range(0, len(self._logits), self._vocab_size)]

    def rewind(self) -> None:
        """Forget what was fed: every context is empty again."""
        self._kernel.rewind(self._decoder)
        self._position = 0


class NativeDecoder:
    """A growing context."""

    def __init__(self, engine: NativeEngine) -> None:
        self._streams = NativeStreams(engine, 1)

    def feed(self, token_id: int) -> array[float]:
        return self._streams.feed([token_id])[0]
