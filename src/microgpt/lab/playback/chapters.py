"""The chapters of playback: executions of the reference, statement by statement.

Each chapter is one response that contains plain data.

    data      main() up to its first step: reading, shuffling, the tokenizer, the parameters
    tokens    the word's conversion to token ids and back
    forward   loss() for the word, and all the functions that loss() calls
    loss      the same execution, without the forward passes
    backward  the backward pass of the word's loss, one += at a time (see backward.py)
    adam      the update of one weight
    sample    one new document, with the chance that decides each token

An event records that the running program has reached a statement (see `steps`). If a statement calls the standard
library (a shuffle, or a lookup for each letter), the library's work is recorded too, as events nested in the
statement. A response contains each variable description once, in `variables`, and each tensor's values once, in
`tensors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, cast, get_args

from microgpt.data.sources import NAMES
from microgpt.data.tokenizers import ByteTokenizer
from microgpt.engines.base import Tokens
from microgpt.engines.program import REFERENCE
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.errors import LabError
from microgpt.lab.editing.source import line_of
from microgpt.lab.figures import adam as adam_figures
from microgpt.lab.figures.generation import RecordingRandom
from microgpt.lab.playback.backward import BackwardSteps, backward_steps
from microgpt.lab.protocol.choices import ChapterName
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import SwapReportingList, as_file
from microgpt.tracing.graph import Facts, Graph
from microgpt.tracing.instrument import Instrumented
from microgpt.tracing.names import indexed, tensor_of
from microgpt.tracing.steps import describe_events, events_of, watch
from microgpt.tracing.trace import Trace

if TYPE_CHECKING:
    from microgpt.lab.protocol.playback import Chapter, ChapterFacts, PlayEvent, Variable
    from microgpt.lab.protocol.values import Tensor
    from microgpt.lab.session import Session

CHAPTERS: tuple[ChapterName, ...] = get_args(ChapterName)
SHOWN = 12  # the number of documents shown
EXCHANGES = 8  # the number of swaps shown at the beginning and at the end of the shuffle


class Story:
    """A chapter under construction: events whose variables are indices into one list of descriptions.

    Attributes:
        graph: The execution's graph, which contains the numbers' values.
        events: The events so far.
        descriptions: The distinct descriptions of the events' variables.
    """

    def __init__(self, graph: Graph | None = None) -> None:
        self.graph = graph
        self.events: list[PlayEvent] = []
        self.descriptions: list[Facts] = []
        self._index_of_text: dict[str, int] = {}
        self._index_of_id: dict[int, int] = {}  # a variable that stays the same object is described once
        self._alive: list[Facts] = []  # keeps objects alive, so that no id is reused

    def add(self, event: Facts, **more: Any) -> None:
        """Add an event.

        Args:
            event: The event, in the form that `steps.describe_events` yields.
            **more: Additional fields of the event, such as `text` or `chance`.
        """
        known, changed = self._indices(event["known"]), self._indices(event["changed"])
        where = {name: event[name] for name in ("line", "function", "depth", "owner")}
        self.events.append(cast("PlayEvent", {**where, "known": known, "changed": changed, **more}))

    def add_nested(self, event: Facts, function: str, known: Facts, changed: Facts, **more: Any) -> None:
        """Add an event that occurs in the standard library while a statement runs.

        Args:
            event: The statement's event.
            function: The name of the standard-library function.
            known: The descriptions of the function's variables on entry, by name.
            changed: The descriptions of the variables that the function changed.
            **more: Additional fields of the event, such as `swap`.
        """
        where = {"line": event["line"], "function": function, "depth": event["depth"] + 1, "owner": event["owner"]}
        self.add({**where, "known": known, "changed": changed}, **more)

    def _indices(self, variables: dict[str, Facts]) -> dict[str, int]:
        return {name: self._index(facts) for name, facts in variables.items()}

    def _index(self, facts: Facts) -> int:
        if id(facts) not in self._index_of_id:
            self._alive.append(facts)
            full = self._full(facts)
            index = self._index_of_text.setdefault(json.dumps(full), len(self.descriptions))
            if index == len(self.descriptions):
                self.descriptions.append(full)
            self._index_of_id[id(facts)] = index
        return self._index_of_id[id(facts)]

    def _full(self, facts: Facts) -> Facts:
        """Complete a description: add the values of numbers outside tensors, and replace a matrix with its name."""
        if "paths" in facts and self.graph:
            return {**facts, "values": [self.graph.node(path).data for path in facts["paths"]]}
        if "table" in facts:
            return {"table": {name: self._full(item) for name, item in facts["table"].items()}}
        if "list" in facts:
            name = tensor_of(str(facts["list"][0].get("path", "")))
            if self.graph and name in self.graph.shapes and len(self.graph.shapes[name]) == 2:
                rows = [{"path": indexed(name, [row])} for row in range(self.graph.shapes[name][0])]
                if facts["list"] == rows:
                    return {"path": name}
            return {"list": [self._full(item) for item in facts["list"]]}
        return facts

    def chapter(self, chapter: ChapterName, names: Iterable[str] = (), **facts: Any) -> Chapter:
        """Return the finished chapter.

        Args:
            chapter: The name of the chapter.
            names: The names of the tensors whose values the chapter needs.
            **facts: The chapter's facts.
        """
        graph = self.graph
        tensors: dict[str, Tensor] = {
            name: {"shape": graph.shapes[name], "data": [node.data for node in graph.tensors[name]]}
            for name in names
            if graph
        }
        return {
            "chapter": chapter,
            "events": self.events,
            "variables": cast("list[Variable]", self.descriptions),
            "tensors": tensors,
            "facts": cast("ChapterFacts", facts),
        }


# --- Chapters


@model_request
def chapter(
    session: Session,
    name: ChapterName,
    word: str,
    path: str = "",
    seed: int = 42,
    index: int = 0,
    temperature: float = 0.5,
) -> Chapter:
    """Play a chapter of the program.

    Args:
        session: The session.
        name: The name of the chapter.
        word: The word that the chapter is about.
        path: For `adam`, the weight to update; by default, the weight with the largest gradient.
        seed: For `sample`, the seed, as for `microgpt sample`.
        index: For `sample`, which of the seed's samples to play, counting from 0.
        temperature: For `sample`, the temperature.
    """
    run, ids = session.active, session.tokens(word)
    if name == "data":
        return documents(run)
    if name == "tokens":
        return tokens(run, ids)
    if name == "backward":
        return backward(backward_steps(session, word))
    if name == "adam":
        return adam(run, session.trace(ids), path)
    if name == "sample":
        return sample(run, seed, index, temperature)
    return forward(run, ids, session.stepped(ids), name)


def documents(run: LabRun) -> Chapter:
    """Play main() up to its first step on this run's text, with the program's own seed and sizes.

    Raises:
        LabError: The edited main() does more to the documents than shuffle them once.
    """
    printed: list[str] = []
    exchanges: list[tuple[int, int]] = []

    class Enough(Exception):
        """Raised when main() computes its first loss."""

    def enough(*_: object) -> None:
        raise Enough

    with _instrumented(run) as copy:
        f = copy.functions
        f["print"], f["loss"] = lambda text: printed.append(text), enough
        path: AbstractContextManager[Any] = nullcontext(NAMES)
        if run.text.content is not None:
            path = as_file(run.text.name, run.text.content)
        with path as file:
            docs, reading = events_of(copy, f["documents"], str(file))
        before, now = list(docs), SwapReportingList(docs, lambda i, j: exchanges.append((i, j)))
        with watch(copy) as steps, suppress(Enough):
            f["main"](now)
        running = list(describe_events(Graph(copy), steps))
    if not _shuffled(before, exchanges, now):
        assert run.program is not REFERENCE, "the recorded swaps do not form one shuffle"
        raise LabError("cannot play this chapter: the edited main() does more to the documents than shuffle them once")
    last = line_of("for step in range(num_steps)", run.program)
    running = running[: next(i for i, event in enumerate(running, 1) if event["line"] == last)]
    story = Story()
    for event in reading:
        _describe_texts(event, "return", before)
        first = before[:SHOWN] if "return" in event["changed"] else []
        story.add({**event, "known": {"path": {"value": run.text.name}}}, first=first)
    texts = before
    shuffle, prints = line_of("rng.shuffle", run.program), line_of('print(f"num docs', run.program)
    for event in running:
        _describe_texts(event, "docs", texts)
        if event["line"] != shuffle:
            more = {"printed": printed[0]} if event["line"] == prints else {}
            story.add(event, first=texts[:SHOWN], **more)
            continue
        event["changed"]["docs"] = _texts(now)
        story.add(event, first=now[:SHOWN])  # as its variables: after the statement, whose swaps follow one by one
        texts = list(before)
        for turn, (i, j) in enumerate(exchanges):
            shown = turn < EXCHANGES or turn >= len(exchanges) - EXCHANGES
            known = {"i": {"value": i}, "j": {"value": j}, "x[i]": {"value": texts[i]}, "x[j]": {"value": texts[j]}}
            texts[i], texts[j] = texts[j], texts[i]
            if shown:
                changed = {"x[i]": {"value": texts[i]}, "x[j]": {"value": texts[j]}}
                swap = {"i": i, "j": j, "turn": turn, "of": len(exchanges)}
                story.add_nested(event, "shuffle", known, changed, swap=swap, first=texts[:SHOWN])
    return story.chapter("data", num_docs=len(before), text=run.text.name, before=before[:SHOWN], after=texts[:SHOWN])


def _shuffled(before: list[str], exchanges: list[tuple[int, int]], after: list[str]) -> bool:
    """Return whether the swaps form one shuffle, from the last item to the first, and turn `before` into `after`."""
    if [i for i, _ in exchanges] != list(range(len(before) - 1, 0, -1)):
        return False
    texts = list(before)
    for i, j in exchanges:
        texts[i], texts[j] = texts[j], texts[i]
    return texts == after


def _texts(texts: Sequence[str]) -> Facts:
    """Describe a list of documents; describe a long list by its length and its first documents."""
    if len(texts) <= SHOWN:
        return {"value": list(texts)}
    return {"text": f"{len(texts):,} documents: {', '.join(texts[:4])}, …"}


def _describe_texts(event: Facts, name: str, texts: Sequence[str]) -> None:
    """Describe the variable `name` of an event as a list of documents."""
    for variables in (event["known"], event["changed"]):
        if name in variables:
            variables[name] = _texts(texts)


def tokens(run: LabRun, ids: Tokens) -> Chapter:
    """Play Tokenizer(), encode() and decode(), letter by letter.

    Raises:
        LabError: The run has a byte tokenizer.
    """
    if isinstance(run.run.tokenizer, ByteTokenizer):
        raise LabError("the program's tokens are characters, but this run's tokens are bytes: choose another run")
    symbols = run.run.tokenizer.symbols
    word = run.run.tokenizer.decode(ids)
    looked_up: list[tuple[str, int]] = []

    class Watched(dict[str, int]):
        """A table of token ids that records each lookup."""

        def __getitem__(self, char: str) -> int:
            looked_up.append((char, super().__getitem__(char)))
            return looked_up[-1][1]

    story = Story()
    with _instrumented(run) as copy:
        make = copy.functions["Tokenizer"]
        tokenizer, making = events_of(copy, make, set("".join(symbols)), run.config.bos_first)
        tokenizer.token_ids = Watched(tokenizer.token_ids)
        encoded, encoding = events_of(copy, tokenizer.encode, word)
        decoded, decoding = events_of(copy, tokenizer.decode, encoded)
    for event in making:
        story.add(event)
    for event in encoding:
        story.add(event)
        for at, (char, token_id) in enumerate(looked_up):
            known, changed = {"char": {"value": char}}, {"self.token_ids[char]": {"value": token_id}}
            story.add_nested(event, "encode", known, changed, letter=at)
    for event in decoding:
        story.add(event)
    return story.chapter("tokens", ids=encoded, symbols=tokenizer.symbols, bos=tokenizer.bos, decoded=decoded)


def forward(run: LabRun, ids: Tokens, recorded: Trace, chapter: ChapterName) -> Chapter:
    """Play loss() and all the functions that it calls. The `loss` chapter omits the forward passes."""
    story = Story(recorded.graph)
    for event in recorded.events:
        of_loss = event["function"] == "loss" or (event["function"] == "softmax" and event["depth"] == 1)
        if chapter == "forward" or of_loss:
            story.add(event)
    names = [name for name in recorded.graph.shapes if name not in run.shapes]
    if chapter == "loss":
        names = [name for name in names if name.endswith((".k", ".v", ".logits", ".probs", "loss"))]
    return story.chapter(chapter, names, tokens=list(ids))


def backward(steps: BackwardSteps) -> Chapter:
    """Return the steps at which tensors and numbers pass back gradients. `backward_step` returns a single step."""
    return Story().chapter(
        "backward",
        steps=len(steps),
        operations=len(steps.order),
        nodes=steps.nodes,
        tensors_met=steps.landmarks,
        numbers_met=steps.starts,
    )


def adam(run: LabRun, recorded: Trace, path: str) -> Chapter:
    """Play the next update of one weight. If `path` is empty, choose the weight with the largest gradient."""
    settings = adam_figures.update_settings(run, None, False)
    leaves = recorded.graph.nodes[: len(run.engine.params)]
    index = run.index(path) if path else max(range(len(leaves)), key=lambda i: abs(leaves[i].grad))
    with _instrumented(run) as copy:
        parameter, m, v = copy.leaves[index], [settings.m[index]], [settings.v[index]]
        before, parameter.grad = parameter.data, leaves[index].grad
        grad = parameter.grad
        copy.model.decay([parameter], settings.learning_rate)  # adam() starts from the decayed weight
        call = copy.functions["adam"]
        _, events = events_of(
            copy, call, [parameter], m, v, settings.step, settings.learning_rate, **copy.model.adam_arguments
        )
        story = Story(Graph(copy))
        for event in events:
            event["known"]["params"] = {"text": f"[{run.path(index)}]"}  # the variable p shows the changing value
            story.add(event)
    return story.chapter(
        "adam",
        path=run.path(index),
        index=index,
        count=len(leaves),
        before=before,
        after=parameter.data,
        grad=grad,
        learning_rate=settings.learning_rate,
        plain=-settings.learning_rate * grad,
    )


def sample(run: LabRun, seed: int, index: int, temperature: float) -> Chapter:
    """Play `sample` with this run's parameters and the same random numbers as `microgpt sample`.

    Raises:
        LabError: The temperature is not above 0.
    """
    tokenizer = run.run.tokenizer
    if not temperature > 0:
        raise LabError(f"temperature must be above 0, got temperature={temperature}: at 0, tokens are not sampled")
    rng = RecordingRandom(f"{seed}:{index}")
    with _instrumented(run) as copy:
        call = copy.functions["sample"]
        ids, events = events_of(
            copy, call, copy.state_dict, tokenizer.bos, rng, temperature, **copy.model.sample_arguments
        )
        graph = Graph(copy)
        story = Story(graph)
    chances = iter(rng.chances)
    sampling, text = line_of("rng.choices(", run.program), ""
    written: list[int] = []
    appended = line_of("token_ids.append(token_id)", run.program)
    for event in events:
        if event["line"] == appended:
            written.append(event["known"]["token_id"]["value"])
            text = tokenizer.decode(written)
        more = {"chance": next(chances)} if event["line"] == sampling else {}
        story.add(event, text=text, **more)
    names = [name for name in graph.shapes if name not in run.shapes]
    facts = {"seed": seed, "index": index, "temperature": temperature}
    return story.chapter("sample", names, token_ids=ids, text=tokenizer.decode(ids), **facts)


@contextmanager
def _instrumented(run: LabRun) -> Iterator[Instrumented]:
    with Instrumented(run.model) as copy, scalar_arithmetic():
        yield copy
