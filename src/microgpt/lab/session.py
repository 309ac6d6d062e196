"""A lab session: its runs and texts, and a cache of recorded executions.

The cache holds executions that later requests may need again. `ask` handles an ordinary request, and `stream` handles a
long-running request. The modules in PACKAGES register the requests (requests.py). The session renders nothing and
leaves all computation to the package. It behaves the same in a browser (Pyodide) and in CPython. If a request fails,
its response contains an error message, and the session remains unchanged.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args

from microgpt.engines.base import check_batch
from microgpt.engines.program import ScalarModel
from microgpt.errors import DivergedError, LabError
from microgpt.lab.editing import edited
from microgpt.lab.editing.module import error_sentence
from microgpt.lab.protocol.choices import Pretrained
from microgpt.lab.requests import REQUESTS, Request, Response, bind, find
from microgpt.lab.runs import opening, texts
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.tracing.recorder import Tensor, forward
from microgpt.tracing.trace import Trace, trace_model

PACKAGES = ("runs", "editing", "model", "figures", "playback")  # the packages whose modules register requests
KEPT, KEPT_TRACES = 4, 2  # cached forward passes and traces; a trace's graph takes up about 10 MB

Key = tuple[Any, tuple[int, ...]]  # the model's key and the token ids
T = TypeVar("T")


class Session:
    """A lab session, which starts with the model trained on the bundled names, and also has the published model.

    Attributes:
        names: The bundled names.
        texts: All loaded texts, beginning with the bundled names.
        by_id: The runs by id.
        active: The active run.
        version: A counter that increases whenever the active model changes.
        begun: The number of runs added so far, from which the next run's id is derived.

    Example:
        >>> Session().ask("tokens", {"text": "emma"})["result"]["ids"]
        [26, 4, 12, 12, 0, 26]
    """

    def __init__(self) -> None:
        self.names = Text()
        self.texts: list[Text] = [self.names]
        self.by_id: dict[str, LabRun] = {id: opening.pretrained(id, self.names) for id in get_args(Pretrained)}
        self.active: LabRun = self.by_id["names"]
        self.version = 0
        self.begun = 0
        self._recorded: OrderedDict[Key, dict[str, Tensor]] = OrderedDict()
        self._traced: OrderedDict[Key, Trace] = OrderedDict()
        self._stepped: OrderedDict[Key, Trace] = OrderedDict()

    # --- requests in, responses out

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Response:
        """Handle a request.

        Args:
            method: The name of the request.
            params: The request's parameters, by name.

        Returns:
            {"result": ...} or {"error": "a message for the user"}.
        """
        try:
            request = find(method, streams=False)
            return {
                "result": self._finish(request, request.function(self, **bind(method, request.function, params or {})))
            }
        except Exception as error:
            return {"error": _sentence(error)}

    def stream(self, method: str, params: dict[str, Any] | None = None) -> Iterator[Response]:
        """Handle a long-running request.

        Args:
            method: The name of the request.
            params: The request's parameters, by name.

        Yields:
            One response at a time, each {"result": ...} or {"error": "a message for the user"}. The task advances only
            while responses are consumed, and closing the generator stops the task.
        """
        try:
            request = find(method, streams=True)
            for event in request.function(self, **bind(method, request.function, params or {})):
                yield {"result": self._finish(request, event)}
        except Exception as error:
            yield {"error": _sentence(error)}

    def _finish(self, request: Request, response: Any) -> Any:
        if request.changes:
            self.version += 1
            response = REQUESTS["model"].function(self)
        return {**response, "version": self.version} if request.of_model else response

    # --- runs

    def new_id(self) -> str:
        """Return the id for the next run."""
        return f"run{self.begun + 1}"

    def add(self, run: LabRun) -> None:
        """Add a new run and make it the active run."""
        self.begun += 1
        self.by_id[run.id] = run
        self.active = run

    def run(self, id: str) -> LabRun:
        """Return the run with this id.

        Raises:
            LabError: No run has this id.
        """
        if id not in self.by_id:
            raise LabError(f"unknown run {id!r:.40}; choose from {', '.join(self.by_id)}")
        return self.by_id[id]

    # --- executions of the active model on a word

    def tokens(self, word: str) -> list[int]:
        """Return the word as token ids, with BOS at both ends."""
        tokens = texts.encode(word, self.active.run.tokenizer)
        check_batch([tokens], self.active.engine.vocab_size)
        return tokens

    def forward(self, tokens: list[int], model: ScalarModel | None = None) -> dict[str, Tensor]:
        """Return the tensors of a model's recorded forward pass, by name.

        Args:
            tokens: The token ids, with BOS at both ends.
            model: The model; None for the active model.
        """
        model = model or self.active.model
        return _kept(self._recorded, KEPT, _key(model, tokens), lambda: edited.Names(forward(tokens, model)))

    def trace(self, tokens: list[int]) -> Trace:
        """Return the active model's recorded execution, including the backward pass."""
        edited.unchanged(self.active, "the graph is read from the fields that the original sets", "Value.__init__")
        model = self.active.model
        return _kept(self._traced, KEPT_TRACES, _key(model, tokens), lambda: trace_model(tokens, model))

    def stepped(self, tokens: list[int]) -> Trace:
        """Return the active model's forward pass, recorded statement by statement."""
        model = self.active.model
        return _kept(
            self._stepped, 1, _key(model, tokens), lambda: trace_model(tokens, model, backward=False, events=True)
        )


def _key(model: ScalarModel, tokens: list[int]) -> Key:
    return model.key, tuple(tokens)


def _kept(known: OrderedDict[Key, T], most: int, key: Key, make: Callable[[], T]) -> T:
    """Return the value cached for a key, or compute and cache it. Keep only the `most` recently used values."""
    if key not in known:
        known[key] = make()
        while len(known) > most:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def _sentence(error: Exception) -> str:
    """Return an error message for the user."""
    if not isinstance(error, LabError) and (said := error_sentence(error)):
        return f"error in the edited program, {said}"
    if isinstance(error, FloatingPointError):
        return f"{error}; undo your changes to the weights, or go back to an earlier step"
    if isinstance(error, (ValueError, ImportError, DivergedError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "this request needs more memory than is available: choose a smaller model or a shorter text"
    return f"this is a bug in the lab; please report it: {type(error).__name__}: {error}"


def _register_requests() -> None:
    here = Path(__file__).parent
    for package in PACKAGES:
        for module in sorted((here / package).glob("*.py")):
            import_module(f"microgpt.lab.{package}.{module.stem}")


_register_requests()
