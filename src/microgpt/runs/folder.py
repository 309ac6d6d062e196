"""A run's folder: create it, train in it, and resume it.

Its checkpoint is always whole. It holds `model.safetensors` (the checkpoint, which is all that a run needs to resume),
and for people and their tools `config.json`, `metrics.jsonl` (a JSON line for each step, in full precision) and
`samples.txt`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from microgpt import training
from microgpt.config import Config
from microgpt.data.documents import Data
from microgpt.errors import LockedError, RunError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.layout import CONFIG, METRICS, MODEL, SAMPLES, checkpoint_file
from microgpt.runs.metrics import cut_metrics, write_step
from microgpt.runs.run import Run
from microgpt.runs.training_data import Source, find_training_data
from microgpt.system.files import atomic, sweep
from microgpt.system.locks import Lock
from microgpt.system.processes import processes
from microgpt.training import Step

MAY_CHANGE = ("num_steps", "micro_batch_size", "validate_every")  # when a run is resumed
SAVE_SECONDS = 30.0  # how often a training run is saved where no number of steps is given,
SAVE_SHARE = 0.05  # or less often, where saving would take a larger share of the time: gigabytes take many seconds


class Folder:
    """The folder of a run that is being trained. Its checkpoint is always whole, and its metrics never behind it.

    No other process trains in it until `close` is called, the `with` block ends or the object is gone. Where several
    train one model together, each has this object, and the first alone writes.
    """

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
            files = (MODEL, CONFIG, METRICS, SAMPLES)
            strangers = [name for name in files if (folder.path / name).exists()]
            if strangers and not has_model:
                raise RunError(f"out={str(path)!r} holds {strangers[0]!r}, which is not a run's: give another folder")
            with _writing(path, "give another folder"):
                folder.save()
                (folder.path / SAMPLES).unlink(missing_ok=True)
                with atomic(folder.path / METRICS):
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
            run = Run(state, lambda: find_training_data(state, source), engine, precision, threads, **options)
            _ = run.data  # before anything is written
            if isinstance(source, (str, os.PathLike)):
                run.provenance = replace(run.provenance, source=run.data.source)
            folder = cls(Path(path), run, planned_steps, lock)
            if lock is None:
                folder._follow()
                return folder
            with _writing(path, "make it writable"):
                cut_metrics(folder.path / METRICS, run.step)
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
        path = self.path / METRICS if self._lock else Path(os.devnull)
        with path.open("a", encoding="utf-8") as metrics:
            for step in self.run.steps(pause_every=checkpoint_every, together=together):
                write_step(metrics, step)
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
            checkpoints.save(self.path / MODEL, state)

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
        with atomic(self.path / SAMPLES) as file:
            file.write(text.encode())

    def write_config(self) -> None:
        """config.json: what was trained on what, for people to read; the checkpoint does not need it."""
        run = self.run
        facts = {
            "config": run.config.to_dict(),
            "data": run.provenance.to_dict(),
            "vocab_size": run.engine.vocab_size,
            "num_params": run.num_params,
        }
        with atomic(self.path / CONFIG) as file:
            file.write((json.dumps(facts, indent=2) + "\n").encode())


def _change(state: Checkpoint, changes: dict[str, Any]) -> None:
    """Take over the settings that a run is resumed with; RunError for one that would make it another run."""
    settings = {"tokenizer": state.kind(), **state.provenance.to_dict(), **state.config.to_dict()}
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
    told = {name: value for name, value in changes.items() if name in ("micro_batch_size", "validate_every")}
    state.provenance = replace(state.provenance, **told)
    training.check_options(state.config.batch_size, state.provenance.micro_batch_size, state.provenance.validate_every)
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


def _is_run(folder: Path) -> bool:
    """Does this folder hold a run, damaged perhaps, and not another program's model.safetensors?"""
    try:
        checkpoints.load(folder / MODEL)
        return True
    except (ValueError, OSError):
        try:
            facts = json.loads((folder / CONFIG).read_bytes())
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
