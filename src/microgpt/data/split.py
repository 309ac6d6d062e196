"""The train/held-out split: which sequences a run trains on, in what order, and which it holds out.

A rule says how the held-out sequences are chosen. A run records its rule, except for SINGLY, which is the rule of runs
that record none.

    singly      each sequence is drawn on its own, so that equal documents can stand on both sides
    together    distinct documents are drawn, and equal documents stand on the same side
    end         the last sequences: the end of a stream, whose windows overlap and continue one another

If no documents are equal, `together` draws what `singly` draws.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

from microgpt.data.permutation import Permutation
from microgpt.errors import DataError

SINGLY, TOGETHER, END = RULES = ("singly", "together", "end")
Order = tuple[Sequence[int], Sequence[int]]  # (training sequences in training order, held-out sequences)


def held_out_count(total: int, val_fraction: float, what: str = "documents") -> int:
    """Return how many of `total` sequences to hold out.

    Args:
        total: The number of sequences.
        val_fraction: The fraction to hold out, in [0, 1).
        what: The name of the sequences in the error message.

    Returns:
        The number of held-out sequences.

    Raises:
        ValueError: The fraction is outside [0, 1).
        DataError: The fraction leaves no sequences to train on or none to hold out.
    """
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be at least 0 and less than 1, got val_fraction={val_fraction}")
    count = round(total * val_fraction)
    if val_fraction and not 0 < count < total:
        raise DataError(
            f"val_fraction={val_fraction} of {total} {what} leaves nothing to train on or nothing to hold out:"
            " choose another fraction or provide more documents"
        )
    return count


def hold_out(
    total: int, seed: int, val_fraction: float, rule: str = SINGLY, kinds: Sequence[int] = ()
) -> tuple[array[int], array[int]]:
    """Choose the held-out sequences and return the training and held-out indices, both in file order.

    A random choice uses a separate Random, so the run's random stream does not advance.

    Args:
        total: The number of sequences.
        seed: The run's seed.
        val_fraction: The fraction to hold out; of the distinct documents if equal documents stand together.
        rule: One of RULES.
        kinds: For the rule `together`, a number for each document, counted from 0, that equal documents share.

    Returns:
        The training and held-out indices.
    """
    if rule == END:
        first = total - held_out_count(total, val_fraction, "windows")
        return array("Q", range(first)), array("Q", range(first, total))
    if rule == SINGLY:
        kinds = range(total)
    distinct = max(kinds, default=-1) + 1
    count = held_out_count(distinct, val_fraction, "documents" if distinct == total else "distinct documents")
    held_out = set(random.Random(f"{seed}:val").sample(range(distinct), count))
    sides: tuple[array[int], array[int]] = array("Q"), array("Q")
    for i, kind in enumerate(kinds):
        sides[kind in held_out].append(i)
    return sides


def shuffled(
    total: int, seed: int, val_fraction: float, rng: random.Random, rule: str = SINGLY, kinds: Sequence[int] = ()
) -> Order:
    """Split, then shuffle the training sequences with the run's rng, as the published script does."""
    order, held_out = hold_out(total, seed, val_fraction, rule, kinds)
    rng.shuffle(order)
    return order, held_out


def permuted(total: int, seed: int, val_fraction: float, rule: str = SINGLY) -> Order:
    """Split and shuffle with a seeded Permutation, which takes constant memory and does not use the run's rng.

    The rule must be SINGLY or END: to find equal documents, every document would have to be remembered.
    """
    if rule == END:
        first = total - held_out_count(total, val_fraction, "windows")
        return Permutation(first, f"{seed}:order"), range(first, total)
    count = held_out_count(total, val_fraction)
    order = Permutation(total, f"{seed}:order")
    return order[: total - count], order[total - count :]
