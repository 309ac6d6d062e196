"""Gradient clipping: scale a gradient down to a maximum norm."""

from __future__ import annotations

import math
from array import array


def clip(grads: array[float], max_norm: float) -> float:
    """Scale a gradient down if its norm exceeds a maximum (Pascanu et al., arXiv:1211.5063).

    Args:
        grads: The gradient, as one flat buffer with one element per weight; modified in place.
        max_norm: The maximum norm.

    Returns:
        The norm before clipping: the square root of the correctly rounded sum of squares.

    Example:
        >>> grads = array("d", [3.0, 4.0])
        >>> clip(grads, 1.0), grads
        (5.0, array('d', [0.6000000000000001, 0.8]))
    """
    try:
        norm = math.sqrt(math.fsum(grad * grad for grad in grads))
    except OverflowError:  # the squares are finite, but their sum is not
        norm = math.inf
    if norm > max_norm:
        grads[:] = array("d", (grad * (max_norm / norm) for grad in grads))
    return norm
