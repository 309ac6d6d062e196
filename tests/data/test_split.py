"""The held-out split: disjoint, complete, and determined by the seed."""

from __future__ import annotations

import random
import re
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.loading import load
from microgpt.errors import DataError

from data.texts import thoroughly


@thoroughly
@given(count=st.integers(2, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_a_split_is_disjoint_and_complete_and_keeps_the_order_of_the_file(
    count: int, fraction: float, seed: int
) -> None:
    text = load(["a"] * count)
    if not 0 < round(count * fraction) < count:
        with pytest.raises(DataError, match=f"of {count} documents leaves nothing to train on or nothing to hold out"):
            text.split(seed, fraction)
        return
    train, held_out = text.split(seed, fraction)
    assert len(held_out) == round(count * fraction)
    assert sorted([*train, *held_out]) == list(range(count))
    assert list(train) == sorted(train)
    assert list(held_out) == sorted(held_out)
    # by design: drawn from its own random stream, which depends only on the seed
    assert set(held_out) == set(random.Random(f"{seed}:val").sample(range(count), len(held_out)))


def test_a_split_depends_only_on_the_seed() -> None:
    text = load(["a"] * 1000)
    splits = {seed: list(text.split(seed, 0.1)[1]) for seed in range(20)}
    assert len({tuple(split) for split in splits.values()}) == 20
    assert all(list(load(["b"] * 1000).split(seed, 0.1)[1]) == split for seed, split in splits.items())


def test_a_fraction_of_0_holds_nothing_out() -> None:
    train, held_out = load(["a", "b", "c"]).split(42, 0)
    assert (train, held_out) == (array("Q", [0, 1, 2]), array("Q"))


def test_a_split_leaves_the_shared_random_stream_alone() -> None:
    state = random.getstate()
    load(["a"] * 100).split(42, 0.5)
    assert random.getstate() == state


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.0, 2, float("nan"), float("inf")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    expected = f"val_fraction must be at least 0 and less than 1, got val_fraction={fraction}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        load(["a", "b"]).split(42, fraction)


def test_a_fraction_that_leaves_an_empty_part_says_what_to_do() -> None:
    with pytest.raises(DataError) as error:
        load(["a", "b"]).split(42, 0.1)
    assert str(error.value) == (
        "val_fraction=0.1 of 2 documents leaves nothing to train on or nothing to hold out:"
        " choose another fraction or provide more documents"
    )


def test_the_windows_of_a_stream_are_split_like_documents() -> None:
    stream = load(["abcdefghij" * 10], mode="stream", block_size=5)
    train, held_out = stream.split(1, 0.25)
    assert len(stream) == 21
    assert (len(train), len(held_out)) == (16, 5)
