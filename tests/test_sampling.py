"""Sampling gives the token ids of the reference, and its options do what they say."""

from __future__ import annotations

import math
import random
import re
from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import reference, sampling
from microgpt.activations import ACTIVATIONS
from microgpt.config import Config, init
from microgpt.engines.base import Decoder
from microgpt.engines.scalar import ScalarEngine
from microgpt.reference import Value

from conftest import TINY

VOCAB_SIZE, BOS = 7, 6
CONFIGS = {
    "tiny": TINY,
    "two layers": TINY.replace(n_layer=2, block_size=6),
    "squared ReLU, BOS first": TINY.replace(activation="relu2", bos_first=True, block_size=8),
    "one head": TINY.replace(n_head=1, n_embd=3),
}
logit = st.floats(-1e3, 1e3)
some_logits = st.lists(logit, min_size=1, max_size=30)


def engine_of(config: Config, seed: int = 1) -> ScalarEngine:
    """Return a model whose logits differ clearly from token to token."""
    params = init(config.replace(init_std=0.7), VOCAB_SIZE, random.Random(seed))
    return ScalarEngine(params, config, VOCAB_SIZE)


def state_dict_of(params: array[float], config: Config) -> dict[str, list[list[Value]]]:
    """Return the numbers as the matrices of the reference."""
    numbers = iter(params)
    table = reference.shapes(VOCAB_SIZE, config.n_embd, config.n_layer, config.block_size)
    return {name: [[Value(next(numbers)) for _ in range(c)] for _ in range(r)] for name, (r, c) in table.items()}


class Spy(Decoder):
    """A decoder with fixed logits, or those of another decoder, that records what it was fed and what it answered.

    `never` is a token id that it makes impossible.
    """

    def __init__(self, answer: list[float] | Decoder, never: int | None = None) -> None:
        self.answer, self.never = answer, never
        self.fed: list[int] = []
        self.answers: list[list[float]] = []

    def feed(self, token_id: int) -> list[float]:
        self.fed.append(token_id)
        self.answers.append(self.answer if isinstance(self.answer, list) else list(self.answer.feed(token_id)))
        return [-math.inf if i == self.never else logit for i, logit in enumerate(self.answers[-1])]


def always(token_id: int) -> list[float]:
    """Return logits that always give this token id."""
    return [0.0 if i == token_id else -1e9 for i in range(VOCAB_SIZE)]


# --- One token


@given(some_logits, st.floats(1e-3, 1e3))
def test_probabilities_equal_the_reference_bit_for_bit(logits: list[float], temperature: float) -> None:
    expected = [p.data for p in reference.softmax([Value(x) / temperature for x in logits])]
    assert sampling.probabilities(logits, temperature) == expected


@given(some_logits)
def test_probabilities_without_a_temperature_are_plain_softmax(logits: list[float]) -> None:
    expected = [p.data for p in reference.softmax([Value(x) for x in logits])]
    assert sampling.probabilities(logits) == expected
    assert math.isclose(math.fsum(expected), 1.0, rel_tol=1e-12)


@given(some_logits, st.floats(0.01, 10), st.integers(0, 2**32))
def test_a_token_and_the_random_stream_after_it_equal_the_reference(
    logits: list[float], temperature: float, seed: int
) -> None:
    rng, reference_rng = random.Random(seed), random.Random(seed)
    weights = [p.data for p in reference.softmax([Value(x) / temperature for x in logits])]
    [expected] = reference_rng.choices(range(len(weights)), weights=weights)
    assert sampling.next_token(logits, rng, temperature) == expected
    assert rng.getstate() == reference_rng.getstate()


@given(some_logits, st.integers(0, 2**32))
def test_temperature_0_takes_the_first_of_the_likeliest_without_drawing(logits: list[float], seed: int) -> None:
    rng = random.Random(seed)
    before = rng.getstate()
    token_id = sampling.next_token(logits, rng, 0.0)
    assert logits[token_id] == max(logits)
    assert max(logits) not in logits[:token_id]
    assert rng.getstate() == before


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12), st.data())
def test_top_k_only_samples_the_k_likeliest_and_prefers_lower_ids_among_equals(
    logits: list[float], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(logits)))
    likeliest = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:k]
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    drawn = {sampling.next_token(logits, rng, 5.0, top_k=k) for _ in range(20)}
    assert drawn <= set(likeliest)


@given(some_logits, st.integers(0, 2**32))
def test_top_k_of_the_whole_vocabulary_changes_nothing(logits: list[float], seed: int) -> None:
    with_k = sampling.next_token(logits, random.Random(seed), 0.7, top_k=len(logits))
    assert with_k == sampling.next_token(logits, random.Random(seed), 0.7)


@given(some_logits, st.integers(0, 2**32))
def test_top_k_of_1_is_greedy(logits: list[float], seed: int) -> None:
    greedy = sampling.next_token(logits, random.Random(seed), 0.0)
    assert sampling.next_token(logits, random.Random(seed), 3.0, top_k=1) == greedy


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, None), (2.0, None), (1.0, 3)])
def test_tokens_are_sampled_with_their_probabilities(temperature: float, top_k: int | None) -> None:
    logits = [math.log(p) for p in (0.4, 0.05, 0.3, 0.05, 0.2)]
    kept = sorted(range(5), key=lambda i: -logits[i])[: top_k or 5]
    weights = {i: math.exp(logits[i] / temperature) for i in kept}
    draws, rng = 20_000, random.Random(0)
    counts = Counter(sampling.next_token(logits, rng, temperature, top_k) for _ in range(draws))
    assert counts.keys() == set(kept)
    expected = {i: draws * w / sum(weights.values()) for i, w in weights.items()}
    chi_square = sum((counts[i] - e) ** 2 / e for i, e in expected.items())
    assert chi_square < 18.47  # probability 0.001 with 4 degrees of freedom; the seed is fixed


@given(
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12),
    st.floats(0.01, 0.999),
    st.integers(1, 12),
    st.integers(0, 2**32),
)
def test_top_p_samples_the_fewest_tokens_that_have_the_probability(
    logits: list[float], top_p: float, top_k: int, seed: int
) -> None:
    """The order is the usual one: the temperature divides, top_k keeps, and top_p keeps of what is left."""
    ranked = sorted(range(len(logits)), key=lambda i: (-logits[i], i))[:top_k]
    weights = [math.exp(logits[i] / 2.0) for i in ranked]
    chances = [w / math.fsum(weights) for w in weights]
    fewest = next(n for n in range(1, len(ranked) + 1) if n == len(ranked) or math.fsum(chances[:n]) >= top_p + 1e-9)
    rng = random.Random(seed)
    drawn = {sampling.next_token(logits, rng, 2.0, top_k, top_p) for _ in range(20)}
    assert drawn <= set(ranked[:fewest])


def test_the_tokens_of_top_p_are_sampled_with_their_probabilities() -> None:
    logits = [math.log(p) for p in (0.4, 0.05, 0.3, 0.05, 0.2)]
    draws, rng = 20_000, random.Random(0)
    counts = Counter(sampling.next_token(logits, rng, 1.0, top_p=0.85) for _ in range(draws))
    expected = {0: draws * 4 / 9, 2: draws * 3 / 9, 4: draws * 2 / 9}
    assert counts.keys() == expected.keys()
    assert sum((counts[i] - e) ** 2 / e for i, e in expected.items()) < 13.82  # probability 0.001, 2 degrees


@given(some_logits, st.integers(0, 2**32))
def test_top_p_of_1_changes_nothing(logits: list[float], seed: int) -> None:
    with_p = sampling.next_token(logits, random.Random(seed), 0.7, top_p=1.0)
    assert with_p == sampling.next_token(logits, random.Random(seed), 0.7)


@given(some_logits, st.integers(0, 2**32))
def test_a_tiny_top_p_is_greedy(logits: list[float], seed: int) -> None:
    probs = sampling.probabilities(logits, 3.0)  # equal for logits that hardly differ
    assert probs[sampling.next_token(logits, random.Random(seed), 3.0, top_p=1e-9)] == max(probs)


@pytest.mark.parametrize("temperature", [1e-300, 1e-308, 1e-320, 5e-324])
def test_a_temperature_close_to_0_is_greedy(temperature: float) -> None:
    """1 / 1e-320 overflows a float, and 1e308 times a logit may, too."""
    logits = [3.0, -2.0, 50.0, 49.0]
    assert sampling.next_token(logits, random.Random(0), temperature) == 2


@pytest.mark.parametrize("temperature", [-1.0, -0.001, math.nan, math.inf])
def test_an_invalid_temperature_is_refused(temperature: float) -> None:
    message = f"temperature must be finite and at least 0, got temperature={temperature}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sampling.check_options(VOCAB_SIZE, temperature, None)


@pytest.mark.parametrize("top_k", [0, -1, VOCAB_SIZE + 1])
def test_an_invalid_top_k_is_refused(top_k: int) -> None:
    message = f"top_k must be between 1 and vocab_size=7, got top_k={top_k}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sampling.check_options(VOCAB_SIZE, 1.0, top_k)


@pytest.mark.parametrize("top_p", [0.0, -0.1, 1.001, math.nan, math.inf])
def test_an_invalid_top_p_is_refused(top_p: float) -> None:
    message = f"top_p must be greater than 0 and at most 1, got top_p={top_p}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sampling.check_options(VOCAB_SIZE, 1.0, None, top_p)


def test_options_at_their_limits_are_allowed() -> None:
    for temperature, top_k in ((0.0, None), (1e9, 1), (0.5, VOCAB_SIZE)):
        sampling.check_options(VOCAB_SIZE, temperature, top_k)


# --- A text


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_texts_and_the_random_stream_after_them_equal_the_reference(config: Config, temperature: float) -> None:
    engine, bos = engine_of(config), 0 if config.bos_first else BOS
    state_dict = state_dict_of(engine.params, config)
    rng, reference_rng = random.Random(5), random.Random(5)
    for _ in range(8):
        expected = reference.sample(
            state_dict,
            bos,
            reference_rng,
            temperature,
            config.n_layer,
            config.n_head,
            config.block_size,
            ACTIVATIONS[config.activation],
        )
        generated = sampling.generate(
            engine.decoder, rng, bos=bos, block_size=config.block_size, temperature=temperature
        )
        assert list(generated) == expected
    assert rng.getstate() == reference_rng.getstate()


def test_a_text_begins_after_bos_and_does_not_repeat_the_prompt() -> None:
    spy = Spy(always(3))
    generated = sampling.generate(lambda: spy, random.Random(0), bos=BOS, block_size=5, temperature=1.0, prompt=[0, 1])
    assert list(generated) == [3, 3, 3]
    assert spy.fed == [BOS, 0, 1, 3, 3]


def test_a_text_ends_at_bos_which_is_not_yielded() -> None:
    spy = Spy(always(BOS))
    assert list(sampling.generate(lambda: spy, random.Random(0), bos=BOS, block_size=5, temperature=1.0)) == []
    assert spy.fed == [BOS]


@pytest.mark.parametrize("block_size", [1, 2, 9])
def test_a_text_ends_when_the_context_is_full(block_size: int) -> None:
    generated = sampling.generate(
        lambda: Spy(always(2)), random.Random(0), bos=BOS, block_size=block_size, temperature=0.0
    )
    assert list(generated) == [2] * block_size  # as many as in the reference's loop


@pytest.mark.parametrize(("max_new_tokens", "expected"), [(0, 0), (1, 1), (4, 4), (5, 5), (6, 5)])
def test_a_text_ends_after_max_new_tokens_or_at_block_size(max_new_tokens: int, expected: int) -> None:
    generated = sampling.generate(
        lambda: Spy(always(2)),
        random.Random(0),
        bos=BOS,
        block_size=5,
        temperature=0.0,
        max_new_tokens=max_new_tokens,
    )
    assert len(list(generated)) == expected


def test_max_new_tokens_does_not_count_the_prompt() -> None:
    generated = sampling.generate(
        lambda: Spy(always(2)),
        random.Random(0),
        bos=BOS,
        block_size=5,
        temperature=0.0,
        prompt=[1, 1],
        max_new_tokens=2,
    )
    assert list(generated) == [2, 2]


@pytest.mark.parametrize("prompt", [[], [1, 2], [1, 2, 3, 4, 5, 3, 1, 2, 4]], ids=len)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_slide_continues_like_a_new_context_of_the_last_block_size_tokens(config: Config, prompt: list[int]) -> None:
    engine, bos = engine_of(config, seed=2), 0 if config.bos_first else BOS
    spies: list[Spy] = []

    def open_decoder() -> Spy:
        spies.append(Spy(engine.decoder(), never=bos))
        return spies[-1]

    context = [bos, *prompt]
    generated = sampling.generate(
        open_decoder,
        random.Random(3),
        bos=bos,
        block_size=config.block_size,
        temperature=1.0,
        prompt=prompt,
        max_new_tokens=2 * config.block_size,
        slide=True,
    )
    for token_id in generated:
        assert spies[-1].answers[-1] == list(engine.logits(context[-config.block_size :])[-1])
        assert len(spies[-1].fed) <= config.block_size
        context.append(token_id)
    assert len(context) == 1 + len(prompt) + 2 * config.block_size


def test_slide_continues_beyond_block_size_until_max_new_tokens() -> None:
    def opened() -> Spy:
        return Spy(always(2))

    generated = sampling.generate(
        opened, random.Random(0), bos=BOS, block_size=3, temperature=0.0, max_new_tokens=50, slide=True
    )
    assert list(generated) == [2] * 50


def test_slide_changes_nothing_within_block_size() -> None:
    engine = engine_of(TINY, seed=4)
    texts = [
        [
            list(
                sampling.generate(
                    engine.decoder,
                    random.Random(i),
                    bos=BOS,
                    block_size=TINY.block_size,
                    temperature=1.0,
                    max_new_tokens=TINY.block_size,
                    slide=slide,
                )
            )
            for i in range(10)
        ]
        for slide in (False, True)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("length", [4, 5, 100])
def test_a_prompt_that_leaves_no_room_is_refused_without_slide(length: int) -> None:
    generated = sampling.generate(
        lambda: Spy(always(2)), random.Random(0), bos=BOS, block_size=4, temperature=0.0, prompt=[1] * length
    )
    message = (
        f"prompt must be shorter than block_size=4 tokens, got {length}: shorten the prompt or let the context slide"
        " (slide=True, --slide)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        next(generated)


def test_the_room_for_a_prompt_does_not_include_what_precedes_it() -> None:
    sampling.check_prompt([1] * 14, 16, start=[2, 3])
    with pytest.raises(ValueError, match=r"^prompt must be shorter than block_size=16 - 1 tokens, got 15: shorten"):
        sampling.check_prompt([1] * 15, 16, start=[2, 3])
