"""A run: one model with its data, its random stream and how far it is trained; and the folder that keeps it.

A run folder holds `model.safetensors` (the checkpoint, from which alone a run goes on), and for people and their
tools `config.json`, `metrics.jsonl` (a JSON line for each step, in full precision) and `samples.txt`.
"""

from __future__ import annotations

import math
import os
import random
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from microgpt import evaluation, sampling, training
from microgpt.config import Config, init, num_params
from microgpt.data.documents import MODES, Data
from microgpt.data.download import Progress
from microgpt.data.loading import load as load_data
from microgpt.data.prepared import Working
from microgpt.data.tokenizers import CharTokenizer, Tokenizer
from microgpt.engines.base import Engine, Tokens, truncated
from microgpt.engines.choose import open_engine
from microgpt.engines.program import REFERENCE, Listing
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import DataError, DivergedError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.layout import checkpoint_file
from microgpt.runs.training_data import Source, _load, _same_data
from microgpt.system import hardware
from microgpt.system.processes import processes_here
from microgpt.training import Step

VAL_DOCUMENTS = 100  # how many held-out sequences each validation during training reads, at most: the same ones always
COUNTED = 200_000  # how many training sequences letters are counted in, at most, spread over all
STREAMS = 64  # how many samples grow together, at most

LARGE = 10_000_000  # parameters, from which on an engine that can draws the first ones itself: Python takes minutes
WRITTEN_AT_ONCE = 20  # samples: so that they are seen as they come


class Written(NamedTuple):
    """A sample. known: does it stand in the training data? None where these are not here."""

    text: str
    known: bool | None


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
        listing: Listing = REFERENCE,
        **options: Any,
    ) -> None:
        self.config = state.config
        self.data_info = state.data
        self.tokenizer = state.tokenizer()
        self.engine: Engine
        if listing is REFERENCE:
            self.engine = open_engine(
                engine, state.params, state.config, len(state.symbols), precision, threads, **options
            )
        else:  # a program that only Python runs
            self.engine = ScalarEngine(state.params, state.config, len(state.symbols), listing)
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
            data = _load(data, config, documents, tokenizer, progress)
        elif data.bos_first != config.bos_first or (data.mode == "stream" and data.block_size != config.block_size):
            raise ValueError(
                f"the data must be loaded with the config's bos_first={config.bos_first} and"
                f" block_size={config.block_size}, got bos_first={data.bos_first} and block_size={data.block_size}"
            )
        rng = random.Random(config.seed)
        order = data.order(config.seed, val_fraction, rng)  # first the order, then the parameters, from one stream
        count = num_params(config, data.vocab_size)
        _check_memory(count)
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
            data={
                "source": data.source,
                "sha256": data.sha256,
                "documents": data.mode,
                "num_docs": len(data),
                "val_fraction": val_fraction,
                **_given(validate_every=validate_every, micro_batch_size=micro_batch_size),
            },
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
        return cls(state, lambda: _same_data(state, source), engine, precision, threads, **options)

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
        return self.data.order(self.config.seed, self.data_info.get("val_fraction", 0.0), rng)

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
        every = self.data_info.get("validate_every") or max(1, self.config.num_steps // 10)
        return training.train(
            self.engine,
            self.data.sequence,
            order,
            micro_batch_size=self.data_info.get("micro_batch_size"),
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
        told = _told(indices, "reading", len(indices), progress)
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
        data there are no counts, and nothing is told of what is new. Raises DataError.
        """
        if source is None:
            text, indices = self.data, self.held_out or range(len(self.data))
            what = f"{'held-out part of' if self.held_out else 'training data'} {text.source or 'documents in memory'}"
        else:
            text = self._read(source)
            indices, what = range(len(text)), str(source) if text.source else "documents in memory"
        chosen = evaluation.spread(indices, limit)
        scores = {"model": self.score(chosen, text, progress)}
        if not self.missing_data:
            trained_on = evaluation.spread(self.order, COUNTED)
            sequences = map(self.data.sequence, _told(trained_on, "counting", len(trained_on), progress))
            counts = evaluation.Counts(sequences, self.engine.vocab_size)
            scores["letter pairs"] = scores["letters"] = evaluation.NOTHING
            for i in chosen:
                letters, pairs = counts.score(truncated(text.sequence(i), self.config))
                scores["letters"] += letters
                scores["letter pairs"] += pairs
        scores["knowing nothing"] = evaluation.nothing_known(scores["model"].tokens, self.engine.vocab_size)
        if not isinstance(self.tokenizer, CharTokenizer):
            characters = sum(map(self._characters, map(text.sequence, chosen)))
            scores = {name: replace(score, characters=characters) for name, score in scores.items()}
        seed = self.config.seed if seed is None else seed
        samples: list[str] = []
        for first in range(0, num_samples, STREAMS):
            samples += self.sample(min(STREAMS, num_samples - first), seed=seed, first=first)
            if progress:
                progress("writing", len(samples), num_samples)
        known = None if self.missing_data else self.data.known(samples)
        return evaluation.Evaluation(what, len(chosen), len(indices), scores, evaluation.novelty(samples, known))

    def _characters(self, tokens: Tokens) -> int:
        """That the tokens write which the model predicts of this sequence, BOS counted as one."""
        targets = truncated(tokens, self.config)[1:]
        return len(self.tokenizer.decode(targets)) + targets.count(self.tokenizer.bos)

    def _read(self, source: Source) -> Data:
        """Another text, in the model's own characters."""
        return load_data(
            source,
            mode=self.data_info.get("documents", MODES[0]),
            block_size=self.config.block_size,
            bos_first=self.config.bos_first,
            tokenizer=self.tokenizer,
        )

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

        temperature: default the config's; 0 takes the likeliest token always. seed: sample i is then drawn from
        `random.Random(f"{seed}:{i}")`, i from `first` on, the same for every engine; the default is the run's stream.
        max_new_tokens, slide: see sampling.generate. Raises ValueError for options that make no sense.
        """
        if n < 0:
            raise ValueError(f"n must be at least 0, got n={n}")
        if max_new_tokens is not None and max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got max_new_tokens={max_new_tokens}")
        if slide and max_new_tokens is None:
            max_new_tokens = 10 * self.config.block_size  # a model that never closes a document must end somewhere
        temperature = self.config.temperature if temperature is None else temperature
        sampling.check_options(self.engine.vocab_size, temperature, top_k)
        try:
            prompt_ids = self.tokenizer.encode(prompt)[1:-1]
        except UnicodeEncodeError:
            raise ValueError(
                f"prompt must be text, got a half of a character in prompt={prompt!r}: leave it out"
            ) from None
        except KeyError as error:
            known = "".join(self.tokenizer.symbols)
            raise ValueError(
                f"prompt has the character {error.args[0]!r}, which the model has never seen, got prompt={prompt!r}:"
                f" use its own characters ({known if len(known) <= 100 else f'{known[:100]}... {len(known)} in all'})"
            ) from None
        options: dict[str, Any] = {
            "bos": self.tokenizer.bos,
            "block_size": self.config.block_size,
            "temperature": temperature,
            "top_k": top_k,
            "prompt": prompt_ids,
            "max_new_tokens": max_new_tokens,
        }
        samples: list[Iterable[int]] = []
        # each with its own random stream, so that they can grow together
        if seed is not None and self.engine.opens_streams and not slide:
            rngs = [random.Random(f"{seed}:{i}") for i in range(first, first + n)]
            for start in range(0, n, STREAMS):
                samples += sampling.generate_together(self.engine.streams, rngs[start : start + STREAMS], **options)
        else:
            for i in range(first, first + n):
                rng = self.rng if seed is None else random.Random(f"{seed}:{i}")
                samples.append(list(sampling.generate(self.engine.decoder, rng, slide=slide, **options)))
        return [prompt + self.tokenizer.decode(token_ids) for token_ids in samples]

    def write(
        self, n: int = 1, *, seed: int | None = None, new_only: bool = False, **options: Any
    ) -> Iterator[list[Written]]:
        """n samples, some at a time, each drawn from a random stream of its own and looked up in the training data.

        seed: default the config's. new_only: only those that do not stand in the training data. options: of `sample`.
        Raises DataError where new_only finds no training data, or hardly anything new.
        """
        data = None if self.missing_data and not new_only else self.data
        seed = self.config.seed if seed is None else seed
        written = drawn = 0
        while written < n:
            if drawn >= 100 * n:
                raise DataError(f"only {written} of {drawn} samples are new: raise the temperature, or ask for fewer")
            texts = self.sample(min(n - written, WRITTEN_AT_ONCE), seed=seed, first=drawn, **options)
            drawn += len(texts)
            known = data.known(texts) if data else set()
            samples = [Written(text, text in known if data else None) for text in texts]
            samples = [sample for sample in samples if not (new_only and sample.known)]
            written += len(samples)
            yield samples

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
            data=self.data_info,
            spec=spec_of(self.tokenizer),
            dtype=engine.dtype,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint file, whole or not at all."""
        checkpoints.save(Path(path), self.state())


def _check_memory(count: int) -> None:
    """Raise MemoryError for a model whose numbers alone do not fit: a checkpoint's three buffers, an engine's four."""
    here = processes_here()  # each with a copy of its own
    needed, free = count * (3 * 8 + 4 * 4) * here, hardware.free_memory()
    if free is not None and needed > free:
        raise MemoryError(hardware.too_large(count, needed, free, "this machine", here))


def _told(items: Iterable[int], what: str, total: int, progress: Working | None) -> Iterator[int]:
    """The items; progress is told of each that is done."""
    for done, item in enumerate(items, 1):
        yield item
        if progress:
            progress(what, done, total)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def spec_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """What a checkpoint keeps of a tokenizer beside its symbols: of characters, nothing."""
    return {} if isinstance(tokenizer, CharTokenizer) else tokenizer.spec()


def load(path: str | os.PathLike[str], **options: Any) -> Run:
    """The run that was saved in a folder or a checkpoint file; see Run.load."""
    return Run.load(path, **options)
