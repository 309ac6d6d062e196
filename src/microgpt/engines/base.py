"""The engine interface (an abstract class), and the numerical rules that every engine follows.

An engine computes the loss and its gradient, Adam's update, and the logits. It knows nothing about files, text, random
numbers or progress. The caller opens an engine with the initial parameters in one flat float64 buffer, laid out as in
`config.shapes`. Between calls, these attributes hold the model's state; all buffers have the same length:

    params, grads      the parameters; the gradients that backward has accumulated since the last update
    m, v, step         Adam's moments; the number of updates so far

An engine's owner may write to the buffers between calls, to resume a run or to change a weight by hand. An engine that
stores its values elsewhere (torch) refills a buffer each time its attribute is read, so read the attribute again after
each call.

Every engine computes the same values as reference.py. Where the reference leaves a choice open, these rules apply:

- Each document's gradient is computed separately, starting from zero. This is the gradient of the document's loss
  (the mean over its positions), multiplied by 1 / total. The documents' gradients are then added to grads in batch
  order.
- A batch's loss is the sum of its documents' losses, added from left to right, multiplied by 1 / total.
- Only the first block_size + 1 tokens of a document are read. Padding, if an engine uses it, never affects a result.
- An engine uses no random numbers.
- A number that overflows becomes inf or nan, as IEEE 754 defines, and raises no exception. If a loss is inf or nan, the
  gradient is unspecified, and training stops. If the square of a gradient overflows, Adam's v becomes inf, and the
  weight no longer changes.
- For any finite parameters, a result in `exact` precision is finite in every engine or in none. Where it is not finite,
  one engine may return inf and another nan.
- In float32, intermediate results overflow from about 1e19 on, because rmsnorm squares its input. The results are then
  inf, nan or finite numbers that may depend on the instruction set.
- To sample, the largest logit must be finite and no logit may be nan; otherwise, draw, generate and
  sampling.next_token raise FloatingPointError.
- The scalar engine raises FloatingPointError for an arithmetic error in an edited program.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from microgpt.clipping import clip
from microgpt.config import Config

GREEDY = 1e-100  # temperatures below this are treated as 0, because their reciprocals could overflow
STREAMS = 64  # the maximum number of documents that are generated together
DIVERGED = "the model's logits are not finite: its training has diverged; train a new model"

Tokens = Sequence[int]


class Decoder(ABC):
    """A context of at most block_size tokens, extended one token at a time."""

    draws: bool = False  # whether `draw` is available, which depends on the vocabulary size

    @abstractmethod
    def feed(self, token_id: int) -> Sequence[float]:
        """Feed a token; return the next token's logits, (vocab_size,).

        Raises:
            ValueError: If the context is full, or token_id is not in the vocabulary.
        """

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        """Feed a token and sample the next token on the device.

        Args:
            token_id: The token to feed.
            chance: A number in [0, 1), used in place of the random number that sampling.next_token draws.
            temperature: As in sampling.next_token.
            top_k: As in sampling.next_token.

        Returns:
            The token that sampling.next_token would choose.
        """
        raise NotImplementedError


class Streams(ABC):
    """Several contexts that are extended together."""

    draws: bool = False  # as in Decoder

    @abstractmethod
    def feed(self, token_ids: Sequence[int]) -> Sequence[Sequence[float]]:
        """Feed one token to each context and return each context's logits for the next token.

        The native engine's logits are bit-for-bit identical regardless of the number of contexts; in `exact` precision,
        they also equal a Decoder's logits. The torch engine's logits are the same up to rounding.
        """

    def draw(
        self, token_ids: Sequence[int], chances: Sequence[float], temperature: float, top_k: int | None
    ) -> list[int]:
        """Feed and sample as Decoder.draw does, with one token and one chance per context."""
        raise NotImplementedError


class Engine(ABC):
    """The interface that every engine implements; the module docstring lists the rules.

    A subclass implements the abstract methods, inherits the others, and declares its capabilities in the class
    attributes.
    """

    # --- Capabilities of an engine class

    name: ClassVar[str]  # its key in choose.ENGINES
    precisions: ClassVar[tuple[str, ...]] = ("exact",)  # the first is the default
    takes_threads: ClassVar[bool] = False
    options: ClassVar[frozenset[str]] = frozenset()  # additional keyword arguments of the constructor
    opens_streams: ClassVar[bool] = False  # whether `streams` is implemented
    generates: ClassVar[bool] = False  # whether `generate` is implemented
    can_init_params: ClassVar[bool] = False  # whether `init_params` is implemented

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
    device: str = ""  # a description of the device, for engines that support several devices
    rank: int = 0  # this process's rank in distributed training, counting from 0
    world_size: int = 1  # the number of processes that train together
    dtype: str = "F64"  # the narrowest safetensors dtype that stores the buffers without loss: F64 or F32
    call_seconds: float = 0.05  # the target duration of one call to `train`; longer calls keep a GPU busy
    memory: int = 0  # bytes used by parameters, gradients and moments; 0 if they are in Python's own buffers

    @abstractmethod
    def __init__(self, params: array[float], config: Config, vocab_size: int, **options: Any) -> None:
        """Open an engine.

        Args:
            params: The initial parameters; the engine takes ownership of the buffer.
            config: The model's sizes and settings.
            vocab_size: The number of tokens, including BOS.
            **options: `precision` if the class has several precisions, `threads` if it takes threads, and the names in
                `options`.
        """

    @abstractmethod
    def backward(self, batch: Sequence[Tokens], total: int | None = None) -> float:
        """Return a batch's loss in nats per token and add its gradient to grads.

        Args:
            batch: The token ids of each document, with BOS at both ends.
            total: The number of documents in the step, if the step is split across several calls; the calls' losses
                then add up to the step's loss. Default: the number of documents in this batch.

        Raises:
            ValueError: If the batch is empty, a document has fewer than two tokens, or a token id is not in the
                vocabulary.
        """

    def reduce(self, loss: float) -> float:
        """Return the loss summed over all processes; set grads to the sum of all processes' gradients.

        Call this method once per step, after backward.
        """
        return loss

    def add_up(self, numbers: list[float]) -> list[float]:
        """Return each number summed over all processes; every process must call this method."""
        return numbers

    @abstractmethod
    def update(self, learning_rate: float) -> None:
        """Take one Adam step with the gradient in grads, then clear grads."""

    def diagnostics(self) -> dict[str, float]:
        """Return diagnostics to display. Call this method only occasionally, because it may wait for the device.

        Returns:
            The available diagnostics: `memory` (the peak usage so far, in bytes), `grad_norm` (the last step's
            gradient norm before clipping) and `peak_flops` (the device's peak, in flops per second).
        """
        return {}

    def clip(self, max_norm: float) -> float:
        """Clip grads to a norm of at most `max_norm`, in place; return the norm before clipping."""
        return clip(self.grads, max_norm)

    def train(
        self,
        batches: Iterable[Sequence[Tokens]],
        learning_rates: Iterable[float],
        micro_batch_size: int | None = None,
    ) -> list[float]:
        """Train for several steps in one call, because a Python call can take as long as a compiled step.

        Each step calls backward, reduce, clip (if the config enables clipping) and update.

        Args:
            batches: This process's share of each step's batch; the batches are read one at a time.
            learning_rates: Each step's learning rate.
            micro_batch_size: The number of documents in each call to `backward`; default: the entire batch.

        Returns:
            Each step's loss, in nats per token. Training stops at the first loss that is not finite: this
            loss is the last one returned, and its step does not update the parameters.
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
            except FloatingPointError:  # an edited program's
                losses[self.step - first :] = [math.nan]
                break
        return losses

    def remember(self) -> bool:
        """Remember the state, so that `rewind` can show any step of the next call to `train`.

        Returns:
            Whether the engine can do this now. If not, train one step per call if each step's state may be read.
        """
        return False

    def rewind(self, step: int) -> bool:
        """Show the state after a step of the last call to `train`, before which `remember` returned True.

        The engine returns to this state only if it is read or changed. After that, the later steps are lost.

        Args:
            step: The step, which must not be less than the step shown so far.

        Returns:
            False if the step is lost, because the state before it has been read or changed.
        """
        raise NotImplementedError

    def logits(self, tokens: Tokens) -> list[Sequence[float]]:
        """Return the logits, (T, vocab_size), for the token that follows each of T tokens; T is at most block_size."""
        decoder = self.decoder()
        return [decoder.feed(token_id) for token_id in tokens]

    def losses(self, documents: Iterable[Tokens]) -> Iterator[float]:
        """Yield each document's loss, summed over its predicted tokens, without training.

        Args:
            documents: Each document's token ids, as in a batch: at least two per document. The documents are read
                lazily: one at a time, or as many as the engine processes at once.

        Yields:
            Each document's sum of -log p over its predicted tokens, in nats.
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
        """Return an empty context that uses the current parameters."""

    def streams(self, count: int) -> Streams:
        """Return `count` empty contexts that use the current parameters.

        Extending contexts together is several times faster than extending them one at a time.
        """
        raise NotImplementedError

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
        """Generate documents in one call, because for a small model, a Python call takes longer than computing a token.

        Args:
            prompt: The tokens that all documents begin with, at most block_size.
            chances: `limit` numbers in [0, 1) for each document, used in place of the random numbers that
                sampling.next_token draws; unused if the temperature is 0.
            end: The token that ends a document, BOS.
            documents: The number of documents.
            limit: The maximum number of new tokens in a document; prompt and limit together must not exceed
                block_size + 1 tokens.
            in_turn: Whether a document continues with the chances that the previous document did not use; otherwise,
                document i uses only its own chances, which start at chances[i * limit].
            temperature: As in sampling.next_token.
            top_k: As in sampling.next_token.

        Returns:
            Each document's new tokens, without `end`; and the number of chances used.
        """
        raise NotImplementedError

    def init_params(self, seed: int) -> None:
        """Draw the initial parameters with the engine's own generator, which is faster than Python's."""
        raise NotImplementedError


def num_positions(tokens: Tokens, config: Config) -> int:
    """Return the number of positions computed for a document: one for each predicted token, at most block_size."""
    return min(len(tokens) - 1, config.block_size)


def truncated(tokens: Tokens, config: Config) -> Tokens:
    """Return the tokens that the model reads and predicts: a document's first block_size + 1 tokens."""
    return tokens if len(tokens) <= config.block_size + 1 else tokens[: config.block_size + 1]


def parts(batch: Sequence[Tokens], size: int | None) -> list[Sequence[Tokens]]:
    """Split a batch into parts of `size` documents (the last part may be smaller); None means a single part."""
    if size is None or not batch:
        return [batch]
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def groups(documents: Iterable[Tokens], tokens: int) -> Iterator[list[Tokens]]:
    """Yield the documents in groups with at least `tokens` tokens each; the last group may have fewer."""
    group: list[Tokens] = []
    left = tokens
    for document in documents:
        group.append(document)
        left -= len(group[-1])
        if left <= 0:
            yield group
            group, left = [], tokens
    if group:
        yield group


def check_batch(batch: Sequence[Tokens], vocab_size: int) -> None:
    """Raise ValueError if a batch is not valid input for an engine's `backward`."""
    if not batch:
        raise ValueError("batch must contain at least one document, got none")
    for i, tokens in enumerate(batch):
        if len(tokens) < 2:
            raise ValueError(f"document {i} in the batch must have at least two tokens, got {list(tokens)}")
        check_tokens(tokens, vocab_size)


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError if a token id is not in the vocabulary."""
    if tokens and not (min(tokens) >= 0 and max(tokens) < vocab_size):
        wrong = next(t for t in tokens if not 0 <= t < vocab_size)
        raise ValueError(f"token_id must be between 0 and {vocab_size - 1}, got token_id={wrong}")
