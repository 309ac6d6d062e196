"""The boundary between Python and JavaScript: JSON requests in, JSON responses out.

Requests and responses are text; only the worker converts them to and from JavaScript objects. Every response passes
through JSON, so the snapshot, Pyodide and CPython all give the same response: None becomes null, a tuple becomes a
list, and a float keeps its full precision. Infinity and NaN, which JSON cannot represent, become "inf", "-inf" and
"nan".
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from microgpt.errors import LabError
from microgpt.lab.requests import Response
from microgpt.lab.session import Session


class Wire:
    """A session with a JSON interface."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()

    def ask(self, text: str) -> str:
        """Handle a request.

        Args:
            text: The request as JSON: {"method": ..., "params": {...}}.

        Returns:
            The response as JSON: {"result": ...} or {"error": "a message for the user"}.
        """
        try:
            return dumps(self.session.ask(*parse(text)))
        except LabError as error:
            return dumps({"error": str(error)})

    def stream(self, text: str) -> Iterator[str]:
        """Handle a long-running request.

        Args:
            text: The request as JSON, as for `ask`.

        Yields:
            The responses, one at a time, as JSON. Closing the generator stops the task.
        """
        try:
            yield from map(dumps, self.session.stream(*parse(text)))
        except LabError as error:
            yield dumps({"error": str(error)})


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return a request's method and parameters.

    Raises:
        LabError: The text is not a valid request.
    """
    try:
        request = json.loads(text)
        method, params = request["method"], request.get("params", {})
        if not (isinstance(method, str) and isinstance(params, dict)):
            raise TypeError
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise LabError(f'a request must be JSON {{"method": "...", "params": {{...}}}}, got {text!r:.80}') from None
    return method, params


def dumps(response: Response) -> str:
    """Return the response as compact JSON."""
    try:
        return json.dumps(response, allow_nan=False, default=_plain, separators=(",", ":"))
    except ValueError:  # the response contains a number that JSON cannot represent
        return json.dumps(_named(response), allow_nan=False, separators=(",", ":"))


def _plain(x: Any) -> Any:
    if isinstance(x, array):
        return x.tolist()
    raise TypeError(f"{type(x).__name__} cannot be written as JSON")


def _named(x: Any) -> Any:
    """Return x with every infinity and NaN replaced by a string."""
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    if isinstance(x, Mapping):
        return {name: _named(value) for name, value in x.items()}
    if isinstance(x, (list, tuple, array)):
        return [_named(value) for value in x]
    return x
