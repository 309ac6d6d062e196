"""Details of any number in a word's execution: its formula, inputs, users and gradient.

All details come from one recorded execution (see `tracing`). The formula comes from the line that computed the number.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from microgpt.engines.program import REFERENCE, Program
from microgpt.lab.editing.source import outline
from microgpt.lab.figures.meanings import is_inner, kind, meaning
from microgpt.lab.requests import Response, model_request

if TYPE_CHECKING:
    from microgpt.lab.protocol.numbers import After, Link, Opened, Term
    from microgpt.lab.session import Session

USERS = 32  # the maximum number of users listed


@model_request
def number(session: Session, word: str, path: str) -> Opened:
    """Return one number in detail: its value, gradient and formula, its operands, and the numbers computed from it."""
    trace = session.trace(session.tokens(word))
    facts, opened = trace.number(path), trace.opened(path)
    line = facts["line"] or 0
    program = trace.program
    terms: list[Term] = [
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
        "meaning": meaning(path) + _edited_note(program, line),
        "kind": kind(path if is_inner(path) else facts["path"], facts["op"]),
        "line": line,
        "formula": _formula(program, path, line, facts["op"]),
        "terms": terms,
        "after": _after(program, path, line, opened),
        "recomputed": opened["recomputed"],
        "operands": [_edge(x) for x in facts["operands"]],
        "users": [_edge(x) for x in facts["users"][:USERS]],
        "num_users": len(facts["users"]),
    }


def _edge(facts: Response) -> Link:
    return {"path": facts["path"], "value": facts["value"], "local": facts["local_gradient"]}


def _edited_note(program: Program, line: int) -> str:
    """Return a note if this line's function was edited, because the meaning describes the reference."""
    inside = (f["name"] for f in outline(program)["functions"] if f["first"] <= line <= f["last"])
    return " (in the unedited program)" if any(name in program.changed for name in inside) else ""


def _formula(program: Program, path: str, line: int, op: str) -> str:
    """Return a number's formula; for a product in a sum, return only the product's formula."""
    if not line:
        return ""
    formula = formulas(program)[line]
    return formula.term if op == "mul" and formula.term and re.search(r"\.term\d+$", path) else formula.whole


class Formula(NamedTuple):
    """The formula that a line of the program uses to compute one number.

    Attributes:
        whole: The complete formula.
        term: The expression that is summed; empty if there is no sum.
        rest: The operation that follows the sum.
    """

    whole: str
    term: str
    rest: str


@cache
def formulas(program: Program = REFERENCE) -> dict[int, Formula]:
    """Return the formula of each program statement, by line number.

    For `attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]`, `whole` is
    `sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5`, `term` is `qj * kj`, and `rest` is `/ len(q) ** 0.5`.
    """
    lines = outline(program)["lines"]

    def written(node: ast.expr) -> str:
        """Return the source text of an expression."""
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


def _after(program: Program, path: str, line: int, opened: Response) -> After | None:
    """Return the operation that follows the sum, or the only operation if there is no sum, as the program writes it."""
    if not opened["steps"]:
        return None
    last = opened["steps"][-1]
    formula = formulas(program)[line]
    if is_inner(path):
        text = _WRITTEN[last["op"]].format(**last) if last["op"] in _WRITTEN else formula.whole
    elif opened["terms"] and not formula.rest and formula.term:
        return None  # a sum with a single term equals the term
    else:
        text = formula.rest if opened["terms"] and formula.rest else formula.whole
    return {"text": text, "value": last["value"], "operands": last["operands"]}
