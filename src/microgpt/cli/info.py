"""`microgpt info`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli.options import JsonOption
from microgpt.config import shapes
from microgpt.data.prepared import is_prepared, open_prepared
from microgpt.runs.run import Run


def info(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run or of prepared data, or a checkpoint file.")
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Say what a run is: its settings, its parameters matrix by matrix, its data, how far it is trained.

    Or what prepared data are: from which files, how many documents and tokens.

    [bold]Examples[/]

      microgpt info runs/small
      microgpt info data/names
    """
    if is_prepared(run):
        facts = open_prepared(run, block_size=1).summary()
        if json:
            print(json_module.dumps(facts))
            return
        print(f"{run}: prepared data\n")
        for name, value in facts.items():
            for told in value if isinstance(value, list) else [value]:
                print(f"  {name:16}{f'{told:,}' if isinstance(told, int) else told}")
                name = ""
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
            "data": model.data_info,
        }
        print(json_module.dumps(facts))
        return
    print(f"{run}: {model.step} of {model.config.num_steps} steps\n")
    for name, value in model.config.to_dict().items():
        print(f"  {name:16}{value}")
    print("\ndata")
    for name, value in model.data_info.items():
        print(f"  {name:16}{value}")
    print(f"  {'vocab_size':16}{model.engine.vocab_size}")
    print("\nparameters")
    for name, (rows, columns) in table.items():
        print(f"  {name:20}{rows:6} x {columns:<6}{rows * columns:12,}")
    print(f"  {'in all':35}{model.num_params:12,}")
