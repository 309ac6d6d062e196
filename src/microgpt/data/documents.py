"""Split a text into documents; `Data` holds the documents' tokens in memory.

A document is a line of the text, stripped of surrounding whitespace; blank lines are skipped. In the mode `paragraphs`,
blank lines separate documents, which may have several lines; in the mode `separated`, a given text separates them. In
`stream` mode, the text is one long document, which training reads in windows of block_size + 1 tokens. Documents in
memory may have any text: the mode `list` keeps them as they are.
"""

from __future__ import annotations

import random
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from hashlib import blake2b
from itertools import chain

from microgpt.data.split import END, RULES, SINGLY, TOGETHER, Order, hold_out, shuffled
from microgpt.data.substrings import find_substrings
from microgpt.data.tokenizers import Tokenizer, width

CHOICES = ("lines", "stream", "paragraphs")  # ways to split a text into documents
SEPARATED, LIST = "separated", "list"  # the ways that a separator, or a list in memory, implies
MODES = (*CHOICES, SEPARATED, LIST)
BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def check_mode(mode: str, separator: str | None = None) -> None:
    """Raise ValueError if `mode` is not one of MODES, or if it does not fit the separator."""
    if mode not in MODES:
        raise ValueError(f"documents must be one of {', '.join(CHOICES)}, got documents={mode!r}")
    if separator is not None and mode != SEPARATED:
        raise ValueError(f"separator cannot be used with documents={mode!r}: omit one of them")
    if separator == "" or (separator is None and mode == SEPARATED):
        raise ValueError(f"separator must be a text that is not empty, got separator={separator!r}")


def documents_of(pieces: Iterable[str], mode: str, separator: str | None = None) -> Iterator[list[str]]:
    """Yield lists of documents from a text that arrives in pieces; for a stream, yield each piece in its own list."""
    if mode == "stream":
        return ([piece] for piece in pieces if piece)
    if mode == "lines":
        return _lines(pieces)
    return _divided(pieces, BLANK_LINES.split if mode == "paragraphs" else partial(_split, separator or ""))


def _split(separator: str, text: str) -> list[str]:
    return text.split(separator)


def _divided(pieces: Iterable[str], split: Callable[[str], Sequence[str]]) -> Iterator[list[str]]:
    rest = ""
    for piece in pieces:
        *whole, rest = split(rest + piece)
        if documents := [document for text in whole if (document := text.strip())]:
            yield documents
    if document := rest.strip():
        yield [document]


def _lines(pieces: Iterable[str]) -> Iterator[list[str]]:
    line: list[str] = []  # the pieces of an incomplete line
    for piece in pieces:
        head, newline, rest = piece.partition("\n")
        line.append(head)
        if newline:
            *whole, tail = rest.split("\n")
            documents = [document for text in ("".join(line), *whole) if (document := text.strip())]
            line = [tail]
            if documents:
                yield documents
    if document := "".join(line).strip():
        yield [document]


class Data:
    """Tokenized documents, in file order.

    All tokens are stored in one compact array, with 1 byte per token for a vocabulary of up to 256 tokens, and 2 or 4
    bytes per token for a larger vocabulary. Another 8 bytes per document record where the document ends.

    Attributes:
        source: The path, or the name of a data set; None for documents in memory.
        mode: How the text is split into documents; one of MODES.
        tokenizer: The text's tokenizer.
        sha256: The SHA-256 of the file's bytes.
        block_size: The size of a stream's windows, in tokens.
        separator: The text between documents in the mode `separated`.
        field: The field of a table that has the documents, or None.
        more: The paths of further files.
        has_blank_lines: Whether blank lines stand between the lines of the text, which may separate longer documents.
        note: How the text was read and why, if that was not asked for; "" otherwise.
        bos_first: Whether BOS has token id 0.
        tokens: The token ids of all documents, without BOS, except that a stream has BOS at both ends.
        ends: Where each document ends in `tokens`; empty for a stream.
    """

    def __init__(self, source: str | None, mode: str, tokenizer: Tokenizer, sha256: str, block_size: int) -> None:
        self.source, self.mode, self.tokenizer, self.sha256 = source, mode, tokenizer, sha256
        self.block_size = block_size
        self.separator: str | None = None
        self.field: str | None = None
        self.more: tuple[str, ...] = ()
        self.has_blank_lines = False
        self.note = ""
        self.bos_first = tokenizer.bos == 0
        self.tokens: array[int] = array(width(len(tokenizer.symbols)))
        self.ends: array[int] = array("Q")  # where each document ends in tokens

    @property
    def vocab_size(self) -> int:
        """The number of tokens in the vocabulary, including BOS."""
        return len(self.tokenizer.symbols)

    @property
    def bytes_per_token(self) -> int:
        """The memory per token, in bytes."""
        return self.tokens.itemsize

    def __len__(self) -> int:
        """The number of sequences: documents, or a stream's windows."""
        if self.mode != "stream":
            return len(self.ends)
        return -(-(len(self.tokens) - 1) // self.block_size)

    def sequence(self, i: int, limit: int | None = None) -> list[int]:
        """Return the token ids of sequence i: a document with BOS at both ends, or a window of a stream.

        Args:
            i: The index of the sequence.
            limit: Return only this many tokens from the start; a document can be much longer than what is read of it.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"i must be between 0 and {len(self) - 1}, got i={i}")
        if self.mode == "stream":
            return list(self.tokens[i * self.block_size : (i + 1) * self.block_size + 1])
        bos, start, end = self.tokenizer.bos, self.ends[i - 1] if i else 0, self.ends[i]
        if limit is not None and limit < end - start + 2:
            return [bos, *self.tokens[start : start + limit - 1]]
        return [bos, *self.tokens[start:end], bos]

    def text(self, i: int) -> str:
        """Return the text of sequence i."""
        return str(self.tokenizer.decode(self.sequence(i)))

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))

    @cached_property
    def kinds(self) -> array[int]:
        """A number for each document, counted from 0 in the order of the text, that equal documents share."""
        numbers: dict[bytes, int] = {}
        content = memoryview(self.tokens)
        starts = chain((0,), self.ends)
        # a digest takes less memory than a long document
        digests = (blake2b(content[start:end], digest_size=16).digest() for start, end in zip(starts, self.ends))
        return array("Q", (numbers.setdefault(digest, len(numbers)) for digest in digests))

    @property
    def num_distinct(self) -> int:
        """The number of distinct documents; only if the data `compares` them."""
        return max(self.kinds, default=-1) + 1

    def split_rule(self, asked: str | None = None) -> str:
        """Return the rule by which a new run splits the data; raise ValueError if the rule that is asked for cannot."""
        if asked not in (None, *RULES):
            raise ValueError(f"split must be one of {', '.join(RULES)}, got split={asked!r}")
        if asked == TOGETHER and not self.compares:
            raise ValueError(
                f"split cannot be {asked!r} for a stream or prepared data, whose documents are not compared: omit it"
            )
        if asked:
            return asked
        if self.mode == "stream":
            return END
        return TOGETHER if self.compares and self.num_distinct < len(self) else SINGLY

    @property
    def compares(self) -> bool:
        """True if equal documents can be found: there are documents, and they are in memory."""
        return self.mode != "stream"

    def split(self, seed: int, val_fraction: float, rule: str = SINGLY) -> tuple[array[int], array[int]]:
        """Return the indices of the training sequences and of the held-out sequences, both in file order."""
        return hold_out(len(self), seed, val_fraction, rule, self.kinds if rule == TOGETHER else ())

    def order(self, seed: int, val_fraction: float, rng: random.Random, rule: str = SINGLY) -> Order:
        """Return the indices of the training sequences, shuffled by rng, and of the held-out sequences."""
        return shuffled(len(self), seed, val_fraction, rng, rule, self.kinds if rule == TOGETHER else ())

    def find_texts(self, texts: Iterable[str]) -> set[str]:
        """Return the texts that occur in the data, as complete documents or, in a stream, anywhere."""
        wanted = set(texts)
        if self.mode != "stream":
            return wanted.intersection(self)
        parts = self._by_tokens(wanted, slice(1, -1))
        return {parts[part] for part in find_substrings(self.tokens.tobytes(), parts, self.bytes_per_token)}

    def _by_tokens(self, texts: Iterable[str], which: slice) -> dict[bytes, str]:
        """Return the texts, keyed by their tokens' bytes. which: the tokens to keep, without BOS at one or both ends.

        Texts with characters not found in the data are omitted.
        """
        found = {}
        for text in texts:
            with suppress(KeyError):
                found[array(width(self.vocab_size), self.tokenizer.encode(text)[which]).tobytes()] = text
        return found

    def unread(self, block_size: int) -> float:
        """Return the fraction of target tokens that training never reads because they are past block_size."""
        if self.mode == "stream" or not self.tokens:
            return 0.0
        starts = chain((0,), self.ends)
        # a document of n tokens has n + 1 targets: its tokens and the closing BOS
        lost = sum(max(0, end - start + 1 - block_size) for start, end in zip(starts, self.ends))
        return lost / (len(self.tokens) + len(self.ends))
