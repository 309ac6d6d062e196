"""Compare two runs: find the settings, the first documents and the first weight that differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from microgpt.errors import DataError, LabError
from microgpt.lab.editing import edited
from microgpt.lab.editing.samples import sample_texts
from microgpt.lab.protocol.choices import PairDifference
from microgpt.lab.requests import model_request
from microgpt.lab.runs import opening
from microgpt.lab.runs.run import LabRun
from microgpt.tracing.names import flat_position, indexed

if TYPE_CHECKING:
    from microgpt.lab.protocol.runs import Comparison, Difference, FirstDifference, FirstDocuments, Pair
    from microgpt.lab.session import Session

PAIR_STEPS, SLOW_STEPS = 200, 4  # of each run of a pair, with the native engine and with the scalar engine
SLOWER = 0.1  # the second run's learning rate, relative to the first's
SAMPLES = 5


@model_request
def compare(session: Session, a: str, b: str) -> Comparison:
    """Compare two runs' settings and find the first of their shared steps at which the runs diverge."""
    return _compare(session.run(a), session.run(b))


@model_request
def pair(session: Session, differs: PairDifference) -> Pair:
    """Train two short runs from the same random weights that differ in one thing, and compare them.

    The runs have the active model's settings. They are not added to the session.
    """
    active = session.active
    edited.unchanged(active, "the two runs are trained with the reference", "loss", "adam", "gpt", "attention")
    config = active.config.replace(num_steps=PAIR_STEPS)
    other = config
    if differs == "learning_rate":
        other = config.replace(learning_rate=SLOWER * config.learning_rate)
    elif differs == "seed":
        other = config.replace(seed=config.seed + 1)
    runs = [
        opening.begin(f"pair.{side}", side, active.text, settings, active.val_fraction)
        for side, settings in (("a", config), ("b", other))
    ]
    for run in runs:
        steps = PAIR_STEPS if run.engine.name == "native" else SLOW_STEPS
        if differs == "weight" and run is runs[1]:
            for _ in run.train(steps // 2):
                pass
            path = indexed("wte", (run.run.tokenizer.bos, 0))
            run.change(path, run.engine.params[run.index(path)] + 1.0)
        for _ in run.train(steps):
            pass
    one, two = runs
    texts = [sample_texts(run, run.config.seed, SAMPLES, run.config.temperature, None)["texts"] for run in runs]
    return {
        "a": one.describe(False),
        "b": two.describe(False),
        "comparison": _compare(one, two),
        "samples": (texts[0], texts[1]),
    }


def _compare(one: LabRun, other: LabRun) -> Comparison:
    return {
        "a": one.id,
        "b": other.id,
        "differs": _settings(one, other),
        "first": _first(one, other),
        "documents": _documents(one, other),
    }


def _settings(a: LabRun, b: LabRun) -> list[Difference]:
    tables = [
        {
            **run.config.to_dict(),
            "program": run.program.name or "reference.py",
            "data": run.run.provenance.source or run.text.name,
            "val_fraction": run.val_fraction,
            "changed by hand": ", ".join(f"{run.path(e.place)} at step {e.step}" for e in run.edits[:5]) or "nothing",
        }
        for run in (a, b)
    ]
    return [
        {"setting": name, "a": value, "b": tables[1][name]}
        for name, value in tables[0].items()
        if value != tables[1][name]
    ]


def _first(a: LabRun, b: LabRun) -> FirstDifference | None:
    """Return the first step after which a weight differs, and the first such weight in tensor order."""
    low, high = max(a.earliest, b.earliest), min(a.furthest, b.furthest)
    if low > high:
        raise LabError(
            f"{a.name!r} and {b.name!r} have no steps in common: one run's weights go up to step {high}, but the"
            f" other run's start at step {low}; train the first run further"
        )
    twins = a.twin(), b.twin()
    common = sorted({step for step in a.frames.keys() & b.frames.keys() if low <= step <= high} | {low, high})
    same = None
    for step in common:  # find the two frames between which the runs diverge
        if _differ(*twins, step):
            break
        same = step
    else:
        return None
    if same is not None:
        step = same + 1
        while not _differ(*twins, step):
            step += 1
    tensor, path, x, y = _difference(*twins)
    return {"step": step, "tensor": tensor, "path": path, "a": x, "b": y}


def _differ(a: LabRun, b: LabRun, step: int) -> bool:
    for run in (a, b):
        run.go(step)
    return a.shapes != b.shapes or a.engine.params.tobytes() != b.engine.params.tobytes()


def _difference(a: LabRun, b: LabRun) -> tuple[str, str, float, float]:
    """Return the first difference as (tensor, path, weight in a, weight in b); nan for a weight that a run lacks."""
    parts = a.model.offsets, b.model.offsets
    for name in {**parts[0], **parts[1]}:
        shapes = [run.shapes.get(name, (0, 0)) for run in (a, b)]
        rows, columns = (max(sizes) for sizes in zip(*shapes))
        for row in range(rows):
            for column in range(columns):
                x, y = (
                    run.engine.params[part[name].start + flat_position((row, column), shape)]
                    if row < shape[0] and column < shape[1]
                    else math.nan
                    for run, part, shape in zip((a, b), parts, shapes)
                )
                if x != y:
                    return name, indexed(name, (row, column)), x, y
    raise AssertionError("the runs do not differ")


def _documents(a: LabRun, b: LabRun) -> FirstDocuments | None:
    """Return the first step at which the runs read different documents, among the steps whose documents are known."""
    for step in range(max(a.earliest, b.earliest), min(a.furthest, b.furthest)):
        try:
            x, y = a.document(step), b.document(step)
        except DataError:  # the text of a run is not loaded
            return None
        if x != y:
            return {"step": step + 1, "a": ", ".join(x), "b": ", ".join(y)}
    return None
