"""Verify a port in any language: export the reference's values, and compare the port's with them.

Both sets of values are stored in files. `export` writes a folder; docs/verify.md fully describes its layout. A port
computes the same tensors from the same inputs and writes them under the same names, and `against` finds the first
tensor that diverges.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.config import offsets, shapes
from microgpt.errors import SafetensorsError
from microgpt.system import hardware, safetensors
from microgpt.system import text as text_tables
from microgpt.tracing.names import Shape
from microgpt.tracing.recorder import Tensor
from microgpt.verification.cases import CASES, LEARNING_RATES, Case
from microgpt.verification.compare import PROMISES, Comparison, allowed, compare, details

FORMAT, VERSION = "microgpt-verify", 1
TOLERANCES = {"F64": PROMISES["float64"], "F32": PROMISES["float32"]}
TYPECODES = {"F64": "d", "F32": "f"}
MAX_FILE = 1 << 28  # bytes; the largest exported file is less than a hundredth of this size
LISTED = 4  # the maximum number of name patterns on a line

Progress = Callable[[str], None]


def expected(case: Case) -> dict[str, Tensor]:
    """Return all tensors in a case's file: the initial weights (such as `init.wte`), then the training tensors."""
    table = shapes(case.config, case.vocab_size)
    params = case.params()
    start = {f"init.{name}": Tensor(table[name], params[part]) for name, part in offsets(table).items()}
    return {**start, **case.record()}


def export(folder: Path | str, progress: Progress | None = None) -> list[Path]:
    """Write index.json and a safetensors file for each case to a new or empty folder.

    Args:
        folder: The folder.
        progress: Called with a description of each case before it is computed.

    Returns:
        The paths of the files.

    Raises:
        ValueError: If the folder is not empty.
        OSError: If a file cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"the export folder must be new or empty, got {str(folder)!r}")
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": hardware.facts(),
        "units": {"loss": "nats per token", "grad": "nats per token, per unit of the value", "index": "from 0"},
        "tolerances": {
            **TOLERANCES,
            "rule": "largest difference allowed in a tensor = tolerance * max(bound, its largest expected magnitude);"
            " bound = 1e-6 for v, 0.01 for m and for parameter gradients, 1 for all other tensors",
        },
        "cases": {},
    }
    paths = []
    for case in CASES.values():
        if progress:
            progress(f"{case.name}: {case.about}")
        tensors = expected(case)
        path = folder / f"{case.name}.safetensors"
        metadata = {"format": FORMAT, "version": str(VERSION), "case": case.name}
        safetensors.write(path, {n: safetensors.tensor(t.numbers, t.shape) for n, t in tensors.items()}, metadata)
        paths.append(path)
        index["cases"][case.name] = {
            "about": case.about,
            "file": path.name,
            "config": case.config.to_dict(),
            "vocab_size": case.vocab_size,
            "bos": case.bos,
            "steps": [
                {"learning_rate": rate, "documents": batch} for rate, batch in zip(LEARNING_RATES, case.batches())
            ],
            "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
        }
    text = json.dumps(index, indent=1)
    flat = re.sub(r"\[[\d,\s]*\]", lambda numbers: " ".join(numbers[0].split()), text)  # each list on one line
    path = folder / "index.json"
    path.write_text(flat + "\n", encoding="utf-8")
    return [path, *paths]


@dataclass(frozen=True)
class CaseReport:
    """The result of comparing one of a port's files with the reference.

    Attributes:
        case: The name of the case.
        compared: The comparisons, in order of computation.
        misshapen: (name, expected shape, actual shape) for each tensor with a wrong shape.
        missing: Tensors in the export that are missing from the file.
        extra: Tensors in the file that are missing from the export.
        parts_at: The first tensor that has a wrong shape or exceeds its tolerance; None if every tensor matches.
    """

    case: str
    compared: tuple[Comparison, ...]
    misshapen: tuple[tuple[str, Shape, Shape], ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    parts_at: str | None

    @property
    def wrong(self) -> list[Comparison]:
        """The tensors that exceed their tolerance."""
        return [c for c in self.compared if not c.passed]


@dataclass(frozen=True)
class PortReport:
    """The result of comparing all of a port's files with the reference.

    Attributes:
        folder: The port's folder.
        cases: A report for each file.
        absent: The cases without a file.
        ignored: The files that are not named after a case.
    """

    folder: str
    cases: tuple[CaseReport, ...]
    absent: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True if every tensor in the files has the right shape and is within its tolerance."""
        return all(case.parts_at is None for case in self.cases)

    @property
    def status(self) -> int:
        """The exit status: 0, or 1 if the port diverges from the reference."""
        return 0 if self.passed else 1

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict: each case with its counts, its first divergence, and every wrong tensor."""
        return {
            "folder": self.folder,
            "passed": self.passed,
            "cases": [
                {
                    "case": c.case,
                    "compared": len(c.compared),
                    "exact": sum(t.exact for t in c.compared),
                    "parts_at": c.parts_at,
                    "wrong": [t.to_dict() for t in c.wrong],
                    "misshapen": [{"name": n, "expected": list(a), "got": list(b)} for n, a, b in c.misshapen],
                    "missing": list(c.missing),
                    "extra": list(c.extra),
                }
                for c in self.cases
            ],
            "absent": list(self.absent),
            "ignored": list(self.ignored),
        }


def against(folder: Path | str, tolerance: float | None = None, progress: Progress | None = None) -> PortReport:
    """Compare a port's files with the reference; tensors and entire files may be missing.

    Args:
        folder: The folder that contains the port's files, laid out as `export` writes them.
        tolerance: The largest difference allowed for values of magnitude 1; overrides TOLERANCES.
        progress: Called with a description of each case before it is computed.

    Raises:
        ValueError: If the files cannot be compared: the folder is missing or has no file named after a case, a file is
            not in the safetensors format, or a tensor is neither F64 nor F32. The message names the folder or file.
    """
    folder = Path(folder)
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got tolerance={tolerance}")
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder: specify the folder that contains the port's files")
    found = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
    if not found.keys() & CASES.keys():
        raise ValueError(
            f"{str(folder)!r} contains no files to compare: name them as export does"
            f" ({', '.join(f'{name}.safetensors' for name in CASES)})"
        )
    reports = []
    for name, case in CASES.items():
        if name in found:
            if progress:
                progress(f"{name}: {case.about}")
            reports.append(_against_case(case, _read(found[name]), tolerance))
    return PortReport(
        str(folder),
        tuple(reports),
        absent=tuple(name for name in CASES if name not in found),
        ignored=tuple(path.name for name, path in found.items() if name not in CASES),
    )


def _read(path: Path) -> dict[str, safetensors.Tensor]:
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is not a file")
    if (size := path.stat().st_size) > MAX_FILE:
        raise ValueError(f"{str(path)!r} must have at most {MAX_FILE} bytes, got {size}")
    try:
        tensors, _ = safetensors.read(path)
    except SafetensorsError as error:
        raise ValueError(f"{str(path)!r} is not a safetensors file: {error}") from None
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from None
    return tensors


def _against_case(case: Case, got: dict[str, safetensors.Tensor], tolerance: float | None) -> CaseReport:
    truth = expected(case)
    compared, misshapen, missing, parts_at = [], [], [], None
    for name, (shape, numbers) in truth.items():
        if name not in got:
            if not name.startswith("init."):  # an input, which a port does not have to return
                missing.append(name)
            continue
        tensor = got[name]
        if tensor.shape != shape:
            misshapen.append((name, shape, tensor.shape))
            parts_at = parts_at or name
            continue
        promise = TOLERANCES[tensor.dtype] if tolerance is None else tolerance
        typecode = TYPECODES[tensor.dtype]
        compared.append(compare(name, shape, numbers, tensor.floats(), allowed(name, numbers, promise), typecode))
        if not compared[-1].passed:
            parts_at = parts_at or name
    extra = tuple(name for name in got if name not in truth)
    return CaseReport(case.name, tuple(compared), tuple(misshapen), tuple(missing), extra, parts_at)


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
    """Render a report as text: one line per case, the missing and extra tensors, and each case's first divergence."""
    rows = []
    for c in report.cases:
        wrong = len(c.wrong) + len(c.misshapen)
        exact = sum(t.exact for t in c.compared)
        within = len(c.compared) - len(c.wrong) - exact
        counts = (len(c.compared) + len(c.misshapen), exact, within, wrong, len(c.missing), len(c.extra))
        rows.append((c.case, *map(str, counts)))
    header = ("case", "tensors", "equal", "within", "wrong", "missing", "extra")
    lines = [text_tables.aligned(header, rows, "lrrrrrr"), ""]
    for c in report.cases:
        if c.missing:
            lines.append(f"{c.case}: missing: {_kinds(c.missing)}")
        if c.extra:
            lines.append(f"{c.case}: not in the export: {_kinds(c.extra)}")
    if report.absent:
        lines.append(f"no file for: {', '.join(report.absent)}")
    if report.ignored:
        lines.append(f"not named after a case: {', '.join(map(text_tables.visible, report.ignored))}")
    for c in report.cases:
        if c.parts_at is not None:
            lines.append(f"{c.case} first diverges from the reference at {place(c.parts_at)}")
            lines += [
                f"{name} must have shape {list(expected)}, got {list(got)}"
                for name, expected, got in c.misshapen
                if name == c.parts_at
            ]
            lines += [details(t) for t in c.wrong if t.name == c.parts_at]
    count = sum(len(c.compared) for c in report.cases)
    exact = sum(t.exact for c in report.cases for t in c.compared)
    if report.passed:
        lines.append(f"the port matches the reference in all {count} tensors compared, {exact} of them bit for bit")
    else:
        diverging = sum(c.parts_at is not None for c in report.cases)
        lines.append(f"the port does NOT match the reference: {diverging} of {len(report.cases)} cases diverge")
    return "\n".join(lines)


def _kinds(names: Sequence[str]) -> str:
    """Summarize names as patterns without numbers, each with its count: step*.doc*.pos*.probs (21), ..."""
    counts = Counter(re.sub(r"\d+", "*", name) for name in names)
    listed = [f"{text_tables.visible(kind):.80} ({count})" for kind, count in counts.items()]
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED} more" if len(listed) > LISTED else "")
