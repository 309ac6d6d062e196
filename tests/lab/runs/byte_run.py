"""A run whose tokens are bytes, for the lab to open."""

from __future__ import annotations

from pathlib import Path

from microgpt.config import Config
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run

TEXT = "anna\nzoë\nbob\nchloë\n日本\nmarie-ève jr\n" * 5
CONFIG = Config(n_embd=8, n_head=2, block_size=12, num_steps=20)


def train(folder: Path) -> Path:
    """Train a run on bytes; return the folder with the run and its text, own.txt."""
    (folder / "own.txt").write_text(TEXT, encoding="utf-8")
    run = Run.begin(folder / "own.txt", CONFIG, tokenizer="byte", engine="scalar")
    with Folder.create(folder / "run", run) as kept:
        for _ in kept.train():
            pass
    return folder
