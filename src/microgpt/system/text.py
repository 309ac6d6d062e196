"""Human-readable text: tables, sizes in bytes, durations, and control characters made visible.

A table has aligned columns for a terminal, or is formatted as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Row = Sequence[str]
# What a terminal may obey or not show: control characters (C0, DEL and C1), marks that set the direction of text or
# have no width, line separators, and unpaired surrogates
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def visible(text: str, keep: str = "") -> str:
    r"""Return text that is safe to show in a terminal.

    A file name, a text or a model's vocabulary may contain escape sequences that move the cursor, change the window's
    title or fill the clipboard, and marks that reorder what is shown.

    Args:
        text: The text, which may come from anywhere.
        keep: Control characters to keep; a newline for text that may span lines.

    Returns:
        The text, in which every control character is written as Python writes it.

    Example:
        >>> print(visible("an\x1b[2Jna"))
        an\x1b[2Jna
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(), text)


def aligned(header: Row, rows: Sequence[Row], sides: str) -> str:
    """Return a table with aligned columns, two spaces apart.

    Args:
        header: The title of each column.
        rows: The cells of each row; their control characters are made visible.
        sides: One character per column: `r` for right-aligned, `l` for left-aligned.

    Returns:
        The table, without a trailing newline.

    Example:
        >>> print(aligned(["name", "count"], [["emma", "7"], ["bo", "12"]], "lr"))
        name  count
        emma      7
        bo       12
    """
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(row: Row) -> str:
        cells = (
            cell.rjust(width) if side == "r" else cell.ljust(width) for cell, width, side in zip(row, widths, sides)
        )
        return "  ".join(cells).rstrip()

    return "\n".join(line(row) for row in (header, *rows))


def markdown(header: Row, rows: Sequence[Row], sides: str) -> str:
    """Return a Markdown table; the arguments are the same as for `aligned`."""
    marks = ["---:" if side == "r" else "---" for side in sides]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))


def html(header: Row, rows: Sequence[Row]) -> str:
    """Return a table as HTML, for notebooks."""
    from html import escape

    def row(cells: Row, tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(visible(cell))}</{tag}>" for cell in cells) + "</tr>"

    return (
        f"<table><thead>{row(header, 'th')}</thead><tbody>{''.join(row(cells, 'td') for cells in rows)}</tbody></table>"
    )


def size(count: float) -> str:
    """Return a byte count as text, in KiB, MiB or GiB."""
    for unit in ("KiB", "MiB"):
        count /= 1024
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:,.1f} GiB"


def duration(seconds: float) -> str:
    """Return a duration as M:SS, or as H:MM:SS if it is an hour or longer."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def speed(steps_per_second: float) -> str:
    """Return a training speed in steps per second."""
    return f"{steps_per_second:,.{0 if steps_per_second >= 100 else 1}f} steps/s"
