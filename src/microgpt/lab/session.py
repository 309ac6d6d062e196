"""A lab session: its runs and texts, and a cache of recorded executions.

The cache holds the executions that the next question may need again. `ask` answers a request, `stream` a request for
long work. The modules of the rooms register what can be asked (requests.py); nothing here draws, and nothing here
computes what the package can say. It runs the same in a browser (Pyodide) as here. Whatever goes wrong becomes a
sentence in an answer, and the session is then as it was before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from microgpt.engines.base import check_batch
from microgpt.engines.program import ScalarModel
from microgpt.errors import DivergedError, LabError
from microgpt.lab.editing import edited
from microgpt.lab.requests import REQUESTS, Answer, Request, bind, find
from microgpt.lab.runs import opening, texts
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.tracing.recorder import Tensor, forward
from microgpt.tracing.trace import Trace, trace_model

ROOMS = ("runs", "editing", "model", "figures", "playback")  # whose modules register requests
KEPT, KEPT_TRACES = 4, 2  # recorded words; those with their graphs, which take some 10 MB each

Key = tuple[Any, tuple[int, ...]]  # of a model, tokens
T = TypeVar("T")


class Session:
    """Begins with the published model. version counts the changes of the active model, from 0."""

    def __init__(self) -> None:
        self.names = Text()
        self.texts: list[Text] = [self.names]
        first = opening.published(self.names)
        self.by_id: dict[str, LabRun] = {first.id: first}
        self.active: LabRun = first
        self.version = 0
        self.begun = 0  # runs so far: their ids
        self._recorded: OrderedDict[Key, dict[str, Tensor]] = OrderedDict()
        self._traced: OrderedDict[Key, Trace] = OrderedDict()
        self._stepped: OrderedDict[Key, Trace] = OrderedDict()

    # --- requests in, answers out

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Answer:
        """Answer with {"result": ...}, or {"error": "a sentence for people"}."""
        try:
            request = find(method, streams=False)
            return {
                "result": self._told(request, request.function(self, **bind(method, request.function, params or {})))
            }
        except Exception as error:
            return {"error": _sentence(error)}

    def stream(self, method: str, params: dict[str, Any] | None = None) -> Iterator[Answer]:
        """The answers to a request for long work, one at a time; whoever stops asking stops the work."""
        try:
            request = find(method, streams=True)
            for event in request.function(self, **bind(method, request.function, params or {})):
                yield {"result": self._told(request, event)}
        except Exception as error:
            yield {"error": _sentence(error)}

    def _told(self, request: Request, answer: Any) -> Any:
        if request.changes:
            self.version += 1
            answer = REQUESTS["model"].function(self)
        return {**answer, "version": self.version} if request.of_model else answer

    # --- runs

    def new_id(self) -> str:
        """The id of the next run."""
        return f"run{self.begun + 1}"

    def add(self, run: LabRun) -> None:
        """Make a new run the active one."""
        self.begun += 1
        self.by_id[run.id] = run
        self.active = run

    def run(self, id: str) -> LabRun:
        """The run of this id. Raises LabError where there is none."""
        if id not in self.by_id:
            raise LabError(f"there is no run {id!r:.40}: there are {', '.join(self.by_id)}")
        return self.by_id[id]

    # --- a word through the active model

    def tokens(self, word: str) -> list[int]:
        """The word as token ids, BOS at both ends."""
        tokens = texts.encode(word, self.active.run.tokenizer)
        check_batch([tokens], self.active.engine.vocab_size)
        return tokens

    def forward(self, tokens: list[int], model: ScalarModel | None = None) -> dict[str, Tensor]:
        """The recorded forward pass of a model, by default the active one."""
        model = model or self.active.model
        return _kept(self._recorded, KEPT, _key(model, tokens), lambda: edited.Names(forward(tokens, model)))

    def trace(self, tokens: list[int]) -> Trace:
        """The recorded execution, backward included."""
        edited.unchanged(self.active, "the graph is read off what it keeps", "Value.__init__")
        model = self.active.model
        return _kept(self._traced, KEPT_TRACES, _key(model, tokens), lambda: trace_model(tokens, model))

    def stepped(self, tokens: list[int]) -> Trace:
        """The recorded forward pass, statement by statement."""
        model = self.active.model
        return _kept(
            self._stepped, 1, _key(model, tokens), lambda: trace_model(tokens, model, backward=False, events=True)
        )


def _key(model: ScalarModel, tokens: list[int]) -> Key:
    return model.key, tuple(tokens)


def _kept(known: OrderedDict[Key, T], most: int, key: Key, make: Callable[[], T]) -> T:
    """What is known under the key, or is made now; only the last few are kept."""
    if key not in known:
        known[key] = make()
        while len(known) > most:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def _sentence(error: Exception) -> str:
    """What went wrong, for people."""
    if not isinstance(error, LabError) and (said := edited.blamed(error)):
        return f"the edited program, {said}"
    if isinstance(error, FloatingPointError):
        return f"{error}; take back what was changed by hand (undo), or go back to an earlier step"
    if isinstance(error, (ValueError, ImportError, DivergedError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "this needs more memory than there is: choose a smaller model, or a shorter text"
    return f"this is a bug in the lab; please report it: {type(error).__name__}: {error}"


def _register_requests() -> None:
    here = Path(__file__).parent
    for room in ROOMS:
        for module in sorted((here / room).glob("*.py")):
            import_module(f"microgpt.lab.{room}.{module.stem}")


_register_requests()
