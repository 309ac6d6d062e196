"""Display training progress in a terminal, in a log, or as JSON.

Human-readable text goes to stderr.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rich import live
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from microgpt.runs.diagnostics import DIAGNOSTICS_SECONDS, Diagnostics
from microgpt.runs.metrics import record
from microgpt.runs.run import ENGINE_INIT_PARAMS, Run
from microgpt.system.text import size
from microgpt.training import Step

LINES = 20  # the approximate number of lines that a run prints when stderr is not a terminal
MEMORY = 0.98  # the weight of the previous smoothed loss at each step
WHOLE = Column(no_wrap=True)  # in a narrow terminal, only the bar shrinks


class Display(Protocol):
    """The interface for showing a training run; the methods are called in the order in which they are listed."""

    def begin(self, run: Run) -> None:
        """Show the facts about the run before training begins."""

    def step(self, step: Step) -> None:
        """Show a step."""

    def end(self) -> None:
        """Stop showing steps, because training has finished or was stopped."""

    def samples(self, texts: Sequence[str]) -> None:
        """Show the samples after training."""

    def message(self, text: str) -> None:
        """Show an additional line of human-readable text."""


def sample_lines(texts: Sequence[str], marks: Sequence[str] = (), first: int = 1) -> str:
    """Return the samples as the published script prints them, one per line.

    Args:
        texts: The samples.
        marks: The remark to print after each sample; "" for no remark.
        first: The number of the first sample.

    Returns:
        The lines, with the remarks aligned in one column.
    """
    lines = [f"sample {i:2d}: {text}" for i, text in enumerate(texts, first)]
    width = max(map(len, lines), default=0)
    for i, mark in enumerate(marks):
        if mark:
            lines[i] = f"{lines[i]:{width}}  {mark}"
    return "".join(f"{line}\n" for line in lines)


def facts(run: Run) -> list[str]:
    """Return the facts about a run, one per line; the first three match the published script's output."""
    config, data = run.config, run.data
    source = data.source or "in memory"
    width = f"{data.bytes_per_token} byte{'s' * (data.bytes_per_token > 1)} each"
    lines = [
        f"num {'docs' if data.mode == 'lines' else 'windows'}: {len(data)}",
        f"vocab size: {data.vocab_size}",
        f"num params: {run.num_params}",
        f"data: {source}, {len(data.tokens):,} tokens, {width}",
    ]
    if run.engine.note:
        lines.append(f"engine: scalar (slow); {run.engine.note}")
    if run.engine.device:
        lines.append(f"engine: {run.engine.device}")
        needed = size(run.engine.memory)
        lines.append(f"memory: {needed} for parameters, gradients and moments, plus a batch's activations")
    if not run.step and run.num_params > ENGINE_INIT_PARAMS and run.engine.can_init_params:
        lines.append(f"initial parameters: drawn by PyTorch, since there are more than {ENGINE_INIT_PARAMS:,}")
    if run.held_out:
        lines[3] += f", {len(run.held_out)} documents held out"
    if unread := data.unread(config.block_size):
        beyond = f"which are beyond block_size={config.block_size}"
        lines.append(f"not read: {unread:.1%} of the tokens, {beyond}; increase block_size to read more")
    if run.step == config.num_steps:
        lines.append(f"already complete: all {run.step} steps are done; to continue, resume with a larger --num-steps")
    elif run.step:
        lines.append(f"resumed after step {run.step} of {config.num_steps}")
    return lines


class Smooth:
    """A running mean of the loss over about 50 steps, corrected for starting at 0."""

    def __init__(self) -> None:
        self.total = self.weight = 0.0

    def add(self, loss: float) -> float:
        """Add a step's loss and return the running mean."""
        self.total = MEMORY * self.total + (1 - MEMORY) * loss
        self.weight = MEMORY * self.weight + (1 - MEMORY)
        return self.total / self.weight


class Quiet:
    """A display that shows only the samples."""

    def begin(self, run: Run) -> None: ...

    def step(self, step: Step) -> None: ...

    def end(self) -> None: ...

    def samples(self, texts: Sequence[str]) -> None:
        sys.stdout.write(sample_lines(texts))
        sys.stdout.flush()

    def message(self, text: str) -> None: ...


class Lines(Quiet):
    """A display for logs: about 20 lines per run."""

    def begin(self, run: Run) -> None:
        self.num_steps = run.config.num_steps
        self.every = max(1, self.num_steps // LINES)
        self.smooth, self.diagnostics = Smooth(), Diagnostics(run)
        self.began, self.first = time.perf_counter(), run.step
        for line in facts(run):
            self.message(line)

    def step(self, step: Step) -> None:
        smoothed = self.smooth.add(step.loss)
        self.diagnostics.add(step)
        if step.step % self.every and step.step not in (1, self.num_steps) and step.val_loss is None:
            return
        speed = (step.step - self.first) / (time.perf_counter() - self.began)
        left = (self.num_steps - step.step) / speed
        line = f"step {step.step:4d} / {self.num_steps:4d} | loss {step.loss:.4f} | smoothed {smoothed:.4f}"
        if step.val_loss is not None:
            line += f" | held-out {step.val_loss:.4f}"
        more = "".join(f" | {part}" for part in self.diagnostics.parts(step))
        self.message(f"{line}{more} | {_speed(speed):>14} | {_clock(left)} left")

    def message(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class Live(Lines):
    """A display for terminals: one line that is updated in place.

    It shows the step, the smoothed loss, the held-out loss, the speed and the time left. A second line shows the
    diagnostics if the engine reports any.
    """

    def begin(self, run: Run) -> None:
        self.num_steps, self.smooth, self.diagnostics = run.config.num_steps, Smooth(), Diagnostics(run)
        self.console = Console(stderr=True, highlight=False)
        for line in facts(run):
            name, _, value = line.partition(": ")  # as Text, so that brackets in a file name are not parsed as markup
            fact = Text.assemble((f"{name}:", "dim"), f" {value}") if value else Text(line)
            self.console.print(fact, soft_wrap=True)
        self.progress = WithMore(
            TextColumn("step {task.completed:d} / {task.total:d}", table_column=WHOLE),
            BarColumn(bar_width=None),
            TextColumn("loss [bold]{task.fields[loss]}[/]", table_column=WHOLE),
            TextColumn("{task.fields[val_loss]}", table_column=WHOLE),
            Speed(WHOLE),
            TimeLeft(WHOLE),
            console=self.console,
            expand=True,
            refresh_per_second=10,
        )
        self.task = self.progress.add_task("", total=self.num_steps, completed=run.step, loss="", val_loss="")
        self.val_loss = ""
        self.due = 0.0
        self.progress.start()

    def step(self, step: Step) -> None:
        if step.val_loss is not None:
            self.val_loss = f"held-out [bold]{step.val_loss:.4f}[/]"
        loss = f"{self.smooth.add(step.loss):.4f}"
        self.diagnostics.add(step)
        if time.perf_counter() > self.due:
            self.progress.more = " · ".join(self.diagnostics.parts(step))
            self.due = time.perf_counter() + DIAGNOSTICS_SECONDS
        self.progress.update(self.task, completed=step.step, loss=loss, val_loss=self.val_loss)

    def end(self) -> None:
        self.progress.stop()


class WithMore(Progress):
    """A progress bar with a second line below it, truncated to the terminal's width."""

    more = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        if self.more:
            yield Text(self.more, style="dim", no_wrap=True, overflow="ellipsis")


class Speed(ProgressColumn):
    """The number of steps per second over the last few seconds."""

    def render(self, task: Task) -> Text:
        return Text(_speed(task.speed or task.finished_speed or 0.0), style="dim")


class TimeLeft(ProgressColumn):
    """The time left; after the last step, the total training time."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(_clock(task.finished_time or 0.0), style="dim")
        left = task.time_remaining
        return Text("" if left is None else f"{_clock(left)} left", style="dim")


class Json(Quiet):
    """A display for programs: JSON lines on stdout for the run, each step (as in metrics.jsonl) and the samples."""

    def begin(self, run: Run) -> None:
        self._print(
            {
                "config": run.config.to_dict(),
                "data": run.provenance.to_dict(),
                "vocab_size": run.engine.vocab_size,
                "num_params": run.num_params,
                "step": run.step,
            }
        )

    def step(self, step: Step) -> None:
        self._print(record(step))

    def samples(self, texts: Sequence[str]) -> None:
        self._print({"samples": list(texts)})

    def _print(self, facts: dict[str, Any]) -> None:
        print(json.dumps(facts), flush=True)


class Bars:
    """Progress bars in a terminal.

    Within `with Bars() as progress`, call `progress(name, done, total)` to update a bar.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskID] = {}
        self.progress = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())

    def __enter__(self) -> Bars:
        return self

    def __call__(self, work: str, done: int, total: int) -> None:
        if work not in self.tasks:
            self.progress.start()
            self.tasks[work] = self.progress.add_task(work, total=total or None)
        self.progress.update(self.tasks[work], completed=done)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


class Status:
    """Progress of a long-running command: one line updated in place in a terminal, or one line per message in a log."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        # Without auto_refresh, no refresh thread competes with the code that is being measured
        line = live.Live(console=console, auto_refresh=False, transient=True)
        self.line = line if sys.stderr.isatty() else None

    def __enter__(self) -> Status:
        if self.line:
            self.line.start()
        return self

    def __call__(self, text: str) -> None:
        if self.line:
            self.line.update(Text(text, style="dim", no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            note(text)

    def __exit__(self, *_: object) -> None:
        if self.line:
            self.line.stop()


def note(text: str) -> None:
    """Print a line of human-readable text to stderr."""
    print(text, file=sys.stderr, flush=True)


def _speed(steps_per_second: float) -> str:
    return f"{steps_per_second:,.{0 if steps_per_second >= 100 else 1}f} steps/s"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def choose(quiet: bool, json_lines: bool) -> Display:
    """Return the display for these options; the default depends on whether stderr is a terminal.

    Raises:
        ValueError: Both options are set.
    """
    if quiet and json_lines:
        raise ValueError("quiet and json cannot be used together: omit one of them")
    if json_lines:
        return Json()
    if quiet:
        return Quiet()
    return Live() if sys.stderr.isatty() else Lines()
