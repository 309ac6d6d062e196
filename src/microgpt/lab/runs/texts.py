"""The training texts of a session, with their letter counts, lengths and shuffle."""

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
from microgpt.data.documents import MODES, Data
from microgpt.data.loading import load
from microgpt.data.tokenizers import ByteTokenizer, Tokenizer
from microgpt.engines.base import Tokens, num_positions
from microgpt.errors import LabError

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import LetterCount, Meant, Statistics

MAX_BYTES = 50_000_000
MAX_SYMBOLS = 2000  # of a vocabulary: the graph of one document already has about a million nodes
MAX_TYPED = 1000  # characters of a text that is typed
BUNDLED = "names"


class Text:
    """A text by its name: the bundled names, or a file's bytes from the page. Read when it is first needed."""

    def __init__(self, name: str = BUNDLED, content: bytes | None = None, mode: str = MODES[0]) -> None:
        self.name, self.content, self.mode = name, content, mode
        self._read: dict[tuple[Any, ...], Data] = {}
        self._statistics: dict[int, Statistics] = {}
        self._sorted: dict[int, list[str]] = {}

    @cached_property
    def base64(self) -> str | None:
        """A file's bytes as text; None for the bundled names."""
        return None if self.content is None else b64encode(self.content).decode()

    def data(self, config: Config, tokenizer: Tokenizer | None = None) -> Data:
        """The text as a model of this config reads it; tokenizer: that model's, instead of the text's own characters.

        Raises DataError for what is no text, or has characters that the tokenizer lacks.
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
        """The same text, read as lines or as a stream."""
        return self if mode == self.mode else Text(self.name, self.content, mode)

    def known(self, data: Data, texts: Iterable[str]) -> set[str]:
        """Which of `texts` stand in the data."""
        if data.mode != "lines":
            return data.known(texts)
        documents = self.in_order(data)
        places = {text: bisect_left(documents, text) for text in texts}
        return {text for text, i in places.items() if i < len(documents) and documents[i] == text}

    def statistics(self, data: Data) -> Statistics:
        """How often each letter occurs, and how long the documents are."""
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
            else:  # a character a token
                lengths = Counter(end - start for start, end in zip(chain((0,), data.ends), data.ends))
            self._statistics[id(data)] = {
                "num_docs": len(data),
                "num_chars": len(data.tokenizer.decode(data.tokens)),
                "letters": [*letters, {"char": "", "id": bos, "count": counts[bos]}],
                "lengths": sorted(lengths.items()),
            }
        return self._statistics[id(data)]

    def in_order(self, data: Data) -> list[str]:
        """Its documents sorted, each once: how a dictionary is searched."""
        if id(data) not in self._sorted:
            if isinstance(data.tokenizer, ByteTokenizer):
                texts = set(data)
            else:  # a character a token: quicker than to read each document for itself
                whole, ends = data.tokenizer.decode(data.tokens), data.ends
                texts = {whole[start:end] for start, end in zip(chain((0,), ends), ends)}
            self._sorted[id(data)] = sorted(texts)
        return self._sorted[id(data)]


class as_file:
    """`with as_file(name, content) as path:` lets a function that reads files read bytes; its errors name `name`."""

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


def own(name: str, content: bytes, mode: str | None) -> Text:
    """A file from the page as a text, if a model can be trained on it here. Raises DataError or LabError."""
    if not content:
        raise LabError(f"{name!r} is empty: give a text with at least one document, one a line")
    if len(content) > MAX_BYTES:
        raise LabError(f"{name!r} has {len(content):,} bytes; at most {MAX_BYTES:,} are taken here: give a part of it")
    if mode not in (None, *MODES):
        raise LabError(f"documents must be one of {', '.join(MODES)}, got documents={mode!r}")
    text = Text(name, content, mode or MODES[0])
    data = text.data(Config())
    if mode is None and len(data) == 1 and len(data.tokens) > Config().block_size:
        text = Text(name, content, "stream")  # one line: as a document, all but its beginning would be unread
        data = text.data(Config())
    if data.vocab_size > MAX_SYMBOLS:
        raise LabError(
            f"{name!r} has {data.vocab_size - 1:,} different characters; a model here has at most {MAX_SYMBOLS - 1:,},"
            " since each is a row of two matrices: give a part of the text, or take the rare characters out"
        )
    return text


def encode(text: str, tokenizer: Tokenizer) -> list[int]:
    """The token ids of what somebody typed, BOS at both ends; characters that the model has never seen are left out."""
    if len(text) > MAX_TYPED:
        raise LabError(f"a word must have at most {MAX_TYPED:,} characters, got {len(text):,}: shorten it")
    return [tokenizer.bos, *chain.from_iterable(spelled(text, tokenizer)), tokenizer.bos]


def spelled(text: str, tokenizer: Tokenizer) -> list[list[int]]:
    """The tokens of each character: none for one that the model has never seen, several where tokens are bytes."""
    found: list[list[int]] = []
    for char in text:
        try:
            found.append(tokenizer.encode(char)[1:-1])
        except (KeyError, UnicodeEncodeError):  # a half of a character is none
            found.append([])
    return found


def meant(text: str, tokenizer: Tokenizer) -> Meant | None:
    """The nearest text that the model can read, and the characters dropped from it: `zoe` for `Zoë`.

    None where all of it can be read as it is, and where nothing would be left.
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
    """Ways to write a character, the nearest first: itself, in the other case, without its accents."""
    yield from (char, char.lower(), char.upper())
    bare = "".join(x for x in unicodedata.normalize("NFKD", char) if not unicodedata.combining(x))
    # a stroke is no accent that comes off, but it is told in the name: LATIN SMALL LETTER O WITH STROKE
    base, stroke, _ = unicodedata.name(char, "").partition(" WITH ")
    if stroke and bare == char:
        try:
            bare = unicodedata.lookup(base)
        except KeyError:  # an arrow with something at its tip is no letter
            bare = ""
    yield from (bare, bare.lower(), bare.upper(), bare.casefold())


def label(token_id: int, tokenizer: Tokenizer) -> str:
    """A token as a figure writes it; BOS, which writes nothing, is a dot."""
    return names(tokenizer)[token_id] or "·"


def names(tokenizer: Tokenizer) -> list[str]:
    """The tokens' text, where they are bytes two hexadecimal digits for one that is none by itself; BOS writes nothing.

    No two are alike.
    """
    if not isinstance(tokenizer, ByteTokenizer):
        return list(tokenizer.symbols)
    texts = [piece.decode("latin-1") for piece in tokenizer.pieces]
    return [
        text if text.isascii() and text.isprintable() else piece.hex() for piece, text in zip(tokenizer.pieces, texts)
    ]


def read(tokens: Tokens, config: Config) -> list[int]:
    """The tokens that a model reads, each of which has a next one."""
    return list(tokens[: num_positions(tokens, config)])


class Exchanged(list[str]):
    """A list that tells which two of its items have changed places, each time a shuffle makes two do so."""

    def __init__(self, items: Iterable[str], tell: Callable[[int, int], object]) -> None:
        super().__init__(items)
        self._tell = tell
        self._first: int | None = None

    def __setitem__(self, i: Any, item: Any) -> None:
        super().__setitem__(i, item)
        if self._first is None:  # x[i], x[j] = x[j], x[i] sets one, then the other
            self._first = i
        else:
            self._tell(self._first, i)
            self._first = None
