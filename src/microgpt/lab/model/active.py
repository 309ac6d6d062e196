"""Requests that describe, edit and export the active model.

Other requests in this module list the runs, and switch to another run or step.
"""

from __future__ import annotations

import base64
import platform
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import microgpt
from microgpt.activations import ACTIVATIONS, formula
from microgpt.lab.editing import edited
from microgpt.lab.protocol import SCHEMA
from microgpt.lab.protocol.choices import Pretrained
from microgpt.lab.requests import change_request, model_request, request
from microgpt.lab.runs import opening, texts
from microgpt.lab.runs.run import settings
from microgpt.runs.run import spec_of

if TYPE_CHECKING:
    from microgpt.lab.protocol.runs import ExportedModel, Hello, Model, Runs
    from microgpt.lab.session import Session


@request
def hello(session: Session) -> Hello:
    """Return the versions of the package, the protocol and Python."""
    return {
        "version": microgpt.__version__,
        "schema": SCHEMA,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


@model_request
def model(session: Session) -> Model:
    """Describe the active model."""
    run = session.active
    changes = [run.changes[index] for index in sorted(run.changes)]
    return {
        "run": run.id,
        "name": run.name,
        "about": run.about,
        "own_text": run.own_text,
        "step": run.step,
        "num_steps": run.run.config.num_steps,
        "config": settings(run.config),
        "val_fraction": run.val_fraction,
        "activation": formula(run.config.activation),
        "activations": list(ACTIVATIONS),
        "tokenizer": spec_of(run.run.tokenizer).get("kind", "char"),
        "symbols": texts.names(run.run.tokenizer),
        "bos": run.run.tokenizer.bos,
        "num_params": run.run.num_params,
        "head_dim": run.head_dim,
        "sqrt_head_dim": run.head_dim**0.5,
        "uniform_loss": run.uniform_loss,
        "shapes": [(name, *shape) for name, shape in run.shapes.items()],
        "engine": run.engine.name,
        "note": run.engine.note,
        "program": edited.facts(run),
        "changes": [
            {"path": run.path(e.place), "before": e.before, "after": run.engine.params[e.place]} for e in changes
        ],
    }


@model_request
def runs(session: Session) -> Runs:
    """List all runs with their loss curves."""
    return {"runs": [run.describe(run is session.active) for run in session.by_id.values()]}


@change_request
def choose(session: Session, run: str) -> None:
    """Switch to another run."""
    session.active = session.run(run)


@change_request
def pretrained(session: Session, run: Pretrained = "names") -> None:
    """Switch back to a pretrained model: to the one that the lab opens with, or to the published one."""
    if run not in session.by_id:  # a session saved before the run existed
        session.by_id[run] = opening.pretrained(run, session.names)
    session.active = session.by_id[run]
    session.active.go(session.active.furthest)


@change_request
def scrub(session: Session, step: int) -> None:
    """Restore the active run's weights to their exact values after the given step."""
    session.active.go(step)


@change_request
def change(session: Session, path: str, value: float) -> None:
    """Set one weight by hand."""
    session.active.change(path, value)


@change_request
def undo(session: Session) -> None:
    """Undo all weight changes made by hand."""
    session.active.undo()


@request
def export_model(session: Session) -> ExportedModel:
    """Export the active model as a checkpoint that `microgpt sample` can read."""
    edited.exportable(session.active)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        session.active.run.save(path)
        return {"base64": base64.b64encode(path.read_bytes()).decode(), "name": path.name}
