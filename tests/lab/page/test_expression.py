"""Every number of section 2, compared with the expressions evaluated as the reference's Values."""

from __future__ import annotations

import re

import pytest

from lab.page.browser import SIZES, Visit
from lab.page.expressions import evaluated, expected
from lab.page.shown import mistake, read

EXPRESSION, CHECK, OPERATIONS = (
    "An expression and its gradients",
    "Numerical gradient check",
    "Which operation has which local gradient",
)
PRESETS = ["add", "multiply", "x used twice", "diamond", "two paths", "a neuron", "ReLU", "softmax", "surprise"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_number_of_an_expression_is_a_value_of_the_reference(tab: Visit, preset: str) -> None:
    tab.section(2)
    figure = tab.page.locator("figure").filter(has_text=EXPRESSION)
    figure.get_by_role("button", name=preset, exact=True).click()
    tab.settle()
    source = figure.locator("input[type=text]").input_value()
    sliders = figure.locator("label.slider").all()
    inputs = {slider.locator("span").inner_text(): float(slider.locator("input").input_value()) for slider in sliders}
    truth = expected(source, inputs)
    numbers = [shown for shown in read(tab) if shown.figure in (EXPRESSION, CHECK)]
    numbers = [shown for shown in numbers if not shown.path.startswith("fact ")]  # names and the expression itself
    assert len(numbers) > 3 * len(inputs)
    wrong = [shown for shown in numbers if shown.path not in truth]
    for shown in numbers:
        if shown.path in truth:
            tolerance = 1e-8 if shown.path.startswith("difference") else 1e-12  # a difference is less accurate
            wrong += [words for words in [mistake(shown, truth[shown.path], tolerance)] if words]
    assert wrong == []


@pytest.mark.parametrize("operation", ["a + b", "a * b", "a**2", "a**-1", "log(a)", "exp(a)", "relu(a)"])
def test_the_table_of_operations_shows_values_of_the_reference(tab: Visit, operation: str) -> None:
    tab.section(2)
    numbers = {shown.path: shown for shown in read(tab) if shown.figure == OPERATIONS}
    inputs = {"a": 0.8, "b": -1.5} if "b" in operation else {"a": 0.8}
    truth = evaluated(f"y = {operation}", inputs)
    assert mistake(numbers[operation], truth["y"], 1e-12) == ""
    for name in inputs:
        assert mistake(numbers[f"d {operation} / d {name}"], truth[f"grad {name}"], 1e-12) == ""


def test_an_operation_without_a_value_says_so(tab: Visit) -> None:
    tab.section(2)
    figure = tab.page.locator("figure").filter(has_text=OPERATIONS)
    figure.locator("label.slider input").first.fill("-1")
    figure.get_by_text("none here").wait_for()
    tab.settle()
    numbers = {shown.path for shown in read(tab) if shown.figure == OPERATIONS}
    assert "exp(a)" in numbers
    assert "log(a)" not in numbers
    tab.section(3)  # the sliders start over


def test_the_gate_shows_values_of_the_reference(tab: Visit) -> None:
    tab.section(2)
    numbers = {(shown.figure, shown.path): shown for shown in read(tab)}
    gate = evaluated("h = relu(x); y = w * h", {"x": 0.7, "w": -1.5})
    for path in ("x", "h", "grad x", "grad h"):
        assert mistake(numbers["The gate", path], gate[path], 1e-12) == ""


def test_the_graph_shows_the_end_of_both_passes_and_follows_the_sliders(tab: Visit) -> None:
    figure = tab.page.locator("figure").filter(has_text=EXPRESSION)
    tab.section(2)
    figure.get_by_role("button", name="x used twice", exact=True).click()  # the expression outlives the figure
    tab.section(3)
    tab.section(2)
    grad = figure.locator(".graph [data-path='grad x']")
    grad.wait_for()
    tab.settle()
    figure.locator("label.slider input").first.fill("1")
    tab.settle()
    assert grad.get_attribute("data-value") == "3"
    scrubber = figure.locator(".player input")
    scrubber.fill("0")
    assert figure.locator(".graph [data-path]").evaluate_all("(all) => all.map((e) => e.dataset.path)") == ["x"]
    figure.locator("label.slider input").first.fill("1.5")
    tab.settle()
    assert grad.get_attribute("data-value") == "4"
    assert scrubber.input_value() == scrubber.get_attribute("max")


PATH = r"pos\d+\.\w|layer\d+\.\w|\b(wte|wpe|lm_head|attn_w[qkvo]|mlp_fc[12])\b"
VISIBLE = """() => {
  const found = [], texts = document.createTreeWalker(document.querySelector('.columns'), NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement
    if (e.checkVisibility() && !e.closest('.source, .find, details, .exercise')) found.push(texts.currentNode.nodeValue)
  }
  return found
}"""


@pytest.mark.parametrize("section", [2, 3])
def test_plain_shows_no_path(tab: Visit, section: int) -> None:
    tab.section(section, level="plain", number="pos3.layer0.q[9]")
    heading = tab.page.locator(".opened h2")
    heading.filter(has_text="number 9 of what letter 3 looks for").wait_for()
    tab.settle()
    shown = tab.page.evaluate(VISIBLE)
    assert [text for text in shown if re.search(PATH, text)] == []
    tab.section(section)


BEGINS = """() => Math.min(...[...document.querySelectorAll('main figure :is(svg, canvas, .graph)')]
  .map((e) => e.getBoundingClientRect()).filter((box) => box.height >= 150).map((box) => box.top + scrollY))"""


@pytest.mark.parametrize("section", [2, 3])
@pytest.mark.parametrize(("size", "most"), [("wide", 450), ("phone", 520)])
def test_the_figure_comes_first(tab: Visit, section: int, size: str, most: int) -> None:
    tab.page.set_viewport_size(SIZES[size])
    try:
        tab.section(section)
        tab.frames()
        assert tab.page.evaluate(BEGINS) < most
    finally:
        tab.page.set_viewport_size(SIZES["wide"])
