"""Golden data: the published runs' losses, final weights and samples.

Each preset has its own file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def figures(preset: str) -> dict[str, Any]:
    """Return the recorded results of a published run; `preset` is `final` or `first`."""
    facts: dict[str, Any] = json.loads((FOLDER / f"{preset}.json").read_text(encoding="utf-8"))
    return facts
