"""New samples, letter by letter, with the random number that decided each letter.

Each sample is listed with the training documents closest to it.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from microgpt import sampling
from microgpt.engines.base import GREEDY, Decoder
from microgpt.errors import LabError
from microgpt.evaluation import spread
from microgpt.lab.editing.edited import unchanged
from microgpt.lab.editing.samples import sample_texts
from microgpt.lab.requests import model_request
from microgpt.lab.runs.texts import names, spelled

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import Ended, Generated, Letter, NearDocument, Samples
    from microgpt.lab.session import Session

NEAREST = 5
MAX_SEARCHED = 50_000  # beyond this many distinct documents, the search for the nearest is skipped
SAMPLED = 200  # documents, spread over the data, that give a first bound for the search


class RecordingRandom(random.Random):
    """A random number generator that records every number it draws."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.chances: list[float] = []

    def random(self) -> float:
        self.chances.append(super().random())
        return self.chances[-1]


@model_request
def generate(
    session: Session, seed: int, index: int, temperature: float, top_k: int | None = None, prompt: str = ""
) -> Generated:
    """Return sample number `index` for a seed, as in `microgpt sample`, with each position's token probabilities."""
    run = session.active
    run_, c = run.run, run.config
    unchanged(run, "this figure samples letters as the reference does", "sample", "softmax", "Value.")
    sampling.check_options(run.engine.vocab_size, temperature, top_k)
    if temperature < GREEDY:
        raise LabError(f"temperature must be above 0, got temperature={temperature}: at 0, letters are not sampled")
    prompted = spelled(prompt, run_.tokenizer)
    if unseen := [char for char, of_char in zip(prompt, prompted) if not of_char]:
        raise LabError(f"prompt must contain only characters that the model knows, got {unseen[0]!r}: remove it")
    rng = RecordingRandom(f"{seed}:{index}")
    decoder = run.engine.decoder()
    logits: list[Sequence[float]] = []

    class Watched(Decoder):
        """A decoder that also records the logits it returns."""

        def feed(self, token_id: int) -> Sequence[float]:
            logits.append(decoder.feed(token_id))
            return logits[-1]

    letters: list[Letter] = []
    bos, ids, symbols = run_.tokenizer.bos, list(chain.from_iterable(prompted)), names(run_.tokenizer)

    def note(token_id: int) -> None:
        ranked = sampling.likeliest(logits[-1], top_k)
        chances = dict(zip(ranked, sampling.probabilities([logits[-1][i] for i in ranked], temperature)))
        letters.append(
            {
                "position": len(ids) + len(letters),
                "probs": [chances.get(i, 0.0) for i in range(run.engine.vocab_size)],
                "logits": list(logits[-1]),
                "chance": rng.chances[-1],
                "token_id": token_id,
                "char": symbols[token_id],
            }
        )

    token_ids = sampling.generate(
        Watched, rng, bos=bos, block_size=c.block_size, temperature=temperature, top_k=top_k, prompt=ids
    )
    for token_id in token_ids:
        note(token_id)
    text = prompt + run_.tokenizer.decode(letter["token_id"] for letter in letters)
    ended: Ended = "bos" if len(logits) > len(ids) + len(letters) else "block_size"
    if ended == "bos":
        note(bos)
    return {
        "text": text,
        "letters": letters,
        "ended": ended,
        "part": run.part(text),
        "in_data": run.part(text) == "training",
        "nearest": nearest(text, run.training_documents) if run_.data.mode == "lines" else [],
    }


@model_request
def samples(
    session: Session, seed: int, count: int, temperature: float, top_k: int | None = None, run: str | None = None
) -> Samples:
    """Return the first `count` samples for a seed, from the active model or another run, and how many are new."""
    return sample_texts(session.active if run is None else session.run(run), seed, count, temperature, top_k)


def nearest(text: str, documents: Sequence[str], count: int = NEAREST) -> list[NearDocument]:
    """Return the documents with the smallest edit distance to a text, nearest first.

    An edit inserts, deletes or replaces one letter.

    Args:
        text: The text.
        documents: The documents, sorted and without duplicates. Documents at the same distance keep this order.
        count: The maximum number of documents to return.

    Returns:
        The documents with their distances; an empty list if there are more than MAX_SEARCHED documents.
    """
    if len(documents) > MAX_SEARCHED:
        return []
    # first search a few documents spread over the data, to bound the distance of the nearest documents
    furthest = max(len(text), max(map(len, documents), default=0))
    sampled = _search(text, spread(documents, SAMPLED), count, furthest)
    limit = sampled[-1][0] if len(sampled) == count else furthest
    found = _search(text, documents, count, limit)
    return [{"text": document, "distance": distance} for distance, document in found]


def _search(text: str, documents: Sequence[str], count: int, limit: int) -> list[tuple[int, str]]:
    """Return the nearest documents at most `limit` edits away: (edits, document), nearest first.

    The table of edit distances has a row for each letter of a document. Documents with a common prefix share rows, and
    once every value in a row exceeds the limit, all documents with this prefix are skipped. The limit falls as
    documents are found.
    """
    found: list[tuple[int, str]] = []
    rows = [list(range(len(text) + 1))]
    previous, i = "", 0
    while i < len(documents) and limit >= 0:
        document = documents[i]
        shared = 0
        for a, b in zip(document, previous):
            if a != b:
                break
            shared += 1
        del rows[shared + 1 :]
        previous = document
        for depth in range(len(rows) - 1, len(document)):
            row, char = rows[depth], document[depth]
            left = smallest = depth + 1
            new = [left]
            for j, other in enumerate(text):
                left = row[j] if other == char else 1 + min(row[j], row[j + 1], left)
                new.append(left)
                if left < smallest:
                    smallest = left
            rows.append(new)
            if smallest > limit:
                previous = document[: depth + 1]
                i = bisect_right(documents, previous + "\U0010ffff", i)
                break
        else:
            if rows[-1][-1] <= limit:
                insort(found, (rows[-1][-1], document))
                if len(found) >= count:
                    del found[count:]
                    limit = found[-1][0] - 1  # among equally near documents, the earlier document is kept
            i += 1
    return found
