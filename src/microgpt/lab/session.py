"""What the page can ask: a session holds the runs and the texts, and answers requests about the active model.

`ask` takes a request as JSON and gives its answer as JSON; `stream` gives an answer for each stretch of a long work.
web/src/engine/protocol.ts lists the requests. Nothing here draws, and nothing here computes what the package can say:
the numbers come from the reference, its recordings and the engines. It runs the same in a browser (Pyodide) as here.
Whatever goes wrong becomes a sentence in an answer, and the session is then as it was before.
"""

from __future__ import annotations

import base64
import binascii
import platform
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import microgpt
from microgpt import evaluation
from microgpt.config import Config
from microgpt.engines.base import check_batch
from microgpt.engines.program import REFERENCE, ScalarModel
from microgpt.errors import DivergedError, LabError
from microgpt.lab import session_file
from microgpt.lab.editing import edited, source, variants
from microgpt.lab.figures import adam as adam_figures
from microgpt.lab.figures import costs, figures, generation, gradient_check, loss_surface, search, unmasked
from microgpt.lab.figures import expression as expressions
from microgpt.lab.figures import number as number_figure
from microgpt.lab.figures.speed import ladder
from microgpt.lab.playback import chapters
from microgpt.lab.playback.backward import Relay
from microgpt.lab.requests import Answer, bind, dumps, parse
from microgpt.lab.runs import compare as run_comparison
from microgpt.lab.runs import opening, texts
from microgpt.lab.runs.run import LabRun, settings
from microgpt.lab.runs.texts import Text
from microgpt.lab.session_file import State
from microgpt.runs.run import VAL_DOCUMENTS, spec_of
from microgpt.tracing.recorder import Tensor, forward
from microgpt.tracing.trace import Trace, trace_model
from microgpt.training import check_options

KEPT, KEPT_TRACES = 4, 2  # recorded words; those with their graphs, which take some 10 MB each
MAX_STEPS = 1_000_000  # that one request may train
EVALUATED = {"native": VAL_DOCUMENTS, "scalar": 10}  # documents

Key = tuple[Any, tuple[int, ...]]  # of a model, tokens
F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def asked(f: F) -> F:
    """A method that the page can ask."""
    f.asked = "method"  # type: ignore[attr-defined]
    return f


def streamed(f: F) -> F:
    """A method that the page can ask, which answers many times."""
    f.asked = "stream"  # type: ignore[attr-defined]
    return f


class Session:
    """Begins with the published model. version counts the changes of the model at hand, from 0."""

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
        self._played: OrderedDict[Key, Trace] = OrderedDict()
        self._relays: WeakKeyDictionary[Trace, Relay] = WeakKeyDictionary()

    # --- requests in, answers out

    def ask(self, text: str) -> str:
        """The answer to a request."""
        try:
            method, params = parse(text)
            function = self._function(method, "method")
            return dumps({"result": function(**bind(method, function, params))})
        except Exception as error:
            return dumps({"error": _sentence(error)})

    def stream(self, text: str) -> Iterator[str]:
        """The answers to a request for long work, one at a time; whoever stops asking stops the work."""
        try:
            method, params = parse(text)
            function = self._function(method, "stream")
            for event in function(**bind(method, function, params)):
                yield dumps({"result": event})
        except Exception as error:
            yield dumps({"error": _sentence(error)})

    def _function(self, method: str, kind: str) -> Callable[..., Any]:
        function = getattr(self, method, None)
        if getattr(function, "asked", None) != kind:
            known = sorted(name for name in dir(self) if getattr(getattr(type(self), name, None), "asked", "") == kind)
            raise LabError(f"there is no {kind} {method!r:.40}: there are {', '.join(known)}")
        assert function is not None
        return function  # type: ignore[no-any-return]

    def _of_model(self, answer: Answer) -> Answer:
        return {**answer, "version": self.version}

    def _changed(self) -> Answer:
        self.version += 1
        return self.model()

    # --- the model

    @asked
    def hello(self) -> Answer:
        """Who is there."""
        return {
            "version": microgpt.__version__,
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "model": self.model(),
        }

    @asked
    def source(self) -> Answer:
        """The program that makes the numbers: the reference, as it stands in this package, unless it was edited."""
        return source.source(self.active.program)

    @asked
    def variants(self) -> Answer:
        """Changes to try."""
        return variants.told()

    @asked
    def vary(self, name: str, source: str) -> Answer:
        """A program with one of them."""
        return variants.apply(name, source)

    @asked
    def edit(self, source: str) -> Answer:
        """Take an edited program in the reference's place, as a new run over the same text."""
        return self._open(edited.begin(self._new_id(), self.active.text, source))

    @asked
    def model(self) -> Answer:
        """The model at hand."""
        run = self.active
        changes = [run.changes[index] for index in sorted(run.changes)]
        return self._of_model(
            {
                "run": run.id,
                "name": run.name,
                "about": run.about,
                "step": run.step,
                "num_steps": run.run.config.num_steps,
                "config": settings(run.config),
                "tokenizer": spec_of(run.run.tokenizer).get("kind", "char"),
                "symbols": texts.names(run.run.tokenizer),
                "bos": run.run.tokenizer.bos,
                "num_params": run.run.num_params,
                "head_dim": run.head_dim,
                "sqrt_head_dim": run.head_dim**0.5,
                "uniform_loss": run.uniform_loss,
                "shapes": [[name, *shape] for name, shape in run.shapes.items()],
                "engine": run.engine.name,
                "note": run.engine.note,
                "program": edited.facts(run),
                "changes": [
                    {"path": run.path(e.place), "before": e.before, "after": run.engine.params[e.place]}
                    for e in changes
                ],
            }
        )

    # --- texts

    @asked
    def tokens(self, text: str) -> Answer:
        """What the tokenizer makes of what somebody types."""
        return self._of_model(texts.tokens(text, self.active.run.tokenizer, self.active.config))

    @asked
    def spelled(self, text: str) -> Answer:
        """The same text as characters and as bytes."""
        return self._of_model(costs.spelled(text, self.active.run.tokenizer, self.active.config.n_embd))

    @asked
    def data(self) -> Answer:
        """The text that the model at hand is trained on."""
        run = self.active
        data = run.run.data
        return self._of_model(
            {
                "name": data.source,
                **run.text.statistics(data),
                "unread": data.unread(run.config.block_size),
                "first": [data.text(i) for i in range(min(texts.SHOWN, len(data)))],
                "shuffled": [data.text(i) for i in run.run.order[: texts.SHOWN]],
            }
        )

    @asked
    def shuffle(self, seed: int, count: int) -> Answer:
        """The first documents, shuffled before your eyes."""
        data = self.active.run.data
        if not 2 <= count <= min(len(data), 100):
            raise LabError(f"count must be from 2 to {min(len(data), 100)}, got count={count}")
        return texts.shuffle([data.text(i) for i in range(count)], seed)

    @asked
    def load_data(self, name: str, base64: str, documents: str | None = None) -> Answer:
        """Take a file as the text of a new, untrained run."""
        text = texts.own(name, _bytes("base64", base64), documents)
        if self.active.program is not REFERENCE:
            run = edited.begin(self._new_id(), text, self.active.program.text)
        else:
            run = opening.begin(self._new_id(), f"over {name}", text, self.active.config)
        self.texts.append(text)
        return self._open(run)

    # --- expressions

    @asked
    def expression(
        self,
        source: str,
        inputs: dict[str, float],
        accumulate: bool = True,
        order: str = "topological",
        times: int = 1,
    ) -> Answer:
        """A small graph of Values, forward and backward."""
        edited.unchanged(self.active, "expressions are computed with it", "Value.")
        return expressions.expression(source, inputs, accumulate=accumulate, order=order, times=times)

    # --- parameters

    @asked
    def parameters(self, moments: bool = False) -> Answer:
        """All of them."""
        return self._of_model(figures.parameters(self.active, moments))

    @asked
    def sizes(self, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Answer:
        """How many parameters a model of other sizes has."""
        return figures.sizes(self.active.program, n_embd, n_layer, block_size, vocab_size)

    @asked
    def budget(self, n_embd: int, n_layer: int, block_size: int, vocab_size: int, tokens: int = 0) -> Answer:
        """What such a model costs, and its training on so many tokens."""
        edited.unchanged(self.active, "the costs are reckoned of it", "shapes", "attention")
        return costs.budget(n_embd, n_layer, block_size, vocab_size, tokens)

    @asked
    def nearest(self, symbol: str) -> Answer:
        """Which tokens have come to lie near one."""
        return self._of_model(figures.nearest(self.active, symbol))

    @asked
    def history(self, path: str) -> Answer:
        """One of them over the steps of its run."""
        return self._of_model(figures.history(self.active, path))

    @asked
    def change(self, path: str, value: float) -> Answer:
        """Set one by hand."""
        self.active.change(path, value)
        return self._changed()

    @asked
    def undo(self) -> Answer:
        """Take back all that was changed by hand."""
        self.active.undo()
        return self._changed()

    # --- one word through the model

    def _tokens(self, word: str) -> list[int]:
        tokens = texts.encode(word, self.active.run.tokenizer)
        check_batch([tokens], self.active.engine.vocab_size)
        return tokens

    def _forward(self, tokens: list[int], model: ScalarModel | None = None) -> dict[str, Tensor]:
        """The recorded forward pass of a model, by default the active one."""
        model = model or self.active.model
        return _kept(self._recorded, KEPT, _key(model, tokens), lambda: edited.Names(forward(tokens, model)))

    def _trace(self, tokens: list[int]) -> Trace:
        """The recorded execution, backward included."""
        edited.unchanged(self.active, "the graph is read off what it keeps", "Value.__init__")
        model = self.active.model
        return _kept(self._traced, KEPT_TRACES, _key(model, tokens), lambda: trace_model(tokens, model))

    def _relay(self, tokens: list[int]) -> Relay:
        """The recorded backward(), step by step."""
        edited.unchanged(self.active, "the relay shows what it did", "Value.backward")
        recorded = self._trace(tokens)
        if recorded not in self._relays:
            self._relays[recorded] = Relay(recorded)
        return self._relays[recorded]

    @asked
    def forward(self, word: str) -> Answer:
        """Every number of a word's way through the model."""
        tokens = self._tokens(word)
        now = self._forward(tokens)
        before = self._forward(tokens, self.active.unchanged()) if self.active.changes else now
        return self._of_model(
            {
                "word": word,
                "tokens": tokens,
                "positions": len(texts.read(tokens, self.active.config)),
                "tensors": figures.tensors(now),
                "before": {name: t.numbers for name, t in before.items() if t.numbers != now[name].numbers},
            }
        )

    @asked
    def gradients(self, word: str) -> Answer:
        """d loss / d each parameter."""
        tokens = self._tokens(word)
        return self._of_model(number_figure.gradients(self.active, tokens, self._trace(tokens)))

    @asked
    def number(self, word: str, path: str) -> Answer:
        """One number, opened."""
        return self._of_model(number_figure.number(self.active, self._trace(self._tokens(word)), path))

    @asked
    def neighbourhood(
        self, word: str, path: str, up: int = 1, down: int = 1, limit: int = number_figure.AROUND
    ) -> Answer:
        """The numbers around one."""
        return self._of_model(number_figure.neighbourhood(self._trace(self._tokens(word)), path, up, down, limit))

    @asked
    def blame(self, word: str, path: str) -> Answer:
        """The chain rule at a number."""
        edited.unchanged(self.active, "what it adds up is told", "Value.backward")
        return self._of_model(number_figure.blame(self._trace(self._tokens(word)), path))

    @asked
    def nudge(self, word: str, path: str, eps: float | None = None) -> Answer:
        """A number's gradient beside what a small push shows."""
        tokens = self._tokens(word)
        return self._of_model(gradient_check.nudge(self.active, tokens, self._trace(tokens), path, eps))

    @asked
    def find(self, word: str, query: str, position: int = 0, limit: int = 12) -> Answer:
        """Numbers by their names."""
        return self._of_model(search.find(self.active, self._trace(self._tokens(word)), query, position, limit))

    @asked
    def play(self, word: str) -> Answer:
        """The execution, line by line."""
        recorded = chapters.record(self.active, self._tokens(word))
        return self._of_model(number_figure.play(recorded))

    @asked
    def chapter(
        self, name: str, word: str, path: str = "", seed: int = 42, index: int = 0, temperature: float = 0.5
    ) -> Answer:
        """A part of the program, played. path: of the parameter, for `adam`; seed to temperature: for `sample`."""
        run, tokens = self.active, self._tokens(word)
        if name in ("forward", "loss"):
            recorded = _kept(self._played, 1, _key(run.model, tokens), lambda: chapters.record(run, tokens))
            told = chapters.forward(run, tokens, recorded, name)
        elif name == "backward":
            told = chapters.backward(self._relay(tokens))
        elif name == "adam":
            told = chapters.adam(run, self._trace(tokens), path)
        elif name == "sample":
            told = chapters.sample(run, seed, index, temperature)
        elif name == "tokens":
            told = chapters.tokens(run, tokens)
        elif name == "data":
            told = chapters.documents(run)
        else:
            raise LabError(f"name must be one of {', '.join(chapters.CHAPTERS)}, got name={name!r:.40}")
        return self._of_model(told)

    @asked
    def passed_on(self, word: str, step: int) -> Answer:
        """One += of backward()."""
        return self._of_model(self._relay(self._tokens(word)).step(step))

    @asked
    def attention(self, word: str) -> Answer:
        """Every head's matrix."""
        tokens = self._tokens(word)
        return self._of_model(figures.attention(self.active, tokens, self._forward(tokens)))

    @asked
    def unmasked(self, word: str) -> Answer:
        """Every head's matrix without the mask, and what that does to the surprise."""
        tokens = self._tokens(word)
        return self._of_model(unmasked.unmasked(self.active, tokens, self._forward(tokens)))

    @asked
    def unmasked_documents(self, count: int) -> Answer:
        """The same for the loss of many documents."""
        return self._of_model(unmasked.documents(self.active, count))

    @asked
    def softmax(self, logits: list[float], scale: float) -> Answer:
        """Scores to shares, from uniform to peaked."""
        return figures.softmax(self.active, logits, scale)

    @asked
    def loss(self, word: str) -> Answer:
        """The surprise, letter by letter."""
        tokens = self._tokens(word)
        return self._of_model(figures.loss(self.active, tokens, self._forward(tokens)))

    @asked
    def graph(self, word: str) -> Answer:
        """How large and how deep the graph behind the loss is."""
        return self._of_model(figures.graph(self._trace(self._tokens(word))))

    @asked
    def gate(self, word: str, layer: int) -> Answer:
        """Which units of the MLP are open."""
        tokens = self._tokens(word)
        return self._of_model(figures.gate(self.active, tokens, self._forward(tokens), layer))

    # --- one update

    @asked
    def update(
        self, word: str, what: list[str] | None = None, learning_rate: float | None = None, fresh: bool = False
    ) -> Answer:
        """One step of Adam on the word, not kept."""
        way = adam_figures.how(self.active, learning_rate, fresh)
        return self._of_model(adam_figures.update(self.active, self._tokens(word), what, way))

    @asked
    def adam(self, word: str, path: str, learning_rate: float | None = None, fresh: bool = False) -> Answer:
        """The same for one parameter, with all that goes in."""
        way = adam_figures.how(self.active, learning_rate, fresh)
        return self._of_model(adam_figures.adam(self.active, self._tokens(word), path, way))

    @asked
    def schedule(self) -> Answer:
        """The learning rate, from the first step of the plan to its last."""
        return self._of_model(adam_figures.schedule(self.active))

    @asked
    def surface(
        self, word: str, x: str, y: str, size: int, reach: float, steps: int, learning_rate: float | None = None
    ) -> Answer:
        """The loss over two parameters, and two who walk on it."""
        tokens = self._tokens(word)
        return self._of_model(loss_surface.surface(self.active, tokens, x, y, size, reach, steps, learning_rate))

    # --- runs

    def _new_id(self) -> str:
        return f"run{self.begun + 1}"

    def _open(self, run: LabRun) -> Answer:
        """Make a new run the active one."""
        self.begun += 1
        self.by_id[run.id] = run
        self.active = run
        return self._changed()

    @asked
    def reset(self, config: dict[str, Any] | None = None, name: str | None = None, val_fraction: float = 0.0) -> Answer:
        """A new random model, as a new run over the same text."""
        changes = dict(config or {})
        if self.active.program is not REFERENCE:
            if changes or val_fraction:
                raise LabError("the settings of an edited program stand in its main(): change them there")
            return self.edit(self.active.program.text)
        known = Config().to_dict()
        for setting in changes:
            if setting not in known:
                raise LabError(f"there is no setting {setting!r:.40}: there are {', '.join(known)}")
        changes = {
            setting: int(value)
            if type(known[setting]) is int and type(value) is float and value.is_integer()
            else value
            for setting, value in changes.items()
        }
        new = self.active.config.replace(**changes)
        check_options(new.batch_size, None, None)
        return self._open(opening.begin(self._new_id(), name or "random", self.active.text, new, val_fraction))

    @asked
    def pretrained(self) -> Answer:
        """Back to the published model."""
        self.active = self.by_id["published"]
        self.active.go(self.active.furthest)
        return self._changed()

    @asked
    def scrub(self, step: int) -> Answer:
        """The run's weights after that step."""
        self.active.go(step)
        return self._changed()

    @asked
    def runs(self) -> Answer:
        """All runs with their curves."""
        return self._of_model({"runs": [run.describe(run is self.active) for run in self.by_id.values()]})

    def _run(self, id: str) -> LabRun:
        if id not in self.by_id:
            raise LabError(f"there is no run {id!r:.40}: there are {', '.join(self.by_id)}")
        return self.by_id[id]

    @asked
    def choose(self, run: str) -> Answer:
        """Make another run the active one."""
        self.active = self._run(run)
        return self._changed()

    @asked
    def compare(self, a: str, b: str) -> Answer:
        """Where two runs part."""
        return self._of_model(run_comparison.compare(self._run(a), self._run(b)))

    @asked
    def evaluate(self) -> Answer:
        """The loss on documents that training does not read, or, where none are held out, on training documents."""
        run = self.active
        edited.unchanged(run, "the loss on other documents is reckoned as it does", "loss", "softmax")
        indices = run.run.held_out or run.run.order
        chosen = evaluation.spread(indices, EVALUATED[run.engine.name])
        score = run.run.score(chosen)
        return self._of_model({"loss": score.loss, "documents": len(chosen), "held_out": bool(run.run.held_out)})

    @asked
    def open_run(self, name: str, checkpoint: str, metrics: str) -> Answer:
        """A run from the files of its folder."""
        return self._open(
            opening.opened(self._new_id(), name, _bytes("checkpoint", checkpoint), metrics, self._text, self.names)
        )

    def _text(self, sha256: str) -> Text | None:
        """The text of this session with that checksum, if there is one."""
        return next((text for text in reversed(self.texts) if text.data(Config()).sha256 == sha256), None)

    @asked
    def export_model(self) -> Answer:
        """The model at hand as a checkpoint, which `microgpt sample` reads."""
        edited.exportable(self.active)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            self.active.run.save(path)
            return {"base64": base64.b64encode(path.read_bytes()).decode(), "name": path.name}

    @streamed
    def train(self, steps: int, per_event: int | None = None) -> Iterator[Answer]:
        """Train the model at hand, from where it stands; a run that was scrubbed back gets a branch."""
        if not 1 <= steps <= MAX_STEPS:
            raise LabError(f"steps must be from 1 to {MAX_STEPS:,}, got steps={steps}")
        if per_event is not None and per_event < 1:
            raise LabError(f"per_event must be at least 1, got per_event={per_event}")
        run = self._to_train()
        target, told, began = run.step + steps, run.step, perf_counter()

        def event() -> Answer:
            losses = run.losses[told : run.step]
            self.version += 1
            return self._of_model(
                {
                    "run": run.id,
                    "step": run.step,
                    "losses": losses,
                    "document": run.document(run.step - 1)[-1],
                    "learning_rate": run.rate(run.step - 1),
                    "steps_per_second": len(losses) / max(1e-9, perf_counter() - began),
                    "done": run.step >= target,
                }
            )

        try:
            while run.step < target:
                stop = target if per_event is None else min(target, told + per_event)
                for _ in chain(run.train(stop), [None]):  # at its pauses, and at its end
                    if run.step > told:
                        yield event()
                        if self.active is not run or run.step != run.furthest:  # somebody has gone elsewhere meanwhile
                            return
                        told, began = run.step, perf_counter()
        except DivergedError as error:
            if run.step > told:
                yield event()
            raise LabError(opening.diverged(run, error)) from None

    def _to_train(self) -> LabRun:
        """The active run, or, where it is to stay as it is, its branch."""
        run = self.active
        if not run.frozen and run.step == run.furthest:
            _ = run.run.order  # that its data are here is seen before anything is changed
            return run
        count = sum(other.branch is not None and other.branch[0] == run.id for other in self.by_id.values())
        name = f"{run.name}, trained on" if run.frozen else f"{run.name}, from step {run.step}"
        branch = run.fork(self._new_id(), name + (f" ({count + 1})" if count else ""))
        run.go(run.furthest)
        self._open(branch)
        return branch

    @streamed
    def ladder(self, steps: int) -> Iterator[Answer]:
        """The same steps by every engine, timed; the model at hand has no part in it."""
        return ladder(self.names, steps)

    # --- generating

    @asked
    def generate(self, seed: int, index: int, temperature: float, top_k: int | None = None, prompt: str = "") -> Answer:
        """A new text, letter by letter."""
        return self._of_model(generation.generate(self.active, seed, index, temperature, top_k, prompt))

    @asked
    def samples(
        self, seed: int, count: int, temperature: float, top_k: int | None = None, run: str | None = None
    ) -> Answer:
        """Several new texts, of the model at hand or of that of another run."""
        of = self.active if run is None else self._run(run)
        return self._of_model(generation.samples(of, seed, count, temperature, top_k))

    # --- a session that outlives its worker

    @asked
    def save(self) -> Answer:
        """All that `restore` needs."""
        return {"state": session_file.save(State(self.texts, self.by_id, self.active, self.begun, self.version))}

    @asked
    def restore(self, state: str) -> Answer:
        """The session that was saved."""
        saved = session_file.restore(state, self.names)
        self.texts, self.by_id, self.active, self.begun = saved.texts, saved.runs, saved.active, saved.begun
        self.version = max(self.version, saved.version)
        return self._changed()


def _key(model: ScalarModel, tokens: list[int]) -> Key:
    return model.key, tuple(tokens)


def _kept(known: OrderedDict[Key, T], most: int, key: Key, make: Callable[[], T]) -> T:
    """What is known under the key, or is made now; of all only the last ones are kept."""
    if key not in known:
        known[key] = make()
        while len(known) > most:
            known.popitem(last=False)
    known.move_to_end(key)
    return known[key]


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LabError(f"{name} must be base64: {error}") from None


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
    return f"this went wrong in the lab itself, which is a mistake of ours: {type(error).__name__}: {error}"
