"""`microgpt evaluate`: its losses are those of the reference and of plain counting."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from microgpt.runs import model as model_module

from cli.commands import SMALL, WORDS, Microgpt, Reference, strict_json

Expected = tuple[float, int, float]


def expected_scores(truth: Reference, texts: Sequence[str]) -> dict[str, Expected]:
    """Return (nats, tokens, standard error) of each model, by the reference's loss and by counting.

    Each text is read up to block_size.
    """
    encode, vocab_size = truth.tokenizer.encode, len(truth.tokenizer.symbols)
    sequences = [encode(word) for word in WORDS]
    letters = Counter(t for tokens in sequences for t in tokens[1:])
    pairs = Counter(pair for tokens in sequences for pair in pairwise(tokens))
    firsts = Counter(t for tokens in sequences for t in tokens[:-1])
    nats: dict[str, list[float]] = {name: [] for name in ("model", "letter pairs", "letters", "knowing nothing")}
    counts = []
    for text in texts:
        tokens = encode(text)[:5]
        counts.append(len(tokens) - 1)
        for values in nats.values():
            values.append(0.0)
        nats["model"][-1] += truth.loss(tokens).data * (len(tokens) - 1)
        for a, b in pairwise(tokens):
            nats["letter pairs"][-1] -= math.log((pairs[a, b] + 1) / (firsts[a] + vocab_size))
            nats["letters"][-1] -= math.log((letters[b] + 1) / (letters.total() + vocab_size))
            nats["knowing nothing"][-1] -= math.log(1 / vocab_size)
    return {name: (sum(values), sum(counts), error(values, counts)) for name, values in nats.items()}


def error(nats: Sequence[float], counts: Sequence[int]) -> float:
    """Return the standard error of a ratio, by its textbook formula: the mean length and the residuals' variance."""
    ratio, mean = sum(nats) / sum(counts), sum(counts) / len(counts)
    variance = sum((y - ratio * x) ** 2 for y, x in zip(nats, counts)) / (len(nats) - 1)
    return math.sqrt(variance / len(nats)) / mean


def table(scores: dict[str, Expected]) -> str:
    lines = ["                  nats/token  std error  bits/character  perplexity"]
    for name, (nats, tokens, error) in scores.items():
        loss = nats / tokens
        lines.append(f"{name:16}{loss:12.4f}{error:11.4f}{loss * math.log2(math.e):16.4f}{math.exp(loss):12.2f}")
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
    for name, (nats, tokens, error) in scores.items():
        score = facts.pop(name.replace(" ", "_"))
        assert score["loss"] == pytest.approx(nats / tokens, rel=1e-12)
        assert score["bits_per_character"] == pytest.approx(nats / tokens / math.log(2), rel=1e-12)
        assert score["standard_error"] == pytest.approx(error, rel=1e-12, abs=1e-15)
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


def test_evaluate_measures_all_held_out_documents_of_the_best_checkpoint(here: Path, microgpt: Microgpt) -> None:
    trained = microgpt(
        f"train words.txt {SMALL} --num-steps 30 --learning-rate 0.1 --seed 1 --val-fraction 0.3 --out run"
    )
    shown = re.search(
        r"held-out loss: (\S+) ± (\S+) nats per token \(step 9, the best; the last is 30; all 4", trained.err
    )
    assert shown, trained.err
    result = microgpt("evaluate run --num-samples 0")
    assert result.err == ("note: this is the best checkpoint, step 9 of 30; --checkpoint last uses the last one\n")
    assert result.out.startswith(f"held-out part of {here / 'words.txt'}: 4 of 4 documents, ")
    assert result.out.splitlines()[3].split()[:3] == ["model", *shown.groups()]
    last = strict_json(microgpt("evaluate run --num-samples 0 --checkpoint last --json").out)
    assert last["model"]["loss"] > float(shown[1]) + 0.01
    assert microgpt("evaluate run --num-samples 0 --checkpoint best --json").err == ""


def test_evaluate_draws_held_out_documents_if_they_have_too_many_tokens(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("many.txt").write_text("".join(f"{word}{other}\n" for word in WORDS for other in WORDS))
    trained = microgpt(f"train many.txt {SMALL} --val-fraction 0.5 --out run")
    assert "; all 72 documents, " in trained.err
    monkeypatch.setattr(model_module, "MEASURED_TOKENS", 100)
    again = microgpt("train --out run --resume")
    assert "; 25 of 72 documents, drawn at random, 100 tokens)" in again.err
    shown = microgpt("evaluate run --num-samples 0").out
    assert shown.startswith(f"held-out part of {here / 'many.txt'}: 25 of 72 documents (drawn at random), 100 tokens\n")
    assert "72 of 72 documents, " in microgpt("evaluate run --num-samples 0 --limit 0").out


def test_evaluate_says_how_many_documents_repeat_others(here: Path, microgpt: Microgpt) -> None:
    Path("twice.txt").write_text("".join(f"{word}\n{word}\n" for word in WORDS))
    note = "12 of 24 documents repeat an earlier one; equal documents are on the same side of the split"
    assert note in microgpt(f"train twice.txt {SMALL} --val-fraction 0.25 --out run").err.splitlines()
    result = microgpt("evaluate run --num-samples 0")
    assert result.out.splitlines()[0].startswith(f"held-out part of {here / 'twice.txt'}: 6 of 6 documents, ")
    assert result.out.splitlines()[1] == note
    facts = strict_json(microgpt("info run --json").out)["data"]
    assert (facts["split"], facts["num_distinct"]) == ("together", 12)
