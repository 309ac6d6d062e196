"""Answer types for texts: a text as tokens, the training data, new samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

Ended = Literal["bos", "block_size"]


class TypedCharacter(TypedDict):
    """A character as typed, or one of the tokens that write it."""

    char: str
    id: int | None
    known: bool  # false: the closed vocabulary has no such character


class Meant(TypedDict):
    """The nearest text that the model can read."""

    word: str
    dropped: Sequence[str]


class Tokens(TypedDict):
    """What the tokenizer makes of a text."""

    characters: Sequence[TypedCharacter]
    ids: Sequence[int]  # with BOS at both ends, unknown characters left out
    unknown: Sequence[str]  # each once
    positions: int  # how many are computed: at most block_size
    cut: int  # characters beyond block_size, which are not read
    meant: Meant | None  # null where all of the text can be read, or none of it


class LetterCount(TypedDict):
    """How often a token occurs."""

    char: str
    id: int
    count: int


class Statistics(TypedDict):
    """How often each letter of a text occurs, and how long its documents are."""

    num_docs: int
    num_chars: int  # without the line ends
    letters: Sequence[LetterCount]  # in the order of ids, BOS last (one a document)
    lengths: Sequence[tuple[int, int]]  # (characters, documents), ascending


class DataSet(Statistics):
    """The text that the active model is trained on."""

    name: str
    unread: float  # share of the characters beyond block_size
    first: Sequence[str]  # the first 12 documents of the file
    shuffled: Sequence[str]  # the first 12 after the shuffle with the run's seed


class Swap(TypedDict):
    """One exchange of a shuffle."""

    i: int
    j: int
    after: Sequence[str]  # the list after it


class Shuffle(TypedDict):
    """random.shuffle of a short list, swap by swap: Fisher and Yates, from the end."""

    seed: int
    before: Sequence[str]
    swaps: Sequence[Swap]


class SpelledCharacter(TypedDict):
    """A character as this model's token and as UTF-8."""

    char: str
    id: int | None  # null: not in the vocabulary
    bytes: Sequence[int]


class ByTokenizer(TypedDict):
    """A count for a tokenizer of characters, and one for a tokenizer of bytes."""

    characters: int
    bytes: int


class Spelled(TypedDict):
    """A text as this model's characters and as UTF-8 bytes."""

    characters: Sequence[SpelledCharacter]
    num_bytes: int
    unknown: int  # characters that the vocabulary lacks
    vocab_size: ByTokenizer  # BOS included
    rows: ByTokenizer  # numbers in wte and lm_head


class Letter(TypedDict):
    """A token drawn, and what it was drawn from."""

    position: int
    probs: Sequence[float]  # by token id, after temperature and top-k
    logits: Sequence[float]
    die: float  # random(), 0 to 1
    token_id: int
    char: str  # '' is BOS: the end


class NearDocument(TypedDict):
    """A training document that a text is close to."""

    text: str
    distance: int  # letters to put in, leave out or change


class Generated(TypedDict):
    """A new text, letter by letter."""

    text: str
    letters: Sequence[Letter]
    ended: Ended
    in_data: bool
    nearest: Sequence[NearDocument]  # empty for a stream, and for more than 50,000 documents


class Samples(TypedDict):
    """Several new texts."""

    texts: Sequence[str]
    new: int  # how many are not in the data
