"""Text to token ids: the data sets, the reading of files, and the held-out part.

A `Data` holds every token of its text in one compact array (1 byte a token for up to 256 symbols, else 2 or 4), and 8
bytes a document for where it ends; a file is read in pieces, twice, so that nothing else grows with it.
"""

from __future__ import annotations

import hashlib
import os
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import accumulate, chain

from microgpt.data.download import Progress
from microgpt.data.sources import DATASETS, Watch, _joined, locate, read_text
from microgpt.data.substrings import found_in
from microgpt.data.tokenizers import CharTokenizer, Tokenizer, learn, width
from microgpt.errors import DataError

MODES = ("lines", "stream")


class Data:
    """Tokenized documents, in the order of the file.

    source: the path, or the name of a data set; None for text from memory. sha256: of the file's bytes.
    mode: `lines`, a document a line; `stream`, one long text that is cut into windows of block_size + 1 tokens.
    """

    def __init__(self, source: str | None, mode: str, tokenizer: Tokenizer, sha256: str, block_size: int) -> None:
        self.source, self.mode, self.tokenizer, self.sha256 = source, mode, tokenizer, sha256
        self.block_size = block_size
        self.bos_first = tokenizer.bos == 0
        self.tokens: array[int] = array(width(len(tokenizer.symbols)))
        self.ends: array[int] = array("Q")  # of each document in tokens

    @property
    def vocab_size(self) -> int:
        """How many symbols there are, BOS included."""
        return len(self.tokenizer.symbols)

    @property
    def bytes_per_token(self) -> int:
        """Memory that one token takes."""
        return self.tokens.itemsize

    def __len__(self) -> int:
        """How many training sequences there are: documents, or windows of a stream."""
        if self.mode == "lines":
            return len(self.ends)
        return -(-(len(self.tokens) - 1) // self.block_size)

    def sequence(self, i: int) -> list[int]:
        """The token ids of sequence i: a whole document with BOS at both ends, or a window of a stream."""
        if not 0 <= i < len(self):
            raise IndexError(f"sequence must be from 0 to {len(self) - 1}, got {i}")
        if self.mode == "stream":
            return list(self.tokens[i * self.block_size : (i + 1) * self.block_size + 1])
        bos = self.tokenizer.bos
        return [bos, *self.tokens[self.ends[i - 1] if i else 0 : self.ends[i]], bos]

    def text(self, i: int) -> str:
        """The text of sequence i."""
        return str(self.tokenizer.decode(self.sequence(i)))

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(len(self)))

    def split(self, seed: int, val_fraction: float) -> tuple[array[int], array[int]]:
        """The sequences to train on and the held-out ones, both in the order of the file.

        The held-out ones are drawn by a Random of their own, so that a split leaves the run's random stream alone.
        """
        indices, count = range(len(self)), self.held_out_count(val_fraction)
        held_out = set(random.Random(f"{seed}:val").sample(indices, count))
        return array("Q", (i for i in indices if i not in held_out)), array("Q", sorted(held_out))

    def order(self, seed: int, val_fraction: float, rng: random.Random) -> tuple[Sequence[int], Sequence[int]]:
        """The sequences to train on, shuffled by rng, and the held-out ones."""
        order, held_out = self.split(seed, val_fraction)
        rng.shuffle(order)
        return order, held_out

    def held_out_count(self, val_fraction: float) -> int:
        """How many sequences are held out. Raises ValueError or DataError for a fraction that makes no sense."""
        if not 0 <= val_fraction < 1:
            raise ValueError(f"val_fraction must be at least 0 and less than 1, got val_fraction={val_fraction}")
        count = round(len(self) * val_fraction)
        if val_fraction and not 0 < count < len(self):
            raise DataError(
                f"val_fraction={val_fraction} of {len(self)} documents leaves none to train on or none to hold out:"
                " choose another fraction, or give more documents"
            )
        return count

    def known(self, texts: Iterable[str]) -> set[str]:
        """Which of `texts` stand in the data: as a whole document, or anywhere in a stream."""
        wanted = set(texts)
        if self.mode == "lines":
            return wanted.intersection(self)
        parts = self._by_tokens(wanted, slice(1, -1))
        return {parts[part] for part in found_in(self.tokens.tobytes(), parts, self.bytes_per_token)}

    def _by_tokens(self, texts: Iterable[str], which: slice) -> dict[bytes, str]:
        """The texts by `which` of their tokens, BOS at both ends included, as the data keep them.

        Those with a character that the data do not have are left out.
        """
        found = {}
        for text in texts:
            with suppress(KeyError):
                found[array(width(self.vocab_size), self.tokenizer.encode(text)[which]).tobytes()] = text
        return found

    def unread(self, block_size: int) -> float:
        """The share (0 to 1) of the next tokens that training does not read, as they lie beyond block_size."""
        if self.mode == "stream" or not self.tokens:
            return 0.0
        starts = chain((0,), self.ends)
        # a document of n characters has n + 1 next tokens: its characters and the closing BOS
        lost = sum(max(0, end - start + 1 - block_size) for start, end in zip(starts, self.ends))
        return lost / (len(self.tokens) + len(self.ends))


def load(
    source: str | os.PathLike[str] | Sequence[str] = "names",
    *,
    mode: str = "lines",
    block_size: int = 16,
    bos_first: bool = False,
    tokenizer: str | Tokenizer = "char",
    progress: Progress | None = None,
) -> Data:
    """Read and tokenize.

    source: a file, the name of a data set (`names`, bundled; `makemore`, downloaded once; a Path is always a file), or
    documents in memory, which are read as the lines of a file.
    block_size: the windows of a stream. tokenizer: one to read with, or the kind of a new one (see tokenization).
    Raises DataError for a text that cannot be used, OSError where a file cannot be read.
    """
    if mode not in MODES:
        raise ValueError(f"documents must be one of {', '.join(MODES)}, got documents={mode!r}")
    name: str | None = None
    if isinstance(source, (str, os.PathLike)):
        path = locate(source, progress)
        name = source if isinstance(source, str) and source in DATASETS else str(path.resolve())
        read: Callable[[Watch | None], Iterable[str]] = partial(read_text, path)
    else:
        read = partial(_joined, list(source))
    digest = hashlib.sha256()
    found: set[str] = set()

    def texts() -> Iterator[str]:
        for piece in _pieces(read(digest.update), mode):
            found.update(*piece)
            yield from piece

    what = repr(os.fspath(source)) if name else "the list of documents"  # type: ignore[arg-type]
    if isinstance(tokenizer, str):
        tokenizer = learn(tokenizer, texts(), bos_first)
    for _ in () if found else texts():  # where nothing is to be learned, they are read all the same: for the digest
        pass
    if not found:
        raise DataError(f"{what} is empty: give a text with at least one document, one a line")
    if isinstance(tokenizer, CharTokenizer) and (unknown := found - tokenizer.token_ids.keys()):
        raise DataError(
            f"{what} has characters that the model has never seen: {_show(unknown)}; take them out, or train a model on"
            " a text that has them"
        )
    data = Data(name, mode, tokenizer, digest.hexdigest(), block_size)
    again = hashlib.sha256()
    try:
        _fill(data, _pieces(read(again.update), mode))
    except KeyError:  # ids of characters that were not there before
        again.update(b"changed")
    if again.digest() != digest.digest():
        raise DataError(f"{what} changed while it was read: try again when nobody writes to it")
    return data


def _pieces(text: Iterable[str], mode: str) -> Iterator[list[str]]:
    """The documents of a text, some at a time; those of a stream are parts of the one long document."""
    return _documents(text) if mode == "lines" else ([piece] for piece in text if piece)


def _show(characters: Iterable[str]) -> str:
    listed = sorted(characters)
    return " ".join(map(repr, listed[:10])) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _fill(data: Data, pieces: Iterable[list[str]]) -> None:
    """Append the token ids of all the text."""
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)
    for documents in pieces:
        tokens, lengths = data.tokenizer.pack(documents, bos=False)
        data.tokens.extend(tokens)
        if data.mode == "lines":
            last = data.ends[-1] if data.ends else 0
            data.ends.extend(accumulate(lengths[1:], initial=last + lengths[0]))
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)


def _documents(pieces: Iterable[str]) -> Iterator[list[str]]:
    """The documents of a text that comes in pieces: its lines without the space around them, blank ones left out."""
    line: list[str] = []  # the pieces of a line that is not complete yet
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
