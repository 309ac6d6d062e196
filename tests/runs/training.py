"""Helpers that train runs in a folder, and return its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run

from conftest import TINY

DOCUMENTS = ["ada", "bea", "abba", "dada", "ed", "deb", "abe", "bede", "dee", "beda"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def trained(config: Config, folder: Path, stops: list[int] | None = None, **options: Any) -> dict[str, bytes]:
    """Train a run that is stopped and resumed after each of `stops`, and return its files."""
    val_fraction = options.pop("val_fraction", 0.0)
    run = Run.begin(DOCUMENTS, config, val_fraction=val_fraction)
    current = Folder.create(folder, run)
    for stop in [*(stops or []), config.num_steps]:
        for step in current.train(**options):
            if step.step >= stop and step.step == current.run.step:  # in bulk, the engine may be ahead of the steps
                current.save()
                break
        if stop < config.num_steps:
            current = Folder.resume(folder, source=DOCUMENTS)
    current.close()
    return contents(folder)


def needs(engine: str) -> None:
    try:
        Run.begin(DOCUMENTS, TINY, engine=engine)
    except ImportError as error:
        pytest.skip(str(error))


TRAIN = """
import signal, sys
path, documents, num_steps, when, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
def die(moment):  # without a chance to clean up, after this many seconds of CPU time
    if moment == when:
        signal.setitimer(signal.ITIMER_PROF, seconds)
die("starting")
from microgpt.config import Config
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
config = Config(n_embd=4, n_head=2, block_size=4, num_steps=num_steps)
try:
    folder = Folder.resume(path)
except ValueError:
    folder = Folder.create(path, Run.begin(documents, config, val_fraction=0.3, validate_every=2))
print("began", flush=True)
die("training")
for _ in folder.train(checkpoint_every=1):
    pass
"""
