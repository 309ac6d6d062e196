"""The program that engines run (reference.py or an edited program), and the model that it runs.

A model consists of its settings and parameters. Engines and traces call a Program's functions, so that an edited
program (created by lab/editing/edited.py) can replace the reference. This module computes nothing itself.
"""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import Config, Shapes, offsets, shapes
from microgpt.reference import Value

StateDict = dict[str, list[list[Value]]]


class Program:
    """A module that defines the reference's functions, and the arguments to pass them for a given Config.

    Attributes:
        module: The module.
        changed: The names of the functions and methods that differ from the reference's, such as `gpt` or `Value.relu`.
        name: A display name; empty for the reference.
    """

    module: ModuleType = reference
    changed: frozenset[str] = frozenset()
    name = ""

    @cached_property
    def text(self) -> str:
        """The program's source code."""
        return inspect.getsource(self.module)

    def shapes(self, config: Config, vocab_size: int) -> Shapes:
        """Return the shape of each parameter."""
        return shapes(config, vocab_size)

    def loss_arguments(self, config: Config) -> dict[str, Any]:
        """Return the arguments that loss() takes after tokens and state_dict."""
        return {"n_layer": config.n_layer, "block_size": config.block_size, **self.gpt_arguments(config)}

    def gpt_arguments(self, config: Config) -> dict[str, Any]:
        """Return the arguments that gpt() takes after token_id, pos_id, keys, values and state_dict."""
        return {"n_head": config.n_head, "activation": ACTIVATIONS[config.activation]}

    def sample_arguments(self, config: Config) -> dict[str, Any]:
        """Return the arguments that sample() takes after state_dict, bos, rng and temperature."""
        return self.loss_arguments(config)

    def adam_arguments(self, config: Config) -> dict[str, Any]:
        """Return the arguments that adam() takes after params, m, v, step and learning_rate."""
        return {"beta1": config.beta1, "beta2": config.beta2, "eps_adam": config.eps_adam}

    def learning_rate(self, step: int, scheduled: float) -> float:
        """Return the learning rate for the next update.

        Args:
            step: The number of updates so far.
            scheduled: The learning rate according to the Config's schedule.
        """
        return scheduled


REFERENCE = Program()


@dataclass(frozen=True, eq=False)
class ScalarModel:
    """A model that runs in plain Python: a program, its settings, and its parameters in one flat float64 buffer."""

    params: array[float]
    config: Config
    vocab_size: int
    program: Program = REFERENCE

    @property
    def key(self) -> tuple[bytes, Config, int, Program]:
        """A hashable key for caching results: models with equal keys compute the same values."""
        return self.params.tobytes(), self.config, self.vocab_size, self.program

    @cached_property
    def shapes(self) -> Shapes:
        """The shape of each parameter, in the order of the flat buffer."""
        return self.program.shapes(self.config, self.vocab_size)

    @cached_property
    def offsets(self) -> dict[str, slice]:
        """The slice of the flat buffer that holds each parameter."""
        return offsets(self.shapes)

    def leaves(self, make: Callable[[float], Value] | None = None) -> list[Value]:
        """Return the parameters as leaves of a new graph.

        Args:
            make: A function that turns a float into a leaf; the default is the program's Value.
        """
        return list(map(make or self.program.module.Value, self.params))

    def state_dict(self, leaves: Iterable[Value] | None = None) -> StateDict:
        """Return the parameters as matrices of Values, the form that the program's functions expect.

        Args:
            leaves: The Values to use, in the order of the flat buffer; the default is new Values.
        """
        rest = iter(self.leaves() if leaves is None else leaves)
        return {
            name: [[next(rest) for _ in range(columns)] for _ in range(rows)]
            for name, (rows, columns) in self.shapes.items()
        }

    @property
    def loss_arguments(self) -> dict[str, Any]:
        """The arguments that the program's loss() takes after tokens and state_dict."""
        return self.program.loss_arguments(self.config)

    @property
    def gpt_arguments(self) -> dict[str, Any]:
        """The arguments that the program's gpt() takes after token_id, pos_id, keys, values and state_dict."""
        return self.program.gpt_arguments(self.config)

    @property
    def sample_arguments(self) -> dict[str, Any]:
        """The arguments that the program's sample() takes after state_dict, bos, rng and temperature."""
        return self.program.sample_arguments(self.config)

    @property
    def adam_arguments(self) -> dict[str, Any]:
        """The arguments that the program's adam() takes after params, m, v, step and learning_rate."""
        return self.program.adam_arguments(self.config)

    def update(self, leaves: Sequence[Value], m: Any, v: Any, step: int, learning_rate: float) -> None:
        """Move leaves against their gradients: weight decay, then the program's adam(), which clears the gradients.

        Args:
            leaves: The weights, all or some of them.
            m: Adam's first moment of each weight, changed in place.
            v: Adam's second moment of each weight, changed in place.
            step: The step's number, counting from 1.
            learning_rate: The learning rate.
        """
        self.decay(leaves, learning_rate)
        self.program.module.adam(leaves, m, v, step, learning_rate, **self.adam_arguments)

    def decay(self, leaves: Iterable[Value], learning_rate: float) -> None:
        """Shrink each weight as decoupled weight decay does before Adam's step (arXiv:1711.05101)."""
        if self.config.weight_decay:
            keep = 1 - learning_rate * self.config.weight_decay
            for leaf in leaves:
                leaf.data = leaf.data * keep
