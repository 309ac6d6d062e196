"""The scalar engine: reference.py itself behind the engine interface.

This engine is slow, but correct by definition. Where Python raises an exception because a number is out of range (a
power that overflows, the logarithm of 0), the engine continues with inf or nan, as engines/base.py demands. An edited
program's exceptions are passed on, for its author to read.
"""

from __future__ import annotations

import gc
import math
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from microgpt.config import Config
from microgpt.engines.base import Decoder, Engine, Tokens, check_batch, check_tokens
from microgpt.engines.program import REFERENCE, Program, ScalarModel
from microgpt.reference import Value


@contextmanager
def scalar_arithmetic() -> Iterator[None]:
    """A context manager that disables cyclic garbage collection and converts arithmetic errors to FloatingPointError.

    A graph of Values has no cycles, so on CPython, which counts references, the collector would only waste time. Python
    raises OverflowError, ZeroDivisionError or ValueError (log of 0) where other engines return inf or nan.

    Raises:
        FloatingPointError: A value is outside the range of float64.
    """
    was_enabled = gc.isenabled()
    if sys.implementation.name == "cpython":
        gc.disable()
    try:
        yield
    except (ArithmeticError, ValueError) as error:
        raise FloatingPointError(f"a value is outside the range of float64: {error}") from error
    finally:
        if was_enabled:
            gc.enable()


class _Gradient(float):
    """A gradient whose square overflows to inf."""

    def __pow__(self, n: float, modulus: None = None) -> Any:
        try:
            return float(self) ** n
        except OverflowError:
            return math.inf


class ScalarEngine(Engine):
    """An engine that calls the functions of reference.py or another program; every call builds a new graph."""

    name: ClassVar[str] = "scalar"

    def __init__(self, params: array[float], config: Config, vocab_size: int, program: Program = REFERENCE) -> None:
        self.config, self.vocab_size, self.program = config, vocab_size, program
        self.params = params
        self.grads, self.m, self.v = (array("d", bytes(8 * len(params))) for _ in range(3))
        self.step = 0

    @property
    def model(self) -> ScalarModel:
        """The program with its settings and the current parameters."""
        return ScalarModel(self.params, self.config, self.vocab_size, self.program)

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        check_batch(batch, self.vocab_size)
        try:
            return self._backward(batch, 1 / (total or len(batch)))
        except FloatingPointError:
            if self.program is not REFERENCE:
                raise
            return math.nan

    def _backward(self, batch: Sequence[Tokens], weight: float) -> float:
        model = self.model
        losses = 0.0
        with scalar_arithmetic():
            leaves = model.leaves()
            state_dict = model.state_dict(leaves)
            for tokens in batch:
                loss = self.program.module.loss(tokens, state_dict, **model.loss_arguments)
                losses += loss.data
                (loss * weight).backward()
                del loss  # frees the graph before the next document's graph is built
                for i, leaf in enumerate(leaves):
                    self.grads[i] += leaf.grad
                    leaf.grad = 0.0
        return losses * weight

    def update(self, learning_rate: float) -> None:
        model, step = self.model, self.step
        with scalar_arithmetic():
            leaves = model.leaves()
            for leaf, grad in zip(leaves, self.grads):
                leaf.grad = grad if abs(grad) < 1e154 else _Gradient(grad)
            m, v = self.m[:], self.v[:]
            rate = self.program.learning_rate(step, learning_rate)
            model.update(leaves, m, v, step + 1, rate)
        # apply all changes at the end, so that a failed or interrupted update changes nothing
        self.params[:] = array("d", [leaf.data for leaf in leaves])
        self.m[:], self.v[:], self.grads[:] = m, v, array("d", bytes(8 * len(leaves)))
        self.step += 1

    def decoder(self) -> ScalarDecoder:
        return ScalarDecoder(self.model)


class ScalarDecoder(Decoder):
    """A decoder that calls the program's gpt() with the parameters the model had when the decoder was created."""

    def __init__(self, model: ScalarModel) -> None:
        self._model, self._state_dict = model, model.state_dict()
        self._keys: list[list[list[Value]]] = [[] for _ in range(model.config.n_layer)]
        self._values: list[list[list[Value]]] = [[] for _ in range(model.config.n_layer)]
        self._pos_id = 0

    def feed(self, token_id: int) -> list[float]:
        block_size, module = self._model.config.block_size, self._model.program.module
        check_tokens([token_id], len(self._state_dict["wte"]))
        if self._pos_id == block_size:
            raise ValueError(
                f"the context is full: it holds at most block_size={block_size} tokens; create a new decoder"
            )
        args = (token_id, self._pos_id, self._keys, self._values, self._state_dict)
        try:
            with scalar_arithmetic():
                logits = [logit.data for logit in module.gpt(*args, **self._model.gpt_arguments)]
        except FloatingPointError:
            if self._model.program is not REFERENCE:
                raise
            logits = [math.nan] * self._model.vocab_size
            for past in (*self._keys, *self._values):  # nor would the layers above get anything but nan
                if len(past) == self._pos_id:
                    past.append([module.Value(math.nan)] * self._model.config.n_embd)
        for past in (*self._keys, *self._values):  # keep the values, but free their graph
            past[-1] = [module.Value(x.data) for x in past[-1]]
        self._pos_id += 1
        return logits
