"""The command that a user can paste to resume a run."""

from __future__ import annotations

import os
import shlex

from microgpt.runs.folder import Folder


def resume_command(folder: Folder) -> str:
    """Return the command that resumes a run with the same engine and engine options."""
    engine = folder.run.engine
    how = dict(folder.computed_by)
    if engine.device:
        how |= {"engine": engine.name, "precision": engine.precision}
    line = f"microgpt train --out {shlex.quote(str(folder.path))} --resume"
    for name, value in how.items():
        if value is True:
            line += f" --{name}"
        elif value not in (None, False, {"engine": "auto"}.get(name)):
            line += f" --{name} {shlex.quote(str(value))}"
    if engine.world_size > 1:
        line = f"torchrun --nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', engine.world_size)} -m {line}"
    return line
