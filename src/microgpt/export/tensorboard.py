"""Export a run's metrics to TensorBoard.

The metrics are written to the run folder's subfolder `tensorboard`.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

from microgpt.runs.diagnostics import DIAGNOSTICS_SECONDS, Diagnostics
from microgpt.runs.layout import TENSORBOARD
from microgpt.runs.metrics import record
from microgpt.runs.run import Run
from microgpt.training import Step

REMEDY = "metrics for TensorBoard need the tensorboard package: pip install tensorboard"


def check_tensorboard() -> None:
    """Raise ImportError with the installation command if the `tensorboard` package is missing."""
    try:
        import tensorboard.summary  # noqa: F401
    except ImportError:
        raise ImportError(REMEDY) from None


class Board:
    """A TensorBoard writer: use `with Board(folder, run) as board:` and call `board.step` for each step.

    It writes the same values as metrics.jsonl and, periodically, the run's diagnostics.

    Args:
        folder: The run folder.
        run: The run.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        from tensorboard.summary import Writer

        self._writer: Any = Writer(str(folder / TENSORBOARD))
        self._diagnostics, self._last, self._due = Diagnostics(run), run.config.num_steps, 0.0

    def __enter__(self) -> Board:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()

    def step(self, step: Step) -> None:
        """Write one step's metrics."""
        facts = record(step)
        number = facts.pop("step")
        self._diagnostics.add(step)
        if time.perf_counter() > self._due or number == self._last:
            facts |= self._diagnostics.measure()
            self._due = time.perf_counter() + DIAGNOSTICS_SECONDS
        for name, value in facts.items():
            self._writer.add_scalar(name, value, number)
