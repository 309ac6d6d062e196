"""Lay out a help page: usage, description, and groups of options in two aligned columns."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence

WIDTH = 120  # the largest width of a page; longer lines are hard to read
BOLD, CYAN, DIM, RESET = "\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m"


def page(usage: str, description: str, groups: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Return a help page as wide as the terminal, up to 120 columns.

    Args:
        usage: The command and its arguments.
        description: The command's docstring; its line breaks are kept.
        groups: The rows of each group, by title; a row is an option with its value, and an explanation. Groups without
            rows are omitted. On every page, --help is the last row of Options.

    Returns:
        The page. It contains ANSI codes only if stdout is a terminal that supports them.
    """
    groups = {**groups, "Options": [*groups["Options"], ("-h, --help", "Show this message and exit.")]}
    colored = _colored()
    width = min(shutil.get_terminal_size().columns, WIDTH)
    column = max(len(name) for rows in groups.values() for name, _ in rows) + 4

    def styled(style: str, text: str) -> str:
        return f"{style}{text}{RESET}" if colored and text else text

    def row(name: str, text: str) -> str:
        lines = textwrap.wrap(text, max(width - column, 24), break_on_hyphens=False, break_long_words=False)
        explanation, bracket, default = f"\n{'':{column}}".join(lines).partition("[default:")
        return f"  {styled(CYAN, name)}{'':{column - 2 - len(name)}}{explanation}{styled(DIM, bracket + default)}\n"

    summary, _, rest = description.strip().partition("\n")
    rest = textwrap.dedent(rest).strip("\n").replace("Examples:", styled(BOLD, "Examples"))
    text = f"{styled(BOLD, 'Usage:')} {usage}\n\n{summary}\n"
    if rest:
        text += f"\n{rest}\n"
    for title, rows in groups.items():
        if rows:
            text += f"\n{styled(BOLD, title)}\n" + "".join(row(*cells) for cells in rows)
    return text.replace("\xa0", " ")


def _colored() -> bool:
    allowed = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.platform != "win32"
    return allowed and sys.stdout.isatty()
