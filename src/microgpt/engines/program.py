"""The program that runs, and how its functions are called: reference.py, unless somebody has edited it.

Engines and recordings take their functions from a listing, so that an edited program can stand in the reference's place
(lab/edited.py makes such a listing). Nothing here computes.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from types import ModuleType
from typing import Any

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import Config, Shapes, shapes


class Listing:
    """A module with the reference's functions, and what a Config means to them.

    changed: its functions and methods that are not the reference's (`gpt`, `Value.relu`).
    """

    module: ModuleType = reference
    changed: frozenset[str] = frozenset()
    name = ""  # for people, where it is not the reference

    @cached_property
    def text(self) -> str:
        """The source that runs."""
        return inspect.getsource(self.module)

    def shapes(self, config: Config, vocab_size: int) -> Shapes:
        """The table of its parameters."""
        return shapes(config, vocab_size)

    def of_loss(self, config: Config) -> dict[str, Any]:
        """What loss() takes besides tokens and state_dict."""
        return {"n_layer": config.n_layer, "block_size": config.block_size, **self.of_gpt(config)}

    def of_sample(self, config: Config) -> dict[str, Any]:
        """What sample() takes besides state_dict, bos, rng and temperature."""
        return self.of_loss(config)

    def of_gpt(self, config: Config) -> dict[str, Any]:
        """What gpt() takes besides a token, its position, keys, values and state_dict."""
        return {"n_head": config.n_head, "activation": ACTIVATIONS[config.activation]}

    def rate(self, step: int, learning_rate: float) -> float:
        """The learning rate of the update after `step` updates; learning_rate: what the schedule says."""
        return learning_rate

    def of_adam(self, config: Config) -> dict[str, Any]:
        """What adam() takes besides params, m, v, step and learning_rate."""
        return {"beta1": config.beta1, "beta2": config.beta2, "eps_adam": config.eps_adam}


REFERENCE = Listing()
