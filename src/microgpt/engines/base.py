"""The engine interface, an abstract class, and the numerical rules that every engine follows.

An engine computes the loss and its gradient, Adam's update, and the logits. It knows nothing about files, text, random
numbers or progress. The caller opens it with initial parameters, as one flat float64 buffer in the layout of
`config.shapes`. Between calls, the state of the model is in these attributes; all buffers have that same length:

    params, grads      the parameters; the gradient that backward has accumulated since the last update
    m, v, step         Adam's moments; the number of updates so far

The owner of an engine may write to the buffers between calls, to resume a run or to change a weight by hand. An engine
that keeps its numbers elsewhere (torch) gathers a buffer each time the attribute is read, so read it again after each
call.

Every engine computes the numbers of reference.py. Where the reference leaves a choice, these rules decide:

- The gradient of each document is computed separately, starting from zero, from its loss (the mean over its positions)
  multiplied by 1 / total. The gradients are then added to grads in batch order.
- The loss of a batch is the sum of its documents' losses, from left to right, times 1 / total.
- Only the first block_size + 1 tokens of a document are read. Padding, if an engine uses it, never affects a result.
- An engine uses no random numbers.
- If a number overflows, backward and logits return inf or nan, or raise FloatingPointError; update may raise it too.
  The buffers are then unusable.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from microgpt.clipping import clip
from microgpt.config import Config

GREEDY = 1e-100  # temperatures below this count as 0, because their reciprocals could overflow
DIVERGED = "the model's logits are not finite: its training has diverged; train a new one"

Tokens = Sequence[int]


class Decoder(ABC):
    """A context of at most block_size tokens, extended one token at a time."""

    draws: bool = False  # whether `draw` works: only for vocabularies large enough to sample on the device

    @abstractmethod
    def feed(self, token_id: int) -> Sequence[float]:
        """Feed a token; return the logits of the next one, (vocab_size,).

        Raises:
            ValueError: If the context is full, or token_id is not in the vocabulary.
        """

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        """Feed a token and sample the next one on the device.

        Args:
            token_id: The token to feed.
            chance: A number from [0, 1), used in place of the random number that sampling.next_token draws.
            temperature: As in sampling.next_token.
            top_k: As in sampling.next_token.

        Returns:
            The token that sampling.next_token would choose.
        """
        raise NotImplementedError


class Streams(ABC):
    """Several contexts, extended together."""

    draws: bool = False  # as for a Decoder

    @abstractmethod
    def feed(self, token_ids: Sequence[int]) -> Sequence[Sequence[float]]:
        """Feed one token to each context; return the logits of each next token.

        The native engine returns the same bits for any number of contexts, and in `exact` the same bits as a Decoder.
        The torch engine returns the same numbers up to rounding.
        """

    def draw(
        self, token_ids: Sequence[int], chances: Sequence[float], temperature: float, top_k: int | None
    ) -> list[int]:
        """Feed and sample as Decoder.draw does, with one token and one chance for each context."""
        raise NotImplementedError


class Engine(ABC):
    """The interface of all engines; the rules that they follow are in this module's docstring.

    A subclass implements the abstract methods, inherits the others, and declares its capabilities in the class
    attributes.
    """

    # --- Capabilities of an engine class

    name: ClassVar[str]  # the key of choose.ENGINES
    precisions: ClassVar[tuple[str, ...]] = ("exact",)  # the first is the default
    takes_threads: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()  # further keyword arguments of the constructor
    opens_streams: ClassVar[bool] = False  # whether `streams` works
    can_init_params: ClassVar[bool] = False  # whether `init_params` works

    @staticmethod
    def has_gpu() -> bool:
        """Return whether this machine has a GPU that the engine can use."""
        return False

    # --- State of an open engine

    config: Config
    vocab_size: int
    params: array[float]
    grads: array[float]
    m: array[float]
    v: array[float]
    step: int
    precision: str = "exact"
    note: str = ""  # why `auto` fell back to this engine
    device: str = ""  # a description of the device, for engines that can run on several
    rank: int = 0  # the rank of this process in distributed training, from 0
    world_size: int = 1  # the number of processes that train together
    dtype: str = "F64"  # the narrowest safetensors dtype that stores the buffers without loss: F64 or F32
    call_seconds: float = 0.05  # about how long one call of `train` should take: longer calls keep a GPU busy
    memory: int = 0  # bytes of parameters, gradients and moments, unless Python's own buffers hold them

    @abstractmethod
    def __init__(self, params: array[float], config: Config, vocab_size: int, **options: Any) -> None:
        """Open an engine.

        Args:
            params: The initial parameters; the engine takes ownership of the buffer.
            config: The model's sizes and settings.
            vocab_size: The number of tokens, BOS included.
            **options: `precision` if the class has several, `threads` if it takes them, and those in `options`.
        """

    @abstractmethod
    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        """Return the loss of a batch in nats per token, and add its gradient to grads.

        Args:
            batch: The token ids of each document, including BOS at both ends.
            total: The number of documents in the whole step, if several calls share a step; the losses of these calls
                add up to the loss of the step. Default: all documents of the step are in this call.

        Raises:
            ValueError: If the batch is empty, a document has fewer than two tokens, or a token id is not in the
                vocabulary.
        """

    def reduce(self, loss: float) -> float:
        """Return the loss summed over all processes, and put the sum of their gradients into grads.

        Call it once per step, after backward.
        """
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        """Return each number summed over all processes; every process must make this call."""
        return numbers

    @abstractmethod
    def update(self, learning_rate: float) -> None:
        """Take one Adam step with the gradient in grads, then clear grads."""

    def diagnostics(self) -> dict[str, float]:
        """Return diagnostics to display; call only now and then, as this may wait for the device.

        Returns:
            Those that the engine knows of `memory` (peak use so far, in bytes), `grad_norm` (of the last step, before
            clipping) and `peak_flops` (of the device, per second).
        """
        return {}

    def clip(self, max_norm: float) -> float:
        """Clip grads to a largest norm, in place; return their norm before clipping."""
        return clip(self.grads, max_norm)

    def train(
        self,
        batches: Iterable[Sequence[Tokens]],
        learning_rates: Iterable[float],
        micro_batch_size: int | None = None,
    ) -> list[float]:
        """Train for many steps in one call: a compiled step takes microseconds, and a Python call is not free.

        Each step is backward, reduce, clip (if the config asks for it) and update.

        Args:
            batches: This process's share of the batch of each step, read one at a time.
            learning_rates: The learning rate of each step.
            micro_batch_size: The number of documents in each call of `backward`; default: the whole batch.

        Returns:
            The loss of each step, in nats per token. Training stops at a loss that is not finite: it is the last one
            returned, and its step has no update.
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
        """Return the logits of the next token after each of at most block_size tokens, (T, vocab_size)."""
        decoder = self.decoder()
        return [decoder.feed(token_id) for token_id in tokens]

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        """Yield each document's loss summed over its predicted tokens, without training.

        Args:
            documents: Token ids as in a batch, at least two for each document. They are read lazily: one document at a
                time, or as many as the engine computes at once.

        Yields:
            The sum of -log p over the predicted tokens of a document, in nats.
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
        """Return an empty context over the current parameters."""

    def streams(self, count: int) -> Streams:
        """Return `count` empty contexts over the current parameters.

        Extending them together is several times faster than extending one at a time.
        """
        raise NotImplementedError

    def init_params(self, seed: int) -> None:
        """Draw initial parameters with the engine's own generator: faster than Python for millions of them."""
        raise NotImplementedError


def num_positions(tokens: Tokens, config: Config) -> int:
    """Return the number of positions computed for a document: one for each predicted token, at most block_size."""
    return min(len(tokens) - 1, config.block_size)


def truncated(tokens: Tokens, config: Config) -> Tokens:
    """Return the part of a document that the model reads and predicts: its first block_size + 1 tokens."""
    return tokens[: config.block_size + 1]


def parts(batch: Sequence[Tokens], size: int | None) -> list[Sequence[Tokens]]:
    """Split a batch into parts of `size` documents, the last one possibly smaller; None keeps it whole."""
    if size is None or not batch:
        return [batch]
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def check_batch(batch: Sequence[Tokens], vocab_size: int) -> None:
    """Raise ValueError if an engine's `backward` does not accept this batch."""
    if not batch:
        raise ValueError("batch must hold at least one document, got none")
    for i, tokens in enumerate(batch):
        if len(tokens) < 2:
            raise ValueError(f"document {i} of the batch must have at least two tokens, got {list(tokens)}")
        check_tokens(tokens, vocab_size)


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError if a token id is not in the vocabulary."""
    wrong = next((t for t in tokens if not 0 <= t < vocab_size), None)
    if wrong is not None:
        raise ValueError(f"token_id must be from 0 to {vocab_size - 1}, got token_id={wrong}")
