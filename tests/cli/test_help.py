"""The help texts: every example runs, every setting is explained."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.config import Config
from microgpt.lab import server as lab_server

from cli.commands import Microgpt, metrics, names


def examples() -> list[tuple[str, str]]:
    """Return the (command, example) pairs of all help texts."""
    found = []
    for command in cli.app.registered_commands:
        assert command.callback is not None
        lines = [line.strip() for line in (command.callback.__doc__ or "").splitlines()]
        found += [(command.callback.__name__, line) for line in lines if line.startswith("microgpt ")]
    return found


def help_text(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, line: str) -> str:
    """Return a help text without colours, frames and line breaks."""
    monkeypatch.setenv("COLUMNS", "300")
    answer = microgpt(line)
    assert answer.status == 0
    return " ".join(re.sub(r"\x1b\[[\d;]*m|[│╭╮╰╯─]", " ", answer.out).split())


def test_every_example_of_every_help_text_runs(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("matplotlib", reason="one example plots: pip install matplotlib")
    page = tmp_path_factory.mktemp("site")  # `microgpt lab` needs a page; it would open it, and serve until Ctrl-C
    (page / "index.html").touch()
    monkeypatch.setattr(lab_server, "SITE", page)
    monkeypatch.setattr(lab_server, "open_browser", lambda url: None)
    monkeypatch.setattr(lab_server.Server, "serve_forever", lambda self: None)
    assert {command for command, _ in examples()} == {c.callback.__name__ for c in cli.app.registered_commands}
    for _, example in examples():
        answer = microgpt(example.removeprefix("microgpt "))
        assert answer.status == 0, f"{example}: {answer.err}"
    assert names(Path("runs")) == ["1", "prepared", "small"]
    assert len(metrics(here / "runs" / "small")) == 30
    assert Path("loss.svg").is_file()


def test_every_help_text_shows_its_examples(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch) -> None:
    for command, example in examples():
        assert example in help_text(microgpt, monkeypatch, f"{command} --help")


def test_every_field_of_config_is_an_option_of_train_with_its_help_and_default(
    microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = help_text(microgpt, monkeypatch, "train --help")
    for field in dataclasses.fields(Config):
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        assert f" --{field.name.replace('_', '-')} " in text
        assert f" {field.metadata['help']} [default: {default}]" in text


def test_the_command_alone_shows_its_help(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch) -> None:
    text = help_text(microgpt, monkeypatch, "")
    assert text == help_text(microgpt, monkeypatch, "--help")
    for command in ("train", "sample", "evaluate", "plot", "info"):
        assert f" {command} " in text
