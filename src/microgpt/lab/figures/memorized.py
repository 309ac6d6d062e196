"""The loss on documents that training has read, and on documents that it has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from microgpt.evaluation import spread
from microgpt.lab.editing import edited
from microgpt.lab.figures.loss import EVALUATED
from microgpt.lab.requests import model_request

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import Split
    from microgpt.lab.session import Session


@model_request
def memorized(session: Session) -> Split:
    """Return the active model's loss on documents that its training has read, and on documents that it has not."""
    run = session.active
    edited.unchanged(run, "this figure computes the loss as the reference does", "loss", "softmax")
    order, held_out = run.run.order, run.run.held_out
    count = run.step * run.config.batch_size
    known = run.run.provenance.sha256 == run.run.data.sha256
    read, unread = (order[:count], held_out or order[count:]) if known else ([], [])

    def loss(indices: Sequence[int]) -> tuple[float | None, int]:
        chosen = spread(indices, EVALUATED[run.engine.name])
        return (run.run.score(chosen).loss if chosen else None), len(chosen)

    (read_loss, read_documents), (unread_loss, unread_documents) = loss(read), loss(unread)
    return {
        "known": known,
        "read": read_loss,
        "read_documents": read_documents,
        "unread": unread_loss,
        "unread_documents": unread_documents,
        "held_out": bool(held_out),
    }
