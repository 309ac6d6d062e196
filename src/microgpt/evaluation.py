"""Measure a model: its loss against unigram and bigram baselines, and the novelty of its samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from microgpt.engines.base import Engine, Tokens, num_positions

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """A loss over some text: nats, the sum of -log p over all predicted tokens; tokens, how many these were.

    characters: that these tokens write, BOS counted as one; None where every token is a character.
    """

    nats: float
    tokens: int
    characters: int | None = None

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float:
        """Bits per character; the end of a document counts as one, as the line's end in its file does."""
        return self.nats / (self.tokens if self.characters is None else self.characters) / math.log(2)

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model still hesitates, so to say; inf where that is no float."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    def __add__(self, other: Score) -> Score:
        return Score(self.nats + other.nats, self.tokens + other.tokens)


NOTHING = Score(0.0, 0)


def spread(indices: Sequence[T], limit: int) -> Sequence[T]:
    """At most `limit` of the indices (or of anything; 0: all), spread evenly: files are often sorted."""
    if not limit or limit >= len(indices):
        return indices
    return [indices[i * len(indices) // limit] for i in range(limit)]


def score(engine: Engine, documents: Iterable[Tokens]) -> Score:
    """The model's score on these documents, each as far as block_size reaches: the parts that training would read."""
    tokens = 0

    def counted() -> Iterator[Tokens]:
        nonlocal tokens
        for document in documents:
            tokens += num_positions(document, engine.config)
            yield document

    nats = 0.0
    for each in engine.losses(counted()):
        nats += each
    return Score(nats, tokens)


def nothing_known(tokens: int, vocab_size: int) -> Score:
    """The score of one who takes every token for equally likely."""
    return Score(tokens * math.log(vocab_size), tokens)


class Counts:
    """What counting reaches: how often each token, and each token after each other one, occurs in a text.

    Every count begins at 1 (Laplace), so that nothing is impossible.
    """

    def __init__(self, sequences: Iterable[Tokens], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.letters: Counter[int] = Counter()
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.firsts: Counter[int] = Counter()
        for tokens in sequences:
            self.letters.update(tokens[1:])
            self.pairs.update(pairwise(tokens))
            self.firsts.update(tokens[:-1])
        self.total = self.letters.total()

    def score(self, tokens: Tokens) -> tuple[Score, Score]:
        """What letter counts and letter-pair counts reach on a sequence."""
        letters = pairs = 0.0
        for a, b in pairwise(tokens):
            letters -= math.log((self.letters[b] + 1) / (self.total + self.vocab_size))
            pairs -= math.log((self.pairs[a, b] + 1) / (self.firsts[a] + self.vocab_size))
        return Score(letters, len(tokens) - 1), Score(pairs, len(tokens) - 1)


@dataclass(frozen=True)
class Novelty:
    """Of `samples` texts, how many are distinct, and how many (of all) do not stand in the training data.

    new: None where the training data are not here.
    """

    samples: int
    distinct: int
    new: int | None


def novelty(samples: Sequence[str], known: set[str] | None) -> Novelty:
    """Count; known: those of the samples that stand in the training data."""
    new = None if known is None else sum(sample not in known for sample in samples)
    return Novelty(len(samples), len(set(samples)), new)


@dataclass(frozen=True)
class Evaluation:
    """A model measured: scores has its own, and what counting reaches.

    text: what it is measured on, of whose `documents_in_all` so many `documents` were read.
    """

    text: str
    documents: int
    documents_in_all: int
    scores: dict[str, Score]
    novelty: Novelty

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "text": self.text,
            "documents": self.documents,
            "tokens": self.scores["model"].tokens,
            **{
                name.replace(" ", "_"): {
                    "loss": _finite(score.loss),
                    "bits_per_character": _finite(score.bits_per_character),
                    "perplexity": _finite(score.perplexity),
                }
                for name, score in self.scores.items()
            },
            "samples": self.novelty.samples,
            "distinct": self.novelty.distinct,
            "new": self.novelty.new,
        }


def render(found: Evaluation) -> str:
    """The evaluation for people."""
    tokens, new = found.scores["model"].tokens, found.novelty
    lines = [
        f"{found.text}: {found.documents:,} of {found.documents_in_all:,} documents, {tokens:,} tokens",
        "",
        f"{'':16}{'nats/token':>12}{'bits/character':>16}{'perplexity':>12}",
        *(
            f"{name:16}{score.loss:12.4f}{score.bits_per_character:16.4f}{score.perplexity:12.2f}"
            for name, score in found.scores.items()
        ),
    ]
    if new.samples:
        told = "" if new.new is None else f"{new.new:,} are new, "
        lines += ["", f"of {new.samples:,} samples {told}{new.distinct:,} are distinct"]
    return "\n".join(lines)


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None  # JSON has no infinity
