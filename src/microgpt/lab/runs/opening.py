"""Open a run in the lab: a pretrained run, a new run, a run from files, or a run from a saved session."""

from __future__ import annotations

import math
import random
import string
from array import array
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from microgpt import reference
from microgpt.config import PRESETS, Config, shapes
from microgpt.data.documents import Data
from microgpt.data.split import SINGLY
from microgpt.engines.program import REFERENCE, Program
from microgpt.errors import DataError, DivergedError, LabError
from microgpt.lab.protocol.choices import Pretrained
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text, as_file
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.metrics import read_metrics
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import Run
from microgpt.system.safetensors import read
from microgpt.verification import golden

MAX_STEPS = 1_000_000  # in a run opened from a file, because all its losses are plotted
MAX_GRAPH = 3_000_000  # the approximate number of nodes in a document's graph; the figures cannot handle more
MAX_BATCH = 1024  # documents per step


def check_size(config: Config, vocab_size: int) -> None:
    """Check that a model is small enough for a page that shows every one of its numbers.

    Raises:
        LabError: The model's graph or batch is too large.
    """
    per_layer = 12 * config.n_embd * config.n_embd + 2 * config.block_size * config.n_embd
    nodes = 2 * config.block_size * (vocab_size * config.n_embd + config.n_layer * per_layer)
    if nodes > MAX_GRAPH:
        raise LabError(
            f"a model with n_embd={config.n_embd}, n_layer={config.n_layer}, block_size={config.block_size} and"
            f" {vocab_size} symbols produces about {nodes:,} numbers for each document, but the lab can show at most"
            f" {MAX_GRAPH:,}: choose a smaller n_embd, n_layer or block_size"
        )
    if config.batch_size > MAX_BATCH:
        raise LabError(
            f"batch_size must be at most {MAX_BATCH} in the lab, got batch_size={config.batch_size}: larger batches"
            " take too long"
        )


def begin(id: str, name: str, text: Text, config: Config, val_fraction: float = 0.0) -> LabRun:
    """Start a run from random weights on a text, as `microgpt train` does."""
    data = text.data(config)
    check_size(config, data.vocab_size)
    run = Run.begin(data, config, val_fraction=val_fraction)
    return LabRun(id, name, f"A model that starts from random weights and trains on {text.name}.", text, run)


def pretrained(id: Pretrained, text: Text) -> LabRun:
    """Return the pretrained run with this id.

    Args:
        id: "names" for the model that the lab opens with, or "published".
        text: The bundled names.
    """
    return {"names": names, "published": published}[id](text)


def names(text: Text) -> LabRun:
    """Return the run of `microgpt train names --val-fraction 0.1` after its last step."""
    facts = golden.figures("names")
    state = checkpoints.load(golden.FOLDER / "names.safetensors")
    about = (
        f"A model that `microgpt train names --val-fraction 0.1` trained for {facts['num_steps']:,} steps on the"
        f" bundled names: on {facts['num_docs'] - facts['num_held_out']:,} of the {facts['num_docs']:,}. The other"
        f" {facts['num_held_out']:,} were held out to test it."
    )
    lab_run = LabRun("names", "names", about, text, from_checkpoint(text, state, ""))
    lab_run.losses = array("d", facts["losses"])
    lab_run.validations = [(step, loss) for step, loss in facts["validations"]]
    lab_run.frozen = True
    lab_run.opened = partial(begin_again, text, state)
    return lab_run


def published(text: Text) -> LabRun:
    """Return the published run after its last step. Further training uses the bundled names."""
    facts = golden.figures("final")
    tensors = read(golden.FOLDER / "final.safetensors")[0] | read(golden.FOLDER / "final.adam.safetensors")[0]
    config = PRESETS[facts["preset"]]
    symbols = reference.Tokenizer(string.ascii_lowercase, config.bos_first).symbols
    assert len(symbols) == facts["vocab_size"]
    buffers: dict[str, Any] = {
        field: array("d", chain.from_iterable(tensors[prefix + name].floats() for name in shapes(config, len(symbols))))
        for prefix, field in checkpoints.BUFFERS.items()
    }
    state = Checkpoint(
        config=config,
        symbols=symbols,
        **buffers,
        step=facts["num_steps"],
        rng_state=random.Random(config.seed).getstate(),
        provenance=Provenance("makemore", facts["data_sha256"], "lines", facts["num_docs"], 0.0),
    )
    about = (
        f"The published model, trained for {facts['num_steps']:,} steps on the {facts['num_docs']:,} names of"
        " makemore's names.txt. That file is not included, so the bundled names replace it: samples are compared"
        " with the bundled names, and further training reads the bundled names."
    )
    run = Run(state, lambda: text.data(config, state.tokenizer()))
    lab_run = LabRun("published", "published", about, text, run)
    lab_run.losses = array("d", facts["losses"])
    lab_run.frozen = lab_run.elsewhere = True
    return lab_run


def opened(
    id: str, name: str, checkpoint: bytes, metrics: str, find: Callable[[str], Text | None], names: Text
) -> LabRun:
    """Open a run from its files.

    Args:
        id: The new run's id.
        name: The name of the file, which becomes the run's name.
        checkpoint: The checkpoint's content.
        metrics: The content of metrics.jsonl, or "".
        find: A function that returns the session's text with a given SHA-256, or None.
        names: The bundled names, used if the run's own text is not found.

    Raises:
        LabError: The lab does not support the run's tokenizer, or the run is too large or damaged.
    """
    with as_file(name, checkpoint) as path:
        state = checkpoints.load(path)
    if state.kind() not in ("char", "byte"):
        raise LabError(
            f"{name!r} has a byte-pair tokenizer ({state.kind()}), which the lab does not support: open a run trained"
            " with --tokenizer char or byte"
        )
    check_size(state.config, len(state.symbols))
    if state.step > MAX_STEPS:
        raise LabError(f"{name!r} has {state.step:,} steps, but the lab can open runs of at most {MAX_STEPS:,} steps")
    text = find(str(state.provenance.sha256))
    source = state.provenance.source or "documents in memory"
    text = text and text.in_mode(state.provenance.mode)
    missing = state.provenance.fault()
    if text is None and not missing:
        missing = f"{name} was trained on {source}, which is not loaded: load that file first, then open the run again"
    about = f"A run from the file {name}, trained on {source}."
    lab_run = LabRun(id, name, about, text or names, from_checkpoint(text or names, state, missing))
    lab_run.missing = missing
    lab_run.losses = array("d", [math.nan]) * state.step
    if metrics.strip():
        with as_file(f"the metrics of {name}", metrics.encode("utf-8", "replace")) as path:
            for line in read_metrics(path):
                if 1 <= line["step"] <= state.step:
                    lab_run.losses[line["step"] - 1] = line["loss"]
                    if line.get("val_loss") is not None:
                        lab_run.validations.append((line["step"], line["val_loss"]))
    if text is not None and not missing and state.step and not state.provenance.start_from:
        begin_again(text, state)  # raises an error if it is impossible
        lab_run.opened = partial(begin_again, text, state)
    return lab_run


def from_checkpoint(text: Text, state: Checkpoint, missing: str, program: Program = REFERENCE) -> Run:
    """Return a checkpoint's run.

    Args:
        text: The text that the run trains on.
        state: The checkpoint.
        missing: Why the text is not loaded, or "". If set, reading the data raises a DataError with this reason.
        program: The program that computes the run's numbers.
    """

    def data() -> Data:
        if missing:
            raise DataError(missing)
        return text.data(state.config, state.tokenizer())

    return Run(state, data, program=program)


def begin_again(text: Text, state: Checkpoint) -> Run:
    """Restart a checkpoint's run from its first step, with the same settings."""
    kept = state.provenance
    return Run.begin(
        text.data(state.config, state.tokenizer()),
        state.config,
        val_fraction=kept.val_fraction or 0.0,
        validate_every=kept.validate_every,
        micro_batch_size=kept.micro_batch_size,
        split=kept.split or SINGLY,
        precision="float32" if kept.precision == "float32" else "exact",
    )


def diverged(run: LabRun, error: DivergedError) -> str:
    """Return the message for a run that has diverged."""
    return f"{error}; the run is at step {run.step} and can be scrubbed back"
