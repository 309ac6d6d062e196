"""What a measurement was made on: processor, cores, system, Python, compiler."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Name -> text, in the order in which one says it. What the system does not tell is left out."""
    libc = " ".join(part for part in platform.libc_ver() if part)
    texts = {
        "processor": processor(),
        "cores": str(cores()),
        "system": " ".join(part for part in (platform.system(), platform.release(), platform.machine(), libc) if part),
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
    }
    return {name: text for name, text in texts.items() if text}


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that a process can still have; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def peak_memory() -> int:
    """Bytes that this process had at most so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} GiB"


def too_large(parameters: int, needed: int, free: int, where: str, processes: int = 1) -> str:
    """What is said of a model that does not fit."""
    return (
        f"a model of {parameters:,} parameters needs at least {size(needed)} to be trained"
        f"{f' by {processes} processes' * (processes > 1)}, and {where} has {size(free)} free: lower n_embd, n_layer or"
        f" block_size{', or start fewer processes' * (processes > 1)}"
    )


def processor() -> str:
    """The processor's model name, or what the system calls its kind."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
