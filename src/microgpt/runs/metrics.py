"""The metrics of a run: a JSON line for each step, and what an engine reports of its work."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microgpt.errors import RunError
from microgpt.flops import training_flops
from microgpt.runs.run import Run
from microgpt.system import hardware
from microgpt.training import Step

CONDITION_SECONDS = 2.0  # between two looks at a device that computes


class Condition:
    """What an engine on a large machine tells of its work: learning rate, gradient norm, speed, use of the device.

    Others tell nothing, and their lines stay short.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.tokens, self.seconds = run, 0, 0.0
        self.flops = training_flops(run.config, run.engine.vocab_size)

    def add(self, step: Step) -> None:
        self.tokens += step.tokens
        self.seconds += step.seconds

    def measured(self) -> dict[str, float]:
        """Since the last time that it was asked; the device is waited for. `mfu` is model flops utilisation, 0 to 1.

        The speed is by the steps' own time, as many of them arrive at once.
        """
        facts = {**self.run.engine.condition()}
        if not facts:
            return {}
        speed = self.tokens / self.seconds if self.seconds else 0.0
        self.tokens, self.seconds = 0, 0.0
        if peak := facts.pop("peak_flops", 0.0):
            facts["mfu"] = speed * self.flops / peak
        return {**facts, "tokens_per_second": speed}

    def told(self, step: Step) -> list[str]:
        """The same for a line."""
        facts = self.measured()
        if not facts:
            return []
        parts = [f"lr {step.learning_rate:.2e}"]
        if "grad_norm" in facts:
            parts.append(f"grad norm {facts['grad_norm']:.3g}")
        parts.append(f"{facts['tokens_per_second']:,.0f} tokens/s")
        if "mfu" in facts:
            parts.append(f"MFU {facts['mfu']:.1%}")
        return [*parts, hardware.size(facts["memory"])]


def record(step: Step) -> dict[str, Any]:
    """A step as metrics.jsonl keeps it."""
    kept = asdict(step)
    del kept["seconds"]  # which another run of the same training has not
    return {name: value for name, value in kept.items() if value is not None}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a last line that a killed process left half written is left out.

    Raises RunError, with the line's number, where another line is no step of a run.
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
        except (ValueError, TypeError, KeyError, RecursionError):  # no JSON or UTF-8, no object, another object, a nest
            if number < len(lines) or content.endswith(b"\n"):
                raise RunError(
                    f"{str(path)!r} is not the metrics of a run, or is damaged: line {number}; mend that line, or take"
                    " the file away: the checkpoint does not need it"
                ) from None
    return metrics
