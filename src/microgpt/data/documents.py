"""Split a text into documents; `Data` holds the documents' tokens in memory.

A document is a line of the text, stripped of surrounding whitespace; blank lines are skipped. In `stream` mode, the
text is one long document, which training reads in windows of block_size + 1 tokens.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

from microgpt.data.split import Order, hold_out, shuffled
from microgpt.data.substrings import find_substrings
from microgpt.data.tokenizers import Tokenizer, width

MODES = ("lines", "stream")


def check_mode(mode: str) -> None:
    """Raise ValueError if `mode` is not one of MODES."""
    if mode not in MODES:
        raise ValueError(f"documents must be one of {', '.join(MODES)}, got documents={mode!r}")


def documents_of(pieces: Iterable[str], mode: str) -> Iterator[list[str]]:
    """Yield lists of documents from a text that arrives in pieces; for a stream, yield each piece in its own list."""
    return _lines(pieces) if mode == "lines" else ([piece] for piece in pieces if piece)


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
        mode: `lines` or `stream`.
        tokenizer: The text's tokenizer.
        sha256: The SHA-256 of the file's bytes.
        block_size: The size of a stream's windows, in tokens.
        bos_first: Whether BOS has token id 0.
        tokens: The token ids of all documents, without BOS, except that a stream has BOS at both ends.
        ends: Where each document ends in `tokens`; empty for a stream.
    """

    def __init__(self, source: str | None, mode: str, tokenizer: Tokenizer, sha256: str, block_size: int) -> None:
        self.source, self.mode, self.tokenizer, self.sha256 = source, mode, tokenizer, sha256
        self.block_size = block_size
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
        if self.mode == "lines":
            return len(self.ends)
        return -(-(len(self.tokens) - 1) // self.block_size)

    def sequence(self, i: int) -> list[int]:
        """Return the token ids of sequence i: a document with BOS at both ends, or a window of a stream."""
        if not 0 <= i < len(self):
            raise IndexError(f"i must be between 0 and {len(self) - 1}, got i={i}")
        if self.mode == "stream":
            return list(self.tokens[i * self.block_size : (i + 1) * self.block_size + 1])
        bos, ends = self.tokenizer.bos, self.ends
        return [bos, *self.tokens[ends[i - 1] if i else 0 : ends[i]], bos]

    def text(self, i: int) -> str:
        """Return the text of sequence i."""
        return str(self.tokenizer.decode(self.sequence(i)))

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))

    def split(self, seed: int, val_fraction: float) -> tuple[array[int], array[int]]:
        """Return the indices of the training sequences and of the held-out sequences, both in file order."""
        return hold_out(len(self), seed, val_fraction)

    def order(self, seed: int, val_fraction: float, rng: random.Random) -> Order:
        """Return the indices of the training sequences, shuffled by rng, and of the held-out sequences."""
        return shuffled(len(self), seed, val_fraction, rng)

    def find_texts(self, texts: Iterable[str]) -> set[str]:
        """Return the texts that occur in the data, as complete documents or, in a stream, anywhere."""
        wanted = set(texts)
        if self.mode == "lines":
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
