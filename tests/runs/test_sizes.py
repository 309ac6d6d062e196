"""A size that cannot be used is refused before anything is allocated."""

from __future__ import annotations

from typing import Any

import pytest

from microgpt.config import AT_MOST, Config
from microgpt.data.loading import load
from microgpt.runs.run import Run

CONFIG = Config(n_embd=4, n_head=2, block_size=8, num_steps=2)
HUGE = 10**20


@pytest.fixture
def run() -> Run:
    return Run.begin(["ada", "bea"], CONFIG, engine="scalar")


@pytest.mark.parametrize("name", AT_MOST)
def test_a_huge_setting_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at most {AT_MOST[name]:,}, got {name}={HUGE}$"):
        Config(**{name: HUGE})
    with pytest.raises(ValueError, match=f"^{name} must be at most .*, got {name}=a number of 16610 bits$"):
        Config(**{name: 10**5000})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_layer": 2**26}, "training a model of .* parameters needs at least .* GiB, but .*: lower n_embd, n_layer"),
        ({"n_embd": 2**28}, "training a model of .* parameters needs at least .* GiB"),
        ({"block_size": 2**30}, "training a model of .* parameters needs at least .* GiB"),
        ({"batch_size": 2**30}, "batch_size=1073741824 needs at least 124.0 GiB, but .*: lower batch_size"),
    ],
)
def test_what_does_not_fit_in_memory_is_refused(
    settings: dict[str, int], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microgpt.system.memory.free_memory", lambda: 64 << 30)
    with pytest.raises(MemoryError, match=words):
        Run.begin(["ada", "bea"], CONFIG.replace(**settings))


def test_the_activations_of_a_window_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.replace(n_layer=100, block_size=1000)
    data = load(["ada" * 1000], mode="stream", block_size=1000)
    monkeypatch.setattr("microgpt.system.memory.free_memory", lambda: 10 << 20)
    with pytest.raises(MemoryError, match=r"block_size=1000 needs at least 18\.\d MiB, but .*: lower block_size"):
        Run.begin(data, config, engine="scalar")


@pytest.mark.parametrize("seed", [None, 1])
def test_samples_without_bound_are_refused(run: Run, seed: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=f"n must be at most 1,073,741,824, got n={HUGE}"):
        run.sample(HUGE, seed=seed)
    with pytest.raises(ValueError, match="max_new_tokens must be at most 1,073,741,824"):
        run.sample(1, seed=seed, max_new_tokens=HUGE)
    with pytest.raises(ValueError, match="num_samples must be at most 1,073,741,824"):
        run.evaluate(num_samples=HUGE)
    monkeypatch.setattr("microgpt.system.memory.free_memory", lambda: 1 << 30)
    with pytest.raises(MemoryError, match=r"n=1000000000 needs at least .* GiB, but .*: request fewer samples"):
        run.sample(10**9, seed=seed)
    with pytest.raises(MemoryError, match=r"num_samples=1000000000 needs at least .*: request fewer samples"):
        run.evaluate(num_samples=10**9)


@pytest.mark.parametrize("options", [{"micro_batch_size": HUGE}, {"validate_every": HUGE}, {"threads": HUGE}])
def test_huge_options_are_refused(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(ValueError, match=f"{name} must be .*, got {name}={HUGE}"):
        Run.begin(["ada", "bea"], CONFIG, **options)
