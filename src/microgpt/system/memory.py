"""Memory: how much is free, how much a process uses, and whether a model fits."""

from __future__ import annotations

import platform
from pathlib import Path

from microgpt.system.processes import processes_here
from microgpt.system.text import size


def free_memory() -> int | None:
    """Return the available memory in bytes; None if the system does not report it."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def peak_memory() -> int:
    """Return this process's peak memory use so far, in bytes; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def check_model_fits(parameters: int) -> None:
    """Raise MemoryError if the weights and Adam's moments alone exceed the free memory."""
    here = processes_here()  # each process has its own copy
    # a checkpoint's three float64 buffers, and an engine's four float32 buffers
    needed, free = parameters * (3 * 8 + 4 * 4) * here, free_memory()
    if free is not None and needed > free:
        raise MemoryError(too_large_message(parameters, needed, free, "this machine", here))


def too_large_message(parameters: int, needed: int, free: int, where: str, processes: int = 1) -> str:
    """Return the error message for a model that does not fit in memory.

    Args:
        parameters: The number of weights in the model.
        needed: The minimum memory required for training, in bytes.
        free: The free memory, in bytes.
        where: The name of the machine or device in the message, such as `this machine`.
        processes: The number of processes that share the memory.

    Returns:
        The message.
    """
    return (
        f"training a model of {parameters:,} parameters{f' in {processes} processes' * (processes > 1)} needs at least"
        f" {size(needed)}, but {where} has {size(free)} free: lower n_embd, n_layer or"
        f" block_size{', or start fewer processes' * (processes > 1)}"
    )
