"""`microgpt plot`: the picture and the message."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cli.commands import Microgpt


def test_plot_writes_the_picture_and_prints_its_name(run: Path, microgpt: Microgpt) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")
    assert microgpt("plot run run -o both.png --smoothing 5") == (0, "", "wrote both.png\n")
    assert Path("both.png").read_bytes().startswith(b"\x89PNG")


# --- Bad input: status 2, one line that names argument, value and remedy, and an unchanged disk


def test_plot_without_matplotlib_says_what_to_install(
    run: Path, here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert microgpt("plot run") == (2, "", "error: plot needs matplotlib: pip install matplotlib\n")
    assert not Path("loss.svg").exists()
