"""Short sequences in a long one: the search finds what a comparison at every place finds."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data import substrings
from microgpt.data.substrings import find_substrings


def by_hand(content: bytes, parts: set[bytes], itemsize: int) -> set[bytes]:
    """Compare every part at every place."""
    places = range(0, len(content) + 1, itemsize)
    return {part for part in parts if any(content.startswith(part, place) for place in places)}


@st.composite
def searches(draw: st.DrawFn) -> tuple[bytes, set[bytes], int]:
    """A content of few symbols, so that near matches are common; parts of it, two parts joined, and random parts."""
    kind = draw(st.sampled_from("BHIQ"))
    rng = random.Random(draw(st.integers(0, 2**32)))
    symbols = draw(st.sampled_from([1, 2, 3, 300 if kind != "B" else 200]))

    def numbers(length: int) -> array[int]:
        return array(kind, (rng.randrange(symbols) for _ in range(length)))

    content = numbers(draw(st.integers(0, 300)))
    parts = set()
    for _ in range(draw(st.integers(0, 60))):
        a, b, length = rng.randrange(301), rng.randrange(301), rng.randrange(70)
        part = content[a : a + length]
        parts |= {part.tobytes(), (part + content[b : b + 5]).tobytes(), numbers(length).tobytes()}
    return content.tobytes(), parts, content.itemsize


@given(searches(), st.sampled_from([1, 40]), st.sampled_from([64, 1 << 20]))
def test_exactly_the_parts_in_the_content_are_found(
    search: tuple[bytes, set[bytes], int], few: int, piece: int
) -> None:
    content, parts, itemsize = search
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(substrings, "FEW", few)
        patch.setattr(substrings, "PIECE", max(piece, 8 * 40))
        assert find_substrings(content, parts, itemsize) == by_hand(content, parts, itemsize)


@pytest.mark.parametrize("length", [15, 16, 22, 23, 24, 64, 100, 200])
@pytest.mark.parametrize("itemsize", [1, 2, 4, 8])
def test_a_part_is_found_at_every_place(monkeypatch: pytest.MonkeyPatch, itemsize: int, length: int) -> None:
    monkeypatch.setattr(substrings, "FEW", 1)
    part = bytes(range(1, 1 + length // itemsize * itemsize))
    for before in range(0, 120, itemsize):
        for after in (0, 1, 50):
            assert find_substrings(bytes(before) + part + bytes(after * itemsize), [part], itemsize) == {part}
    if itemsize > 1:  # a match that does not begin at a number does not count
        assert find_substrings(b"\0" + part + bytes(itemsize - 1), [part], itemsize) == set()
