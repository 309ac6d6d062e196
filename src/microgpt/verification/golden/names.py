"""Make the golden data of the lab's model, the run of `microgpt train names --val-fraction 0.1`.

    python -m microgpt.verification.golden.names [FOLDER]

This command writes names.safetensors, which is the run's checkpoint, and names.json, with the losses and samples.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from microgpt.runs.run import Run
from microgpt.verification import golden

COMMAND = "microgpt train names --val-fraction 0.1"
NUM_SAMPLES = 20  # as many as the command prints


def make(folder: Path) -> None:
    """Train the run, and write its golden data to a folder."""
    run = Run.begin("names", val_fraction=0.1)
    steps = list(run)
    run.save(folder / "names.safetensors")
    facts: dict[str, Any] = {
        "description": f"The run of `{COMMAND}`. Losses are Python repr, nats per token.",
        "data_sha256": run.provenance.sha256,
        "num_docs": run.provenance.num_docs,
        "num_held_out": len(run.held_out),
        "num_steps": run.step,
        "params_sha256": hashlib.sha256(run.engine.params.tobytes()).hexdigest(),
        "losses": [step.loss for step in steps],
        "validations": [(step.step, step.val_loss) for step in steps if step.val_loss is not None],
        "samples": run.sample(NUM_SAMPLES),
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items())
    (folder / "names.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else golden.FOLDER)
