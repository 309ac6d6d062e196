"""Processes: this process's rank in distributed training, and whether a process is alive."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists; always True on Windows."""
    if os.name == "nt":  # signal 0 is Ctrl-C on Windows
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's process
        return True
    return True


def processes() -> tuple[int, int]:
    """Return (rank, world size) as set by torchrun, or (0, 1) without torchrun."""
    if "MASTER_ADDR" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """Return the number of training processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if processes()[1] > 1 else 1
