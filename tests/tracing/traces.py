"""Traces that several test files use."""

from __future__ import annotations

import random
from array import array
from functools import cache

import pytest

from microgpt.config import PRESETS, Config, init
from microgpt.tracing.trace import Trace, trace
from microgpt.verification.cases import CASES

EMMA = [26, 4, 12, 12, 0, 26]
ONE = Config(n_embd=1, n_head=1, block_size=3, init_std=0.7)  # every sum has one term, or one term per position
TWO_LAYERS = Config(n_embd=6, n_head=2, n_layer=2, block_size=5, init_std=0.4)

every_case = pytest.mark.parametrize("name", CASES)


def params_of(config: Config, vocab_size: int) -> array[float]:
    return init(config, vocab_size, random.Random(7))


@cache
def emma() -> Trace:
    """Return a trace of the published model's initial weights on a short name."""
    config = PRESETS["final"]
    return trace(EMMA, init(config, 27, random.Random(config.seed)), config, 27)


@cache
def case_trace(name: str) -> Trace:
    case = CASES[name]
    return trace(case.batches()[0][0], case.params(), case.config, case.vocab_size)


MAKERS = {
    "relu2": lambda: case_trace("relu2"),
    "many_heads": lambda: case_trace("many_heads"),
    "two layers": lambda: trace([3, 0, 1, 0, 2, 3], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4),
    "one wide": lambda: trace([1, 0, 0, 1], params_of(ONE, 2), ONE, 2),
    "one position": lambda: trace([1, 1], params_of(TWO_LAYERS, 4), TWO_LAYERS, 4),
}
every_small = pytest.mark.parametrize("name", MAKERS)


@cache
def small(name: str) -> Trace:
    """Return a shared trace, which tests must not change."""
    return MAKERS[name]()


def bits(x: float) -> str:
    return float(x).hex()  # == would not distinguish 0.0 from -0.0
