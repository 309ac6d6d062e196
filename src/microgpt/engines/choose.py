"""Choose an engine by name, or let `auto` choose the fastest engine available."""

from __future__ import annotations

import importlib
import signal
import threading
from array import array
from typing import Any

from microgpt.config import Config, num_params
from microgpt.engines.base import Engine
from microgpt.flops import estimated_step_flops
from microgpt.system.processes import processes

# name -> (module in this folder, class), in `auto`'s order of preference
ENGINE_OPTIONS = ("device", "compile", "deterministic", "shard", "isa")  # of any engine
ENGINES = {
    "native": ("native.engine", "NativeEngine"),
    "scalar": ("scalar", "ScalarEngine"),
    "torch": ("torch.engine", "TorchEngine"),
}
TORCH_ONLY = ("float64", "bfloat16")  # precisions
# Flops per step above which `auto` looks for a GPU. On one core, the native engine needs at least a second for such a
# step, about as long as PyTorch takes to load. On a CPU, native was faster than torch at every size measured (LOG.md).
GPU_STEP_FLOPS = 1e11
# Flops of a whole run above which a new run is trained in float32 instead of exact. The rule depends only on the
# settings, so that a machine's speed never changes a result; at the limit, exact takes about half a minute.
EXACT_FLOPS = 2e10


def open_engine(
    name: str,
    params: array[float],
    config: Config,
    vocab_size: int,
    precision: str | None = None,
    threads: int | None = None,
    preferred_precision: str | None = None,
    **options: Any,
) -> Engine:
    """Open an engine by name.

    Args:
        name: A key of ENGINES, or `auto` for the first engine in `preference` that can run on this machine.
        params: The initial parameters; the engine takes ownership of the buffer.
        config: The model's sizes and settings.
        vocab_size: The number of tokens, including BOS.
        precision: One of the engine's `precisions`; default: the preferred precision.
        threads: The number of threads that share the work; default: chosen by the engine.
        preferred_precision: Used if `precision` is None and the engine supports it; default: the first of `precisions`.
        **options: Additional options that the engine accepts.

    Raises:
        ValueError: If the name, the precision or an option is unknown, the engine does not support that many threads,
            or the buffer has the wrong length.
        ImportError: If the engine cannot run on this machine; the message says what to install.

    Example:
        >>> import random
        >>> from microgpt.config import init
        >>> config = Config(n_embd=4, n_head=2, block_size=4)
        >>> engine = open_engine("scalar", init(config, 3, random.Random(42)), config, 3)
        >>> loss = engine.backward([[2, 0, 1, 2]])
        >>> engine.update(0.01)
        >>> engine.step
        1
    """
    _, world_size = processes()
    if world_size > 1:
        if name not in ("auto", "torch"):
            raise ValueError(f"engine must be torch when {world_size} processes train together, got engine={name!r}")
        name = "torch"
    if name == "auto":
        note = ""
        for first in preference(config, vocab_size, precision, options, preferred_precision):
            try:
                engine = open_engine(
                    first, params, config, vocab_size, precision, threads, preferred_precision, **options
                )
                engine.note = note
                return engine
            except ImportError as error:
                note = str(error)
        raise ImportError(note)
    if name not in ENGINES:
        raise ValueError(f"engine must be one of auto, {', '.join(ENGINES)}, got engine={name!r}")
    length = num_params(config, vocab_size)
    if params.typecode != "d" or len(params) != length:
        raise ValueError(f"params must be {length} float64 values, got {len(params)} of type {params.typecode!r}")
    engine_class = class_of(name)
    if precision not in (None, *engine_class.precisions):
        raise ValueError(f"precision must be one of {', '.join(engine_class.precisions)}, got precision={precision!r}")
    for option, value in options.items():
        if option not in engine_class.options:
            raise ValueError(
                f"{option} is not an option of the {name} engine, got {option}={value!r}: omit it or use the"
                " torch engine (engine='torch', --engine torch)"
            )
    if threads not in (None, 1) and not engine_class.takes_threads:
        raise ValueError(
            f"threads must be 1 with the {name} engine, got threads={threads}: use the native engine for more threads"
        )
    if precision is None and preferred_precision in engine_class.precisions:
        precision = preferred_precision
    if precision and len(engine_class.precisions) > 1:
        options["precision"] = precision
    if threads is not None and engine_class.takes_threads:
        options["threads"] = threads
    return engine_class(params, config, vocab_size, **options)


def default_precision(config: Config, vocab_size: int) -> str:
    """Return a new run's precision: `exact` for a small run; otherwise `float32`, which is several times faster.

    Example:
        >>> default_precision(Config(), 27), default_precision(Config(num_steps=100_000), 27)
        ('exact', 'float32')
    """
    return "exact" if estimated_step_flops(config, vocab_size) * config.num_steps <= EXACT_FLOPS else "float32"


def preference(
    config: Config,
    vocab_size: int,
    precision: str | None = None,
    options: dict[str, Any] | None = None,
    preferred_precision: str | None = None,
) -> list[str]:
    """Return the engines that `auto` tries, in order.

    If only torch supports the options or the precision, the list contains only torch. If only torch supports the
    preferred precision, and for large steps on a machine with a GPU, torch comes first. Otherwise, native comes first,
    followed by scalar.
    """
    if options or precision in TORCH_ONLY:
        return ["torch"]
    precision = precision or preferred_precision
    if precision in TORCH_ONLY:
        return ["torch", *ENGINES]
    if estimated_step_flops(config, vocab_size) > GPU_STEP_FLOPS and precision != "exact":
        try:
            if class_of("torch").has_gpu():
                return ["torch", *ENGINES]
        except ImportError:
            pass
    return list(ENGINES)


def class_of(name: str) -> type[Engine]:
    """Import and return an engine's class.

    While PyTorch loads, Ctrl-C is deferred, because PyTorch would lose the signal or crash with a C++ error.

    Raises:
        ImportError: If the engine cannot run on this machine; the message says what to install.
    """
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)  # None if set outside Python: cannot be restored
    waits = name == "torch" and before is not None and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:
        module, engine_class = ENGINES[name]
        found: type[Engine] = getattr(importlib.import_module(f"microgpt.engines.{module}"), engine_class)
        return found
    finally:
        if waits:
            signal.signal(signal.SIGINT, before)
        if caught:
            signal.raise_signal(signal.SIGINT)
