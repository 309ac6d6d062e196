"""A random permutation in constant memory: each element is computed when it is read.

A Feistel network mixes a number's bits in invertible rounds, so distinct numbers remain distinct. A number that
leaves the range is mixed again until it returns to the range (Black and Rogaway, "Ciphers with arbitrary finite
domains", 2002).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import overload

ROUNDS = 8  # four suffice for large ranges (Luby and Rackoff, 1988), but permute a dozen elements unevenly
_MASK = (1 << 64) - 1


class Permutation(Sequence[int]):
    """The integers from 0 to n - 1 in an order that depends on `seed`; slices also use constant memory."""

    def __init__(self, n: int, seed: object) -> None:
        self._n, self._range = n, range(n)
        self._half = max(1, -(-(n - 1).bit_length() // 2)) if n > 1 else 1
        digest = hashlib.sha512(str(seed).encode()).digest()
        self._keys = [int.from_bytes(digest[8 * i : 8 * i + 8], "little") for i in range(ROUNDS)]

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, i: int) -> int: ...
    @overload
    def __getitem__(self, i: slice) -> Permutation: ...
    def __getitem__(self, i: int | slice) -> int | Permutation:
        if isinstance(i, slice):
            part = object.__new__(Permutation)
            part.__dict__.update(self.__dict__, _range=self._range[i])
            return part
        at = self._range[i]
        while (at := self._mixed(at)) >= self._n:
            pass
        return at

    def __iter__(self) -> Iterator[int]:
        return (self[i] for i in range(len(self)))

    def _mixed(self, x: int) -> int:
        half = self._half
        mask = (1 << half) - 1
        left, right = x >> half, x & mask
        for key in self._keys:
            # the finalizer of splitmix64 (Steele, Lea and Flood, 2014), applied to the right half and the key
            z = (right + key) * 0x9E3779B97F4A7C15 & _MASK
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
            z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
            left, right = right, left ^ (z ^ z >> 31) & mask
        return left << half | right
