"""What an engine is, in words; and `open_engine`, which finds one by its name.

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
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from microgpt.config import Config

GREEDY = 1e-100  # a temperature below this is 0: its reciprocal is not to leave the range of floats
DIVERGED = "the model's logits are not finite: its training has diverged; train a new one"

Tokens = Sequence[int]


class Decoder(Protocol):
    """A context that grows token by token; at most block_size tokens fit.

    It may have a method `draw(token_id, chance, temperature, top_k)`, which feeds the token and gives the next one:
    that of sampling.next_token, with a chance of 0 to 1 in the place of its random number. For vocabularies that are
    drawn from more quickly where the logits are than in Python.
    """

    def feed(self, token_id: int) -> Sequence[float]:
        """The logits, (vocab_size,), of the token after `token_id`.

        Raises ValueError when block_size tokens were fed before, or token_id is not in the vocabulary.
        """
        ...


class Streams(Protocol):
    """Several contexts that grow together. An engine may have a method `streams(count)` that opens them.

    They may have a method `draw` as a Decoder has, with a token and a chance for each context.
    """

    def feed(self, token_ids: Sequence[int]) -> Sequence[Sequence[float]]:
        """One token for each context; the logits of the next of each. The native engine gives the same bits for any
        number of contexts, and in `exact` those of a Decoder; torch the same numbers as far as its precision goes."""
        ...


class Engine(Protocol):
    """See the head of this file."""

    config: Config
    vocab_size: int
    params: array[float]
    grads: array[float]
    m: array[float]
    v: array[float]
    step: int
    note: str = ""  # why `auto` did not open the engine that it would rather have opened
    device: str = ""  # what computes, in a line, where there is a choice
    rank: int = 0  # of this process among those that train the model together, which count from 0
    world_size: int = 1  # how many these are
    dtype: str = "F64"  # in which its buffers lose nothing, as safetensors calls it: F64, or F32
    call_seconds: float = 0.05  # how long a call of `train` should take, about: longer ones keep a GPU busy
    memory: int = 0  # bytes that parameters, gradients and moments take, where they are not in Python's own memory

    def __init__(self, params: array[float], config: Config, vocab_size: int) -> None: ...

    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        """The loss of `batch` in nats per token; ADDS its gradient to grads.

        batch: token ids of each document, BOS at both ends included. total: the documents of the whole step, when
        several calls make one; their losses add up to the step's. Default: all are in this call.
        Raises ValueError for an empty batch, a document of fewer than two tokens, a token id outside the vocabulary.
        """
        ...

    def reduce(self, loss: float) -> float:
        """The sum of all processes' losses; puts the sum of their gradients into grads. Once a step, after backward."""
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        """The sums over all processes, each of which must ask."""
        return numbers

    def update(self, learning_rate: float) -> None:
        """One step of Adam with the gradient in grads, which is then cleared."""
        ...

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
            tokens = document[: self.config.block_size + 1]
            nats = 0.0
            for logits, target_id in zip(self.logits(tokens[:-1]), tokens[1:]):
                largest = max(logits)
                total = math.fsum([math.exp(logit - largest) for logit in logits])
                nats += largest + math.log(total) - logits[target_id]
            yield nats

    def decoder(self) -> Decoder:
        """A fresh context over the parameters of this moment."""
        ...


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
