"""The benchmark: each engine's speed, and its difference from the reference, on this machine.

The engines are compared side by side, as the rungs of a ladder. All rungs do the same work from the same initial
weights: they train on the bundled names, or feed the names to a model. The rungs take turns, round by round, so that a
change in the machine's speed affects all of them; a rung's result is the median over its rounds. Work that is done only
once, such as opening an engine or packing documents, is not timed.
"""

from __future__ import annotations

import math
import random
import shlex
import statistics
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microgpt.config import Config, init
from microgpt.data.loading import load
from microgpt.engines.base import Engine, num_positions
from microgpt.engines.choose import ENGINES, class_of, open_engine
from microgpt.schedule import learning_rate
from microgpt.system import hardware
from microgpt.system import text as text_tables
from microgpt.verification.compare import compare, for_json

SIZES = (16, 32, 64, 128, 256)
BATCH_SIZES = (1, 16)
WORKS = ("train", "generate")
SCALAR_LIMIT = 64  # n_embd; for larger models, and for batches, the reference would take minutes
SEED = 42
CONTEXT = 8  # tokens fed to each context: about the length of a name
NUM_STEPS = 10_000  # steps in a training run; a rung that needs more steps starts a new run
COMPARED = 20  # the number of losses that are compared, from the start of a run
FEWEST = 3  # the minimum number of rounds, even for the slowest rung

Progress = Callable[[str], None]


class Training:
    """A training run of NUM_STEPS steps that restarts when complete.

    Args:
        open_it: Opens the engine.
        documents: The token ids of each document.
    """

    max_count = NUM_STEPS  # the maximum number of steps in a round

    def __init__(self, open_it: Callable[[], Engine], documents: Sequence[list[int]]) -> None:
        self._open, self._documents = open_it, documents
        self._engine = open_it()
        self.results: list[float] = []  # the first losses
        lengths = [num_positions(tokens, self._engine.config) for tokens in documents]
        self.tokens = statistics.fmean(lengths) * self._engine.config.batch_size  # per step, on average

    def prepare(self, count: int) -> tuple[Callable[[], object], int]:
        """Return a single-use function that trains for `count` steps, together with the total number of tokens."""
        config = self._engine.config
        first = self._engine.step
        if first + count > config.num_steps:
            self._engine, first = self._open(), 0
        size, documents = config.batch_size, self._documents
        steps = range(first, first + count)
        batches = [[documents[i % len(documents)] for i in range(s * size, s * size + size)] for s in steps]
        rates = [learning_rate(step, config.num_steps, config.learning_rate) for step in steps]

        def work() -> None:
            losses = self._engine.train(batches, rates)
            if len(self.results) == first:
                self.results.extend(losses[: COMPARED - first])

        return work, sum(num_positions(tokens, config) for batch in batches for tokens in batch)


class Generating:
    """Forward passes for batch_size streams at once, one token at a time; names are fed in, and nothing is sampled.

    More than one stream requires an engine that supports `streams`.

    Args:
        open_it: Opens the engine.
        documents: The token ids of each document.
    """

    max_count = 1000  # the maximum number of passes in a round; limited because each context takes memory

    def __init__(self, open_it: Callable[[], Engine], documents: Sequence[list[int]]) -> None:
        engine: Any = open_it()
        size = engine.config.batch_size
        text = [token_id for tokens in documents for token_id in tokens[:-1]]
        self._open = engine.decoder if size == 1 else lambda: engine.streams(size)
        self._steps: list[Any] = text if size == 1 else [text[i : i + size] for i in range(0, len(text) - size, size)]
        self.tokens = float(size)
        feed = self._open().feed
        logits = [feed(step) for step in self._steps[:CONTEXT]]
        rows = logits if size == 1 else [row for stream in logits for row in stream]
        self.results = [float(logit) for row in rows for logit in row]  # the first context's logits

    def prepare(self, count: int) -> tuple[Callable[[], object], int]:
        """Return a single-use function that runs `count` passes for all streams, together with the number of tokens."""
        contexts = []
        for first in range(0, count, CONTEXT):
            steps = [self._steps[i % len(self._steps)] for i in range(first, min(first + CONTEXT, count))]
            contexts.append((self._open().feed, steps))

        def work() -> None:
            for feed, steps in contexts:
                for step in steps:
                    feed(step)

        return work, count * int(self.tokens)


@dataclass
class Rung:
    """The measurements of one engine at one precision, for one workload and one model size.

    Attributes:
        engine: The engine's name.
        precision: The engine's precision.
        work: One of WORKS.
        n_embd: The model's size.
        batch_size: Documents per training step, or streams that generate together.
        task: The task that is timed.
        count: The number of training steps or forward passes in a round.
        seconds: The duration of each round.
        tokens: The number of tokens in each round.
        times_reference: The speed divided by the reference's speed, both in tokens per second.
        largest_difference: The largest difference between this rung's results and the expected results.
        compared_with: The name of the rung that supplied the expected results.
    """

    engine: str
    precision: str
    work: str
    n_embd: int
    batch_size: int
    task: Training | Generating
    count: int = 1
    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    times_reference: float | None = None
    largest_difference: float | None = None
    compared_with: str | None = None

    @property
    def name(self) -> str:
        """The engine and its precision."""
        return f"{self.engine} {self.precision}"

    def time(self, count: int) -> tuple[float, int]:
        """Run `count` steps or passes once; return the elapsed seconds and the number of tokens."""
        work, tokens = self.task.prepare(count)
        began = time.perf_counter()
        work()
        return time.perf_counter() - began, tokens

    def warm_up(self, seconds: float) -> None:
        """Set `count` so that a round takes about `seconds`."""
        while (taken := self.time(self.count)[0]) < seconds / 8 and self.count * 4 <= self.task.max_count:
            self.count *= 4
        self.count = max(1, min(self.task.max_count, round(self.count * seconds / max(taken, 1e-9))))

    def round(self) -> None:
        """Run and time one more round."""
        seconds, tokens = self.time(self.count)
        self.seconds.append(seconds)
        self.tokens.append(tokens)

    @property
    def pace(self) -> list[float]:
        """The time per token in each round, in seconds."""
        return [seconds / tokens for seconds, tokens in zip(self.seconds, self.tokens)]

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second: the median over the rounds."""
        return 1 / statistics.median(self.pace)

    @property
    def microseconds(self) -> float:
        """The duration of a training step or a forward pass at the median speed, in microseconds.

        This assumes a step of average length, because a slow rung's rounds contain few documents, which may happen to
        be short or long.
        """
        return 1e6 * self.task.tokens / self.tokens_per_second

    @property
    def spread(self) -> float:
        """The spread of the rounds: the interquartile range divided by the median."""
        low, median, high = statistics.quantiles(self.pace, n=4)
        return (high - low) / median

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {
            "work": self.work,
            "n_embd": self.n_embd,
            "batch_size": self.batch_size,
            "engine": self.engine,
            "precision": self.precision,
            "microseconds": self.microseconds,
            "spread": self.spread,
            "rounds": len(self.seconds),
            "count": self.count,
            "tokens_per_second": self.tokens_per_second,
            "times_reference": self.times_reference,
            "largest_difference": None if self.largest_difference is None else for_json(self.largest_difference),
            "compared_with": self.compared_with,
        }


@dataclass(frozen=True)
class Ladder:
    """The result of a benchmark.

    Attributes:
        facts: The command, the machine and the versions.
        rungs: The measured rungs.
        skipped: What was not measured, and why.
    """

    facts: dict[str, str]
    rungs: tuple[Rung, ...]
    skipped: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {
            "facts": self.facts,
            "rungs": [rung.to_dict() for rung in self.rungs],
            "skipped": list(self.skipped),
        }


def bench(
    *,
    engines: Sequence[str] | None = None,
    works: Sequence[str] = WORKS,
    sizes: Sequence[int] = SIZES,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seconds: float = 2.0,
    rounds: int = 10,
    threads: int = 1,
    progress: Progress | None = None,
) -> Ladder:
    """Benchmark engines on several workloads and model sizes; each rung takes about `seconds`.

    Args:
        engines: Names in ENGINES; default: all.
        works: Names in WORKS.
        sizes: Values of n_embd.
        batch_sizes: Documents per training step, or streams that generate together.
        seconds: The total time for all of a rung's rounds.
        rounds: The number of rounds. If a single step takes longer than a round should, the rung gets fewer rounds, but
            never fewer than FEWEST.
        threads: The number of threads, for engines that support multithreading.
        progress: Called with a description of each task before it starts.

    Returns:
        The measured rungs and the facts to report with them.

    Raises:
        ValueError: If an argument is invalid; the message names the argument.
    """
    chosen = list(ENGINES if engines is None else engines)
    for what, given, known in (("engine", chosen, list(ENGINES)), ("work", works, WORKS)):
        for name in given:
            if name not in known:
                raise ValueError(f"{what} must be one of {', '.join(known)}, got {what}={name!r}")
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"seconds must be finite and greater than 0, got seconds={seconds}")
    if rounds < FEWEST:
        raise ValueError(f"rounds must be at least {FEWEST}, got rounds={rounds}")
    notify = progress or (lambda _: None)
    names = load("names", block_size=Config().block_size)
    documents = [names.sequence(i) for i in range(len(names))]
    random.Random(SEED).shuffle(documents)
    skipped: list[str] = []
    rungs = []
    configs = {
        (work, n_embd, batch_size): _config(n_embd, batch_size)
        for work in works
        for n_embd in sizes
        for batch_size in batch_sizes
    }
    for engine in chosen:
        try:
            for rung in _rungs(engine, configs, documents, names.vocab_size, threads):
                notify(f"{rung.name}: {rung.work}, n_embd {rung.n_embd}, batch {rung.batch_size}")
                rung.warm_up(seconds / rounds)
                rungs.append(rung)
        except ImportError as error:
            skipped.append(f"{engine}: {error}")
    if "scalar" in chosen:
        skipped += _too_slow(sizes, batch_sizes)
    for i in range(rounds):
        notify(f"round {i + 1} of {rounds}")
        for rung in rungs:
            if len(rung.seconds) < FEWEST or sum(rung.seconds) < seconds:
                rung.round()
    _compare(rungs)
    order = list(configs)
    rungs.sort(key=lambda rung: order.index((rung.work, rung.n_embd, rung.batch_size)))
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    c = Config()
    model = f"n_head {c.n_head}, n_layer {c.n_layer}, block_size {c.block_size}, learning_rate 0.16 / n_embd"
    facts = {"command": command, **hardware.facts(), "model": model, "data": f"{len(documents)} bundled names"}
    if threads > 1:
        facts["threads"] = f"{threads}, which divide a batch's documents among themselves; 1 for the scalar engine"
    return Ladder(facts, tuple(rungs), tuple(skipped))


def _config(n_embd: int, batch_size: int) -> Config:
    """Return the published config at another size, with a learning rate proportional to 1 / n_embd.

    At the published learning rate, training a wide model is so unstable that rounding errors grow without limit: at
    n_embd 256, training in float64 from weights rounded to float32 is off by 56 nats after 50 steps. The differences
    would then say nothing about an engine; the smaller rate keeps the differences small.
    """
    rate = Config().learning_rate * Config().n_embd / n_embd
    return Config(n_embd=n_embd, batch_size=batch_size, learning_rate=rate, num_steps=NUM_STEPS)


def _too_slow(sizes: Sequence[int], batch_sizes: Sequence[int]) -> list[str]:
    """Return a line that lists what is not measured for the scalar engine; an empty list if everything is measured."""
    large = [str(n_embd) for n_embd in sizes if n_embd > SCALAR_LIMIT]
    batches = [str(batch_size) for batch_size in batch_sizes if batch_size > 1]
    parts = [f"at n_embd {', '.join(large)}"] * bool(large) + [f"in batches of {', '.join(batches)}"] * bool(batches)
    return [f"the scalar engine {' and '.join(parts)}: it would take minutes"] if parts else []


def _rungs(
    engine: str,
    configs: dict[tuple[str, int, int], Config],
    documents: list[list[int]],
    vocab_size: int,
    threads: int,
) -> Iterator[Rung]:
    """Yield an engine's rungs for each precision; raise ImportError if the engine cannot run on this machine."""
    engine_class = class_of(engine)
    for work, n_embd, batch_size in configs:
        config = configs[work, n_embd, batch_size]
        if engine == "scalar" and (n_embd > SCALAR_LIMIT or batch_size > 1):
            continue
        if work == "generate" and batch_size > 1 and not engine_class.opens_streams:
            continue
        for precision in engine_class.precisions:
            options: dict[str, Any] = {"precision": precision}
            if engine_class.takes_threads:
                options["threads"] = threads

            def open_it(config: Config = config, options: dict[str, Any] = options) -> Engine:
                params = init(config, vocab_size, random.Random(SEED))
                return open_engine(engine, params, config, vocab_size, **options)

            task = (Training if work == "train" else Generating)(open_it, documents)
            yield Rung(engine, precision, work, n_embd, batch_size, task)


def _compare(rungs: Sequence[Rung]) -> None:
    """Compare each rung with the reference, or with another exact engine if the reference was not measured."""
    for rung in rungs:
        same_size = [r for r in rungs if (r.work, r.n_embd) == (rung.work, rung.n_embd)]
        for reference in (r for r in same_size if r.engine == "scalar"):
            rung.times_reference = rung.tokens_per_second / reference.tokens_per_second
        same_work = [r for r in same_size if r.batch_size == rung.batch_size and r.precision == "exact"]
        truth = next((r for r in same_work if r.engine == "scalar"), next(iter(same_work), rung))
        if truth is not rung:
            count = min(len(truth.task.results), len(rung.task.results))
            expected, got = truth.task.results[:count], rung.task.results[:count]
            rung.largest_difference = compare("results", (count,), expected, got, 0.0).largest
            rung.compared_with = truth.name


HEADER = ("work", "n_embd", "batch", "engine", "precision", "µs", "spread", "tokens/s", "× reference", "difference")
SIDES = "lrrllrrrrr"


def rows(ladder: Ladder) -> list[list[str]]:
    """Return the rows of a ladder's table, whose columns are listed in HEADER."""

    def number(x: float | None, form: str) -> str:
        return "-" if x is None else format(x, form)

    return [
        [
            rung.work,
            str(rung.n_embd),
            str(rung.batch_size),
            rung.engine,
            rung.precision,
            number(rung.microseconds, ",.1f" if rung.microseconds < 1000 else ",.0f"),
            number(rung.spread, ".0%"),
            number(rung.tokens_per_second, ",.0f"),
            number(rung.times_reference, ",.0f" if (rung.times_reference or 0) >= 10 else ".1f"),
            number(rung.largest_difference, ".2g"),
        ]
        for rung in ladder.rungs
    ]


LEGEND = f"""\
µs: the time that a training step of average length, or a forward pass for all streams in the batch, takes when called
from Python; the median over the rounds. spread: the rounds' interquartile range, divided by the median. × reference:
tokens per second, divided by the scalar engine's at batch 1. difference: the largest difference from the scalar
engine's results (or an exact engine's, if the scalar engine was not measured); train compares as many of the first
{COMPARED} losses as both engines computed, and generate compares the first context's logits."""
WIDTH = 80  # columns of the ladder in a terminal


def render(ladder: Ladder, markdown: bool = False) -> str:
    """Render a ladder as text: the facts, the table, the meaning of the columns, and what was left out."""
    facts = [f"{name}: {text}" for name, text in ladder.facts.items()]
    left_out = [f"left out: {text}" for text in ladder.skipped]
    if markdown:
        table = text_tables.markdown(HEADER, rows(ladder), SIDES)
        return "\n".join([*(f"- {fact}" for fact in facts), "", table, "", LEGEND, *left_out])
    filled = [textwrap.fill(text, WIDTH, subsequent_indent="  ") for text in (*facts, "", LEGEND, *left_out)]
    return "\n".join([*filled[: len(facts)], "", _narrow(ladder), *filled[len(facts) :]])


def _narrow(ladder: Ladder) -> str:
    """Render the table for a terminal: a section for each workload, and one column for engine and precision."""
    lines = text_tables.aligned(
        ("n_embd", "batch", "engine", *HEADER[5:8], "× ref.", HEADER[9]),
        [
            (n_embd, batch, f"{engine} {precision}", *rest)
            for _, n_embd, batch, engine, precision, *rest in rows(ladder)
        ],
        "rrlrrrrr",
    ).splitlines()
    table = [lines[0]]
    for rung, line, before in zip(ladder.rungs, lines[1:], (None, *ladder.rungs)):
        if before is None or before.work != rung.work:
            table.append(rung.work)
        table.append(line)
    return "\n".join(table)
