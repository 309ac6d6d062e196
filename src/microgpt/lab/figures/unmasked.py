"""Attention without the causal mask: every position also attends to the positions after it.

The program has no mask to remove, because its lists grow with the positions. Here, gpt() receives lists that already
contain the keys and values of the complete word, and each entry that gpt() appends replaces an existing entry.
Everything else is the program's own loss(). The number of passes is one more than the number of layers, because a
layer's keys and values are final only when all layers below it have seen the complete word.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from microgpt.engines.base import Tokens
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.errors import LabError
from microgpt.lab.editing.edited import Names
from microgpt.lab.figures.loss import by_letter
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import label, read
from microgpt.tracing.recorder import Recorder, Tensor

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Unmasked, UnmaskedDocuments
    from microgpt.lab.session import Session

MAX_DOCUMENTS = 100


class FullList(list[Any]):
    """A list with an entry for every position. The nth append replaces the nth entry."""

    def __init__(self, entries: Sequence[Any]) -> None:
        super().__init__(entries)
        self._turn = 0

    def append(self, entry: Any) -> None:
        self[self._turn] = entry
        self._turn += 1


def passes(run: LabRun, tokens: Tokens) -> list[Names]:
    """Return each pass's tensors, by name. The first pass runs the unchanged program; the last pass has no mask.

    Without a mask, attn_logits and attn_weights have an entry for every position, not just up to the current position.
    """
    model = run.model
    made: list[Names] = []
    with scalar_arithmetic():
        state_dict = model.state_dict()
        lists: list[Any] = []  # keys and values, as the previous pass left them
        for _ in range(model.config.n_layer + 1):
            recorder = Recorder(model, state_dict)
            functions = recorder.functions()
            lists = _give_full_lists(functions, lists)
            recorder.loss(functions["loss"], tokens)
            made.append(Names({name: _tensor(nodes) for name, nodes in recorder.nodes.items()}))
    return made


def _tensor(nodes: Sequence[Any]) -> Tensor:
    return Tensor((len(nodes),), array("d", (node.data for node in nodes)))


def _give_full_lists(functions: dict[str, Any], before: list[Any]) -> list[Any]:
    """Make gpt() use the keys and values of the previous pass, if any, and return the lists that gpt() uses."""
    gpt, lists = functions["gpt"], [[FullList(layer) for layer in layers] for layers in before]

    def gpt_with_lists(token_id: int, pos_id: int, keys: Any, values: Any, *args: Any, **options: Any) -> Any:
        if not lists:
            lists.extend((keys, values))
        return gpt(token_id, pos_id, *lists, *args, **options)

    functions["gpt"] = gpt_with_lists
    return lists


@model_request
def unmasked(session: Session, word: str) -> Unmasked:
    """Return every head's unmasked attention, its weight on later positions, and the loss with and without the mask."""
    run, tokens = session.active, session.tokens(word)
    ids, c = read(tokens, run.config), run.config
    made = passes(run, tokens)[-1]

    def matrices(what: str) -> list[list[list[list[float]]]]:
        def row(i: int, h: int, t: int) -> list[float]:
            return made[f"pos{t}.layer{i}.{what}.head{h}"].numbers.tolist()

        return [[[row(i, h, t) for t in range(len(ids))] for h in range(c.n_head)] for i in range(c.n_layer)]

    weights = matrices("attn_weights")
    if any(len(row) != len(ids) for layer in weights for rows in layer for row in rows):
        raise LabError("the edited program's lists do not have one entry per position, so there is no mask to remove")
    future = [[[reduce(add, row[t + 1 :], 0.0) for t, row in enumerate(rows)] for rows in layer] for layer in weights]
    return {
        "positions": len(ids),
        "labels": [label(token_id, run.run.tokenizer) for token_id in ids],
        "logits": matrices("attn_logits"),
        "weights": weights,
        "future": future,
        "masked": by_letter(run, tokens, session.forward(tokens)),
        "unmasked": by_letter(run, tokens, made),
        "probs": [made[f"pos{t}.probs"].numbers.tolist() for t in range(len(ids))],
    }


@model_request
def unmasked_documents(session: Session, count: int) -> UnmaskedDocuments:
    """Return the mean loss over the first `count` documents that training reads, with and without the mask.

    If there are fewer documents, all of them are used.
    """
    if not 1 <= count <= MAX_DOCUMENTS:
        raise LabError(f"count must be between 1 and {MAX_DOCUMENTS}, got count={count}")
    run, losses = session.active, []
    for i in run.run.order[:count]:
        made = passes(run, run.run.data.sequence(i))
        losses.append((made[0]["loss"].numbers[0], made[-1]["loss"].numbers[0]))
    count = len(losses)
    return {
        "documents": count,
        "masked": sum(a for a, _ in losses) / count,
        "unmasked": sum(b for _, b in losses) / count,
        "lower": sum(b < a for a, b in losses),
    }
