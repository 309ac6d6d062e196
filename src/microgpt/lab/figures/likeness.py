"""Which tokens are alike: the angles between rows of wte, and a map by their principal components."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.figures.components import components, dot
from microgpt.lab.model.close_up import begun_again
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import names

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Hidden, Likeness, Nearest, OtherToken
    from microgpt.lab.session import Session

MOST_PLACED = 96  # tokens on the map: more could not be read, and the components would take seconds
VOWELS = "aeiou"
FLAT = 1e-12  # the share of the variance below which there is nothing outside the map


@model_request
def likeness(session: Session, fresh: bool = False) -> Likeness:
    """Return a map of the tokens: their rows of wte in the plane of the first two principal components.

    Of a vocabulary of more than MOST_PLACED tokens, the map has those that are most frequent in the text.

    Args:
        session: The session.
        fresh: Whether to describe a run with the same settings that has not begun instead.
    """
    run, table = _rows(session, fresh)
    placed = _placed(run)
    rows = [table[token_id] for token_id in placed]
    shares, places = components(rows)
    pairs = [*combinations(range(len(rows)), 2)]
    distances = {(i, j): math.dist(rows[i], rows[j]) for i, j in pairs}
    symbols = names(run.run.tokenizer)
    hidden: Hidden | None = None
    if sum(shares[2:]) > FLAT:

        def shown(pair: tuple[int, int]) -> float:
            return math.dist(places[pair[0]], places[pair[1]]) / distances[pair]

        i, j = pair = min((pair for pair in pairs if distances[pair]), key=shown)
        hidden = {
            "one": symbols[placed[i]],
            "other": symbols[placed[j]],
            "shown": math.dist(places[i], places[j]),
            "distance": distances[pair],
        }
    return {
        "tokens": [
            {"symbol": symbols[token_id], "id": token_id, "x": x, "y": y} for token_id, (x, y) in zip(placed, places)
        ],
        "vocab_size": len(table),
        "shares": shares,
        "held": min(1.0, sum(shares[:2])),
        "hidden": hidden,
        "vowels": _vowels_are_alike(symbols, table),
        "typical": math.fsum(distances.values()) / len(distances) if distances else 0.0,
    }


@model_request
def nearest(session: Session, symbol: str, fresh: bool = False) -> Nearest:
    """Return the other tokens, ordered by the angle between their wte rows and this token's row, the smallest first.

    Args:
        session: The session.
        symbol: The token's text; "" is BOS.
        fresh: Whether to describe a run with the same settings that has not begun instead.
    """
    run, table = _rows(session, fresh)
    symbols = names(run.run.tokenizer)
    if symbol not in symbols:
        raise LabError(f"symbol must be one of {', '.join(map(repr, symbols))}, got symbol={symbol!r:.40}")
    return {"symbol": symbol, "others": _nearest(symbols, table, symbols.index(symbol))}


def cosine(a: list[float], b: list[float]) -> float:
    """Return the cosine of the angle between two vectors; 0 if one of them is zero and so has no direction."""
    most_a, most_b = max(map(abs, a)), max(map(abs, b))
    if not most_a or not most_b:
        return 0.0
    a, b = [x / most_a for x in a], [x / most_b for x in b]  # so that no square overflows
    return max(-1.0, min(1.0, dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))))


def _nearest(symbols: list[str], table: list[list[float]], own: int) -> list[OtherToken]:
    others: list[OtherToken] = [
        {"symbol": other, "id": token_id, "cosine": cosine(table[token_id], table[own])}
        for token_id, other in enumerate(symbols)
        if token_id != own
    ]
    return sorted(others, key=lambda other: -other["cosine"])


def _vowels_are_alike(symbols: list[str], table: list[list[float]]) -> bool:
    if not {*VOWELS} <= {*symbols}:
        return False
    for vowel in VOWELS:
        letters = [other["symbol"] for other in _nearest(symbols, table, symbols.index(vowel)) if other["symbol"]]
        if {vowel, *letters[:4]} != {*VOWELS}:
            return False
    return True


def _rows(session: Session, fresh: bool) -> tuple[LabRun, list[list[float]]]:
    """Return a run and the rows of its wte."""
    run = begun_again(session.active) if fresh else session.active
    wte, width = run.engine.params[run.model.offsets["wte"]], run.config.n_embd
    if not all(map(math.isfinite, wte)):
        raise LabError("wte has numbers that are infinite or NaN, so no two of its rows can be compared")
    return run, [list(wte[i : i + width]) for i in range(0, len(wte), width)]


def _placed(run: LabRun) -> list[int]:
    """Return the ids of the tokens that the map has room for, in order."""
    if run.engine.vocab_size <= MOST_PLACED or run.missing:
        return [*range(min(MOST_PLACED, run.engine.vocab_size))]
    letters = run.text.statistics(run.run.data)["letters"]
    frequent = sorted(letters, key=lambda letter: (-letter["count"], letter["id"]))[:MOST_PLACED]
    return sorted(letter["id"] for letter in frequent)
