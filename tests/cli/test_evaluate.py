"""`microgpt evaluate`: its losses are those of the reference and of plain counting."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from cli.commands import SMALL, WORDS, Microgpt, Reference, strict_json


def expected_scores(truth: Reference, texts: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Return (nats, tokens) of each model, by the reference's loss and by counting, up to block_size in each text."""
    encode, vocab_size = truth.tokenizer.encode, len(truth.tokenizer.symbols)
    sequences = [encode(word) for word in WORDS]
    letters = Counter(t for tokens in sequences for t in tokens[1:])
    pairs = Counter(pair for tokens in sequences for pair in pairwise(tokens))
    firsts = Counter(t for tokens in sequences for t in tokens[:-1])
    nats = dict.fromkeys(("model", "letter pairs", "letters", "knowing nothing"), 0.0)
    count = 0
    for text in texts:
        tokens = encode(text)[:5]
        count += len(tokens) - 1
        nats["model"] += truth.loss(tokens).data * (len(tokens) - 1)
        for a, b in pairwise(tokens):
            nats["letter pairs"] -= math.log((pairs[a, b] + 1) / (firsts[a] + vocab_size))
            nats["letters"] -= math.log((letters[b] + 1) / (letters.total() + vocab_size))
            nats["knowing nothing"] -= math.log(1 / vocab_size)
    return {name: (value, count) for name, value in nats.items()}


def table(scores: dict[str, tuple[float, int]]) -> str:
    lines = ["                  nats/token  bits/character  perplexity"]
    for name, (nats, tokens) in scores.items():
        loss = nats / tokens
        lines.append(f"{name:16}{loss:12.4f}{loss * math.log2(math.e):16.4f}{math.exp(loss):12.2f}")
    return "".join(line + "\n" for line in lines)


def test_evaluate_shows_the_model_next_to_the_counting_models(
    run: Path, microgpt: Microgpt, truth: Reference, trained: Path
) -> None:
    scores = expected_scores(truth, WORDS)
    samples = truth.samples(30)
    new = sum(text not in WORDS for text in samples)
    assert microgpt("evaluate run --num-samples 30") == (
        0,
        f"training data {trained / 'words.txt'}: 12 of 12 documents, {scores['model'][1]} tokens\n\n"
        f"{table(scores)}\n30 samples: {new} new, {len(set(samples))} distinct\n",
        "",
    )


def test_evaluate_reads_another_text_and_only_a_part_of_it_if_asked(
    run: Path, microgpt: Microgpt, truth: Reference
) -> None:
    Path("other.txt").write_text("bach\nhaendel\n\ngabrieli\r\nida\n")
    scores = expected_scores(truth, ["bach", "gabrieli"])
    assert microgpt("evaluate run other.txt --limit 2 --num-samples 0") == (
        0,
        f"other.txt: 2 of 4 documents, {scores['model'][1]} tokens\n\n{table(scores)}",
        "",
    )


def test_evaluate_as_json_has_the_same_facts_in_full_precision(
    run: Path, microgpt: Microgpt, truth: Reference, trained: Path
) -> None:
    result = microgpt("evaluate run --json --num-samples 10 --seed 3 --limit 5")
    facts = strict_json(result.out)
    chosen = [WORDS[i * 12 // 5] for i in range(5)]
    scores = expected_scores(truth, chosen)
    samples = truth.samples(10, seed=3)
    assert (result.status, result.err) == (0, "")
    for name, (nats, tokens) in scores.items():
        score = facts.pop(name.replace(" ", "_"))
        assert score["loss"] == pytest.approx(nats / tokens, rel=1e-12)
        assert score["bits_per_character"] == pytest.approx(nats / tokens / math.log(2), rel=1e-12)
        assert score["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-12)
    assert facts == {
        "text": f"training data {trained / 'words.txt'}",
        "documents": 5,
        "tokens": scores["model"][1],
        "samples": 10,
        "distinct": len(set(samples)),
        "new": sum(text not in WORDS for text in samples),
    }


def test_evaluate_without_the_training_data_leaves_the_counts_out(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    Path("words.txt").rename("moved.txt")
    scores = expected_scores(truth, WORDS)
    samples = truth.samples(30)
    result = microgpt("evaluate run moved.txt --num-samples 30")
    assert (result.status, result.err.count("\n")) == (0, 1)
    assert result.err.startswith(f"note: the training data is no longer at {str(here / 'words.txt')!r}")
    assert result.out == (
        f"moved.txt: 12 of 12 documents, {scores['model'][1]} tokens\n\n"
        f"{table({name: scores[name] for name in ('model', 'knowing nothing')})}"
        f"\n30 samples: {len(set(samples))} distinct\n"
    )
    refused = microgpt("evaluate run")
    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)
