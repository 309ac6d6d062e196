"""microgpt: a whole GPT you can see through.

    import microgpt

    run = microgpt.train("names.txt", microgpt.Config(num_steps=1000))
    print(run.sample(20))

Each name below is imported when it is first used, so that `import microgpt` itself takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgpt.checkpoint import CheckpointError
    from microgpt.config import PRESETS, Config
    from microgpt.data import Data, DataError
    from microgpt.run import Run, RunError, load, train
    from microgpt.tracing import Trace, trace
    from microgpt.training import DivergedError, Step

__version__ = "0.1.0"

__all__ = [
    "PRESETS",
    "CheckpointError",
    "Config",
    "Data",
    "DataError",
    "DivergedError",
    "Run",
    "RunError",
    "Step",
    "Trace",
    "load",
    "trace",
    "train",
]

_HOMES = {
    "checkpoint": ("CheckpointError",),
    "config": ("PRESETS", "Config"),
    "data": ("Data", "DataError"),
    "run": ("Run", "RunError", "load", "train"),
    "tracing": ("Trace", "trace"),
    "training": ("DivergedError", "Step"),
}


def __getattr__(name: str) -> Any:
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f"microgpt.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'microgpt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
