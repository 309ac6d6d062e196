"""Draw progress in a terminal with rich: a training run, bars, and a status line."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich import live
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from microgpt.cli.display import Lines, Smooth, facts, speed_text, time_text
from microgpt.runs.diagnostics import DIAGNOSTICS_SECONDS, Diagnostics
from microgpt.runs.run import Run
from microgpt.training import Step

DRAW_SECONDS = 0.1  # between two drawings
WHOLE = Column(no_wrap=True)  # in a narrow terminal, only the bar shrinks


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
            auto_refresh=False,  # no thread competes with training
        )
        self.task = self.progress.add_task("", total=self.num_steps, completed=run.step, loss="", val_loss="")
        self.last: Step | None = None  # the last step, if it is not drawn yet
        self.val_loss = ""
        self.draw_at = self.measure_at = 0.0
        self.progress.start()

    def step(self, step: Step) -> None:
        self.last = step
        self.smooth.add(step.loss)
        self.diagnostics.add(step)
        if step.val_loss is not None:
            self.val_loss = f"held-out [bold]{step.val_loss:.4f}[/]"
        if time.perf_counter() >= self.draw_at:
            self._draw(step)

    def _draw(self, step: Step) -> None:
        if time.perf_counter() >= self.measure_at:
            self.progress.more = " · ".join(self.diagnostics.parts(step))
            self.measure_at = time.perf_counter() + DIAGNOSTICS_SECONDS
        loss = f"{self.smooth.mean():.4f}"
        self.progress.update(self.task, completed=step.step, loss=loss, val_loss=self.val_loss, refresh=True)
        self.last, self.draw_at = None, time.perf_counter() + DRAW_SECONDS

    def end(self) -> None:
        if self.last:
            self._draw(self.last)
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
        return Text(speed_text(task.speed or task.finished_speed or 0.0), style="dim")


class TimeLeft(ProgressColumn):
    """The time left; after the last step, the total training time."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(time_text(task.finished_time or 0.0), style="dim")
        left = task.time_remaining
        return Text("" if left is None else f"{time_text(left)} left", style="dim")


class Bars:
    """Progress bars: within `with Bars() as progress`, call `progress(name, done, total)` to update a bar."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskID] = {}
        self.progress = Progress(console=Console(stderr=True))

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
    """One line that is updated in place, and erased at the end."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        # Without auto_refresh, no refresh thread competes with the code that is being measured
        self.line = live.Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Status:
        self.line.start()
        return self

    def __call__(self, text: str) -> None:
        self.line.update(Text(text, style="dim", no_wrap=True, overflow="ellipsis"), refresh=True)

    def __exit__(self, *_: object) -> None:
        self.line.stop()
