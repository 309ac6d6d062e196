"""Compare a run's loss with unigram and bigram baselines, and measure the novelty of its samples."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from microgpt import evaluation
from microgpt.config import check_size
from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.data.prepared import Working
from microgpt.data.sources import Source
from microgpt.data.tokenizers import CharTokenizer
from microgpt.engines.base import STREAMS, Tokens, truncated
from microgpt.runs.samples import SAMPLE_BYTES
from microgpt.system.memory import check_fits

if TYPE_CHECKING:
    from microgpt.runs.model import Model

LIMIT = 1000  # documents, spread evenly, of a text that is not the run's held-out part
COUNTED = 200_000  # tokens are counted in at most this many training sequences, spread evenly


def evaluate(
    run: Model, source: Source | None, limit: int | None, num_samples: int, seed: int, progress: Working | None
) -> evaluation.Evaluation:
    """Evaluate a run; see Run.evaluate."""
    check_size("num_samples", num_samples, least=0)
    check_fits(num_samples * SAMPLE_BYTES, f"num_samples={num_samples}", "request fewer samples")
    if source is None:
        text, indices = run.data, run.held_out or range(len(run.data))
        what = f"{'held-out part of' if run.held_out else 'training data'} {text.source or 'documents in memory'}"
    else:
        text = _read(run, source)
        indices, what = range(len(text)), str(source) if text.source else "documents in memory"
    limited = partial(text.sequence, limit=run.config.block_size + 1)
    is_held_out = source is None and bool(run.held_out)
    chosen = (
        run.measured if is_held_out and limit is None else evaluation.spread(indices, LIMIT if limit is None else limit)
    )
    scores = {"model": run.score(chosen, text, progress)}
    if not run.missing_data:
        trained_on = evaluation.spread(run.order, COUNTED)
        sequences = map(run.data.sequence, with_progress(trained_on, "Counting tokens", len(trained_on), progress))
        counts = evaluation.NgramCounts(sequences, run.engine.vocab_size)
        nats: dict[str, array[float]] = {"letter pairs": array("d"), "letters": array("d")}
        tokens, kinds = array("Q"), array("q")
        for i in chosen:
            letters, pairs = counts.score(limited(i))
            kinds.append(evaluation.kind_of(limited(i)))
            nats["letters"].append(letters.nats)
            nats["letter pairs"].append(pairs.nats)
            tokens.append(letters.tokens)
        scores |= {name: evaluation.total(each, tokens, kinds) for name, each in nats.items()}
    scores["knowing nothing"] = evaluation.uniform_score(scores["model"].tokens, run.engine.vocab_size)
    if not isinstance(run.tokenizer, CharTokenizer):
        characters = sum(_characters(run, text.sequence(i)) for i in chosen)
        scores = {name: replace(score, characters=characters) for name, score in scores.items()}
    samples: list[str] = []
    for first in range(0, num_samples, STREAMS):
        samples += run.sample(min(STREAMS, num_samples - first), seed=seed, first=first)
        if progress:
            progress("Generating samples", len(samples), num_samples)
    known = None if run.missing_data else run.data.find_texts(samples)
    return evaluation.Evaluation(
        what,
        len(chosen),
        len(indices),
        scores,
        evaluation.novelty(samples, known),
        note=run.split_note if source is None else "",
        is_drawn=is_held_out and limit is None and len(chosen) < len(indices),
    )


def with_progress(items: Iterable[int], what: str, total: int, progress: Working | None) -> Iterator[int]:
    """Yield the items, reporting progress after each one."""
    for done, item in enumerate(items, 1):
        yield item
        if progress:
            progress(what, done, total)


def _characters(run: Model, tokens: Tokens) -> int:
    """Return the number of characters that the model predicts in a sequence; BOS counts as one."""
    targets = truncated(tokens, run.config)[1:]
    return len(run.tokenizer.decode(targets)) + targets.count(run.tokenizer.bos)


def _read(run: Model, source: Source) -> Data:
    """Load another text with the model's tokenizer."""
    return load(
        source,
        mode=run.provenance.mode,
        separator=run.provenance.separator,
        field=run.provenance.field,
        block_size=run.config.block_size,
        bos_first=run.config.bos_first,
        tokenizer=run.tokenizer,
    )
