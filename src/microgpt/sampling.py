"""Text from a model: a generator of token ids, one draw at a time, behind any engine's decoder."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence

from microgpt.engines import Decoder

GREEDY = 1e-100  # a temperature below this is 0: its reciprocal is not to leave the range of floats


def probabilities(logits: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Softmax of logits / temperature, (vocab_size,), with the reference's additions: bit for bit its numbers."""
    scaled = [logit * temperature**-1 for logit in logits]
    largest = max(scaled)
    exps = [math.exp(logit - largest) for logit in scaled]
    total = 0.0
    for e in exps:
        total += e
    return [e * total**-1 for e in exps]


def check_options(vocab_size: int, temperature: float, top_k: int | None) -> None:
    """Raise ValueError, which names the option, for a temperature or a top_k that makes no sense."""
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be a finite number of at least 0, got temperature={temperature}")
    if top_k is not None and not 1 <= top_k <= vocab_size:
        raise ValueError(f"top_k must be from 1 to the vocabulary's {vocab_size} tokens, got top_k={top_k}")


def next_token(logits: Sequence[float], rng: random.Random, temperature: float, top_k: int | None = None) -> int:
    """Draw a token id. temperature 0 takes the likeliest and draws nothing; top_k keeps only the k likeliest.

    Of equals the lower id comes first.
    """
    ranked: Sequence[int] = range(len(logits))
    if any(math.isnan(logit) or logit == math.inf for logit in logits):
        raise FloatingPointError("the model's logits are not finite: its training has diverged; train a new one")
    if temperature < GREEDY:
        return max(ranked, key=lambda i: logits[i])
    if top_k is not None:
        ranked = sorted(sorted(ranked, key=lambda i: -logits[i])[:top_k])
    weights = probabilities([logits[i] for i in ranked], temperature)
    [token_id] = rng.choices(ranked, weights)
    return token_id


def generate(
    open_decoder: Callable[[], Decoder],
    rng: random.Random,
    *,
    bos: int,
    block_size: int,
    temperature: float,
    top_k: int | None = None,
    prompt: Sequence[int] = (),
    max_new_tokens: int | None = None,
    slide: bool = False,
) -> Iterator[int]:
    """The token ids that follow BOS and `prompt`, until the model closes the document with BOS (which is not given).

    It also ends after max_new_tokens, and where the context is full; with `slide` it goes on there, with the last
    block_size tokens as its context. Raises ValueError for a prompt that leaves no room for a new token.
    """
    if not slide and len(prompt) >= block_size:
        raise ValueError(
            f"prompt must be shorter than block_size={block_size} tokens, got {len(prompt)}: shorten it, or let the"
            " context slide (slide=True, --slide)"
        )
    context = [bos, *prompt]
    decoder, fed, count = open_decoder(), 0, 0
    while max_new_tokens is None or count < max_new_tokens:
        if len(context) > block_size:
            if not slide:
                return
            # positions are absolute: the window is read anew, its first token at position 0
            context = context[-block_size:]
            decoder, fed = open_decoder(), 0
        for token_id in context[fed:]:
            logits = decoder.feed(token_id)
        fed = len(context)
        token_id = next_token(logits, rng, temperature, top_k)
        if token_id == bos:
            return
        yield token_id
        context.append(token_id)
        count += 1
