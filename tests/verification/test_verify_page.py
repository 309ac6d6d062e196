"""The commands and the program of docs/verify.md, run in order, print what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.verification.cases import Case

from conftest import ROOT


def blocks(chapter: str) -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block in a chapter of the page."""
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8").split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("chapter", "commands", "outputs"),
    [
        pytest.param("Verify an engine", 3, 0, marks=pytest.mark.slow),
        ("Verify a port in any language", 3, 1),
    ],
)
def test_the_examples_of_the_page_run_in_order_and_print_what_it_shows(
    chapter: str,
    commands: int,
    outputs: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # without the public names, the published runs are skipped
    monkeypatch.setattr(Case, "record", cache(Case.record))  # once for all commands
    run, printed, compared = [], "", 0
    for language, text in blocks(chapter):
        if language == "python":
            Path("port.py").write_text(text, encoding="utf-8")
        elif text.startswith(("microgpt ", "python ")):
            for line in text.splitlines():
                program, *args = shlex.split(line)
                capsys.readouterr()
                if program == "python":
                    subprocess.run([sys.executable, *args], check=True)
                else:
                    assert cli.main(args) == ("mine" in args), line  # the port of the page is wrong
                printed = capsys.readouterr().out
                run.append(line)
        else:
            assert printed == text
            compared += 1
    assert (len(run), compared) == (commands, outputs)
