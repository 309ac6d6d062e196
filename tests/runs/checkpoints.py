"""An example checkpoint for the tests, and the message of one that is refused."""

from __future__ import annotations

import math
import random
from array import array
from pathlib import Path

import pytest
from hypothesis import settings

from microgpt.config import Config, num_params
from microgpt.errors import CheckpointError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance

from conftest import examples

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=examples(150))


SMALL = Config(n_embd=2, n_head=1, n_layer=2, block_size=3)


# numbers that do not survive printing or rounding
SPECIAL = [0.1, -0.0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, 1 / 3, -1e-17]


def example(config: Config = SMALL, symbols: list[str] | None = None) -> Checkpoint:
    symbols = ["a", "b", "ñ", ""] if symbols is None else symbols
    rng = random.Random(1)
    count = num_params(config, len(symbols))
    buffers = [array("d", (*SPECIAL, *(rng.gauss(0, 1) for _ in range(count)))[:count]) for _ in range(3)]
    for buffer in buffers:
        rng.shuffle(buffer)
    while rng.getstate()[2] is None:  # gauss draws pairs, and keeps the second number for the next call
        rng.gauss(0, 1)
    data = {"source": '/tmp/é\u2028"\\.txt', "sha256": "0" * 64, "documents": "lines", "val_fraction": 0.1}
    return Checkpoint(
        config, symbols, *buffers, step=7, rng_state=rng.getstate(), provenance=Provenance.from_dict(data)
    )


def refusal(path: Path) -> str:
    """Return the reason in the CheckpointError, whose one-line message has the file's name and what to do."""
    with pytest.raises(CheckpointError) as error:
        checkpoints.load(path)
    text = str(error.value)
    assert len(text.splitlines()) == 1, text
    start, end = (
        f"{str(path)!r} is not a microgpt checkpoint, or is damaged: ",
        "; choose another checkpoint, or train again",
    )
    assert text.startswith(start)
    assert text.endswith(end)
    return text[len(start) : -len(end)]
