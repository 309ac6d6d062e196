"""Samples of a run, drawn by its own program."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.editing.edited import Edited, unchanged
from microgpt.lab.runs.run import LabRun

if TYPE_CHECKING:
    from microgpt.lab.protocol.texts import Samples

MAX_SAMPLES = 1000
EDITED_SAMPLES = 40  # from an edited program, which is slow


def sample_texts(run: LabRun, seed: int, count: int, temperature: float, top_k: int | None) -> Samples:
    """Return samples from a run and the number of samples that are not in the run's training data.

    Args:
        run: The run.
        seed: The seed, as for `microgpt sample`.
        count: The number of samples.
        temperature: The temperature.
        top_k: Sample from only the k most likely tokens; None for all tokens.

    Raises:
        LabError: The count is out of range, or top_k is set and the program's sampling has been edited.
    """
    if not 0 <= count <= MAX_SAMPLES:
        raise LabError(f"count must be between 0 and {MAX_SAMPLES}, got count={count}")
    if isinstance(run.program, Edited) and count > EDITED_SAMPLES:
        raise LabError(
            f"count must be at most {EDITED_SAMPLES} for an edited program, which generates only a few texts a second,"
            f" got count={count}"
        )
    if isinstance(run.program, Edited) and top_k is None:
        rngs = [random.Random(f"{seed}:{i}") for i in range(count)]
        texts = [_sample(run, rng, temperature) for rng in rngs]
    else:
        unchanged(run, "sampling with top_k follows the reference", "sample", "softmax", "Value.")
        texts = run.run.sample(count, temperature=temperature, top_k=top_k, seed=seed)
    parts = run.parts(texts)
    found = [parts.get(text) for text in texts]
    return {"texts": texts, "parts": found, "new": sum(part != "training" for part in found)}


def _sample(run: LabRun, rng: random.Random, temperature: float) -> str:
    """Generate a text with the program's own sample()."""
    model, tokenizer = run.model, run.run.tokenizer
    sample = model.program.module.sample
    return tokenizer.decode(sample(model.state_dict(), tokenizer.bos, rng, temperature, **model.sample_arguments))
