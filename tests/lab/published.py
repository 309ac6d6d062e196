"""The pretrained models, read from their files without the lab."""

from __future__ import annotations

import random
from array import array

from microgpt.config import PRESETS, shapes
from microgpt.runs import checkpoint as checkpoints
from microgpt.system.safetensors import read

from conftest import SOURCE


def published() -> checkpoints.Checkpoint:
    """Return the published model, read from its files without the lab's code."""
    config = PRESETS["final"]
    params, m, v = array("d"), array("d"), array("d")
    for file, prefixes in (("final", {"": params}), ("final.adam", {"adam_m.": m, "adam_v.": v})):
        tensors, _ = read(SOURCE / "verification" / "golden" / f"{file}.safetensors")
        for prefix, numbers in prefixes.items():
            for name in shapes(config, 27):
                numbers.extend(tensors[prefix + name].floats())
    symbols = [*"abcdefghijklmnopqrstuvwxyz", ""]
    rng_state = random.Random(0).getstate()
    return checkpoints.Checkpoint(config, symbols, params, m, v, 1000, rng_state)


def names_model() -> checkpoints.Checkpoint:
    """Return the model that the lab opens with, read from its file without the lab's code."""
    return checkpoints.load(SOURCE / "verification" / "golden" / "names.safetensors")
