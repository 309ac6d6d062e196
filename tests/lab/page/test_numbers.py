"""Rule 1 of the lab: every number on the page has a path that says what it is, and is what the package computes.

The numbers are read from the page in Chromium, section by section. The right numbers are computed here in CPython with
the package's tools (recorders, traces, engines, samplers), not with the session that responses the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.runs.run import Run
from microgpt.tracing.trace import Trace

from conftest import golden
from lab.page.browser import SECTIONS, CountingServer, Visit
from lab.page.shown import NUMBER, READ, UNFOLD, Shown, mistake, read
from lab.page.truth import Truth


def check(numbers: list[Shown], truth: Truth, tolerance: float = 1e-12) -> tuple[int, list[str]]:
    """Return the number of compared numbers, and messages for the wrong ones."""
    count, wrong = 0, []
    for shown in numbers:
        if shown.path.startswith("fact ") and not NUMBER.search(shown.text):
            continue  # words that depend on the model
        try:
            value = truth.number(shown.path)
        except KeyError:
            wrong.append(f"{shown}: unknown path")
            continue
        count += 1
        if words := mistake(shown, value, tolerance):
            wrong.append(words)
    return count, wrong


@pytest.fixture(scope="module")
def early(chromium: Any, lab_server: CountingServer) -> Iterator[Visit]:
    """A tab in which Python never becomes ready."""
    visit = Visit(chromium, lab_server.url)
    visit.page.route("**/pyodide/**", lambda route: route.abort())
    visit.open()
    assert visit.started()["state"] == "failed"
    yield visit
    visit.context.close()
    assert visit.refused == []
    assert [error for error in visit.errors if "ERR_FAILED" not in error] == []  # except for blocked requests


@pytest.fixture(scope="module")
def untouched(chromium: Any, lab_server: CountingServer) -> Iterator[Visit]:
    """A tab in which Python is ready, and nothing is changed."""
    visit = Visit(chromium, lab_server.url)
    visit.open()
    visit.ready()
    yield visit
    visit.close()


@pytest.fixture(scope="module")
def names() -> Data:
    return load("names")


@pytest.fixture
def pretrained() -> Run:
    return opening.names(Text()).run


def compare(tab: Visit, truth: Truth, section: int, tolerance: float = 1e-12, **state: object) -> int:
    """Compare every number of a section with the truth, and return their count."""
    tab.section(section, word=truth.word, **state)
    count, wrong = check(read(tab), truth, tolerance)
    assert not wrong, f"{len(wrong)} of {count}: " + "\n".join(wrong[:5])
    return count


WITHOUT_EXPRESSIONS = [
    pytest.param(section, marks=pytest.mark.smoke if section == 4 else ())
    for section in range(SECTIONS)
    if section != 2
]


@pytest.mark.parametrize("section", WITHOUT_EXPRESSIONS)
def test_every_number_is_what_the_package_computes(
    tab: Visit, pretrained: Run, names: Data, section: int, record_property: Callable[[str, object], None]
) -> None:
    truth = Truth(pretrained, names, "emma")
    truth.losses = golden("names")["losses"]
    count = compare(tab, truth, section)
    record_property("numbers compared", count)
    assert count >= 1


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_the_first_state_is_complete_before_python(early: Visit, untouched: Visit, section: int) -> None:
    early.section(section)
    assert early.page.locator("main [role=alert], main .error").all_text_contents() == []
    untouched.section(section)
    now, later = read(early), read(untouched)
    assert [shown[:2] + shown[3:] for shown in now] == [shown[:2] + shown[3:] for shown in later]
    assert len(now) >= 1


@pytest.mark.parametrize("section", [0, 4, 5, 6, 7])
def test_every_number_follows_the_word(tab: Visit, pretrained: Run, names: Data, section: int) -> None:
    truth = Truth(pretrained, names, "zoe")
    truth.losses = golden("names")["losses"]
    assert compare(tab, truth, section) >= 8


def test_every_number_follows_a_weight_changed_by_hand(tab: Visit, pretrained: Run, names: Data) -> None:
    tab.section(4, word="emma", number="layer0.attn_wv[14][2]")
    before = Truth(pretrained, names, "emma")
    tab.page.get_by_role("button", name="flip the sign").click()
    tab.page.locator("[data-path='before layer0.attn_wv[14][2]']").first.wait_for()
    changed = opening.names(Text()).run
    changed.engine.params[before.place("layer0.attn_wv[14][2]")] *= -1
    truth = Truth(changed, names, "emma")
    truth.before = before
    try:
        for section in (4, 5, 6, 7):
            assert compare(tab, truth, section) >= 40
        assert truth.number("loss") != before.number("loss")
    finally:
        tab.page.get_by_role("button", name=re.compile("undo 1 change")).click()
    compare(tab, before, 4)


def test_every_number_follows_the_temperature(tab: Visit, pretrained: Run, names: Data) -> None:
    tab.section(9)
    tab.page.get_by_role("slider", name="temperature").first.fill("1.25")
    tab.settle()
    assert check(read(tab), Truth(pretrained, names, "emma", temperature=1.25))[1] == []


def test_every_number_follows_training(tab: Visit, names: Data) -> None:
    """A hundred steps from random weights agree to 1e-9 and in all shown digits; exp and log differ in last bits."""
    tab.section(8)
    tab.page.get_by_role("button", name="use random weights").click()
    tab.page.get_by_role("button", name="train 100", exact=True).click()
    tab.page.get_by_text("100 of 1,000 steps are complete").wait_for()
    run = Run.begin("names", val_fraction=0.1)
    truth = Truth(run, names, "emma")
    truth.losses = [step.loss for step in run.steps(until=100)]
    try:
        for section in (3, 4, 5, 6, 7, 8):
            assert compare(tab, truth, section, tolerance=1e-9) >= 1
    finally:
        tab.section(8)
        tab.page.get_by_role("button", name="return to the trained model").click()
        tab.settle()


# Texts with a decimal number outside an element with a path. Exempt are axes, values that the reader has set, code, and
# prose (test_words.py checks it)
BARE = """() => {
  const exempt = 'svg text, label.slider output, .player output, .prose, h4, code, .source'
  const found = []
  const texts = document.createTreeWalker(document.querySelector('.columns'), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const [text, e] = [texts.currentNode.nodeValue.trim(), texts.currentNode.parentElement]
    if (!/\\d\\.\\d|\\de[−-]\\d/.test(text) || !e.checkVisibility()) continue
    if (e.closest(`[data-path][data-value], ${exempt}`)) continue
    found.push([e.closest('figure')?.querySelector('h3')?.textContent ?? '', text.slice(0, 120)])
  }
  return found
}"""


@pytest.mark.parametrize("section", range(SECTIONS))
def test_every_number_has_a_path(tab: Visit, section: int) -> None:
    tab.section(section, word="emma")
    tab.page.evaluate(UNFOLD)
    tab.settle()
    bare = tab.page.evaluate(BARE)
    assert not bare, "\n".join(f"{figure}: {text}" for figure, text in bare)


# --- One number, opened


def traced(trace: Trace, path: str) -> float:
    """Return a number, a gradient (`grad PATH`) or a local gradient (`d USER / d PATH`) of a trace."""
    if local := re.fullmatch(r"d (.+) / d (.+)", path):
        user = trace.node(local[1])
        slopes = [x["local_gradient"] for x in trace.number(local[2])["users"] if trace.node(x["path"]) is user]
        assert len(slopes) == 1
        return float(slopes[0])
    quantity = "grad" if path.startswith("grad ") else "value"
    return float(trace.number(path.removeprefix("grad "))[quantity])


@pytest.mark.parametrize(
    "path",
    ["pos3.layer0.q[9]", "pos2.layer0.attn_weights.head1[1]", "pos1.emb_norm[4]", "pos4.loss", "layer0.mlp_fc2[3][56]"],
)
def test_an_opened_number_shows_the_sum_that_produced_it(tab: Visit, pretrained: Run, names: Data, path: str) -> None:
    tab.section(0, word="emma", number=path)
    tab.page.locator(".opened dl").wait_for()
    tab.settle()
    truth = Truth(pretrained, names, "emma")
    shown = [
        Shown("", *row[1:])
        for row in tab.page.evaluate(READ.replace("document.", "document.querySelector('.opened')."))
    ]
    assert {path, f"grad {path}"} <= {number.path for number in shown}
    wrong = []
    for number in shown:
        try:
            value = truth.number(number.path)
        except (KeyError, AttributeError):  # a number without its own name: the trace finds its path
            value = traced(truth.trace, number.path)
        wrong += [words for words in [mistake(number, value, 1e-12)] if words]
    assert wrong == []
    tab.page.keyboard.press("Escape")
    tab.settle()
