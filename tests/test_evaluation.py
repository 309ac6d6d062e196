"""Scores are the reference's losses, counts agree with a table, and novelty is set arithmetic."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import evaluation, reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import Config, init
from microgpt.engines.scalar import ScalarEngine
from microgpt.evaluation import NgramCounts, Score
from microgpt.reference import Value
from microgpt.runs.run import Run

from conftest import TINY

VOCAB_SIZE, BOS = 5, 4
sequences = st.lists(
    st.lists(st.integers(0, VOCAB_SIZE - 2), max_size=6).map(lambda tokens: [BOS, *tokens, BOS]), min_size=1, max_size=8
)
CONFIGS = {
    "tiny": TINY,
    "two layers": TINY.replace(n_layer=2, block_size=6),
    "squared ReLU": TINY.replace(activation="relu2", block_size=3),
}


def engine_of(config: Config, init_std: float = 0.7) -> ScalarEngine:
    params = init(config.replace(init_std=init_std), VOCAB_SIZE, random.Random(0))
    return ScalarEngine(params, config, VOCAB_SIZE)


def reference_loss(tokens: Sequence[int], engine: ScalarEngine) -> float:
    """Return the loss in nats per token, computed by the reference."""
    c, numbers = engine.config, iter(engine.params)
    table = reference.shapes(VOCAB_SIZE, c.n_embd, c.n_layer, c.block_size)
    state_dict = {
        name: [[Value(next(numbers)) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in table.items()
    }
    loss = reference.loss(tokens, state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])
    return float(loss.data)


# --- The model's score


@pytest.mark.parametrize("tokens", [[BOS, BOS], [BOS, 1, BOS], [BOS, 0, 1, 2, 3, 2, 1, 0, BOS]], ids=len)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_score_is_the_references_loss_over_the_tokens_that_training_reads(config: Config, tokens: list[int]) -> None:
    engine = engine_of(config)
    score = evaluation.score(engine, [tokens])
    assert score.tokens == min(len(tokens) - 1, config.block_size)
    assert score.loss == pytest.approx(reference_loss(tokens, engine), rel=1e-12)


def test_a_score_over_many_documents_weights_each_token_equally() -> None:
    documents = ["a", "bad", "cabdab", "d"]
    run = Run.begin(documents, TINY)
    losses = [reference_loss(run.data.sequence(i), run.engine) for i in range(4)]  # type: ignore[arg-type]
    tokens = [2, 4, 4, 2]  # the characters and BOS, at most block_size=4
    expected = sum(loss * n for loss, n in zip(losses, tokens)) / sum(tokens)
    assert run.score(range(4)).tokens == 12
    assert run.score(range(4)).loss == pytest.approx(expected, rel=1e-12)


def test_a_model_with_equal_logits_scores_like_knowing_nothing() -> None:
    tokens = [BOS, 1, 2, BOS]
    score = evaluation.score(engine_of(TINY, init_std=0.0), [tokens])
    nothing = evaluation.uniform_score(3, VOCAB_SIZE)
    assert score.tokens == nothing.tokens == 3
    assert score.loss == pytest.approx(math.log(5), rel=1e-15)
    assert nothing.loss == pytest.approx(math.log(5), rel=1e-15)
    assert nothing.perplexity == pytest.approx(5, rel=1e-15)


def test_a_total_adds_documents_up() -> None:
    assert evaluation.total([1.5, 2.5], [2, 3], [0, 1]) == Score(4.0, 5, standard_error=pytest.approx(0.04))
    assert evaluation.total([1.5, 1.5], [2, 2], [7, 7]) == Score(3.0, 4)  # one distinct document has no error


def test_the_standard_error_is_the_spread_of_the_loss_over_samples_of_documents() -> None:
    """The authority is resampling: the same estimate from many samples of a population of known loss."""
    rng = random.Random(3)
    lengths = [rng.randrange(2, 20) for _ in range(2000)]
    population = [(length * rng.gauss(2.3, 0.6) + rng.gauss(0, 1), length) for length in lengths]
    losses, errors = [], []
    for _ in range(400):
        nats, tokens = zip(*rng.choices(population, k=150))
        score = evaluation.total(nats, tokens, range(150))
        losses.append(score.loss)
        errors.append(score.standard_error or 0.0)
    assert statistics.mean(errors) == pytest.approx(statistics.stdev(losses), rel=0.1)
    # a mean over tokens as if they were independent would claim far too little
    assert statistics.mean(errors) > 1.5 * statistics.stdev(n / t for n, t in population) / math.sqrt(150 * 10.5)


def test_copies_of_a_document_do_not_make_an_estimate_more_certain() -> None:
    rng = random.Random(4)
    nats, tokens = [rng.uniform(1, 9) for _ in range(30)], [rng.randrange(1, 9) for _ in range(30)]
    once = evaluation.total(nats, tokens, range(30))
    often = evaluation.total(nats * 9, tokens * 9, [*range(30)] * 9)
    assert often.loss == pytest.approx(once.loss)
    assert often.standard_error == pytest.approx(once.standard_error)


def test_a_sample_is_drawn_only_if_there_are_too_many_tokens() -> None:
    lengths = [random.Random(5).randrange(1, 9) for _ in range(1000)]
    indices, read = range(500, 1000), []

    def positions(i: int) -> int:
        read.append(i)
        return lengths[i]

    assert evaluation.drawn(indices, positions, largest=8, most=4000, seed=1) is indices
    assert read == []  # no document has more than 8 tokens
    assert evaluation.drawn(indices, positions, largest=8, most=sum(lengths[500:]), seed=1) is indices
    read.clear()
    chosen = evaluation.drawn(indices, positions, largest=8, most=300, seed=1)
    assert sorted(read) == list(chosen) == sorted(set(chosen) & set(indices))
    assert 300 <= sum(lengths[i] for i in chosen) < 308
    assert list(evaluation.drawn(indices, positions, largest=8, most=300, seed=1)) == list(chosen)
    assert list(evaluation.drawn(indices, positions, largest=8, most=300, seed=2)) != list(chosen)


@given(st.floats(0, 100), st.integers(1, 1000))
def test_bits_and_perplexity_are_the_loss_in_other_units(nats: float, tokens: int) -> None:
    score = Score(nats, tokens)
    assert score.loss == nats / tokens
    assert score.bits_per_character == pytest.approx(math.log2(math.e) * nats / tokens, rel=1e-14)
    assert score.perplexity == pytest.approx(2**score.bits_per_character, rel=1e-12)


def test_a_hopeless_loss_has_an_infinite_perplexity() -> None:
    """exp(710) overflows a float; a model that has diverged can still be evaluated."""
    assert Score(1e6, 1).perplexity == math.inf


def test_a_score_of_enormous_logits_is_a_number() -> None:
    engine = engine_of(TINY, init_std=1e4)
    score = evaluation.score(engine, [[BOS, 1, 2, 3, BOS]])
    assert math.isfinite(score.nats)
    assert score.nats >= 0


# --- The counting models


def test_counts_of_a_text_that_can_be_counted_by_hand() -> None:
    # "aab" and "b" over the vocabulary a=0 b=1 BOS=2: the next tokens are a a b . b .
    counts = NgramCounts([[2, 0, 0, 1, 2], [2, 1, 2]], vocab_size=3)
    letters, pairs = counts.score([2, 0, 1, 2])
    # letters, each count plus 1: a 3, b 3, end 3, of 9
    assert letters.tokens == pairs.tokens == 3
    assert letters.nats == pytest.approx(-3 * math.log(3 / 9), rel=1e-14)
    # pairs: after BOS a 2, b 2, BOS 1 of 5; after a: a 2, b 2, BOS 1 of 5; after b: a 1, b 1, BOS 3 of 5
    assert pairs.nats == pytest.approx(-math.log(2 / 5 * 2 / 5 * 3 / 5), rel=1e-14)


@given(sequences, sequences)
def test_counts_agree_with_a_table(text: list[list[int]], other: list[list[int]]) -> None:
    np = pytest.importorskip("numpy", reason="numpy makes the table")
    table = np.ones((VOCAB_SIZE, VOCAB_SIZE))  # Laplace
    for tokens in text:
        np.add.at(table, (tokens[:-1], tokens[1:]), 1)
    seen = table - 1
    letter_p = (seen.sum(0) + 1) / (seen.sum() + VOCAB_SIZE)
    pair_p = table / table.sum(1, keepdims=True)
    counts = NgramCounts(text, VOCAB_SIZE)
    for tokens in other:
        letters, pairs = counts.score(tokens)
        assert letters.nats == pytest.approx(-np.log(letter_p[tokens[1:]]).sum(), rel=1e-12)
        assert pairs.nats == pytest.approx(-np.log(pair_p[tokens[:-1], tokens[1:]]).sum(), rel=1e-12)
        assert letters.tokens == pairs.tokens == len(tokens) - 1


@given(sequences)
def test_the_probabilities_of_counts_add_up_to_1(text: list[list[int]]) -> None:
    counts = NgramCounts(text, VOCAB_SIZE)
    for a in range(VOCAB_SIZE):
        scores = [counts.score([a, b]) for b in range(VOCAB_SIZE)]
        for kind in range(2):
            total = math.fsum(math.exp(-score[kind].nats) for score in scores)
            assert total == pytest.approx(1, rel=1e-12)


def test_counts_without_data_score_like_knowing_nothing() -> None:
    for score in NgramCounts([], VOCAB_SIZE).score([BOS, 1, 2, BOS]):
        assert score.loss == pytest.approx(math.log(VOCAB_SIZE), rel=1e-15)


def test_on_their_own_text_pairs_score_better_than_letters_and_letters_better_than_nothing() -> None:
    text = [[BOS, *(i % 4 for i in range(n)), BOS] for n in range(3, 40)]
    counts = NgramCounts(text, VOCAB_SIZE)
    scores = [counts.score(tokens) for tokens in text]
    letters, pairs = (sum(score[kind].nats for score in scores) for kind in range(2))
    count = sum(len(list(pairwise(tokens))) for tokens in text)
    assert pairs / count < letters / count < math.log(VOCAB_SIZE)
    assert count == sum(score[0].tokens for score in scores)


# --- Novelty


def test_novelty_counts_repeated_samples_as_often_as_they_occur() -> None:
    novelty = evaluation.novelty(["anna", "new", "new", "", "bob"], known={"anna", "bob"})
    assert (novelty.samples, novelty.distinct, novelty.new) == (5, 4, 3)


@given(st.lists(st.text("ab", max_size=2)), st.sets(st.text("ab", max_size=2)))
def test_novelty_is_set_arithmetic(samples: list[str], known: set[str]) -> None:
    novelty = evaluation.novelty(samples, known)
    assert novelty.samples == len(samples)
    assert novelty.distinct == len(set(samples))
    assert novelty.new == sum(samples.count(text) for text in set(samples) - known)
