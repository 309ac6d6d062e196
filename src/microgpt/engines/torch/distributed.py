"""Data-parallel training: several processes train one model, each on its share of every batch.

The processes run on one machine or on many. torchrun starts them and tells each its rank, the number of all (the world
size) and where to find the others. What they say to each other goes through PyTorch's own process groups: NCCL between
GPUs, Gloo otherwise.
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
    """This process among the others. With a single one every method gives back what it was given."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.world_size = processes()
        self.alone = self.world_size == 1
        self._device = device
        if self.alone or dist.is_initialized():
            return
        with _others():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)

    def add(self, numbers: Tensor) -> Tensor:
        """Put the sum over all processes into `numbers`: the same bits in each of them."""
        if not self.alone:
            with _others():
                dist.all_reduce(numbers)
        return numbers

    def part(self, length: int) -> slice:
        """This process's part of a flat tensor of that length, a multiple of the world size."""
        size = length // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)

    def join(self, whole: Tensor, part: Tensor) -> Tensor:
        """Put the parts of all processes into `whole`, one after another."""
        if self.alone:
            return whole.copy_(part)
        with _others():
            dist.all_gather(list(whole.chunk(self.world_size)), part.clone())
        return whole

    def add_up(self, numbers: list[float]) -> list[float]:
        """The sums over all processes, of numbers that Python has."""
        if self.alone:
            return numbers
        sums: list[float] = self.add(torch.tensor(numbers, dtype=torch.float64, device=self._device)).tolist()
        return sums


def local_device(name: str, processes_here: int) -> torch.device:
    """The device of this process among those of this machine: to each its own GPU.

    processes_here: how many of them there are. Raises ValueError where there are fewer GPUs.
    """
    if name != "cuda":
        return torch.device(name)
    found = torch.cuda.device_count()
    if processes_here > found:
        raise ValueError(
            f"nproc-per-node must be at most the {found} GPU{'s' * (found != 1)} of this machine, got"
            f" {processes_here}: start fewer, or compute on the CPU (--device cpu)"
        )
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _others() -> Iterator[None]:
    """What fails between processes as an OSError: one of them has gone."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = re.sub(r"^\[[^]]*\] ", "", str(error).strip()).split(". ")[0]  # without the place in their source
        raise ConnectionError(f"another process of this training has ended or cannot be reached ({reason})") from error
