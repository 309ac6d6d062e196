"""The table of the MLP's activation functions.

This is the only such table in Python. Each is an argument for the reference's `activation`: a function of one Value, or
of anything with a Value's operations. Its docstring describes it in --help. The setting's choices, the ONNX export and
the kernel's numbers derive from the table. The kernel (engines/native/kernel/activation.h) and the torch model
(engines/torch/model.py) have their own code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def relu(x: Any) -> Any:
    """ReLU"""
    return x.relu()


def relu2(x: Any) -> Any:
    """ReLU squared"""
    return x.relu() ** 2


# name -> function; the place in the table is the activation's number in the kernel
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (relu, relu2)}


def described() -> str:
    """The choices for people: "relu, or relu2 (ReLU squared)"."""
    choices = [
        name if (f.__doc__ or "").lower() == name else f"{name} ({f.__doc__})" for name, f in ACTIVATIONS.items()
    ]
    return ", or ".join([", ".join(choices[:-1]), choices[-1]])
