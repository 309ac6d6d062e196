"""Plans for a time limit, with an injected clock and speed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.config import Config
from microgpt.runs import time_budget
from microgpt.runs.recipes import Text
from microgpt.runs.run import Run
from microgpt.runs.time_budget import Speed, describe, plan, time_limit

NAMES = [f"{a}{b}{c}" for a, b, c in itertools.product("adg", "aeiou", ("na", "ro", "lina", "s"))]  # 60 names


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """A clock that is stopped, and a machine on which a step takes 10 ms."""

    def measure(*_: Any) -> Speed:
        return Speed(step=0.01, token=1e-4, start=0.5, flops=1e9)

    monkeypatch.setattr(Speed, "measure", measure)
    return lambda: 100.0


@pytest.mark.parametrize(
    ("given", "seconds"), [((None, None), None), ((2, None), 120), ((0.5, None), 30), ((None, 10), 10)]
)
def test_a_limit_is_in_minutes_or_seconds(given: tuple[Any, Any], seconds: float | None) -> None:
    assert time_limit(*given) == seconds


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((1, 1), "minutes and seconds cannot be used together, got minutes=1 and seconds=1"),
        ((0, None), "minutes must be finite and greater than 0, got minutes=0: try minutes=2"),
        ((None, -3), "seconds must be finite and greater than 0, got seconds=-3: try seconds=120"),
        ((math.inf, None), "got minutes=inf"),
        ((None, math.nan), "got seconds=nan"),
    ],
)
def test_a_limit_that_is_no_time_is_refused(given: tuple[Any, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_limit(*given)


def test_the_steps_fill_95_percent_of_the_time_with_what_else_the_run_does(fixed: Callable[[], float]) -> None:
    made = plan(NAMES, 100, clock=fixed, began=97.0)  # 3 s of the 100 are over
    text = describe(made.data, 0.1)
    held_out = text.tokens / 9
    after = 1e-4 * (held_out + 20 * text.mean)
    validations = 10 * 1e-4 * 2 * held_out
    assert made.config.num_steps == int((95 - 3 - 0.5 - after - validations) / 0.01)
    assert math.isclose(made.stop_at, 97 + 100 - after)


def test_measurements_that_are_asked_for_are_part_of_each_step(fixed: Callable[[], float]) -> None:
    made = plan(NAMES, 100, options={"validate_every": 10}, clock=fixed)
    text = describe(made.data, 0.1)
    after = 1e-4 * (text.tokens / 9 + 20 * text.mean)
    assert made.config.num_steps == int((95 - 0.5 - after) / (0.01 + 1e-4 * 2 * text.tokens / 9 / 10))


def test_many_passes_over_a_short_text_stop_early(fixed: Callable[[], float]) -> None:
    made = plan(NAMES, 1000, clock=fixed)
    assert made.options["patience"] == time_budget.PATIENCE
    assert any(line.startswith("patience: ") for line in made.explanation)
    assert "patience" not in plan(NAMES, 1, clock=fixed).options


def test_a_batch_has_a_document_for_each_thread(fixed: Callable[[], float]) -> None:
    assert plan(NAMES, 10, computed_by={"threads": 200}, clock=fixed).config.batch_size == 200


def test_a_time_that_is_too_short_gives_one_step_and_says_so(fixed: Callable[[], float]) -> None:
    made = plan(NAMES, 0.1, clock=fixed)
    assert made.config.num_steps == 1
    assert "too short" in made.explanation[-1]


def test_given_settings_and_options_are_kept(fixed: Callable[[], float]) -> None:
    made = plan(
        NAMES,
        10,
        settings={"n_embd": 12, "seed": 3, "warmup_steps": 5000},
        options={"val_fraction": 0.5, "patience": 3},
        computed_by={"engine": "scalar"},
        clock=fixed,
    )
    assert (made.config.n_embd, made.config.seed, made.config.n_head) == (12, 3, 4)
    assert made.config.warmup_steps == made.config.num_steps - 1
    assert made.options["val_fraction"] == 0.5
    assert made.options["patience"] == 3
    assert made.computed_by == {"engine": "scalar"}
    assert made.explanation[-1] == "kept as given: n_embd=12, seed=3, warmup_steps=5000"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"settings": {"num_steps": 5}}, "num_steps cannot be used with a time limit, got num_steps=5"),
        ({"options": {"start_from": "runs/1"}}, "from cannot be used with a time limit"),
        ({"options": {"val_fraction": 1.0}}, "val_fraction must be at least 0 and less than 1, got val_fraction=1.0"),
        ({"settings": {"n_embd": 0}}, "n_embd must be at least 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(how: dict[str, Any], message: str, fixed: Callable[[], float]) -> None:
    with pytest.raises(ValueError, match=message):
        plan(NAMES, 10, clock=fixed, **how)


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        ("\n".join(NAMES), "lines"),
        ("\n".join(f"{'a long sentence of a book ' * 3}{i}" for i in range(50)), "stream"),
        ("\n".join(["a verse", "another verse", "", "a new stanza"] * 20), "stream"),
    ],
)
def test_names_are_documents_and_running_text_is_a_stream(
    content: str, mode: str, tmp_path: Path, fixed: Callable[[], float]
) -> None:
    (tmp_path / "text.txt").write_text(content)
    made = plan(tmp_path / "text.txt", 10, clock=fixed)
    assert made.data.mode == made.options["documents"] == mode
    if mode == "stream":
        assert made.data.block_size == made.config.block_size
    asked = plan(tmp_path / "text.txt", 10, options={"documents": "lines"}, clock=fixed)
    assert asked.data.mode == "lines"


def test_loaded_data_is_not_changed(fixed: Callable[[], float]) -> None:
    data = Run.begin("".join(NAMES).split("d"), Config(), documents="stream").data
    made = plan(data, 10, clock=fixed)
    assert data.block_size == 16 != made.data.block_size == made.config.block_size


def test_a_short_time_holds_out_less_and_measures_less_often(fixed: Callable[[], float]) -> None:
    made = plan([f"{name}{i}" for i in range(100) for name in NAMES], 1, clock=fixed)
    text = describe(made.data, made.options["val_fraction"])
    assert 0 < made.options["val_fraction"] < 0.1
    assert 1e-4 * text.tokens * made.options["val_fraction"] < 0.11
    assert made.options["validate_every"] > made.config.num_steps // 10


def test_a_text_of_few_documents_holds_nothing_out(fixed: Callable[[], float]) -> None:
    assert plan(["ada", "grace"], 10, clock=fixed).options["val_fraction"] == 0.0


def test_the_speed_is_measured_with_the_clock() -> None:
    ticks = itertools.count()
    data = microgpt.Run.begin(NAMES, Config()).data
    config = Config(n_embd=4, n_head=2, batch_size=2)
    text = Text(False, 400, 4.0, 8, data.vocab_size)
    speed = Speed.measure(data, text, config, {"engine": "scalar"}, 0.0, lambda: float(next(ticks)))
    assert (speed.start, speed.step) == (1.0, 1.0)  # a tick each
    assert 0 < speed.token < 1
    assert speed.flops > 0


def test_the_library_trains_for_a_time(fixed: Callable[[], float]) -> None:
    run = microgpt.train(NAMES, seconds=2, n_embd=8, n_layer=1, engine="scalar", batch_size=1, seed=4)
    assert run.step <= run.config.num_steps < 200
    assert (run.config.n_embd, run.config.seed, run.provenance.val_fraction) == (8, 4, 0.1)


def test_the_library_repeats_a_planned_run_bit_for_bit(fixed: Callable[[], float]) -> None:
    made = plan(NAMES, 1.0, settings={"n_embd": 8}, clock=fixed)
    one = Run.begin(made.data, made.config, **made.options, **made.computed_by)
    two = Run.begin(NAMES, **made.settings, **made.options, **made.computed_by)
    assert [step.loss for step in one] == [step.loss for step in two]
    assert one.engine.params == two.engine.params


def test_planning_again_chooses_the_same(fixed: Callable[[], float]) -> None:
    assert plan(NAMES, 10, clock=fixed).config == plan(NAMES, 10, clock=fixed).config
    assert time_budget.SHARE == 0.95
