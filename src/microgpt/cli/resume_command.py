"""Messages about a run that stopped: its last checkpoint, and the command that resumes it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from microgpt.runs.folder import Folder


def remedy(folder: Folder, is_resumable: bool = True) -> str:
    """Return the end of a message about a run that stopped: the state of its last checkpoint, and how to resume."""
    if folder.run.engine.rank and folder.path == Path():  # only the first process knows a folder that it chose itself
        return "the first process reports where the last checkpoint is"
    where = repr(str(folder.path))
    try:
        if not folder.has_checkpoint():
            return f"the last checkpoint is no longer in {where}, because the folder was deleted or changed"
        state = "the last checkpoint is intact"
    except OSError as error:  # the folder may become readable again
        state = f"the last checkpoint in {where} cannot be checked ({error.strerror})"
    return f"{state}; resume with: {resume_command(folder)}" if is_resumable else state


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
