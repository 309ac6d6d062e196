"""Read and write a run's metrics: metrics.jsonl, with one JSON line per step."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from microgpt.errors import RunError
from microgpt.system.files import atomic
from microgpt.training import Step


def record(step: Step) -> dict[str, Any]:
    """Return a step as metrics.jsonl stores it."""
    kept = asdict(step)
    del kept["seconds"]  # it differs between otherwise identical runs
    return {name: value for name, value in kept.items() if value is not None}


def write_step(file: TextIO, step: Step) -> None:
    """Append a step's line to an open metrics.jsonl."""
    file.write(json.dumps(record(step)) + "\n")


def cut_metrics(path: Path, last_step: int) -> None:
    """Drop the lines for steps after last_step, because a run that resumes at last_step repeats those steps."""
    kept = [line for line in read_metrics(path) if line["step"] <= last_step] if path.exists() else []
    with atomic(path) as file:
        file.writelines(json.dumps(line).encode() + b"\n" for line in kept)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the steps in a metrics.jsonl; an incomplete last line, left by a killed process, is ignored.

    Args:
        path: The file.

    Returns:
        The steps, as `record` returns them.

    Raises:
        RunError: A complete line is not a step; the message gives the line number.
    """
    metrics: list[dict[str, Any]] = []
    content = path.read_bytes()
    lines = content.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            step = json.loads(line)
            if not (isinstance(step["step"], int) and isinstance(step["loss"], float)):
                raise TypeError
            metrics.append(step)
        except (
            ValueError,
            TypeError,
            KeyError,
            RecursionError,
        ):  # bad JSON or UTF-8, not an object, not a step, or nested too deeply
            if number < len(lines) or content.endswith(b"\n"):
                raise RunError(
                    f"{str(path)!r} is not a metrics file, or is damaged: line {number} is not a step; fix that line,"
                    " or delete the file (the checkpoint does not need it)"
                ) from None
    return metrics
