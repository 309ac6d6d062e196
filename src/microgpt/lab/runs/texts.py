"""A session's training texts, with their letter counts, document lengths and shuffles."""

from __future__ import annotations

import json
import tempfile
import unicodedata
from base64 import b64encode
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt.config import Config
from microgpt.data.documents import CHOICES, MODES, Data
from microgpt.data.loading import is_one_line, load
from microgpt.data.tokenizers import ByteTokenizer, Tokenizer
from microgpt.engines.base import Tokens, num_positions
from microgpt.errors import LabError

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import LetterCount, Meant, Statistics

MAX_BYTES = 50_000_000
MAX_SYMBOLS = 2000  # in a vocabulary; with this many symbols, a document's graph has about a million nodes
MAX_TYPED = 1000  # characters in a typed text
BUNDLED = "names"


class Text:
    """A training text: the bundled names or a file that the page loaded. The text is read when first needed.

    Args:
        name: The text's name.
        content: The file's bytes; None for the bundled names.
        mode: "lines" if each line is a document; "stream" if the text is a single stream.
    """

    def __init__(self, name: str = BUNDLED, content: bytes | None = None, mode: str = MODES[0]) -> None:
        self.name, self.content, self.mode = name, content, mode
        self._read: dict[tuple[Any, ...], Data] = {}
        self._statistics: dict[int, Statistics] = {}
        self._sorted: dict[int, list[str]] = {}

    @cached_property
    def base64(self) -> str | None:
        """The file's bytes in base64; None for the bundled names."""
        return None if self.content is None else b64encode(self.content).decode()

    def data(self, config: Config, tokenizer: Tokenizer | None = None) -> Data:
        """Return the text's documents as a model reads them.

        Args:
            config: The model's configuration.
            tokenizer: The model's tokenizer; None to create a tokenizer from the text's characters.

        Raises:
            DataError: The content is not text or contains characters that are not in the tokenizer's vocabulary.
        """
        spec = tokenizer and json.dumps(tokenizer.spec())
        key = (config.bos_first, config.block_size if self.mode == "stream" else 0, spec)
        if key not in self._read:
            options: dict[str, Any] = {"mode": self.mode, "block_size": config.block_size}
            options |= {"tokenizer": tokenizer} if tokenizer else {}
            if self.content is None:
                self._read[key] = load(BUNDLED, bos_first=config.bos_first, **options)
            else:
                with as_file(self.name, self.content) as path:
                    data = load(path, bos_first=config.bos_first, **options)
                data.source = self.name
                self._read[key] = data
        return self._read[key]

    def in_mode(self, mode: str) -> Text:
        """Return the same text, read as lines or as a stream."""
        return self if mode == self.mode else Text(self.name, self.content, mode)

    def find_texts(self, data: Data, texts: Iterable[str]) -> set[str]:
        """Return the texts that occur in the data."""
        if data.mode != "lines":
            return data.find_texts(texts)
        documents = self.in_order(data)
        places = {text: bisect_left(documents, text) for text in texts}
        return {text for text, i in places.items() if i < len(documents) and documents[i] == text}

    def statistics(self, data: Data) -> Statistics:
        """Return the letter counts and document lengths."""
        if id(data) not in self._statistics:
            counts = Counter(data.tokens)
            bos = data.tokenizer.bos
            letters: list[LetterCount] = [
                {"char": char, "id": token_id, "count": counts[token_id]}
                for token_id, char in enumerate(names(data.tokenizer))
                if token_id != bos
            ]
            if data.mode == "lines":
                counts[bos] = len(data)
            if data.mode == "stream":
                lengths = Counter(len(data.sequence(i)) for i in range(len(data)))
            elif isinstance(data.tokenizer, ByteTokenizer):
                lengths = Counter(map(len, data))
            else:  # one token per character
                lengths = Counter(end - start for start, end in zip(chain((0,), data.ends), data.ends))
            self._statistics[id(data)] = {
                "num_docs": len(data),
                "num_chars": len(data.tokenizer.decode(data.tokens)),
                "letters": [*letters, {"char": "", "id": bos, "count": counts[bos]}],
                "lengths": sorted(lengths.items()),
            }
        return self._statistics[id(data)]

    def in_order(self, data: Data) -> list[str]:
        """Return the distinct documents in sorted order, for binary search."""
        if id(data) not in self._sorted:
            if isinstance(data.tokenizer, ByteTokenizer):
                texts = set(data)
            else:  # one token per character: faster than decoding each document separately
                whole, ends = data.tokenizer.decode(data.tokens), data.ends
                texts = {whole[start:end] for start, end in zip(chain((0,), ends), ends)}
            self._sorted[id(data)] = sorted(texts)
        return self._sorted[id(data)]


class as_file:
    """A context manager that writes bytes to a temporary file, for functions that read files.

    A ValueError raised in the context is converted to a LabError that shows `name` instead of the temporary path.

    Args:
        name: The name to show in error messages.
        content: The bytes to write.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "file"
        self.path.write_bytes(self.content)
        return self.path

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.folder.cleanup()
        if isinstance(error, ValueError):
            raise LabError(str(error).replace(repr(str(self.path)), repr(self.name))) from None


def from_file(name: str, content: bytes, mode: str | None) -> Text:
    """Create a text from a file that the page loaded.

    Args:
        name: The file's name.
        content: The file's bytes.
        mode: "lines" or "stream"; None means "stream" if the file is a single long line and "lines" otherwise.

    Raises:
        DataError: The file is not text.
        LabError: The file is empty or too large for the lab, or has too many distinct characters.
    """
    if not content:
        raise LabError(f"{name!r} is empty: choose a text that has at least one document (one per line)")
    if len(content) > MAX_BYTES:
        raise LabError(
            f"{name!r} has {len(content):,} bytes, but at most {MAX_BYTES:,} are allowed: use part of the file"
        )
    if mode not in (None, *CHOICES):
        raise LabError(f"documents must be one of {', '.join(CHOICES)}, got documents={mode!r}")
    text = Text(name, content, mode or MODES[0])
    data = text.data(Config())
    if mode is None and is_one_line(data, Config().block_size):
        text = Text(name, content, "stream")
        data = text.data(Config())
    if data.vocab_size > MAX_SYMBOLS:
        raise LabError(
            f"{name!r} has {data.vocab_size - 1:,} distinct characters, but a model in the lab can have at most"
            f" {MAX_SYMBOLS - 1:,}, because each character adds a row to two matrices: use part of the text or remove"
            " rare characters"
        )
    return text


def encode(text: str, tokenizer: Tokenizer) -> list[int]:
    """Return the token ids of a typed text, with BOS at both ends. Unknown characters are omitted.

    Raises:
        LabError: The text is too long.
    """
    if len(text) > MAX_TYPED:
        raise LabError(f"a word must have at most {MAX_TYPED:,} characters, got {len(text):,}: shorten it")
    return [tokenizer.bos, *chain.from_iterable(spelled(text, tokenizer)), tokenizer.bos]


def spelled(text: str, tokenizer: Tokenizer) -> list[list[int]]:
    """Return each character's token ids: none if the character is unknown, possibly several with a byte tokenizer."""
    found: list[list[int]] = []
    for char in text:
        try:
            found.append(tokenizer.encode(char)[1:-1])
        except (KeyError, UnicodeEncodeError):  # the latter for half of a surrogate pair
            found.append([])
    return found


def meant(text: str, tokenizer: Tokenizer) -> Meant | None:
    """Return the nearest text that the model can read (`zoe` for `Zoë`) and the characters that were dropped.

    The result is None if the model can read the text unchanged or if no characters would remain.
    """
    if all(spelled(text, tokenizer)):
        return None
    word, dropped = "", []
    for char in unicodedata.normalize("NFC", text):
        near = next((near for near in _spellings(char) if near and all(spelled(near, tokenizer))), None)
        if near is None:
            dropped.append(char)
        else:
            word += near
    return {"word": word, "dropped": list(dict.fromkeys(dropped))} if word else None


def _spellings(char: str) -> Iterator[str]:
    """Yield spellings of a character, nearest first: unchanged, in the other case, without accents."""
    yield from (char, char.lower(), char.upper())
    bare = "".join(x for x in unicodedata.normalize("NFKD", char) if not unicodedata.combining(x))
    # normalization does not remove a stroke, but the character's name mentions it: LATIN SMALL LETTER O WITH STROKE
    base, stroke, _ = unicodedata.name(char, "").partition(" WITH ")
    if stroke and bare == char:
        try:
            bare = unicodedata.lookup(base)
        except KeyError:  # not a letter; for example, an arrow with a decorated tip
            bare = ""
    yield from (bare, bare.lower(), bare.upper(), bare.casefold())


def label(token_id: int, tokenizer: Tokenizer) -> str:
    """Return a token's label in a figure. BOS, which has no text, is shown as a dot."""
    return names(tokenizer)[token_id] or "·"


def names(tokenizer: Tokenizer) -> list[str]:
    """Return each token's text: "" for BOS, and hexadecimal digits for bytes that are not printable ASCII.

    No two tokens have the same text.
    """
    if not isinstance(tokenizer, ByteTokenizer):
        return list(tokenizer.symbols)
    texts = [piece.decode("latin-1") for piece in tokenizer.pieces]
    return [
        text if text.isascii() and text.isprintable() else piece.hex() for piece, text in zip(tokenizer.pieces, texts)
    ]


def read(tokens: Tokens, config: Config) -> list[int]:
    """Return the tokens that a model reads: at most block_size tokens, each followed by a token to predict."""
    return list(tokens[: num_positions(tokens, config)])


class SwapReportingList(list[str]):
    """A list that reports every swap of two items, such as the swaps in a shuffle.

    Args:
        items: The initial items.
        report: Called with the two indices after each swap.
    """

    def __init__(self, items: Iterable[str], report: Callable[[int, int], object]) -> None:
        super().__init__(items)
        self._report = report
        self._first: int | None = None

    def __setitem__(self, i: Any, item: Any) -> None:
        super().__setitem__(i, item)
        if self._first is None:  # x[i], x[j] = x[j], x[i] sets one item, then the other
            self._first = i
        else:
            self._report(self._first, i)
            self._first = None
