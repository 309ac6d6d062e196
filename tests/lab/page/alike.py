"""The right values of the map of the letters: cosines, and places by numpy's singular values."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np


def rows(truth: Any) -> Any:
    return np.array(truth.params[truth.places["wte"]]).reshape(truth.shapes["wte"])


def singular(truth: Any) -> tuple[Any, Any]:
    """Return the shares of the variance, and the places on the first two components."""
    centred = rows(truth) - rows(truth).mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T
    signs = [math.copysign(1, along[np.abs(along).argmax()]) for along in places.T]
    return sizes**2 / (sizes**2).sum(), places * signs


def cosine(truth: Any, token_id: str, symbol: str) -> float:
    a, b = (rows(truth)[i] for i in (int(token_id), truth.tokenizer.symbols.index("" if symbol == "BOS" else symbol)))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def held(truth: Any) -> float:
    return float(singular(truth)[0][:2].sum())


def place(truth: Any, token_id: str, axis: str) -> float:
    return float(singular(truth)[1][int(token_id)]["xy".index(axis)])


def distances(truth: Any) -> list[tuple[float, float]]:
    """Return the distance of each two letters on the map, and between their rows."""
    places, all_rows = singular(truth)[1], rows(truth)
    return [(math.dist(places[i], places[j]), math.dist(all_rows[i], all_rows[j])) for i, j in pairs(len(places))]


def pairs(count: int) -> list[tuple[int, int]]:
    return [*combinations(range(count), 2)]


def hidden(truth: Any, what: str) -> float:
    shown, distance = min(distances(truth), key=lambda pair: pair[0] / pair[1])
    return {"shown": shown, "distance": distance}[what]


def typical(truth: Any) -> float:
    found = [distance for _, distance in distances(truth)]
    return sum(found) / len(found)


RULES: tuple[tuple[str, Callable[..., Any]], ...] = (
    (r"cosine\[(\d+)\] (.+)", cosine),
    (r"likeness\.held", held),
    (r"likeness\.typical", typical),
    (r"likeness\.hidden\.(shown|distance)", hidden),
    (r"likeness\[(\d+)\]\.([xy])", place),
)
