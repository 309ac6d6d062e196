"""`microgpt info`: describe a run or a folder of prepared data."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from microgpt.cli import display
from microgpt.cli.options import JSON, argument
from microgpt.config import shapes
from microgpt.data.prepared import is_prepared, open_prepared
from microgpt.runs.run import Run
from microgpt.system.text import aligned

ARGUMENTS = [argument("RUN", "A run folder, a checkpoint file or a folder of prepared data.", type=Path), JSON]


def info(run: Path, *, json: bool) -> None:
    """Describe a run or a folder of prepared data.

    For a run, print its settings, data, parameters and progress. For
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
    model = Run.load(run, engine="scalar")
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
        }
        print(json_module.dumps(facts))
        return
    settings = [(name, str(value)) for name, value in model.config.to_dict().items()]
    data = [*model.provenance.to_dict().items(), ("vocab_size", model.engine.vocab_size)]
    parameters = [(name, f"{rows} x {columns}", f"{rows * columns:,}") for name, (rows, columns) in table.items()]
    display.report(f"{run}: {model.step} of {model.config.num_steps} steps")
    print("\n" + aligned(("settings", ""), settings, "ll"))
    print("\n" + aligned(("data", ""), [(name, str(value)) for name, value in data], "ll"))
    print("\n" + aligned(("parameters", "", ""), [*parameters, ("total", "", f"{model.num_params:,}")], "lrr"))
