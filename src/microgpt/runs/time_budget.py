"""Plan a run for a time limit: choose its settings and the number of steps that fit.

The plan measures this machine's speed for a moment, with the engine and the text of the run. It then fixes num_steps
once, so that the run is an ordinary run with ordinary settings: its results depend on the settings only, and anyone can
repeat them with the same options, in any time.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt import evaluation, training
from microgpt.config import AT_MOST, Config, init, num_params
from microgpt.data.documents import CHOICES, SEPARATED, Data
from microgpt.data.download import Progress
from microgpt.data.sources import STDIN, Source, is_documents
from microgpt.data.split import SINGLY, held_out_count
from microgpt.engines.base import Engine
from microgpt.engines.choose import ENGINE_OPTIONS, class_of, open_engine
from microgpt.engines.native.engine import helpful_threads
from microgpt.flops import training_flops
from microgpt.runs.metrics import write_step
from microgpt.runs.model import MEASURED_TOKENS
from microgpt.runs.recipes import Recipe, Text, choose, config_of
from microgpt.runs.run import SELECTION_TOKENS, VAL_DOCUMENTS
from microgpt.runs.training_data import is_prepared_folder, load_training_data

SHARE = 0.95  # of the time is planned; the rest is for what cannot be measured in advance
MEASURING = 0.02  # of the time, for each measurement of the speed
AT_MOST_MEASURING = 1.0  # seconds
VAL_FRACTION = 0.1
SCORING = 0.1  # of the time, for the final held-out loss
VALIDATING = 0.1  # of the time, for the held-out loss during training
LEAST_HELD_OUT = 50  # sequences
VALIDATIONS = 10  # training.train's default
# Passes over the text beyond which a run stops early if the held-out loss no longer falls, and after how many
# measurements
MANY_PASSES = 100
PATIENCE = 5
LOOKED_AT = 2000  # sequences by whose lengths a text is described
LEAST_SCORED = 64  # sequences: a call for fewer measures what the call costs, not what the sequences cost
LONGEST_CONTEXT = 256
# A text whose lines have more tokens than this on average, or with blank lines between its lines, is read as a stream
LONG_LINES = 40


@dataclass(frozen=True)
class Plan:
    """The settings of a run that fits a time limit.

    Attributes:
        data: The text, read as the run reads it.
        config: The run's settings.
        options: The other options of Run.begin, those that were given and those that were chosen.
        computed_by: The engine and its options.
        explanation: What was chosen and why, one line each.
        stop_at: The reading of the clock at which training must stop, so that the rest fits the limit.
    """

    data: Data
    config: Config
    options: dict[str, Any]
    computed_by: dict[str, Any]
    explanation: list[str]
    stop_at: float

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that differ from the defaults, for a command that makes the same run."""
        defaults = Config().to_dict()
        return {name: value for name, value in self.config.to_dict().items() if value != defaults[name]}


def time_limit(minutes: float | None, seconds: float | None) -> float | None:
    """Return the time limit in seconds; None if neither is given.

    Raises:
        ValueError: Both are given, or one of them is not a positive, finite number.
    """
    if minutes is not None and seconds is not None:
        raise ValueError(
            f"minutes and seconds cannot be used together, got minutes={minutes:g} and seconds={seconds:g}: omit one"
            " of them"
        )
    for name, value, unit in (("minutes", minutes, 60), ("seconds", seconds, 1)):
        if value is None:
            continue
        if not (math.isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be finite and greater than 0, got {name}={value:g}: try {name}={120 // unit}"
            )
        return value * unit
    return None


def plan(
    source: Source | Data,
    seconds: float,
    *,
    settings: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    computed_by: dict[str, Any] | None = None,
    began: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    progress: Progress | None = None,
) -> Plan:
    """Choose the settings for the least held-out loss in a time.

    Args:
        source: The text, as in Run.begin.
        seconds: The time for the whole run, with planning, in seconds.
        settings: The settings of Config that are given; they are kept.
        options: The other options of Run.begin that are given; they are kept.
        computed_by: The engine and its options, where they are given.
        began: The reading of the clock from which the time counts; the default is now.
        clock: A function that returns the time in seconds.
        progress: Called to report download progress.

    Returns:
        The plan.

    Raises:
        DataError: The text cannot be used.
        ValueError: A setting or an option is invalid, or cannot be used with a time limit.
    """
    began = clock() if began is None else began
    given, options, computed_by = dict(settings or {}), dict(options or {}), dict(computed_by or {})
    if "num_steps" in given:
        raise ValueError(
            f"num_steps cannot be used with a time limit, got num_steps={given['num_steps']}: omit one of them, because"
            " the time decides how many steps there are"
        )
    if options.get("start_from") is not None:
        raise ValueError("from cannot be used with a time limit: omit one of them, and set num_steps to fine-tune")
    data = _read(source, given, options, progress)
    explanation = []
    if is_fraction_chosen := "val_fraction" not in options:
        options["val_fraction"] = _val_fraction(data)
    held_out_count(AT_MOST["num_steps"], options["val_fraction"])  # raises ValueError for what is no fraction
    text = describe(data, options["val_fraction"], given.get("block_size"))
    if computed_by.get("engine", "auto") == "auto" and not computed_by.keys() & set(ENGINE_OPTIONS):
        computed_by["engine"], reason = _fastest()
        explanation += [reason] if reason else []
    if "precision" not in computed_by and computed_by.get("engine") == "native":
        computed_by["precision"] = "float32"
    limit = SHARE * seconds
    look = min(MEASURING * seconds, AT_MOST_MEASURING)

    def settings_of(recipe: Recipe) -> Config:
        config = config_of(recipe, text, **given)
        least = 1 if "batch_size" in given else computed_by.get("threads", 1)  # a batch is divided among the threads
        return config.replace(batch_size=max(config.batch_size, least))

    recipe = choose(text, 0.0)
    speed = Speed.measure(data, text, settings_of(recipe), computed_by, look, clock)
    for _ in range(3):  # a wider model computes more operations per second, which can make a larger recipe fit
        better = choose(text, speed.flops * (limit - (clock() - began)))
        if better == recipe:
            break
        recipe = better
        speed = Speed.measure(data, text, settings_of(recipe), computed_by, look, clock)
    config = settings_of(recipe)
    if text.is_stream:
        data.block_size = config.block_size
    if is_fraction_chosen:
        options["val_fraction"] = _affordable(options["val_fraction"], speed, text, len(data), seconds)
        text = describe(data, options["val_fraction"], given.get("block_size"))
    after = _seconds_after(speed, text, config, options["val_fraction"])
    validation = _seconds_per_validation(speed, text, config, options["val_fraction"])
    left, per_step, times = limit - (clock() - began) - speed.start - after, speed.step, VALIDATIONS
    if every := options.get("validate_every"):
        per_step += validation / every
    else:
        times = max(1, min(VALIDATIONS, int(VALIDATING * seconds / max(validation, 1e-9))))
        left -= times * validation
    num_steps = min(max(1, int(left / per_step)), AT_MOST["num_steps"])
    config = config.replace(num_steps=num_steps, warmup_steps=min(config.warmup_steps, num_steps - 1))
    if times < VALIDATIONS and options["val_fraction"]:
        options["validate_every"] = -(-num_steps // times)
    if not options.keys() & {"patience", "validate_every"} and options["val_fraction"]:
        passes = num_steps * config.batch_size * _per_sequence(text, config) / text.tokens
        if passes > MANY_PASSES and num_steps > 2 * VALIDATIONS:
            options["patience"] = PATIENCE
            explanation.append(f"patience: {PATIENCE}, because {passes:,.0f} passes over a short text may overfit")
    explanation += _explain(text, data, config, recipe, speed, given, options, computed_by, seconds, clock() - began)
    if left < per_step:
        explanation.append(
            f"the time is too short for this text: the run has 1 step and may take longer than {seconds:g} s"
        )
    return Plan(data, config, options, computed_by, explanation, began + seconds - after)


@dataclass(frozen=True)
class Speed:
    """How fast this machine trains a model.

    Attributes:
        step: The time of a training step, in seconds.
        token: The time of measuring the loss on a held-out token, in seconds.
        start: The time to draw the initial parameters and open the engine, in seconds.
        flops: The floating-point operations per second in training.
    """

    step: float
    token: float
    start: float
    flops: float

    @classmethod
    def measure(
        cls,
        data: Data,
        text: Text,
        config: Config,
        computed_by: dict[str, Any],
        seconds: float,
        clock: Callable[[], float],
    ) -> Speed:
        """Train a model on the text for about this many seconds, at least one step, and return its speed."""
        if text.is_stream:
            data.block_size = config.block_size
        began = clock()
        how = {"engine": "auto", "precision": None, "threads": None, **computed_by}
        params = init(config, data.vocab_size, random.Random(config.seed))
        name, precision, threads = how.pop("engine"), how.pop("precision"), how.pop("threads")
        many = config.replace(num_steps=AT_MOST["num_steps"])
        engine = open_engine(name, params, many, data.vocab_size, precision, threads, **how)
        opened = clock()
        order = evaluation.spread(range(len(data)), LOOKED_AT)
        step, steps = opened, 0
        with Path(os.devnull).open("w") as file:  # a run writes its metrics, which takes a part of a short step
            for done in training.train(engine, lambda i: data.sequence(i, config.block_size + 1), order, together=True):
                write_step(file, done)
                if done.step == engine.step:
                    step, steps = clock(), done.step
                    if step - opened >= seconds:
                        break
        per_step = (step - opened) / steps
        token = _seconds_per_token(engine, data, config, order, seconds / 4, clock)
        operations = training_flops(config, data.vocab_size) * config.batch_size * _per_sequence(text, config)
        return cls(per_step, token, opened - began, operations / max(per_step, 1e-9))


def _seconds_per_token(
    engine: Engine, data: Data, config: Config, order: Sequence[int], seconds: float, clock: Callable[[], float]
) -> float:
    """Return the least time of computing the loss on a token, in calls with more and more sequences."""
    count, began, least = 1, clock(), math.inf
    while True:
        start = clock()
        some = (data.sequence(i, config.block_size + 1) for i in evaluation.spread(order, count))
        tokens, end = evaluation.score(engine, some).tokens, clock()
        least = min(least, (end - start) / tokens)
        enough = seconds if count >= LEAST_SCORED else 4 * seconds
        if end - began >= enough or count >= len(order):
            return least
        count *= 4


def _per_sequence(text: Text, config: Config) -> float:
    return config.block_size if text.is_stream else min(text.mean, config.block_size)


def describe(data: Data, val_fraction: float, block_size: int | None = None) -> Text:
    """Return the facts about a text that a recipe depends on, from at most LOOKED_AT of its documents."""
    is_stream = data.mode == "stream"
    kept = 1 - val_fraction
    if is_stream:
        return Text(True, round(kept * (len(data.tokens) - 1)), 0.0, 0, data.vocab_size)
    limit = (block_size or LONGEST_CONTEXT) + 1
    lengths = [len(data.sequence(i, limit)) - 1 for i in evaluation.spread(range(len(data)), LOOKED_AT)]
    mean = sum(lengths) / len(lengths)
    context = 8
    while context < LONGEST_CONTEXT and data.unread(context) > 0.01:
        context *= 2
    return Text(False, max(1, round(kept * mean * len(data))), mean, context, data.vocab_size)


def _read(source: Source | Data, given: dict[str, Any], options: dict[str, Any], progress: Progress | None) -> Data:
    """Read the text, choose how to split it into documents, and record the choice in the options."""
    if isinstance(source, Data):
        return copy(source)  # its block_size may change
    how = {name: options.get(name) for name in ("documents", "tokenizer")}
    more = {name: options.get(name) for name in ("separator", "field")}
    config = Config(**{name: value for name, value in given.items() if name in ("block_size", "bos_first")})
    data = load_training_data(source, config, how["documents"], how["tokenizer"], progress, **more)
    is_file = not (is_documents(source) or is_prepared_folder(source))
    if not is_file or data.mode == SEPARATED or more["field"] is not None or how["documents"]:
        return data
    if data.mode == "lines" and source != STDIN and is_running_text(data):
        data = load_training_data(source, config, "stream", how["tokenizer"], progress)
    if data.mode in CHOICES:
        options["documents"] = data.mode
    return data


def is_running_text(data: Data) -> bool:
    """Return whether lines are parts of one running text, rather than documents such as names."""
    return data.has_blank_lines or len(data.tokens) > LONG_LINES * len(data)


def _val_fraction(data: Data) -> float:
    """Return the fraction to hold out: a tenth, or nothing if there are too few sequences for that."""
    rule = data.split_rule()
    count = data.num_distinct if rule != SINGLY and data.compares else len(data)
    return VAL_FRACTION if 0 < round(count * VAL_FRACTION) < count else 0.0


def _affordable(val_fraction: float, speed: Speed, text: Text, num_sequences: int, seconds: float) -> float:
    """Return the fraction to hold out so that measuring the held-out loss takes little of the time."""
    taken = speed.token * min(_held_out(text, val_fraction), MEASURED_TOKENS)
    if taken <= SCORING * seconds:
        return val_fraction
    tokens = SCORING * seconds / speed.token
    fraction = max(tokens / (text.tokens + _held_out(text, val_fraction)), LEAST_HELD_OUT / num_sequences)
    return min(val_fraction, math.ceil(1000 * fraction) / 1000)


def _fastest() -> tuple[str, str]:
    """Return the engine that trains fastest on this machine without PyTorch, and a remark if it is slow."""
    try:
        class_of("native")
        return "native", ""
    except ImportError as error:
        return "scalar", f"engine: scalar, hundreds of times slower than native ({error})"


def _threads(config: Config, data: Data, computed_by: dict[str, Any]) -> str:
    threads = computed_by.get("threads")
    if threads is None and computed_by.get("engine") == "native":
        threads = helpful_threads(config, data.vocab_size)
    return f"{threads or 1} thread{'s' * ((threads or 1) > 1)} ({computed_by.get('engine', 'auto')} engine)"


def _held_out(text: Text, val_fraction: float) -> float:
    return text.tokens / (1 - val_fraction) * val_fraction


def _seconds_after(speed: Speed, text: Text, config: Config, val_fraction: float) -> float:
    """Return the time that a run needs after its last step, to measure the held-out loss and to sample, in seconds."""
    samples = 20 * _per_sequence(text, config)
    return speed.token * (min(_held_out(text, val_fraction), MEASURED_TOKENS) + samples)


def _seconds_per_validation(speed: Speed, text: Text, config: Config, val_fraction: float) -> float:
    """Return the time of a measurement of the held-out loss during training, in seconds."""
    of_documents = VAL_DOCUMENTS * _per_sequence(text, config)
    tokens = of_documents if of_documents >= SELECTION_TOKENS else of_documents + SELECTION_TOKENS
    return speed.token * min(tokens, 2 * _held_out(text, val_fraction))


def _explain(
    text: Text,
    data: Data,
    config: Config,
    recipe: Recipe,
    speed: Speed,
    given: dict[str, Any],
    options: dict[str, Any],
    computed_by: dict[str, Any],
    seconds: float,
    taken: float,
) -> list[str]:
    """Return what was chosen and why, one line each."""
    count = num_params(config, data.vocab_size)
    per_step = config.batch_size * _per_sequence(text, config)
    operations = training_flops(config, data.vocab_size) * per_step * config.num_steps
    how = "one long text (stream)" if text.is_stream else f"documents of {text.mean:.1f} tokens on average"
    fraction = options["val_fraction"]
    held_out = f"a fraction of {fraction:g} is held out" if fraction else "nothing is held out"
    kept = ", ".join(f"{name}={value}" for name, value in sorted(given.items()))
    lines = [
        f"time limit: {seconds:g} s, of which planning took {taken:.1f} s; {config.num_steps:,} steps of"
        f" {1000 * speed.step:.2f} ms fill {SHARE:.0%} of it",
        f"text: {text.tokens:,} tokens to train on, read as {how}; {held_out}",
        f"model: {config.n_layer} layer{'s' * (config.n_layer > 1)} of {config.n_embd}, {count:,} parameters: the"
        f" recipe for {recipe.flops:.0e} operations, of which this machine does {operations:.1e} in that time",
        f"training: {config.batch_size} sequences a step, {config.num_steps * per_step / text.tokens:.1f} passes over"
        f" the text, learning rate {config.learning_rate:g},"
        f" {_threads(config, data, computed_by)}",
    ]
    return [*lines, f"kept as given: {kept}"] if kept else lines
