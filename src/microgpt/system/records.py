"""Check what a file says against the types of a dataclass's fields, and build the dataclass.

A field's type is one of int, float, str, bool, Any, list, tuple, dict, another dataclass or an optional type.
`Annotated[..., Range]` and `Annotated[..., OneOf]` also limit the value. Fields that the dataclass lacks are ignored.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Reader = Callable[[Any, str], Any]  # (what the file says, the name for messages) -> the value; raises ValueError

_A = {int: "a whole number", float: "a finite number", str: "a string", bool: "true or false"}


class Range(NamedTuple):
    """The numbers from `low` to `high`; `open` excludes `high`."""

    low: float
    high: float
    open: bool = False

    def __contains__(self, number: object) -> bool:
        return self.low <= number <= self.high and not (self.open and number == self.high)  # type: ignore[operator]

    def __str__(self) -> str:
        return f"at least {self.low} and {'less than' if self.open else 'at most'} {self.high}"


class OneOf(NamedTuple):
    """A choice."""

    choices: tuple[str, ...]

    def __contains__(self, choice: object) -> bool:
        return choice in self.choices

    def __str__(self) -> str:
        return f"one of {', '.join(self.choices)}"


class NotEmpty:
    """A list with at least one item."""

    def __contains__(self, items: object) -> bool:
        return bool(items)

    def __str__(self) -> str:
        return "a list that is not empty"


Whole = Annotated[int, Range(0, 2**62)]
Positive = Annotated[int, Range(1, 2**62)]


def read(kind: type[T], value: Any, name: str = "") -> T:
    """Build a dataclass from a JSON object.

    Args:
        kind: The dataclass.
        value: What the file says.
        name: The object's name in messages; the default names only its fields.

    Returns:
        The dataclass.

    Raises:
        ValueError: A field is missing or has a wrong value; the message names the field and shows its value.

    Example:
        >>> @dataclasses.dataclass
        ... class Size:
        ...     width: Positive
        >>> read(Size, {"width": 3})
        Size(width=3)
        >>> read(Size, {"width": -1}, "size")
        Traceback (most recent call last):
        ValueError: size.width must be at least 1 and at most 4611686018427387904, got size.width=-1
    """
    result: T = _reader(kind)(value, name)  # type: ignore[arg-type]
    return result


def read_field(kind: type, field: str, value: Any) -> Any:
    """Return the value of one field of a dataclass; raise ValueError if it is wrong."""
    return _fields(kind)[field][0](value, field)


@cache
def _fields(kind: type) -> dict[str, tuple[Reader, bool]]:
    """Return each field's reader, and whether the field must be present."""
    hints = get_type_hints(kind, include_extras=True)
    needed = (dataclasses.MISSING, dataclasses.MISSING)
    return {
        f.name: (_reader(hints[f.name]), (f.default, f.default_factory) == needed) for f in dataclasses.fields(kind)
    }


@cache
def _reader(kind: Any) -> Reader:
    origin, args = get_origin(kind), get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    if origin in (Union, types.UnionType):  # X | None
        [inner] = [_reader(one) for one in args if one is not type(None)]
        return lambda value, name: None if value is None else inner(value, name)
    if origin is Annotated:
        return _limited(_reader(args[0]), args[1])
    if origin is list:
        return _list(_reader(args[0]))
    if origin is tuple:
        return _tuple([*map(_reader, args)])
    if origin is dict:
        return _dict(_reader(args[1]))
    return (lambda value, _: value) if kind is Any else _float if kind is float else _plain(kind)


def _refuse(name: str, expected: str, value: Any) -> ValueError:
    return ValueError(f"{name or 'it'} must be {expected}, got {f'{name}=' if name else ''}{value!r:.60}")


def _object(kind: Any) -> Reader:
    def check(value: Any, name: str) -> Any:
        if type(value) is not dict:
            raise _refuse(name, "an object", value)
        prefix = f"{name}." if name else ""
        found = {}
        for field, (reader, needed) in _fields(kind).items():
            if field in value:
                found[field] = reader(value[field], prefix + field)
            elif needed:
                raise ValueError(f"{prefix}{field} is missing")
        return kind(**found)

    return check


def _plain(kind: type) -> Reader:
    def check(value: Any, name: str) -> Any:
        if type(value) is not kind:
            raise _refuse(name, _A[kind], value)
        return value

    return check


def _float(value: Any, name: str) -> float:
    try:
        if type(value) in (float, int) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an integer too large for a float
        pass
    raise _refuse(name, _A[float], value)


def _limited(reader: Reader, limits: Range | OneOf) -> Reader:
    def check(value: Any, name: str) -> Any:
        if (found := reader(value, name)) not in limits:
            raise _refuse(name, str(limits), value)
        return found

    return check


def _list(reader: Reader) -> Reader:
    def check(value: Any, name: str) -> list[Any]:
        if type(value) is not list:
            raise _refuse(name, "a list", value)
        return [reader(item, f"{name}[{i}]") for i, item in enumerate(value)]

    return check


def _tuple(readers: list[Reader]) -> Reader:
    def check(value: Any, name: str) -> tuple[Any, ...]:
        if type(value) not in (list, tuple) or len(value) != len(readers):
            raise _refuse(name, f"a list of {len(readers)} values", value)
        return tuple(reader(item, f"{name}[{i}]") for i, (reader, item) in enumerate(zip(readers, value)))

    return check


def _dict(reader: Reader) -> Reader:
    def check(value: Any, name: str) -> dict[str, Any]:
        if type(value) is not dict:
            raise _refuse(name, "an object", value)
        return {key: reader(item, f"{name}.{key:.40}") for key, item in value.items()}

    return check
