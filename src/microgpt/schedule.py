"""The learning-rate schedule: linear warm-up, then decay to 0."""

from __future__ import annotations

import math


def learning_rate(step: int, num_steps: int, largest: float, warmup_steps: int = 0, decay: str = "linear") -> float:
    """Of the step after `step` updates: it rises to `largest` at the last of warmup_steps, and falls from there to 0.

    decay: `linear`, a straight line; `cosine`, half a wave (Loshchilov and Hutter, arXiv:1608.03983).
    """
    if step < warmup_steps:
        return largest * ((step + 1) / warmup_steps)
    way = (step - warmup_steps) / (num_steps - warmup_steps)
    return largest * ((1 + math.cos(math.pi * way)) / 2 if decay == "cosine" else 1 - way)
