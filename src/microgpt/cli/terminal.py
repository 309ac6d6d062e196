"""Draw progress in a terminal with rich: a training run, bars, and a status line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import live, markup
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from microgpt.system import text

WHOLE = Column(no_wrap=True)  # in a narrow terminal, only the bar shrinks


class TrainingLine(Progress):
    """A progress bar below the training run's facts, and a second line that is truncated to the terminal's width."""

    more = ""  # the second line

    def __init__(self, facts: Sequence[str], step: int, num_steps: int) -> None:
        console = Console(stderr=True, highlight=False)
        for line in map(text.visible, facts):
            name, _, value = line.partition(": ")  # as Text, so that brackets in a file name are not parsed as markup
            fact = Text.assemble((f"{name}:", "dim"), f" {value}") if value else Text(line)
            console.print(fact, soft_wrap=True)
        super().__init__(
            TextColumn("step {task.completed:d} / {task.total:d}", table_column=WHOLE),
            BarColumn(bar_width=None),
            TextColumn("loss [bold]{task.fields[loss]}[/]", table_column=WHOLE),
            TextColumn("{task.fields[val_loss]}", table_column=WHOLE),
            Speed(WHOLE),
            TimeLeft(WHOLE),
            console=console,
            expand=True,
            auto_refresh=False,  # no thread competes with training
        )
        self.task = self.add_task("", total=num_steps, completed=step, loss="", val_loss="")
        self.start()

    def draw(self, step: int, loss: str, val_loss: str) -> None:
        """Show a step."""
        self.update(self.task, completed=step, loss=loss, val_loss=val_loss, refresh=True)

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        if self.more:
            yield Text(self.more, style="dim", no_wrap=True, overflow="ellipsis")


class Speed(ProgressColumn):
    """The number of steps per second over the last few seconds."""

    def render(self, task: Task) -> Text:
        return Text(text.speed(task.speed or task.finished_speed or 0.0), style="dim")


class TimeLeft(ProgressColumn):
    """The time left; after the last step, the total training time."""

    def render(self, task: Task) -> Text:
        if task.finished:
            return Text(text.duration(task.finished_time or 0.0), style="dim")
        left = task.time_remaining
        return Text("" if left is None else f"{text.duration(left)} left", style="dim")


class Bars(Progress):
    """Progress bars by name."""

    def __init__(self) -> None:
        super().__init__(console=Console(stderr=True))
        self.named: dict[str, TaskID] = {}

    def show(self, name: str, done: int, total: int) -> None:
        """Update a progress bar, creating it on the first call."""
        if name not in self.named:
            self.named[name] = self.add_task(markup.escape(text.visible(name)), total=total or None)
        self.update(self.named[name], completed=done)


class Status(live.Live):
    """One line that is updated in place and erased at the end."""

    def __init__(self) -> None:
        # Without auto_refresh, no refresh thread competes with the code that is being measured
        super().__init__(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True)

    def show(self, message: str) -> None:
        """Replace the line."""
        self.update(Text(text.visible(message), style="dim", no_wrap=True, overflow="ellipsis"), refresh=True)
