"""A training by the command line, to compare the lab with."""

from __future__ import annotations

import json
from pathlib import Path

from microgpt.cli import main as cli


def cli_losses(tmp_path: Path, *options: str) -> list[float]:
    """The curve of `microgpt train` with the bundled names."""
    assert cli.main(["train", *options, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    return [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
