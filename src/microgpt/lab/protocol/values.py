"""Types that many answers share: numbers, tensors, and names in the table of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypedDict

Num = Annotated[float, "Num"]  # may be infinite or nan, which JSON lacks: the page gets 'inf', '-inf' or 'nan'
Shaped = tuple[str, int, int]  # a parameter's name, rows, columns


class OfModel(TypedDict):
    """What every answer about the active model carries besides."""

    version: int  # counts the changes of the model, so that an answer says of which state it speaks


class Tensor(TypedDict):
    """A tensor, row after row."""

    shape: Sequence[int]
    data: Sequence[float]


class PathValue(TypedDict):
    """A number and where it is found."""

    path: str
    value: Num
