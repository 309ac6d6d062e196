"""Choose the torch engine's device: CUDA, MPS or the CPU."""

from __future__ import annotations

import torch

from microgpt.engines.torch.distributed import local_device
from microgpt.system.processes import processes, processes_here

# Dense flop a second in bfloat16, from the makers' data sheets, by a part of the device's name
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}


def choose_device(name: str | None, precision: str) -> torch.device:
    """The device of that name; without one the best that is here and can compute in that precision.

    Raises ValueError for a device that is not here.
    """
    _, world_size = processes()
    here = {
        "cuda": torch.cuda.is_available(),
        # Apple's GPUs know neither float64 nor other processes
        "mps": torch.backends.mps.is_available() and precision != "float64" and world_size == 1,
        "cpu": True,
    }
    if name is None:
        name = next(device for device, available in here.items() if available)
    if not here.get(name):
        found = ", ".join(device for device, available in here.items() if available)
        raise ValueError(
            f"device must be one that is here for {precision} ({found}), got device={name!r}: leave it out for the best"
        )
    return local_device(name, processes_here())


def has_gpu() -> bool:
    """Is there one that PyTorch can use?"""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def describe(device: torch.device) -> str:
    """For people: the GPU's name, or how many threads the CPU gives."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'s' * (threads > 1)}"
    return device.type
