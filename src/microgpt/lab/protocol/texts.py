"""Response types for texts: a text as tokens, the training data, and new samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

Ended = Literal["bos", "block_size"]
Part = Literal["training", "held out"]  # of a run's data


class TypedCharacter(TypedDict):
    """A token in a typed text, or a character without a token."""

    char: str
    id: int | None
    known: bool  # false if the character is not in the vocabulary


class Meant(TypedDict):
    """The nearest text that the model can read."""

    word: str
    dropped: Sequence[str]


class Tokens(TypedDict):
    """A text as the tokenizer encodes it."""

    characters: Sequence[TypedCharacter]
    ids: Sequence[int]  # with BOS at both ends and without the unknown characters
    unknown: Sequence[str]  # the distinct unknown characters
    positions: int  # the number of positions that are computed: at most block_size
    cut: int  # the number of tokens past block_size, which are ignored
    meant: Meant | None  # null if the model can read all of the text, or none of it


class LetterCount(TypedDict):
    """A token and the number of times it occurs."""

    char: str
    id: int
    count: int


class Statistics(TypedDict):
    """A text's letter counts and document lengths."""

    num_docs: int
    num_chars: int  # without line ends
    letters: Sequence[LetterCount]  # in the order of ids, with BOS last (one per document)
    lengths: Sequence[tuple[int, int]]  # (number of characters, number of documents), in ascending order


class DataSet(Statistics):
    """The text that the active model is trained on."""

    name: str
    unread: float  # the fraction of characters that are past block_size
    first: Sequence[str]  # the first 12 documents of the file
    shuffled: Sequence[str]  # the first 12 documents after the shuffle with the run's seed


class Swap(TypedDict):
    """One swap of a shuffle."""

    i: int
    j: int
    after: Sequence[str]  # the list after the swap


class Shuffle(TypedDict):
    """random.shuffle on a short list, swap by swap: a Fisher-Yates shuffle that works back from the end of the list."""

    seed: int
    before: Sequence[str]
    swaps: Sequence[Swap]


class SpelledCharacter(TypedDict):
    """A character with its token id and its UTF-8 bytes."""

    char: str
    id: int | None  # null if the character is not in the vocabulary
    bytes: Sequence[int]


class ByTokenizer(TypedDict):
    """A count for the model's tokenizer and the corresponding count for a byte tokenizer."""

    characters: int
    bytes: int


class Spelled(TypedDict):
    """A text's characters with their token ids and UTF-8 bytes."""

    characters: Sequence[SpelledCharacter]
    num_bytes: int
    unknown: int  # the number of characters that are not in the vocabulary
    vocab_size: ByTokenizer  # including BOS
    rows: ByTokenizer  # the number of weights in wte and lm_head


class Letter(TypedDict):
    """A sampled token and the probabilities it was sampled from."""

    position: int
    probs: Sequence[float]  # by token id, after temperature and top-k
    logits: Sequence[float]
    chance: float  # the random number in [0, 1) that determined the token
    token_id: int
    char: str  # '' for BOS, which ends the text


class NearDocument(TypedDict):
    """A training document that is similar to a generated text."""

    text: str
    distance: int  # the number of letters to insert, delete or replace


class Generated(TypedDict):
    """A generated text, letter by letter."""

    text: str
    letters: Sequence[Letter]
    ended: Ended
    part: Part | None  # the part of the data that contains the text
    in_data: bool  # whether the model trained on the text
    nearest: Sequence[NearDocument]  # in the training data; empty for a stream, and for more than 50,000 documents


class Samples(TypedDict):
    """Several generated texts."""

    texts: Sequence[str]
    parts: Sequence[Part | None]  # for each text, the part of the data that contains it
    new: int  # the number of texts that are not in the training data


class Example(TypedDict):
    """A word that shows something about the active model."""

    word: str
    loss: float  # the mean loss in nats per token
    part: Part | None  # the part of the data that contains the word


class Backwards(TypedDict):
    """A training document whose letters in reverse surprise the model more."""

    word: str
    loss: float
    backwards: str
    backwards_loss: float


class Examples(TypedDict):
    """Words that show what the active model has learned. Each list begins with the best example, and may be empty."""

    searched: int  # the number of documents that were searched
    familiar: Sequence[Example]  # training documents: well-known names, then the lowest losses
    held_out: Sequence[Example]  # held-out documents, in the same order
    backwards: Sequence[Backwards]  # well-known names if there are any, the largest difference first
    invented: Sequence[Example]  # samples that are not in the data, the lowest loss first
    worse: Sequence[Example]  # documents that surprise the model more than if it knew nothing, the worst first
    num_worse: int  # how many of the searched documents do
    suggested: Sequence[str]  # words to try: training, held-out and invented ones in turn
