"""A run: a model with its data, random stream and training progress."""

from __future__ import annotations

import math
import os
import random
import warnings
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microgpt import evaluation, training
from microgpt.config import Config, init, num_params
from microgpt.data.documents import Data
from microgpt.data.download import Progress
from microgpt.data.sources import Source
from microgpt.data.split import SINGLY
from microgpt.data.tokenizers import CharTokenizer, Tokenizer
from microgpt.engines.choose import ENGINE_OPTIONS, default_precision
from microgpt.errors import DivergedError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs import fine_tuning
from microgpt.runs.best import load_chosen
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.model import Model
from microgpt.runs.provenance import Provenance
from microgpt.runs.selection import Selection
from microgpt.runs.sizes import check_batch_fits
from microgpt.runs.training_data import find_training_data, load_training_data
from microgpt.system.memory import check_model_fits
from microgpt.system.suggestions import suggestion
from microgpt.training import Step

if TYPE_CHECKING:
    pass

VAL_DOCUMENTS = 100  # each validation reads at most this many held-out sequences, always the same sequences
# The best checkpoint is selected by the loss on about this many held-out tokens, always the same. For the model of
# `names`, the loss on them has a standard error of 0.018 nats per token, and the difference between steps 900 and 1000
# one of 0.002, because the errors of two checkpoints on the same documents are alike (100 documents: 0.034 and 0.003)
SELECTION_TOKENS = 2000
# Above this many weights, the engine draws the initial weights if it can: Python would take minutes
ENGINE_INIT_PARAMS = 10_000_000
BEGIN_OPTIONS = (
    "documents",
    "separator",
    "field",
    "tokenizer",
    "val_fraction",
    "validate_every",
    "micro_batch_size",
    "split",
    "patience",
    "start_from",
)


class Run(Model):
    """A model and its training progress.

    Create a run with `begin` or `load`. Iterating over the run trains it to config.num_steps and yields each Step.
    Without a seed, sampling continues the run's random stream, as in the published script: `load(path).sample(20)`
    returns the samples that `microgpt train` printed at the end.

    Attributes, besides those of Model:
        selection: The measurements by which the best checkpoint is selected; None if none is selected.
        new_symbols: The tokens that the run to start from did not know; only in a run that has just begun.
        is_best: Whether the run was loaded from its folder's best checkpoint.
        note: Why the last checkpoint was loaded, or started from, although there should be a best one; empty otherwise.

    Example:
        >>> run = Run.begin(["ada", "grace", "hedy"], Config(n_embd=8, n_head=2, num_steps=3))
        >>> [step.step for step in run]
        [1, 2, 3]
        >>> len(run.sample(20))
        20
    """

    def __init__(self, state: Checkpoint, find_data: Callable[[], Data], engine: str = "auto", **options: Any) -> None:
        super().__init__(state, find_data, engine, **options)
        self.selection = state.selection
        self.new_symbols: list[str] = []
        self.is_best, self.note = False, ""

    @classmethod
    def begin(
        cls,
        source: Source | Data = "names",
        config: Config | None = None,
        *,
        documents: str | None = None,
        separator: str | None = None,
        field: str | None = None,
        tokenizer: str | None = None,
        val_fraction: float = 0.0,
        validate_every: int | None = None,
        micro_batch_size: int | None = None,
        split: str | None = None,
        patience: int | None = None,
        start_from: Run | str | os.PathLike[str] | None = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Run:
        """Start a new run with an untrained model.

        Args:
            source: A text file, a folder of text files, `names` (bundled), `makemore` or `shakespeare` (downloaded
                once), a folder of prepared data, documents in memory, or loaded Data.
            config: The settings; the default is Config(), or those of the run to start from.
            documents: `lines`, `stream` for one long text, or `paragraphs` for documents separated by blank lines;
                the default is chosen by loading.load.
            separator: The text that separates documents.
            field: The column of a CSV or TSV file, or the field of a JSON Lines file, that has the documents.
            tokenizer: `char` (the default), `byte` or `bpe:N`.
            val_fraction: The fraction of the documents to hold out.
            validate_every: The number of steps between measurements of the held-out loss; the default is a tenth of
                all steps.
            micro_batch_size: The number of documents to process at once; the default is the full batch.
            split: The rule that chooses the held-out documents, one of split.RULES; the default keeps equal documents
                on the same side, and holds out the end of a stream.
            patience: Stop after this many measurements of the held-out loss without a new least loss; the default is
                not to stop early.
            start_from: A run, or the folder or checkpoint of a run, whose parameters, architecture and tokenizer the
                new run begins with; characters that it does not know are added to the vocabulary.
            engine: The engine; see engines.open_engine. Checkpoints store the precision, but neither the engine nor its
                other options.
            precision: The engine's precision; the native engine's default is choose.default_precision.
            threads: The number of threads.
            progress: Called to report download progress.
            **options: Settings that replace the config's, such as num_steps=100; and other engine options.

        Returns:
            The run, at step 0.

        Raises:
            DataError: The text cannot be used.
            TypeError: An option is unknown.
            ValueError: A setting or option is invalid.
            MemoryError: The model does not fit in memory.
        """
        begun = None if start_from is None else fine_tuning.start(start_from)
        config, options = with_settings(config or (begun.config if begun else Config()), options)
        if begun:
            fine_tuning.check_architecture(config, begun)
            fine_tuning.check_tokenizer(tokenizer, begun)
        training.check_options(config.batch_size, micro_batch_size, validate_every)
        training.check_patience(patience, val_fraction, validate_every, config.num_steps)
        data = source
        if not isinstance(data, Data):
            known = begun.tokenizer if begun else None
            data = load_training_data(data, config, documents, tokenizer, progress, separator, field, known)
        elif data.bos_first != config.bos_first or (data.mode == "stream" and data.block_size != config.block_size):
            raise ValueError(
                f"the data must be loaded with the config's bos_first={config.bos_first} and"
                f" block_size={config.block_size}, got bos_first={data.bos_first} and block_size={data.block_size}"
            )
        if begun:
            fine_tuning.check_vocabulary(data, begun)
        count = num_params(config, data.vocab_size)
        check_model_fits(count, 6 * config.n_layer)
        check_batch_fits(data, config, engine)
        rng = random.Random(config.seed)
        rule = data.split_rule(split) if val_fraction else SINGLY
        order = data.order(
            config.seed, val_fraction, rng, rule
        )  # first the order, then the parameters, from one stream
        large = count > ENGINE_INIT_PARAMS and not begun
        if begun:
            params = fine_tuning.grown(begun, config, data.tokenizer, rng)
        else:
            params = array("d", bytes(8 * count)) if large else init(config, data.vocab_size, rng)
        if not all(map(math.isfinite, params)):
            raise ValueError(f"init_std must be lower, got init_std={config.init_std}: some weights are not finite")
        state = Checkpoint(
            config=config,
            symbols=data.tokenizer.symbols,
            params=params,
            m=array("d", bytes(8 * len(params))),
            v=array("d", bytes(8 * len(params))),
            step=0,
            rng_state=rng.getstate(),
            provenance=replace(
                Provenance.of(data, val_fraction, validate_every, micro_batch_size, rule, patience),
                precision=default_precision(config, data.vocab_size),
                start_from=begun.origin if begun else None,
            ),
            spec=spec_of(data.tokenizer),
            selection=Selection() if patience else None,
        )
        run = cls(state, lambda: data, engine, precision=precision, threads=threads, **options)
        run._order = order
        if begun:
            run.new_symbols, run.note = fine_tuning.new_symbols(data.tokenizer, begun), begun.note
        run.provenance = replace(run.provenance, precision=run.engine.precision)
        if large:
            if run.engine.can_init_params:
                run.engine.init_params(config.seed)
            else:
                run.engine.params[:] = init(config, data.vocab_size, rng)
                run.rng.setstate(rng.getstate())
        return run

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        checkpoint: str | None = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        source: Source | None = None,
        **options: Any,
    ) -> Run:
        """Load a run from its folder or from a checkpoint file; the data is loaded on first use.

        Args:
            path: The folder or the file.
            checkpoint: The folder's checkpoint: `best`, the one with the least held-out loss, or `last`, to continue
                training. The default is the best one if there is one; if it should be there but is missing or damaged,
                the last one is loaded, and `note` says so.
            engine: The engine; see engines.open_engine.
            precision: The engine's precision.
            threads: The number of threads.
            source: The new location of the training data, if it has moved.
            **options: Other engine options.

        Returns:
            The run.

        Raises:
            RunError: There is no checkpoint, or no best one although it was asked for.
            CheckpointError: The file is not a checkpoint, or is damaged.
        """
        state, chosen = load_chosen(path, checkpoint)
        facts = without_buffers(state)
        run = cls(
            state, lambda: find_training_data(facts, source), engine, precision=precision, threads=threads, **options
        )
        run.is_best, run.note = chosen.is_best, chosen.note
        return run

    def __repr__(self) -> str:
        return f"<Run: {self.num_params} parameters, step {self.step} of {self.config.num_steps}>"

    def __iter__(self) -> Iterator[Step]:
        return self.steps()

    def steps(self, *, pause_every: int = 0, together: bool = False, until: int | None = None) -> Iterator[Step]:
        """Run the remaining training steps and yield each one; see training.train.

        Args:
            pause_every: With `together`, the engine's state matches the yielded step at every multiple of this number.
            together: Whether to let the engine compute many steps per call, for speed.
            until: Stop after this step.

        Yields:
            The steps; advancing the iterator trains the run. It ends early when the run's patience is exhausted.
        """
        order, held_out = self._order
        check_batch_fits(self.data, self.config, self.engine.name)
        if self.stopped_early:
            return
        every = self.provenance.validate_every or max(1, self.config.num_steps // 10)
        sample = evaluation.spread(held_out, VAL_DOCUMENTS)
        is_larger = self.selection is not None and len(self._selecting) > len(sample)
        for step in training.train(
            self.engine,
            partial(self.data.sequence, limit=self.config.block_size + 1),
            order,
            micro_batch_size=self.provenance.micro_batch_size,
            validate=(lambda: self._val_loss(sample)) if held_out else None,
            select=(lambda: self._val_loss(self._selecting)) if is_larger else None,
            validate_every=every if held_out else 0,
            pause_every=pause_every,
            together=together,
            until=until,
        ):
            if self.selection and step.held_out_loss is not None:
                self.selection = self.selection.after(step.step, step.held_out_loss)
            yield step
            if self.stopped_early:
                return

    @property
    def stopped_early(self) -> bool:
        """True if training has stopped before num_steps, because the run's patience is exhausted."""
        patience = self.provenance.patience
        is_exhausted = self.selection and patience and self.selection.since >= patience
        return bool(is_exhausted) and self.step < self.config.num_steps

    @cached_property
    def _selecting(self) -> Sequence[int]:
        """The held-out sequences by whose loss the best checkpoint is selected, at least VAL_DOCUMENTS."""
        sample = evaluation.spread(self.held_out, VAL_DOCUMENTS)
        tokens = sum(self._positions(i) for i in sample)
        return evaluation.spread(self.held_out, max(VAL_DOCUMENTS, len(sample) * SELECTION_TOKENS // tokens))

    def _val_loss(self, indices: Sequence[int]) -> float:
        """Return the loss on held-out sequences; processes that train together each compute a share."""
        part = self.score(indices[self.engine.rank :: self.engine.world_size])
        nats, tokens = self.engine.add_up([part.nats, float(part.tokens)])
        return nats / tokens

    def use(self, state: Checkpoint) -> None:
        """Use the parameters of another checkpoint of the run, which cannot be trained after that.

        Adam's moments remain as they are: if they are sharded, one process alone could not replace them.
        """
        self.engine.params[:], self.engine.step = state.params, state.step
        self.rng.setstate(state.rng_state)

    def state(self) -> Checkpoint:
        """Return the state to store in a checkpoint; raise DivergedError if a weight is not finite."""
        engine = self.engine
        if not all(map(math.isfinite, engine.params)):
            raise DivergedError(
                f"a weight is not finite after step {engine.step}: start a new run with learning_rate below"
                f" {self.config.learning_rate}"
            )
        return Checkpoint(
            config=self.config,
            symbols=self.tokenizer.symbols,
            params=engine.params,
            m=engine.m,
            v=engine.v,
            step=engine.step,
            rng_state=self.rng.getstate(),
            provenance=self.provenance,
            spec=spec_of(self.tokenizer),
            selection=self.selection,
            dtype=engine.dtype,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint file atomically."""
        checkpoints.save(Path(path), self.state())


def with_settings(config: Config, options: dict[str, Any]) -> tuple[Config, dict[str, Any]]:
    """Return a config with the settings among the options, and the other options, which are the engine's.

    Raises:
        TypeError: An option is neither a setting nor an engine's; the message names the most similar one.
    """
    fields = config.to_dict()
    if unknown := next((name for name in options if name not in fields and name not in ENGINE_OPTIONS), None):
        meant = suggestion(unknown, [*fields, *BEGIN_OPTIONS, *ENGINE_OPTIONS])
        raise TypeError(
            f"unknown option {unknown}={options[unknown]!r:.40}; "
            + (f"did you mean {meant}?" if meant else f"the settings are {', '.join(fields)}")
        )
    settings = {name: value for name, value in options.items() if name in fields}
    return config.replace(**settings), {name: value for name, value in options.items() if name not in fields}


def without_buffers(state: Checkpoint) -> Checkpoint:
    """Return a checkpoint without its buffers, which an engine takes over."""
    nothing: array[float] = array("d")
    return replace(state, params=nothing, m=nothing, v=nothing)


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the tokenizer's description for a checkpoint; empty for a character tokenizer, whose symbols suffice."""
    return {} if isinstance(tokenizer, CharTokenizer) else tokenizer.spec()


def load(path: str | os.PathLike[str], **options: Any) -> Run:
    """Load a run from its folder or from a checkpoint file.

    Args:
        path: The folder or the file.
        **options: Options for Run.load, such as checkpoint="last".

    Returns:
        The run. If its best checkpoint should be there but cannot be used, a warning says so.

    Raises:
        RunError: There is no checkpoint.
        CheckpointError: The file is not a checkpoint, or is damaged.
    """
    run = Run.load(path, **options)
    if run.note:
        warnings.warn(run.note, stacklevel=2)
    return run
