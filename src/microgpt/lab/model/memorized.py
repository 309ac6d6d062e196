"""The loss on documents that training has read, and on documents that it has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.evaluation import spread
from microgpt.lab.editing import edited
from microgpt.lab.figures.loss import EVALUATED
from microgpt.lab.requests import model_request

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import Split
    from microgpt.lab.session import Session


@model_request
def memorized(session: Session) -> Split:
    """Return the active model's loss on documents that its training has read, and on documents that it has not.

    Raises:
        LabError: The model was trained on another text, so it is unknown which documents it has read.
    """
    run = session.active
    if run.run.provenance.sha256 != run.run.data.sha256:
        raise LabError("this model was trained on a text that is not here, so what it has read is unknown")
    edited.unchanged(run, "this figure computes the loss as the reference does", "loss", "softmax")
    order, held_out = run.run.order, run.run.held_out
    count = run.step * run.config.batch_size
    read, unread = order[:count], held_out or order[count:]

    def loss(indices: Sequence[int]) -> tuple[float | None, int]:
        chosen = spread(indices, EVALUATED[run.engine.name])
        return (run.run.score(chosen).loss if chosen else None), len(chosen)

    (read_loss, read_documents), (unread_loss, unread_documents) = loss(read), loss(unread)
    return {
        "read": read_loss,
        "read_documents": read_documents,
        "unread": unread_loss,
        "unread_documents": unread_documents,
        "held_out": bool(held_out),
    }
