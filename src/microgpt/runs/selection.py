"""The measurements by which a run's best model is selected: the one with the least held-out loss."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from microgpt.system.records import Whole


@dataclass(frozen=True)
class Selection:
    """The measurements of the held-out loss up to a checkpoint.

    Attributes:
        step: The step of the last measurement; 0 before the first.
        loss: The held-out loss measured then, in nats per token.
        best_step: The step of the measurement with the least loss; 0 before the first.
        best_loss: The loss measured then.
        since: The number of measurements after that one.

    Example:
        >>> Selection().after(10, 2.5).after(20, 2.6)
        Selection(step=20, loss=2.6, best_step=10, best_loss=2.5, since=1)
    """

    step: Whole = 0
    loss: float | None = None
    best_step: Whole = 0
    best_loss: float | None = None
    since: Whole = 0

    def after(self, step: int, loss: float) -> Selection:
        """Return the measurements with one more."""
        if self.best_loss is None or loss < self.best_loss:
            return Selection(step, loss, step, loss)
        return Selection(step, loss, self.best_step, self.best_loss, self.since + 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict for checkpoints."""
        return asdict(self)
