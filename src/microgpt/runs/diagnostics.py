"""Training diagnostics: learning rate, gradient norm, speed, model FLOPs utilization and memory."""

from __future__ import annotations

from microgpt.flops import training_flops
from microgpt.runs.run import Run
from microgpt.system import text
from microgpt.training import Step

DIAGNOSTICS_SECONDS = 2.0  # seconds between measurements, each of which waits for the device


class Diagnostics:
    """The training diagnostics since the last measurement, for engines that report diagnostics."""

    def __init__(self, run: Run) -> None:
        self.run, self.tokens, self.seconds = run, 0, 0.0
        self.flops = training_flops(run.config, run.engine.vocab_size)

    def add(self, step: Step) -> None:
        self.tokens += step.tokens
        self.seconds += step.seconds

    def measure(self) -> dict[str, float]:
        """Wait for the device and return the measurements by name.

        The speed is computed from the steps' reported times, because an engine can report many steps at once.

        Returns:
            The engine's measurements, `tokens_per_second`, and, if the device's peak is known, `mfu` (model flops
            utilization, 0 to 1); empty if the engine reports nothing.
        """
        facts = {**self.run.engine.diagnostics()}
        if not facts:
            return {}
        speed = self.tokens / self.seconds if self.seconds else 0.0
        self.tokens, self.seconds = 0, 0.0
        if peak := facts.pop("peak_flops", 0.0):
            facts["mfu"] = speed * self.flops / peak
        return {**facts, "tokens_per_second": speed}

    def parts(self, step: Step) -> list[str]:
        """Return the same measurements as strings for a progress line."""
        facts = self.measure()
        if not facts:
            return []
        parts = [f"lr {step.learning_rate:.2e}"]
        if "grad_norm" in facts:
            parts.append(f"grad norm {facts['grad_norm']:.3g}")
        parts.append(f"{facts['tokens_per_second']:,.0f} tokens/s")
        if "mfu" in facts:
            parts.append(f"MFU {facts['mfu']:.1%}")
        return [*parts, text.size(facts["memory"])]
