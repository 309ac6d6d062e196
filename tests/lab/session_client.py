"""The lab's session as several test files ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from microgpt.lab.session import Session


def ask(session: Session, method: str, **params: Any) -> Any:
    """The answer; AssertionError with the sentence where it is an error."""
    answer = json.loads(session.ask(json.dumps({"method": method, "params": params})))
    assert "error" not in answer, answer["error"]
    return answer["result"]


class Lab:
    """A session that is asked as the page asks it: in JSON."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()

    def ask(self, method: str, **params: Any) -> Any:
        return ask(self.session, method, **params)

    def refused(self, method: str, **params: Any) -> str:
        """The sentence with which a request is refused; the session is as it was."""
        before = self.session.ask('{"method": "model"}')
        answer = json.loads(self.session.ask(json.dumps({"method": method, "params": params})))
        assert "error" in answer, answer
        assert self.session.ask('{"method": "model"}') == before
        assert "mistake of ours" not in answer["error"]
        return str(answer["error"])

    def use(self, source: str) -> Any:
        """Put this program in the reference's place."""
        return self.ask("edit", source=source)

    def events(self, **params: Any) -> Iterator[dict[str, Any]]:
        """Of training, an error among them."""
        for event in self.session.stream(json.dumps({"method": "train", "params": params})):
            answer = json.loads(event)
            yield answer.get("result", answer)

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
