"""The choice of a recipe: a pure function of the text and the floating-point operations."""

from __future__ import annotations

import math

import pytest

from microgpt.config import Config, num_params
from microgpt.runs.recipes import DOCUMENTS, STREAM, Recipe, Text, choose, config_of

SMALL, MEDIUM, LARGE = (
    Recipe(1e9, 16, 1, 32, 128, 0.01),
    Recipe(1e11, 32, 2, 32, 256, 0.005),
    Recipe(1e13, 64, 4, 64, 512, 0.002),
)
TABLE = (SMALL, MEDIUM, LARGE)
LONG = Text(True, 10**7, 0.0, 0, 65)
NAMES = Text(False, 200_000, 7.1, 16, 27)


@pytest.mark.parametrize(
    ("flops", "recipe"),
    [(0.0, SMALL), (1e9, SMALL), (9e9, SMALL), (2e10, MEDIUM), (9e11, MEDIUM), (2e12, LARGE), (1e20, LARGE)],
)
def test_the_recipe_is_the_nearest_by_ratio(flops: float, recipe: Recipe) -> None:
    assert choose(LONG, flops, TABLE) is recipe


def test_a_model_has_at_most_as_many_parameters_as_the_text_has_tokens() -> None:
    for tokens in (30_000, 6_000):
        text = Text(True, tokens, 0.0, 0, 65)
        chosen = choose(text, 1e20, TABLE)
        assert num_params(config_of(chosen, text), 65) <= tokens
    assert choose(Text(True, 30_000, 0.0, 0, 65), 1e20, TABLE) is MEDIUM


def test_a_tiny_text_gets_the_smallest_model() -> None:
    assert choose(Text(False, 50, 4.0, 8, 12), 1e20, TABLE) is SMALL


@pytest.mark.parametrize("table", [DOCUMENTS, STREAM])
def test_the_table_is_ordered_and_every_recipe_is_a_valid_config(table: tuple[Recipe, ...]) -> None:
    assert [recipe.flops for recipe in table] == sorted(recipe.flops for recipe in table)
    for recipe in table:
        config = config_of(recipe, LONG if table is STREAM else NAMES)
        assert config.n_embd == recipe.n_embd
        assert math.isclose(
            config.batch_size * (config.block_size if table is STREAM else 7.1), recipe.batch_tokens, rel_tol=0.1
        )


def test_given_settings_are_kept_and_the_rest_fits_them() -> None:
    config = config_of(LARGE, LONG, n_embd=6, block_size=32, seed=7, warmup_steps=2000)
    assert (config.n_embd, config.n_head, config.seed, config.n_layer) == (6, 2, 7, 4)
    assert config.batch_size == 512 // 32
    assert config.num_steps > config.warmup_steps == 2000


def test_documents_get_the_context_that_reads_them() -> None:
    assert config_of(SMALL, NAMES).block_size == 16
    assert config_of(SMALL, NAMES).learning_rate == 0.01 == Config().learning_rate
