"""Choose the torch engine's device: CUDA, MPS or the CPU."""

from __future__ import annotations

import torch

from microgpt.engines.torch.distributed import local_device
from microgpt.system.processes import processes, processes_here

# Part of a GPU's name -> the GPU's peak dense bfloat16 flops per second, from the manufacturer's data sheet
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}


def choose_device(name: str | None, precision: str) -> torch.device:
    """Return the device to compute on.

    Args:
        name: `cuda`, `mps` or `cpu`; None for the best device available.
        precision: The precision that the device must support.

    Raises:
        ValueError: If the device is not available.
    """
    _, world_size = processes()
    devices = {
        "cuda": torch.cuda.is_available(),
        # Apple's GPUs support neither float64 nor distributed training
        "mps": torch.backends.mps.is_available() and precision != "float64" and world_size == 1,
        "cpu": True,
    }
    if name is None:
        name = next(device for device, available in devices.items() if available)
    if not devices.get(name):
        found = ", ".join(device for device, available in devices.items() if available)
        raise ValueError(
            f"device must be one of {found} for {precision} on this machine, got device={name!r}: omit it to use the"
            " best device"
        )
    return local_device(name, processes_here())


def has_gpu() -> bool:
    """Return whether this machine has a GPU that PyTorch can use."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def describe(device: torch.device) -> str:
    """Return a readable description of a device, including a GPU's name or the number of CPU threads."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        threads = torch.get_num_threads()
        return f"cpu, {threads} thread{'s' * (threads > 1)}"
    return device.type
