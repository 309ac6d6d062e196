"""Requests in, answers out: the JSON between the page and the session, and the checks of what is asked.

A request is {"method": ..., "params": {...}}; an answer {"result": ...} or {"error": "a sentence for people"}. Floats
keep their full precision; those that JSON lacks become the texts "inf", "-inf" and "nan".
"""

from __future__ import annotations

import inspect
import json
import math
from array import array
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_type_hints

from microgpt.errors import LabError

Answer = dict[str, Any]


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """The method and the parameters of a request. Raises LabError for what is none."""
    try:
        request = json.loads(text)
        method, params = request["method"], request.get("params", {})
        if not (isinstance(method, str) and isinstance(params, dict)):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LabError(
            f'a request must be JSON {{"method": "...", "params": {{...}}}}, got {text!r:.80}: ask again like that'
        ) from None
    return method, params


def dumps(answer: Answer) -> str:
    """The answer as JSON text without spaces."""
    try:
        return json.dumps(answer, allow_nan=False, default=_plain, separators=(",", ":"))
    except ValueError:  # a number that JSON lacks is somewhere in it
        return json.dumps(_named(answer), allow_nan=False, separators=(",", ":"))


def _plain(x: Any) -> Any:
    if isinstance(x, (array, tuple)):
        return list(x)
    raise TypeError(f"{type(x).__name__} is nothing that JSON can hold")


def _named(x: Any) -> Any:
    """The same with every infinity and nan as text."""
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    if isinstance(x, Mapping):
        return {name: _named(value) for name, value in x.items()}
    if isinstance(x, (list, tuple, array)):
        return [_named(value) for value in x]
    return x


def bind(method: str, function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """The parameters as the function takes them. Raises LabError, which names the parameter that is not.

    JavaScript knows one kind of number: 2 is taken where a float is asked for, 2.0 where a whole number is.
    """
    signature, hints = inspect.signature(function), get_type_hints(function)
    known = [name for name in signature.parameters if name != "self"]
    for name in params:
        if name not in known:
            raise LabError(f"{method} has no parameter {name!r:.40}: it takes {', '.join(known) or 'none'}")
    bound = {}
    for name in known:
        if name in params:
            bound[name] = _checked(method, name, params[name], hints[name])
        elif signature.parameters[name].default is inspect.Parameter.empty:
            raise LabError(f"{method} needs the parameter {name!r}: give it")
    return bound


_A = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def _checked(method: str, name: str, value: Any, kind: Any) -> Any:
    kinds = get_args(kind) if type(None) in get_args(kind) else (kind,)
    if value is None and type(None) in kinds:
        return None
    of = kinds[0]
    origin = getattr(of, "__origin__", of)
    if origin is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if origin is int and type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not origin or (origin is float and not math.isfinite(value)):
        raise LabError(f"{name} of {method} must be {_A[origin]}, got {name}={value!r:.60}")
    if origin in (list, dict):
        item = get_args(of)[-1]
        if item is float:
            pairs = value.items() if origin is dict else enumerate(value)
            checked = {key: _checked(method, f"{name}[{key!r:.40}]", x, float) for key, x in pairs}
            return checked if origin is dict else list(checked.values())
    return value
