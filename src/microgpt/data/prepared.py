"""Prepared data: text too large for memory, tokenized once into files that training reads from.

Training reads only the tokens it needs. data/prepare.py writes the folder, which contains these files:

    tokens.bin   all token ids, little-endian, 1, 2 or 4 bytes each: BOS, document, BOS, document, ..., BOS
    starts.bin   the position of each document's first BOS, 8 bytes each; empty for a stream, which is cut into windows
    data.json    the tokenizer, the counts, the SHA-256 of both files, and the names of the source files; data.json
                 is written last, so a folder without data.json is unfinished
"""

from __future__ import annotations

import json
import mmap
import os
import random
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, cast

from microgpt.data.documents import Data
from microgpt.data.split import SINGLY, Order, permuted
from microgpt.data.substrings import FEW, find_substrings
from microgpt.data.tokenizers import from_spec, width
from microgpt.errors import DataError
from microgpt.system.files import open_regular, read_bytes, sha256
from microgpt.system.records import OneOf, Positive, Whole, read

FORMAT = "microgpt-data/1"
DATA, TOKENS, STARTS = "data.json", "tokens.bin", "starts.bin"
PREPARED = ("lines", "stream")  # the ways to split a text that can be prepared
PARTS, PLAN, LEARNED = "parts", "plan.json", "tokenizer.json"  # in an unfinished folder
AGAIN = "prepare the data again with microgpt prepare --overwrite"

Working = Callable[[str, int, int], None]  # (a description of the task, the amount done, the total)


@dataclass(frozen=True)
class Asked:
    """The files and options that the data was prepared from.

    Attributes:
        files: The files, each with its path, its size in bytes, and the time of its last change in nanoseconds.
        tokenizer: The --tokenizer value.
    """

    files: list[tuple[str, Whole, int]]
    tokenizer: str


@dataclass(frozen=True)
class Facts:
    """The contents of data.json.

    Attributes:
        asked: The files and options that the data was prepared from.
        documents: `lines` or `stream`.
        tokenizer: The tokenizer as `Tokenizer.spec` describes it.
        sha256: The SHA-256 of tokens.bin.
        starts_sha256: The SHA-256 of starts.bin.
        tokens: The number of tokens, including BOS.
        num_docs: The number of documents; 0 for a stream.
        lengths: Pairs of (length in tokens excluding BOS, number of documents with that length).
    """

    asked: Asked
    documents: Annotated[str, OneOf(PREPARED)]
    tokenizer: dict[str, Any]
    sha256: str
    starts_sha256: str
    tokens: Positive
    num_docs: Whole
    lengths: list[tuple[Whole, Positive]]

    def __post_init__(self) -> None:
        stream = self.documents == "stream"
        documents = sum(count for _, count in self.lengths)
        if documents != self.num_docs or stream == (self.num_docs > 0):
            raise ValueError(
                f"num_docs must match documents={self.documents} and lengths, got num_docs={self.num_docs}"
            )
        expected = 1 + sum(count * (length + 1) for length, count in self.lengths)
        if self.tokens < 3 or not (stream or self.tokens == expected):
            raise ValueError(f"tokens must be the number of tokens in the documents, got tokens={self.tokens}")


class Prepared(Data):
    """Prepared data, memory-mapped from a folder: only the pages that are read occupy memory.

    Attributes:
        source: The folder.
        sha256: The SHA-256 of tokens.bin.
        facts: The contents of data.json.
        tokens: The token ids of all documents, with BOS before each document and at the end.
        starts: The position of each document's first BOS in `tokens`; empty for a stream.
    """

    def __init__(self, folder: Path, facts: Facts, block_size: int) -> None:
        super().__init__(str(folder.resolve()), facts.documents, from_spec(facts.tokenizer), facts.sha256, block_size)
        self.facts = facts
        self._folder = folder
        self._content = _mapped(folder / TOKENS, facts.tokens, width(self.vocab_size))
        self.tokens = cast("array[int]", memoryview(self._content).cast(width(self.vocab_size)))  # type: ignore[call-overload]
        self.starts: Sequence[int] = ()
        if self.mode == "lines":
            self.starts = memoryview(_mapped(folder / STARTS, facts.num_docs, "Q")).cast("Q")

    def __len__(self) -> int:
        if self.mode == "lines":
            return len(self.starts)
        return -(-(len(self.tokens) - 1) // self.block_size)

    def sequence(self, i: int, limit: int | None = None) -> list[int]:
        if not 0 <= i < len(self):
            raise IndexError(f"i must be between 0 and {len(self) - 1}, got i={i}")
        if self.mode == "stream":
            tokens = super().sequence(i)[:limit]
        else:
            start, end = self.starts[i], self.starts[i + 1] if i + 1 < len(self.starts) else len(self.tokens) - 1
            if not start < end < len(self.tokens):
                raise _changed(self._folder / STARTS)
            if not self.tokens[start] == self.tokens[end] == self.tokenizer.bos:
                raise _changed(self._folder / TOKENS)
            tokens = list(self.tokens[start : end + 1 if limit is None else min(start + limit, end + 1)])
        if max(tokens) >= self.vocab_size:
            raise _changed(self._folder / TOKENS)
        return tokens

    @property
    def compares(self) -> bool:
        return False  # see split.permuted

    def order(self, seed: int, val_fraction: float, rng: random.Random, rule: str = SINGLY) -> Order:
        """Return the indices of the shuffled training sequences and of the held-out sequences; rng is not used."""
        return permuted(len(self), seed, val_fraction, rule)

    def find_texts(self, texts: Iterable[str]) -> set[str]:
        wanted = set(texts)
        if self.mode == "stream" or len(wanted) < FEW:
            parts = self._by_tokens(wanted, slice(1, -1) if self.mode == "stream" else slice(None))
            return {parts[part] for part in find_substrings(self._content, parts, self.bytes_per_token)}
        of_documents = self._by_tokens(wanted, slice(0, -1))
        place = self.bytes_per_token.__mul__
        begins, ends = map(place, self.starts), map(place, chain(self.starts[1:], [len(self.tokens) - 1]))
        documents = map(self._content.__getitem__, map(slice, begins, ends))  # runs entirely at C speed
        return {of_documents[document] for document in set(of_documents).intersection(documents)}

    def summary(self) -> dict[str, Any]:
        """Return the facts that `microgpt info` and `microgpt prepare` print."""
        return {
            "files": [name for name, _, _ in self.facts.asked.files],
            "tokenizer": self.facts.asked.tokenizer,
            "documents": self.mode,
            "num_docs": self.facts.num_docs,
            "tokens": len(self.tokens),
            "vocab_size": self.vocab_size,
            "bytes_per_token": self.bytes_per_token,
            "sha256": self.sha256,
        }

    def unread(self, block_size: int) -> float:
        if self.mode == "stream":
            return 0.0
        lengths = self.facts.lengths
        lost = sum(count * max(0, length + 1 - block_size) for length, count in lengths)
        return float(lost / sum(count * (length + 1) for length, count in lengths))


def _mapped(path: Path, count: int, kind: str) -> mmap.mmap:
    """Memory-map a file that must contain `count` integers."""
    expected = count * array(kind).itemsize
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected:
                raise DataError(
                    f"{str(path)!r} has {size:,} bytes, expected {expected:,}: the file was truncated or changed;"
                    f" {AGAIN}"
                )
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror}; {AGAIN}") from None


def _changed(path: Path) -> DataError:
    return DataError(f"{str(path)!r} has changed: {AGAIN}")


def is_prepared(path: Path) -> bool:
    """Return whether the folder contains prepared data, finished or unfinished."""
    return (path / DATA).is_file() or (path / PARTS / PLAN).is_file()


def open_prepared(folder: Path, block_size: int) -> Prepared:
    """Open a folder of prepared data.

    Args:
        folder: The folder.
        block_size: The size of a stream's windows, in tokens.

    Returns:
        The data.

    Raises:
        DataError: The data is unfinished or damaged, or this machine is big-endian.
    """
    path = folder / DATA
    try:
        facts = json.loads(read_bytes(path).decode())
        found = facts.get("format") if isinstance(facts, dict) else None
        if found != FORMAT:
            raise ValueError(f"its format is {found!r:.60}, expected {FORMAT!r}")
        if sys.byteorder != "little":
            raise DataError(
                f"{str(folder)!r} can only be used on a little-endian machine, but this machine is big-endian"
            )
        return Prepared(folder, read(Facts, facts), block_size)
    except FileNotFoundError:
        raise DataError(
            f"{str(folder)!r} is unfinished: run the same microgpt prepare command again to resume"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror}; {AGAIN}") from None
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{str(path)!r} is damaged ({error}): {AGAIN}") from None


def check(folder: Path, progress: Working | None = None) -> None:
    """Verify the checksums of the folder's files; raise DataError if one does not match."""
    data = open_prepared(folder, 1)
    for name, digest in ((TOKENS, data.sha256), (STARTS, data.facts.starts_sha256)):
        path = folder / name
        try:
            found = sha256(path, partial(progress, f"Checking {name}") if progress else None)
        except OSError as error:
            raise DataError(f"cannot read {str(path)!r}: {error.strerror}; {AGAIN}") from None
        if found != digest:
            raise _changed(path)
