"""A run's folder: create the folder, train the run, and resume the run.

The folder holds the last checkpoint, `model.safetensors`, which is always complete and contains everything needed to
resume the run. If something is held out, `best.safetensors` is the checkpoint with the least held-out loss so far; it
is written before the last checkpoint of the same step, so that it is never behind. Three other files are for people and
other programs: `config.json`, `metrics.jsonl` (one JSON line per step, in full precision) and `samples.txt`.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from microgpt import training
from microgpt.data.sources import Source
from microgpt.errors import LockedError, RunError, StoppedError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.best import fault_of, load_chosen
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.layout import BEST, CONFIG, METRICS, MODEL, SAMPLES, TENSORBOARD, checkpoint_file
from microgpt.runs.metrics import cut_metrics, write_step
from microgpt.runs.run import Run, without_buffers
from microgpt.runs.selection import Selection
from microgpt.runs.training_data import find_training_data
from microgpt.system.files import atomic, open_own, sync_folder, unsafe
from microgpt.system.locks import LOCK, Lock
from microgpt.system.processes import processes
from microgpt.training import Step

MAY_CHANGE = (
    "num_steps",
    "micro_batch_size",
    "validate_every",
    "patience",
)  # settings that may differ when a run is resumed
# Without checkpoint_every, a run is saved every SAVE_SECONDS, or less often if saving would take more than SAVE_SHARE
# of the time, because gigabytes take many seconds to write
SAVE_SECONDS = 30.0
SAVE_SHARE = 0.05


class Folder:
    """The folder of a run that is being trained.

    Its checkpoint is always complete, and its metrics include every step up to the checkpoint. No other process can
    train in the folder until `close` is called, the `with` block ends or the object is deleted. When several processes
    train one model together, each process has a Folder, but only the first process writes files.

    Attributes:
        path: The folder.
        run: The run.
        planned_steps: The value of num_steps before the run was resumed.
        computed_by: The engine options to repeat in the command that resumes the run.
        note: Why the best checkpoint cannot be used; empty if it can, or if nothing is held out.
    """

    def __init__(self, path: Path, run: Run, planned_steps: int, lock: Lock | None) -> None:
        self.path, self.run = path, run
        self.planned_steps = planned_steps
        self.computed_by: dict[str, Any] = {}
        self.note = ""
        self._best_loss = math.inf  # the held-out loss of the best checkpoint
        self._lock = lock  # lives as long as this object; None if another process writes the files

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder, so that other processes can train in it."""
        if self._lock:
            self._lock.release()

    @classmethod
    def create(cls, path: str | os.PathLike[str], run: Run, *, overwrite: bool = False) -> Folder:
        """Create a new run's folder and save the untrained model in it.

        Args:
            path: The folder, which may already exist.
            run: The run.
            overwrite: Whether to replace a run that is already in the folder.

        Returns:
            The folder.

        Raises:
            RunError: The folder already contains a run or other files, is in use, or cannot be written to.
        """
        run.selection = Selection() if run.held_out else None
        if run.engine.rank:
            folder = cls(Path(path), run, run.config.num_steps, None)
            folder._follow()
            return folder
        if not str(path):
            raise RunError("out must name a folder, got out=''")
        if Path(path).exists() and not Path(path).is_dir():
            raise RunError(f"out={str(path)!r} is a file: specify a folder")
        _check_files(path)
        with _writing(path, "choose another folder"):
            Path(path).mkdir(parents=True, exist_ok=True)
            sync_folder(Path(path).absolute().parent)
        with _locked(path, "choose another folder") as lock:
            folder = cls(Path(path), run, run.config.num_steps, lock)
            has_model = _is_run(folder.path)
            if has_model and not overwrite:
                raise RunError(
                    f"out={str(path)!r} already contains a run: add --resume to continue it, --overwrite to replace it,"
                    " or choose another folder"
                )
            files = (MODEL, BEST, CONFIG, METRICS, SAMPLES)
            foreign = [name for name in files if (folder.path / name).exists()]
            if foreign and not has_model:
                raise RunError(
                    f"out={str(path)!r} contains {foreign[0]!r}, which is not part of a run: choose another folder"
                )
            with _writing(path, "choose another folder"):
                folder.save()
                for name in (BEST, SAMPLES):  # of the run that is replaced
                    (folder.path / name).unlink(missing_ok=True)
                with atomic(folder.path / METRICS):
                    pass
                folder.write_config()
        folder.any(False)  # the other processes wait for this call
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
        """Resume a folder's run; the results are the same, bit for bit, as if the run had never stopped.

        If an error is raised, the folder is unchanged.

        Args:
            path: The folder.
            changes: Settings of Config or `Run.begin`; only the settings in MAY_CHANGE may differ from the run's.
            source: The new location of the training data, if it has moved.
            engine: The engine; see engines.open_engine.
            precision: The engine's precision.
            threads: The number of threads.
            **options: Other engine options.

        Returns:
            The folder, with the run ready to continue.

        Raises:
            RunError: The folder contains no run or is in use, or the run cannot be resumed with these settings.
            CheckpointError: The checkpoint is damaged.
            DataError: The training data is missing or has changed.
        """
        if Path(path).is_file():
            raise RunError(f"out={str(path)!r} is a file: specify the run's folder")
        _check_files(path)
        model = checkpoint_file(path)
        with nullcontext() if processes()[0] else _locked(path, "make the folder writable") as lock:
            state = checkpoints.load(model)
            planned_steps = state.config.num_steps
            _change(state, changes or {})
            facts = without_buffers(state)
            run = Run(
                state,
                lambda: find_training_data(facts, source),
                engine,
                precision=precision,
                threads=threads,
                **options,
            )
            _ = run.data  # raises DataError before anything is written
            if isinstance(source, (str, os.PathLike)):
                run.provenance = replace(run.provenance, source=run.data.source)
            folder = cls(Path(path), run, planned_steps, lock)
            if lock is None:
                folder._follow()
                folder._find_best(facts)
                return folder
            with _writing(path, "make the folder writable"):
                cut_metrics(folder.path / METRICS, run.step)
                folder.save()  # includes the changes: a run killed after this point resumes with the new settings
                folder.write_config()
            folder.any(False)  # the other processes wait for this call
            folder._find_best(facts)
        return folder

    def _find_best(self, state: Checkpoint) -> None:
        """Read the held-out loss of the folder's best checkpoint; every process must call this method."""
        if state.selection is None:
            return
        if self._lock:
            file = self.path / BEST
            fault = fault_of(file, state)
            if not fault:
                best = checkpoints.describe(file).selection
                assert best is not None
                assert best.loss is not None
                self._best_loss = best.loss
            elif state.selection.best_step:
                self.note = f"{fault}; the next model that is measured becomes the best checkpoint"
        self._best_loss = self.run.engine.add_up([self._best_loss if self._lock else 0.0])[0]

    def train(self, checkpoint_every: int = 0, *, together: bool = False) -> Iterator[Step]:
        """Train the run, recording its steps in the metrics and its state in checkpoints.

        A loop that stops early must call `save`.

        Args:
            checkpoint_every: The number of steps between checkpoints; 0 saves every 30 seconds, or less often if
                saving would take more than 5% of the time. The last step is always saved.
            together: Whether to let the engine compute many steps in one call; see training.train.

        Yields:
            The steps, in order.
        """
        saved, wait = time.monotonic(), SAVE_SECONDS
        path = self.path / METRICS
        with open_own(path, "a", encoding="utf-8") if self._lock else Path(os.devnull).open("a") as metrics:
            for step in self.run.steps(pause_every=checkpoint_every, together=together):
                write_step(metrics, step)
                selection = self.run.selection
                loss = selection.loss if selection and selection.step == step.step else None
                is_best = loss is not None and loss < self._best_loss
                if checkpoint_every:
                    due = step.step % checkpoint_every == 0
                else:  # the process that writes the files decides, as no other process knows how long saving takes
                    late = self._lock is not None and time.monotonic() - saved > wait
                    due = step.step == self.run.step and self.any(late)
                due = due or step.step == self.run.config.num_steps or self.run.stopped_early
                if (due or is_best) and self._lock:
                    self._check_lock()
                    _sync(metrics)
                began = time.monotonic()
                if loss is not None and is_best:  # first: a run that is killed before the next line repeats this step
                    self.save(BEST)
                    self._best_loss = loss
                if due:
                    self.save()
                    saved = time.monotonic()
                    wait = max(SAVE_SECONDS, (saved - began) / SAVE_SHARE)
                elif step.step == self.run.step:
                    self._check_lock()
                    metrics.flush()
                yield step

    def save(self, name: str = MODEL) -> None:
        """Write the last checkpoint, or the best one, atomically."""
        state = self.run.state()  # every process must call this, because it may gather moments from all processes
        if self._lock:
            self._check_lock()
            checkpoints.save(self.path / name, state)

    def use_best(self) -> None:
        """Give the run its best checkpoint's model after training, in the process that writes the files."""
        state, chosen = load_chosen(self.path)
        if chosen.is_best and state.step != self.run.step:
            self.run.use(state)
        self.note = chosen.note

    def has_checkpoint(self) -> bool:
        """Return whether the last checkpoint is still in the folder; raise OSError if that cannot be found out."""
        return (self._lock is None or self._lock.is_valid()) and (self.path / MODEL).is_file()

    def _check_lock(self) -> None:
        """Raise StoppedError if the folder was deleted or replaced: it may now contain another process's run."""
        if self._lock and not self._lock.release.alive:
            raise RunError(f"out={str(self.path)!r} is no longer open: resume the run to continue it")
        if self._lock and not self._lock.is_valid():
            raise StoppedError(
                f"out={str(self.path)!r} was deleted, moved or replaced during training, so step {self.run.step} cannot"
                " be saved: resume the run where its folder is now, or train again"
            )

    def _follow(self) -> None:
        """Wait until the first process has set up the folder; all other processes call this method.

        In these processes, `save` writes nothing, but helps to gather the sharded state. If the first process fails, it
        reports the reason.
        """
        try:
            self.save()
            self.any(False)
        except ConnectionError:
            raise RunError("the first process could not start: see its error message") from None

    def any(self, true_here: bool) -> bool:
        """Return whether `true_here` is true in any process of this run; every process must call this method."""
        return self.run.engine.add_up([float(true_here)])[0] > 0

    def write_samples(self, text: str) -> None:
        """Save the printed samples."""
        assert self._lock
        self._check_lock()
        with atomic(self.path / SAMPLES) as file:
            file.write(text.encode())

    def write_config(self) -> None:
        """Write config.json, a human-readable record of the settings and the data; resuming does not need this file."""
        run = self.run
        facts = {
            "config": run.config.to_file(),
            "data": run.provenance.to_dict(),
            "vocab_size": run.engine.vocab_size,
            "num_params": run.num_params,
        }
        self._check_lock()
        with atomic(self.path / CONFIG) as file:
            file.write((json.dumps(facts, indent=2) + "\n").encode())


def _change(state: Checkpoint, changes: dict[str, Any]) -> None:
    """Apply the settings that a run is resumed with; raise RunError for a setting that must not change."""
    settings = {"tokenizer": state.kind(), **state.provenance.to_dict(), **state.config.to_dict()}
    for name, value in changes.items():
        old = settings.get(name)
        if name not in MAY_CHANGE and value != old:
            raise RunError(
                f"{name} cannot be changed when a run is resumed, got {name}={value!r}, but the run has {old!r}: omit"
                " this setting, or start a new run"
            )
    num_steps = changes.get("num_steps", state.config.num_steps)
    if num_steps < state.step:
        raise RunError(
            f"num_steps must be at least {state.step} (the steps already completed), got num_steps={num_steps}"
        )
    facts = {name: value for name, value in changes.items() if name in MAY_CHANGE and name != "num_steps"}
    if "patience" in facts:
        facts["patience"] = facts["patience"] or None
    state.provenance = known = replace(state.provenance, **facts)
    training.check_options(state.config.batch_size, known.micro_batch_size, known.validate_every)
    training.check_patience(known.patience, known.val_fraction or 0.0, known.validate_every, num_steps)
    if known.patience and state.selection is None:  # a run of an earlier version
        state.selection = Selection()
    state.config = state.config.replace(num_steps=num_steps)


@contextmanager
def _writing(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    try:
        yield
    except ConnectionError:  # also an OSError, but it means that another process died while the state was gathered
        raise
    except OSError as error:
        raise RunError(f"cannot write to out={str(path)!r}: {error.strerror}; {remedy}") from None


@contextmanager
def _locked(path: str | os.PathLike[str], remedy: str) -> Iterator[Lock]:
    """Lock the folder, and release it if the block fails."""
    try:
        with _writing(path, remedy):
            lock = Lock(Path(path))
    except LockedError as error:
        raise RunError(f"out={str(path)!r} {error}") from None
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def _check_files(path: str | os.PathLike[str]) -> None:
    """Raise RunError if writing the run's files could change or wait for something outside the folder."""
    if reason := unsafe(Path(path), (MODEL, BEST, CONFIG, METRICS, SAMPLES, TENSORBOARD, LOCK)):
        raise RunError(f"out={str(path)!r} {reason}, or choose another folder")


def _is_run(folder: Path) -> bool:
    """Return whether the folder holds a run, possibly damaged, rather than another program's model.safetensors."""
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
