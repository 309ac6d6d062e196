"""What a model of other sizes costs, and what another tokenizer would make of a word. No such model is made."""

from __future__ import annotations

from microgpt.config import Config
from microgpt.data.tokenizers import Tokenizer
from microgpt.engines.program import REFERENCE
from microgpt.errors import LabError
from microgpt.flops import attention_flops, forward_flops, training_flops
from microgpt.lab.figures import figures
from microgpt.lab.requests import Answer
from microgpt.lab.runs.texts import MAX_TYPED
from microgpt.lab.runs.texts import spelled as tokens_of

BYTES_KEPT = 2  # of a number, as such models are served: bfloat16
BYTES_TRAINED = 16  # of a parameter in training: weight, gradient, m and v in float32
MAX_TOKENS = 10**15
BYTE_TOKENS = 256  # what a byte can be


def budget(n_embd: int, n_layer: int, block_size: int, vocab_size: int, tokens: int = 0) -> Answer:
    """Parameters, arithmetic and memory of a model of these sizes.

    flops_token: one token forward, with a full context before it; attention: the part of it that grows with the
    context. flops_trained: one token forward and backward, which is twice as much again; flops_run: so many tokens.
    """
    if not 0 <= tokens <= MAX_TOKENS:
        raise LabError(f"tokens must be from 0 to {MAX_TOKENS:,}, got tokens={tokens}")
    size = figures.sizes(REFERENCE, n_embd, n_layer, block_size, vocab_size)
    config = Config(n_embd=n_embd, n_head=1, n_layer=n_layer, block_size=block_size)
    forward = forward_flops(config, vocab_size)
    count = size["num_params"]
    return {
        "num_params": count,
        "flops_token": forward,
        "attention": attention_flops(config),
        "flops_trained": training_flops(config, vocab_size),
        "flops_run": 3.0 * tokens * forward,
        "bytes_kept": BYTES_KEPT * count,
        "bytes_trained": BYTES_TRAINED * count,
        "bytes_cache": BYTES_KEPT * 2 * n_layer * n_embd * block_size,  # keys and values of a full context
    }


def spelled(text: str, tokenizer: Tokenizer, n_embd: int) -> Answer:
    """A text as this model's characters and as UTF-8 bytes, with what the tables of tokens of either would take."""
    if len(text) > MAX_TYPED:
        raise LabError(f"text must have at most {MAX_TYPED:,} characters, got {len(text):,}: type less")
    characters: list[Answer] = [
        {"char": char, "id": next(iter(of_char), None), "bytes": list(char.encode("utf-8", "surrogatepass"))}
        for char, of_char in zip(text, tokens_of(text, tokenizer))
    ]
    sizes = {"characters": len(tokenizer.symbols), "bytes": BYTE_TOKENS + 1}  # and BOS
    return {
        "characters": characters,
        "num_bytes": sum(len(character["bytes"]) for character in characters),
        "unknown": sum(character["id"] is None for character in characters),
        "vocab_size": sizes,
        "rows": {name: 2 * size * n_embd for name, size in sizes.items()},  # numbers of wte and lm_head
    }
