"""Substring search: find which of many short sequences occur in a long one.

It takes one pass, at the speed of C. An occurrence that is long enough covers, whole, one of the blocks of 8 bytes that
begin at the multiples of a stride. So those blocks alone are looked up, in a table of the blocks that the short
sequences have at their first places, and only where one is known anything is compared.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from collections.abc import Iterable
from itertools import compress, count

BLOCK = 8  # bytes, of an array's Q
PIECE = 1 << 20  # bytes at a time
FEW = 40  # of them bytes.find takes as long, one after another, as to look up every block
MOST = 16  # blocks from one that is looked up to the next: their places have all to be known beforehand


def found_in(content: bytes | mmap.mmap, parts: Iterable[bytes], itemsize: int = 1) -> set[bytes]:
    """Those of `parts` that stand in `content`, whose numbers take `itemsize` bytes each: 1, 2, 4 or 8."""
    parts = set(parts)
    long = [part for part in parts if len(part) >= 2 * BLOCK - itemsize]
    blocks = min(MOST, (min(map(len, long), default=0) - BLOCK + itemsize) // BLOCK)
    if len(long) * blocks < FEW:
        return {part for part in parts if _stands_in(content, part, itemsize)}
    short = {part for part in parts.difference(long) if _stands_in(content, part, itemsize)}
    return short | _found_by_blocks(content, long, itemsize, blocks)


def _stands_in(content: bytes | mmap.mmap, part: bytes, itemsize: int) -> bool:
    at = content.find(part)
    while at % itemsize and at >= 0:
        at = content.find(part, at + 1)
    return at >= 0


def _found_by_blocks(content: bytes | mmap.mmap, parts: list[bytes], itemsize: int, blocks: int) -> set[bytes]:
    """blocks: from one that is looked up to the next; so few that every place of a part covers one of them."""
    stride = blocks * BLOCK
    table: dict[int, list[tuple[bytes, int]]] = {}
    for part in parts:
        for offset in range(0, stride, itemsize):
            block = int.from_bytes(part[offset : offset + BLOCK], sys.byteorder)
            table.setdefault(block, []).append((part, offset))
    found: set[bytes] = set()
    size = PIECE // stride * stride
    for first in range(0, len(content), size):
        piece = content[first : first + size]
        looked_up = array("Q", piece[: len(piece) // BLOCK * BLOCK])[::blocks]
        for i in compress(count(), map(table.__contains__, looked_up)):
            for part, offset in table[looked_up[i]]:
                start = first + i * stride - offset
                if part not in found and start >= 0 and content[start : start + len(part)] == part:
                    found.add(part)
    return found
