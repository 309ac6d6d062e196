"""Attention as a masked matrix, and softmax."""

from __future__ import annotations

import math

import pytest

from microgpt import reference
from microgpt.reference import Value

from lab.session_client import Lab

WORD = "emma"


def test_the_masked_matrix_equals_the_growing_lists(readonly: Lab) -> None:
    for word in (WORD, "", "a", "maximiliannatalie"):
        response, forward = readonly.ask("attention", word=word), readonly.ask("forward", word=word)
        assert response["difference"] == 0.0
        assert len(response["labels"]) == response["positions"]
        for h, rows in enumerate(response["weights"][0]):
            for t, row in enumerate(rows):
                assert response["sums"][0][h][t] == pytest.approx(1, abs=1e-12)
                assert response["sums"][0][h][t] == pytest.approx(math.fsum(row), abs=1e-15)
                assert row[t + 1 :] == [0.0] * (response["positions"] - t - 1)
                assert response["logits"][0][h][t][t + 1 :] == ["-inf"] * (response["positions"] - t - 1)
                assert row[: t + 1] == forward["tensors"][f"pos{t}.layer0.attn_weights.head{h}"]["data"]


def test_softmax_ranges_from_uniform_to_peaked(readonly: Lab) -> None:
    uniform, peaked, same = readonly.ask("softmax", logits=[1, 2, 3, 4], scales=[0, 50, 1])["probs"]
    assert uniform == [0.25] * 4
    assert peaked[3] == pytest.approx(1)
    assert same == [p.data for p in reference.softmax([Value(x) for x in (1.0, 2.0, 3.0, 4.0)])]
