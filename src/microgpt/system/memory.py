"""Memory: how much is free, how much a process uses, and whether a model fits."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from microgpt.system.processes import processes_here
from microgpt.system.text import size


def free_memory() -> int | None:
    """Return the available memory in bytes, or all memory if that is all the system reports; None if unknown."""
    if sys.platform == "emscripten":  # a browser tab, whose memory grows as needed
        return None
    known = [limit for limit in (_available(), _container_limit()) if limit is not None]
    return min(known, default=None)


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total if total > 0 else None
    except (AttributeError, OSError, ValueError):  # Windows, or a system that does not report it
        return None


def _container_limit(root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the memory limit of this process's control groups (a container, for example); None if unlimited."""
    limits = []
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        folder, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        inside = folder / group.lstrip("/")
        for path in (inside, *inside.parents):
            with suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(int((path / name).read_text()))
            if path == folder:
                break
    return min(limits, default=None)


def peak_memory() -> int:
    """Return this process's peak memory use so far, in bytes; 0 if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def check_model_fits(parameters: int, matrices: int = 0) -> None:
    """Raise MemoryError if the weights, Adam's moments and the tables of matrices alone exceed the free memory."""
    here = processes_here()  # each process has its own copy
    # a checkpoint's three float64 buffers, and an engine's four float32 buffers; a matrix's name, shape and place
    needed, free = (parameters * (3 * 8 + 4 * 4) + matrices * 300) * here, free_memory()
    if free is not None and needed > free:
        raise MemoryError(too_large_message(parameters, needed, free, "this machine", here))


def check_fits(needed: int, what: str, remedy: str) -> None:
    """Raise MemoryError if something needs more than the free memory.

    Args:
        needed: The least memory that it needs, in bytes.
        what: What needs the memory, with the argument's name and value.
        remedy: What to do.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{what} needs at least {size(needed)}, but this machine has {size(free)} free: {remedy}")


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
