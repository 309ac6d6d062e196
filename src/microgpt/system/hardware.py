"""Hardware and software facts to quote with a measurement.

They are the processor, its cores, the system, Python and the compiler.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Name -> text, in the order to quote them. Facts that the system does not tell are left out."""
    libc = " ".join(part for part in platform.libc_ver() if part)
    texts = {
        "processor": processor(),
        "cores": str(cores()),
        "system": " ".join(part for part in (platform.system(), platform.release(), platform.machine(), libc) if part),
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
    }
    return {name: text for name, text in texts.items() if text}


def cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's model name, or what the system calls its kind."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
