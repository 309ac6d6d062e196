"""Recipes: the model and settings with the least held-out loss for a number of operations.

The table comes from runs that `python benchmarks/recipes.py` makes and prints. Choosing from it is a pure function of
the text and the operations; time_budget.py measures what this machine can do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microgpt.config import Config, num_params


@dataclass(frozen=True)
class Text:
    """The facts about a training text that a recipe depends on.

    Attributes:
        is_stream: Whether the text is one long text rather than documents.
        tokens: The number of predicted tokens in the training part.
        mean: The mean number of predicted tokens per document; for a stream, 0.
        context: The context that reads nearly all of the documents, in tokens; for a stream, 0.
        vocab_size: The number of tokens in the vocabulary.
    """

    is_stream: bool
    tokens: int
    mean: float
    context: int
    vocab_size: int


@dataclass(frozen=True)
class Recipe:
    """The settings of the best measured run for a number of floating-point operations.

    Attributes:
        flops: The run's floating-point operations, as flops.training_flops counts them.
        n_embd: The width.
        n_layer: The number of layers.
        block_size: The context of a stream, in tokens; documents get the context that reads them.
        batch_tokens: The predicted tokens per step.
        learning_rate: The peak learning rate.
        weight_decay: The weight decay.
    """

    flops: float
    n_embd: int
    n_layer: int
    block_size: int
    batch_tokens: int
    learning_rate: float
    weight_decay: float = 0.0


HEADS = (4, 2, 1)  # the number of heads: the first that divides n_embd

# The best runs of `python benchmarks/recipes.py`, each with its loss on everything held out; float32, one thread,
# seed 42. The public names, without repeated ones, a tenth held out:
DOCUMENTS = (
    Recipe(1.5e10, 16, 2, 0, 57, 0.008),  # 2.132
    Recipe(3e10, 16, 2, 0, 57, 0.006),  # 2.100
    Recipe(1e11, 32, 2, 0, 114, 0.005),  # 2.057
    Recipe(2e11, 32, 2, 0, 228, 0.005),  # 2.029
    Recipe(5e11, 32, 3, 0, 228, 0.004),  # 1.998
    Recipe(1.2e12, 48, 3, 0, 228, 0.003, 0.05),  # 1.970
)
# Tiny Shakespeare, its last tenth held out:
STREAM = (
    Recipe(3e10, 32, 1, 32, 256, 0.01),  # 2.101
    Recipe(1e11, 32, 2, 32, 256, 0.01),  # 1.997
    Recipe(3e11, 48, 2, 32, 512, 0.01),  # 1.875
    Recipe(6e11, 48, 2, 32, 512, 0.008),  # 1.800
    Recipe(1.5e12, 64, 3, 64, 512, 0.005),  # 1.734
    Recipe(4e12, 96, 3, 64, 512, 0.003),  # 1.675
)


def choose(text: Text, flops: float, table: Sequence[Recipe] = ()) -> Recipe:
    """Return the recipe for a text and a number of floating-point operations.

    It is the one whose operations are nearest by ratio, among the recipes whose model has at most as many parameters as
    the text has tokens. A larger model would memorize the text; if every model is larger, the smallest is chosen.

    Args:
        text: The facts about the text.
        flops: The operations that the time allows.
        table: The recipes to choose from; the default is DOCUMENTS or STREAM, whichever fits the text.

    Returns:
        The recipe.
    """
    table = table or (STREAM if text.is_stream else DOCUMENTS)
    sizes = {recipe: num_params(config_of(recipe, text), text.vocab_size) for recipe in table}
    fitting = [recipe for recipe in table if sizes[recipe] <= text.tokens] or [min(table, key=lambda one: sizes[one])]
    return min(fitting, key=lambda recipe: abs(math.log(recipe.flops / max(flops, 1.0))))


def config_of(recipe: Recipe, text: Text, **given: Any) -> Config:
    """Return the settings of a recipe for a text; `given` settings replace the recipe's.

    Raises:
        ValueError: A given setting is invalid.
    """
    block_size = given.get("block_size", recipe.block_size if text.is_stream else text.context)
    per_sequence = block_size if text.is_stream else min(text.mean, block_size)
    n_embd = given.get("n_embd", recipe.n_embd)
    chosen = {
        "n_embd": n_embd,
        "n_head": next((heads for heads in HEADS if n_embd % heads == 0), 1),
        "n_layer": recipe.n_layer,
        "block_size": block_size,
        "batch_size": max(1, round(recipe.batch_tokens / per_sequence)),
        "learning_rate": recipe.learning_rate,
        "weight_decay": recipe.weight_decay,
        "num_steps": max(Config.num_steps, given.get("warmup_steps", 0) + 1),
    }
    return Config(**{**chosen, **given})
