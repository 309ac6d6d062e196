"""A training step up close: its document, each letter's probability, and how it moves some weights.

The request `progress` shows a run at rest; `train` (train.py) sends the same while the run is trained.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING

from microgpt import sampling
from microgpt.engines.base import Engine, Tokens, truncated
from microgpt.engines.program import REFERENCE
from microgpt.lab.editing import edited
from microgpt.lab.editing.samples import sample_texts
from microgpt.lab.requests import model_request
from microgpt.lab.runs import opening
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import label
from microgpt.tracing.names import flat_position, indexed

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import CloseUp, Progress, ReadLetter, Row
    from microgpt.lab.session import Session

EVERY = 100  # steps between two rows of samples
MOST_ROWS = 11
SEED, SAMPLES = 7, 5  # of each row
MEAN_OF = 30  # losses in the running mean


class Watched:
    """The next step of a run, recorded before it is made."""

    def __init__(self, run: LabRun) -> None:
        self.run, self.step = run, run.step + 1
        self.document = run.document(run.step)[-1]
        self.rate = run.rate(run.step)
        self.batch = [truncated(tokens, run.config) for tokens in run.sequences(run.step)]
        self.letters = _letters(run, self.batch[-1])
        self.before = _weights(run, run.engine.params)
        self.loss, self.grads = self._traced()

    def _traced(self) -> tuple[float, array[float]]:
        """Return the step's loss and its gradients, before any clipping."""
        copy = self.run.scratch()
        try:
            loss = copy.backward(self.batch)
        except FloatingPointError:  # an edited program's
            return math.nan, array("d", [math.nan] * len(self.before))
        return loss, _weights(self.run, copy.grads)

    def made(self) -> CloseUp:
        """Return what the step did. The run has made the step, and no other step since."""
        return self._close_up(self.run.engine)

    def ahead(self) -> CloseUp:
        """Return what the step will do, by making it with a copy of the engine."""
        run = self.run
        copy = run.scratch()
        copy.m[:], copy.v[:], copy.step = run.engine.m, run.engine.v, run.step
        copy.train([self.batch], [self.rate])
        return self._close_up(copy)

    def _close_up(self, engine: Engine) -> CloseUp:
        after = _weights(self.run, engine.params)
        return {
            "step": self.step,
            "document": self.document,
            "letters": self.letters,
            "loss": self.loss,
            "learning_rate": self.rate,
            "moved": [
                {"path": indexed("wte", (self.run.run.tokenizer.bos, i)), "grad": grad, "delta": b - a}
                for i, (grad, a, b) in enumerate(zip(self.grads, self.before, after))
            ],
        }


def _weights(run: LabRun, values: array[float]) -> array[float]:
    """Return the values of BOS's row of wte: every document begins with BOS, so every step moves these weights."""
    if "wte" not in run.shapes:
        return array("d")
    part, shape = run.model.offsets["wte"], run.shapes["wte"]
    first = part.start + flat_position((run.run.tokenizer.bos, 0), shape)
    return values[first : first + shape[1]]


def _letters(run: LabRun, tokens: Tokens) -> list[ReadLetter]:
    """Return a document's tokens with the probabilities that the model gives them; none from an edited program."""
    if run.program is not REFERENCE:  # sampling.probabilities is the reference's softmax
        return []
    logits = run.engine.logits(tokens[:-1])
    probs = [sampling.probabilities(list(row))[target] for row, target in zip(logits, tokens[1:])]
    return [
        {
            "target": label(target, run.run.tokenizer),
            "path": f"step{run.step + 1}.pos{t}.probs[{target}]",
            "prob": prob,
            "surprise": -math.log(prob) if prob else math.inf,
        }
        for t, (target, prob) in enumerate(zip(tokens[1:], probs))
    ]


def running_mean(run: LabRun) -> float | None:
    """Return the mean of the last MEAN_OF losses up to the run's step; None before the first step."""
    last = [loss for loss in run.losses[max(0, run.step - MEAN_OF) : run.step] if loss == loss]
    return sum(last) / len(last) if last else None


def row(run: LabRun) -> Row:
    """Return samples of the run as it is, always with the same random numbers."""
    return {"step": run.step, "texts": sample_texts(run, SEED, SAMPLES, run.config.temperature, None)["texts"]}


def rows(run: LabRun) -> list[Row]:
    """Return samples of the run every EVERY steps up to its current step; of a long run, at some of these steps."""
    every = EVERY
    while run.step // every >= MOST_ROWS:
        every *= 2
    twin = run.twin()
    twin_steps = [step for step in range(0, run.step, every) if step >= twin.first]
    found = []
    for step in twin_steps:
        twin.go(step)
        found.append(row(twin))
    return [*found, row(run)]


@model_request
def progress(session: Session, fresh: bool = False) -> Progress:
    """Return how far the active run is, its samples along the way, and a close-up of its next step.

    Args:
        session: The session.
        fresh: Whether to describe a run with the same settings that has not begun instead.
    """
    run = session.active
    if fresh:
        run = begun_again(run)
    return {
        "step": run.step,
        "planned": run.config.num_steps,
        "documents": len(run.run.order),
        "held_out": len(run.run.held_out),
        "batch_size": run.config.batch_size,
        "mean": running_mean(run),
        "learning_rate": run.rate(max(0, run.step - 1)),
        "next": Watched(run).ahead(),
        "rows": rows(run),
    }


def begun_again(run: LabRun) -> LabRun:
    """Return the run that `reset` would start."""
    if run.program is not REFERENCE:
        return edited.begin("fresh", run.text, run.program.text)
    return opening.begin("fresh", "random", run.text, run.config, run.val_fraction)
