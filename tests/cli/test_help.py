"""The help texts: every example runs, every setting is explained."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.cli.parser import Parser
from microgpt.config import Config
from microgpt.lab import server as lab_server
from microgpt.system import safetensors
from microgpt.verification.cases import CASES

from cli.commands import Microgpt, metrics, names


def function(command: str) -> Callable[..., int | None]:
    """Return the function that runs a command."""
    found: Callable[..., int | None] = getattr(importlib.import_module(f"microgpt.cli.{command}"), command)
    return found


def examples() -> list[tuple[str, str]]:
    """Return the (command, example) pairs of all help texts."""
    found = []
    for command in cli.COMMANDS:
        lines = [line.strip() for line in (function(command).__doc__ or "").splitlines()]
        found += [(command, line) for line in lines if line.startswith("microgpt ")]
    return found


def help_text(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, line: str) -> str:
    """Return a help text without line breaks."""
    monkeypatch.setenv("COLUMNS", "120")
    result = microgpt(line)
    assert (result.status, result.err) == (0, "")
    return " ".join(result.out.split())


def test_every_example_of_every_help_text_runs(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("matplotlib", reason="one example plots: pip install matplotlib")
    page = tmp_path_factory.mktemp("site")  # `microgpt lab` needs a page; it would open it, and serve until Ctrl-C
    (page / "index.html").touch()
    monkeypatch.setattr(lab_server, "SITE", page)
    monkeypatch.setattr(lab_server, "open_browser", lambda url: None)
    monkeypatch.setattr(lab_server.Server, "serve_forever", lambda self: None)
    Path("mine").mkdir()  # `microgpt verify --against` needs the results of a port
    table = {name: safetensors.tensor(t.numbers, t.shape) for name, t in CASES["final"].record().items()}
    safetensors.write("mine/final.safetensors", table)
    assert {command for command, _ in examples()} == {*cli.COMMANDS}
    for _, example in examples():
        result = microgpt(example.removeprefix("microgpt "))
        assert result.status == 0, f"{example}: {result.err}"
    assert names(Path("runs")) == ["1", "prepared", "small", "tuned"]
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
        option = "--" + field.name.replace("_", "-")
        switch = f", --no-{option[2:]}" if isinstance(field.default, bool) else ""
        assert f" {option}{switch} " in text
        assert f" {field.metadata['help']} [default: {default}]" in text


def test_the_command_alone_shows_its_help(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch) -> None:
    text = help_text(microgpt, monkeypatch, "")
    assert text == help_text(microgpt, monkeypatch, "--help") == help_text(microgpt, monkeypatch, "-h")
    for command in ("train", "sample", "evaluate", "plot", "info"):
        assert f" {command} " in text


def test_the_list_of_commands_shows_the_first_line_of_each_help_text() -> None:
    for command, summary in cli.COMMANDS.items():
        assert (function(command).__doc__ or "").splitlines()[0] == summary


def test_a_command_declares_every_parameter_of_its_function() -> None:
    for command in cli.COMMANDS:
        arguments = importlib.import_module(f"microgpt.cli.{command}").ARGUMENTS
        declared = {action.dest for action in Parser(command, "", arguments)._actions}
        parameters = inspect.signature(function(command)).parameters.values()
        forwards = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        named = {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
        assert named < declared if forwards else named == declared


# --- Layout

EXPORT = """\
Usage: microgpt export [OPTIONS] RUN

Export a model as an ONNX file for programs in other languages.

The exported model processes an entire text at once, or one token at a time
with a cache; docs/onnx.md describes its inputs and outputs.
This command needs the onnx package: pip install onnx.

Examples
  microgpt export runs/small -o model.onnx

Arguments
  RUN                          A run folder or a checkpoint file. [required]

Options
  -o, --output FILE            The ONNX file to write. [default: model.onnx]
  --precision float32|float64  Precision of the exported model.
                               [default: float32]
  --checkpoint best|last       Checkpoint of a run folder: the one with the
                               least held-out loss, or the last one.
                               [default: best, if documents are held out]
  -h, --help                   Show this message and exit.
"""


def test_a_help_text_has_one_column_of_options_and_one_of_explanations(
    microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert microgpt("export --help") == (0, EXPORT, "")


@pytest.mark.parametrize("columns", [60, 80, 120, 300])
def test_a_help_text_is_as_wide_as_the_terminal_but_never_wider_than_120_columns(
    microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in cli.COMMANDS:
        described, options = re.split(r"\n(?=Arguments\n|Options\n)", microgpt(f"{command} --help").out, maxsplit=1)
        assert max(len(line) for line in described.splitlines()) <= 80
        assert max(len(line) for line in options.splitlines()) <= min(columns, 120)


@pytest.mark.parametrize(
    ("terminal", "environment", "colored"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="no colors on Windows")
def test_only_a_terminal_that_allows_them_gets_colors(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environment: dict[str, str], colored: bool
) -> None:
    screen, plain = io.StringIO(), io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {**environment, "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    for out in (screen, plain):
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["train", "--help"]) == 0
    assert ("\x1b[" in screen.getvalue()) == colored
    assert re.sub(r"\x1b\[\d*m", "", screen.getvalue()) == plain.getvalue()
