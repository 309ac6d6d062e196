"""Tokens by likeness: the cosines by brute force, and the map against numpy's singular values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.lab.figures import likeness
from microgpt.lab.figures.components import components

from lab.session_client import Lab

VOWELS = {*"aeiou"}


def table(lab: Lab) -> Any:
    tensor = lab.ask("parameters")["tensors"]["wte"]
    return np.array(tensor["data"]).reshape(tensor["shape"])


def by_numpy(rows: Any) -> tuple[Any, Any]:
    """Return all shares of the variance, and the places on the first two components up to their signs."""
    centred = rows - rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    return sizes**2 / (sizes**2).sum(), centred @ directions[:2].T


def with_rows(lab: Lab, rows: list[list[float]]) -> Lab:
    """Put rows into the active model's wte, the last one also into all rows that are left."""
    engine = lab.session.active.engine
    width = len(rows[0])
    for token_id in range(engine.vocab_size):
        engine.params[token_id * width : (token_id + 1) * width] = type(engine.params)(
            "d", rows[min(token_id, len(rows) - 1)]
        )
    return lab


def tiny(width: int) -> Lab:
    lab = Lab()
    lab.ask("reset", config={"n_embd": width, "n_head": 1})
    return lab


@pytest.mark.parametrize("run", ["names", "published", "random"])
def test_the_map_is_that_of_numpys_singular_values(run: str) -> None:
    lab = Lab()
    if run == "random":
        lab.ask("reset")
    else:
        lab.ask("pretrained", run=run)
    found = lab.ask("likeness")
    shares, places = by_numpy(table(lab))
    assert found["shares"] == pytest.approx(list(shares), abs=1e-9)
    assert found["held"] == pytest.approx(shares[0] + shares[1], abs=1e-9)
    assert [token["id"] for token in found["tokens"]] == [*range(27)]
    assert [token["symbol"] for token in found["tokens"]] == lab.ask("model")["symbols"]
    for axis, along in zip("xy", places.T):
        mine = np.array([token[axis] for token in found["tokens"]])
        assert mine[np.abs(mine).argmax()] > 0
        assert min(np.abs(mine - along).max(), np.abs(mine + along).max()) < 1e-9


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda size: st.lists(
            st.lists(st.integers(-99, 99), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
        )
    ),
    st.sampled_from([1.0, 1e-3, 1e150]),
)
def test_the_shares_are_those_of_numpy_and_sum_to_1(rows: list[list[int]], scale: float) -> None:
    scaled = [[scale * x for x in row] for row in rows]
    shares, places = components(scaled)
    if all(row == rows[0] for row in rows):
        assert shares == []
        assert {*places} == {(0.0, 0.0)}
        return
    assert math.fsum(shares) == pytest.approx(1, abs=1e-12)
    assert shares == sorted(shares, reverse=True)
    expected, _ = by_numpy(np.array(rows, dtype=float))
    assert shares == pytest.approx(list(expected), abs=1e-9)
    # the squares along both axes are the variance that the plane holds
    centred = np.array(rows) - np.array(rows).mean(axis=0)
    held = math.fsum((x / scale) ** 2 + (y / scale) ** 2 for x, y in places)
    assert held == pytest.approx(sum(shares[:2]) * (centred**2).sum(), rel=1e-9)


def test_the_neighbours_are_those_of_brute_force(shared: Lab) -> None:
    shared.ask("pretrained", run="names")
    rows = table(shared)
    symbols = shared.ask("model")["symbols"]
    for own, symbol in enumerate(symbols):
        cosines = [float(row @ rows[own] / np.linalg.norm(row) / np.linalg.norm(rows[own])) for row in rows]
        order = sorted(({*range(27)} - {own}), key=lambda i: -cosines[i])
        found = shared.ask("nearest", symbol=symbol)["others"]
        assert [(other["id"], other["symbol"]) for other in found] == [(i, symbols[i]) for i in order]
        assert [other["cosine"] for other in found] == pytest.approx([cosines[i] for i in order], abs=1e-12)


def test_the_hidden_pair_is_the_one_of_which_the_map_shows_least(shared: Lab) -> None:
    shared.ask("pretrained", run="names")
    rows, found = table(shared), shared.ask("likeness")
    places = np.array([[token["x"], token["y"]] for token in found["tokens"]])
    pairs = [(i, j) for i in range(27) for j in range(i)]
    true = {(i, j): float(np.linalg.norm(rows[i] - rows[j])) for i, j in pairs}
    shown = {(i, j): float(np.linalg.norm(places[i] - places[j])) for i, j in pairs}
    assert all(shown[pair] <= true[pair] + 1e-12 for pair in pairs)  # a shadow is no longer than what casts it
    i, j = pair = min(pairs, key=lambda pair: shown[pair] / true[pair])
    hidden, symbols = found["hidden"], shared.ask("model")["symbols"]
    assert {hidden["one"], hidden["other"]} == {symbols[i], symbols[j]}
    assert (hidden["shown"], hidden["distance"]) == pytest.approx((shown[pair], true[pair]), abs=1e-9)
    assert found["typical"] == pytest.approx(sum(true.values()) / len(true))


def test_vowels_are_alike_only_after_training(shared: Lab) -> None:
    shared.ask("pretrained", run="names")
    for fresh, alike in ((False, True), (True, False)):
        near = {v: shared.ask("nearest", symbol=v, fresh=fresh)["others"] for v in VOWELS}
        letters = {v: [other["symbol"] for other in others if other["symbol"]][:4] for v, others in near.items()}
        assert all({v, *letters[v]} == VOWELS for v in VOWELS) == alike
        assert shared.ask("likeness", fresh=fresh)["vowels"] == alike


def test_before_training_the_map_is_that_of_the_run_that_reset_starts(shared: Lab) -> None:
    shared.ask("pretrained", run="names")
    before = shared.ask("likeness", fresh=True), shared.ask("nearest", symbol="a", fresh=True)
    assert before[0] != shared.ask("likeness")
    shared.ask("reset", val_fraction=0.1)
    for method, params, expected in (("likeness", {}, before[0]), ("nearest", {"symbol": "a"}, before[1])):
        assert {**shared.ask(method, **params), "version": 0} == {**expected, "version": 0}


def test_equal_rows_have_no_map_and_rows_of_zeros_are_like_nothing() -> None:
    for row in ([0.3] * 16, [0.0] * 16):
        lab = with_rows(Lab(), [row])
        found = lab.ask("likeness")
        assert (found["shares"], found["held"], found["hidden"], found["typical"]) == ([], 0.0, None, 0.0)
        assert {(token["x"], token["y"]) for token in found["tokens"]} == {(0.0, 0.0)}
        cosines = [other["cosine"] for other in lab.ask("nearest", symbol="a")["others"]]
        assert cosines == pytest.approx([1.0 if row[0] else 0.0] * 26)


def test_a_plane_holds_all_of_one_or_two_numbers() -> None:
    one = with_rows(tiny(1), [[1.0], [3.0], [-2.0]]).ask("likeness")
    assert one["shares"] == pytest.approx([1.0])
    assert (one["held"], one["hidden"]) == (pytest.approx(1.0), None)
    assert {token["y"] for token in one["tokens"]} == {0.0}
    assert one["tokens"][1]["x"] - one["tokens"][0]["x"] == pytest.approx(2.0)
    two = with_rows(tiny(2), [[1.0, 0.0], [0.0, 3.0], [-2.0, 1.0]]).ask("likeness")
    assert len(two["shares"]) == 2
    assert (two["held"], two["hidden"]) == (pytest.approx(1.0), None)


def test_one_row_is_its_own_mean() -> None:
    assert components([[2.0, 5.0]]) == ([], [(0.0, 0.0)])


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan])
def test_weights_that_are_no_numbers_are_named(wrong: float) -> None:
    lab = with_rows(Lab(), [[wrong] + [0.0] * 15, [0.1] * 16])
    for method, params in (("likeness", {}), ("nearest", {"symbol": "a"})):
        assert "wte has numbers that are infinite or NaN" in lab.refused(method, **params)
    lab.ask("likeness", fresh=True)


def test_a_large_vocabulary_shows_its_most_frequent_tokens(monkeypatch: pytest.MonkeyPatch, shared: Lab) -> None:
    shared.ask("pretrained", run="names")
    monkeypatch.setattr(likeness, "MOST_PLACED", 7)
    found = shared.ask("likeness")
    letters = sorted(shared.ask("data")["letters"], key=lambda letter: -letter["count"])[:7]
    ids = [token["id"] for token in found["tokens"]]
    assert ids == sorted(letter["id"] for letter in letters)
    assert found["vocab_size"] == 27
    assert found["shares"] == pytest.approx([*by_numpy(table(shared)[ids])[0]], abs=1e-9)


def test_wide_models_have_a_map() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(likeness.MOST_PLACED, 384))
    shares, places = components(rows.tolist())
    expected, along = by_numpy(rows)
    assert shares == pytest.approx([*expected], abs=1e-9)
    assert np.abs(np.abs(np.array(places)) - np.abs(along)).max() < 1e-9
