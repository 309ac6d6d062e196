"""A word's forward pass, with every number along the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microgpt.lab.requests import model_request
from microgpt.lab.runs import texts

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Forward
    from microgpt.lab.session import Session


@model_request
def forward(session: Session, word: str, only: list[str] | None = None) -> Forward:
    """Return every number in a word's forward pass.

    Args:
        session: The session.
        word: The word.
        only: The names of the tensors to return, without their positions (`emb` for `pos0.emb`); default: all.
    """
    tokens, run = session.tokens(word), session.active
    now = session.forward(tokens)
    before = session.forward(tokens, run.unchanged()) if run.changes else now
    if only is not None:
        now = {name: tensor for name, tensor in now.items() if name.partition(".")[2] in only}
        before = {name: before[name] for name in now}
    return {
        "word": word,
        "tokens": tokens,
        "positions": len(texts.read(tokens, run.config)),
        "tensors": {name: {"shape": tensor.shape, "data": tensor.numbers} for name, tensor in now.items()},
        "before": {name: t.numbers for name, t in before.items() if t.numbers != now[name].numbers},
    }
