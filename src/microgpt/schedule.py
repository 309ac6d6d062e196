"""The learning-rate schedule: linear warm-up, then decay to 0."""

from __future__ import annotations

import math


def learning_rate(step: int, num_steps: int, peak: float, warmup_steps: int = 0, decay: str = "linear") -> float:
    """Return the learning rate at a step: linear warm-up to the peak, then decay to 0.

    Args:
        step: The number of updates completed; the learning rate is for the next update.
        num_steps: The number of training steps.
        peak: The peak learning rate, reached at the last warm-up step.
        warmup_steps: The number of warm-up steps; 0 starts at the peak.
        decay: `linear`, or `cosine` for half a cosine period (Loshchilov and Hutter, arXiv:1608.03983).

    Returns:
        The learning rate.

    Example:
        >>> [learning_rate(step, num_steps=6, peak=0.5, warmup_steps=2) for step in range(6)]
        [0.25, 0.5, 0.5, 0.375, 0.25, 0.125]
    """
    if step < warmup_steps:
        return peak * ((step + 1) / warmup_steps)
    progress = (step - warmup_steps) / (num_steps - warmup_steps)
    return peak * ((1 + math.cos(math.pi * progress)) / 2 if decay == "cosine" else 1 - progress)
