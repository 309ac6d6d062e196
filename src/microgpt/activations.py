"""The table of the MLP's activation functions.

This is the only such table in Python: the setting's choices, the ONNX export and the kernel's numbering derive from it.
Each activation is a function that the reference accepts as `activation`: it takes one Value, or anything with a Value's
operations. Its docstring is its description in --help. The kernel (engines/native/kernel/activation.h) and the torch
model (engines/torch/model.py) implement the activations themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def relu(x: Any) -> Any:
    """ReLU."""
    return x.relu()


def relu2(x: Any) -> Any:
    """ReLU squared."""
    return x.relu() ** 2


# name -> function; an activation's position in the table is its number in the kernel
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (relu, relu2)}


def choices_text() -> str:
    """Return the choices as text: "relu, or relu2 (ReLU squared)"."""
    descriptions = {name: (f.__doc__ or "").removesuffix(".") for name, f in ACTIVATIONS.items()}
    choices = [name if text.lower() == name else f"{name} ({text})" for name, text in descriptions.items()]
    return ", or ".join([", ".join(choices[:-1]), choices[-1]])
