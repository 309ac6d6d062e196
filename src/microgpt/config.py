"""Model sizes, training settings, the published presets, and the table of parameter shapes.

vocab_size is not a setting: it comes from the data.
"""

from __future__ import annotations

import dataclasses
import math
import random
from array import array
from dataclasses import dataclass, field
from typing import Any

from microgpt import reference
from microgpt.activations import ACTIVATIONS, choices_text
from microgpt.parameters import role

DECAYS = ("linear", "cosine")
# The largest sizes: the kernel computes with 32-bit integers (the width of an MLP, for example), and counts steps in 64
AT_MOST = {
    "n_embd": 2**28,
    "n_head": 2**28,
    "n_layer": 2**26,
    "block_size": 2**30,
    "num_steps": 2**62,
    "batch_size": 2**30,
}


def _setting(default: Any, help: str, later: bool = False, always: bool = True) -> Any:
    """Declare a setting.

    Args:
        default: Its default.
        help: Its explanation.
        later: Whether old files may lack the setting, which then gets its default.
        always: Whether files contain the setting even if it has its default; see Config.to_file.
    """
    return field(default=default, metadata={"help": help, "later": later, "always": always})


@dataclass(frozen=True)
class Config:
    """The settings for a model and its training; the defaults match the final published version.

    Each field's metadata contains the description that `microgpt train --help` prints.

    Raises:
        ValueError: A setting is invalid; the message names the setting and shows its value.

    Example:
        >>> Config(n_embd=32).replace(num_steps=500).n_embd
        32
        >>> Config(n_embd=10)
        Traceback (most recent call last):
        ValueError: n_embd must be a multiple of n_head, got n_embd=10, n_head=4 (try n_embd=12)
    """

    n_embd: int = _setting(16, "Model width: the number of values that represent each token.")
    n_head: int = _setting(4, "Attention heads per layer; must divide n_embd.")
    n_layer: int = _setting(1, "Number of layers, each with attention and an MLP.")
    block_size: int = _setting(16, "Context length in tokens; longer documents are truncated.")
    activation: str = _setting("relu", f"The MLP's activation function: {choices_text()}.")
    init_std: float = _setting(0.08, "Standard deviation of the initial weights.")
    zero_init: bool = _setting(False, "Initialize attn_wo and mlp_fc2 to 0, so that each layer starts as the identity.")
    bos_first: bool = _setting(False, "Use token id 0 for BOS instead of the last id.")
    learning_rate: float = _setting(0.01, "Adam's peak learning rate; the learning rate then decays to 0.")
    warmup_steps: int = _setting(0, "Steps over which the learning rate rises to its peak.", later=True)
    decay: str = _setting("linear", "Shape of the learning rate's decay to 0: linear or cosine.", later=True)
    beta1: float = _setting(0.85, "Adam's decay rate for the running mean of the gradient (momentum).")
    beta2: float = _setting(0.99, "Adam's decay rate for the running mean of the squared gradient.")
    eps_adam: float = _setting(1e-8, "Constant added to Adam's denominator to prevent division by zero.")
    weight_decay: float = _setting(
        0.0, "AdamW's decoupled weight decay, applied to every matrix.", later=True, always=False
    )
    clip: float = _setting(0.0, "Clip the gradient to this norm; 0 disables clipping.", later=True)
    num_steps: int = _setting(1000, "Number of training steps.")
    batch_size: int = _setting(1, "Documents per step.")
    temperature: float = _setting(0.5, "Sampling temperature; 0 always picks the most likely token.")
    seed: int = _setting(42, "Random seed for the document order, the initial weights and the samples.")

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            value, kind = getattr(self, f.name), type(f.default)
            if kind is float and type(value) is int:  # 1 is a valid value, but files must contain 1.0
                try:
                    object.__setattr__(self, f.name, float(value))
                except OverflowError:
                    raise ValueError(
                        f"{f.name} must be a finite number, got an integer too large for a float"
                    ) from None
            elif type(value) is not kind:
                raise ValueError(f"{f.name} must be {_A[kind]}, got {f.name}={value!r}")
        for name, most in AT_MOST.items():
            check_size(name, getattr(self, name), most)
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd must be a multiple of n_head, got n_embd={self.n_embd}, n_head={self.n_head}"
                f" (try n_embd={self.n_embd + -self.n_embd % self.n_head})"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got activation={self.activation!r}")
        if self.decay not in DECAYS:
            raise ValueError(f"decay must be one of {', '.join(DECAYS)}, got decay={self.decay!r}")
        if not 0 <= self.warmup_steps < self.num_steps:
            raise ValueError(
                f"warmup_steps must be at least 0 and less than num_steps={self.num_steps},"
                f" got warmup_steps={self.warmup_steps}"
            )
        for name in ("init_std", "learning_rate", "weight_decay", "clip", "temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be finite and at least 0, got {name}={value}")
        if not self.learning_rate * self.weight_decay < 1:
            raise ValueError(
                "learning_rate * weight_decay must be less than 1, got"
                f" learning_rate={self.learning_rate}, weight_decay={self.weight_decay}:"
                " lower one of them (weight_decay is usually at most 0.1)"
            )
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and less than 1, got {name}={getattr(self, name)}")
        if not (math.isfinite(self.eps_adam) and self.eps_adam > 0):
            raise ValueError(f"eps_adam must be finite and greater than 0, got eps_adam={self.eps_adam}")

    def replace(self, **changes: Any) -> Config:
        """Return a copy with some settings changed.

        Args:
            **changes: The new values, by name.

        Raises:
            TypeError: A name is not a setting.
            ValueError: A value is invalid.
        """
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as a dict that can be written as JSON; `Config(**config.to_dict()) == config`."""
        return dataclasses.asdict(self)

    def to_file(self) -> dict[str, Any]:
        """Return the settings that a run's files contain: `to_dict` without the newest settings at their defaults.

        The files of a run that does not use such a setting do not mention it, so that earlier versions can open them.
        """
        left_out = [
            f for f in dataclasses.fields(self) if not f.metadata["always"] and getattr(self, f.name) == f.default
        ]
        return {name: value for name, value in self.to_dict().items() if name not in {f.name for f in left_out}}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Config:
        """Return a Config from the settings in a file; settings missing from an older file get their defaults.

        Raises:
            ValueError: A setting is missing, unknown or invalid.
        """
        later = {f.name: f.metadata["later"] for f in dataclasses.fields(cls)}
        for name in sorted(later.keys() - settings.keys()):
            if not later[name]:
                raise ValueError(f"the {name} setting is missing")
        for name in sorted(settings.keys() - later.keys()):
            raise ValueError(f"the {name!r:.60} setting is unknown to this version of microgpt")
        return cls(**settings)


def check_size(name: str, value: int, most: int = 2**30, least: int = 1) -> None:
    """Raise ValueError if an argument is below `least` or above `most`; the message names the argument."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {name}={_shown(value)}")
    if value > most:
        raise ValueError(f"{name} must be at most {most:,}, got {name}={_shown(value)}")


def _shown(number: int) -> str:
    """Return a number as text, or its size if it has too many digits."""
    return str(number) if abs(number) < 10**40 else f"a number of {number.bit_length()} bits"


_A = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}

PRESETS = {
    # the final version of Karpathy's microgpt.py
    "final": Config(),
    # the first public version of microgpt.py (11 February 2026)
    "first": Config(
        block_size=8,
        activation="relu2",
        init_std=0.02,
        zero_init=True,
        bos_first=True,
        beta1=0.9,
        beta2=0.95,
        num_steps=500,
        temperature=0.6,
    ),
}

# The standard sizes, with nanoGPT's training settings. GPT-2 ties lm_head to wte; here lm_head is a separate matrix, so
# these models have more weights than GPT-2's.
_RECIPE = Config(
    init_std=0.02,
    beta1=0.9,
    beta2=0.95,
    clip=1.0,
    decay="cosine",
    warmup_steps=2000,
    num_steps=600_000,
    temperature=0.8,
)
_GPT2 = _RECIPE.replace(block_size=1024, batch_size=480)
SIZES = {
    # nanoGPT's two models that train in a few minutes: one for a GPU, and one for a CPU
    "baby": _RECIPE.replace(
        n_layer=6,
        n_head=6,
        n_embd=384,
        block_size=256,
        batch_size=64,
        learning_rate=1e-3,
        beta2=0.99,
        warmup_steps=100,
        num_steps=5000,
    ),
    "baby-cpu": _RECIPE.replace(
        n_layer=4,
        n_head=4,
        n_embd=128,
        block_size=64,
        batch_size=12,
        learning_rate=1e-3,
        beta2=0.99,
        warmup_steps=100,
        num_steps=2000,
    ),
    # learning rates from Brown et al., arXiv:2005.14165, table 2.1
    "gpt2-small": _GPT2.replace(n_layer=12, n_head=12, n_embd=768, learning_rate=6e-4),
    "gpt2-medium": _GPT2.replace(n_layer=24, n_head=16, n_embd=1024, learning_rate=3e-4),
    "gpt2-large": _GPT2.replace(n_layer=36, n_head=20, n_embd=1280, learning_rate=2.5e-4),
    "gpt2-xl": _GPT2.replace(n_layer=48, n_head=25, n_embd=1600, learning_rate=2e-4),
}

Shapes = dict[str, tuple[int, int]]


def shapes(config: Config, vocab_size: int) -> Shapes:
    """Return the parameter table, name -> (rows, columns), in flat-buffer order."""
    table: Shapes = reference.shapes(vocab_size, config.n_embd, config.n_layer, config.block_size)
    return table


def num_params(config: Config, vocab_size: int) -> int:
    """Return the number of weights in the model."""
    layers = {0: 0, 1: 0}  # every layer has the same matrices, and a table of millions of layers would fill the memory
    for n_layer in layers:
        table = reference.shapes(vocab_size, config.n_embd, n_layer, config.block_size)
        layers[n_layer] = sum(rows * columns for rows, columns in table.values())
    return layers[0] + config.n_layer * (layers[1] - layers[0])


def offsets(shapes: Shapes) -> dict[str, slice]:
    """Return each matrix's slice of a flat buffer, which stores the matrix in row-major order."""
    table, start = {}, 0
    for name, (rows, columns) in shapes.items():
        table[name] = slice(start, start + rows * columns)
        start += rows * columns
    return table


def initial_std(config: Config, name: str) -> float:
    """Return the standard deviation of a parameter's initial weights."""
    return 0.0 if config.zero_init and role(name).starts_at_zero else config.init_std


def init(config: Config, vocab_size: int, rng: random.Random) -> array[float]:
    """Return the initial weights as one flat float64 buffer, drawn from rng in the order of `shapes`.

    Random numbers are drawn even for matrices that start at zero (zero_init), as in the first published version.
    """
    params = array("d")
    for name, (rows, columns) in shapes(config, vocab_size).items():
        std = initial_std(config, name)
        params.extend(rng.gauss(0, std) for _ in range(rows * columns))
    return params
