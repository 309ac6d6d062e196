"""Substring search: find which of many short sequences occur in a long sequence.

A single pass at C speed finds all of them. Every sufficiently long occurrence contains one of the 8-byte blocks that
start at multiples of a stride. Therefore, only those blocks are looked up, in a table of all blocks that start within
the first stride of a short sequence. Sequences are compared in full only where a block matches.
"""

from __future__ import annotations

import mmap
import sys
from array import array
from collections.abc import Iterable
from itertools import compress, count

BLOCK = 8  # bytes: the size of an array's Q
PIECE = 1 << 20  # bytes read at a time
FEW = 40  # calling bytes.find for this many sequences takes as long as looking up every block
MOST = 16  # the largest stride, in blocks: the table has an entry for every position within a stride


def find_substrings(content: bytes | mmap.mmap, parts: Iterable[bytes], itemsize: int = 1) -> set[bytes]:
    """Return the short sequences that occur in the long sequence.

    Args:
        content: The long sequence, as bytes.
        parts: The short sequences, as bytes.
        itemsize: The number of bytes per element in all sequences: 1, 2, 4 or 8.

    Returns:
        The parts that occur in the content at an offset that is a multiple of itemsize.

    Example:
        >>> sorted(find_substrings(b"abcd", [b"bc", b"cb"]))
        [b'bc']
        >>> find_substrings(b"abcd", [b"bc"], itemsize=2)
        set()
    """
    parts = set(parts)
    long = [part for part in parts if len(part) >= 2 * BLOCK - itemsize]
    blocks = min(MOST, (min(map(len, long), default=0) - BLOCK + itemsize) // BLOCK)
    if len(long) * blocks < FEW:
        return {part for part in parts if _occurs_in(content, part, itemsize)}
    short = {part for part in parts.difference(long) if _occurs_in(content, part, itemsize)}
    return short | _found_by_blocks(content, long, itemsize, blocks)


def _occurs_in(content: bytes | mmap.mmap, part: bytes, itemsize: int) -> bool:
    at = content.find(part)
    while at % itemsize and at >= 0:
        at = content.find(part, at + 1)
    return at >= 0


def _found_by_blocks(content: bytes | mmap.mmap, parts: list[bytes], itemsize: int, blocks: int) -> set[bytes]:
    """Find the long parts. blocks: the stride, small enough that every occurrence contains a looked-up block."""
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
