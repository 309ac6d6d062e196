"""Hardware and software facts to report with a measurement.

The facts are the processor, the number of cores, the operating system, and Python's version and compiler.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Return the facts, name -> text, in display order; unknown facts are omitted."""
    libc = " ".join(part for part in platform.libc_ver() if part)
    texts = {
        "processor": processor(),
        "cores": str(cores()),
        "system": " ".join(part for part in (platform.system(), platform.release(), platform.machine(), libc) if part),
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
    }
    return {name: text for name, text in texts.items() if text}


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Return the processor's model name, or its architecture if the model name is unknown."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
