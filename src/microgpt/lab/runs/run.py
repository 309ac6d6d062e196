"""A run in the lab: the package's Run, with its loss curve and access to every step.

The run's state is saved at regular intervals, as frames. To reach any other step, the run is retrained from the last
frame before that step, and the result is identical bit for bit. Weight changes made by hand become part of the run once
the run is trained with them, and are reapplied when those steps are repeated. Training from an earlier step creates a
branch: a separate run that can be compared with the original run.

When training exceeds the planned num_steps, the plan is doubled: the learning rate jumps to half its initial value and
falls to 0 again. A run's result therefore does not depend on how many steps each request asked for.
"""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from microgpt import schedule, training
from microgpt.config import Config, Shapes
from microgpt.engines.base import Engine, Tokens
from microgpt.engines.choose import open_engine
from microgpt.engines.program import REFERENCE, Program, ScalarModel
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import LabError
from microgpt.lab.requests import Response
from microgpt.lab.runs.texts import Text
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import Run, spec_of
from microgpt.tracing.names import parameter_path, parameter_position

if TYPE_CHECKING:
    from microgpt.lab.protocol import runs as protocol
    from microgpt.lab.protocol.texts import Part

FRAME_BYTES = 16_000_000  # the largest total size of a run's frames
EVERY = {"native": 100, "scalar": 10}  # the initial number of steps between frames
MAX_SCALAR = 50  # the number of steps that the scalar engine repeats to reach a file's earlier steps
EVENT_SECONDS = 0.03  # between pauses in training


class Frame(NamedTuple):
    """The state of a run after `step` updates."""

    step: int
    params: array[float]
    m: array[float]
    v: array[float]


class Edit(NamedTuple):
    """A weight changed by hand after `step` updates: its index in the flat buffer, and its old and new values."""

    step: int
    place: int
    before: float
    after: float


class LabRun:
    """A run in the lab.

    Attributes:
        config: The original configuration. In `run.config`, num_steps is doubled when training exceeds it.
        losses: The losses of steps 1, 2, ...; nan where a loss is unknown.
        validations: The held-out losses, as (step, loss) pairs.
        edits: The manual weight changes that the run was trained with.
        changes: The weight changes made by hand since the last step, by index in the flat buffer. The next training
            step turns these changes into edits.
        branch: The id of the run and the step that this run branched from, if any.
        frozen: Whether the run never changes; if so, training it further creates a branch.
        elsewhere: Whether the run was trained, at first at least, on a text that is not the one on show.
        opened: For a run that was opened from a file and can be retrained, starts the same run again at step 0.
        missing: For a run that was opened from a file, the reason its data is not loaded; "" if it is loaded.
        saved: The run as session_file.py last serialized it, and a key for detecting changes.
        every: The number of steps between frames.
        frames: The frames by step.
        first: The earliest step that the run can be scrubbed to.
    """

    def __init__(self, id: str, name: str, about: str, text: Text, run: Run) -> None:
        self.id, self.name, self.about, self.text, self.run = id, name, about, text, run
        self.config = run.config
        run.selection = None  # the page trains as far as it is asked to, and every step can be shown again
        self.losses = array("d")
        self.validations: list[tuple[int, float]] = []
        self.edits: list[Edit] = []
        self.changes: dict[int, Edit] = {}
        self.branch: tuple[str, int] | None = None
        self.frozen = False
        self.elsewhere = False
        self.opened: Callable[[], Run] | None = None
        self.missing = ""
        self.saved: tuple[Any, Response] | None = None
        self.every = EVERY[self.engine.name]
        self.frames: dict[int, Frame] = {}
        self.keep()
        self.first = run.step

    # --- properties

    @property
    def engine(self) -> Engine:
        """The engine that holds the weights and trains them."""
        return self.run.engine

    @property
    def step(self) -> int:
        """The run's current step: the number of completed updates."""
        return self.engine.step

    @property
    def furthest(self) -> int:
        """The last step that training has reached."""
        return len(self.losses)

    @property
    def earliest(self) -> int:
        """The earliest step that the run can be scrubbed to, by retraining it if necessary."""
        can_retrain = self.opened is not None and (self.engine.name != "scalar" or self.first <= MAX_SCALAR)
        return 0 if can_retrain else self.first

    @property
    def own_text(self) -> bool:
        """True if the text on show is the text that the run was trained on."""
        return not self.elsewhere and not self.missing

    @property
    def shapes(self) -> Shapes:
        """The shapes of the parameters, by name."""
        return self.model.shapes

    @property
    def program(self) -> Program:
        """The program that computes the run's numbers: the reference, or an edited version of it."""
        return self.engine.program if isinstance(self.engine, ScalarEngine) else REFERENCE

    @property
    def model(self) -> ScalarModel:
        """The run's program with its current parameters."""
        return ScalarModel(self.engine.params, self.config, self.engine.vocab_size, self.program)

    @property
    def head_dim(self) -> int:
        """The width of one attention head."""
        return self.config.n_embd // self.config.n_head

    @property
    def val_fraction(self) -> float:
        """The fraction of the documents that is held out."""
        return self.run.provenance.val_fraction or 0.0

    @property
    def uniform_loss(self) -> float:
        """The loss, in nats per token, of a model that gives every token the same probability."""
        return math.log(self.engine.vocab_size)

    @property
    def next_rate(self) -> float:
        """The learning rate of the next step."""
        return self.rate(self.step)

    def rate(self, step: int) -> float:
        """Return the learning rate for the update that follows `step` completed updates."""
        c = self.config
        rate = schedule.learning_rate(step, self._num_steps(step), c.learning_rate, c.warmup_steps, c.decay)
        return self.program.learning_rate(step, rate)

    def _num_steps(self, step: int) -> int:
        """Return the planned number of steps for the update that follows `step` completed updates."""
        num_steps = self.config.num_steps
        while step >= num_steps:
            num_steps *= 2
        return num_steps

    def _plan(self, num_steps: int) -> None:
        if self.run.config.num_steps != num_steps:
            self.run.config = self.engine.config = self.config.replace(num_steps=num_steps)

    def index(self, path: str) -> int:
        """Return a weight's index in the flat buffer.

        Raises:
            ValueError: The path does not identify exactly one weight.
        """
        return parameter_position(path, self.shapes)

    def path(self, index: int) -> str:
        """Return the path of the weight at this index in the flat buffer."""
        return parameter_path(index, self.shapes)

    def document(self, step: int) -> list[str]:
        """Return the documents for the update that follows `step` completed updates."""
        return [self.run.data.text(i) for i in self._read_by(step)]

    def sequences(self, step: int) -> list[Tokens]:
        """Return these documents as token ids."""
        return [self.run.data.sequence(i) for i in self._read_by(step)]

    def _read_by(self, step: int) -> list[int]:
        order, size = self.run.order, self.config.batch_size
        return [order[i % len(order)] for i in range(step * size, (step + 1) * size)]

    def parts(self, texts: Iterable[str]) -> dict[str, Part]:
        """Return which part of the run's data each text is in: "training" or "held out". Other texts are left out."""
        found = self.text.find_texts(self.run.data, texts)
        return {text: "held out" if text in self._only_held_out else "training" for text in found}

    def part(self, text: str) -> Part | None:
        """Return which part of the run's data a text is in; None if it is in neither."""
        return self.parts([text]).get(text)

    @cached_property
    def training_documents(self) -> list[str]:
        """The distinct documents that the run trains on, in sorted order."""
        return [text for text in self.text.in_order(self.run.data) if text not in self._only_held_out]

    @cached_property
    def _only_held_out(self) -> set[str]:
        """The held-out documents that the run does not also train on."""
        data = self.run.data
        held_out = {data.text(i) for i in self.run.held_out}
        return held_out - {data.text(i) for i in self.run.order} if held_out else held_out

    def scratch(self, params: array[float] | None = None) -> Engine:
        """Return an engine for experiments, with a copy of `params` (by default, the run's parameters)."""
        copy = array("d", self.engine.params if params is None else params)
        if self.program is not REFERENCE:
            return ScalarEngine(copy, self.config, self.engine.vocab_size, self.program)
        return open_engine("auto", copy, self.config, self.engine.vocab_size)

    # --- weights changed by hand

    def change(self, path: str, value: float) -> None:
        """Set one weight."""
        index = self.index(path)
        self.keep()
        known = self.changes.get(index)
        before = known.before if known else self.engine.params[index]
        if value == before:
            self.changes.pop(index, None)
        else:
            self.changes[index] = Edit(self.step, index, before, value)
        self.engine.params[index] = value

    def undo(self) -> None:
        """Undo all weight changes made by hand since the last training step."""
        for edit in self.changes.values():
            self.engine.params[edit.place] = edit.before
        self.changes.clear()

    def unchanged(self) -> ScalarModel:
        """Return the model without the weight changes made by hand."""
        params = array("d", self.engine.params)
        for edit in self.changes.values():
            params[edit.place] = edit.before
        return replace(self.model, params=params)

    # --- steps

    def keep(self) -> None:
        """Save the current state as a frame, unless the step already has one or weights were changed by hand."""
        e = self.engine
        if e.step in self.frames or self.changes:
            return
        self.frames[e.step] = Frame(e.step, array("d", e.params), array("d", e.m), array("d", e.v))
        room = max(8, FRAME_BYTES // (24 * len(e.params)))
        if len(self.frames) > room:
            self.every *= 2
            ends = (min(self.frames), max(self.frames))
            self.frames = {s: f for s, f in self.frames.items() if s % self.every == 0 or s in ends}

    def _set(self, frame: Frame) -> None:
        e = self.engine
        e.params[:], e.m[:], e.v[:], e.step = frame.params, frame.m, frame.v, frame.step
        self.changes.clear()

    def go(self, step: int) -> None:
        """Restore the state after `step` updates exactly as training left it, and discard changes made by hand.

        Raises:
            LabError: The run has not been trained to this step, or the step's weights cannot be recomputed.
        """
        if not self.first <= step <= self.furthest:
            if self.opened is not None and 0 <= step <= self.furthest:
                self._begin_again()
            else:
                raise LabError(self._unreachable(step))
        near = max(s for s in self.frames if s <= step)
        if near != step:
            _ = self.run.data  # raises an error if the data is missing, before anything is changed
        if self.changes or not near <= self.step < step:
            self._set(self.frames[near])
        for _ in self._train(step, EVENT_SECONDS, again=True):
            pass
        self.settle_plan()

    def settle_plan(self) -> None:
        """Set the run's num_steps to the value that was in effect at its last step."""
        self._plan(self._num_steps(max(0, self.step - 1)))

    def _unreachable(self, step: int) -> str:
        if step > self.furthest:
            return f"step must be between {self.first} and {self.furthest}, got step={step}: train the run further"
        return (
            f"step must be between {self.first} and {self.furthest}, got step={step}: the weights of {self.name!r}"
            f" are unknown before step {self.first}; start a new run, which can be scrubbed back to any step"
        )

    def _begin_again(self) -> None:
        """Retrain a run that was opened from a file, to recover its earlier steps.

        Raises:
            LabError: Retraining takes too long, or does not reproduce the file's weights.
        """
        assert self.opened is not None
        fresh, self.opened = self.opened(), None
        twin = LabRun(self.id, self.name, self.about, self.text, fresh)
        end = self.frames[self.first]
        if twin.engine.name == "scalar" and self.first > MAX_SCALAR:
            raise LabError(
                f"cannot show the earlier steps of {self.name!r}: with the scalar engine, repeating its {self.first}"
                " steps would take too long"
            )
        twin.losses = array("d", [math.nan]) * self.first
        for _ in twin._train(self.first, EVENT_SECONDS, again=True):
            pass
        far = max(abs(a - b) for a, b in zip(twin.engine.params, end.params))
        if not far <= 1e-9:
            raise LabError(
                f"cannot show the earlier steps of {self.name!r}: retraining with the settings in its file produces"
                " different weights, so the run was not trained with these settings from start to finish"
            )
        self.frames = {**twin.frames, **self.frames}
        self.first = 0

    def train(self, target: int, seconds: float = EVENT_SECONDS) -> Iterator[None]:
        """Train until `target` updates are complete.

        Args:
            target: The number of completed updates at which to stop.
            seconds: The approximate time between pauses.

        Yields:
            None at each pause, when the run's state is consistent.

        Raises:
            DivergedError: A loss is not finite. The earlier steps are kept.
        """
        assert self.step == self.furthest, "a run is trained from its last step: create a branch first"
        self._settle()
        try:
            yield from self._train(target, seconds, again=False)
        finally:
            self.keep()

    def _settle(self) -> None:
        """Make the weight changes made by hand part of the run."""
        self.edits += [edit._replace(after=self.engine.params[edit.place]) for edit in self.changes.values()]
        self.changes.clear()

    def _train(self, target: int, seconds: float, again: bool) -> Iterator[None]:
        """Train until `target` updates are complete. If `again`, repeat earlier steps together with their edits."""
        paused = time.perf_counter()
        while self.step < target:
            if again:
                for edit in self.edits:
                    if edit.step == self.step:
                        self.engine.params[edit.place] = edit.after
            elif self.changes:  # weights were changed while training was paused
                self._settle()
            later = [edit.step for edit in self.edits if again and edit.step > self.step]
            num_steps = self._num_steps(self.step)
            self._plan(num_steps)
            until = min(target, num_steps, *later)
            for step in self._steps(until, again):
                if not again:
                    self.losses.append(step.loss)
                    if step.val_loss is not None:
                        self.validations.append((step.step, step.val_loss))
                if step.step == self.step:  # the engine has not trained past this step
                    if step.step % self.every == 0:
                        self.keep()
                    if time.perf_counter() - paused >= seconds:
                        yield
                        paused = time.perf_counter()
                        if self.step != step.step or self.changes:
                            break
            else:
                continue
            if self.step != step.step:  # the run was scrubbed while training was paused
                return

    def _steps(self, until: int, again: bool) -> Iterator[training.Step]:
        if not again:
            return self.run.steps(pause_every=self.every, together=True, until=until)
        return training.train(  # without the held-out losses, which are already known
            self.engine,
            self.run.data.sequence,
            self.run.order,
            micro_batch_size=self.run.provenance.micro_batch_size,
            pause_every=self.every,
            together=True,
            until=until,
        )

    def fork(self, id: str, name: str) -> LabRun:
        """Return a branch: a run that starts from this run's current step and shares its history."""
        state = Checkpoint(
            config=self.config,
            symbols=self.run.tokenizer.symbols,
            spec=spec_of(self.run.tokenizer),
            params=array("d", self.engine.params),
            m=array("d", self.engine.m),
            v=array("d", self.engine.v),
            step=self.step,
            rng_state=self.run.rng.getstate(),
            provenance=self.run.provenance,
        )
        twin = LabRun(id, name, self.about, self.text, Run(state, lambda: self.run.data, program=self.program))
        twin.frames = {step: frame for step, frame in self.frames.items() if step <= self.step}
        twin.first = self.first
        twin.every = self.every
        twin.losses = self.losses[: self.step]
        twin.validations = [(step, loss) for step, loss in self.validations if step <= self.step]
        twin.edits = [edit for edit in self.edits if edit.step < self.step]
        twin.changes = dict(self.changes)
        twin.branch = (self.id, self.step)
        twin.missing = self.missing
        twin.opened, twin.elsewhere = self.opened, self.elsewhere
        if self.frozen and self.elsewhere:
            twin.about = self.about + f" From step {self.step} on, the run trains on the bundled names."
            twin.run.provenance = Provenance.of(self.run.data)
        return twin

    def twin(self) -> LabRun:
        """Return a copy of the run that can move to other steps without affecting this run."""
        twin = self.fork(self.id, self.name)
        twin.frames, twin.first = dict(self.frames), self.first
        twin.losses, twin.edits, twin.changes = self.losses[:], list(self.edits), {}
        twin.go(max(s for s in twin.frames if s <= self.step))
        return twin

    def describe(self, active: bool) -> protocol.Run:
        """Return the run's entry in the list of runs."""
        return {
            "id": self.id,
            "name": self.name,
            "config": settings(self.config),
            "data": self.run.provenance.source or self.text.name,
            "step": self.step,
            "first": self.earliest,
            "branch": {"run": self.branch[0], "step": self.branch[1]} if self.branch else None,
            "losses": self.losses,
            "validations": [{"step": step, "loss": loss} for step, loss in self.validations],
            "program": self.program.name,
            "frozen": self.frozen,
            "active": active,
        }


def settings(config: Config) -> protocol.Config:
    """Return the settings that the page shows."""
    return cast("protocol.Config", config.to_dict())
