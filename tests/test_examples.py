"""The examples in docstrings, run as doctests."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from conftest import SOURCE

WITH_EXAMPLES = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=[path.relative_to(SOURCE).as_posix() for path in WITH_EXAMPLES])
def test_the_examples_of_a_module_print_what_they_say(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    module = importlib.import_module(".".join(path.relative_to(SOURCE.parent).with_suffix("").parts))
    tried = doctest.testmod(module)
    assert tried.failed == 0
    assert tried.attempted > 0
