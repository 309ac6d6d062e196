"""What a chapter of the playhead tells, with its paths followed to their numbers."""

from __future__ import annotations

from typing import Any

from microgpt.lab.session import Session
from microgpt.tracing import names as tensor_names

from lab.session_client import ask


class Resolved:
    """What a chapter tells, with its paths followed to their numbers."""

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

    def value(self, variable: Any) -> Any:
        if "path" in variable:
            return variable["value"] if "value" in variable else self.numbers(variable["path"])
        if "paths" in variable:
            return variable["values"]
        if "table" in variable:
            return [self.value(item) for item in variable["table"].values()]
        if "list" in variable:
            return [self.value(item) for item in variable["list"]]
        return variable.get("value")

    def variables(self, event: Any, which: str = "known") -> dict[str, Any]:
        return {name: self.value(self.described[i]) for name, i in event[which].items()}
