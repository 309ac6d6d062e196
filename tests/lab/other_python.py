"""A command in another process, and the JSON that it prints."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from conftest import clean_environment


def json_printed_by(*command: object) -> Any:
    """Return the JSON that a command prints; a failed command is an AssertionError with its stderr."""
    done = subprocess.run([*map(str, command)], env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
