"""Compare a model's loss with unigram and bigram baselines, and measure the novelty of its samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from microgpt.engines.base import Engine, Tokens, num_positions
from microgpt.system.text import html, visible

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """A model's loss on a text.

    Attributes:
        nats: The sum of -log p over all predicted tokens.
        tokens: The number of predicted tokens.
        characters: The number of characters in the predicted tokens, counting BOS as one; None if each token is one
            character.
    """

    nats: float
    tokens: int
    characters: int | None = None

    @property
    def loss(self) -> float:
        """The mean loss, in nats per token."""
        return self.nats / self.tokens

    @property
    def bits_per_character(self) -> float:
        """The loss in bits per character; the end of a document counts as one character, like a newline in a file."""
        return self.nats / (self.tokens if self.characters is None else self.characters) / math.log(2)

    @property
    def perplexity(self) -> float:
        """The number of equally likely tokens that would give the same loss; inf on overflow."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    def __add__(self, other: Score) -> Score:
        return Score(self.nats + other.nats, self.tokens + other.tokens)


EMPTY_SCORE = Score(0.0, 0)


def spread(indices: Sequence[T], limit: int) -> Sequence[T]:
    """Return at most `limit` items of a sequence (0 for all), evenly spaced because files are often sorted."""
    if not limit or limit >= len(indices):
        return indices
    return [indices[i * len(indices) // limit] for i in range(limit)]


def score(engine: Engine, documents: Iterable[Tokens]) -> Score:
    """Return the model's score on documents, each truncated to block_size as in training."""
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


def uniform_score(tokens: int, vocab_size: int) -> Score:
    """Return the score of a model that gives every token the same probability."""
    return Score(tokens * math.log(vocab_size), tokens)


class NgramCounts:
    """The unigram and bigram baselines: how often each token and each pair of adjacent tokens occurs in a text.

    Every count starts at 1 (Laplace smoothing), so no token has probability 0.
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
        """Return the unigram and bigram scores on a sequence."""
        letters = pairs = 0.0
        for a, b in pairwise(tokens):
            letters -= math.log((self.letters[b] + 1) / (self.total + self.vocab_size))
            pairs -= math.log((self.pairs[a, b] + 1) / (self.firsts[a] + self.vocab_size))
        return Score(letters, len(tokens) - 1), Score(pairs, len(tokens) - 1)


@dataclass(frozen=True)
class Novelty:
    """How many samples are distinct, and how many are new.

    Attributes:
        samples: The number of samples.
        distinct: The number of distinct texts among the samples.
        new: The number of samples that are not in the training data; None if the training data is unavailable.
    """

    samples: int
    distinct: int
    new: int | None


def novelty(samples: Sequence[str], known: set[str] | None) -> Novelty:
    """Count the distinct samples and the new samples.

    Args:
        samples: The generated texts.
        known: The texts that occur in the training data; None if the training data is unavailable.

    Returns:
        The numbers of samples, distinct samples and new samples.
    """
    new = None if known is None else sum(sample not in known for sample in samples)
    return Novelty(len(samples), len(set(samples)), new)


@dataclass(frozen=True)
class Evaluation:
    """A model's measurements.

    Attributes:
        text: A description of the text that the model was evaluated on.
        documents: The number of documents that the model was evaluated on.
        documents_in_all: The total number of documents in the text.
        scores: The scores of the model and the baselines, by name.
        novelty: How many of the model's samples are distinct, and how many are new.
        note: What a reader must know about the held-out part; empty if there is nothing to know.
    """

    text: str
    documents: int
    documents_in_all: int
    scores: dict[str, Score]
    novelty: Novelty
    note: str = ""

    def __str__(self) -> str:
        return render(self).rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            (name, f"{score.loss:.4f}", f"{score.bits_per_character:.4f}", f"{score.perplexity:.2f}")
            for name, score in self.scores.items()
        ]
        return html((self.text, "nats/token", "bits/character", "perplexity"), rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as a dict that can be written as JSON."""
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
            **({"note": self.note} if self.note else {}),
        }


def render(evaluation: Evaluation) -> str:
    """Return the evaluation as a printable table."""
    tokens, counts = evaluation.scores["model"].tokens, evaluation.novelty
    counted = f"{evaluation.documents:,} of {evaluation.documents_in_all:,} documents, {tokens:,} tokens"
    lines = [
        f"{visible(evaluation.text)}: {counted}",
        *([evaluation.note] if evaluation.note else []),
        "",
        f"{'':16}{'nats/token':>12}{'bits/character':>16}{'perplexity':>12}",
        *(
            f"{name:16}{score.loss:12.4f}{score.bits_per_character:16.4f}{score.perplexity:12.2f}"
            for name, score in evaluation.scores.items()
        ),
    ]
    if counts.samples:
        new = "" if counts.new is None else f"{counts.new:,} new, "
        lines += ["", f"{counts.samples:,} samples: {new}{counts.distinct:,} distinct"]
    return "\n".join(lines)


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None  # JSON cannot represent infinity
