"""A checkpoint: a run's complete state in one safetensors file.

A run can be resumed from its checkpoint, and other commands load the model from the checkpoint.

The tensors (float64, or float32 if the engine computes in float32) are the parameters, under their own names, and
Adam's moments, under the same names with the prefixes `adam_m.` and `adam_v.`. The metadata strings are `format` and,
encoded as JSON, `config`, `symbols` (each token's text; empty for BOS), `step`, `rng` (the state of Python's
random.Random), `data` (the provenance), unless the tokens are characters, `tokenizer` and, if the run selects its best
checkpoint, `selection`.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microgpt.config import Config, Shapes, offsets, shapes
from microgpt.data.tokenizers import CharTokenizer, Tokenizer, from_spec
from microgpt.errors import CheckpointError, SafetensorsError
from microgpt.runs.provenance import Provenance
from microgpt.runs.selection import Selection
from microgpt.system.records import read as read_record
from microgpt.system.safetensors import Tensor, read, read_metadata, tensor, write

FORMAT = "microgpt/1"
REMEDY = "choose another checkpoint, or train again"
BUFFERS = {"": "params", "adam_m.": "m", "adam_v.": "v"}  # prefix of a tensor's name -> field


@dataclass
class Checkpoint:
    """The state of a run after `step` updates.

    Attributes:
        config: The settings.
        symbols: Each token's text, by token id; empty for BOS.
        params: The weights, as a flat buffer in the layout of `config.shapes`.
        m: Adam's running mean of the gradient, in the same layout as `params`.
        v: Adam's running mean of the squared gradient, in the same layout as `params`.
        step: The number of updates completed.
        rng_state: The state of the run's random.Random object.
        provenance: Where the training data came from.
        spec: The tokenizer as `Tokenizer.spec` describes it; empty if its tokens are characters.
        selection: The measurements of the held-out loss; None if the run does not select its best checkpoint, as in
            runs of earlier versions and runs that hold nothing out.
        dtype: The type in which the file stores the tensors; F32 if the values are already float32, otherwise F64.
    """

    config: Config
    symbols: list[str]
    params: array[float]
    m: array[float]
    v: array[float]
    step: int
    rng_state: tuple[Any, ...]
    provenance: Provenance = field(default_factory=Provenance)
    spec: dict[str, Any] = field(default_factory=dict)
    selection: Selection | None = None
    dtype: str = "F64"

    def kind(self) -> str:
        """Return the --tokenizer value that selects this type of tokenizer: char, byte or bpe:N."""
        kind = str(self.spec.get("kind", "char"))
        return f"bpe:{len(self.symbols)}" if kind == "bpe" else kind

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer."""
        if self.spec:
            return from_spec(self.spec)
        return CharTokenizer([symbol for symbol in self.symbols if symbol], self.config.bos_first)

    def shapes(self) -> Shapes:
        """Return the table of parameter shapes."""
        return shapes(self.config, len(self.symbols))


def save(path: Path | str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically; on failure, raise OSError and leave any existing file unchanged."""
    table = checkpoint.shapes()
    tensors: dict[str, Tensor] = {}
    for prefix, buffer in BUFFERS.items():
        numbers = getattr(checkpoint, buffer)
        for name, where in offsets(table).items():
            tensors[prefix + name] = tensor(numbers[where], table[name], checkpoint.dtype)
    metadata = {
        "format": FORMAT,
        "config": json.dumps(checkpoint.config.to_file()),
        "symbols": json.dumps(checkpoint.symbols),
        "step": str(checkpoint.step),
        "rng": json.dumps(checkpoint.rng_state),
        "data": json.dumps(checkpoint.provenance.to_dict()),
    }
    if checkpoint.spec:
        metadata["tokenizer"] = json.dumps(checkpoint.spec)
    if checkpoint.selection:
        metadata["selection"] = json.dumps(checkpoint.selection.to_dict())
    write(path, tensors, metadata)


def load(path: Path | str) -> Checkpoint:
    """Read and check a checkpoint.

    Args:
        path: The file.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: The file is not a checkpoint, or is damaged.
        OSError: The file cannot be read.
    """
    with _explained(path):
        tensors, metadata = read(path)
        checkpoint = _described(metadata)
        table = _shapes(checkpoint, tensors)
        expected = {prefix + name: shape for prefix in BUFFERS for name, shape in table.items()}
        for name in [*expected.keys() - tensors.keys(), *tensors.keys() - expected.keys()]:
            raise SafetensorsError(f"tensor {name!r} is {'missing' if name in expected else 'unknown'}")
        for name, shape in expected.items():
            if tensors[name].shape != shape:
                raise SafetensorsError(f"tensor {name!r} must have shape {shape}, got {tensors[name].shape}")
            if tensors[name].dtype != tensors["wte"].dtype:
                raise SafetensorsError(
                    f"tensor {name!r} must be {tensors['wte'].dtype} like 'wte', got {tensors[name].dtype}"
                )
        checkpoint.dtype = tensors["wte"].dtype
        for prefix, buffer in BUFFERS.items():
            for name in table:
                getattr(checkpoint, buffer).extend(tensors[prefix + name].floats())
        return checkpoint


def describe(path: Path | str) -> Checkpoint:
    """Return a checkpoint without its buffers, which are not read; the errors are those of `load`."""
    with _explained(path):
        return _described(read_metadata(path))


@contextmanager
def _explained(path: Path | str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # a SafetensorsError, or an error from Config
        raise CheckpointError(f"{str(path)!r} is not a microgpt checkpoint, or is damaged: {error}; {REMEDY}") from None


def _described(metadata: dict[str, str]) -> Checkpoint:
    """Return the checkpoint that a file's metadata describes, with empty buffers."""
    if metadata.get("format") != FORMAT:
        raise SafetensorsError(f"its format is {metadata.get('format')!r}, expected {FORMAT!r}")
    checkpoint = Checkpoint(
        config=Config.from_dict(_json(metadata, "config", dict)),
        symbols=_json(metadata, "symbols", list),
        params=array("d"),
        m=array("d"),
        v=array("d"),
        step=_json(metadata, "step", int),
        rng_state=rng_state(_json(metadata, "rng", list)),
        provenance=Provenance.from_dict(_json(metadata, "data", dict)),
        spec=_json(metadata, "tokenizer", dict) if "tokenizer" in metadata else {},
        selection=read_record(Selection, _json(metadata, "selection", dict)) if "selection" in metadata else None,
    )
    check_symbols(checkpoint)
    if not 0 <= checkpoint.step < 2**62:
        raise SafetensorsError(f"step must be at least 0 and less than 2**62, got {checkpoint.step}")
    return checkpoint


def _shapes(checkpoint: Checkpoint, tensors: dict[str, Tensor]) -> Shapes:
    """Return the table of shapes; before building the table, reject an n_layer that is too large for the file."""
    if checkpoint.config.n_layer > len(tensors):
        raise SafetensorsError(
            f"n_layer={checkpoint.config.n_layer} is too large for a file with {len(tensors)} tensors"
        )
    return checkpoint.shapes()


def _json(metadata: dict[str, str], key: str, kind: type) -> Any:
    if key not in metadata:
        raise SafetensorsError(f"the metadata has no {key!r}")
    try:
        value = json.loads(metadata[key])
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"{key!r} in the metadata is not JSON: {error}") from None
    if type(value) is not kind:
        raise SafetensorsError(f"{key!r} in the metadata must be of type {kind.__name__}, got {type(value).__name__}")
    return value


def check_symbols(checkpoint: Checkpoint) -> None:
    """Raise ValueError unless the symbols are those of the checkpoint's tokenizer."""
    symbols: list[Any] = checkpoint.symbols
    if not checkpoint.spec:
        if not all(isinstance(s, str) and len(s) <= 1 for s in symbols) or len(set(symbols)) != len(symbols):
            raise SafetensorsError("'symbols' must be distinct single characters")
        if "" not in symbols:
            raise SafetensorsError("'symbols' must contain BOS, the empty string")
    if symbols != checkpoint.tokenizer().symbols:
        raise SafetensorsError(
            f"'symbols' must be sorted, with BOS {'first' if checkpoint.config.bos_first else 'last'}"
        )


def rng_state(state: list[Any]) -> tuple[Any, ...]:
    """Return the state of random.Random that a file stores as a list; raise ValueError if it is not one."""
    try:
        version, internal, gauss_next = state
        if not (gauss_next is None or isinstance(gauss_next, float)):
            raise TypeError(f"gauss_next must be a float or None, got {gauss_next!r:.60}")
        found = (version, tuple(internal), gauss_next)
        random.Random(0).setstate(found)
    except (TypeError, ValueError, OverflowError) as error:
        raise SafetensorsError(f"'rng' in the metadata is not a random.Random state: {error}") from None
    return found
