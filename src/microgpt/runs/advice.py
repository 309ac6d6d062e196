"""Say what would improve a run most: one line after training, from the run's own measurements."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microgpt.runs.run import Run
from microgpt.training import Step

LONGER = 10  # at most this many times as many steps are proposed at once
MOST_STEPS = 2**62
# Tokens trained on per parameter below which more training helps more than a larger model. Hoffmann et al., 2022
# (arXiv:2203.15556): the best model for a number of operations reads about 20 tokens per parameter.
TOKENS_PER_PARAMETER = 20
RISE = 0.005  # nats per token: a held-out loss that has risen by more means overfitting
RECENT = 200  # steps whose mean is the training loss at the end
GAP = 0.1  # nats per token between the training loss and the held-out loss that mean overfitting


@dataclass(frozen=True)
class Outcome:
    """The measurements of a run that has ended.

    Attributes:
        num_steps: The number of its steps.
        passes: The number of times that it read the training part of the text.
        tokens: The number of tokens that it predicted in training.
        num_params: The number of parameters.
        n_embd: The width.
        weight_decay: The weight decay.
        held_out: The measurements of the held-out loss in order, in nats per token; empty if nothing is held out.
        training_loss: The mean training loss over its last steps, in nats per token.
    """

    num_steps: int
    passes: float
    tokens: int
    num_params: int
    n_embd: int
    weight_decay: float
    held_out: Sequence[float]
    training_loss: float


@dataclass(frozen=True)
class Advice:
    """An improvement of a run and its reason.

    Attributes:
        reason: The measurement that the advice follows from.
        remedy: What to do.
        settings: The settings to change for that.
    """

    reason: str
    remedy: str
    settings: dict[str, Any]


class Watch:
    """Collects the measurements of a run while it trains."""

    def __init__(self) -> None:
        self.steps = self.tokens = 0
        self.losses: deque[float] = deque(maxlen=RECENT)
        self.held_out: list[float] = []

    def add(self, step: Step) -> None:
        """Add a step."""
        self.steps += 1
        self.tokens += step.tokens
        self.losses.append(step.loss)
        if step.held_out_loss is not None:
            self.held_out.append(step.held_out_loss)

    def outcome(self, run: Run) -> Outcome | None:
        """Return the measurements of the run that was watched; None if it did not train."""
        if not self.steps:
            return None
        return Outcome(
            num_steps=run.config.num_steps,
            passes=run.step * run.config.batch_size / len(run.order),
            tokens=self.tokens * run.step // self.steps,  # of the whole run, if it was resumed
            num_params=run.num_params,
            n_embd=run.config.n_embd,
            weight_decay=run.config.weight_decay,
            held_out=self.held_out,
            training_loss=sum(self.losses) / len(self.losses),
        )


def advise(outcome: Outcome) -> Advice:
    """Return what would lower the loss most: less overfitting, reading all of the text, longer training, or more size.

    Example:
        >>> short = Outcome(1000, 0.03, 7000, 4192, 16, 0.0, (), 2.4)
        >>> advise(short)
        Advice(reason='it read 3.0% of the text', remedy='train longer', settings={'num_steps': 10000})
    """
    if (rise := _rise(outcome)) > RISE:
        reason = f"the held-out loss has risen by {rise:.3f} since its least, which means overfitting"
        return _against_overfitting(outcome, reason)
    if outcome.passes < 1:
        times = min(LONGER, 1 / outcome.passes)
        return _longer(outcome, f"it read {outcome.passes:.1%} of the text", times)
    if outcome.held_out and outcome.held_out[-1] - outcome.training_loss > GAP:
        gap = outcome.held_out[-1] - outcome.training_loss
        reason = f"the held-out loss is {gap:.2f} above the training loss, which means overfitting"
        return _against_overfitting(outcome, reason)
    per_parameter = outcome.tokens / outcome.num_params
    reason = f"it read {per_parameter:.1f} tokens per parameter in {outcome.passes:.1f} passes over the text"
    if per_parameter < TOKENS_PER_PARAMETER:
        return _longer(outcome, reason, min(LONGER, TOKENS_PER_PARAMETER / per_parameter))
    return Advice(reason, "train a larger model", {"n_embd": 2 * outcome.n_embd})


def _rise(outcome: Outcome) -> float:
    return outcome.held_out[-1] - min(outcome.held_out) if outcome.held_out else 0.0


def _against_overfitting(outcome: Outcome, reason: str) -> Advice:
    if not outcome.weight_decay:
        return Advice(reason, "add weight decay", {"weight_decay": 0.1})
    return Advice(reason, "train for fewer steps, or on more text", {"num_steps": max(1, outcome.num_steps // 2)})


def _longer(outcome: Outcome, reason: str, times: float) -> Advice:
    num_steps = min(MOST_STEPS, max(outcome.num_steps + 1, round(outcome.num_steps * times)))
    return Advice(reason, "train longer", {"num_steps": num_steps})
