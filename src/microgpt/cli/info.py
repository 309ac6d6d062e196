"""`microgpt info`: describe a run or a folder of prepared data."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Any

from microgpt.cli import display
from microgpt.cli.options import JSON, argument
from microgpt.config import shapes
from microgpt.data.prepared import is_prepared, open_prepared
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.best import fault_of
from microgpt.runs.layout import BEST, MODEL
from microgpt.runs.run import Run
from microgpt.system.text import aligned

ARGUMENTS = [argument("RUN", "A run folder, a checkpoint file or a folder of prepared data.", type=Path), JSON]


def info(run: Path, *, json: bool) -> None:
    """Describe a run or a folder of prepared data.

    For a run, print its settings, data, parameters and progress, and the
    steps and held-out losses of its last and best checkpoints. For
    prepared data, print the source files and the number of documents and tokens.

    Examples:
      microgpt info runs/small
      microgpt info data/names
    """
    if is_prepared(run):
        facts = open_prepared(run, block_size=1).summary()
        if json:
            print(json_module.dumps(facts))
            return
        files, *more = facts.pop("files")
        rows = [("files", files), *(("", file) for file in more)]
        rows += [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in facts.items()]
        display.report(f"{run}: prepared data")
        print("\n" + aligned(("data", ""), rows, "ll"))
        return
    model = Run.load(run, engine="scalar", checkpoint="last" if run.is_dir() else None)
    kept, fault = _checkpoints(run, model)
    if fault:
        display.note(f"note: {fault}")
    table = {name: list(shape) for name, shape in shapes(model.config, model.engine.vocab_size).items()}
    if json:
        facts = {
            "step": model.step,
            "config": model.config.to_dict(),
            "vocab_size": model.engine.vocab_size,
            "symbols": model.tokenizer.symbols,
            "num_params": model.num_params,
            "shapes": table,
            "data": model.provenance.to_dict(),
            **({"checkpoints": kept} if kept else {}),
        }
        print(json_module.dumps(facts))
        return
    settings = [(name, str(value)) for name, value in model.config.to_dict().items()]
    data = [*model.provenance.to_dict().items(), ("vocab_size", model.engine.vocab_size)]
    parameters = [(name, f"{rows} x {columns}", f"{rows * columns:,}") for name, (rows, columns) in table.items()]
    display.report(f"{run}: {model.step} of {model.config.num_steps} steps")
    if kept:
        losses = {name: facts["val_loss"] for name, facts in kept.items()}
        shown = {name: "not measured" if loss is None else f"{loss:.4f}" for name, loss in losses.items()}
        steps = [(name, str(facts["step"]), shown[name]) for name, facts in kept.items()]
        print("\n" + aligned(("checkpoints", "step", "held-out loss"), steps, "lrr"))
    print("\n" + aligned(("settings", ""), settings, "ll"))
    print("\n" + aligned(("data", ""), [(name, str(value)) for name, value in data], "ll"))
    print("\n" + aligned(("parameters", "", ""), [*parameters, ("total", "", f"{model.num_params:,}")], "lrr"))


def _checkpoints(path: Path, run: Run) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the step and the held-out loss of a folder's last and best checkpoints, and why there is no best one."""
    selection = run.selection
    if selection is None or not path.is_dir():
        return {}, ""
    facts: dict[str, dict[str, Any]] = {
        "last": {"step": run.step, "val_loss": selection.loss if selection.step == run.step else None}
    }
    if fault := fault_of(path / BEST, checkpoints.describe(path / MODEL)):
        return facts, fault if selection.best_step else ""
    best = checkpoints.describe(path / BEST)
    facts["best"] = {"step": best.step, "val_loss": best.selection.loss if best.selection else None}
    return facts, ""
