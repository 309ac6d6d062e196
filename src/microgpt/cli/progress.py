"""Choose how to show progress: drawn in a terminal, or as lines in a log.

terminal.py draws with rich, which takes longer to import than a short run takes to train. It is therefore imported only
when there is something to draw.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

from microgpt.cli.display import Display, Json, Lines, Quiet, note


def choose_display(quiet: bool, json_lines: bool) -> Display:
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
    if not sys.stderr.isatty():
        return Lines()
    from microgpt.cli.terminal import Live

    return Live()


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress bars in a terminal.

    Yields:
        A function; call it with (name, done, total) to update a bar. Without a terminal, it does nothing.
    """
    if not sys.stderr.isatty():
        yield lambda name, done, total: None
        return
    draw: Callable[[str, int, int], None] | None = None

    def update(name: str, done: int, total: int) -> None:
        nonlocal draw
        if draw is None:
            from microgpt.cli.terminal import Bars

            draw = stack.enter_context(Bars())
        draw(name, done, total)

    with ExitStack() as stack:
        yield update


def status() -> AbstractContextManager[Callable[[str], None]]:
    """Show the progress of a long-running command: one line updated in place in a terminal, or one line per message."""
    if not sys.stderr.isatty():
        return nullcontext(note)
    from microgpt.cli.terminal import Status

    return Status()
