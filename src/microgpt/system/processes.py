"""Processes: the rank of this one in distributed training, and whether another is alive."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Is there a process with this id? On Windows always yes."""
    if os.name == "nt":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def processes() -> tuple[int, int]:
    """(rank, world size): which of how many processes this is, as torchrun says; alone, (0, 1)."""
    if "MASTER_ADDR" not in os.environ:
        return 0, 1
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def processes_here() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if processes()[1] > 1 else 1
