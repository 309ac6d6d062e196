"""The scalar engine: reference.py itself behind the contract of an engine. Slow, and right by definition."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from microgpt import reference
from microgpt.config import Config, shapes
from microgpt.engines import Engine, Tokens, check_batch, check_tokens
from microgpt.reference import Value

ACTIVATIONS: dict[str, Callable[[Value], Value]] = {
    "relu": lambda x: x.relu(),
    "relu2": lambda x: x.relu() ** 2,
}

StateDict = dict[str, list[list[Value]]]


@contextmanager
def scalar_arithmetic() -> Iterator[None]:
    """Python's numbers, where the cyclic collector rests and what leaves their range is one error.

    A graph of Values has no cycles: where references are counted (CPython) the collector would only cost time. Python
    raises OverflowError, ZeroDivisionError or ValueError (the log of 0) where other engines give inf or nan.
    """
    was_enabled = gc.isenabled()
    if sys.implementation.name == "cpython":
        gc.disable()
    try:
        yield
    except (ArithmeticError, ValueError) as error:
        raise FloatingPointError(f"a number left the range of float64: {error}") from error
    finally:
        if was_enabled:
            gc.enable()


def graph(
    params: Sequence[float], config: Config, vocab_size: int, value: Callable[[float], Value] = Value
) -> tuple[list[Value], StateDict]:
    """The parameters as leaves (`value` makes them) of a fresh graph: flat, and as the matrices of the reference."""
    leaves = [value(p) for p in params]
    rest = iter(leaves)
    state_dict = {
        name: [[next(rest) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes(config, vocab_size).items()
    }
    return leaves, state_dict


class ScalarEngine(Engine):
    """The reference's own functions. Its graph is built anew from the buffers at every call."""

    def __init__(self, params: array[float], config: Config, vocab_size: int) -> None:
        self.config, self.vocab_size = config, vocab_size
        self.params = params
        self.grads, self.m, self.v = (array("d", bytes(8 * len(params))) for _ in range(3))
        self.step = 0

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        check_batch(batch, self.vocab_size)
        c = self.config
        weight = 1 / (total or len(batch))
        losses = 0.0
        with scalar_arithmetic():
            leaves, state_dict = graph(self.params, c, self.vocab_size)
            for tokens in batch:
                loss = reference.loss(tokens, state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])
                losses += loss.data
                (loss * weight).backward()
                del loss  # frees the graph before the next one is built
                for i, leaf in enumerate(leaves):
                    self.grads[i] += leaf.grad
                    leaf.grad = 0.0
        return losses * weight

    def update(self, learning_rate: float) -> None:
        c = self.config
        with scalar_arithmetic():
            leaves = [Value(p) for p in self.params]
            for leaf, grad in zip(leaves, self.grads):
                leaf.grad = grad
            m, v = self.m[:], self.v[:]
            reference.adam(leaves, m, v, self.step + 1, learning_rate, c.beta1, c.beta2, c.eps_adam)
        # all at once, so that an update that fails, or is interrupted, has not begun
        self.params[:] = array("d", [leaf.data for leaf in leaves])
        self.m[:], self.v[:], self.grads[:] = m, v, array("d", bytes(8 * len(leaves)))
        self.step += 1

    def decoder(self) -> ScalarDecoder:
        return ScalarDecoder(self.config, graph(self.params, self.config, self.vocab_size)[1])


class ScalarDecoder:
    """A growing context of the reference's gpt()."""

    def __init__(self, config: Config, state_dict: StateDict) -> None:
        self._config, self._state_dict = config, state_dict
        self._keys: list[list[list[Value]]] = [[] for _ in range(config.n_layer)]
        self._values: list[list[list[Value]]] = [[] for _ in range(config.n_layer)]
        self._pos_id = 0

    def feed(self, token_id: int) -> list[float]:
        c = self._config
        check_tokens([token_id], len(self._state_dict["wte"]))
        if self._pos_id == c.block_size:
            raise ValueError(f"the context is full: block_size={c.block_size} tokens were fed; open a new decoder")
        args = (self._state_dict, c.n_head, ACTIVATIONS[c.activation])
        with scalar_arithmetic():
            logits = reference.gpt(token_id, self._pos_id, self._keys, self._values, *args)
            for past in (*self._keys, *self._values):  # keep the numbers, and let the graph behind them go
                past[-1] = [Value(x.data) for x in past[-1]]
        self._pos_id += 1
        return [logit.data for logit in logits]
