"""The report on a port: which tensors were compared, which are wrong or missing, and the verdict."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from microgpt.system import text as text_tables
from microgpt.tracing.names import Shape
from microgpt.verification.cases import CASES
from microgpt.verification.compare import Comparison, details
from microgpt.verification.kinds import KINDS, NOT_TESTED, Unknown, kind_of, patterns

LISTED = 4  # the maximum number of name patterns in a list
DETAILED = 3  # the maximum number of cases whose first wrong tensor is shown with its values
WIDTH, LABEL = 80, 14  # the width of a line, and of the label at its beginning
COUNTS = ("exact", "within", "wrong", "missing")

# The states of a kind of tensor in a case, and the explanation of those that need one
STATES = {
    "-": "",
    "WRONG": "",
    "exact": "equal bit for bit",
    "ok": "within the tolerance",
    "part": "no error, but some tensors are missing",
}


@dataclass(frozen=True)
class CaseReport:
    """The result of comparing one of a port's files with the reference.

    Attributes:
        case: The name of the case.
        compared: The comparisons, in order of computation.
        misshapen: (name, expected shape, actual shape) for each tensor with a wrong shape.
        missing: Tensors in the export that are missing from the file, except for the inputs.
        extra: Tensors in the file that are missing from the export.
        parts_at: The first tensor that has a wrong shape or exceeds its tolerance; None if every tensor matches.
        inputs: The number of inputs in the file, which are not compared.
        unknown: The extra tensors, grouped by pattern, each with the most similar pattern in the export.
    """

    case: str
    compared: tuple[Comparison, ...]
    misshapen: tuple[tuple[str, Shape, Shape], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    parts_at: str | None
    inputs: int = 0
    unknown: tuple[Unknown, ...] = ()

    @property
    def wrong(self) -> list[Comparison]:
        """The tensors that exceed their tolerance."""
        return [c for c in self.compared if not c.passed]

    @property
    def names(self) -> list[str]:
        """The names of the tensors that were compared, including those with a wrong shape."""
        return [c.name for c in self.compared] + [name for name, _, _ in self.misshapen]

    @cached_property
    def kinds(self) -> dict[str, dict[str, int]]:
        """Each kind's number of tensors that are exact, within the tolerance, wrong and missing."""
        found = [
            (c.name, "exact" if c.exact and c.passed else "within" if c.passed else "wrong") for c in self.compared
        ]
        found += [(name, "wrong") for name, _, _ in self.misshapen] + [(name, "missing") for name in self.missing]
        counts = Counter((kind_of(name), what) for name, what in found)
        return {kind: {what: counts[kind, what] for what in COUNTS} for kind in KINDS}

    def state(self, kind: str) -> str:
        """The state of a kind of tensor, from STATES."""
        n = self.kinds[kind]
        if n["wrong"]:
            return "WRONG"
        if not n["exact"] + n["within"]:
            return "-"
        return "part" if n["missing"] else "ok" if n["within"] else "exact"

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {
            "case": self.case,
            "compared": len(self.compared),
            "exact": sum(counts["exact"] for counts in self.kinds.values()),
            "parts_at": self.parts_at,
            "kinds": {kind: {"state": self.state(kind), **counts} for kind, counts in self.kinds.items()},
            "wrong": [t.to_dict() for t in self.wrong],
            "misshapen": [{"name": n, "expected": list(a), "got": list(b)} for n, a, b in self.misshapen],
            "missing": list(self.missing),
            "extra": list(self.extra),
            "unknown": [u._asdict() for u in self.unknown],
        }


@dataclass(frozen=True)
class PortReport:
    """The result of comparing all of a port's files with the reference.

    Attributes:
        folder: The port's folder.
        cases: A report for each file.
        absent: The cases without a file.
        exported: The cases whose file was written by `export`, and is therefore not compared.
        ignored: The files that are not named after a case, each with the most similar case.
        required: The kinds that must have been compared in every case.
    """

    folder: str
    cases: tuple[CaseReport, ...]
    absent: tuple[str, ...]
    exported: tuple[str, ...] = ()
    ignored: Mapping[str, str | None] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True if every tensor in the files has the right shape and is within its tolerance."""
        return all(case.parts_at is None for case in self.cases)

    @property
    def complete(self) -> bool:
        """True if every tensor of every case was compared."""
        return all(self.coverage(kind) == "full" for kind in KINDS)

    @property
    def verdict(self) -> str:
        """`matches` if everything was compared and agrees, `agrees` if only a part was compared, or `diverges`."""
        return "diverges" if not self.passed else "matches" if self.complete else "agrees"

    @property
    def status(self) -> int:
        """The exit status: 0, or 1 if the port diverges or a requirement is not met."""
        return 0 if self.passed and not any(self.unmet.values()) else 1

    def coverage(self, kind: str) -> str:
        """How much of a kind was compared: `full` (in all cases), `part` or `none`."""
        counts = [case.kinds[kind] for case in self.cases]
        if not any(n["exact"] + n["within"] + n["wrong"] for n in counts):
            return "none"
        return "part" if len(counts) < len(CASES) or any(n["missing"] for n in counts) else "full"

    @property
    def unmet(self) -> dict[str, dict[str, list[str]]]:
        """Each required kind's cases in which it is `missing`, entirely or in part, and those in which it is `wrong`.

        A kind whose requirement is met has an empty dict.
        """
        table = {}
        for kind in self.required:
            missing = {c.case for c in self.cases if c.kinds[kind]["missing"]} | {*self.absent, *self.exported}
            wrong = {c.case for c in self.cases if c.kinds[kind]["wrong"]}
            cases = {"missing": missing, "wrong": wrong}
            table[kind] = {what: [name for name in CASES if name in some] for what, some in cases.items() if some}
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON: the verdict, its coverage, and each case with its counts and every wrong tensor."""
        totals = {kind: {what: sum(c.kinds[kind][what] for c in self.cases) for what in COUNTS} for kind in KINDS}
        return {
            "folder": self.folder,
            "status": self.status,
            "verdict": self.verdict,
            "passed": self.passed,
            "complete": self.complete,
            "kinds": {kind: {"coverage": self.coverage(kind), **counts} for kind, counts in totals.items()},
            "not_tested": list(NOT_TESTED),
            "required": {
                kind: {"met": not unmet, "missing": unmet.get("missing", []), "wrong": unmet.get("wrong", [])}
                for kind, unmet in self.unmet.items()
            },
            "cases": [case.to_dict() for case in self.cases],
            "absent": list(self.absent),
            "exported": list(self.exported),
            "ignored": list(self.ignored),
            "nearest": {name: case for name, case in self.ignored.items() if case},
        }


def place(name: str) -> str:
    """Return a description of a tensor's place in the training run.

    >>> place("step2.doc0.grad.pos3.layer0.q")
    'the gradient of layer0.q at position 3 of document 0 in step 2'
    """
    numbers = {}
    for owner in ("step", "doc", "grad", "pos"):
        if match := re.match(rf"{owner}(\d*)\.", name):
            numbers[owner] = match[1]
            name = name[match.end() :]
    words = (("pos", " at position "), ("doc", " of document "), ("step", " in step "))
    where = "".join(word + numbers[owner] for owner, word in words if owner in numbers)
    return f"the gradient of {name}{where}" if "grad" in numbers else name + where


def render(report: PortReport) -> str:
    """Render a report as text, for a terminal that is 80 columns wide.

    The text contains a table with the state of each kind of tensor in each case, the first divergence in each case, how
    much was compared, and the verdict.
    """
    rows = [(case.case, *(case.state(kind) for kind in KINDS)) for case in report.cases]
    lines = [text_tables.aligned(("case", *KINDS), rows, "l" + "r" * len(KINDS))]
    used = {state for row in rows for state in row[1:]}
    if legend := [f"{state}: {meaning}" for state, meaning in STATES.items() if meaning and state in used]:
        lines.append("; ".join(legend))
    diverging = [case for case in report.cases if case.parts_at is not None]
    for number, case in enumerate(diverging):
        lines += _divergence(case, with_values=number < DETAILED)
    lines += ["", *_coverage(report), *_requirements(report), _verdict(report)]
    return "\n".join(lines)


def _divergence(case: CaseReport, with_values: bool) -> list[str]:
    assert case.parts_at is not None
    lines = ["", *_wrapped("  ", f"{case.case} diverges first at {place(case.parts_at)}", first="")]
    for name, expected, got in case.misshapen:
        if name == case.parts_at:
            lines += _wrapped("  ", f"{name} must have shape {list(expected)}, got {list(got)!s:.60}")
    if with_values:
        lines += [details(t) for t in case.wrong if t.name == case.parts_at]
    return lines


def _coverage(report: PortReport) -> list[str]:
    """Return one line for each fact about what was compared and what was not."""
    missing: Counter[str] = Counter()
    groups: dict[str, Unknown] = {}
    for case in report.cases:
        # A kind that is missing altogether is in the table
        begun = {kind for kind in KINDS if case.state(kind) != "-"}
        missing.update(patterns(name for name in case.missing if kind_of(name) in begun))
        for u in case.unknown:
            before = groups[u.name].number if u.name in groups else 0
            groups[u.name] = u._replace(number=before + u.number)
    by_coverage: dict[str, list[str]] = {"full": [], "part": [], "none": []}
    for kind in KINDS:
        by_coverage[report.coverage(kind)].append(kind)
    compared = sum(len(case.names) for case in report.cases)
    total = compared + sum(len(case.missing) for case in report.cases)
    exact = sum(counts["exact"] for case in report.cases for counts in case.kinds.values())
    facts = {
        "no file for": list(report.absent),
        "as exported": [f"{name} (its file was written by --export)" for name in report.exported],
        "not known": [
            text_tables.visible(name) + f" (did you mean {case}.safetensors?)" * (case is not None)
            for name, case in report.ignored.items()
        ]
        + [str(u) for u in groups.values()],
        "missing": [f"{pattern}\N{NO-BREAK SPACE}({count})" for pattern, count in missing.items()],
        "compared": [
            f"{compared:,} of {total:,} tensors in {len(report.cases)} of {len(CASES)} cases",
            "all bit for bit" if exact == compared else f"{exact:,} bit for bit",
        ],
        "in full": by_coverage["full"],
        "in part": by_coverage["part"],
        "not compared": by_coverage["none"],
        "not tested": list(NOT_TESTED),
    }
    lines = []
    for label, items in facts.items():
        listed = items
        if label in ("missing", "not known") and len(items) > LISTED:
            listed = [*items[:LISTED], f"and {len(items) - LISTED} more"]
        for i, item in enumerate(listed if label == "not known" else [", ".join(listed)] if listed else []):
            lines += _labeled("" if i else label, item)
    return lines


def _requirements(report: PortReport) -> list[str]:
    """Return one line for each requirement that is not met, or one line for all."""
    lines = []
    for kind, unmet in report.unmet.items():
        for what, cases in unmet.items():
            where = "every case" if len(cases) == len(CASES) else ", ".join(cases)
            lines += _labeled("required", f"{kind}: {what} in {where}")
    if report.required and not lines:
        lines = _labeled("required", f"{', '.join(report.required)}: compared in full, and correct")
    return lines


def _verdict(report: PortReport) -> str:
    """State in one line whether the port matches the reference."""
    if report.verdict == "matches":
        return "the port matches the reference in everything that can be compared"
    if report.verdict == "agrees":
        return "the port agrees with the reference in what was compared, which is not everything"
    wrong = sum(counts["wrong"] for case in report.cases for counts in case.kinds.values())
    diverging = sum(case.parts_at is not None for case in report.cases)
    tensors = f"{wrong:,} tensor{'s' * (wrong > 1)}"
    return f"the port does NOT match the reference: {tensors} wrong, in {diverging} case{'s' * (diverging > 1)}"


def _labeled(label: str, text: str) -> list[str]:
    return _wrapped(" " * LABEL, text, first=f"{label:<{LABEL}}")


def _wrapped(indent: str, text: str, first: str | None = None) -> list[str]:
    """Wrap a text for a terminal; `first` is the first line's beginning."""
    start = indent if first is None else first
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
