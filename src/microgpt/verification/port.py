"""Verify a port in any language: export the reference's values, and compare the port's with them.

Both sets of values are stored in files. `export` writes a folder; docs/verify.md fully describes its layout. A port
computes the same tensors from the same inputs and writes them under the same names, and `against` finds the first
tensor that diverges.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from microgpt.config import offsets, shapes
from microgpt.errors import SafetensorsError
from microgpt.system import hardware, safetensors
from microgpt.tracing.recorder import Tensor
from microgpt.verification.cases import CASES, Case, chosen_cases
from microgpt.verification.compare import PROMISES, allowed, compare
from microgpt.verification.kinds import INPUTS, check_kinds, nearest, unknown
from microgpt.verification.port_report import LISTED, CaseReport, PortReport

FORMAT, VERSION = "microgpt-verify", 1
TOLERANCES = {"F64": PROMISES["float64"], "F32": PROMISES["float32"]}
TYPECODES = {"F64": "d", "F32": "f"}
MAX_FILE = 1 << 28  # bytes; the largest exported file is less than a hundredth of this size

Progress = Callable[[str], None]


def expected(case: Case) -> dict[str, Tensor]:
    """Return all tensors in a case's file: the initial weights (such as `init.wte`), then the training tensors."""
    table = shapes(case.config, case.vocab_size)
    params = case.params()
    start = {f"{INPUTS}{name}": Tensor(table[name], params[part]) for name, part in offsets(table).items()}
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
                {"learning_rate": rate, "documents": batch} for rate, batch in zip(case.learning_rates, case.batches())
            ],
            "tensors": {name: list(tensor.shape) for name, tensor in tensors.items()},
        }
    text = json.dumps(index, indent=1)
    flat = re.sub(r"\[[\d,\s]*\]", lambda numbers: " ".join(numbers[0].split()), text)  # each list on one line
    path = folder / "index.json"
    path.write_text(flat + "\n", encoding="utf-8")
    return [path, *paths]


def against(
    folder: Path | str,
    tolerance: float | None = None,
    progress: Progress | None = None,
    *,
    cases: Iterable[str] | None = None,
    require: Iterable[str] = (),
) -> PortReport:
    """Compare a port's files with the reference; tensors and entire files may be missing.

    The inputs do not count, even if the port's files contain them, and neither does a file that `export` wrote.

    Args:
        folder: The folder that contains the port's files, laid out as `export` writes them.
        tolerance: The largest difference allowed for values of magnitude 1; overrides TOLERANCES.
        progress: Called with a description of each case before it is computed.
        cases: Names from CASES; default: all.
        require: The kinds of tensors, from KINDS, that must be compared in full in every case.

    Raises:
        ValueError: If a case or a kind is unknown, or if nothing can be compared: the folder is missing, has no file
            named after a case, or has no tensor named as in the export; or if a file is not in the safetensors format
            or has a tensor that is neither F64 nor F32. The message names the folder or file.
    """
    folder = Path(folder)
    chosen = chosen_cases(cases)
    required = check_kinds(require)
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got tolerance={tolerance}")
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder: specify the folder that contains the port's files")
    found = {path.stem: path for path in sorted(folder.glob("*.safetensors"))}
    ignored = {path.name: nearest(name, CASES) for name, path in found.items() if name not in CASES}
    if not any(case.name in found for case in chosen):
        similar = [f"{name} (did you mean {near}.safetensors?)" for name, near in ignored.items() if near]
        raise ValueError(
            f"{str(folder)!r} contains no files to compare: name them as export does"
            f" ({', '.join(f'{case.name}.safetensors' for case in chosen)})"
            + (f"; got {', '.join(similar[:LISTED])}" if similar else "")
        )
    reports, exported = [], []
    for case in chosen:
        if case.name in found:
            tensors, metadata = _read(found[case.name])
            if metadata.get("format") == FORMAT:
                exported.append(case.name)
                continue
            if progress:
                progress(f"{case.name}: {case.about}")
            reports.append(_against_case(case, tensors, tolerance))
    if not any(report.names for report in reports):
        raise ValueError(f"nothing to compare in {str(folder)!r}: {_nothing(reports, exported)}")
    return PortReport(
        str(folder),
        tuple(reports),
        absent=tuple(case.name for case in chosen if case.name not in found),
        exported=tuple(exported),
        ignored=ignored,
        required=required,
    )


def _nothing(reports: Sequence[CaseReport], exported: Sequence[str]) -> str:
    """Explain why none of a port's files contains anything to compare."""
    reasons = [f"--export wrote the files of {', '.join(exported)}"] if exported else []
    for report in reports:
        what = "no tensor with a name from index.json"
        if report.unknown:
            more = f" and {len(report.unknown) - LISTED} more" if len(report.unknown) > LISTED else ""
            what += f", but {', '.join(map(str, report.unknown[:LISTED]))}{more}"
        elif report.inputs:
            what = f"only inputs ({report.inputs} tensors)"
        reasons.append(f"{report.case}.safetensors contains {what}")
    more = f"; and {len(reasons) - LISTED} more files" if len(reasons) > LISTED else ""
    return "; ".join(reasons[:LISTED]) + more


def _read(path: Path) -> tuple[dict[str, safetensors.Tensor], dict[str, str]]:
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is not a file")
    if (size := path.stat().st_size) > MAX_FILE:
        raise ValueError(f"{str(path)!r} must have at most {MAX_FILE} bytes, got {size}")
    try:
        return safetensors.read(path)
    except SafetensorsError as error:
        raise ValueError(f"{str(path)!r} is not a safetensors file: {error}") from None
    except OSError as error:
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from None


def _against_case(case: Case, got: dict[str, safetensors.Tensor], tolerance: float | None) -> CaseReport:
    truth = expected(case)
    compared, misshapen, missing, parts_at = [], [], [], None
    inputs = {name for name in got if name.startswith(INPUTS)}
    for name, (shape, numbers) in truth.items():
        if name.startswith(INPUTS):
            continue
        if name not in got:
            missing.append(name)
            continue
        tensor = got[name]
        # A single number may have any number of dimensions: many libraries write a scalar with shape [1]
        if tensor.shape != shape and not math.prod(tensor.shape) == math.prod(shape) == 1:
            misshapen.append((name, shape, tensor.shape))
            parts_at = parts_at or name
            continue
        promise = TOLERANCES[tensor.dtype] if tolerance is None else tolerance
        typecode = TYPECODES[tensor.dtype]
        compared.append(compare(name, shape, numbers, tensor.floats(), allowed(name, numbers, promise), typecode))
        if not compared[-1].passed:
            parts_at = parts_at or name
    extra = tuple(name for name in got if name not in truth and name not in inputs)
    groups = unknown(extra, list(truth)) if extra else ()
    return CaseReport(
        case.name,
        tuple(compared),
        tuple(misshapen),
        tuple(missing),
        extra,
        parts_at,
        inputs=len(inputs),
        unknown=groups,
    )
