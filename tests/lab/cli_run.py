"""A training run by the command line, for comparison with the lab."""

from __future__ import annotations

import json
from pathlib import Path

from microgpt.cli import main as cli


def cli_losses(tmp_path: Path, *options: str) -> list[float]:
    """Return the losses of `microgpt train` on the bundled names."""
    assert cli.main(["train", *options, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    return [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
