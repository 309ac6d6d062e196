"""Tokenizers: characters, bytes, or byte pairs (BPE) learned from the text.

    char     each character in the data is a token, as in the published script
    byte     each UTF-8 byte is a token: any text can be encoded, but a non-ASCII character takes two to four tokens
    bpe:N    byte-pair encoding with N tokens, including BOS: frequent byte sequences are tokens. Learning and encoding
             (but not decoding) need Hugging Face's `tokenizers` (pip install tokenizers)

An additional token, BOS, begins and ends every document.
"""

from __future__ import annotations

import codecs
import json
import sys
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol, TypeVar

from microgpt import reference

KINDS = ("char", "byte", "bpe:N")
T = TypeVar("T", str, bytes)
REMEDY = "byte-pair encoding needs Hugging Face's tokenizers: pip install tokenizers"


class Tokenizer(Protocol):
    """The interface of a tokenizer, which converts between text and token ids."""

    bos: int  # the token that begins and ends every document
    symbols: list[str]  # a name for each token; BOS has an empty name
    token_ids: dict[str, int]  # name -> token id

    def encode(self, document: str) -> list[int]:
        """Return a document's token ids, with BOS at both ends.

        Args:
            document: The text.

        Returns:
            The token ids.

        Raises:
            KeyError: A character has no token.
        """
        ...

    def decode(self, token_ids: Iterable[int]) -> str:
        """Return the text that the token ids encode; BOS decodes to nothing, and invalid UTF-8 becomes U+FFFD."""
        ...

    def grow(self) -> Callable[[Iterable[int], bool], str]:
        """Return a function that decodes a text piece by piece.

        Call it with the next token ids and whether they are the last. It returns the characters that are complete: the
        pieces together are what `decode` returns for all the ids.
        """
        ...

    def pack(self, documents: Sequence[str], bos: bool) -> tuple[array[int], list[int]]:
        """Return many documents' token ids in one compact array, and the number of tokens in each document.

        Args:
            documents: The texts; with `bos`, no text may contain a newline.
            bos: Whether to put BOS before each document; the returned token counts exclude BOS.

        Returns:
            The token ids of all documents and the number of tokens in each document.

        Raises:
            KeyError: A character has no token.
        """
        ...

    def spec(self) -> dict[str, Any]:
        """Return a JSON-serializable description from which `from_spec` can rebuild the tokenizer."""
        ...


class CharTokenizer(reference.Tokenizer):
    """The reference's tokenizer, extended to implement the Tokenizer interface."""

    def __init__(self, chars: Iterable[str], bos_first: bool = False) -> None:
        super().__init__(chars, bos_first)  # type: ignore[no-untyped-call]

    def grow(self) -> Callable[[Iterable[int], bool], str]:
        return lambda token_ids, final: "".join(map(self.symbols.__getitem__, token_ids))

    @cached_property
    def _table(self) -> dict[int, str]:
        return {ord(symbol): chr(token_id) for token_id, symbol in enumerate(self.symbols) if symbol}

    def pack(self, documents: Sequence[str], bos: bool) -> tuple[array[int], list[int]]:
        table = {**self._table, ord("\n"): chr(self.bos)} if bos else self._table
        text = _join("\n", documents, bos)
        unknown = {char for char in set(text) if ord(char) not in table}
        if unknown:
            raise KeyError(min(unknown))
        return _array(text.translate(table), len(self.symbols)), list(map(len, documents))

    def spec(self) -> dict[str, Any]:
        return {"kind": "char", "chars": [symbol for symbol in self.symbols if symbol], "bos_first": self.bos == 0}


def width(vocab_size: int) -> str:
    """Return the array type code of the smallest integer type that can hold a vocabulary's token ids."""
    return "B" if vocab_size <= 1 << 8 else "H" if vocab_size <= 1 << 16 else "I"


def _join(end: T, documents: Sequence[T], bos: bool) -> T:
    """Join the documents. bos: put `end` before each document."""
    return end + end.join(documents) if bos and documents else end[:0].join(documents)


def _array(text: str, vocab_size: int) -> array[int]:
    """Return the characters' code points as an array, at C speed."""
    kind, order = width(vocab_size), "le" if sys.byteorder == "little" else "be"
    codec = {"B": "latin-1", "H": f"utf-16-{order}", "I": f"utf-32-{order}"}[kind]
    return array(kind, text.encode(codec, "surrogatepass"))


def _names_of_bytes() -> list[str]:
    """Return a printable character for each byte, as GPT-2 does: the byte's own character, or one above U+00FF."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]


NAMES_OF_BYTES = _names_of_bytes()
BYTES = {name: byte for byte, name in enumerate(NAMES_OF_BYTES)}


class ByteTokenizer:
    """A tokenizer whose tokens are single UTF-8 bytes or the byte sequences in `pieces`.

    Attributes:
        first: The token id of the first piece.
        pieces: The bytes of each token; empty for BOS.
    """

    def __init__(self, bos_first: bool = False, pieces: Sequence[bytes] | None = None) -> None:
        pieces = [bytes([byte]) for byte in range(256)] if pieces is None else list(pieces)
        self.first = int(bos_first)
        self.bos = 0 if bos_first else len(pieces)
        self.pieces = [b"", *pieces] if bos_first else [*pieces, b""]
        self.symbols = ["".join(NAMES_OF_BYTES[byte] for byte in piece) for piece in self.pieces]
        self.token_ids = {symbol: token_id for token_id, symbol in enumerate(self.symbols)}

    def encode(self, document: str) -> list[int]:
        return [self.bos, *self.pack([document], bos=False)[0], self.bos]

    def decode(self, token_ids: Iterable[int]) -> str:
        return b"".join(map(self.pieces.__getitem__, token_ids)).decode("utf-8", "replace")

    def grow(self) -> Callable[[Iterable[int], bool], str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda token_ids, final: decoder.decode(b"".join(map(self.pieces.__getitem__, token_ids)), final)

    def pack(self, documents: Sequence[str], bos: bool) -> tuple[array[int], list[int]]:
        texts = [document.encode() for document in documents]
        table = {byte: byte + self.first for byte in range(256)} if self.first else {}
        if bos:
            table[ord("\n")] = self.bos
        text = _join(b"\n", texts, bos).decode("latin-1")
        return _array(text.translate(table) if table else text, len(self.symbols)), list(map(len, texts))

    def spec(self) -> dict[str, Any]:
        return {"kind": "byte", "bos_first": self.bos == 0}


class BpeTokenizer(ByteTokenizer):
    """A tokenizer whose tokens are learned by byte-pair encoding.

    Attributes:
        model: The trained tokenizer, in the JSON format of Hugging Face's `tokenizers` package.
    """

    def __init__(self, model: str, bos_first: bool = False) -> None:
        vocab = json.loads(model)["model"]["vocab"]
        names = sorted(vocab, key=vocab.__getitem__)
        if [vocab[name] for name in names] != list(range(len(names))):
            raise ValueError("the model's token ids must be 0, 1, 2, ...")
        super().__init__(bos_first, [bytes(map(BYTES.__getitem__, name)) for name in names])
        self.model = model

    @cached_property
    def _encoder(self) -> Any:
        try:
            import tokenizers
        except ImportError:
            raise ImportError(REMEDY) from None
        return tokenizers.Tokenizer.from_str(self.model)

    def pack(self, documents: Sequence[str], bos: bool) -> tuple[array[int], list[int]]:
        tokens, lengths = array(width(len(self.symbols))), []
        for encoding in self._encoder.encode_batch(documents, add_special_tokens=False):
            if bos:
                tokens.append(self.bos)
            token_ids = encoding.ids
            tokens.extend([i + self.first for i in token_ids] if self.first else token_ids)
            lengths.append(len(token_ids))
        return tokens, lengths

    def spec(self) -> dict[str, Any]:
        return {"kind": "bpe", "model": self.model, "bos_first": self.bos == 0}


def size_of(kind: str) -> int | None:
    """Return the N in bpe:N, or None for the other kinds; raise ValueError if the kind is invalid."""
    if kind in ("char", "byte"):
        return None
    name, _, number = kind.partition(":")
    if name != "bpe" or not number.isdecimal():
        raise ValueError(f"tokenizer must be one of {', '.join(KINDS)}, got tokenizer={kind!r}")
    if not 257 <= int(number) <= 1_000_000:
        raise ValueError(
            f"N in bpe:N must be between 257 (all bytes and BOS) and 1,000,000, got tokenizer={kind!r}: try bpe:1024"
        )
    return int(number)


def learn(kind: str, texts: Iterable[str], bos_first: bool = False) -> Tokenizer:
    """Learn a tokenizer from a text.

    Args:
        kind: `char`, `byte` or `bpe:N`. The vocabulary has fewer than N tokens if the text contains too few byte pairs.
        texts: The documents, or pieces of a document.
        bos_first: Whether to use token id 0 for BOS instead of the last id.

    Returns:
        The tokenizer.

    Raises:
        ValueError: The kind is invalid.
        ImportError: Byte-pair encoding needs the `tokenizers` package, which is not installed.

    Example:
        >>> learn("char", ["ada", "grace"]).encode("grace")
        [6, 4, 5, 0, 1, 3, 6]
    """
    size = size_of(kind)
    if kind == "char":
        chars: set[str] = set()
        for text in texts:
            chars.update(text)
        return CharTokenizer(chars, bos_first)
    if size is None:
        return ByteTokenizer(bos_first)
    try:
        import tokenizers
    except ImportError:
        raise ImportError(REMEDY) from None
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - 1,
        initial_alphabet=sorted(NAMES_OF_BYTES),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    return BpeTokenizer(model.to_str(), bos_first)


def from_spec(spec: dict[str, Any]) -> Tokenizer:
    """Return the tokenizer that `spec` describes; raise ValueError if the description is invalid."""
    try:
        kind, bos_first = spec["kind"], spec["bos_first"]
        if not isinstance(bos_first, bool):
            raise ValueError(f"bos_first must be true or false, got bos_first={bos_first!r:.40}")
        if kind == "char":
            chars = spec["chars"]
            if not (isinstance(chars, list) and all(isinstance(char, str) and len(char) == 1 for char in chars)):
                raise ValueError("chars must be a list of single characters")
            return CharTokenizer(chars, bos_first)
        if kind == "byte":
            return ByteTokenizer(bos_first)
        if kind == "bpe":
            return BpeTokenizer(spec["model"], bos_first)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"the tokenizer is damaged: {error!r:.100}") from None
    raise ValueError(f"unknown tokenizer kind {kind!r:.40}")


BEGINNINGS = ("\n", ". ", " ")  # after which a line, a sentence or a word begins
LOOKED_AT = 1_000_000  # tokens of a stream in which they are looked for


def beginning(tokenizer: Tokenizer, tokens: Sequence[int]) -> str | None:
    """Return the text after which a stream's samples begin, so that they do not begin inside a word.

    The windows of a stream begin anywhere, and BOS precedes only the first: a model has hardly seen what follows it.

    Args:
        tokenizer: The stream's tokenizer.
        tokens: The stream.

    Returns:
        A line break, the end of a sentence or a space; None if it contains no such text.
    """
    some = tokens[:LOOKED_AT]
    for text in BEGINNINGS:
        with suppress(KeyError):
            if all(token_id in some for token_id in tokenizer.encode(text)[1:-1]):
                return text
    return None
