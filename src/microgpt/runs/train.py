"""Train a model in one call, with its progress in a terminal or a notebook."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from microgpt.config import Config
from microgpt.data.documents import Data
from microgpt.data.sources import Source
from microgpt.runs.folder import Folder
from microgpt.runs.run import BEGIN_OPTIONS, Run, with_settings
from microgpt.system.text import duration
from microgpt.training import Step

OFTEN = 0.1  # seconds between updates of the line


def train(
    source: Source | Data = "names",
    config: Config | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    on_step: Callable[[Step], object] | None = None,
    progress: bool | None = None,
    minutes: float | None = None,
    seconds: float | None = None,
    **options: Any,
) -> Run:
    """Train a model to completion, or for a time, and return its run.

    Args:
        source: The training data; see Run.begin.
        config: The settings; the default is Config().
        out: A folder to store the run in, as with `microgpt train --out`.
        overwrite: Whether to replace a run that is already in that folder.
        on_step: Called with each Step.
        progress: Whether to show a line of progress on stderr; the default is to show it in a terminal and in a
            notebook.
        minutes: Choose the settings for the least held-out loss in this time; those that are given are kept.
        seconds: The same, in seconds.
        **options: Settings, such as num_steps=100, and other options for Run.begin.

    Returns:
        The run, after its last step; `load(out)` returns its best checkpoint.

    Raises:
        DataError: The text cannot be used.
        RunError: The folder cannot be used.
        DivergedError: A loss is not finite.
        TypeError: An option is unknown.
        ValueError: A setting or option is invalid.

    Example:
        >>> run = train(["ada", "grace", "hedy"], n_embd=8, n_head=2, num_steps=20)
        >>> run.step
        20
    """
    stop_at = math.inf
    if minutes is not None or seconds is not None:
        source, config, options, stop_at = _planned(source, config, options, minutes, seconds)
    run = Run.begin(source, config, **options)
    together = on_step is None
    shown = is_interactive() if progress is None else progress

    def follow(steps: Iterable[Step]) -> None:
        for step in shown_progress(steps, run.config.num_steps) if shown else steps:
            if on_step:
                on_step(step)
            if step.step == run.step and time.perf_counter() >= stop_at:
                break

    if out is None:
        follow(run.steps(together=together))
    else:
        with Folder.create(out, run, overwrite=overwrite) as folder:
            follow(folder.train(together=together))
            if run.step < run.config.num_steps and not run.stopped_early:
                folder.save()  # the time is over
    return run


def _planned(
    source: Source | Data, config: Config | None, options: dict[str, Any], minutes: float | None, seconds: float | None
) -> tuple[Data, Config, dict[str, Any], float]:
    """Return the data, the settings and the other options that fit a time, and when training must stop."""
    from microgpt.runs.time_budget import plan, time_limit  # loads what other runs do not need

    limit = time_limit(minutes, seconds)
    assert limit is not None
    if config is not None:
        raise ValueError("config cannot be used with a time limit: give the settings to keep one by one, as n_embd=32")
    of_engine = ("engine", "precision", "threads")
    begin_or_engine = {*BEGIN_OPTIONS, *of_engine}
    _, others = with_settings(Config(), {name: value for name, value in options.items() if name not in begin_or_engine})
    computed_by = {name: options[name] for name in (*others, *of_engine) if name in options}
    begin = {name: options[name] for name in BEGIN_OPTIONS if name in options}
    settings = {name: value for name, value in options.items() if name not in {*computed_by, *begin}}
    made = plan(source, limit, settings=settings, options=begin, computed_by=computed_by)
    return made.data, made.config, {**made.options, **made.computed_by}, made.stop_at


def is_interactive() -> bool:
    """Return whether somebody watches: in a terminal or a notebook."""
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())


def shown_progress(steps: Iterable[Step], num_steps: int) -> Iterator[Step]:
    """Yield the steps, and keep a line on stderr that shows the last one."""
    begin = shown = time.monotonic()
    first: int | None = None
    try:
        for step in steps:
            first = step.step - 1 if first is None else first
            now = time.monotonic()
            if now - shown > OFTEN or step.step == num_steps:
                shown = now
                left = (now - begin) / (step.step - first) * (num_steps - step.step)
                line = f"step {step.step:,} of {num_steps:,} | loss {step.loss:.4f} | {duration(left)} left"
                print(f"\r{line:60}", end="", file=sys.stderr, flush=True)
            yield step
    finally:
        if first is not None:
            print(file=sys.stderr)
