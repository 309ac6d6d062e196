"""Compare two tensors: how many values differ, how many by too much, and the largest difference."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from microgpt.system import text as text_tables
from microgpt.tracing.names import Shape, element_path

FIRST = 5  # the maximum number of pairs that a comparison lists

# The difference allowed for each precision, for values of magnitude 1. `exact` promises bit-for-bit equality; its
# entry is for systems whose math library makes equality impossible
PROMISES = {"exact": 1e-12, "float64": 1e-12, "float32": 1e-5}


def allowed(name: str, expected: Sequence[float], promise: float) -> float:
    """Return the difference allowed in a tensor: `promise` times the largest magnitude or a bound, whichever is larger.

    For most tensors, the bound is 1. In tensors whose values are tiny, even wrong values would pass with this bound, so
    the bound is 1e-6 for Adam's v (which contains squares) and 0.01 for Adam's m and the parameter gradients.

    Args:
        name: The tensor's name, which determines the bound.
        expected: The expected values.
        promise: The difference allowed for values of magnitude 1.
    """
    largest = max((abs(x) for x in expected), default=0.0)
    smallest = 1e-6 if ".v." in name else 0.01 if _SMALL.search(name) else 1.0
    return promise * max(smallest, largest)


_SMALL = re.compile(r"\.m\.|\.grad\.(?!pos\d|loss)")


@dataclass(frozen=True)
class Comparison:
    """The result of comparing a tensor with the expected tensor.

    Attributes:
        name: The tensor's name, prefixed with the names of its owners.
        numbers: The number of values in the tensor.
        differ: The number of values that are not bit-for-bit equal.
        beyond: The number of values whose difference exceeds the tolerance.
        largest: The largest absolute difference; infinity if two values differ and either is not finite.
        relative: `largest` divided by the largest magnitude in the expected tensor.
        tolerance: The largest difference allowed.
        pairs: (path, expected, got) for the first values beyond the tolerance; if all values are within the tolerance,
            for the first values that differ.
    """

    name: str
    numbers: int
    differ: int
    beyond: int
    largest: float
    relative: float
    tolerance: float
    pairs: tuple[tuple[str, float | str, float | str], ...]

    @property
    def exact(self) -> bool:
        """True if no bit differs."""
        return self.differ == 0

    @property
    def passed(self) -> bool:
        """True if no difference exceeds the tolerance."""
        return self.beyond == 0

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON, in which non-finite values are the strings `inf`, `-inf` and `nan`."""
        return {
            "name": self.name,
            "numbers": self.numbers,
            "differ": self.differ,
            "beyond": self.beyond,
            "largest": for_json(self.largest),
            "relative": for_json(self.relative),
            "tolerance": self.tolerance,
            "passed": self.passed,
            "pairs": [{"path": path, "expected": for_json(x), "got": for_json(y)} for path, x, y in self.pairs],
        }


def for_json(x: float | str) -> float | str:
    """Return a number, or the number as a string if JSON cannot represent it."""
    return str(x) if isinstance(x, float) and not math.isfinite(x) else x


def compare(
    name: str, shape: Shape, expected: Sequence[float], got: Sequence[float], tolerance: float, typecode: str = "d"
) -> Comparison:
    """Compare two flat float64 buffers.

    Args:
        name: The tensor's name.
        shape: The tensor's shape.
        expected: The expected values.
        got: The values to check.
        tolerance: The largest difference allowed; 0 also excludes values that are equal but have different bits.
        typecode: `f` if `got` was stored as float32; values then count as equal if they round to the same float32.

    Raises:
        ValueError: If a buffer's length does not match the shape.
    """
    if not math.prod(shape) == len(expected) == len(got):
        raise ValueError(
            f"{name} must have {math.prod(shape)} values in both buffers, got {len(expected)} and {len(got)}"
        )
    size = array(typecode).itemsize
    a, b = array(typecode, expected).tobytes(), array(typecode, got).tobytes()
    if a == b and typecode == "d":
        return Comparison(name, len(got), 0, 0, 0.0, 0.0, tolerance, ())
    unequal = [i for i in range(len(got)) if a[i * size : (i + 1) * size] != b[i * size : (i + 1) * size]]
    differences = [_difference(x, y) for x, y in zip(expected, got)]
    largest = max(differences, default=0.0)
    magnitude = max((abs(x) for x in expected), default=0.0)
    beyond = [i for i, difference in enumerate(differences) if difference > tolerance]
    if tolerance == 0:  # 0.0 and -0.0 differ in a bit
        beyond = sorted({*beyond, *unequal})
    return Comparison(
        name,
        numbers=len(got),
        differ=len(unequal),
        beyond=len(beyond),
        largest=largest,
        relative=largest / magnitude if magnitude else math.inf if largest else 0.0,
        tolerance=tolerance,
        pairs=tuple((element_path(name, shape, i), expected[i], got[i]) for i in (beyond or unequal)[:FIRST]),
    )


def compare_texts(name: str, expected: Sequence[str], got: Sequence[str]) -> Comparison:
    """Compare two lists of texts for equality; `got` may be shorter, for example if a run stopped early."""
    got = [*got, *[""] * (len(expected) - len(got))]
    pairs = [(f"{name}[{i}]", x, y) for i, (x, y) in enumerate(zip(expected, got)) if x != y]
    far = math.inf if pairs else 0.0
    return Comparison(name, len(expected), len(pairs), len(pairs), far, far, 0.0, tuple(pairs[:FIRST]))


def _difference(expected: float, got: float) -> float:
    if math.isfinite(expected) and math.isfinite(got):
        return abs(expected - got)
    return 0.0 if expected == got or (math.isnan(expected) and math.isnan(got)) else math.inf


def furthest(comparisons: Sequence[Comparison]) -> Comparison:
    """Return the comparison with the largest difference relative to its tolerance."""
    return max(comparisons, key=lambda c: (c.largest / c.tolerance if c.tolerance else c.largest, c.differ))


def merge(name: str, comparisons: Sequence[Comparison]) -> Comparison:
    """Merge the comparisons of many tensors: add up the counts and take the rest from the `furthest` comparison."""
    worst = furthest(comparisons)
    return replace(
        worst,
        name=name,
        numbers=sum(c.numbers for c in comparisons),
        differ=sum(c.differ for c in comparisons),
        beyond=sum(c.beyond for c in comparisons),
    )


def details(comparison: Comparison) -> str:
    """Render a comparison as text: the tensor's name, how many values differ, by how much, and the first pairs."""
    c = comparison
    lines = [
        c.name,
        f"  beyond the tolerance of {c.tolerance:.3g}: {c.beyond} of {c.numbers} values;"
        f" not equal bit for bit: {c.differ}",
        f"  largest difference: {c.largest:.3g} ({c.relative:.3g} times the tensor's largest magnitude)",
    ]
    rows = [(path[len(c.name) :], repr(expected), repr(got)) for path, expected, got in c.pairs]
    if rows:
        scalar = not any(index for index, _, _ in rows)
        table = text_tables.aligned(("" if scalar else "index", "expected", "got"), rows, "lll")
        lines += ["  " + line.strip() if scalar else "  " + line for line in table.split("\n")]
    return "\n".join(lines)
