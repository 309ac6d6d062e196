"""microgpt: a complete GPT that you can look inside.

    import microgpt

    run = microgpt.train("names.txt", num_steps=1000)
    print(run.sample(20))

Each public name is imported on first use, so `import microgpt` itself takes almost no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microgpt.config import PRESETS, Config
    from microgpt.data.documents import Data
    from microgpt.errors import CheckpointError, DataError, DivergedError, RunError
    from microgpt.runs.run import Run, load
    from microgpt.runs.train import train
    from microgpt.tracing.trace import Trace, trace
    from microgpt.training import Step

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
    "config": ("PRESETS", "Config"),
    "data.documents": ("Data",),
    "errors": ("CheckpointError", "DataError", "DivergedError", "RunError"),
    "runs.train": ("train",),
    "runs.run": ("Run", "load"),
    "tracing.trace": ("Trace", "trace"),
    "training": ("Step",),
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
