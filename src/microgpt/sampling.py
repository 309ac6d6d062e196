"""Sampling: generate token ids one at a time with any engine's decoder."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from microgpt.engines.base import DIVERGED, GREEDY, Decoder, Engine, Streams


def probabilities(logits: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Return softmax(logits / temperature), of shape (vocab_size,), bit for bit as the reference computes it."""
    scale = temperature**-1
    scaled = [logit * scale for logit in logits]
    largest = max(scaled)
    exps = [math.exp(logit - largest) for logit in scaled]
    total = 0.0
    for e in exps:
        total += e
    scale = total**-1
    return [e * scale for e in exps]


def check_options(vocab_size: int, temperature: float, top_k: int | None, top_p: float | None = None) -> None:
    """Raise a ValueError that names the option if temperature, top_k or top_p is invalid."""
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be finite and at least 0, got temperature={temperature}")
    if top_k is not None and not 1 <= top_k <= vocab_size:
        raise ValueError(f"top_k must be between 1 and vocab_size={vocab_size}, got top_k={top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be greater than 0 and at most 1, got top_p={top_p}")


def check_prompt(prompt: Sequence[int], block_size: int, start: Sequence[int] = ()) -> None:
    """Raise ValueError if the prompt leaves no room for a new token."""
    before = max(1, len(start)) - 1  # tokens before the prompt, apart from the one that is always there
    if before + len(prompt) >= block_size:
        room = f"block_size={block_size}" + f" - {before}" * bool(before)
        raise ValueError(
            f"prompt must be shorter than {room} tokens, got {len(prompt)}: shorten the prompt or"
            " let the context slide (slide=True, --slide)"
        )


def likeliest(logits: Sequence[float], top_k: int | None) -> Sequence[int]:
    """Return the ids of the top_k most likely tokens (None: all), in increasing order; ties go to the lower id."""
    ranked = range(len(logits))
    return ranked if top_k is None else sorted(sorted(ranked, key=lambda i: -logits[i])[:top_k])


def nucleus(probs: Sequence[float], top_p: float) -> list[int]:
    """Return the indices of the fewest most likely tokens whose probabilities add up to at least top_p.

    This is nucleus sampling (Holtzman et al., arXiv:1904.09751). The indices are in increasing order; of equally likely
    tokens, those with lower indices are taken first.

    Example:
        >>> nucleus([0.2, 0.1, 0.4, 0.3], 0.6)
        [2, 3]
    """
    kept, total = [], 0.0
    for i in sorted(range(len(probs)), key=lambda i: -probs[i]):
        kept.append(i)
        total += probs[i]
        if total >= top_p:
            break
    return sorted(kept)


def next_token(
    logits: Sequence[float],
    rng: random.Random,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
) -> int:
    """Sample the next token id: divide by the temperature, then keep the top_k, then the nucleus of top_p.

    Args:
        logits: The model's scores, (vocab_size,).
        rng: The random number generator; one number is drawn unless the temperature is 0.
        temperature: The sampling temperature, which divides the logits; 0 picks the most likely token.
        top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
        top_p: Of these, sample only from the fewest whose probabilities add up to at least top_p; None and 1 sample
            from all of them.

    Returns:
        The token id. Ties go to the lower id.

    Raises:
        FloatingPointError: A logit is +inf or NaN, all logits are -inf, or the largest one divided by the temperature
            overflows.

    Example:
        >>> next_token([0.5, 2.0, 1.0], random.Random(1), temperature=0)
        1
    """
    largest = max(logits) if temperature < GREEDY else max(logits) * temperature**-1
    if not math.isfinite(largest) or any(map(math.isnan, logits)):
        raise FloatingPointError(DIVERGED)
    if temperature < GREEDY:
        return max(range(len(logits)), key=lambda i: logits[i])
    ranked = likeliest(logits, top_k)
    weights = probabilities([logits[i] for i in ranked], temperature)
    if top_p is not None and top_p < 1:
        kept = nucleus(weights, top_p)
        ranked, weights = [ranked[i] for i in kept], [weights[i] for i in kept]
    [token_id] = rng.choices(ranked, weights)
    return token_id


def _chance(rng: random.Random, temperature: float) -> float:
    """Draw the random number that `next_token` would draw from rng."""
    return 0.0 if temperature < GREEDY else rng.random()


def generate(
    open_decoder: Callable[[], Decoder],
    rng: random.Random,
    *,
    bos: int,
    start: Sequence[int] = (),
    block_size: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    prompt: Sequence[int] = (),
    max_new_tokens: int | None = None,
    slide: bool = False,
) -> Iterator[int]:
    """Yield the token ids that follow BOS and the prompt, until the model ends the document.

    Generation ends when the model samples BOS, after max_new_tokens, or (without `slide`) when the context is full.

    Args:
        open_decoder: A function that opens a decoder with an empty context.
        rng: The random number generator to sample with.
        bos: The token id of BOS, which ends a document.
        start: The token ids before the prompt; empty stands for BOS, as in training on documents.
        block_size: The context length in tokens, including `start`.
        temperature: The sampling temperature, which divides the logits; 0 picks the most likely token.
        top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
        top_p: As in `next_token`, which then chooses each token, so that no engine draws by itself.
        prompt: The token ids to start from, without BOS.
        max_new_tokens: The maximum number of tokens to generate; None means no limit.
        slide: Whether to continue when the context is full, using the last block_size tokens as the new context.

    Yields:
        One token id at a time, excluding BOS and the prompt.

    Raises:
        ValueError: The prompt leaves no room for a new token.
    """
    if not slide:
        check_prompt(prompt, block_size, start)
    context = [*(start or (bos,)), *prompt]
    decoder, fed, count = open_decoder(), 0, 0
    while max_new_tokens is None or count < max_new_tokens:
        if len(context) > block_size:
            if not slide:
                return
            # positions are absolute, so the model must read the window again, with the first token at position 0
            context = context[-block_size:]
            decoder, fed = open_decoder(), 0
        for token_id in context[fed:-1]:
            decoder.feed(token_id)
        fed = len(context)
        if decoder.draws and top_p is None:
            token_id = decoder.draw(context[-1], _chance(rng, temperature), temperature, top_k)
        else:
            token_id = next_token(decoder.feed(context[-1]), rng, temperature, top_k, top_p)
        if token_id == bos:
            return
        yield token_id
        context.append(token_id)
        count += 1


class Alone(Decoder):
    """A decoder that is one of an engine's streams, whose logits do not depend on the number of streams."""

    def __init__(self, streams: Streams) -> None:
        self._streams, self.draws = streams, streams.draws

    def feed(self, token_id: int) -> Sequence[float]:
        return self._streams.feed([token_id])[0]

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        return self._streams.draw([token_id], [chance], temperature, top_k)[0]


def generate_together(
    open_streams: Callable[[int], Streams],
    rngs: Sequence[random.Random],
    *,
    bos: int,
    start: Sequence[int] = (),
    block_size: int,
    temperature: float,
    top_k: int | None = None,
    top_p: float | None = None,
    prompt: Sequence[int] = (),
    max_new_tokens: int | None = None,
) -> list[list[int]]:
    """Generate several documents at once, each with the token ids that `generate` would yield with the same rng.

    Args:
        open_streams: A function that opens n decoding streams with empty contexts.
        rngs: A random number generator for each document.
        bos: The token id of BOS, which ends a document.
        start: The token ids before the prompt; empty stands for BOS, as in training on documents.
        block_size: The context length in tokens, including `start`.
        temperature: The sampling temperature, which divides the logits; 0 picks the most likely token.
        top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
        top_p: As in `next_token`, which then chooses each token, so that no engine draws by itself.
        prompt: The token ids that every document starts with, without BOS.
        max_new_tokens: The maximum number of tokens to generate per document; None means no limit.

    Returns:
        Each document's token ids, excluding BOS and the prompt.

    Raises:
        ValueError: The prompt leaves no room for a new token.
    """
    check_prompt(prompt, block_size, start)
    streams = open_streams(len(rngs))
    texts: list[list[int]] = [[] for _ in rngs]
    unfinished = list(range(len(rngs)))
    *read, last = *(start or (bos,)), *prompt
    for token_id in read:
        streams.feed([token_id] * len(rngs))
    fed = [last] * len(rngs)
    for length in range(len(read) + 1, block_size + 1):  # the current length of every context
        if streams.draws and top_p is None:
            chances = [_chance(rngs[i], temperature) if i in unfinished else 0.0 for i in range(len(rngs))]
            drawn = dict(enumerate(streams.draw(fed, chances, temperature, top_k)))
        else:
            logits = streams.feed(fed)
            drawn = {i: next_token(logits[i], rngs[i], temperature, top_k, top_p) for i in unfinished}
        unfinished = [i for i in unfinished if drawn[i] != bos]
        for i in unfinished:
            texts[i].append(drawn[i])
        if not unfinished or length == block_size or len(texts[unfinished[0]]) == max_new_tokens:
            break
        # a finished document's stream must still be fed, but its output is ignored
        fed = [text[-1] if text else bos for text in texts]
    return texts


def generate_documents(
    engine: Engine,
    rngs: random.Random | Sequence[random.Random],
    count: int,
    *,
    bos: int,
    start: Sequence[int] = (),
    block_size: int,
    temperature: float,
    top_k: int | None = None,
    prompt: Sequence[int] = (),
    max_new_tokens: int | None = None,
) -> list[array[int]]:
    """Generate documents with an engine that generates whole documents in one call.

    Args:
        engine: The engine, whose `generates` must be True.
        rngs: Either one random number generator, used for one document after another as `generate` would use it, or a
            generator for each document.
        count: The number of documents.
        bos: The token id of BOS, which ends a document.
        start: The token ids before the prompt; empty stands for BOS, as in training on documents.
        block_size: The context length in tokens, including `start`.
        temperature: The sampling temperature, which divides the logits; 0 picks the most likely token.
        top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
        prompt: The token ids that every document starts with, without BOS.
        max_new_tokens: The maximum number of tokens to generate per document; None means no limit.

    Returns:
        Each document's token ids, excluding BOS and the prompt: those that `generate` would yield.

    Raises:
        ValueError: The prompt leaves no room for a new token.
    """
    check_prompt(prompt, block_size, start)
    context = (*(start or (bos,)), *prompt)
    limit = block_size + 1 - len(context)
    if max_new_tokens is not None:
        limit = min(limit, max_new_tokens)
    options: dict[str, Any] = {
        "end": bos,
        "documents": count,
        "limit": limit,
        "temperature": temperature,
        "top_k": top_k,
    }
    draws = 0 if temperature < GREEDY else limit
    if not isinstance(rngs, random.Random):
        chances = array("d", [rng.random() for rng in rngs for _ in range(draws)])
        return engine.generate(context, chances, in_turn=False, **options)[0]
    state = rngs.getstate()
    try:
        chances = array("d", [rngs.random() for _ in range(count * draws)])
        documents, used = engine.generate(context, chances, in_turn=True, **options)
    finally:
        rngs.setstate(state)
    for _ in range(used):
        rngs.random()
    return documents
