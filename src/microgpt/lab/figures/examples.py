"""Words that show what the active model has learned, as suggestions and examples.

The engine finds each of them, so that what a text says of an example is true of the model on show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from microgpt.engines.base import num_positions
from microgpt.evaluation import spread
from microgpt.lab.editing import edited
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import Backwards, Example, Examples
    from microgpt.lab.session import Session

SEARCHED = {"native": 500, "scalar": 10}  # the largest number of training and of held-out documents, by engine
LETTERS = (4, 8)  # the length of an example
SHOWN = 6  # the largest number of words in each list
SUGGESTED = 24
SAMPLED = 100
SEED, TEMPERATURE = 42, 0.5
# names that readers in many countries know: preferred wherever several would do
WELL_KNOWN_NAMES = """
adam alice amina andrea anna ava boris carlos carmen clara daniel daria david elena eliza emily emma eric eva fatima
felix hakan hana hanna hassan helen hugo ibrahim isabel ivan jana julia karim katarina kevin laura layla leila leon
leonardo liam linda lucas lucia maria mariam marina mario martin mateo maya michael mila mina mohamed nadia nina noah
nora olivia omar oscar paul rana robin sakura samira sara sarah simon sofia stella thomas victor yasmin yuki zahra zoe
"""
WELL_KNOWN = frozenset(WELL_KNOWN_NAMES.split())


@model_request
def examples(session: Session) -> Examples:
    """Return words that show what the active model has learned.

    Of the documents, at most 500 of each part of the data are searched, evenly spread over it.
    """
    run = session.active
    edited.unchanged(run, "the examples are found with the reference's loss", "loss", "softmax", "Value.")
    training, held_out = (_documents(run, part) for part in (run.run.order, run.run.held_out))
    worse = [example for example in reversed(_by_loss([*training, *held_out])) if example["loss"] > run.uniform_loss]
    familiar = _readable(training)
    unseen = _readable(held_out)
    invented = _invented(run)
    suggested = chain.from_iterable(zip_longest(familiar, unseen, invented))
    words = list(dict.fromkeys(example["word"] for example in suggested if example))
    return {
        "searched": len(training) + len(held_out),
        "familiar": familiar[:SHOWN],
        "held_out": unseen[:SHOWN],
        "backwards": _backwards(run, familiar)[:SHOWN],
        "invented": invented[:SHOWN],
        "worse": worse[:SHOWN],
        "num_worse": len(worse),
        "suggested": words[:SUGGESTED],
    }


def _documents(run: LabRun, indices: Sequence[int]) -> list[Example]:
    """Return documents of a part of the data, evenly spread over it, and the well-known names in it."""
    data = run.run.data
    chosen = spread(sorted(indices), SEARCHED[run.engine.name])
    words = [data.text(i) for i in chosen]
    known = run.parts(WELL_KNOWN)
    part = "training" if indices is run.run.order else "held out"
    words += sorted(word for word, its in known.items() if its == part)
    return _examples(run, [word for word in words if word])


def _examples(run: LabRun, words: Iterable[str]) -> list[Example]:
    """Return the words with their losses."""
    words = list(dict.fromkeys(words))
    documents = [run.run.tokenizer.encode(word) for word in words]
    parts = run.parts(words)
    return [
        {"word": word, "loss": nats / num_positions(document, run.config), "part": parts.get(word)}
        for word, document, nats in zip(words, documents, run.engine.losses(documents))
    ]


def _by_loss(found: Iterable[Example]) -> list[Example]:
    return sorted(found, key=lambda example: (example["loss"], example["word"]))


def _readable(found: Sequence[Example]) -> list[Example]:
    """Return the words of a length that is easy to follow, well-known names first, then those with the lowest loss."""
    of_length = [example for example in _by_loss(found) if LETTERS[0] <= len(example["word"]) <= LETTERS[1]]
    return sorted(of_length, key=lambda example: example["word"] not in WELL_KNOWN)


def _backwards(run: LabRun, found: Sequence[Example]) -> list[Backwards]:
    """Return the words whose letters in reverse are no document and surprise the model more, by the most first."""
    candidates = [example for example in found if example["word"] in WELL_KNOWN] or found
    turned = _examples(run, [example["word"][::-1] for example in candidates])
    losses = {example["word"]: example["loss"] for example in turned if example["part"] is None}
    pairs: list[Backwards] = [
        {"word": word, "loss": loss, "backwards": word[::-1], "backwards_loss": losses[word[::-1]]}
        for word, loss in ((example["word"], example["loss"]) for example in candidates)
        if losses.get(word[::-1], loss) > loss
    ]
    return sorted(pairs, key=lambda pair: pair["loss"] - pair["backwards_loss"])


def _invented(run: LabRun) -> list[Example]:
    """Return samples that are in neither part of the data, those with the lowest loss first."""
    count = SAMPLED if run.engine.name == "native" else SHOWN
    texts = run.run.sample(count, temperature=TEMPERATURE, seed=SEED)
    new = [example for example in _examples(run, filter(None, texts)) if example["part"] is None]
    return [example for example in _by_loss(new) if LETTERS[0] <= len(example["word"]) <= LETTERS[1]]
