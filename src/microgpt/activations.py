"""The table of the MLP's activation functions.

This is the only such table in Python: the choices for `activation`, the ONNX export and the kernel's numbering all
derive from it. Each activation is a function of a Value, or of any object with the same operations, and can be
passed to the reference as `activation`. The function's docstring is its formula, which --help and the lab show. The
kernel (engines/native/kernel/activation.h) and the torch model (engines/torch/model.py) have separate implementations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def relu(x: Any) -> Any:
    """max(0, x)."""
    return x.relu()


def relu2(x: Any) -> Any:
    """max(0, x)²."""
    return x.relu() ** 2


# name -> function; an activation's position in the table is its number in the kernel
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {f.__name__: f for f in (relu, relu2)}


def formula(name: str) -> str:
    """Return an activation's formula, such as "max(0, x)" for "relu"."""
    return (ACTIVATIONS[name].__doc__ or "").removesuffix(".")


def choices_text() -> str:
    """Return the choices as text: "relu = max(0, x), or relu2 = max(0, x)²"."""
    return ", or ".join(f"{name} = {formula(name)}" for name in ACTIVATIONS)
