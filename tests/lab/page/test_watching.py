"""Training that can be watched: its pace on a clock that the test turns, and what it shows while it runs."""

from __future__ import annotations

import re

import pytest

from microgpt.runs.run import Run

from lab.page.browser import Visit

TICK = 50  # ms between two events at the default pace
EVENTS = 100  # of 1000 steps in 5 seconds


def now(visit: Visit) -> str:
    return str(visit.page.locator("main .now").inner_text())


def rows(visit: Visit) -> list[str]:
    return list(visit.page.locator("main figure:has(.now) tbody th").all_inner_texts())


@pytest.fixture
def training(visit: Visit) -> Visit:
    """Section 8 in a tab whose clock the test turns from now on."""
    visit.page.clock.install(time=0)
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.clock.pause_at(10**7)
    return visit


def turn(visit: Visit, step: int) -> None:
    """Turn the clock by a tick, and wait for its event."""
    visit.page.clock.run_for(TICK)
    visit.page.wait_for_function(f"() => document.querySelector('main .now').innerText.startsWith('step {step} of')")


def test_the_section_opens_on_random_weights_and_leaves_the_model_on_show(training: Visit) -> None:
    page = training.page
    assert now(training).startswith("0 of 1,000 steps are complete")
    assert page.get_by_text("Step 1 will read").is_visible()
    assert rows(training) == ["step 0"]
    model = training.ask("model")
    assert model["step"] == model["num_steps"]
    assert page.get_by_text(f"The other sections show “{model['name']}”").is_visible()


def test_a_thousand_steps_take_a_hundred_ticks_and_grow_a_row_every_hundred_steps(training: Visit) -> None:
    page = training.page
    before = training.ask("model")
    page.get_by_role("button", name="Train 1000 steps").click()
    page.wait_for_function("() => document.querySelector('main .now').innerText.startsWith('step 10 of 1,000')")
    for step in range(20, 220, 10):
        turn(training, step)
        assert len(rows(training)) == 1 + step // 100
    assert page.get_by_text(re.compile(r"Step (50|100|150|200) read")).is_visible()  # a close-up every 50 steps
    # pause: the run keeps its step, and continues from it
    page.get_by_role("button", name="Pause training").click()
    training.settle()
    assert now(training).startswith("210 of 1,000 steps are complete")
    assert training.ask("model")["step"] == 210
    run = Run.begin("names", val_fraction=0.1)
    losses = [step.loss for step in run.steps(until=210)]
    mean = page.locator("[data-path='run.mean[210]']").get_attribute("data-value")
    assert float(mean) == pytest.approx(sum(losses[-30:]) / 30, abs=1e-9)
    page.get_by_role("button", name="Continue to step 1,000").click()
    page.wait_for_function("() => document.querySelector('main .now').innerText.startsWith('step 220 of 1,000')")
    page.get_by_role("button", name="Pause training").click()
    training.settle()
    page.get_by_role("button", name="return to the trained model").click()
    training.settle()
    assert training.ask("model")["run"] == before["run"]


def test_the_speed_that_is_shown_is_the_pace(training: Visit) -> None:
    page = training.page
    page.get_by_role("radio", name="10 per second").click()
    page.get_by_role("button", name="Train 1000 steps").click()
    page.wait_for_function("() => document.querySelector('main .now').innerText.startsWith('step 1 of 1,000')")
    for step in range(2, 31):
        page.clock.run_for(100)
        page.wait_for_function(
            f"() => document.querySelector('main .now').innerText.startsWith('step {step} of 1,000')"
        )
    assert page.locator("main figure dl div").last.locator("dd").inner_text() == "10"
    page.get_by_role("button", name="Pause training").click()
    training.settle()


def test_training_beyond_the_plan_says_what_was_asked_for(visit: Visit) -> None:
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    page = visit.page
    page.get_by_role("radio", name="at once").click()
    page.get_by_role("button", name="Train 1000 steps").click()
    page.get_by_text("1,000 of 1,000 steps are complete").wait_for()
    visit.settle()
    page.get_by_role("button", name="train 100", exact=True).click()
    page.get_by_text("1,100 steps are complete").wait_for()
    visit.settle()
    assert "of 2,000" not in page.locator("main").inner_text()
    assert rows(visit)[-1] == "step 1,100"


def test_two_runs_part_as_soon_as_the_section_opens(visit: Visit) -> None:
    visit.open("#section=8")
    visit.settle()
    figure = visit.page.locator("main figure").filter(has=visit.page.get_by_role("heading", name="Two runs"))
    assert figure.locator("[data-path^='compared']").count() == 2
    assert figure.locator("svg path").count() >= 2
    visit.ready()
    figure.get_by_role("radio", name="one weight").click()
    visit.settle()
    assert "step 101" in figure.inner_text()
