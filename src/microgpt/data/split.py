"""The train/held-out split: which sequences a run trains on, in what order, and which it holds out."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

from microgpt.data.permutation import Permutation
from microgpt.errors import DataError

Order = tuple[Sequence[int], Sequence[int]]  # (training sequences in training order, held-out sequences)


def held_out_count(total: int, val_fraction: float) -> int:
    """Return how many of `total` sequences to hold out.

    Args:
        total: The number of sequences.
        val_fraction: The fraction to hold out, in [0, 1).

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
            f"val_fraction={val_fraction} of {total} documents leaves nothing to train on or nothing to hold out:"
            " choose another fraction or provide more documents"
        )
    return count


def hold_out(total: int, seed: int, val_fraction: float) -> tuple[array[int], array[int]]:
    """Choose the held-out sequences at random and return the training and held-out indices, both in file order.

    The split uses a separate Random, so the run's random stream does not advance.
    """
    held_out = set(random.Random(f"{seed}:val").sample(range(total), held_out_count(total, val_fraction)))
    return array("Q", (i for i in range(total) if i not in held_out)), array("Q", sorted(held_out))


def shuffled(total: int, seed: int, val_fraction: float, rng: random.Random) -> Order:
    """Split, then shuffle the training sequences with the run's rng, as the published script does."""
    order, held_out = hold_out(total, seed, val_fraction)
    rng.shuffle(order)
    return order, held_out


def permuted(total: int, seed: int, val_fraction: float) -> Order:
    """Split and shuffle with a seeded Permutation, which takes constant memory and does not use the run's rng."""
    count = held_out_count(total, val_fraction)
    order = Permutation(total, f"{seed}:order")
    return order[: total - count], order[total - count :]
