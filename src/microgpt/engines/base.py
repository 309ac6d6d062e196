"""The engine interface, an abstract class, and the numerical rules that every engine follows.

An engine computes: the loss and its gradient, Adam's update, the logits. It knows nothing of files, text, random
numbers or progress. It is opened with parameters that somebody else has drawn, as one flat buffer of float64 in the
layout of `config.shapes`, and keeps these buffers, all of that length, as the truth between two calls:

    params, grads      the parameters; the gradient that backward has added up since the last update
    m, v, step         Adam's moments; how many updates were made

Whoever owns the engine may write to them between calls: that is how a run is resumed, or a weight changed by hand. An
engine whose numbers live elsewhere (torch) gathers a buffer when it is asked for: ask anew after each call.

The numbers are those of reference.py, and these rules say which where it leaves a choice:

- Each document's gradient is computed alone, from zero, with its loss (the mean over its positions) multiplied by
  1 / total; these are added to grads in the order of the batch.
- The loss of a batch is the left-to-right sum of its documents' losses, times 1 / total.
- Only a document's first block_size + 1 tokens are read. Padding, where an engine needs it, never weighs.
- An engine draws nothing at random.
- Where a number leaves the range of floats, backward and logits give inf or nan, or raise FloatingPointError; update
  may raise it too. The buffers are then of no use.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from microgpt.config import Config

GREEDY = 1e-100  # a temperature below this is 0: its reciprocal is not to leave the range of floats
DIVERGED = "the model's logits are not finite: its training has diverged; train a new one"

Tokens = Sequence[int]


class Decoder(ABC):
    """A context that grows token by token; it holds at most block_size tokens."""

    draws: bool = False  # whether `draw` works: for vocabularies large enough to be worth sampling on the device

    @abstractmethod
    def feed(self, token_id: int) -> Sequence[float]:
        """The logits, (vocab_size,), of the token after `token_id`.

        Raises ValueError when the context is full, or token_id is not in the vocabulary.
        """

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        """Feed the token and return the next one: the choice of sampling.next_token, with `chance`, from 0 to 1, in
        place of its random number."""
        raise NotImplementedError


class Streams(ABC):
    """Several contexts that grow together."""

    draws: bool = False  # as a Decoder's

    @abstractmethod
    def feed(self, token_ids: Sequence[int]) -> Sequence[Sequence[float]]:
        """Feed each context its token; return the logits of each one's next token.

        The native engine gives the same bits for any number of contexts, and in `exact` those of a Decoder; torch gives
        the same numbers as far as its precision goes.
        """

    def draw(
        self, token_ids: Sequence[int], chances: Sequence[float], temperature: float, top_k: int | None
    ) -> list[int]:
        """As Decoder.draw, with a token and a chance for each context."""
        raise NotImplementedError


class Engine(ABC):
    """The contract in the module's docstring. A subclass implements the abstract methods, inherits the rest, and
    declares here what else it can do."""

    # --- What engines of a class can do

    name: ClassVar[str]  # the key of choose.ENGINES
    precisions: ClassVar[tuple[str, ...]] = ("exact",)  # the first is the default
    takes_threads: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()  # other keyword arguments of the constructor
    opens_streams: ClassVar[bool] = False  # whether `streams` works
    draws_params: ClassVar[bool] = False  # whether `draw_params` works

    @staticmethod
    def has_gpu() -> bool:
        """Is there a GPU here that the engine can use?"""
        return False

    # --- What an opened engine holds

    config: Config
    vocab_size: int
    params: array[float]
    grads: array[float]
    m: array[float]
    v: array[float]
    step: int
    precision: str = "exact"
    note: str = ""  # why `auto` fell back to this engine
    device: str = ""  # a description of the device, where there is a choice
    rank: int = 0  # this process's place among those that train the model together, from 0
    world_size: int = 1  # how many of them there are
    dtype: str = "F64"  # the narrowest safetensors dtype that holds its buffers without loss: F64, or F32
    call_seconds: float = 0.05  # how long a call of `train` should take, about: longer ones keep a GPU busy
    memory: int = 0  # bytes taken by parameters, gradients and moments, where they are not in Python's own memory

    @abstractmethod
    def __init__(self, params: array[float], config: Config, vocab_size: int, **options: Any) -> None:
        """Take `params` as its own.

        options: `precision` where there are several, `threads` where the class takes them, and its `options`.
        """

    @abstractmethod
    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        """The loss of `batch` in nats per token; ADDS its gradient to grads.

        batch: token ids of each document, BOS at both ends included. total: the documents of the whole step, when
        several calls make one; their losses add up to the step's. Default: all are in this call.
        Raises ValueError for an empty batch, a document of fewer than two tokens, a token id outside the vocabulary.
        """

    def reduce(self, loss: float) -> float:
        """The sum of all processes' losses; puts the sum of their gradients into grads. Once a step, after backward."""
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        """The sums over all processes, each of which must ask."""
        return numbers

    @abstractmethod
    def update(self, learning_rate: float) -> None:
        """One step of Adam with the gradient in grads, which is then cleared."""

    def condition(self) -> dict[str, float]:
        """How it is doing, for people: `memory`, bytes that it took at most so far; `grad_norm`, of the last step,
        before it was clipped; `peak_flops`, a second, of its device, where they are known. Asked now and then: it
        may have to wait for the device.
        """
        return {}

    def clip(self, largest: float) -> float:
        """Scale grads down to the norm `largest` where theirs is larger. Gives their norm before that."""
        norm = math.sqrt(math.fsum(grad * grad for grad in self.grads))
        if norm > largest:
            self.grads[:] = array("d", (grad * (largest / norm) for grad in self.grads))
        return norm

    def train(
        self,
        batches: Iterable[Sequence[Tokens]],
        learning_rates: Iterable[float],
        micro_batch_size: int | None = None,
    ) -> list[float]:
        """The losses of many steps in one call, each backward, reduce, clip where the config asks for it, and update: a
        compiled step takes microseconds, and a Python call is not free. batches: this process's part of each, read one
        by one. micro_batch_size: documents a call of `backward`, default the whole batch.

        A loss that is not finite is the last one given, and has no update.
        """
        losses, first = [], self.step
        for batch, learning_rate in zip(batches, learning_rates):
            try:
                loss = 0.0
                for part in parts(batch, micro_batch_size):
                    loss += self.backward(part, len(batch) * self.world_size)
                losses.append(self.reduce(loss))
                if not math.isfinite(losses[-1]):
                    break
                if self.config.clip:
                    self.clip(self.config.clip)
                self.update(learning_rate)
            except FloatingPointError:
                losses[self.step - first :] = [math.nan]
                break
        return losses

    def logits(self, tokens: Tokens) -> list[Sequence[float]]:
        """(T, vocab_size): after each of at most block_size tokens, the logits of the next."""
        decoder = self.decoder()
        return [decoder.feed(token_id) for token_id in tokens]

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        """Of each document the sum of -log p over the tokens that are predicted, in nats; nothing is trained.

        documents: as those of a batch, of at least two tokens each. They are read as they are needed: one at a time, or
        as many as an engine computes at once.
        """
        for document in documents:
            tokens = truncated(document, self.config)
            nats = 0.0
            for logits, target_id in zip(self.logits(tokens[:-1]), tokens[1:]):
                largest = max(logits)
                total = math.fsum([math.exp(logit - largest) for logit in logits])
                nats += largest + math.log(total) - logits[target_id]
            yield nats

    @abstractmethod
    def decoder(self) -> Decoder:
        """An empty context over the current parameters."""

    def streams(self, count: int) -> Streams:
        """`count` empty contexts over the current parameters, which grow together: several times faster than one after
        another."""
        raise NotImplementedError

    def draw_params(self, seed: int) -> None:
        """Draw initial parameters on the device: faster than Python for millions of them."""
        raise NotImplementedError


def num_positions(tokens: Tokens, config: Config) -> int:
    """The number of positions computed for a document: each predicts a next token, and block_size is the limit."""
    return min(len(tokens) - 1, config.block_size)


def truncated(tokens: Tokens, config: Config) -> Tokens:
    """The part of a document that the model reads and predicts: its first block_size + 1 tokens."""
    return tokens[: config.block_size + 1]


def parts(batch: Sequence[Tokens], size: int | None) -> list[Sequence[Tokens]]:
    """A batch in parts of that size, the last one perhaps smaller; None: in one."""
    if size is None or not batch:
        return [batch]
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def check_batch(batch: Sequence[Tokens], vocab_size: int) -> None:
    """Raise ValueError where `batch` is not what an engine's `backward` takes."""
    if not batch:
        raise ValueError("batch must hold at least one document, got none")
    for i, tokens in enumerate(batch):
        if len(tokens) < 2:
            raise ValueError(f"document {i} of the batch must have at least two tokens, got {list(tokens)}")
        check_tokens(tokens, vocab_size)


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError for a token id outside the vocabulary."""
    wrong = next((t for t in tokens if not 0 <= t < vocab_size), None)
    if wrong is not None:
        raise ValueError(f"token_id must be from 0 to {vocab_size - 1}, got token_id={wrong}")
