"""The lab's session as test files ask it: through JSON, as the page does, each answer checked against its type."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from microgpt.lab.protocol.check import answer_faults
from microgpt.lab.requests import REQUESTS
from microgpt.lab.session import Session
from microgpt.lab.wire import Wire


def checked(method: str, text: str) -> dict[str, Any]:
    """{"result": ...} or {"error": ...}; AssertionError where a result is not what the protocol promises."""
    answer: dict[str, Any] = json.loads(text, parse_constant=lambda constant: f"{constant} is not JSON")
    assert answer.keys() in ({"result"}, {"error"})
    if "result" in answer:
        assert answer_faults(REQUESTS[method], answer["result"])[:5] == [], method
    return answer


def answer(session: Session, method: str, **params: Any) -> dict[str, Any]:
    """{"result": ...} or {"error": ...}."""
    return checked(method, Wire(session).ask(json.dumps({"method": method, "params": params})))


def ask(session: Session, method: str, **params: Any) -> Any:
    """The result; AssertionError with the sentence where it is an error."""
    told = answer(session, method, **params)
    assert "error" not in told, told["error"]
    return told["result"]


def events(session: Session, method: str, **params: Any) -> Iterator[dict[str, Any]]:
    """The results of a stream, an error as {"error": ...} among them."""
    for text in Wire(session).stream(json.dumps({"method": method, "params": params})):
        told = checked(method, text)
        yield told.get("result", told)


class Lab:
    """A session that is asked as the page asks it."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()
        self.wire = Wire(self.session)

    def ask(self, method: str, **params: Any) -> Any:
        return ask(self.session, method, **params)

    def stream(self, method: str, **params: Any) -> list[dict[str, Any]]:
        """The results of a stream that must succeed."""
        told = list(events(self.session, method, **params))
        assert "error" not in told[-1], told[-1]
        return told

    def refused(self, method: str, **params: Any) -> str:
        """The sentence with which a request is refused; the session is as it was."""
        before = self.ask("model")
        told = answer(self.session, method, **params)
        assert "error" in told, told
        assert self.ask("model") == before
        assert "this is a bug" not in told["error"]
        return str(told["error"])

    def use(self, source: str) -> Any:
        """Put this program in the reference's place."""
        return self.ask("edit", source=source)

    def events(self, **params: Any) -> Iterator[dict[str, Any]]:
        """Of training, an error among them."""
        return events(self.session, "train", **params)

    def train(self, steps: int, **params: Any) -> dict[str, Any]:
        """The last event of a training that must succeed."""
        event: dict[str, Any] = {}
        for event in self.events(steps=steps, **params):
            assert "error" not in event, event
        assert event["done"]
        return event

    def losses(self, steps: int) -> list[float]:
        """Of a training that must succeed, step by step."""
        events = list(self.events(steps=steps))
        return [loss for event in events for loss in event["losses"]]

    def state(self) -> tuple[bytes, bytes, bytes, int]:
        """The model to the last bit."""
        engine = self.session.active.engine
        return engine.params.tobytes(), engine.m.tobytes(), engine.v.tobytes(), engine.step


def file(text: str | bytes) -> str:
    """A file as the page sends it."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def curve(lab: Lab) -> list[float]:
    """Of the active run."""
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    return list(run["losses"])
