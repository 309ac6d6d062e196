"""Types that many answers share: numbers, tensors, and names in the table of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

Num = Annotated[float, "Num"]  # may be infinite or nan, which JSON lacks: the page gets 'inf', '-inf' or 'nan'
Shaped = tuple[str, int, int]  # a parameter's name, rows, columns


class OfModel(TypedDict):
    """The field that every answer about the active model has in addition to its own."""

    version: int  # counts the model's changes, and so identifies the state that an answer is about


class Tensor(TypedDict):
    """A tensor, row by row."""

    shape: Sequence[int]
    data: Sequence[float]


class PathValue(TypedDict):
    """A number and its path."""

    path: str
    value: Num
