"""Check at run time that a response has the type that its request declares.

This module also looks up the type of each request's response. The tests check every response against its type, and
web/protocol.py reads the types. The page's Python never loads this module.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from microgpt.lab.protocol import choices, editing, figures, numbers, playback, runs, texts, training, values
from microgpt.lab.requests import Request

MODULES = (values, choices, runs, editing, texts, figures, numbers, training, playback)
TYPES: dict[str, Any] = {name: kind for module in MODULES for name, kind in vars(module).items() if name[0].isupper()}
NOT_IN_JSON = ("inf", "-inf", "nan")
_UNIONS = (Union, types.UnionType)


def response_type(request: Request) -> Any:
    """Return the type of a request's response; for a stream, the type of each response."""
    if request.changes:
        return runs.Model
    written: str = request.function.__annotations__["return"]
    return TYPES[re.sub(r"^Iterator\[(.*)\]$", r"\1", written)]


def response_faults(request: Request, response: Any) -> list[str]:
    """Return a message for each place where a response does not match the type that its request declares.

    Args:
        request: The request that produced the response.
        response: The response as the page reads it from JSON.

    Returns:
        The messages; an empty list if the response matches its type.
    """
    if not request.of_model:
        return list(faults(response, response_type(request)))
    if not isinstance(response, dict) or "version" not in response:
        return ["version is missing"]
    plain = {name: value for name, value in response.items() if name != "version"}
    return [*faults(response["version"], int, "version"), *faults(plain, response_type(request))]


def faults(value: Any, kind: Any, where: str = "response") -> Iterator[str]:
    """Yield a message for each place where a value does not match its type.

    Args:
        value: The value, as read from JSON.
        kind: The type that the value must have.
        where: The value's name in the messages.
    """
    origin, args = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        yield from _object_faults(value, kind, where)
    elif origin in (Sequence, tuple) or origin is Mapping:
        yield from _container_faults(value, origin, args, where)
    elif origin in _UNIONS:
        others = [one for one in args if one is not type(None)]
        if len(others) < len(args) and value is None:
            return
        if len(others) == 1:
            yield from faults(value, others[0], where)
        elif all(any(faults(value, one, where)) for one in others):
            yield f"{where} must have one of its declared types, got {value!r:.60}"
    elif not _fits(value, kind, origin, args):
        name = args[1] if origin is Annotated else getattr(kind, "__name__", kind)
        yield f"{where} must be {name}, got {value!r:.60}"


def _is_number(kind: Any) -> bool:
    return kind is float or get_origin(kind) is Annotated


def _fits(value: Any, kind: Any, origin: Any, args: tuple[Any, ...]) -> bool:
    if origin is Annotated and value in NOT_IN_JSON:
        return True
    if _is_number(kind):
        return type(value) in (int, float) and math.isfinite(value)
    if origin is Literal:
        return value in args
    return type(value) is kind


@cache
def fields(kind: Any) -> dict[str, Any]:
    """Return the type of each key in a TypedDict."""
    return get_type_hints(kind, include_extras=True)


def _object_faults(value: Any, kind: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} must be an object, got {value!r:.60}"
        return
    known = fields(kind)
    yield from (f"{where}.{name} is missing" for name in kind.__required_keys__ - value.keys())
    yield from (f"{where}.{name} is not in the protocol" for name in value.keys() - known.keys())
    for name in known.keys() & value.keys():
        yield from faults(value[name], known[name], f"{where}.{name}")


def _container_faults(value: Any, origin: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    if origin is Mapping and isinstance(value, dict):
        for key, item in value.items():
            yield from faults(key, args[0], f"{where}: the key")
            yield from faults(item, args[1], f"{where}[{key!r}]")
    elif origin is Mapping or not isinstance(value, list):
        yield f"{where} must be {'an object' if origin is Mapping else 'a list'}, got {value!r:.60}"
    elif origin is tuple:
        if len(value) != len(args):
            yield f"{where} must have {len(args)} items, got {len(value)}"
        for i, (item, kind) in enumerate(zip(value, args)):
            yield from faults(item, kind, f"{where}[{i}]")
    elif not (_is_number(args[0]) and all(type(x) is float for x in value)):  # fast path: a list of floats is valid
        for i, item in enumerate(value):
            yield from faults(item, args[0], f"{where}[{i}]")
