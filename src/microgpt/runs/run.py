"""A run: one model with its data, random stream and progress, from start or load to save."""

from __future__ import annotations

import math
import os
import random
from array import array
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from microgpt import evaluation, training
from microgpt.config import Config, init, num_params
from microgpt.data.documents import Data
from microgpt.data.download import Progress
from microgpt.data.prepared import Working
from microgpt.data.tokenizers import CharTokenizer, Tokenizer
from microgpt.engines.base import Engine
from microgpt.engines.choose import open_engine
from microgpt.engines.program import REFERENCE, Program
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import DataError, DivergedError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs import samples
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.evaluate import evaluate, told_of
from microgpt.runs.layout import checkpoint_file
from microgpt.runs.provenance import Provenance
from microgpt.runs.samples import Written
from microgpt.runs.training_data import Source, find_training_data, load_training_data
from microgpt.system.memory import check_model_fits
from microgpt.training import Step

VAL_DOCUMENTS = 100  # the most held-out sequences that a validation during training reads, always the same ones
LARGE = 10_000_000  # parameters, from which on an engine that can draws the first ones itself: Python takes minutes


class Run:
    """A model and its training so far. Iterating trains it to the end of config.num_steps, a Step at a time.

        run = Run.begin("names.txt", Config(num_steps=500))
        for step in run:
            print(step.step, step.loss)
        print(run.sample(20))

    Make one with `begin` or `load`. Samples drawn without a seed continue the run's own random stream, as the published
    script does: `load(path).sample(20)` gives what training printed at its end.
    """

    def __init__(
        self,
        state: Checkpoint,
        find_data: Callable[[], Data],
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        program: Program = REFERENCE,
        **options: Any,
    ) -> None:
        self.config = state.config
        self.provenance = state.provenance
        self.tokenizer = state.tokenizer()
        self.engine: Engine
        if program is REFERENCE:
            self.engine = open_engine(
                engine, state.params, state.config, len(state.symbols), precision, threads, **options
            )
        else:  # a program that only Python runs
            self.engine = ScalarEngine(state.params, state.config, len(state.symbols), program)
        if engine != "torch" and (threads or 1) > self.config.batch_size:
            raise ValueError(
                f"threads must be at most batch_size={self.config.batch_size}, got threads={threads}: they share the"
                " documents of a batch"
            )
        training.check_share(self.config.batch_size, self.engine.world_size)
        self.engine.m[:], self.engine.v[:] = state.m, state.v
        self.engine.step = state.step
        self.rng = random.Random()
        self.rng.setstate(state.rng_state)
        self._find_data = find_data

    @classmethod
    def begin(
        cls,
        source: Source | Data = "names",
        config: Config | None = None,
        *,
        documents: str | None = None,
        tokenizer: str | None = None,
        val_fraction: float = 0.0,
        validate_every: int | None = None,
        micro_batch_size: int | None = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Run:
        """A new model, untrained.

        source: a text file, `names` (bundled), `makemore` (downloaded once), the folder of prepared data, documents in
        memory, or loaded Data. documents: `lines` (default), or `stream` for one long text. tokenizer: `char` (the
        default), `byte` or `bpe:N`. val_fraction: the share of the documents that is held out.
        validate_every: steps between two held-out losses, default a tenth of all. micro_batch_size: documents computed
        at once, default the whole batch. engine, precision, threads, options: see engines.open_engine; no checkpoint
        keeps them.
        Raises DataError or ValueError where these make no sense.
        """
        config = config or Config()
        training.check_options(config.batch_size, micro_batch_size, validate_every)
        data = source
        if not isinstance(data, Data):
            data = load_training_data(data, config, documents, tokenizer, progress)
        elif data.bos_first != config.bos_first or (data.mode == "stream" and data.block_size != config.block_size):
            raise ValueError(
                f"the data must be loaded with the config's bos_first={config.bos_first} and"
                f" block_size={config.block_size}, got bos_first={data.bos_first} and block_size={data.block_size}"
            )
        rng = random.Random(config.seed)
        order = data.order(config.seed, val_fraction, rng)  # first the order, then the parameters, from one stream
        count = num_params(config, data.vocab_size)
        check_model_fits(count)
        large = count > LARGE
        params = array("d", bytes(8 * count)) if large else init(config, data.vocab_size, rng)
        if not all(map(math.isfinite, params)):
            raise ValueError(f"init_std must be lower, got init_std={config.init_std}: parameters are not finite")
        state = Checkpoint(
            config=config,
            symbols=data.tokenizer.symbols,
            params=params,
            m=array("d", bytes(8 * len(params))),
            v=array("d", bytes(8 * len(params))),
            step=0,
            rng_state=rng.getstate(),
            provenance=Provenance.of(data, val_fraction, validate_every, micro_batch_size),
            spec=spec_of(data.tokenizer),
        )
        run = cls(state, lambda: data, engine, precision, threads, **options)
        run._order = order
        if large:
            if run.engine.draws_params:
                run.engine.draw_params(config.seed)
            else:
                run.engine.params[:] = init(config, data.vocab_size, rng)
                run.rng.setstate(rng.getstate())
        return run

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        source: Source | None = None,
        **options: Any,
    ) -> Run:
        """The run that was saved in a folder, or in a file; its data are looked up when they are needed.

        source: where the training data are now, if they have moved. Raises RunError or CheckpointError.
        """
        state = checkpoints.load(checkpoint_file(path))
        return cls(state, lambda: find_training_data(state, source), engine, precision, threads, **options)

    @cached_property
    def data(self) -> Data:
        """The training data. Raises DataError where they are not what the run was trained on."""
        return self._find_data()

    @cached_property
    def missing_data(self) -> str:
        """Why the training data cannot be had; empty where they can."""
        try:
            _ = self.data
            return ""
        except DataError as error:
            return str(error)

    @cached_property
    def _order(self) -> tuple[Sequence[int], Sequence[int]]:
        rng = random.Random(self.config.seed)
        return self.data.order(self.config.seed, self.provenance.val_fraction or 0.0, rng)

    def __repr__(self) -> str:
        return f"<Run: {self.num_params} parameters, step {self.step} of {self.config.num_steps}>"

    @property
    def step(self) -> int:
        """How many training steps were made."""
        return self.engine.step

    @property
    def num_params(self) -> int:
        """How many numbers the model learns."""
        return len(self.engine.params)

    @property
    def order(self) -> Sequence[int]:
        """The sequences of the data that training reads, one after another, over and over."""
        return self._order[0]

    @property
    def held_out(self) -> Sequence[int]:
        """The sequences of the data that training does not read."""
        return self._order[1]

    def __iter__(self) -> Iterator[Step]:
        return self.steps()

    def steps(self, *, pause_every: int = 0, together: bool = False, until: int | None = None) -> Iterator[Step]:
        """The steps that remain; see training.train."""
        order, held_out = self._order
        every = self.provenance.validate_every or max(1, self.config.num_steps // 10)
        return training.train(
            self.engine,
            self.data.sequence,
            order,
            micro_batch_size=self.provenance.micro_batch_size,
            validate=(lambda: self._val_loss(evaluation.spread(held_out, VAL_DOCUMENTS))) if held_out else None,
            validate_every=every if held_out else 0,
            pause_every=pause_every,
            together=together,
            until=until,
        )

    def _val_loss(self, indices: Sequence[int]) -> float:
        """The loss on held-out sequences, which the processes that train together share."""
        part = self.score(indices[self.engine.rank :: self.engine.world_size])
        nats, tokens = self.engine.add_up([part.nats, float(part.tokens)])
        return nats / tokens

    def score(
        self, indices: Sequence[int], data: Data | None = None, progress: Working | None = None
    ) -> evaluation.Score:
        """The model's score on these sequences of its data, or of other data that its vocabulary covers."""
        told = told_of(indices, "reading", len(indices), progress)
        return evaluation.score(self.engine, map((data or self.data).sequence, told))

    def evaluate(
        self,
        source: Source | None = None,
        *,
        limit: int = 1000,
        num_samples: int = 1000,
        seed: int | None = None,
        progress: Working | None = None,
    ) -> evaluation.Evaluation:
        """Measure the model: its loss beside what counting letters reaches, and how much of its writing is new.

        source: another text; the default is the held-out part of the training data, else all of them. limit: documents
        read, spread over the text; 0: all. num_samples: drawn with `seed`, default the config's. Without the training
        data there are no counts, and it is unknown what is new. Raises DataError.
        """
        return evaluate(self, source, limit, num_samples, self.config.seed if seed is None else seed, progress)

    def sample(
        self,
        n: int = 1,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        prompt: str = "",
        seed: int | None = None,
        first: int = 0,
        max_new_tokens: int | None = None,
        slide: bool = False,
    ) -> list[str]:
        """n new texts, each with the prompt that it began with.

        temperature: default the config's; 0 always takes the likeliest token. seed: sample i is then drawn from
        `random.Random(f"{seed}:{i}")`, i from `first` on, the same for every engine; the default is the run's stream.
        max_new_tokens, slide: see sampling.generate. Raises ValueError for options that make no sense.
        """
        return samples.draw(
            self.engine,
            self.tokenizer,
            self.rng,
            n,
            temperature=self.config.temperature if temperature is None else temperature,
            top_k=top_k,
            prompt=prompt,
            seed=seed,
            first=first,
            max_new_tokens=max_new_tokens,
            slide=slide,
        )

    def write(
        self, n: int = 1, *, seed: int | None = None, new_only: bool = False, **options: Any
    ) -> Iterator[list[Written]]:
        """n samples, some at a time, each from a random stream of its own and looked up in the training data.

        seed: default the config's. new_only: only those that are not in the training data. options: those of `sample`.
        Raises DataError where new_only finds no training data, or hardly anything new.
        """
        data = None if self.missing_data and not new_only else self.data
        draw = partial(self.sample, seed=self.config.seed if seed is None else seed, **options)
        yield from samples.looked_up(draw, data, n, new_only)

    def state(self) -> Checkpoint:
        """What a checkpoint keeps. Raises DivergedError when the parameters are no longer numbers."""
        engine = self.engine
        if not all(map(math.isfinite, engine.params)):
            raise DivergedError(
                f"a parameter is not finite after step {engine.step}: begin a new run with a lower"
                f" learning_rate={self.config.learning_rate}"
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
            dtype=engine.dtype,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint file, whole or not at all."""
        checkpoints.save(Path(path), self.state())


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """What a checkpoint keeps of a tokenizer beside its symbols: of characters, nothing."""
    return {} if isinstance(tokenizer, CharTokenizer) else tokenizer.spec()


def load(path: str | os.PathLike[str], **options: Any) -> Run:
    """The run that was saved in a folder or a checkpoint file; see Run.load."""
    return Run.load(path, **options)
