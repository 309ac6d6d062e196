"""Train the active model, and send an event every few steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING

from microgpt.errors import DivergedError, LabError
from microgpt.lab.requests import stream_request
from microgpt.lab.runs import opening
from microgpt.lab.runs.run import LabRun

if TYPE_CHECKING:
    from microgpt.lab.protocol.runs import Trained
    from microgpt.lab.session import Session

MAX_STEPS = 1_000_000  # per request


@stream_request(of_model=True)
def train(session: Session, steps: int, per_event: int | None = None) -> Iterator[Trained]:
    """Train the active model from its current step, or train a new branch if the run was scrubbed back."""
    if not 1 <= steps <= MAX_STEPS:
        raise LabError(f"steps must be between 1 and {MAX_STEPS:,}, got steps={steps}")
    if per_event is not None and per_event < 1:
        raise LabError(f"per_event must be at least 1, got per_event={per_event}")
    run = _to_train(session)
    target, sent, began = run.step + steps, run.step, perf_counter()

    def event() -> Trained:
        losses = run.losses[sent : run.step]
        session.version += 1
        return {
            "run": run.id,
            "step": run.step,
            "losses": losses,
            "document": run.document(run.step - 1)[-1],
            "learning_rate": run.rate(run.step - 1),
            "steps_per_second": len(losses) / max(1e-9, perf_counter() - began),
            "done": run.step >= target,
        }

    try:
        while run.step < target:
            stop = target if per_event is None else min(target, sent + per_event)
            for _ in chain(run.train(stop), [None]):  # at each pause and at the end
                if run.step > sent:
                    yield event()
                    if session.active is not run or run.step != run.furthest:  # the page switched to another state
                        return
                    sent, began = run.step, perf_counter()
    except DivergedError as error:
        if run.step > sent:
            yield event()
        raise LabError(opening.diverged(run, error)) from None


def _to_train(session: Session) -> LabRun:
    """Return the run to train: the active run, or a branch if the active run is frozen or was scrubbed back."""
    run = session.active
    if not run.frozen and run.step == run.furthest:
        _ = run.run.order  # raises an error if the data is missing, before anything is changed
        return run
    count = sum(other.branch is not None and other.branch[0] == run.id for other in session.by_id.values())
    is_last = run.step == run.furthest
    name = f"{run.name}, trained on" if is_last else f"{run.name}, from step {run.step}"
    branch = run.fork(session.new_id(), name + (f" ({count + 1})" if count else ""))
    run.go(run.furthest)
    session.add(branch)
    session.version += 1
    return branch
