"""The small training cases on which engines and ports are compared with the reference.

Together, they cover every variation of the algorithm: several layers, one head and many heads, head sizes whose square
root is not an integer, both activations, projections that start at zero, BOS as the first and as the last token id,
batches of documents with different lengths, and documents that are empty or longer than the context.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from microgpt.config import PRESETS, Config, init
from microgpt.engines.program import ScalarModel
from microgpt.schedule import learning_rate
from microgpt.tracing import recorder as recording
from microgpt.tracing.recorder import Tensor

NUM_STEPS = 10  # of the learning-rate schedule; each case contains the first three of these steps


@dataclass(frozen=True)
class Case:
    """A model, its initial weights, and the documents for each step, all determined by these attributes.

    Attributes:
        name: The case's name, also used in its file name.
        about: A short description.
        config: The model's sizes and settings.
        vocab_size: The number of tokens, including BOS.
        lengths: For each step, the number of characters in each document.
    """

    name: str
    about: str
    config: Config
    vocab_size: int
    lengths: tuple[tuple[int, ...], ...]

    @property
    def bos(self) -> int:
        """The token id of BOS, which begins and ends every document."""
        return 0 if self.config.bos_first else self.vocab_size - 1

    def params(self) -> array[float]:
        """Return the initial weights in one flat buffer, drawn as the config specifies."""
        return init(self.config, self.vocab_size, random.Random(self.config.seed))

    def model(self) -> ScalarModel:
        """Return the reference's model with the initial weights."""
        return ScalarModel(self.params(), self.config, self.vocab_size)

    def batches(self) -> list[list[list[int]]]:
        """Return each step's documents as token ids, with BOS at both ends."""
        rng = random.Random(f"documents of {self.name}")
        characters = [token_id for token_id in range(self.vocab_size) if token_id != self.bos]
        return [[[self.bos, *rng.choices(characters, k=length), self.bos] for length in step] for step in self.lengths]

    @property
    def learning_rates(self) -> list[float]:
        """The learning rate of each step, from the config's schedule."""
        c = self.config
        steps = range(len(self.lengths))
        return [learning_rate(step, c.num_steps, c.learning_rate, c.warmup_steps, c.decay) for step in steps]

    def record(self) -> dict[str, Tensor]:
        """Train with the reference; return every tensor by name, in order of computation (see `recorder`)."""
        return recording.training(self.model(), self.batches(), self.learning_rates)


_SMALL = Config(n_embd=8, n_head=2, block_size=8, init_std=0.3, num_steps=NUM_STEPS)
_FINAL, _FIRST = (PRESETS[preset].replace(num_steps=NUM_STEPS) for preset in ("final", "first"))

CASES = {
    case.name: case
    for case in (
        Case("final", "the published model, one document per step", _FINAL, 27, ((6,), (5,), (19,))),
        Case("first", "the first published version: ReLU squared, BOS first", _FIRST, 27, ((5,), (11,), (3,))),
        Case("layers", "three layers", _SMALL.replace(n_layer=3), 9, ((5,), (7,), (4,))),
        Case("one_head", "a single head", _SMALL.replace(n_head=1), 11, ((6,), (3,), (9,))),
        Case(
            "odd_sizes", "sizes that are not powers of two", _SMALL.replace(n_embd=9, n_head=3), 6, ((6,), (4,), (5,))
        ),
        Case("many_heads", "heads with one component each", _SMALL.replace(n_embd=5, n_head=5), 7, ((4,), (6,), (5,))),
        Case("batch", "three documents per step", _SMALL.replace(batch_size=3), 12, ((4, 9, 1), (2, 0, 6), (7, 7, 3))),
        Case("short_block", "documents longer than the context", _SMALL.replace(block_size=3), 8, ((7,), (5,), (2,))),
        Case("relu2", "ReLU squared", _SMALL.replace(activation="relu2"), 10, ((5,), (6,), (4,))),
        Case(
            "zero_init",
            "two layers that start as the identity",
            _SMALL.replace(n_layer=2, zero_init=True),
            9,
            ((5,), (4,), (6,)),
        ),
    )
}


def chosen_cases(names: Iterable[str] | None) -> list[Case]:
    """Return the cases with these names; all cases for None.

    Raises:
        ValueError: A case is unknown.
    """
    chosen = list(CASES if names is None else names)
    for name in chosen:
        if name not in CASES:
            raise ValueError(f"case must be one of {', '.join(CASES)}, got case={name!r}")
    return [CASES[name] for name in dict.fromkeys(chosen)]
