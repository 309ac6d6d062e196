"""Exercises save the reader's progress, and restore the previous word, model and program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.page.browser import Visit
from lab.page.reader import WAIT, Reader


def test_progress_survives_a_reload_and_can_be_exported_and_imported(visit: Visit, tmp_path: Path) -> None:
    visit.open()
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    assert reader.check().startswith("Right.")
    visit.page.reload()
    visit.ready()
    shelf = visit.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises")
    assert "1 solved" in shelf.inner_text()
    shelf.click()
    dialog = visit.page.get_by_role("dialog")
    with visit.page.expect_download() as started:
        dialog.get_by_role("button", name="export progress").click()
    file = tmp_path / "progress.json"
    started.value.save_as(file)
    assert list(json.loads(file.read_text())["exercises"]) == ["a-word-it-expects"]
    dialog.get_by_role("button", name="reset progress").click()
    assert dialog.get_by_text("0 of").is_visible()
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_text("Imported progress on 1 exercise").wait_for()
    assert dialog.get_by_role("button", name="A word it expects").inner_text().endswith(", solved")
    no_progress = "This file contains no exercise progress"
    for content, says in (("{", "This file is not JSON"), ('{"kind": "other"}', no_progress)):
        file.write_text(content)
        dialog.locator("input[type=file]").set_input_files(file)
        dialog.get_by_text(says).wait_for()
    visit.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_exercises_work_without_local_storage(visit: Visit) -> None:
    denied = "{ get() { throw new DOMException('denied', 'SecurityError') } }"
    visit.context.add_init_script(f"Object.defineProperty(globalThis, 'localStorage', {denied})")
    visit.open()
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    assert reader.check().startswith("Right.")
    visit.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    visit.page.get_by_role("dialog").get_by_text("This browser does not save your progress").wait_for()


def test_an_exercise_of_the_workbench_keeps_the_readers_program(reader: Reader) -> None:
    reader.tab.section(10)
    reader.press("Changes to try", "GELU")
    reader.begin("A program of your own")
    assert reader.page.get_by_text("Changes:").is_visible()
    reader.press("reference.py", "Reset the file")


# --- The state before the exercise


def state(reader: Reader) -> tuple[Any, ...]:
    model = reader.tab.ask("model")
    word, position = reader.page.locator("#word").input_value(), "position=1" in reader.page.url
    return word, position, model["run"], model["step"], [(x["path"], x["after"]) for x in model["changes"]]


def leave(reader: Reader) -> None:
    reader.card.get_by_role("button", name="Leave the exercise").click()
    reader.card.wait_for(state="detached")
    reader.page.wait_for_function("() => unanswered === 0", timeout=WAIT)
    reader.tab.settle()


def test_leaving_an_exercise_restores_the_word_the_model_and_the_weights(visit: Visit) -> None:
    visit.open("#section=4&word=zoe&position=1")
    visit.ready()
    reader = Reader(visit)
    reader.press("Change a weight", "set to 0")
    before = state(reader)
    assert before[:3] == ("zoe", True, "names")
    assert len(before[4]) == 1
    reader.begin("The greatest surprise")  # it has another word, and the opening model's weights
    assert state(reader)[0] == "olivia"
    assert state(reader)[4] == []
    offer = "Leaving the exercise restores the word “zoe” and your changed weights."
    assert offer in reader.card.inner_text()
    leave(reader)
    assert state(reader) == before
    assert "exercise" not in visit.page.evaluate("location.hash")

    # with the reader's own run, and from one exercise to the next
    visit.section(8, word="zoe", position=1)
    visit.page.get_by_role("button", name="use random weights").click()
    visit.settle()
    reader.train(10)
    before = state(reader)
    assert before[3] == 10
    reader.begin("A word it expects")
    reader.follow("alana")
    reader.begin("Back to the first good day")  # it trains its own run
    assert state(reader)[3] == 100
    leave(reader)
    assert state(reader) == before


def test_leaving_while_the_model_is_being_made_restores_the_previous_state(visit: Visit) -> None:
    visit.open("#section=8&word=zoe&position=1")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    before = state(reader)
    visit.page.evaluate("""() => {
      const ask = lab.ask
      lab.ask = async (method, params) => {
        if (method === 'reset') await new Promise((go) => (globalThis.go = go))
        return ask(method, params)
      }
    }""")
    reader.begin("Back to the first good day")
    reader.card.get_by_role("button", name="Leave the exercise").click()
    visit.page.evaluate("go()")
    visit.page.wait_for_function("async () => (await lab.ask('runs', {})).runs.length > 1")
    visit.page.wait_for_function("async () => (await lab.ask('model', {})).run === 'names'")
    visit.settle()
    assert state(reader) == before


def test_the_reader_can_keep_the_state_of_the_exercise(visit: Visit) -> None:
    visit.open("#section=6&word=zoe")
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    reader.card.get_by_role("button", name="keep the current state").click()
    assert reader.card.get_by_text("restores the word").count() == 0
    leave(reader)
    assert state(reader)[0] == "alana"


def test_leaving_an_exercise_restores_the_expression(visit: Visit) -> None:
    visit.open("#section=2")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    source = reader.figure("An expression").locator("input[type=text]")
    source.fill("y = a * a * b")
    visit.settle()
    reader.slide("An expression", "a", 0.5)
    reader.begin("A flat place")
    assert source.input_value() != "y = a * a * b"
    leave(reader)
    assert source.input_value() == "y = a * a * b"
    named = visit.page.get_by_text("a", exact=True)
    assert (
        reader.figure("An expression").locator("label").filter(has=named).locator("input[type=range]").input_value()
        == "0.5"
    )


def test_nothing_is_offered_if_nothing_was_replaced(reader: Reader) -> None:
    reader.tab.section(6, word="emma")
    reader.begin("Surprise, in a line")
    assert reader.card.get_by_text("Leaving the exercise restores").count() == 0
    leave(reader)
