"""Every number of section 2, compared with the expressions evaluated as the reference's Values."""

from __future__ import annotations

from typing import Any

import pytest

from microgpt import reference
from microgpt.lab.session import Session

from lab import session_client as client
from lab.page.browser import Visit
from lab.page.shown import mistake, read


def evaluated(source: str, inputs: dict[str, float]) -> dict[str, float]:
    """Run an expression as Python on Values, and return the value and the gradient of every name."""
    functions = {name: getattr(reference.Value, name) for name in ("exp", "log", "relu")}
    names: dict[str, Any] = {name: reference.Value(x) for name, x in inputs.items()}
    exec(source, functions, names)
    list(names.values())[-1].backward()
    return {path: x for name, node in names.items() for path, x in ((name, node.data), (f"grad {name}", node.grad))}


def expected(source: str, inputs: dict[str, float]) -> dict[str, float]:
    """Return all numbers that the figures show for an expression."""
    session = Session()

    def ask(**options: object) -> Any:
        return client.ask(session, "expression", source=source, inputs=inputs, **options)

    response = ask()
    name = {node["id"]: node["name"] or f"n{node['id']}" for node in response["nodes"]}
    found = {name[node["id"]]: node["data"] for node in response["nodes"]}
    found |= {f"grad {name[node['id']]}": node["grad"] for node in response["nodes"]}
    for node in response["nodes"]:
        for operand in node["operands"]:
            found[f"d {name[node['id']]} / d {name[operand['id']]}"] = operand["local"]
    for i, step in enumerate(response["backward"]):
        found |= {f"backward[{i}].{what}": step[what] for what in ("before", "after", "local", "out")}
    ways = {"as in the program": {}, "= instead of +=": {"accumulate": False}}
    ways |= {"naive order": {"order": "naive"}, "backward twice": {"times": 2}}
    for way, options in ways.items():
        found |= {f"grad {check['name']} ({way})": check["grad"] for check in ask(**options)["check"]}
    natively = evaluated(source, inputs)
    h = 1e-5
    for one in inputs:  # central differences, an independent authority
        up, down = (evaluated(source, {**inputs, one: inputs[one] + d}) for d in (h, -h))
        found[f"difference {one}"] = (list(up.values())[-2] - list(down.values())[-2]) / (2 * h)
    return {**found, **natively}  # the reference's numbers replace the session's


EXPRESSION, CHECK = (
    "An expression and its gradients",
    "Numerical gradient check",
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
    assert len(numbers) > 3 * len(inputs)
    wrong = [shown for shown in numbers if shown.path not in truth]
    for shown in numbers:
        if shown.path in truth:
            tolerance = 1e-8 if shown.path.startswith("difference") else 1e-12  # a difference is less accurate
            wrong += [words for words in [mistake(shown, truth[shown.path], tolerance)] if words]
    assert wrong == []


def test_a_local_gradient_and_a_gate_are_values_of_the_reference(tab: Visit) -> None:
    tab.section(2)
    numbers = {(shown.figure, shown.path): shown for shown in read(tab)}
    slope = evaluated("y = exp(x)", {"x": 0.8})
    gate = evaluated("h = relu(x); y = w * h", {"x": 0.7, "w": -1.5})
    for figure, path, truth in [
        ("The local gradient as a slope", "y", slope["y"]),
        ("The local gradient as a slope", "d y / d x", slope["grad x"]),
        *(("The gate", path, gate[path]) for path in ("x", "h", "grad x", "grad h")),
    ]:
        assert mistake(numbers[figure, path], truth, 1e-12) == ""
