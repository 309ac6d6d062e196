"""The variables of a chapter's events, with their paths replaced by numbers."""

from __future__ import annotations

from typing import Any

from microgpt.lab.session import Session
from microgpt.tracing import names as tensor_names

from lab.session_client import ask


class Resolved:
    """A chapter whose variables have numbers instead of paths."""

    def __init__(self, session: Session, chapter: Any) -> None:
        self.described = chapter["variables"]
        self.events = chapter["events"]
        parameters = ask(session, "parameters")["tensors"]
        self.tensors = {**parameters, **chapter["tensors"]}

    def numbers(self, path: str) -> Any:
        name, _, slice_ = path.partition("[")
        if ":" in slice_:
            start, stop = map(int, slice_.rstrip("]").split(":"))
            return self.tensors[name]["data"][start:stop]
        shapes = {name: tuple(tensor["shape"]) for name, tensor in self.tensors.items()}
        name, index = tensor_names.look_up(path, shapes)
        data, shape = self.tensors[name]["data"], shapes[name]
        if len(shape) == 2:
            rows = [data[i : i + shape[1]] for i in range(0, len(data), shape[1])]
            return rows[index[0]] if index else rows
        return [data[index[0]]] if index else data

    def value(self, shown: Any) -> Any:
        if "path" in shown:
            return shown["value"] if "value" in shown else self.numbers(shown["path"])
        if "paths" in shown:
            return shown["values"]
        if "table" in shown:
            return [self.value(item) for item in shown["table"].values()]
        if "list" in shown:
            return [self.value(item) for item in shown["list"]]
        return shown.get("value")

    def variables(self, event: Any, which: str = "known") -> dict[str, Any]:
        return {name: self.value(self.described[i]) for name, i in event[which].items()}
