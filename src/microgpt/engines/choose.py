"""Choose an engine by name, or the fastest available with `auto`."""

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

# In `auto`'s order of preference: name -> the module in this folder, and the class in it
ENGINES = {
    "native": ("native.engine", "NativeEngine"),
    "scalar": ("scalar", "ScalarEngine"),
    "torch": ("torch.engine", "TorchEngine"),
}
# Flops a step from which `auto` looks for a GPU. One core of the native engine takes a second or more for them, which
# is what loading PyTorch takes; on a CPU native was faster at every size that was measured (LOG.md).
LARGE = 1e11


def open_engine(
    name: str,
    params: array[float],
    config: Config,
    vocab_size: int,
    precision: str | None = None,
    threads: int | None = None,
    **options: Any,
) -> Engine:
    """Open the engine of that name over these parameters, which it takes as its own.

    name: a key of ENGINES, or `auto` for the first of `preference` that works here. precision: one of the engine's
    `precisions`, of which the first is the default. threads: how many share the work; the default is the engine's own.
    options: others that the engine takes. Raises ValueError for an unknown name, precision or option, more threads
    than the engine takes, or a buffer of the wrong length; ImportError, with the remedy, where the engine cannot work
    here.
    """
    _, world_size = processes()
    if world_size > 1:
        if name not in ("auto", "torch"):
            raise ValueError(f"engine must be torch where {world_size} processes train together, got engine={name!r}")
        name = "torch"
    if name == "auto":
        note = ""
        for first in preference(config, vocab_size, precision, options):
            try:
                engine = open_engine(first, params, config, vocab_size, precision, threads, **options)
                engine.note = note
                return engine
            except ImportError as error:
                note = str(error)
        raise ImportError(note)
    if name not in ENGINES:
        raise ValueError(f"engine must be one of auto, {', '.join(ENGINES)}, got engine={name!r}")
    length = num_params(config, vocab_size)
    if params.typecode != "d" or len(params) != length:
        raise ValueError(f"params must be {length} float64 for this config, got {len(params)} of {params.typecode!r}")
    engine_class = class_of(name)
    if precision not in (None, *engine_class.precisions):
        raise ValueError(f"precision must be one of {', '.join(engine_class.precisions)}, got precision={precision!r}")
    for option, value in options.items():
        if option not in engine_class.options:
            raise ValueError(
                f"{option} is no option of the {name} engine, got {option}={value!r}: leave it out, or choose the torch"
                " engine (engine='torch', --engine torch)"
            )
    if threads not in (None, 1) and not engine_class.takes_threads:
        raise ValueError(
            f"threads must be 1 with the {name} engine, got threads={threads}: the native engine takes more"
        )
    if precision and len(engine_class.precisions) > 1:
        options["precision"] = precision
    if threads is not None and engine_class.takes_threads:
        options["threads"] = threads
    return engine_class(params, config, vocab_size, **options)


def preference(
    config: Config, vocab_size: int, precision: str | None = None, options: dict[str, Any] | None = None
) -> list[str]:
    """The engines that `auto` tries, in turn: torch for what only torch takes, or for large steps where there is a GPU;
    else native, then scalar.
    """
    if options or precision in ("float64", "bfloat16"):
        return ["torch"]
    if estimated_step_flops(config, vocab_size) > LARGE and precision != "exact":
        try:
            if class_of("torch").has_gpu():
                return ["torch", *ENGINES]
        except ImportError:
            pass
    return list(ENGINES)


def class_of(name: str) -> type[Engine]:
    """The class of an engine; ImportError, with the remedy, where it cannot work here.

    Ctrl-C waits until the class is loaded: in the middle of it PyTorch loses the signal, or ends with a C++ error.
    """
    caught: list[int] = []
    before = signal.getsignal(signal.SIGINT)  # None: not Python's own, and could not be put back
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
