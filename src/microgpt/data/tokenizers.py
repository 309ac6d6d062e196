"""Tokenizers: characters, bytes, or byte pairs (BPE) learned from the text.

    char     the published script's: the characters of the data are the tokens
    byte     the 256 bytes of UTF-8: any text can be read, and a letter beyond ASCII takes two to four tokens
    bpe:N    byte-pair encoding, N tokens in all: frequent sequences become one token; learned by Hugging Face's
             `tokenizers` (pip install 'microgpt-lab[bpe]'), which decoding does not need

BOS, one more token, is at both ends of every document; char and byte count it on top.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar

from microgpt import reference

KINDS = ("char", "byte", "bpe:N")
T = TypeVar("T", str, bytes)
REMEDY = "byte pairs need Hugging Face's tokenizers: pip install 'microgpt-lab[bpe]'"


class Tokenizer(Protocol):
    """What reads and writes the texts of a model."""

    bos: int  # the token at both ends of a document
    symbols: list[str]  # a name for each token; BOS's is empty
    token_ids: dict[str, int]  # by name

    def encode(self, document: str) -> list[int]:
        """The token ids of a document, BOS at both ends. Raises KeyError for a character that has no token."""
        ...

    def decode(self, token_ids: Iterable[int]) -> str:
        """The text that they write; bytes that are no UTF-8 become U+FFFD."""
        ...

    def pack(self, documents: Sequence[str], bos: bool) -> tuple[array[int], list[int]]:
        """The token ids of many documents one after another, as compact as can be, and how many each has.

        bos: put BOS before each (it is not counted); no document may hold a line end then. Raises KeyError as encode.
        """
        ...

    def spec(self) -> dict[str, Any]:
        """All that `from_spec` needs to make it again, as plain data."""
        ...


class CharTokenizer(reference.Tokenizer):
    """The reference's tokenizer, with the methods that the others have too."""

    def __init__(self, chars: Iterable[str], bos_first: bool = False) -> None:
        super().__init__(chars, bos_first)  # type: ignore[no-untyped-call]

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
    """The type code of an array that holds these token ids in the fewest bytes."""
    return "B" if vocab_size <= 1 << 8 else "H" if vocab_size <= 1 << 16 else "I"


def _join(end: T, documents: Sequence[T], bos: bool) -> T:
    """One text of all; bos: `end` before each."""
    return end + end.join(documents) if bos and documents else end[:0].join(documents)


def _array(text: str, vocab_size: int) -> array[int]:
    """The characters' numbers, at C's speed."""
    kind, order = width(vocab_size), "le" if sys.byteorder == "little" else "be"
    codec = {"B": "latin-1", "H": f"utf-16-{order}", "I": f"utf-32-{order}"}[kind]
    return array(kind, text.encode(codec, "surrogatepass"))


def _names_of_bytes() -> list[str]:
    """A character that can be shown for each byte, as GPT-2 has them: its own, or else one from U+0100 on."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in shown else chr(next(others)) for byte in range(256)]


NAMES_OF_BYTES = _names_of_bytes()
BYTES = {name: byte for byte, name in enumerate(NAMES_OF_BYTES)}


class ByteTokenizer:
    """UTF-8, byte by byte. pieces: what each token writes; BOS writes nothing."""

    def __init__(self, bos_first: bool = False, pieces: Sequence[bytes] | None = None) -> None:
        pieces = [bytes([byte]) for byte in range(256)] if pieces is None else list(pieces)
        self.first = int(bos_first)  # id of the first piece
        self.bos = 0 if bos_first else len(pieces)
        self.pieces = [b"", *pieces] if bos_first else [*pieces, b""]
        self.symbols = ["".join(NAMES_OF_BYTES[byte] for byte in piece) for piece in self.pieces]
        self.token_ids = {symbol: token_id for token_id, symbol in enumerate(self.symbols)}

    def encode(self, document: str) -> list[int]:
        return [self.bos, *self.pack([document], bos=False)[0], self.bos]

    def decode(self, token_ids: Iterable[int]) -> str:
        return b"".join(map(self.pieces.__getitem__, token_ids)).decode("utf-8", "replace")

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
    """Byte pairs; model: the trained tokenizer, in the JSON that Hugging Face's `tokenizers` reads and writes."""

    def __init__(self, model: str, bos_first: bool = False) -> None:
        vocab = json.loads(model)["model"]["vocab"]
        names = sorted(vocab, key=vocab.__getitem__)
        if [vocab[name] for name in names] != list(range(len(names))):
            raise ValueError("the ids of byte pairs must be 0, 1, 2, ...")
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
    """N of bpe:N; None for the other kinds. Raises ValueError for what is no kind of tokenizer."""
    if kind in ("char", "byte"):
        return None
    name, _, number = kind.partition(":")
    if name != "bpe" or not number.isdecimal():
        raise ValueError(f"tokenizer must be one of {', '.join(KINDS)}, got tokenizer={kind!r}")
    if not 257 <= int(number) <= 1_000_000:
        raise ValueError(
            f"bpe:N must have N from 257 (all bytes and BOS) to 1,000,000, got tokenizer={kind!r}: try bpe:1024"
        )
    return int(number)


def learn(kind: str, texts: Iterable[str], bos_first: bool = False) -> Tokenizer:
    """A tokenizer of that kind for these texts, which may be documents or pieces of one.

    Byte pairs may come to fewer than N where the text has no more of them. Raises ValueError for an unknown kind,
    ImportError with the remedy where `tokenizers` is missing.
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
    """The tokenizer that `spec` told of. Raises ValueError where it makes no sense."""
    try:
        kind, bos_first = spec["kind"], bool(spec["bos_first"])
        if kind == "char":
            return CharTokenizer(spec["chars"], bos_first)
        if kind == "byte":
            return ByteTokenizer(bos_first)
        if kind == "bpe":
            return BpeTokenizer(spec["model"], bos_first)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"the tokenizer is damaged: {error!r:.100}") from None
    raise ValueError(f"the tokenizer is of the unknown kind {kind!r:.40}")
