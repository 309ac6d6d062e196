"""Compare a model's loss with unigram and bigram baselines, and measure the novelty of its samples."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from microgpt.data.permutation import Permutation
from microgpt.engines.base import Engine, Tokens, num_positions, truncated
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
        standard_error: The standard error of the loss, in nats per token; None if it is unknown. See `total`.
    """

    nats: float
    tokens: int
    characters: int | None = None
    standard_error: float | None = None

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


def total(nats: Sequence[float], tokens: Sequence[int], kinds: Sequence[int]) -> Score:
    """Return the score on a sample of documents.

    The loss is a ratio, R = sum(y) / sum(x), for documents of x predicted tokens and y nats. The tokens of a document
    are not independent of one another, nor are equal documents, so the sample consists of n distinct documents, each
    with the x and y of all its copies. The standard error of a ratio estimated from them is

        sqrt(n / (n - 1) * sum((y - R * x)**2)) / sum(x)

    (Cochran, Sampling Techniques, 3rd ed. 1977, equation 6.13, without its factor for a sample that is a large part of
    the population, because what is estimated is the loss on other documents like these). It is None for fewer than two
    distinct documents. The windows of a stream count as documents; as neighbours resemble each other, the true error
    may be larger.

    Args:
        nats: Each document's sum of -log p over its predicted tokens.
        tokens: Each document's number of predicted tokens.
        kinds: A number for each document that only equal documents share.

    Returns:
        The score, with its standard error.
    """
    y, x = 0.0, sum(tokens)
    for each in nats:  # not sum(), which adds in another way from Python 3.12 on
        y += each
    residuals: defaultdict[int, float] = defaultdict(float)
    for kind, each, length in zip(kinds, nats, tokens):
        residuals[kind] += each - y / x * length
    error, count = None, len(residuals)
    if count > 1:
        error = math.sqrt(count / (count - 1) * math.fsum(each * each for each in residuals.values())) / x
    return Score(y, x, standard_error=error)


def spread(indices: Sequence[T], limit: int) -> Sequence[T]:
    """Return at most `limit` items of a sequence (0 for all), evenly spaced because files are often sorted."""
    if not limit or limit >= len(indices):
        return indices
    return [indices[i * len(indices) // limit] for i in range(limit)]


def drawn(indices: Sequence[int], positions: Callable[[int], int], largest: int, most: int, seed: int) -> Sequence[int]:
    """Return documents with about `most` predicted tokens, drawn at random; all of them if they have fewer.

    Only the documents that are drawn are read.

    Args:
        indices: The documents' indices.
        positions: A function that returns a document's number of predicted tokens, given its index.
        largest: The largest number of predicted tokens that a document can have.
        most: The number of predicted tokens after which no more documents are drawn.
        seed: The random seed.

    Returns:
        The indices of the documents, in increasing order if they are only a part.
    """
    if len(indices) * largest <= most:
        return indices
    chosen: array[int] = array("Q")
    tokens = 0
    for place in Permutation(len(indices), f"{seed}:measured"):
        chosen.append(indices[place])
        tokens += positions(chosen[-1])
        if tokens >= most and len(chosen) < len(indices):
            return array("Q", sorted(chosen))
    return indices


def score(engine: Engine, documents: Iterable[Tokens]) -> Score:
    """Return the model's score on documents, each truncated to block_size as in training."""
    tokens, kinds = array("Q"), array("q")

    def counted() -> Iterator[Tokens]:
        for document in documents:
            tokens.append(num_positions(document, engine.config))
            kinds.append(kind_of(truncated(document, engine.config)))
            yield document

    return total(array("d", engine.losses(counted())), tokens, kinds)


def kind_of(document: Tokens) -> int:
    """Return a number that equal documents share, and hardly any others."""
    return hash(tuple(document))


def uniform_score(tokens: int, vocab_size: int) -> Score:
    """Return the score of a model that gives every token the same probability."""
    return Score(tokens * math.log(vocab_size), tokens, standard_error=0.0)


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
        is_drawn: Whether the documents were drawn at random from all of them.
    """

    text: str
    documents: int
    documents_in_all: int
    scores: dict[str, Score]
    novelty: Novelty
    note: str = ""
    is_drawn: bool = False

    def __str__(self) -> str:
        return render(self).rstrip("\n")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [
            (name, f"{score.loss:.4f}", _error(score), f"{score.bits_per_character:.4f}", f"{score.perplexity:.2f}")
            for name, score in self.scores.items()
        ]
        return html((self.text, "nats/token", "std error", "bits/character", "perplexity"), rows)

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
                    "standard_error": None if score.standard_error is None else _finite(score.standard_error),
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
    counted = f"{evaluation.documents:,} of {evaluation.documents_in_all:,} documents"
    counted += f"{' (drawn at random)' * evaluation.is_drawn}, {tokens:,} tokens"
    lines = [
        f"{visible(evaluation.text)}: {counted}",
        *([evaluation.note] if evaluation.note else []),
        "",
        f"{'':16}{'nats/token':>12}{'std error':>11}{'bits/character':>16}{'perplexity':>12}",
        *(
            f"{name:16}{score.loss:12.4f}{_error(score):>11}{score.bits_per_character:16.4f}{score.perplexity:12.2f}"
            for name, score in evaluation.scores.items()
        ),
    ]
    if counts.samples:
        new = "" if counts.new is None else f"{counts.new:,} new, "
        lines += ["", f"{counts.samples:,} samples: {new}{counts.distinct:,} distinct"]
    return "\n".join(lines)


def _error(score: Score) -> str:
    return "" if score.standard_error is None else f"{score.standard_error:.4f}"


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None  # JSON cannot represent infinity
