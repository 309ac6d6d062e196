"""A run: one model with its data, its random stream and how far it is trained; and the folder that keeps it.

A run folder holds `model.safetensors` (the checkpoint, from which alone a run goes on), and for people and their
tools `config.json`, `metrics.jsonl` (a JSON line for each step, in full precision) and `samples.txt`.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

from microgpt import checkpoint as checkpoints
from microgpt import evaluation, machine, sampling, training
from microgpt.checkpoint import Checkpoint
from microgpt.config import Config, init, num_params
from microgpt.data import DATASETS, MODES, Data, DataError, Progress
from microgpt.data import load as load_data
from microgpt.engines import Engine, Tokens, open_engine, processes, processes_here
from microgpt.engines.scalar import ScalarEngine
from microgpt.listing import REFERENCE, Listing
from microgpt.lock import Lock, LockedError, sweep
from microgpt.prepared import Working, is_prepared, open_prepared
from microgpt.safetensors import atomic
from microgpt.tokenization import CharTokenizer, Tokenizer
from microgpt.training import DivergedError, Step

VAL_DOCUMENTS = 100  # how many held-out sequences each validation during training reads, at most: the same ones always
MAY_CHANGE = ("num_steps", "micro_batch_size", "validate_every")  # when a run is resumed
COUNTED = 200_000  # how many training sequences letters are counted in, at most, spread over all
STREAMS = 64  # how many samples grow together, at most
SAVE_SECONDS = 30.0  # how often a training run is saved where no number of steps is given,
SAVE_SHARE = 0.05  # or less often, where saving would take a larger share of the time: gigabytes take many seconds

LARGE = 10_000_000  # parameters, from which on an engine that can draws the first ones itself: Python takes minutes
WRITTEN_AT_ONCE = 20  # samples: so that they are seen as they come

WHERE = "say where that text is now: --data FILE, or microgpt train FILE --resume"

Source = str | os.PathLike[str] | Sequence[str]


class RunError(ValueError):
    """A run that cannot be begun, loaded or continued as asked; the message says why and what to do."""


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
            draw = getattr(run.engine, "draw", None)
            if draw is None:
                run.engine.params[:] = init(config, data.vocab_size, rng)
                run.rng.setstate(rng.getstate())
            else:
                draw(config.seed)
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
                letters, pairs = counts.score(text.sequence(i)[: self.config.block_size + 1])
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
        targets = tokens[1 : self.config.block_size + 1]
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
        open_streams = getattr(self.engine, "streams", None)
        samples: list[Iterable[int]] = []
        if (
            seed is not None and open_streams and not slide
        ):  # each with its own random stream: so they can grow together
            rngs = [random.Random(f"{seed}:{i}") for i in range(first, first + n)]
            for start in range(0, n, STREAMS):
                samples += sampling.generate_together(open_streams, rngs[start : start + STREAMS], **options)
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
    needed, free = count * (3 * 8 + 4 * 4) * here, machine.free_memory()
    if free is not None and needed > free:
        raise MemoryError(machine.too_large(count, needed, free, "this machine", here))


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


def _load(
    source: Source, config: Config, documents: str | None, tokenizer: str | None, progress: Progress | None
) -> Data:
    """A text, or prepared data, of which what is asked for must be true."""
    if not _is_prepared(source):
        return load_data(
            source,
            mode=documents or MODES[0],
            block_size=config.block_size,
            bos_first=config.bos_first,
            tokenizer=tokenizer or "char",
            progress=progress,
        )
    data = open_prepared(Path(cast("str", source)), config.block_size)
    for name, asked, is_so in (
        ("documents", documents, data.mode),
        ("tokenizer", tokenizer, data.facts["asked"]["tokenizer"]),
        ("bos_first", config.bos_first, data.bos_first),
    ):
        if asked is not None and asked != is_so:
            remedy = "set bos_first as it is there" if name == "bos_first" else "leave it out"
            raise DataError(
                f"{os.fspath(cast('str', source))!r} was prepared with {name}={is_so}, got {name}={asked}: {remedy}, or"
                " prepare it otherwise"
            )
    return data


def _is_prepared(source: Source) -> bool:
    """Is it the folder of prepared data? A str that names a data set is none."""
    if isinstance(source, str) and source in DATASETS:
        return False
    return isinstance(source, (str, os.PathLike)) and is_prepared(Path(source))


def _same_data(state: Checkpoint, source: Source | None) -> Data:
    """The data that a checkpoint was trained on, found again."""
    info, moved = state.data, source is None
    source = info.get("source") if source is None else source
    if source is None:
        raise DataError("the run was trained on documents in memory: pass them again (source=...)")
    if moved and source not in DATASETS and not Path(str(source)).exists():
        raise DataError(f"the training data are no longer at {str(source)!r}: {WHERE}")
    if _is_prepared(source):
        data: Data = open_prepared(Path(cast("str", source)), state.config.block_size)
        if data.tokenizer.symbols != state.symbols:
            raise DataError(
                f"{os.fspath(cast('str', source))!r} was prepared with another tokenizer than the run's:"
                f" {WHERE if moved else 'give the data that it was trained on, or begin a new run'}"
            )
    else:
        data = load_data(
            source,
            mode=info.get("documents", "lines"),
            block_size=state.config.block_size,
            bos_first=state.config.bos_first,
            tokenizer=state.tokenizer(),
        )
    if data.sha256 != info.get("sha256"):
        raise DataError(
            f"{str(source)!r} is not the text that the run was trained on (SHA-256 {data.sha256[:12]}..., expected"
            f" {str(info.get('sha256'))[:12]}...): {WHERE if moved else 'give that text, or begin a new run'}"
        )
    return data


# --- The folder of a run


def checkpoint_file(path: str | os.PathLike[str]) -> Path:
    """The checkpoint of a run folder, or the file itself; RunError where there is none."""
    path = Path(path)
    file = path
    try:
        if path.is_dir():
            file = path / Folder.MODEL
        with file.open("rb"):
            return file
    except FileNotFoundError:
        what = "has no model.safetensors: it is not a run folder" if path.is_dir() else "does not exist"
        raise RunError(
            f"{str(path)!r} {what}; give the folder of a run (microgpt train --out), or a checkpoint"
        ) from None
    except OSError as error:
        raise RunError(f"cannot read {str(file)!r}: {error.strerror}") from None


def next_folder(parent: Path) -> Path:
    """The first of parent/1, parent/2, ... that does not exist; made at once, so that no other process takes it."""
    for number in itertools.count(1):
        with suppress(FileExistsError):
            (parent / str(number)).mkdir(parents=True)
            return parent / str(number)
    raise AssertionError


class Folder:
    """The folder of a run that is being trained. Its checkpoint is always whole, and its metrics never behind it.

    No other process trains in it until `close` is called, the `with` block ends or the object is gone. Where several
    train one model together, each has this object, and the first alone writes.
    """

    CONFIG, METRICS, MODEL, SAMPLES = "config.json", "metrics.jsonl", "model.safetensors", "samples.txt"

    def __init__(self, path: Path, run: Run, planned_steps: int, lock: Lock | None) -> None:
        self.path, self.run = path, run
        self.planned_steps = planned_steps  # num_steps before this training began
        self.computed_by: dict[str, Any] = {}  # the options of the engine, for whoever tells how to go on
        self._lock = lock  # which lives as long as we do; None where another process writes

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes train here."""
        if self._lock:
            self._lock.release()

    @classmethod
    def create(cls, path: str | os.PathLike[str], run: Run, *, overwrite: bool = False) -> Folder:
        """Begin a folder with the untrained model.

        Raises RunError where a run is there already (unless overwrite), or files that are not a run's.
        """
        if run.engine.rank:
            folder = cls(Path(path), run, run.config.num_steps, None)
            folder._follow()
            return folder
        if not str(path):
            raise RunError("out must name a folder, got out=''")
        if Path(path).exists() and not Path(path).is_dir():
            raise RunError(f"out={str(path)!r} is a file: give a folder")
        with _writing(path, "give another folder"):
            Path(path).mkdir(parents=True, exist_ok=True)
        with _locked(path, "give another folder") as lock:
            folder = cls(Path(path), run, run.config.num_steps, lock)
            has_model = _is_run(folder.path)
            if has_model and not overwrite:
                raise RunError(
                    f"out={str(path)!r} holds a run already: add --resume to go on with it, --overwrite to replace it,"
                    " or give another folder"
                )
            files = (cls.MODEL, cls.CONFIG, cls.METRICS, cls.SAMPLES)
            strangers = [name for name in files if (folder.path / name).exists()]
            if strangers and not has_model:
                raise RunError(f"out={str(path)!r} holds {strangers[0]!r}, which is not a run's: give another folder")
            with _writing(path, "give another folder"):
                folder.save()
                (folder.path / cls.SAMPLES).unlink(missing_ok=True)
                with atomic(folder.path / cls.METRICS):
                    pass
                folder.write_config()
        folder.any(False)  # the others wait for it
        return folder

    @classmethod
    def resume(
        cls,
        path: str | os.PathLike[str],
        *,
        changes: dict[str, Any] | None = None,
        source: Source | None = None,
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> Folder:
        """Go on with the run of a folder, bit for bit as if it had never stopped.

        changes: settings of Config, or of `begin`, that are asked for; only those of MAY_CHANGE may differ from the
        run's. source: where the data are now.
        Raises RunError, CheckpointError or DataError; the folder is then as it was.
        """
        if Path(path).is_file():
            raise RunError(f"out={str(path)!r} is a file: give the folder of the run")
        model = checkpoint_file(path)
        with nullcontext() if processes()[0] else _locked(path, "make it writable") as lock:
            state = checkpoints.load(model)
            planned_steps = state.config.num_steps
            _change(state, changes or {})
            run = Run(state, lambda: _same_data(state, source), engine, precision, threads, **options)
            _ = run.data  # before anything is written
            if isinstance(source, (str, os.PathLike)):
                run.data_info["source"] = run.data.source
            folder = cls(Path(path), run, planned_steps, lock)
            if lock is None:
                folder._follow()
                return folder
            with _writing(path, "make it writable"):
                folder._cut_metrics()
                folder.save()  # with what has changed: a process killed from here on resumes this run, not the old one
                folder.write_config()
            folder.any(False)  # the others wait for it
        return folder

    def train(self, checkpoint_every: int = 0, *, together: bool = False) -> Iterator[Step]:
        """The run's steps, recorded: metrics step by step; a checkpoint every so many steps, and at the end.

        checkpoint_every: 0 is every 30 seconds, or so often that a twentieth of the time goes into it. A loop that
        stops early, between two steps, calls `save`.
        """
        saved, wait = time.monotonic(), SAVE_SECONDS
        path = self.path / self.METRICS if self._lock else Path(os.devnull)
        with path.open("a", encoding="utf-8") as metrics:
            for step in self.run.steps(pause_every=checkpoint_every, together=together):
                metrics.write(json.dumps(record(step)) + "\n")
                if checkpoint_every:
                    due = step.step % checkpoint_every == 0
                else:  # who writes decides: the others cannot know how long that takes
                    late = self._lock is not None and time.monotonic() - saved > wait
                    due = step.step == self.run.step and self.any(late)
                if due or step.step == self.run.config.num_steps:
                    if self._lock:
                        _sync(metrics)
                    began = time.monotonic()
                    self.save()
                    saved = time.monotonic()
                    wait = max(SAVE_SECONDS, (saved - began) / SAVE_SHARE)
                elif step.step == self.run.step:
                    metrics.flush()
                yield step

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = self.run.state()  # for which a process may need the others
        if self._lock:
            sweep(self.path)
            checkpoints.save(self.path / self.MODEL, state)

    def _follow(self) -> None:
        """While the first process begins, in the others: save, which writes nothing here but gathers what is shared
        out, and wait. What the first could not begin it tells itself.
        """
        try:
            self.save()
            self.any(False)
        except ConnectionError:
            raise RunError("the first process could not begin: it says why") from None

    def any(self, true_here: bool) -> bool:
        """Is it true in one of the processes that train together? They all must ask."""
        return self.run.engine.add_up([float(true_here)])[0] > 0

    def write_samples(self, text: str) -> None:
        """Keep the samples that were printed."""
        assert self._lock
        with atomic(self.path / self.SAMPLES) as file:
            file.write(text.encode())

    def write_config(self) -> None:
        """config.json: what was trained on what, for people to read; the checkpoint does not need it."""
        run = self.run
        facts = {
            "config": run.config.to_dict(),
            "data": run.data_info,
            "vocab_size": run.engine.vocab_size,
            "num_params": run.num_params,
        }
        with atomic(self.path / self.CONFIG) as file:
            file.write((json.dumps(facts, indent=2) + "\n").encode())

    def _cut_metrics(self) -> None:
        """Drop the metrics of steps after the checkpoint's: they will be made again."""
        path = self.path / self.METRICS
        kept = [line for line in read_metrics(path) if line["step"] <= self.run.step] if path.exists() else []
        with atomic(path) as file:
            file.writelines(json.dumps(line).encode() + b"\n" for line in kept)


def _change(state: Checkpoint, changes: dict[str, Any]) -> None:
    """Take over the settings that a run is resumed with; RunError for one that would make it another run."""
    settings = {"tokenizer": state.kind(), **state.data, **state.config.to_dict()}
    for name, value in changes.items():
        old = settings.get(name)
        if name not in MAY_CHANGE and value != old:
            raise RunError(
                f"{name} cannot change in a run, got {name}={value!r}, the run has {old!r}: leave it out, or begin"
                " a new run"
            )
    num_steps = changes.get("num_steps", state.config.num_steps)
    if num_steps < state.step:
        raise RunError(f"num_steps must be at least the {state.step} steps already made, got num_steps={num_steps}")
    state.data.update((name, value) for name, value in changes.items() if name in MAY_CHANGE[1:])
    training.check_options(state.config.batch_size, *(state.data.get(name) for name in MAY_CHANGE[1:]))
    state.config = state.config.replace(num_steps=num_steps)


@contextmanager
def _writing(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    try:
        yield
    except ConnectionError:  # saving asks the other processes for their parts, and one of them has gone
        raise
    except OSError as error:
        raise RunError(f"cannot write to out={str(path)!r}: {error.strerror}; {remedy}") from None


@contextmanager
def _locked(path: str | os.PathLike[str], remedy: str) -> Iterator[Lock]:
    """A lock on the folder, which is released where the block fails."""
    try:
        with _writing(path, remedy):
            lock = Lock(Path(path))
    except LockedError as error:
        raise RunError(
            f"out={str(path)!r} is in use by process {error.pid}: wait until it ends, or stop it; if it does not train"
            f" there, delete {str(error.file)!r}"
        ) from None
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def record(step: Step) -> dict[str, Any]:
    """A step as metrics.jsonl keeps it."""
    kept = asdict(step)
    del kept["seconds"]  # which another run of the same training has not
    return {name: value for name, value in kept.items() if value is not None}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics.jsonl; a last line that a killed process left half written is left out.

    Raises RunError, with the line's number, where another line is no step of a run.
    """
    metrics: list[dict[str, Any]] = []
    content = path.read_bytes()
    lines = content.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            step = json.loads(line)
            if not (isinstance(step["step"], int) and isinstance(step["loss"], float)):
                raise TypeError
            metrics.append(step)
        except (ValueError, TypeError, KeyError, RecursionError):  # no JSON or UTF-8, no object, another object, a nest
            if number < len(lines) or content.endswith(b"\n"):
                raise RunError(
                    f"{str(path)!r} is not the metrics of a run, or is damaged: line {number}; mend that line, or take"
                    " the file away: the checkpoint does not need it"
                ) from None
    return metrics


def _is_run(folder: Path) -> bool:
    """Does this folder hold a run, damaged perhaps, and not another program's model.safetensors?"""
    try:
        checkpoints.load(folder / Folder.MODEL)
        return True
    except (ValueError, OSError):
        try:
            facts = json.loads((folder / Folder.CONFIG).read_bytes())
            return isinstance(facts, dict) and facts.keys() == {"config", "data", "vocab_size", "num_params"}
        except (ValueError, OSError, RecursionError):
            return False


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def train(
    source: Source | Data = "names",
    config: Config | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Run:
    """Train a model to the end and give its run; see Run.begin for the other options.

        run = microgpt.train("names.txt", microgpt.Config(num_steps=1000))
        print(run.sample(20))

    out: a folder to keep it in, as `microgpt train --out` does.
    """
    run = Run.begin(source, config, **options)
    if out is None:
        for _ in run.steps(together=True):
            pass
    else:
        with Folder.create(out, run, overwrite=overwrite) as folder:
            for _ in folder.train(together=True):
                pass
    return run


def load(path: str | os.PathLike[str], **options: Any) -> Run:
    """The run that was saved in a folder or a checkpoint file; see Run.load."""
    return Run.load(path, **options)
