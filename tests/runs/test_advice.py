"""The advice after a run: a pure function of the run's measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest

from microgpt.config import Config
from microgpt.runs.advice import Outcome, Watch, advise
from microgpt.runs.run import Run

GOOD = Outcome(
    num_steps=5000,
    passes=5.0,
    tokens=1_000_000,
    num_params=10_000,
    n_embd=32,
    weight_decay=0.0,
    held_out=(2.3, 2.2, 2.1),
    training_loss=2.08,
)


@pytest.mark.parametrize(
    ("changes", "reason", "settings"),
    [
        ({}, "100.0 tokens per parameter", {"n_embd": 64}),
        ({"held_out": ()}, "100.0 tokens per parameter", {"n_embd": 64}),
        ({"num_params": 100_000}, "10.0 tokens per parameter", {"num_steps": 10_000}),
        ({"num_params": 10**9}, "0.0 tokens per parameter", {"num_steps": 50_000}),
        ({"passes": 0.25}, "25.0% of the text", {"num_steps": 20_000}),
        ({"passes": 0.0001}, "0.0% of the text", {"num_steps": 50_000}),
        ({"held_out": (2.3, 2.1, 2.2)}, "risen by 0.100", {"weight_decay": 0.1}),
        ({"held_out": (2.3, 2.1, 2.2), "passes": 0.5}, "risen by 0.100", {"weight_decay": 0.1}),
        ({"held_out": (2.3, 2.1, 2.2), "weight_decay": 0.1}, "risen by 0.100", {"num_steps": 2500}),
        ({"held_out": (2.1, 2.103)}, "100.0 tokens per parameter", {"n_embd": 64}),
        ({"training_loss": 1.8}, "0.30 above the training loss", {"weight_decay": 0.1}),
    ],
)
def test_the_advice_follows_from_the_measurements(changes: dict, reason: str, settings: dict) -> None:
    advice = advise(replace(GOOD, **changes))
    assert reason in advice.reason
    assert advice.settings == settings


def test_a_watched_run_gives_its_measurements() -> None:
    run, watch = Run.begin(["ada", "grace", "hedy", "alan"] * 5, Config(n_embd=4, n_head=2, num_steps=10)), Watch()
    assert watch.outcome(run) is None
    losses = []
    for step in run:
        watch.add(step)
        losses.append(step.loss)
    outcome = watch.outcome(run)
    assert outcome is not None
    assert (outcome.num_steps, outcome.passes, outcome.num_params) == (10, 0.5, run.num_params)
    assert outcome.training_loss == sum(losses) / 10
    assert outcome.held_out == []
    assert outcome.tokens == sum(len(run.data.sequence(i)) - 1 for i in run.order[:10])
