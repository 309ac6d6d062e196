"""A word's loss, letter by letter, and the loss on held-out documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from microgpt import evaluation
from microgpt.engines.base import Tokens
from microgpt.lab.editing import edited
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import label, read
from microgpt.runs.run import VAL_DOCUMENTS
from microgpt.tracing.recorder import Tensor

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import LetterLoss, Loss
    from microgpt.lab.protocol.runs import Evaluation
    from microgpt.lab.session import Session

EVALUATED = {"native": VAL_DOCUMENTS, "scalar": 10}  # the largest number of documents, by engine


@model_request
def loss(session: Session, word: str) -> Loss:
    """Return a word's loss, letter by letter."""
    tokens = session.tokens(word)
    return by_letter(session.active, tokens, session.forward(tokens))


def by_letter(run: LabRun, tokens: Tokens, recorded: Mapping[str, Tensor]) -> Loss:
    """Return each letter's loss and the mean loss.

    Args:
        run: The run that produced the tensors.
        tokens: The document.
        recorded: The tensors of the document's forward pass, by name.
    """
    tokenizer = run.run.tokenizer
    letters: list[LetterLoss] = []
    so_far = 0.0
    for t, token_id in enumerate(read(tokens, run.config)):
        target = tokens[t + 1]
        so_far += recorded[f"pos{t}.loss"].numbers[0]
        letters.append(
            {
                "position": t,
                "read": label(token_id, tokenizer),
                "target": label(target, tokenizer),
                "target_id": target,
                "prob": recorded[f"pos{t}.probs"].numbers[target],
                "loss": recorded[f"pos{t}.loss"].numbers[0],
                "so_far": so_far,
            }
        )
    mean = recorded["loss"].numbers[0]
    return {
        "letters": letters,
        "mean": mean,
        "perplexity": math.exp(mean) if mean < 700 else math.inf,  # beyond 700, exp leaves the range of floats
        "uniform": run.uniform_loss,
    }


@model_request
def evaluate(session: Session) -> Evaluation:
    """Return the loss on held-out documents or, if no documents are held out, on training documents."""
    run = session.active
    edited.unchanged(run, "this figure computes the loss as the reference does", "loss", "softmax")
    indices = run.run.held_out or run.run.order
    chosen = evaluation.spread(indices, EVALUATED[run.engine.name])
    score = run.run.score(chosen)
    return {"loss": score.loss, "documents": len(chosen), "held_out": bool(run.run.held_out)}
