"""The training data: letter counts, document lengths, known documents, and the shuffle, swap by swap."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.requests import model_request, request
from microgpt.lab.runs.texts import SwapReportingList

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import DataSet, Known, Shuffle, Swap
    from microgpt.lab.session import Session

SHOWN = 12  # the number of documents shown, before and after the shuffle
MAX_SHUFFLED = 100


@model_request
def data(session: Session) -> DataSet:
    """Describe the text that the active model is trained on."""
    run = session.active
    data = run.run.data
    return {
        "name": data.source or run.text.name,
        **run.text.statistics(data),
        "held_out": len(run.run.held_out),
        "unread": data.unread(run.config.block_size),
        "first": [data.text(i) for i in range(min(SHOWN, len(data)))],
        "shuffled": [data.text(i) for i in run.run.order[:SHOWN]],
    }


@model_request
def known(session: Session, text: str) -> Known:
    """Return which part of the active model's data has a document with this text."""
    return {"text": text, "part": session.active.part(text)}


@request
def shuffle(session: Session, seed: int, count: int) -> Shuffle:
    """Return the swaps that random.shuffle performs on the first `count` documents."""
    data = session.active.run.data
    if not 2 <= count <= min(len(data), MAX_SHUFFLED):
        raise LabError(f"count must be between 2 and {min(len(data), MAX_SHUFFLED)}, got count={count}")
    documents = [data.text(i) for i in range(count)]
    swaps: list[Swap] = []
    items = SwapReportingList(documents, lambda i, j: swaps.append({"i": i, "j": j, "after": list(items)}))
    random.Random(seed).shuffle(items)
    return {"seed": seed, "before": documents, "swaps": swaps}
