"""The principal components of a few vectors in pure Python: directions, and the variance along each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import NamedTuple

Vectors = Sequence[Sequence[float]]
MOST_SWEEPS = 60  # Jacobi's method needs about ten, however large the matrix is


class Components(NamedTuple):
    """The principal components of n vectors of width d, the largest variance first; at most min(n, d) of them.

    Attributes:
        shares: Each component's share of the variance. Empty if all vectors are equal.
        places: Each vector's coordinates along the first two components. A missing component's coordinate is 0.
    """

    shares: list[float]
    places: list[tuple[float, float]]


def components(vectors: Vectors) -> Components:
    """Return the principal components of some vectors of finite numbers.

    An eigenvector's sign is arbitrary: here, the coordinate of largest magnitude along each component is positive.
    """
    scale = max((abs(x) for vector in vectors for x in vector), default=0.0) or 1.0  # so that no square overflows
    # minus the first vector, so that equal vectors become exactly 0, and then minus the mean
    moved = [[x / scale - first / scale for x, first in zip(vector, vectors[0])] for vector in vectors]
    means = [math.fsum(column) / len(moved) for column in zip(*moved)]
    rows = [[x - mean for x, mean in zip(row, means)] for row in moved]
    columns = [list(column) for column in zip(*rows)]
    # the eigenvalues of X Xᵀ and Xᵀ X are the same, apart from zeros: take the smaller matrix
    of_rows = len(rows) < len(columns)
    variances, directions = eigen(products(rows if of_rows else columns))
    total = math.fsum(variances)
    if not total:
        return Components([], [(0.0, 0.0)] * len(rows))
    plane = [[0.0] * len(rows)] * 2
    for i, (variance, direction) in enumerate(zip(variances[:2], directions)):
        # an eigenvector of X Xᵀ has the coordinates themselves, up to their length
        along = [math.sqrt(variance) * x for x in direction] if of_rows else [dot(row, direction) for row in rows]
        most = max(map(abs, along))
        sign = math.copysign(scale, next((x for x in along if abs(x) > (1 - 1e-9) * most), 1.0))
        plane[i] = [sign * x for x in along]
    return Components([variance / total for variance in variances], list(zip(*plane)))


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the sum of the products of two vectors' components."""
    return float(sum(map(mul, a, b)))


def products(vectors: Vectors) -> list[list[float]]:
    """Return the matrix of the products of each two vectors."""
    return [[dot(a, b) for b in vectors] for a in vectors]


def eigen(matrix: Vectors) -> tuple[list[float], list[list[float]]]:
    """Return a symmetric matrix's eigenvalues, the largest first, and their eigenvectors of length 1.

    The matrix has no negative eigenvalues. Jacobi's method: rotate two axes at a time so that the entry that couples
    them becomes 0, until no entry outside the diagonal is left. A sweep over all pairs of axes takes n³ operations
    (https://en.wikipedia.org/wiki/Jacobi_eigenvalue_algorithm).
    """
    a = [list(row) for row in matrix]
    size = len(a)
    axes = [[float(i == j) for j in range(size)] for i in range(size)]
    tiny = 1e-17 * sum(a[i][i] for i in range(size))
    for _ in range(MOST_SWEEPS):
        coupled = [(p, q) for p in range(size) for q in range(p) if abs(a[p][q]) > tiny]
        if not coupled:
            break
        for p, q in coupled:
            if abs(a[p][q]) <= tiny:  # an earlier rotation of this sweep has made it 0
                continue
            theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
            t = math.copysign(1 / (abs(theta) + math.hypot(theta, 1)), theta)
            c = 1 / math.hypot(t, 1)
            s = t * c
            for m in (a, axes):
                m[p], m[q] = (
                    [c * x - s * y for x, y in zip(m[p], m[q])],
                    [s * x + c * y for x, y in zip(m[p], m[q])],
                )
            for row in a:
                row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
    order = sorted(range(size), key=lambda i: -a[i][i])
    return [max(0.0, a[i][i]) for i in order], [axes[i] for i in order]
