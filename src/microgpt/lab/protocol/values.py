"""Types that many responses share: numbers, tensors, and parameters with their shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

Num = Annotated[float, "Num"]  # may be infinite or NaN; the page then receives 'inf', '-inf' or 'nan'
Shaped = tuple[str, int, int]  # a parameter's name, rows and columns


class OfModel(TypedDict):
    """The field added to every response about the active model."""

    version: int  # counts the model's changes, and so identifies the state that a response describes


class Tensor(TypedDict):
    """A tensor, row by row."""

    shape: Sequence[int]
    data: Sequence[float]


class PathValue(TypedDict):
    """A number and its path."""

    path: str
    value: Num
