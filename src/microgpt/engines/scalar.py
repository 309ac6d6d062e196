"""The scalar engine: reference.py itself behind the contract of an engine. Slow, and right by definition."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from microgpt.config import Config
from microgpt.engines.base import Decoder, Engine, Tokens, check_batch, check_tokens
from microgpt.engines.program import REFERENCE, Listing
from microgpt.reference import Value

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
    params: Sequence[float],
    config: Config,
    vocab_size: int,
    value: Callable[[float], Value] | None = None,
    listing: Listing = REFERENCE,
) -> tuple[list[Value], StateDict]:
    """The parameters as leaves of a fresh graph: flat, and as matrices. value: makes them, else the program's Value."""
    leaves = list(map(value or listing.module.Value, params))
    rest = iter(leaves)
    state_dict = {
        name: [[next(rest) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in listing.shapes(config, vocab_size).items()
    }
    return leaves, state_dict


class ScalarEngine(Engine):
    """The reference's own functions, or those of another listing. Its graph is built anew at every call."""

    name: ClassVar[str] = "scalar"

    def __init__(self, params: array[float], config: Config, vocab_size: int, listing: Listing = REFERENCE) -> None:
        self.config, self.vocab_size, self.listing = config, vocab_size, listing
        self.params = params
        self.grads, self.m, self.v = (array("d", bytes(8 * len(params))) for _ in range(3))
        self.step = 0

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        check_batch(batch, self.vocab_size)
        c = self.config
        weight = 1 / (total or len(batch))
        losses = 0.0
        with scalar_arithmetic():
            leaves, state_dict = graph(self.params, c, self.vocab_size, listing=self.listing)
            for tokens in batch:
                loss = self.listing.module.loss(tokens, state_dict, **self.listing.of_loss(c))
                losses += loss.data
                (loss * weight).backward()
                del loss  # frees the graph before the next one is built
                for i, leaf in enumerate(leaves):
                    self.grads[i] += leaf.grad
                    leaf.grad = 0.0
        return losses * weight

    def update(self, learning_rate: float) -> None:
        listing, step = self.listing, self.step
        with scalar_arithmetic():
            leaves = list(map(listing.module.Value, self.params))
            for leaf, grad in zip(leaves, self.grads):
                leaf.grad = grad
            m, v = self.m[:], self.v[:]
            rate = listing.rate(step, learning_rate)
            listing.module.adam(leaves, m, v, step + 1, rate, **listing.of_adam(self.config))
        # all at once, so that an update that fails, or is interrupted, has not begun
        self.params[:] = array("d", [leaf.data for leaf in leaves])
        self.m[:], self.v[:], self.grads[:] = m, v, array("d", bytes(8 * len(leaves)))
        self.step += 1

    def decoder(self) -> ScalarDecoder:
        state_dict = graph(self.params, self.config, self.vocab_size, listing=self.listing)[1]
        return ScalarDecoder(self.config, state_dict, self.listing)


class ScalarDecoder(Decoder):
    """A growing context of the program's gpt()."""

    def __init__(self, config: Config, state_dict: StateDict, listing: Listing) -> None:
        self._config, self._state_dict, self._listing = config, state_dict, listing
        self._keys: list[list[list[Value]]] = [[] for _ in range(config.n_layer)]
        self._values: list[list[list[Value]]] = [[] for _ in range(config.n_layer)]
        self._pos_id = 0

    def feed(self, token_id: int) -> list[float]:
        c = self._config
        check_tokens([token_id], len(self._state_dict["wte"]))
        if self._pos_id == c.block_size:
            raise ValueError(f"the context is full: block_size={c.block_size} tokens were fed; open a new decoder")
        module, args = self._listing.module, (token_id, self._pos_id, self._keys, self._values, self._state_dict)
        with scalar_arithmetic():
            logits = module.gpt(*args, **self._listing.of_gpt(c))
            for past in (*self._keys, *self._values):  # keep the numbers, and let the graph behind them go
                past[-1] = [module.Value(x.data) for x in past[-1]]
        self._pos_id += 1
        return [logit.data for logit in logits]
