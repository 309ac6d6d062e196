"""A text as tokens, with the model's tokenizer and with a byte tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from microgpt.engines.base import num_positions
from microgpt.errors import LabError
from microgpt.lab.requests import model_request
from microgpt.lab.runs import texts

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import ByTokenizer, Spelled, SpelledCharacter, Tokens, TypedCharacter
    from microgpt.lab.session import Session

BYTE_TOKENS = 256  # one for each possible byte


@model_request
def tokens(session: Session, text: str) -> Tokens:
    """Return a text's tokens and the characters that are not in the vocabulary."""
    tokenizer, config = session.active.run.tokenizer, session.active.config
    ids, labels = texts.encode(text, tokenizer), texts.names(tokenizer)
    characters: list[TypedCharacter] = []
    unknown: dict[str, None] = {}
    for char, of_char in zip(text, texts.spelled(text, tokenizer)):
        characters += [{"char": labels[token_id], "id": token_id, "known": True} for token_id in of_char]
        if not of_char:
            characters.append({"char": char, "id": None, "known": False})
            unknown[char] = None
    positions = num_positions(ids, config)
    return {
        "characters": characters,
        "ids": ids,
        "unknown": list(unknown),
        "positions": positions,
        "cut": max(0, len(ids) - 2 - positions),
        "meant": texts.meant(text, tokenizer),
    }


@model_request
def spelled(session: Session, text: str) -> Spelled:
    """Return each character's token id and UTF-8 bytes, and compare the tokenizer's size with a byte tokenizer's."""
    tokenizer = session.active.run.tokenizer
    if len(text) > texts.MAX_TYPED:
        raise LabError(f"text must have at most {texts.MAX_TYPED:,} characters, got {len(text):,}: shorten it")
    characters: list[SpelledCharacter] = [
        {"char": char, "id": next(iter(of_char), None), "bytes": list(char.encode("utf-8", "surrogatepass"))}
        for char, of_char in zip(text, texts.spelled(text, tokenizer))
    ]
    sizes: ByTokenizer = {"characters": len(tokenizer.symbols), "bytes": BYTE_TOKENS + 1}  # plus BOS
    width = 2 * session.active.config.n_embd  # one row of wte and one row of lm_head
    return {
        "characters": characters,
        "num_bytes": sum(len(character["bytes"]) for character in characters),
        "unknown": sum(character["id"] is None for character in characters),
        "vocab_size": sizes,
        "rows": {"characters": width * sizes["characters"], "bytes": width * sizes["bytes"]},
    }
