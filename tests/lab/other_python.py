"""What another Python tells, run as a process of its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from conftest import clean_environment


def told_by(*command: object) -> Any:
    """The JSON that a command prints; AssertionError with its errors where it fails."""
    done = subprocess.run([*map(str, command)], env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
