"""The right values of a training that begins from random weights, as section 8 shows it: by step, counting from 1."""

from __future__ import annotations

from microgpt.engines.program import ScalarModel
from microgpt.runs.run import Run
from microgpt.tracing.recorder import forward


def begun(steps: int) -> Run:
    """Return a run with the default settings on the bundled names after some steps."""
    run = Run.begin("names", val_fraction=0.1)
    for _ in run.steps(until=steps):
        pass
    return run


def read(step: str, tensor: str, i: str | None) -> float:
    """Return a number of the forward pass over the document that a step reads, before the step."""
    run = begun(int(step) - 1)
    model = ScalarModel(run.engine.params, run.config, len(run.tokenizer.symbols))
    return float(forward(run.data.sequence(run.order[run.engine.step]), model)[tensor].numbers[int(i or 0)])


def traced(step: str, place: int) -> float:
    """Return a parameter's gradient in a step."""
    run = begun(int(step) - 1)
    run.engine.backward([run.data.sequence(run.order[run.engine.step])])
    return run.engine.grads[place]


def moved(step: str, place: int) -> float:
    """Return how far a step moves a parameter."""
    before, after = (begun(int(step) - 1 + made).engine.params[place] for made in (0, 1))
    return after - before
