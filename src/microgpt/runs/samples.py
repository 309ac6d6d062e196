"""Samples from a run's model, generated in batches and checked against the training data."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, NamedTuple

from microgpt import sampling
from microgpt.config import check_size
from microgpt.data.documents import Data
from microgpt.data.tokenizers import Tokenizer
from microgpt.engines.base import STREAMS, Engine
from microgpt.errors import DataError
from microgpt.flops import forward_flops
from microgpt.system.memory import check_fits

CALL_FLOPS = 2 * 10**9  # a call that generates several samples takes at most about a second; Ctrl-C waits for its end
SAMPLE_BYTES, SEEDED_BYTES = 64, 2600  # the least memory of a sample: its text; with a seed, also its random stream
BATCH = 20  # samples per batch: few enough that they appear without delay


class Sample(NamedTuple):
    """A generated text.

    Attributes:
        text: The text.
        known: Whether the text is in the training data; None if the training data is unavailable.
    """

    text: str
    known: bool | None


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    rng: random.Random,
    n: int,
    *,
    seed: int | None,
    first: int,
    slide: bool,
    stop: Sequence[str] = (),
    **how: Any,
) -> list[str]:
    """Generate texts; see Run.sample.

    Args:
        engine: The engine that holds the model.
        tokenizer: The model's tokenizer.
        rng: The random stream to draw from if there is no seed.
        n: The number of texts.
        seed: The seed for each sample's own random stream; None draws from `rng`.
        first: The index of the first sample; with a seed, each sample's index determines its random stream.
        slide: Whether to continue when the context is full.
        stop: The texts that end a sample.
        **how: The other arguments of `_options`.

    Returns:
        The texts, each including the prompt.

    Raises:
        ValueError: An option is invalid.
    """
    check_size("n", n, least=0)
    check_fits(n * (SAMPLE_BYTES if seed is None else SEEDED_BYTES), f"n={n}", "request fewer samples")
    options = _options(engine, tokenizer, slide=slide, stop=stop, **how)
    samples: list[Iterable[int]] = []
    # samples with a seed have separate random streams, so they can be generated together, and cut at a stop afterwards
    rngs = [] if seed is None else [random.Random(f"{seed}:{i}") for i in range(first, first + n)]
    at_once = 0
    if engine.generates and not slide and options["top_p"] is None and (rngs or not stop):
        flops = engine.config.block_size * forward_flops(engine.config, engine.vocab_size)
        at_once = CALL_FLOPS // flops
    if at_once:
        del options["top_p"]
        for done in range(0, n, at_once):
            count = min(at_once, n - done)
            streams = rngs[done : done + count] or rng
            samples += sampling.generate_documents(engine, streams, count, **options)
    elif rngs and engine.opens_streams and not slide:
        for done in range(0, n, STREAMS):
            samples += sampling.generate_together(engine.streams, rngs[done : done + STREAMS], **options)
    else:
        for stream in rngs or [rng] * n:  # each is generated when its turn comes, and no further than to a stop
            samples.append(sampling.generate(engine.decoder, stream, slide=slide, **options))
    return [
        how["prompt"] + ("".join(_until(stop, tokenizer, ids)) if stop else tokenizer.decode(ids)) for ids in samples
    ]


def grow(
    engine: Engine,
    tokenizer: Tokenizer,
    rng: random.Random,
    *,
    seed: int | None,
    first: int,
    slide: bool,
    stop: Sequence[str] = (),
    **how: Any,
) -> Iterator[str]:
    """Return an iterator over the pieces of one text, which are generated as they are asked for; see Run.grow.

    The arguments are those of `generate`, and so is the text.
    """
    options = _options(engine, tokenizer, slide=slide, stop=stop, **how)
    stream = rng if seed is None else random.Random(f"{seed}:{first}")
    together = seed is not None and engine.opens_streams and not slide  # as `generate` computes it, to the last bit
    open_decoder = (lambda: sampling.Alone(engine.streams(1))) if together else engine.decoder
    token_ids = sampling.generate(open_decoder, stream, slide=slide, **options)
    return chain([how["prompt"]], _until(stop, tokenizer, token_ids))


def _options(
    engine: Engine,
    tokenizer: Tokenizer,
    *,
    start: Sequence[int] = (),
    temperature: float,
    top_k: int | None,
    top_p: float | None = None,
    prompt: str,
    max_new_tokens: int | None,
    slide: bool,
    stop: Sequence[str],
) -> dict[str, Any]:
    """Return the arguments for sampling.generate and its relatives; raise ValueError if one is invalid.

    Args:
        engine: The engine that holds the model.
        tokenizer: The model's tokenizer.
        start: The token ids before each prompt; empty stands for BOS.
        temperature: The sampling temperature.
        top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
        top_p: Sample only from the likeliest tokens whose probabilities add up to top_p; None and 1 allow all.
        prompt: The text that each sample starts with.
        max_new_tokens: The maximum number of tokens to generate per text; None means no limit, or 10 * block_size with
            `slide`.
        slide: Whether to continue when the context is full.
        stop: The texts that end a sample.
    """
    if isinstance(stop, str) or not all(isinstance(text, str) for text in stop):
        raise ValueError(f"stop must be a list of texts, got stop={stop!r}")
    if "" in stop:
        raise ValueError("stop must contain at least one character, got stop='': omit it, or give a text")
    if max_new_tokens is not None:
        check_size("max_new_tokens", max_new_tokens)
    if slide and max_new_tokens is None:
        max_new_tokens = 10 * engine.config.block_size  # the limit for a model that never ends a document
    sampling.check_options(engine.vocab_size, temperature, top_k, top_p)
    ids = prompt_ids(prompt, tokenizer)
    if not slide:
        sampling.check_prompt(ids, engine.config.block_size, start)
    return {
        "bos": tokenizer.bos,
        "start": start,
        "block_size": engine.config.block_size,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": None if top_p == 1 else top_p,
        "prompt": ids,
        "max_new_tokens": max_new_tokens,
    }


def _until(stop: Sequence[str], tokenizer: Tokenizer, token_ids: Iterable[int]) -> Iterator[str]:
    """Yield the text of token ids in pieces of whole characters, up to the first text in `stop`.

    Of several texts, the one that is complete first counts. What may be the beginning of one is held back until the
    next tokens decide.
    """
    decode, held = tokenizer.grow(), ""
    for piece in chain((decode([token_id], False) for token_id in token_ids), (decode(final, True) for final in [()])):
        held += piece
        ends = [(held.index(text) + len(text), held.index(text)) for text in stop if text in held]
        if ends:
            if last := held[: min(ends)[1]]:
                yield last
            return
        kept = max((k for text in stop for k in range(1, len(text)) if held.endswith(text[:k])), default=0)
        done = len(held) - kept
        if done:
            yield held[:done]
        held = held[done:]
    if held:
        yield held


def prompt_ids(prompt: str, tokenizer: Tokenizer, name: str = "prompt") -> list[int]:
    """Return the token ids of a prompt; raise ValueError if the model does not know a character.

    If the model does not know a character as it is written, the prompt's other normal forms are tried: an accented
    letter can be one character, or a letter and a combining accent.
    """
    for text in (prompt, *(unicodedata.normalize(form, prompt) for form in ("NFC", "NFD"))):
        with suppress(KeyError, UnicodeEncodeError):
            return tokenizer.encode(text)[1:-1]
    try:
        return tokenizer.encode(prompt)[1:-1]
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} must be valid Unicode, got an unpaired surrogate in {name}={prompt!r}: remove it"
        ) from None
    except KeyError as error:
        known = "".join(tokenizer.symbols)
        if len(known) > 100:
            known = f"{known[:100]}... {len(known)} in all"
        raise ValueError(
            f"{name} must contain only characters that the model knows ({known}), got {error.args[0]!r} in"
            f" {name}={prompt!r}"
        ) from None


def mark_copies(
    generate: Callable[..., list[str]], data: Data | None, n: int, new_only: bool, first: int = 0
) -> Iterator[list[Sample]]:
    """Yield batches of samples, looking up each sample in the data; see Run.sample_batches.

    Args:
        generate: A function that calls Run.sample with the chosen options.
        data: The training data; None if it is unavailable.
        n: The number of samples.
        new_only: Whether to yield only samples that are not in the data.
        first: The index of the first sample.

    Yields:
        The samples, in batches.

    Raises:
        DataError: Hardly any samples are new.
    """
    written = generated = 0
    while written < n:
        if generated >= 100 * n:
            raise DataError(
                f"only {written} of {generated} samples are new: raise the temperature or request fewer samples"
            )
        texts = generate(min(n - written, BATCH), first=first + generated)
        generated += len(texts)
        known = data.find_texts(texts) if data else set()
        samples = [Sample(text, text in known if data else None) for text in texts]
        samples = [sample for sample in samples if not (new_only and sample.known)]
        written += len(samples)
        yield samples
