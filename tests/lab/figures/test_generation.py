"""Samples: the same as those of the command line, and compared with the training documents."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.cli import main as cli
from microgpt.data.loading import load
from microgpt.data.sources import NAMES
from microgpt.lab.figures import generation
from microgpt.runs import checkpoint as checkpoints

from lab.published import names_model
from lab.session_client import Lab


def test_the_samples_are_those_of_the_command_line(
    readonly: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.save(tmp_path / "model.safetensors", names_model())
    command = [
        "sample",
        str(tmp_path / "model.safetensors"),
        "-n",
        "30",
        "--seed",
        "7",
        "--temperature",
        "0.8",
        "--json",
    ]
    assert cli.main([*command, "--data", str(NAMES)]) == 0
    texts = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    assert readonly.ask("samples", seed=7, count=30, temperature=0.8)["texts"] == texts
    for index in range(10):
        assert readonly.ask("generate", seed=7, index=index, temperature=0.8)["text"] == texts[index]


def test_the_chance_selects_the_letter_that_is_sampled(readonly: Lab) -> None:
    for index in range(30):
        generated = readonly.ask("generate", seed=1, index=index, temperature=1.2, top_k=9, prompt="ma")
        rng = random.Random(f"1:{index}")
        for letter in generated["letters"]:
            assert letter["chance"] == rng.random()
            assert sum(p > 0 for p in letter["probs"]) == 9
            below = sum(letter["probs"][: letter["token_id"]])
            assert below <= letter["chance"] + 1e-12
            assert letter["chance"] <= below + letter["probs"][letter["token_id"]] + 1e-12
        written = "ma" + "".join(letter["char"] for letter in generated["letters"])
        assert generated["text"] == written
        assert (generated["letters"][-1]["char"] == "") == (generated["ended"] == "bos")


def test_the_first_letters_of_samples_have_the_shown_probabilities(readonly: Lab) -> None:
    probs = readonly.ask("generate", seed=0, index=0, temperature=1.0)["letters"][0]["probs"]
    texts = [
        text for seed in range(4) for text in readonly.ask("samples", seed=seed, count=1000, temperature=1)["texts"]
    ]
    counts = Counter(text[:1] for text in texts)
    symbols = readonly.ask("model")["symbols"]
    expected = [(p * len(texts), counts[symbols[i]]) for i, p in enumerate(probs)]
    often = [(e, n) for e, n in expected if e >= 5]
    often.append((len(texts) - sum(e for e, _ in often), len(texts) - sum(n for _, n in often)))
    chi_square = sum((n - e) ** 2 / e for e, n in often if e > 0)
    freedom = len(often) - 1
    # within four standard deviations of the chi-square distribution; the seeds are fixed
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def edits(a: str, b: str) -> int:
    """Return the edit distance, by the textbook algorithm."""
    table = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, table[0] = table[0], i
        for j, y in enumerate(b, 1):
            before, table[j] = table[j], min(table[j] + 1, table[j - 1] + 1, before + (x != y))
    return table[-1]


@given(st.text("abc", max_size=6), st.sets(st.text("abcd", min_size=1, max_size=7), max_size=40))
def test_the_nearest_documents_have_the_smallest_edit_distances(text: str, documents: set[str]) -> None:
    found = generation.nearest(text, sorted(documents))
    every = sorted((edits(text, document), document) for document in documents)
    assert [(near["distance"], near["text"]) for near in found] == every[: generation.NEAREST]


def test_a_text_is_looked_up_in_the_data(readonly: Lab) -> None:
    documents = set(load("names"))
    for index in range(40):
        generated = readonly.ask("generate", seed=3, index=index, temperature=0.5)
        assert generated["in_data"] == (generated["text"] in documents)
        assert (generated["nearest"][0]["distance"] == 0) == generated["in_data"]
    samples = readonly.ask("samples", seed=3, count=40, temperature=0.5)
    assert samples["new"] == sum(text not in documents for text in samples["texts"])
