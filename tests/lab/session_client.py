"""A client of the lab's session for tests: through JSON, as the page, with each response checked against its type."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from microgpt.lab.protocol.check import response_faults
from microgpt.lab.requests import REQUESTS
from microgpt.lab.session import Session
from microgpt.lab.wire import Wire


def checked(method: str, text: str) -> dict[str, Any]:
    """Return {"result": ...} or {"error": ...}; a result that does not fit the protocol is an AssertionError."""
    response: dict[str, Any] = json.loads(text, parse_constant=lambda constant: f"{constant} is not JSON")
    assert response.keys() in ({"result"}, {"error"})
    if "result" in response:
        assert response_faults(REQUESTS[method], response["result"])[:5] == [], method
    return response


def response(session: Session, method: str, **params: Any) -> dict[str, Any]:
    """Return {"result": ...} or {"error": ...}."""
    return checked(method, Wire(session).ask(json.dumps({"method": method, "params": params})))


def ask(session: Session, method: str, **params: Any) -> Any:
    """Return the result of a request; an error is an AssertionError with its message."""
    answered = response(session, method, **params)
    assert "error" not in answered, answered["error"]
    return answered["result"]


def events(session: Session, method: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Yield the results of a stream; an error is yielded as {"error": ...}."""
    for text in Wire(session).stream(json.dumps({"method": method, "params": params})):
        event = checked(method, text)
        yield event.get("result", event)


class Lab:
    """A session with the page's way to ask it."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()
        self.wire = Wire(self.session)

    def ask(self, method: str, **params: Any) -> Any:
        return ask(self.session, method, **params)

    def stream(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """Return the results of a stream, which must succeed."""
        results = list(events(self.session, method, **params))
        assert "error" not in results[-1], results[-1]
        return results

    def refused(self, method: str, **params: Any) -> str:
        """Return the message with which a request is refused; the model must not change."""
        before = self.ask("model")
        answered = response(self.session, method, **params)
        assert "error" in answered, answered
        assert self.ask("model") == before
        assert "this is a bug" not in answered["error"]
        return str(answered["error"])

    def use(self, source: str) -> Any:
        """Use an edited program instead of the reference."""
        return self.ask("edit", source=source)

    def events(self, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the events of a training; an error is yielded as {"error": ...}."""
        return events(self.session, "train", **params)

    def train(self, steps: int, **params: Any) -> dict[str, Any]:
        """Return the last event of a training, which must succeed."""
        event: dict[str, Any] = {}
        for event in self.events(steps=steps, **params):
            assert "error" not in event, event
        assert event["done"]
        return event

    def losses(self, steps: int) -> list[float]:
        """Return the losses of a training, step by step."""
        events = list(self.events(steps=steps))
        return [loss for event in events for loss in event["losses"]]

    def state(self) -> tuple[bytes, bytes, bytes, int]:
        """Return the exact state of the model."""
        engine = self.session.active.engine
        return engine.params.tobytes(), engine.m.tobytes(), engine.v.tobytes(), engine.step


def file(text: str | bytes) -> str:
    """Encode a file as the page sends it."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def curve(lab: Lab) -> list[float]:
    """Return the losses of the active run."""
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    return list(run["losses"])
