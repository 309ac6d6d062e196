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

import importlib
import inspect
import math
import os
import signal
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from microgpt.config import Config, num_params, shapes

# In the order of preference of `auto`: name -> the class in the module of that name
ENGINES = {"native": "NativeEngine", "scalar": "ScalarEngine", "torch": "TorchEngine"}
# Flops a step from which `auto` looks for a GPU. A core of the native engine takes a second or more for them, which is
# what loading PyTorch takes; on a CPU native is the faster at every size that was measured (LOG.md).
LARGE = 1e11

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


def open_engine(
    name: str,
    params: array[float],
    config: Config,
    vocab_size: int,
    precision: str | None = None,
    threads: int | None = None,
    **options: Any,
) -> Engine:
    """The engine of that name over these parameters, which it takes as its own.

    name: a key of ENGINES, or `auto` for the first of `preference` that works here. precision: one of the engine's
    `precisions`, of which the first is the default. threads: that share the work; the default is the engine's own.
    options: what the engine takes beside these. Raises ValueError for an unknown name, precision or option, more
    threads than the engine takes, or a buffer of another length than the config's, ImportError with the remedy where
    the engine cannot work here.
    """
    _, world_size = processes()
    if world_size > 1:
        if name not in ("auto", "torch"):
            raise ValueError(f"engine must be torch where {world_size} processes train together, got engine={name!r}")
        name = "torch"
    if name == "auto":
        note = ""
        for first in preference(config, vocab_size, precision, options):
            try:
                engine = open_engine(first, params, config, vocab_size, precision, threads, **options)
                engine.note = note
                return engine
            except ImportError as error:
                note = str(error)
        raise ImportError(note)
    if name not in ENGINES:
        raise ValueError(f"engine must be one of auto, {', '.join(ENGINES)}, got engine={name!r}")
    length = sum(rows * columns for rows, columns in shapes(config, vocab_size).values())
    if params.typecode != "d" or len(params) != length:
        raise ValueError(f"params must be {length} float64 for this config, got {len(params)} of {params.typecode!r}")
    engine_class = getattr(module_of(name), ENGINES[name])
    precisions = getattr(engine_class, "precisions", ("exact",))
    if precision not in (None, *precisions):
        raise ValueError(f"precision must be one of {', '.join(precisions)}, got precision={precision!r}")
    known = inspect.signature(engine_class).parameters
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"{option} is no option of the {name} engine, got {option}={value!r}: leave it out, or choose the torch"
                " engine (engine='torch', --engine torch)"
            )
    if hasattr(engine_class, "precisions") and precision:
        options["precision"] = precision
    if takes_threads(engine_class):
        options |= {} if threads is None else {"threads": threads}
    elif threads not in (None, 1):
        raise ValueError(
            f"threads must be 1 with the {name} engine, got threads={threads}: the native engine takes more"
        )
    opened: Engine = engine_class(params, config, vocab_size, **options)
    return opened


def preference(
    config: Config, vocab_size: int, precision: str | None = None, options: dict[str, Any] | None = None
) -> list[str]:
    """The engines that `auto` tries, in turn: torch for what it alone takes, or for large steps where there is a GPU;
    else native, then scalar.
    """
    if options or precision in ("float64", "bfloat16"):
        return ["torch"]
    flops = 6 * num_params(config, vocab_size) * config.batch_size * config.block_size
    if flops > LARGE and precision != "exact":
        try:
            if module_of("torch").has_gpu():
                return ["torch", *ENGINES]
        except ImportError:
            pass
    return list(ENGINES)


def module_of(name: str) -> Any:
    """The module of an engine; ImportError, with the remedy, where it cannot work here.

    Ctrl-C waits until it is loaded: in the middle PyTorch loses it, or ends with a C++ error.
    """
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)  # None: not Python's own, and could not be put back
    waits = name == "torch" and before is not None and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        return importlib.import_module(f"microgpt.engines.{name}")
    finally:
        if waits:
            signal.signal(signal.SIGINT, before)
        if caught:
            signal.raise_signal(signal.SIGINT)


def processes() -> tuple[int, int]:
    """(rank, world size): which of how many processes this is, as torchrun says; alone, (0, 1)."""
    if "MASTER_ADDR" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if processes()[1] > 1 else 1


def takes_threads(engine_class: Any) -> bool:
    """Can engines of this class share the work of a step among several threads?"""
    return "threads" in inspect.signature(engine_class).parameters


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
