"""The registry of the page's requests, with checks of their parameters.

Feature modules register their requests here. Each request has a function that takes the session and the request's
parameters. The function's name is the request's method, and its return type (from lab/protocol) is the response's type.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

from microgpt.errors import LabError

Response = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class Request(NamedTuple):
    """A registered request."""

    function: Callable[..., Any]
    of_model: bool = False  # the response describes the active model and includes the model's version
    changes: bool = False  # the request changes the active model, and the response describes the changed model
    streams: bool = False  # the request yields many responses


REQUESTS: dict[str, Request] = {}


def request(function: F) -> F:
    """Register a request whose response does not depend on the model."""
    return _register(function, Request(function))


def model_request(function: F) -> F:
    """Register a request about the active model. The session adds the model's version to the response."""
    return _register(function, Request(function, of_model=True))


def change_request(function: F) -> F:
    """Register a request that changes the active model.

    The function returns nothing; the response describes the changed model.
    """
    return _register(function, Request(function, of_model=True, changes=True))


def stream_request(*, of_model: bool) -> Callable[[F], F]:
    """Register a long-running request that yields many responses.

    Args:
        of_model: Whether the responses are about the active model. If so, each includes the model's version.

    Returns:
        A decorator.
    """
    return lambda function: _register(function, Request(function, of_model=of_model, streams=True))


def _register(function: F, request: Request) -> F:
    name = function.__name__
    assert name not in REQUESTS, f"{name} is registered twice"
    REQUESTS[name] = request
    return function


def find(method: str, streams: bool) -> Request:
    """Return the registered request with this name.

    Args:
        method: The name of the request.
        streams: Whether to search the streams (True) or the other requests (False).

    Raises:
        LabError: No request has this name. The message lists the valid names.
    """
    found = REQUESTS.get(method)
    if found is None or found.streams != streams:
        kind = "stream" if streams else "method"
        known = sorted(name for name, request in REQUESTS.items() if request.streams == streams)
        raise LabError(f"unknown {kind} {method!r:.40}; choose from {', '.join(known)}")
    return found


class Parameter(NamedTuple):
    """A request parameter: its type, and its default (`inspect.Parameter.empty` if the parameter is required)."""

    kind: Any
    default: Any


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Return a request's parameters, excluding the session.

    Only the parameters' annotations are evaluated, because the session and return types are imported only for mypy.
    """
    _, *declared = inspect.signature(function).parameters.values()
    names = getattr(function, "__globals__", {})
    return {p.name: Parameter(eval(p.annotation, names), p.default) for p in declared}


def bind(method: str, function: Callable[..., Any], params: dict[str, Any]) -> dict[str, Any]:
    """Check a request's parameters and convert them to the types that its function expects.

    JavaScript has only one number type, so 2 is accepted for a float and 2.0 for an integer.

    Args:
        method: The name of the request, for error messages.
        function: The request's function.
        params: The parameters as received from the page.

    Returns:
        The function's arguments by name. Omitted parameters keep their defaults.

    Raises:
        LabError: A parameter is unknown, missing or of the wrong type. The message names the parameter.
    """
    known = parameters(function)
    for name in params:
        if name not in known:
            raise LabError(
                f"unknown parameter {name!r:.40} for {method}; valid parameters: {', '.join(known) or 'none'}"
            )
    bound = {}
    for name, (kind, default) in known.items():
        if name in params:
            bound[name] = _checked(method, name, params[name], kind)
        elif default is inspect.Parameter.empty:
            raise LabError(f"{method} requires the parameter {name!r}")
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
    if type(None) in get_args(kind):
        if value is None:
            return None
        kind = get_args(kind)[0]
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    origin = type(choices[0]) if choices else get_origin(kind) or kind
    if origin is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if origin is int and type(value) is float and value.is_integer():
        value = int(value)
    if choices and (type(value) is not origin or value not in choices):
        raise LabError(f"{name} must be one of {', '.join(map(str, choices))}, got {name}={value!r:.40}")
    if type(value) is not origin or (origin is float and not math.isfinite(value)):
        raise LabError(f"{name} of {method} must be {_A[origin]}, got {name}={value!r:.60}")
    if origin in (list, dict):
        item = get_args(kind)[-1]
        pairs = value.items() if origin is dict else enumerate(value)
        if item is not Any:
            checked = {key: _checked(method, f"{name}[{key!r:.40}]", x, item) for key, x in pairs}
            return checked if origin is dict else list(checked.values())
    return value
