"""Display progress in a terminal, in a log, or as JSON.

Human-readable text goes to stderr. terminal.py draws it with rich, which takes longer to import than a short run takes
to train. It is therefore imported only when there is something to draw.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol

from microgpt.data.documents import Data
from microgpt.data.loading import listed
from microgpt.data.sources import STDIN
from microgpt.errors import OutputError
from microgpt.evaluation import Score
from microgpt.runs.diagnostics import DIAGNOSTICS_SECONDS, Diagnostics
from microgpt.runs.metrics import record
from microgpt.runs.run import ENGINE_INIT_PARAMS, Run
from microgpt.system import text
from microgpt.system.text import visible
from microgpt.training import Step

DRAW_SECONDS = 0.1  # seconds between two drawings in a terminal
MUCH = 0.3  # of the tokens not read: the documents are longer than a model of names is made for
LINES = 20  # the approximate number of lines that a run prints when stderr is not a terminal
MEMORY = 0.98  # the weight of the previous smoothed loss at each step


class Display(Protocol):
    """The interface for showing a training run; the methods are called in the order in which they are listed."""

    def begin(self, run: Run) -> None:
        """Show the facts about the run before training begins."""

    def step(self, step: Step) -> None:
        """Show a step."""

    def end(self) -> None:
        """Stop showing steps, because training has finished or was stopped."""

    def samples(self, texts: Sequence[str], held_out: dict[str, Any] | None = None) -> None:
        """Show the samples after training; `held_out` has the facts about the final held-out loss for programs."""

    def message(self, text: str) -> None:
        """Show an additional line of human-readable text."""


def print_samples(texts: Sequence[str], marks: Sequence[str] = (), first: int = 1) -> None:
    """Print samples; the arguments are those of sample_lines.

    In a terminal, control characters other than line breaks are made visible. A file or a program gets the texts
    themselves, as in samples.txt.
    """
    if sys.stdout.isatty():
        texts = [visible(text, keep="\n") for text in texts]
    sys.stdout.write(sample_lines(texts, marks, first))
    sys.stdout.flush()


def grow_sample(pieces: Iterable[str], number: int, mark: Callable[[str], str]) -> None:
    """Print a sample in a terminal as it grows.

    Args:
        pieces: The pieces of its text.
        number: Its number.
        mark: Called with the whole text; returns the remark to print after it, or "".
    """
    text, end = "", "\n"
    sys.stdout.write(_heading(number))
    try:
        for piece in pieces:
            text += piece
            sys.stdout.write(visible(piece, keep="\n"))
            sys.stdout.flush()
        if remark := mark(text):
            end = f"  {remark}\n"
    finally:
        sys.stdout.write(end)
        sys.stdout.flush()


def _heading(number: int) -> str:
    return f"sample {number:2d}: "


def sample_lines(texts: Sequence[str], marks: Sequence[str] = (), first: int = 1) -> str:
    """Return the samples as the published script prints them, one per line.

    Args:
        texts: The samples.
        marks: The remark to print after each sample; "" for no remark.
        first: The number of the first sample.

    Returns:
        The lines, with the remarks aligned in one column.
    """
    lines = [_heading(i) + text for i, text in enumerate(texts, first)]
    width = max(map(len, lines), default=0)
    for i, mark in enumerate(marks):
        if mark:
            lines[i] = f"{lines[i]:{width}}  {mark}"
    return "".join(f"{line}\n" for line in lines)


PRECISIONS = {  # of the native engine, with the option for the other one
    "exact": "exact (bit for bit the same as the reference); --precision float32 is faster",
    "float32": "float32 (fast); --precision exact is bit for bit the same as the reference",
}


def facts(run: Run) -> list[str]:
    """Return the facts about a run, one per line; the first three match the published script's output."""
    config, data = run.config, run.data
    source = "standard input" if data.source == STDIN else data.source or "in memory"
    source += f" and {len(data.more)} more" * bool(data.more)
    width = f"{data.bytes_per_token} byte{'s' * (data.bytes_per_token > 1)} each"
    lines = [
        f"num {'windows' if data.mode == 'stream' else 'docs'}: {len(data)}",
        f"vocab size: {data.vocab_size}",
        f"num params: {run.num_params}",
        f"data: {source}, {len(data.tokens):,} tokens, {width}",
    ]
    if run.engine.name == "native":
        lines.append(f"precision: {PRECISIONS[run.engine.precision]}")
    if run.engine.note:
        lines.append(f"engine: scalar (slow); {run.engine.note}")
    if run.engine.device:
        lines.append(f"engine: {run.engine.device}")
        needed = text.size(run.engine.memory)
        lines.append(f"memory: {needed} for parameters, gradients and moments, plus a batch's activations")
    if not run.step and run.num_params > ENGINE_INIT_PARAMS and run.engine.can_init_params:
        lines.append(f"initial parameters: drawn by PyTorch, since there are more than {ENGINE_INIT_PARAMS:,}")
    if run.held_out:
        lines[3] += f", {len(run.held_out)} {'windows' if data.mode == 'stream' else 'documents'} held out"
    if origin := run.provenance.start_from:
        new = len(run.new_symbols)
        known = f"; {new} new character{'s' * (new > 1)}: {listed(run.new_symbols)}" if new else ""
        lines.append(f"started from {origin.name or 'a run in memory'}, step {origin.step}{known}")
    if run.note:
        lines.append(f"note: {run.note}")
    if note := run.split_note:
        lines.append(note)
    if data.note:
        lines.append(data.note)
    if unread := data.unread(config.block_size):
        beyond = f"which are beyond block_size={config.block_size}"
        lines.append(f"not read: {unread:.1%} of the tokens, {beyond}; {_to_read_more(unread, data)}")
    if run.stopped_early:
        lines.append(f"{stopped_early(run)}; to continue, resume with a larger --patience, or 0")
    elif run.step == config.num_steps:
        lines.append(f"already complete: all {run.step} steps are done; to continue, resume with a larger --num-steps")
    elif run.step:
        lines.append(f"resumed after step {run.step} of {config.num_steps}")
    return lines


def stopped_early(run: Run) -> str:
    """Return the line about a run whose patience is exhausted."""
    selection = run.selection
    assert selection is not None
    return (
        f"stopped early after step {run.step} of {run.config.num_steps}: the held-out loss has been least at step"
        f" {selection.best_step}, {selection.since} measurements ago (--patience {run.provenance.patience})"
    )


def held_out(run: Run, score: Score, last: int) -> str:
    """Return the line about the final held-out loss.

    Args:
        run: The run, with its best model.
        score: The score on the held-out documents.
        last: The step of the last checkpoint.
    """
    things = "windows" if run.data.mode == "stream" else "documents"
    count = f"all {len(run.held_out):,} {things}"
    if len(run.measured) < len(run.held_out):
        count = f"{len(run.measured):,} of {len(run.held_out):,} {things}, drawn at random"
    error = "" if score.standard_error is None else f" ± {score.standard_error:.4f}"
    model = f"step {run.step}" if run.step == last else f"step {run.step}, the best; the last is {last}"
    return f"held-out loss: {score.loss:.4f}{error} nats per token ({model}; {count}, {score.tokens:,} tokens)"


def _to_read_more(unread: float, data: Data) -> str:
    """Return what reads more of the tokens: if much is not read, more than a larger context."""
    ways = ["increase block_size"]
    if unread > MUCH:
        ways.append("read the text as one (--documents stream)")
        if data.has_blank_lines:
            ways.append("read each part between blank lines as a document (--documents paragraphs)")
    return f"{', '.join(ways[:-1])} or {ways[-1]}" if ways[1:] else f"{ways[0]} to read more"


class Smooth:
    """A running mean of the loss over about 50 steps, corrected for starting at 0."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def add(self, loss: float) -> None:
        """Add a step's loss."""
        self.total = MEMORY * self.total + loss
        self.count += 1

    def mean(self) -> float:
        """Return the running mean."""
        return self.total * (1 - MEMORY) / (1 - MEMORY**self.count)


class Quiet:
    """A display that shows only the samples."""

    def begin(self, run: Run) -> None: ...

    def step(self, step: Step) -> None: ...

    def end(self) -> None: ...

    def samples(self, texts: Sequence[str], held_out: dict[str, Any] | None = None) -> None:
        with suppress(OutputError):  # main reports it; what was trained is saved
            print_samples(texts)

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
        self.smooth.add(step.loss)
        self.diagnostics.add(step)
        if step.step % self.every and step.step not in (1, self.num_steps) and step.val_loss is None:
            return
        speed = (step.step - self.first) / (time.perf_counter() - self.began)
        left = (self.num_steps - step.step) / speed
        line = f"step {step.step:4d} / {self.num_steps:4d} | loss {step.loss:.4f} | smoothed {self.smooth.mean():.4f}"
        if (held_out := step.held_out_loss) is not None:
            line += f" | held-out {held_out:.4f}"
        more = "".join(f" | {part}" for part in self.diagnostics.parts(step))
        self.message(f"{line}{more} | {text.speed(speed):>14} | {text.duration(left)} left")

    def message(self, text: str) -> None:
        note(text)


class Live(Lines):
    """A display for terminals: one line that is updated in place.

    It shows the step, the smoothed loss, the held-out loss, the speed and the time left. A second line shows the
    diagnostics if the engine reports any.
    """

    def begin(self, run: Run) -> None:
        from microgpt.cli.terminal import TrainingLine

        self.smooth, self.diagnostics = Smooth(), Diagnostics(run)
        self.last: Step | None = None  # the last step, if it is not drawn yet
        self.val_loss = ""
        self.draw_at = self.measure_at = 0.0
        self.line = TrainingLine(facts(run), run.step, run.config.num_steps)

    def step(self, step: Step) -> None:
        self.last = step
        self.smooth.add(step.loss)
        self.diagnostics.add(step)
        if (held_out := step.held_out_loss) is not None:
            self.val_loss = f"held-out [bold]{held_out:.4f}[/]"
        if time.perf_counter() >= self.draw_at:
            self._draw(step)

    def _draw(self, step: Step) -> None:
        if time.perf_counter() >= self.measure_at:
            self.line.more = " · ".join(self.diagnostics.parts(step))
            self.measure_at = time.perf_counter() + DIAGNOSTICS_SECONDS
        self.line.draw(step.step, f"{self.smooth.mean():.4f}", self.val_loss)
        self.last, self.draw_at = None, time.perf_counter() + DRAW_SECONDS

    def end(self) -> None:
        if self.last:
            self._draw(self.last)
        self.line.stop()


class Json(Quiet):
    """A display for programs: JSON lines on stdout for the run, each step (as in metrics.jsonl) and the samples."""

    def begin(self, run: Run) -> None:
        self._print(
            {
                "config": run.config.to_file(),
                "data": run.provenance.to_dict(),
                "vocab_size": run.engine.vocab_size,
                "num_params": run.num_params,
                "step": run.step,
            }
        )

    def step(self, step: Step) -> None:
        self._print(record(step))

    def samples(self, texts: Sequence[str], held_out: dict[str, Any] | None = None) -> None:
        self._print({"samples": list(texts), **({"held_out": held_out} if held_out else {})})

    def _print(self, facts: dict[str, Any]) -> None:
        with suppress(OutputError):  # main reports it, and training goes on
            print(json.dumps(facts), flush=True)


def note(text: str) -> None:
    """Print a line of human-readable text to stderr; its control characters are made visible."""
    print(visible(text), file=sys.stderr, flush=True)


def report(text: str, keep: str = "") -> None:
    """Print human-readable text to stdout; its control characters are made visible, except those to keep."""
    print(visible(text, keep))


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


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress bars in a terminal.

    Yields:
        A function; call it with (name, done, total) to update a bar. Without a terminal, the function does nothing.
    """
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    draw: Callable[[str, int, int], None] | None = None

    def update(name: str, done: int, total: int) -> None:
        nonlocal draw
        if draw is None:
            from microgpt.cli.terminal import Bars

            draw = stack.enter_context(Bars()).show
        draw(name, done, total)

    with ExitStack() as stack:
        yield update


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """Show the progress of a long-running command.

    Yields:
        A function; call it with a message. A terminal shows only the latest message;
        otherwise, each message is printed on its own line.
    """
    if not sys.stderr.isatty():
        yield note
        return
    from microgpt.cli.terminal import Status

    with Status() as line:
        yield line.show
