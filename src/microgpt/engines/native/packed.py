"""Training steps packed for the kernel, and a state from which to train them again."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from microgpt.config import Config
from microgpt.engines.base import Tokens, truncated


class Packed:
    """The documents of several steps, concatenated in the form that the kernel reads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.tokens, self.lengths, self.batch_sizes = array("i"), array("i"), array("i")
        self.learning_rates = array("d")

    def add(self, batch: Sequence[Tokens], learning_rate: float = 0.0) -> None:
        """Append a step; documents longer than the context are truncated."""
        for document in batch:
            read = truncated(document, self._config)
            self.tokens.extend(read)
            self.lengths.append(len(read))
        self.batch_sizes.append(len(batch))
        self.learning_rates.append(learning_rate)

    def split(self, steps: int) -> tuple[Packed, Packed]:
        """Return the first `steps` packed steps, and those that follow them."""
        first, rest = Packed(self._config), Packed(self._config)
        documents = sum(self.batch_sizes[:steps])
        tokens = sum(self.lengths[:documents])
        first.tokens, rest.tokens = self.tokens[:tokens], self.tokens[tokens:]
        first.lengths, rest.lengths = self.lengths[:documents], self.lengths[documents:]
        first.batch_sizes, rest.batch_sizes = self.batch_sizes[:steps], self.batch_sizes[steps:]
        first.learning_rates, rest.learning_rates = self.learning_rates[:steps], self.learning_rates[steps:]
        return first, rest


@dataclass
class Past:
    """A state to which the engine can return, and what it has done since."""

    step: int
    params: array[float]
    m: array[float]
    v: array[float]
    calls: list[tuple[Packed, int]]  # the arguments of _train
