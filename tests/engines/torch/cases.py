"""Cases for the tests of the torch engine: documents, a config, the precisions, and a comparison with tolerance."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch

from microgpt.config import Config
from microgpt.engines.torch.engine import PRECISIONS

torch.set_num_threads(1)  # the models are small, and other tests run in parallel
every_precision = pytest.mark.parametrize("precision", PRECISIONS)
DOCUMENTS = [[random.Random(i).randrange(27) for _ in range(2 + i % 17)] for i in range(40)]
WIDE = Config(n_embd=64, n_head=4, n_layer=2)
WORDS = ["anna", "bob", "carla", "dora", "emil", "frida", "gerd", "hanna", "ida", "jan"]


def assert_close(name: str, expected: Any, got: Any, allowed: float) -> None:
    """Allow differences up to `allowed` times the largest number (at least 1); on failure show the five worst pairs."""
    assert len(expected) == len(got)
    largest = max([1.0, *map(abs, expected)])
    pairs = sorted(((abs(a - b), i, a, b) for i, (a, b) in enumerate(zip(expected, got))), reverse=True)
    beyond = [pair for pair in pairs if not pair[0] <= allowed * largest]
    assert not beyond, f"{name}: {len(beyond)} of {len(got)} are off: {beyond[:5]}"
