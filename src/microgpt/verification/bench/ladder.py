"""Measure each engine's speed, and its difference from the reference, on this machine.

The engines are compared side by side, as the rungs of a ladder. All rungs do the same work from the same initial
weights. The rungs take turns, round by round, so that a change in the machine's speed affects all of them; a rung's
result is the median over its rounds. Work that is done only once, such as opening an engine or packing documents, is
not timed, except in whole processes.
"""

from __future__ import annotations

import math
import random
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt.config import Config, init
from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.engines.base import Engine, num_positions
from microgpt.engines.choose import ENGINES, class_of, open_engine
from microgpt.system import hardware
from microgpt.verification.bench.rung import Rung
from microgpt.verification.bench.workloads import (
    CONTEXT,
    NUM_STEPS,
    SEED,
    Forward,
    Generating,
    Process,
    Sampling,
    Training,
    Workload,
)
from microgpt.verification.compare import compare

SCHEMA = 1  # of the JSON; it increases when a field is removed or its meaning changes
SIZES = (16, 32, 64, 128, 256)
BATCH_SIZES = (1, 16)
CALLS = {"sample-1000": False, "sample-1000-seeded": True}  # calls of Run.sample: whether each sample has a seed
PROCESSES = {"process-1000": 1000, "process-100000": 100_000}  # whole processes: the number of training steps
WORKS = ("train", "generate", "forward", *CALLS, *PROCESSES)
SCALAR_LIMIT = 64  # n_embd; for larger models, and for batches, the reference would take minutes
TORCH_STEPS = 10_000  # with more steps, a process with PyTorch would take minutes
FEWEST = 3  # the minimum number of rounds, even for the slowest rung

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Ladder:
    """The result of a benchmark.

    Attributes:
        facts: The command, the machine and the versions.
        rungs: The measured rungs.
        skipped: What was not measured, and why.
        notes: A line for each workload and size for which PyTorch is faster than the native engine.
    """

    facts: dict[str, str]
    rungs: tuple[Rung, ...]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {
            "schema": SCHEMA,
            "facts": self.facts,
            "rungs": [rung.to_dict() for rung in self.rungs],
            "skipped": list(self.skipped),
            "notes": list(self.notes),
        }


def bench(
    *,
    engines: Sequence[str] | None = None,
    works: Sequence[str] = WORKS,
    sizes: Sequence[int] = SIZES,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    model: Config | None = None,
    seconds: float = 2.0,
    rounds: int = 10,
    threads: int = 1,
    progress: Progress | None = None,
) -> Ladder:
    """Benchmark engines on several workloads and model sizes; each rung takes about `seconds`.

    Args:
        engines: Names in ENGINES; default: all.
        works: Names in WORKS. Calls and whole processes are measured only for the published model.
        sizes: Values of n_embd.
        batch_sizes: Documents per training step, texts that are generated together, or streams in a forward pass.
        model: The model's other sizes; default: the published model's. With a longer context than the published
            model's, the data is one continuous text in windows of block_size tokens, because names would not fill the
            context.
        seconds: The total time for all of a rung's rounds.
        rounds: The number of rounds. If a single repetition takes longer than a round should, the rung gets fewer
            rounds, but never fewer than FEWEST.
        threads: The number of threads, for engines that support multithreading.
        progress: Called with a description of each task before it starts.

    Returns:
        The measured rungs and the facts to report with them.

    Raises:
        ValueError: If an argument is invalid; the message names the argument.
        MicrogptError: If a process fails.
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
    model = model or Config()
    data = load("names", mode="lines" if model.block_size <= Config().block_size else "stream", **_reading(model))
    is_published, published = model == Config() and Config().n_embd in sizes, (Config().n_embd, 1)
    configs = {
        (work, n_embd, batch_size): _config(model, n_embd, batch_size)
        for work in works
        for n_embd in sizes
        for batch_size in batch_sizes
        if work not in (*CALLS, *PROCESSES)
    }
    whole = [work for work in works if work in (*CALLS, *PROCESSES)]
    skipped = [f"{', '.join(whole)}: they are measured only for the published model"] * bool(whole and not is_published)
    if is_published:
        configs |= {(work, *published): Config() for work in whole}
    rungs = []
    for engine in chosen:
        try:
            for rung in _rungs(engine, configs, data, threads):
                notify(f"{rung.name}: {rung.work}, n_embd {rung.n_embd}, batch {rung.batch_size}")
                rung.warm_up(seconds / rounds)
                rungs.append(rung)
        except ImportError as error:
            skipped.append(f"{engine}: {error}")
    skipped += _too_slow(chosen, configs)
    for i in range(rounds):
        notify(f"round {i + 1} of {rounds}")
        for rung in rungs:
            if len(rung.seconds) < FEWEST or sum(rung.seconds) < seconds:
                rung.round()
    _compare(rungs)
    order = list(configs)
    rungs.sort(key=lambda rung: order.index((rung.work, rung.n_embd, rung.batch_size)))
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    sizes_of_model = f"n_head {model.n_head}, n_layer {model.n_layer}, block_size {model.block_size}"
    rate = f"learning_rate {model.learning_rate * Config().n_embd:.3g} / n_embd"
    read = f"{len(data)} {'bundled names' if data.mode == 'lines' else 'windows of the bundled names'}"
    facts = {"command": command, **hardware.facts(), "model": f"{sizes_of_model}, {rate}", "data": read}
    if threads > 1:
        facts["threads"] = f"{threads}, which divide a batch's documents among themselves; 1 for the scalar engine"
    return Ladder(facts, tuple(rungs), tuple(skipped), tuple(_faster_in_torch(rungs)))


def _reading(model: Config) -> dict[str, Any]:
    return {"block_size": model.block_size, "bos_first": model.bos_first}


def _config(model: Config, n_embd: int, batch_size: int) -> Config:
    """Return the model's config at another size, with a learning rate proportional to 1 / n_embd.

    At the published learning rate, training a wide model is so unstable that rounding errors grow without limit: at
    n_embd 256, training in float64 from weights rounded to float32 is off by 56 nats after 50 steps. The differences
    would then say nothing about an engine; the smaller rate keeps the differences small.
    """
    rate = model.learning_rate * Config().n_embd / n_embd
    return model.replace(n_embd=n_embd, batch_size=batch_size, learning_rate=rate, num_steps=NUM_STEPS)


def _would_take_minutes(engine: str, work: str, n_embd: int, batch_size: int) -> bool:
    if engine == "scalar":
        return n_embd > SCALAR_LIMIT or batch_size > 1 or work in CALLS or work in PROCESSES
    return engine == "torch" and PROCESSES.get(work, 0) > TORCH_STEPS


def _too_slow(engines: Sequence[str], configs: dict[tuple[str, int, int], Config]) -> list[str]:
    """Return a line for each engine that lists what is not measured because it would take minutes."""
    lines = []
    for engine in engines:
        slow = [key for key in configs if _would_take_minutes(engine, *key)]
        by_size = [key for key in slow if key[0] not in (*CALLS, *PROCESSES)]
        large = dict.fromkeys(str(n_embd) for _, n_embd, _ in by_size if n_embd > SCALAR_LIMIT)
        batches = dict.fromkeys(str(batch_size) for _, _, batch_size in by_size if batch_size > 1)
        whole = dict.fromkeys(work for work, *_ in slow if work in (*CALLS, *PROCESSES))
        parts = [f"at n_embd {', '.join(large)}"] * bool(large) + [f"in batches of {', '.join(batches)}"] * bool(
            batches
        )
        parts += [f"for {', '.join(whole)}"] * bool(whole)
        lines += [f"the {engine} engine {' and '.join(parts)}: it would take minutes"] * bool(parts)
    return lines


def _rungs(engine: str, configs: dict[tuple[str, int, int], Config], data: Data, threads: int) -> Iterator[Rung]:
    """Yield an engine's rungs for each precision; raise ImportError if the engine cannot run on this machine."""
    engine_class = class_of(engine)
    documents = [data.sequence(i) for i in range(len(data))]
    random.Random(SEED).shuffle(documents)
    for (work, n_embd, batch_size), config in configs.items():
        if _would_take_minutes(engine, work, n_embd, batch_size):
            continue
        if work in ("generate", "forward") and batch_size > 1 and not engine_class.opens_streams:
            continue
        for precision in engine_class.precisions:
            options: dict[str, Any] = {"precision": precision}
            if engine_class.takes_threads:
                options["threads"] = threads
            task = _task(engine, options, work, config, data, documents)
            yield Rung(engine, precision, work, n_embd, batch_size, task)


def _task(
    engine: str, options: dict[str, Any], work: str, config: Config, data: Data, documents: Sequence[list[int]]
) -> Workload:
    """Return a workload for an engine with its options."""

    def open_it() -> Engine:
        return open_engine(
            engine, init(config, data.vocab_size, random.Random(SEED)), config, data.vocab_size, **options
        )

    if work in CALLS:
        return Sampling(data, config, CALLS[work], engine=engine, **options)
    if work in PROCESSES:
        arguments = [
            text for name, value in {"engine": engine, **options}.items() for text in (f"--{name}", str(value))
        ]
        lengths = [num_positions(tokens, config) for tokens in documents]
        return Process(PROCESSES[work], sum(lengths) / len(lengths), arguments)
    if work == "train":
        return Training(open_it, documents)
    if work == "generate":
        return Generating(open_it, data)
    return Forward(open_it, documents, CONTEXT if data.mode == "lines" else config.block_size)


def _compare(rungs: Sequence[Rung]) -> None:
    """Compare each rung with the reference, or with another exact engine if the reference was not measured."""
    for rung in rungs:
        same_size = [r for r in rungs if (r.work, r.n_embd) == (rung.work, rung.n_embd)]
        for reference in (r for r in same_size if r.engine == "scalar"):
            rung.times_reference = rung.tokens_per_second / reference.tokens_per_second
        same_work = [r for r in same_size if r.batch_size == rung.batch_size and r.precision == "exact"]
        truth = next((r for r in same_work if r.engine == "scalar"), next(iter(same_work), rung))
        count = min(len(truth.task.results), len(rung.task.results))
        if truth is not rung and count:
            expected, got = truth.task.results[:count], rung.task.results[:count]
            rung.largest_difference = compare("results", (count,), expected, got, 0.0).largest
            rung.compared_with = truth.name


def _faster_in_torch(rungs: Sequence[Rung]) -> Iterator[str]:
    """Yield a line for each workload and size for which PyTorch is faster than the native engine."""
    for key in dict.fromkeys((rung.work, rung.n_embd, rung.batch_size) for rung in rungs):
        same = [rung for rung in rungs if (rung.work, rung.n_embd, rung.batch_size) == key]
        fastest = {
            engine: max((r for r in same if r.engine == engine), key=lambda r: r.tokens_per_second, default=None)
            for engine in ("native", "torch")
        }
        native, torch = fastest["native"], fastest["torch"]
        if native and torch and torch.tokens_per_second > native.tokens_per_second:
            work, n_embd, batch_size = key
            ratio = native.tokens_per_second / torch.tokens_per_second
            yield (
                f"{work}, n_embd {n_embd}, batch {batch_size}: {torch.name} takes {ratio:.2f} of {native.name}'s time;"
                f" choose it with --engine torch --precision {torch.precision}"
            )
