"""The native engine: forward, backward and Adam in C, behind the engine interface.

The C code is in kernel/. `exact` computes in float64 and reproduces the reference bit for bit; `float32` is faster but
less precise. The engine's buffers belong to Python. The kernel stores copies in its own layout and precision, which are
synchronized at the start and end of every call.

The kernel is compiled when the package is installed. library.py binds it with ctypes. In a browser, wasm.py calls it as
WebAssembly, where exp, log and pow give slightly different results: there, `exact` stays within 1e-12 of the reference
for one pass, and within 1e-9 for a training run.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import Any, ClassVar

from microgpt.activations import ACTIVATIONS
from microgpt.config import Config, num_params
from microgpt.engines.base import (
    DIVERGED,
    GREEDY,
    STREAMS,
    Decoder,
    Engine,
    Streams,
    Tokens,
    check_batch,
    check_tokens,
    groups,
    truncated,
)
from microgpt.engines.native.binding import Kernel
from microgpt.engines.native.packed import Packed, Past
from microgpt.flops import estimated_step_flops
from microgpt.system.hardware import cores

PRECISIONS = ("exact", "float32")

# The approximate time limit for a call to the kernel, in seconds (a call completes at least one step). Ctrl-C is
# handled between calls.
SLICE = 0.05
# Flops per step below which threads spend more time waiting for each other than they save
THREADS_FLOPS = 2e8
# The number of steps packed at once: large enough to hide Python's overhead, small enough to fit in memory.
STEPS_AT_ONCE = 4096
# The number of tokens of documents packed at once to compute their losses, for the same reason
TOKENS_AT_ONCE = 1 << 16


@cache
def kernel(precision: str = "exact", isa: str | None = None) -> Kernel:
    """Return the kernel for a precision.

    Args:
        precision: `exact` or `float32`.
        isa: The instruction set: `avx512`, `avx2` or `plain`; default: the best one that this machine supports.

    Raises:
        ValueError: If the precision is unknown, or this machine does not support the instruction set.
        ImportError: If the kernel has not been built; the message says what to do.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got precision={precision!r}")
    if sys.platform == "emscripten":
        from microgpt.engines.native.wasm import WebAssembly

        return WebAssembly(precision == "exact", isa)
    from microgpt.engines.native.library import SharedLibrary

    return SharedLibrary(precision == "exact", isa)


def helpful_threads(config: Config, vocab_size: int) -> int:
    """Return how many threads can speed up a training step on this machine."""
    if sys.platform == "emscripten" or estimated_step_flops(config, vocab_size) < THREADS_FLOPS:
        return 1
    return max(1, min(cores(), config.batch_size, 256))


def _references(owner: object, name: str) -> int:
    """Return the number of references to an attribute's value; a Python that does not count them returns a million."""
    return sys.getrefcount(getattr(owner, name)) if hasattr(sys, "getrefcount") else 10**6


class _Buffer:
    """An attribute that holds a buffer, and brings it up to date when it is read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, engine: NativeEngine, owner: type[NativeEngine]) -> Any:
        self._leave_kernel(engine)
        return getattr(engine, f"_{self.name}")

    def __set__(self, engine: NativeEngine, buffer: array[float]) -> None:
        self._leave_kernel(engine)
        setattr(engine, f"_{self.name}", buffer)

    def _leave_kernel(self, engine: NativeEngine) -> None:
        engine._settle()
        if self.name == "grads":
            engine._grads_may_have_changed = True
        else:
            engine._store()
            engine._may_have_changed = True


# What `_references` returns if nobody else holds the value; at most a thousand, so that a Python that does not count
# references never takes a buffer for unshared
UNSHARED = min(_references(SimpleNamespace(buffer=array("d")), "buffer"), 1000)


class NativeEngine(Engine):
    """An engine that runs the C kernel.

    Args:
        params: The initial parameters; the engine takes ownership of the buffer.
        config: The model's sizes and settings.
        vocab_size: The number of tokens, including BOS.
        precision: `exact` or `float32`.
        threads: The number of threads, between 1 and 256, that share a batch's documents; default: as many as
            training can benefit from. The number of threads does not affect the results.
        isa: The instruction set: `avx512`, `avx2` or `plain`; default: the best one that this machine supports.
    """

    name: ClassVar[str] = "native"
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS
    takes_threads: ClassVar[bool] = True
    options: ClassVar[frozenset[str]] = frozenset({"isa"})
    opens_streams: ClassVar[bool] = True
    generates: ClassVar[bool] = True

    def __init__(
        self,
        params: array[float],
        config: Config,
        vocab_size: int,
        *,
        precision: str = "exact",
        threads: int | None = None,
        isa: str | None = None,
    ) -> None:
        self._net = 0
        self._kernel = kernel(precision, isa)
        if threads is None:
            threads = helpful_threads(config, vocab_size)
        if not 1 <= threads <= 256:
            raise ValueError(f"threads must be between 1 and 256, got threads={threads}")
        self.config, self.vocab_size, self.precision = config, vocab_size, precision
        self._length = num_params(config, vocab_size)
        self._zeros = bytes(8 * self._length)
        self._params = params
        self._grads, self._m, self._v = (array("d", self._zeros) for _ in range(3))
        self._kernel_is_newer = False  # than the buffers params, m and v
        self._may_have_changed = True  # the buffers, since the kernel loaded them
        self._grads_may_have_changed = False  # since they were 0
        self._step = self._shown = 0  # the step of the kernel or the buffers; the step that `step` and readers see
        self._past: Past | None = None
        sizes = (config.n_embd, config.n_head, config.n_layer, config.block_size, vocab_size)
        optimizer = (config.beta1, config.beta2, config.eps_adam, config.weight_decay, config.clip)
        self._buffer("params")
        self._net = self._kernel.open((*sizes, list(ACTIVATIONS).index(config.activation)), optimizer, threads)
        if not self._net:
            raise MemoryError(f"a model of {self._length} parameters does not fit in memory")

    def __del__(self) -> None:
        if self._net:
            self._kernel.close(self._net)

    params, m, v, grads = (_Buffer(name) for name in ("params", "m", "v", "grads"))

    @property
    def step(self) -> int:
        return self._shown

    @step.setter
    def step(self, step: int) -> None:
        self._settle()
        self._step = self._shown = step

    def remember(self) -> bool:
        self._settle()
        if self._has_gradient() or self._grads_may_have_changed or self._is_held("_params", "_m", "_v"):
            return False
        params, m, v = (array("d", self._zeros) for _ in range(3))
        if self._kernel_is_newer:
            self._kernel.store(self._net, params, m, v)
        else:
            params[:], m[:], v[:] = self._buffer("params"), self._buffer("m"), self._buffer("v")
        self._past = Past(self._step, params, m, v, [])
        return True

    def rewind(self, step: int) -> bool:
        if self._past is None:
            return False
        self._shown = step
        return True

    def _settle(self) -> None:
        """If the kernel is ahead of the step shown, return to that step: train again from the remembered state."""
        past, self._past = self._past, None
        if past is None or not past.calls:
            return
        if self._shown == self._step != past.step:  # at past.step, an interrupted call may have changed the kernel
            return
        self._kernel.load(self._net, past.params, past.m, past.v)
        self._kernel_is_newer, self._may_have_changed = True, False
        shown, self._step = self._shown, past.step
        for packed, part in past.calls:
            self._train(packed.split(shown - self._step)[0], part)

    def _store(self) -> None:
        """Bring the buffers up to date."""
        if self._kernel_is_newer:
            self._kernel.store(self._net, self._params, self._m, self._v)
            self._kernel_is_newer = False

    def _load_params(self) -> None:
        """Bring the kernel's parameters up to date."""
        self._settle()
        if self._may_have_changed:
            self._kernel.load(self._net, self._buffer("params"), None, None)

    def _is_held(self, *names: str) -> bool:
        """Return whether anybody else holds one of these buffers, and could read or write it at any time."""
        return any(_references(self, name) > UNSHARED for name in names)

    def _buffer(self, name: str) -> array[float]:
        """Return a buffer; raise ValueError if its owner has replaced it with an invalid object."""
        return self._checked(name, getattr(self, name))

    def _checked(self, name: str, buffer: Any) -> array[float]:
        if not isinstance(buffer, array) or buffer.typecode != "d" or len(buffer) != self._length:
            raise ValueError(f"{name} must be an array('d') of {self._length} values, got {str(buffer)[:60]}")
        return buffer

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        check_batch(batch, self.vocab_size)
        packed = Packed(self.config)
        packed.add(batch)
        grads = self._buffer("grads")
        self._load_params()
        loss = self._kernel.backward(self._net, grads, packed.tokens, packed.lengths, 1 / (total or len(batch)))
        if loss is None:
            raise MemoryError(f"a batch of {len(batch)} documents does not fit in memory")
        return loss

    def update(self, learning_rate: float) -> None:
        params, grads, m, v = (self._buffer(name) for name in ("params", "grads", "m", "v"))
        self.step += 1
        self._kernel.update(self._net, params, grads, m, v, self.step, learning_rate)

    def clip(self, max_norm: float) -> float:
        norm = self._kernel.clip(self._net, self._buffer("grads"), max_norm)
        if norm is None:
            raise MemoryError("the gradient's sums of squares do not fit in memory")
        return norm

    def train(
        self,
        batches: Iterable[Sequence[Tokens]],
        learning_rates: Iterable[float],
        micro_batch_size: int | None = None,
    ) -> list[float]:
        if self._past and self._past.calls:  # it belongs to an earlier call
            self._settle()
        losses: list[float] = []
        steps = zip(batches, learning_rates)
        if self._has_gradient():  # the gradient of an earlier backward() belongs to the first step
            for batch, learning_rate in islice(steps, 1):
                losses += super().train([batch], [learning_rate], micro_batch_size)
                if not math.isfinite(losses[-1]):
                    return losses
        while True:
            packed = Packed(self.config)
            try:
                for batch, learning_rate in islice(steps, STEPS_AT_ONCE):
                    check_batch(batch, self.vocab_size)
                    packed.add(batch, learning_rate)
            finally:  # an invalid batch does not undo the preceding steps
                if self._past:
                    self._past.calls.append((packed, micro_batch_size or 0))
                losses += self._train(packed, micro_batch_size or 0)
            if len(packed.learning_rates) < STEPS_AT_ONCE or not math.isfinite(losses[-1]):
                return losses

    def _has_gradient(self) -> bool:
        if not self._grads_may_have_changed:
            return False
        has_gradient = self._buffer("grads").tobytes() != self._zeros
        self._grads_may_have_changed = has_gradient or self._is_held("_grads")
        return has_gradient

    def _train(self, packed: Packed, part: int) -> array[float]:
        """Train for all steps in `packed`, in time slices; Ctrl-C is handled between the slices.

        The results stay in the kernel until somebody reads a buffer, because copying them can take longer than a step.
        """
        losses = array("d")
        if not packed.learning_rates:
            return losses
        if self._may_have_changed:
            # not through the attributes, whose readers end what `remember` began
            params, m, v = (self._checked(name, getattr(self, f"_{name}")) for name in ("params", "m", "v"))
            self._kernel.load(self._net, params, m, v)
            del params, m, v
        self._kernel_is_newer, self._may_have_changed = True, False
        try:
            while packed.learning_rates and (not losses or math.isfinite(losses[-1])):
                now = self._kernel.train(
                    self._net,
                    packed.tokens,
                    packed.lengths,
                    packed.batch_sizes,
                    packed.learning_rates,
                    part,
                    self._step,
                    SLICE,
                )
                if now is None:
                    raise MemoryError(f"a batch of {max(packed.batch_sizes)} documents does not fit in memory")
                self._kernel_is_newer, self._may_have_changed = True, False  # even if another thread has read a buffer
                losses += now
                self._step += len(now) if math.isfinite(now[-1]) else len(now) - 1
                if len(now) == len(packed.learning_rates):
                    break
                packed = packed.split(len(now))[1]
        finally:
            self._shown = self._step
            if self._is_held("_params", "_m", "_v"):
                self._store()
                self._may_have_changed = True
        return losses

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        for group in groups((truncated(document, self.config) for document in documents), TOKENS_AT_ONCE):
            yield from self._losses(group)

    def _losses(self, documents: Sequence[Tokens]) -> array[float]:
        """Return the documents' losses, computed in time slices; Ctrl-C is handled between the slices."""
        for document in documents:
            check_tokens(document, self.vocab_size)
        packed = Packed(self.config)
        packed.add(documents)
        tokens, lengths = packed.tokens, packed.lengths
        self._load_params()
        losses = array("d")
        while lengths:
            now = self._kernel.losses(self._net, tokens, lengths, SLICE)
            if now is None:
                raise MemoryError(f"the losses of documents of up to {max(lengths)} tokens do not fit in memory")
            losses += now
            tokens, lengths = tokens[sum(lengths[: len(now)]) :], lengths[len(now) :]
        return losses

    def decoder(self) -> NativeDecoder:
        return NativeDecoder(self)

    def streams(self, count: int) -> NativeStreams:
        return NativeStreams(self, count)

    def generate(
        self,
        prompt: Tokens,
        chances: array[float],
        *,
        end: int,
        documents: int,
        limit: int,
        in_turn: bool,
        temperature: float,
        top_k: int | None,
    ) -> tuple[list[array[int]], int]:
        check_tokens(prompt, self.vocab_size)
        if not prompt or not 0 <= limit <= self.config.block_size + 1 - len(prompt):
            raise ValueError(
                f"prompt and limit must be within the context, got {len(prompt)} tokens and limit={limit} for"
                f" block_size={self.config.block_size}"
            )
        if len(chances) < documents * limit and temperature >= GREEDY:
            raise ValueError(f"chances must contain {documents * limit} numbers, got {len(chances)}")
        _check_top_k(top_k)
        count = max(1, min(documents, STREAMS))
        streams = NativeStreams(self, 1, alone=True) if in_turn else NativeStreams(self, count)
        generated = self._kernel.generate(
            streams._decoder,
            array("i", prompt),
            end,
            chances,
            documents,
            limit,
            in_turn,
            _scale(temperature),
            top_k or 0,
        )
        if generated is None:
            raise FloatingPointError(DIVERGED)
        tokens, lengths, used = generated
        return [tokens[i * limit : i * limit + length] for i, length in enumerate(lengths)], used


class NativeStreams(Streams):
    """Several contexts that use the engine's parameters as they were when the contexts were opened.

    A context's logits are bit-for-bit identical regardless of the number of contexts.

    Args:
        engine: The engine.
        count: The number of contexts, between 1 and 65536.
        alone: Use the kernel's fastest code for a single context; in float32, this code sums in a different order.
            Otherwise, a single context is computed together with a copy, whose results are discarded.
    """

    draws = True

    def __init__(self, engine: NativeEngine, count: int, alone: bool = False) -> None:
        self._decoder = 0
        if not 1 <= count <= 65536:
            raise ValueError(f"count must be between 1 and 65536, got count={count}")
        self._engine, self.count = engine, count
        self._rows = count if alone else max(2, count)
        self._kernel, self._vocab_size = engine._kernel, engine.vocab_size
        self._position = 0
        engine._load_params()
        self._decoder = self._kernel.decoder(engine._net, self._rows)
        if not self._decoder:
            raise MemoryError(f"{count} contexts of {engine.config.block_size} tokens do not fit in memory")
        self._logits = array("d", bytes(8 * self._rows * self._vocab_size))

    def __del__(self) -> None:
        if self._decoder:
            self._kernel.decoder_close(self._decoder)

    def _advance(self, token_ids: Tokens) -> array[int]:
        """Check the tokens to feed, and return them with a copy of the first token for an idle context."""
        if len(token_ids) != self.count:
            raise ValueError(
                f"token_ids must contain one token for each of the {self.count} contexts, got {len(token_ids)}"
            )
        check_tokens(token_ids, self._vocab_size)
        block_size = self._engine.config.block_size
        if self._position == block_size:
            raise ValueError(
                f"the context is full: it holds at most block_size={block_size} tokens; create a new decoder"
            )
        self._position += 1
        ids = array("i", token_ids)
        ids.extend(ids[: self._rows - self.count])
        return ids

    def feed(self, token_ids: Tokens) -> list[array[float]]:
        """Feed one token to each context and return each context's logits, with shape (count, vocab_size).

        Raises:
            ValueError: If the contexts are full, or a token id is not in the vocabulary.
        """
        self._kernel.feed(self._decoder, self._advance(token_ids), self._logits)
        size = self._vocab_size
        return [self._logits[i : i + size] for i in range(0, self.count * size, size)]

    def draw(self, token_ids: Tokens, chances: Sequence[float], temperature: float, top_k: int | None) -> list[int]:
        if len(chances) != self.count:
            raise ValueError(
                f"chances must contain one chance for each of the {self.count} contexts, got {len(chances)}"
            )
        _check_top_k(top_k)
        ids = self._advance(token_ids)
        chosen = self._kernel.draw(self._decoder, ids, array("d", chances), _scale(temperature), top_k or 0)
        if chosen is None:
            raise FloatingPointError(DIVERGED)
        return list(chosen)

    def rewind(self) -> None:
        """Clear every context."""
        self._kernel.rewind(self._decoder)
        self._position = 0


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got top_k={top_k}")


def _scale(temperature: float) -> float:
    """Return the factor for the logits, 0 for the likeliest token."""
    return 0.0 if temperature < GREEDY else temperature**-1


class NativeDecoder(Decoder):
    """A single context that uses the engine's parameters as they were when the context was opened."""

    draws = True

    def __init__(self, engine: NativeEngine) -> None:
        self._streams = NativeStreams(engine, 1, alone=True)

    def feed(self, token_id: int) -> array[float]:
        return self._streams.feed([token_id])[0]

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        return self._streams.draw([token_id], [chance], temperature, top_k)[0]
