"""Processes: this process's rank in distributed training, and the number of processes."""

from __future__ import annotations

import os


def processes() -> tuple[int, int]:
    """Return (rank, world size) as set by torchrun, or (0, 1) without torchrun."""
    if "MASTER_ADDR" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """Return the number of training processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if processes()[1] > 1 else 1
