"""The training loop: a generator of steps that works with any engine.

It prints nothing and accesses no files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from microgpt.config import AT_MOST, check_size
from microgpt.engines.base import Engine, Tokens, truncated
from microgpt.errors import DivergedError
from microgpt.schedule import learning_rate


@dataclass(slots=True)  # not frozen, which would take a microsecond a step
class Step:
    """A completed training step.

    Attributes:
        step: The step number, starting at 1.
        loss: The loss on the step's batch before the update, in nats per token.
        learning_rate: The learning rate used for the update.
        tokens: The number of predicted tokens.
        val_loss: The held-out loss after the update; None if it was not measured.
        selection_loss: The held-out loss on a larger sample, by which the best checkpoint is selected; None if it was
            not measured, or if it is val_loss.
        seconds: The step's wall-clock time; if one call computes several steps, each gets an equal share of its time.
    """

    step: int
    loss: float
    learning_rate: float
    tokens: int
    val_loss: float | None = None
    selection_loss: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def held_out_loss(self) -> float | None:
        """The held-out loss by which the best checkpoint is selected; None if none was measured."""
        return self.val_loss if self.selection_loss is None else self.selection_loss


def check_options(batch_size: int, micro_batch_size: int | None, validate_every: int | None) -> None:
    """Raise ValueError if `train` would reject an option; the message names the option."""
    if micro_batch_size is not None and not 1 <= micro_batch_size <= batch_size:
        raise ValueError(
            f"micro_batch_size must be between 1 and batch_size={batch_size}, got micro_batch_size={micro_batch_size}"
        )
    if validate_every is not None:
        check_size("validate_every", validate_every, AT_MOST["num_steps"])


def check_patience(patience: int | None, val_fraction: float, validate_every: int | None, num_steps: int) -> None:
    """Raise ValueError if training could not stop early because the held-out loss is not measured often enough."""
    if not patience:
        return
    check_size("patience", patience, AT_MOST["num_steps"])
    if not val_fraction:
        raise ValueError(
            f"patience needs held-out documents, got patience={patience}: set val_fraction, such as val_fraction=0.1"
        )
    if validate_every is not None and validate_every >= num_steps:
        raise ValueError(
            f"patience needs several measurements of the held-out loss, got patience={patience},"
            f" validate_every={validate_every} and num_steps={num_steps}: set validate_every below num_steps"
        )


def check_share(batch_size: int, world_size: int) -> None:
    """Raise ValueError if a batch cannot be divided evenly among the training processes."""
    if batch_size % world_size:
        raise ValueError(
            f"batch_size must be a multiple of the number of processes ({world_size}), got batch_size={batch_size}"
            f" (try batch_size={batch_size + -batch_size % world_size})"
        )


def train(
    engine: Engine,
    sequence: Callable[[int], Tokens],
    order: Sequence[int],
    *,
    micro_batch_size: int | None = None,
    validate: Callable[[], float] | None = None,
    select: Callable[[], float] | None = None,
    validate_every: int = 0,
    pause_every: int = 0,
    together: bool = False,
    until: int | None = None,
) -> Iterator[Step]:
    """Train from engine.step to config.num_steps and yield each step.

    When several processes train together, each process computes its share of every batch, and all processes yield the
    same steps.

    Args:
        engine: The engine to train.
        sequence: A function that takes a sequence's index and returns its token ids.
        order: The indices of the training sequences. Training cycles through them in this order: step s reads
            batch_size indices, starting at position s * batch_size.
        micro_batch_size: The number of sequences to process at once; gradients are accumulated over the batch. The
            default is the full batch.
        validate: A function that returns the held-out loss.
        select: A function that returns the held-out loss on a larger sample, called whenever validate is.
        validate_every: The number of steps between validations; 0 to validate only after step num_steps.
        pause_every: With `together`, the engine's state matches the yielded step at every multiple of this number.
        together: Whether the engine's state may be ahead of the yielded step, except at multiples of validate_every and
            pause_every, and at the end. Any engine can then compute many steps per call, for speed. Otherwise, only an
            engine that can return to an earlier step does so.
        until: The step to stop after, if less than num_steps.

    Yields:
        The steps, in order.

    Raises:
        ValueError: micro_batch_size is out of range, or a batch cannot be divided evenly among the processes.
        DivergedError: A loss is not finite.
    """
    config = engine.config
    batch_size = config.batch_size
    check_options(batch_size, micro_batch_size, None)
    check_share(batch_size, engine.world_size)
    share, length = batch_size // engine.world_size, len(order)

    def batch(step: int) -> list[Tokens]:
        """Return this process's share of a step's batch."""
        first = step * batch_size + engine.rank * share
        return [truncated(sequence(order[i % length]), config) for i in range(first, first + share)]

    count = 1
    unread = 0  # steps whose states were not read, since the last step whose state was
    end = config.num_steps if until is None else min(until, config.num_steps)
    while engine.step < end:
        first = engine.step
        stops = [end, *(first - first % every + every for every in (validate_every, pause_every) if every)]
        can_rewind = not together and count > 1 and engine.remember()
        last = min(first + count, *stops) if together or can_rewind else first + 1
        predicted = [0] * (last - first)  # tokens in each step

        def batches(first: int = first, predicted: list[int] = predicted) -> Iterator[list[Tokens]]:
            """Yield the batches one at a time, so that a GPU can compute a step while the next batch is read."""
            for i in range(len(predicted)):
                documents = batch(first + i)
                predicted[i] = sum(len(tokens) - 1 for tokens in documents)
                yield documents

        rates = [
            learning_rate(step, config.num_steps, config.learning_rate, config.warmup_steps, config.decay)
            for step in range(first, last)
        ]
        began = time.perf_counter()
        try:
            losses = engine.train(batches(), rates, micro_batch_size)
        except BaseException:
            if can_rewind:  # no step of this call was yielded
                engine.rewind(first)
            raise
        taken = time.perf_counter() - began
        # the processes must agree on the time, so that each computes the same number of steps in its next call
        *tokens, taken = engine.add_up([*map(float, predicted), taken])
        taken /= engine.world_size
        if taken < engine.call_seconds / 2:
            count *= 2
        elif taken > engine.call_seconds * 2:
            count = max(1, count // 2)
        unread += last - first
        if not together:  # what rewinding computes again is a fifth of all steps at most
            count = min(count, max(1, unread // 4))
        seconds = taken / max(1, len(losses))
        for i, loss in enumerate(losses):
            step = first + i + 1
            if can_rewind and math.isfinite(loss) and not engine.rewind(step):
                count, unread = 1, 0
                break
            if not math.isfinite(loss):
                raise DivergedError(
                    f"the loss at step {step} is {loss}: start a new run with learning_rate below"
                    f" {config.learning_rate} or init_std below {config.init_std}"
                )
            due = validate and (step == config.num_steps or (validate_every and step % validate_every == 0))
            val_loss, selection_loss = (measure() if due and measure else None for measure in (validate, select))
            for measured in (val_loss, selection_loss):
                if measured is not None and not math.isfinite(measured):
                    raise DivergedError(
                        f"the held-out loss after step {step} is {measured}: start a new run with learning_rate below"
                        f" {config.learning_rate}"
                    )
            yield Step(step, loss, rates[i], int(tokens[i]), val_loss, selection_loss, seconds)
