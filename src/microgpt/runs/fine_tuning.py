"""Fine-tuning: start a run from another run's parameters and vocabulary, which the text may enlarge.

The architecture is the other run's, because its parameters mean nothing in another one. Adam starts afresh.
"""

from __future__ import annotations

import hashlib
import os
import random
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from microgpt.config import Config, initial_std, offsets, shapes
from microgpt.data.documents import Data
from microgpt.data.tokenizers import CharTokenizer, Tokenizer
from microgpt.errors import DataError
from microgpt.runs.best import load_chosen
from microgpt.runs.provenance import Origin
from microgpt.system.safetensors import tensor

if TYPE_CHECKING:
    from microgpt.runs.run import Run

ARCHITECTURE = ("n_embd", "n_head", "n_layer", "block_size", "activation", "bos_first")
BY_TOKEN = ("wte", "lm_head")  # the parameters with a row for each token


class Start(NamedTuple):
    """The run to start from.

    Attributes:
        config: Its settings.
        tokenizer: Its tokenizer.
        kind: The --tokenizer value that selects this type of tokenizer.
        params: Its parameters, as a flat buffer.
        origin: What a new run records of it.
        note: Why its last checkpoint is used although there should be a best one; empty otherwise.
    """

    config: Config
    tokenizer: Tokenizer
    kind: str
    params: array[float]
    origin: Origin
    note: str = ""


def start(run: Run | str | os.PathLike[str]) -> Start:
    """Return what a new run takes over from a run, or from the best checkpoint in a run's folder.

    Raises:
        RunError: There is no checkpoint.
        CheckpointError: The file is not a checkpoint, or is damaged.
    """
    if isinstance(run, (str, os.PathLike)):
        state, chosen = load_chosen(run)
        name, note = str(Path(run).resolve()), chosen.note
    else:
        state, name, note = run.state(), None, ""
    params = array("d", state.params)
    digest = hashlib.sha256(tensor(params, (len(params), 1)).data).hexdigest()
    origin = Origin(name, state.step, digest)
    return Start(state.config, state.tokenizer(), state.kind(), params, origin, note)


def check_architecture(config: Config, start: Start) -> None:
    """Raise ValueError if a new run's settings would give the other run's parameters another meaning."""
    for name in ARCHITECTURE:
        value, given = getattr(start.config, name), getattr(config, name)
        if given != value:
            raise ValueError(
                f"{name} must be {value!r}, as in the run to start from, got {name}={given!r}: omit it, or start a run"
                " from random parameters"
            )


def check_tokenizer(kind: str | None, start: Start) -> None:
    """Raise ValueError if another tokenizer than the other run's is asked for."""
    if kind not in (None, start.kind):
        raise ValueError(
            f"tokenizer must be {start.kind!r}, as in the run to start from, got tokenizer={kind!r}: omit it"
        )


def check_vocabulary(data: Data, start: Start) -> None:
    """Raise DataError unless the data's vocabulary is the other run's, or contains all of its characters."""
    known, found = start.tokenizer, data.tokenizer
    if isinstance(known, CharTokenizer) and isinstance(found, CharTokenizer):
        if not (missing := set(known.symbols) - set(found.symbols)):
            return
        fault = f"lacks {len(missing)} of the characters that the run to start from knows, such as {min(missing)!r}"
    elif known.spec() == found.spec():
        return
    else:
        fault = "was tokenized with another tokenizer than that of the run to start from"
    raise DataError(f"{data.source or 'the data'!r} {fault}: train on the text itself instead of prepared data")


def new_symbols(tokenizer: Tokenizer, start: Start) -> list[str]:
    """Return the tokens that the other run does not know."""
    known = set(start.tokenizer.symbols)
    return [symbol for symbol in tokenizer.symbols if symbol not in known]


def grown(start: Start, config: Config, tokenizer: Tokenizer, rng: random.Random) -> array[float]:
    """Return the parameters for a vocabulary that contains the other run's, as a flat buffer.

    A token keeps its rows, whatever its id is now. The rows of a new token are drawn as those of an untrained model
    are, in the order of `shapes`.
    """
    symbols = tokenizer.symbols
    old = offsets(shapes(start.config, len(start.tokenizer.symbols)))
    row_of = {symbol: row for row, symbol in enumerate(start.tokenizer.symbols)}
    params = array("d")
    for name, (_, columns) in shapes(config, len(symbols)).items():
        numbers = start.params[old[name]]
        if name not in BY_TOKEN:
            params.extend(numbers)
            continue
        std = initial_std(config, name)
        for symbol in symbols:
            row = row_of.get(symbol)
            if row is None:
                params.extend(rng.gauss(0, std) for _ in range(columns))
            else:
                params.extend(numbers[row * columns : (row + 1) * columns])
    return params
