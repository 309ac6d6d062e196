"""Training diagnostics: learning rate, gradient norm, speed, model FLOPs utilization, memory."""

from __future__ import annotations

from microgpt.flops import training_flops
from microgpt.runs.run import Run
from microgpt.system import text
from microgpt.training import Step

CONDITION_SECONDS = 2.0  # between two looks at a device that computes


class Condition:
    """The condition since it was last asked for. Only engines that compute on a device report one."""

    def __init__(self, run: Run) -> None:
        self.run, self.tokens, self.seconds = run, 0, 0.0
        self.flops = training_flops(run.config, run.engine.vocab_size)

    def add(self, step: Step) -> None:
        self.tokens += step.tokens
        self.seconds += step.seconds

    def measured(self) -> dict[str, float]:
        """Each fact by its name; waits for the device. `mfu` is model flops utilisation, 0 to 1.

        The speed counts the steps' own time, because many of them arrive at once.
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
        """The same facts as parts of a line for people."""
        facts = self.measured()
        if not facts:
            return []
        parts = [f"lr {step.learning_rate:.2e}"]
        if "grad_norm" in facts:
            parts.append(f"grad norm {facts['grad_norm']:.3g}")
        parts.append(f"{facts['tokens_per_second']:,.0f} tokens/s")
        if "mfu" in facts:
            parts.append(f"MFU {facts['mfu']:.1%}")
        return [*parts, text.size(facts["memory"])]
