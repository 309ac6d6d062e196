"""Every number that section 2 shows of an expression, evaluated as the reference's Values."""

from __future__ import annotations

from typing import Any

from microgpt import reference
from microgpt.lab.session import Session

from lab import session_client as client


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
        found |= {f"backward[{i}].{what}": step[what] for what in ("before", "after", "local", "out", "share")}
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
