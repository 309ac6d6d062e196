"""Any number of a word's execution, opened: the sum that made it, the numbers around it, its gradient; the playhead.

All of it is read off one recorded execution (`tracing`); the words for a number come from naming's table, and its
formula from the very line of the reference that made it.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from microgpt.engines.base import Tokens
from microgpt.engines.program import REFERENCE, Program
from microgpt.errors import LabError
from microgpt.lab.editing.source import source
from microgpt.lab.requests import Answer
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import read
from microgpt.parameters import PARAMETERS
from microgpt.tracing import inner_names
from microgpt.tracing import names as tensor_names
from microgpt.tracing.trace import Trace

USERS = 32  # that are shown of those made from a number
AROUND, MOST_AROUND, FURTHEST = 60, 300, 12  # numbers of a neighbourhood, at most, and the steps that it reaches

KINDS = {
    **dict.fromkeys(("q", "k", "v", "attn_out", "mlp_pre", "mlp_out", "logits"), "linear"),
    **dict.fromkeys(("emb", "resid_pre", "resid_mid", "resid_post"), "add"),
    **dict.fromkeys(("emb_norm", "attn_norm", "mlp_norm", "mean_square", "scale"), "rmsnorm"),
    **dict.fromkeys(("attn_weights", "probs"), "softmax"),
    **dict.fromkeys(("loss", "mean_loss"), "loss"),
    "attn_logits": "attention logit",
    "x_attn": "attention mix",
    "mlp_act": "relu",
}


def number(run: LabRun, trace: Trace, path: str) -> Answer:
    """One number: how it was made, from what, for what, and how strongly the loss answers to it."""
    count = sum(name.endswith(".tok_emb") for name in trace.graph.shapes)
    if (found := re.match(r"pos(\d{1,9})\.", path)) and int(found[1]) >= count:
        raise LabError(f"this word has no position {found[1]}: it has {count}, counted from 0; open another number")
    facts, opened = trace.number(path), trace.opened(path)
    line = facts["line"] or 0
    program = trace.program
    terms = [
        {
            "factors": term["factors"] or [{"path": term["path"], "value": term["value"]}],
            "value": term["value"],
            "total": term["total"],
        }
        for term in opened["terms"]
    ]
    return {
        "path": path,
        "value": facts["value"],
        "grad": facts["grad"],
        "meaning": meaning(path) + _unless(program, line),
        "kind": _kind(path if _is_inner(path) else facts["path"], facts["op"]),
        "line": line,
        "formula": _said(program, path, line, facts["op"]),
        "terms": terms,
        "after": _after(program, path, line, opened),
        "recomputed": opened["recomputed"],
        "operands": [_edge(x) for x in facts["operands"]],
        "users": [_edge(x) for x in facts["users"][:USERS]],
        "num_users": len(facts["users"]),
    }


def _edge(facts: Answer) -> Answer:
    return {"path": facts["path"], "value": facts["value"], "local": facts["local_gradient"]}


def neighbourhood(trace: Trace, path: str, up: int, down: int, limit: int = AROUND) -> Answer:
    """The graph around a number: `up` steps towards the loss, `down` steps towards the parameters."""
    for name, steps in (("up", up), ("down", down)):
        if not 0 <= steps <= FURTHEST:
            raise LabError(f"{name} must be from 0 to {FURTHEST}, got {name}={steps}")
    if not 1 <= limit <= MOST_AROUND:
        raise LabError(f"limit must be from 1 to {MOST_AROUND}, got limit={limit}")
    found = trace.neighbourhood(path, depth_up=up, depth_down=down, limit=limit)
    return {
        "nodes": [
            {
                **{what: node[what] for what in ("path", "op", "value", "grad")},
                "named": bool(trace.graph.places(trace.node(node["path"]))),
            }
            for node in found["nodes"]
        ],
        "edges": [{"from": e["from"], "to": e["to"], "local": e["local_gradient"]} for e in found["edges"]],
        "cut": not found["complete"],
    }


def blame(trace: Trace, path: str) -> Answer:
    """The chain rule at a number, with its numbers: what each user of it added to its gradient, in backward's order."""
    return {
        "path": path,
        "grad": trace.node(path).grad,
        "start": trace.node(path) is trace.node("loss"),  # where backward begins, with 1
        "shares": [
            {
                "path": share["path"],
                "grad": share["grad"],
                "local": share["local_gradient"],
                "add": share["add"],
                "total": share["after"],
            }
            for share in trace.contributions(path)
        ],
        "up": _next_named(trace, path, trace.contributions),
        "down": _next_named(trace, path, trace.passed_on),
    }


def _next_named(trace: Trace, path: str, around: Callable[[str], list[Answer]]) -> str | None:
    """The next number of a tensor on the way of the largest gradient: towards the loss, or towards the parameters."""
    while steps := [step for step in around(path) if not _is_constant(trace, step["path"])]:
        path = max(reversed(steps), key=lambda step: abs(step["add"]))["path"]  # of equal ones the last: not the total
        if trace.graph.places(trace.node(path)):
            return path
    return None


def _is_constant(trace: Trace, path: str) -> bool:
    node = trace.node(path)
    return not node.op and not trace.graph.places(node)


def play(trace: Trace) -> Answer:
    """The execution line by line, and which numbers each line made."""
    return {
        "events": [
            {
                **{what: event[what] for what in ("line", "function", "depth", "owner")},
                "paths": list(dict.fromkeys(path for told in event["changed"].values() for path in _paths(told))),
            }
            for event in trace.events
        ]
    }


def _paths(told: Answer) -> Iterator[str]:
    """The numbers that a variable holds."""
    if "path" in told:
        yield told["path"]
    yield from told.get("paths", ())
    for inner in told.get("list", ()):
        yield from _paths(inner)


def gradients(run: LabRun, tokens: Tokens, trace: Trace) -> Answer:
    """d loss / d every parameter; and how large the gradient is at each tensor on its way down from the loss, and in
    the matrices, which is where it stays."""
    grads = {name: trace.grad(name).numbers for name in run.shapes}
    count = len(read(tokens, run.config))
    table = tensor_names.intermediates(run.config, run.engine.vocab_size, count)
    made = [name for name in table if name in trace.graph.tensors]  # an edited program may lack some
    way = [*reversed(made), *reversed(list(run.shapes))]
    return {
        "loss": trace.node("loss").data,
        "grads": grads,
        "zero_rows": {
            name: [r for r in range(rows) if not any(grads[name][r * columns : (r + 1) * columns])]
            for name, (rows, columns) in run.shapes.items()
        },
        "norms": [
            {"name": name, "norm": math.sqrt(math.fsum(g * g for g in trace.grad(name).numbers))} for name in way
        ],
    }


# --- Words for a number


def _tensor(path: str) -> str:
    """The name of the tensor that a path leads into."""
    return tensor_names.tensor_of(path)


def _kind(path: str, op: str) -> str:
    if op in ("parameter", "constant"):
        return op
    if _is_inner(path):
        return op
    return KINDS.get(inner_names.kind(_tensor(path)), op)


_TABLE = [
    (re.compile(re.sub(r"\\{[tih]\\}", r"\\d+", re.escape(name))), meaning)
    for part in (
        tensor_names.EMBEDDING,
        tensor_names.BEFORE_HEADS,
        tensor_names.HEAD,
        tensor_names.AFTER_HEADS,
        tensor_names.OUTPUT,
        tensor_names.DOCUMENT,
    )
    for name, _, meaning in part
]
_INSIDE = (
    (r"term\d+", "one of the products that are added up for"),
    (r"sum\d+", "the running total, on the way to"),
    (r"total", "the sum, on the way to"),
    (r"inverse", "1 / what is divided by, on the way to"),
    (r"shifted", "before the last operation, on the way to"),
    (r".*", "on the way to"),
)


def meaning(path: str) -> str:
    """What a number or a tensor is, in words."""
    name = _tensor(path)
    matrix = name.rpartition(".")[2]
    if "]." not in path and matrix in PARAMETERS:
        return PARAMETERS[matrix].meaning
    for pattern, meaning in _TABLE:
        if "]." not in path and pattern.fullmatch(name):
            return meaning
    owner, _, role = path.rpartition(".")
    return next(f"{words} {owner}" for pattern, words in _INSIDE if re.fullmatch(pattern, role))


def _is_inner(path: str) -> bool:
    """Whether a number is none of naming's table, but was made on the way to one."""
    name = _tensor(path)
    known = name.rpartition(".")[2] in PARAMETERS or any(pattern.fullmatch(name) for pattern, _ in _TABLE)
    return "]." in path or not known


def _unless(program: Program, line: int) -> str:
    """A word of warning where the function of this line was edited: what is said is said of the reference."""
    inside = (f["name"] for f in source(program)["functions"] if f["first"] <= line <= f["last"])
    return " (as the unedited program has it)" if any(name in program.changed for name in inside) else ""


def _said(program: Program, path: str, line: int, op: str) -> str:
    """The formula of a number; of a product that is added up, only that product's."""
    if not line:
        return ""
    formula = formulas(program)[line]
    return formula.term if op == "mul" and formula.term and re.search(r"\.term\d+$", path) else formula.whole


class Formula(NamedTuple):
    """What a line of the reference says of one number. whole: all of it; term: what is added up there, if anything is;
    rest: what is done with the sum."""

    whole: str
    term: str
    rest: str


@cache
def formulas(program: Program = REFERENCE) -> dict[int, Formula]:
    """The formula of each statement of the program, by its line.

    `attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]` has the whole
    `sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5`, the term `qj * kj` and the rest `/ len(q) ** 0.5`.
    """
    lines = source(program)["lines"]

    def written(node: ast.expr) -> str:
        """As the file has it."""
        last = node.end_lineno or node.lineno
        text = "\n".join(lines[node.lineno - 1 : last])
        return text[node.col_offset : len(text) - len(lines[last - 1]) + (node.end_col_offset or 0)]

    table = {}
    for statement in ast.walk(ast.parse("\n".join(lines))):
        value = getattr(statement, "value", None)
        if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)) or value is None:
            continue
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "append":
            value = value.args[0]
        if isinstance(value, ast.ListComp):
            value = value.elt
        whole, term, rest = written(value), "", ""
        for node in (value, getattr(value, "left", None), getattr(value, "right", None)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum":
                term = written(getattr(node.args[0], "elt", node.args[0]))
                rest = whole.replace(written(node), "").strip()
        table[statement.lineno] = Formula(whole, term, rest)
    return table


_WRITTEN = {"add": "a + b", "mul": "a * b", "pow": "a ** {exponent}", "exp": "a.exp()", "log": "a.log()"}


def _after(program: Program, path: str, line: int, opened: Answer) -> Answer | None:
    """What was done with the sum, or in place of one: the last operation, in the reference's words."""
    if not opened["steps"]:
        return None
    last = opened["steps"][-1]
    formula = formulas(program)[line]
    if _is_inner(path):
        text = _WRITTEN[last["op"]].format(**last) if last["op"] in _WRITTEN else formula.whole
    elif opened["terms"] and not formula.rest and formula.term:
        return None  # a sum of one term is that term
    else:
        text = formula.rest if opened["terms"] and formula.rest else formula.whole
    return {"text": text, "value": last["value"], "operands": last["operands"]}
