"""Read one field of a table as documents: a column of CSV or TSV, or a field of JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain

from microgpt.errors import DataError

DELIMITERS = ",\t;|"
FIELD_SIZE = 2**31 - 1  # characters; the csv module's own limit is 131,072


def field_of(pieces: Iterable[str], field: str, name: str) -> Iterator[str]:
    """Yield the nonempty values of a field, stripped of surrounding whitespace.

    The table is JSON Lines if it begins with `{`; otherwise, its first row has the columns' names.

    Args:
        pieces: The table's text, in pieces.
        field: The name of the field.
        name: The table's name for messages.

    Yields:
        The values, in order. A value may contain line breaks.

    Raises:
        DataError: The table has no such field, or cannot be read.
    """
    lines = _lines(pieces)
    first = next((line for line in lines if line.strip()), "")
    rows = chain([first], lines)
    values = _json(rows, field, name) if first.lstrip().startswith("{") else _csv(first, rows, field, name)
    for value in values:
        if value := value.strip():
            yield value


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest


def _json(lines: Iterable[str], field: str, name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise DataError(f"line {number} of {name} is not JSON: each line must be one object") from None
        if not isinstance(row, dict) or field not in row:
            names = ", ".join(row) if isinstance(row, dict) else "none"
            raise DataError(_no_field(f"line {number} of {name}", field, names))
        value = row[field]
        if not isinstance(value, str):
            raise DataError(
                f"field={field!r} must hold text, but line {number} of {name} has {json.dumps(value):.40}: choose"
                " another field"
            )
        yield value


def _csv(header: str, lines: Iterable[str], field: str, name: str) -> Iterator[str]:
    names = {d: next(csv.reader([header], delimiter=d), []) for d in DELIMITERS}
    delimiter = next((d for d in DELIMITERS if field in names[d]), None)
    if delimiter is None:
        listed = max((", ".join(columns) for columns in names.values()), key=lambda text: text.count(","))
        raise DataError(_no_field(f"the first row of {name}", field, listed))
    column = names[delimiter].index(field)
    before = csv.field_size_limit(FIELD_SIZE)
    try:
        rows = csv.reader(lines, delimiter=delimiter)
        next(rows)
        for row in rows:
            if len(row) > column:
                yield row[column]
            elif row:
                raise DataError(
                    f"line {rows.line_num} of {name} has {len(row)} columns, but {field!r} is column {column + 1}:"
                    " remove or complete that row"
                )
    except csv.Error as error:
        raise DataError(f"line {rows.line_num} of {name} is not a row of a table: {error}") from None
    finally:
        csv.field_size_limit(before)


def _no_field(where: str, field: str, names: str) -> str:
    return f"field={field!r} is not in {where}: choose one of {names[:200] or 'none'}"
