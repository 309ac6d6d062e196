"""Data-parallel training: several processes train one model, each on its share of every batch.

The processes run on one machine or on several. torchrun starts the processes and passes each process its rank, the
number of processes (the world size), and the address at which they connect. The processes communicate through
PyTorch's process groups: NCCL between GPUs, Gloo otherwise.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from microgpt.system.processes import processes


class Ranks:
    """The processes that train together. With a single process, there is no communication."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world_size = processes()
        self.alone = self.world_size == 1
        self._device = device
        if self.alone or dist.is_initialized():
            return
        with _peer_errors():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)

    def add(self, numbers: Tensor) -> Tensor:
        """Sum `numbers` over all processes, in place; every process gets the same sum, bit for bit."""
        if not self.alone:
            with _peer_errors():
                dist.all_reduce(numbers)
        return numbers

    def part(self, length: int) -> slice:
        """Return this process's slice of a flat tensor; `length` must be a multiple of the world size."""
        size = length // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    def join(self, whole: Tensor, part: Tensor) -> Tensor:
        """Concatenate all processes' parts into `whole`, in place; return `whole`."""
        if self.alone:
            return whole.copy_(part)
        with _peer_errors():
            dist.all_gather(list(whole.chunk(self.world_size)), part.clone())
        return whole

    def add_up(self, numbers: list[float]) -> list[float]:
        """Return each number summed over all processes."""
        if self.alone:
            return numbers
        sums: list[float] = self.add(torch.tensor(numbers, dtype=torch.float64, device=self._device)).tolist()
        return sums


def local_device(name: str, processes_here: int) -> torch.device:
    """Return this process's device; with CUDA, each process on a machine gets its own GPU.

    Args:
        name: The device type: `cuda`, `mps` or `cpu`.
        processes_here: The number of processes on this machine.

    Raises:
        ValueError: If this machine has fewer GPUs than processes.
    """
    if name != "cuda":
        return torch.device(name)
    found = torch.cuda.device_count()
    if processes_here > found:
        raise ValueError(
            f"nproc-per-node must be at most {found}, the number of GPUs in this machine, got"
            f" {processes_here}: start fewer processes, or use the CPU (--device cpu)"
        )
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Convert errors in communication with other processes to ConnectionError, which is an OSError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = re.sub(r"^\[[^]]*\] ", "", str(error).strip()).split(". ")[0]  # without PyTorch's source location
        raise ConnectionError(
            f"another process in this training run has stopped or cannot be reached ({reason})"
        ) from error
