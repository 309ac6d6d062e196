"""Permutation: every number once, evenly shuffled, reproducible, and without a list in memory."""

from __future__ import annotations

import math
import tracemalloc

import pytest

from microgpt.data.permutation import Permutation

from conftest import whole


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1000, whole(65537)])
def test_every_number_appears_once(n: int) -> None:
    order = Permutation(n, "7:order")
    assert len(order) == n
    assert sorted(order) == list(range(n))
    assert list(order) == list(Permutation(n, "7:order"))
    if n > 100:
        assert list(order) != list(Permutation(n, "8:order"))
        assert list(order) != list(range(n))


def test_indices_and_slices_work_as_in_a_list() -> None:
    order = Permutation(1000, 1)
    as_list = list(order)
    assert [order[-1], order[999]] == [as_list[-1], as_list[999]]
    assert list(order[900:]) == as_list[900:]
    assert list(order[10:20][2:4]) == as_list[12:14]
    assert len(order[:300]) == 300
    for i in (1000, -1001):
        with pytest.raises(IndexError):
            _ = order[i]


@pytest.mark.parametrize("seeds", [3_000, whole(12_000)])
def test_every_number_is_equally_likely_at_every_place(seeds: int) -> None:
    n = 12
    counts = [[0] * n for _ in range(n)]
    for seed in range(seeds):
        for place, value in enumerate(Permutation(n, seed)):
            counts[place][value] += 1
    expected = seeds / n
    chi2 = sum((count - expected) ** 2 / expected for row in counts for count in row)
    freedom = (n - 1) ** 2
    assert abs(chi2 - freedom) < 5 * math.sqrt(2 * freedom), chi2


def test_a_billion_numbers_take_almost_no_memory() -> None:
    tracemalloc.start()
    order = Permutation(10**9, 42)
    some = {order[i] for i in range(1000)} | {order[-i] for i in range(1, 1000)}
    assert len(some) == 1999
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
