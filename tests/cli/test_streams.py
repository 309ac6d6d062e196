"""Control characters on a terminal, and standard streams that are closed, full or without a reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from microgpt.cli import main as cli

from cli.commands import SMALL, Microgpt, metrics, names, read_terminal
from conftest import clean_environment

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such streams and file names")
CLIPBOARD, TITLE = "\x1b]52;c;aGk=\x07", "\x1b]0;t\x07"  # what a terminal may obey


def command(line: str, redirect: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell that redirects its streams."""
    line = f'exec "$0" -m microgpt {line} {redirect}'
    return subprocess.run(
        ["sh", "-c", line, sys.executable], env=clean_environment(), capture_output=True, text=True, timeout=300
    )


def is_safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


# --- What reaches the terminal


@pytest.fixture
def hostile(here: Path, microgpt: Microgpt) -> str:
    """The name of a folder whose run has escape sequences in its vocabulary, its data's path and its name."""
    Path(f"w{TITLE}\u202e\n.txt").write_text(f"ann{CLIPBOARD}\nbob\u202e\x9b\u200b\x7f\ncarla\n", encoding="utf-8")
    Path("texts").write_text("bob\nann\n")
    folder = f"o{TITLE}"
    assert cli.main(["train", f"w{TITLE}\u202e\n.txt", *SMALL.split(), "--out", folder]) == 0
    return folder


@posix
@pytest.mark.parametrize(
    "line",
    [
        "train 'w{TITLE}\u202e\n.txt' {SMALL} --out 'new{TITLE}'",
        "train --out '{folder}' --resume --num-steps 15",
        "sample '{folder}' -n 40 --temperature 3",
        "evaluate '{folder}' --num-samples 3",
        "info '{folder}'",
        "prepare 'w{TITLE}\u202e\n.txt' -o 'data{TITLE}\n'",
        "export '{folder}' -o 'model{TITLE}\n.onnx'",
        "plot '{folder}' -o 'loss{TITLE}\n.svg'",
        "graph 'ann{CLIPBOARD}' '{folder}' --depth 1",
        "graph ann '{folder}' -o 'loss{TITLE}\n.dot'",
        # errors
        "'{TITLE}'",
        "train '{TITLE}'",
        "train '--{TITLE}'",
        "train --num-steps '{TITLE}'",
        "train texts '{TITLE}'",
        "sample '{TITLE}'",
        "sample '{folder}' --prompt 'z{TITLE}'",
        "info '{folder}/samples.txt'",
        "plot '{folder}' -o 'loss.{TITLE}'",
        "graph ann '{folder}' --node '{TITLE}'",
        "graph '{TITLE}' '{folder}'",
        "verify --case '{TITLE}'",
        "lab '{TITLE}'",
        "train words.txt --out '{folder}'",
    ],
)
def test_a_terminal_gets_no_control_character_that_is_not_ours(
    line: str, hostile: str, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    if line.startswith("export"):
        pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    if line.startswith("plot") and "svg" in line:
        pytest.importorskip("matplotlib", reason="needs matplotlib: pip install matplotlib")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    result = microgpt(line.format(folder=hostile, TITLE=TITLE, CLIPBOARD=CLIPBOARD, SMALL=SMALL))
    assert "Traceback" not in result.err
    assert result.out + result.err
    assert is_safe(result.out + result.err), result


@posix
def test_a_file_or_a_program_gets_the_samples_themselves(hostile: str, microgpt: Microgpt) -> None:
    line = f"sample '{hostile}' -n 40 --temperature 3"
    texts = [json.loads(each)["text"] for each in microgpt(f"{line} --json").out.splitlines()]
    assert not is_safe("".join(texts))
    assert microgpt(line).out == "".join(f"sample {i:2d}: {text}\n" for i, text in enumerate(texts, 1))
    assert not is_safe((Path(hostile) / "samples.txt").read_text(encoding="utf-8"))


@posix
def test_a_sample_in_a_terminal_keeps_its_line_breaks(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("lines.txt").write_text("\n\x1b\n" * 20)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    out = microgpt(f"train lines.txt --documents stream {SMALL} --quiet").out
    assert is_safe(out)
    assert "\\x1b" in out
    assert out.count("\n") > 20


@posix
def test_a_real_terminal_gets_no_escape_sequence_from_a_sample(hostile: str) -> None:
    import pty

    terminal, other_end = pty.openpty()
    line = [sys.executable, "-m", "microgpt", "sample", hostile, "-n", "40", "--temperature", "3"]
    process = subprocess.Popen(line, env=clean_environment(), stdout=other_end, stderr=subprocess.PIPE)
    os.close(other_end)
    output = read_terminal(terminal)
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert is_safe(output.decode().replace("\r\n", "\n"))
    assert b"\\x1b" in output


# --- Streams that are closed or full or have no reader

NOTHING = ("standard output: it is closed", ">&-")
FULL = pytest.param(
    "standard output: No space left on device",
    ">/dev/full",
    marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full"),
)


@posix
@pytest.mark.parametrize("redirect", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_training_goes_on_and_is_saved_when_its_output_is_lost(redirect: str, form: str, here: Path) -> None:
    if "full" in redirect and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = command(f"train words.txt {SMALL} --out run {form}", redirect)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert names(here / "run") == ["config.json", "metrics.jsonl", "model.safetensors", "samples.txt"]
    assert len(metrics(here / "run")) == 12
    if "2>" in redirect and ">&- " not in redirect:
        assert len(done.stdout.splitlines()) == (14 if form else 20)  # and no line that a program does not expect
        assert done.returncode == (0 if form else 1)  # with --json, nothing was written to stderr
    else:
        assert done.returncode == 1
    if redirect in (">&-", ">/dev/full"):
        assert done.stderr.splitlines()[-1].startswith("error: cannot write to standard output: ")


@posix
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("form", ["", "--json"])
def test_training_goes_on_when_a_reader_is_gone(stream: str, form: str, here: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: writes}
    line = [sys.executable, "-m", "microgpt", "train", "words.txt", *SMALL.split(), "--out", "run", *form.split()]
    done = subprocess.run(line, env=clean_environment(), text=True, timeout=300, **streams)  # type: ignore[call-overload]
    os.close(writes)
    assert len(metrics(here / "run")) == 12
    assert (here / "run" / "samples.txt").exists()
    if stream == "stdout":
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1] == "error: cannot write to standard output: Broken pipe"
    else:
        assert done.returncode == (0 if form else 1)
        assert len(done.stdout.splitlines()) == (14 if form else 20)


@posix
@pytest.mark.parametrize(("reason", "redirect"), [NOTHING, FULL])
@pytest.mark.parametrize(
    "line",
    ["sample run", "sample run --json", "evaluate run --num-samples 2", "info run", "sample --help", "--version"],
)
def test_a_command_whose_stdout_is_lost_fails_in_one_line(line: str, reason: str, redirect: str, run: Path) -> None:
    done = command(line, redirect)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: cannot write to {reason}\n")


@posix
@pytest.mark.parametrize(("line", "status"), [("info run", 0), ("sample run -n 3", 0), ("train nowhere.txt", 2)])
def test_a_closed_stderr_matters_only_to_what_is_written_there(line: str, status: int, run: Path) -> None:
    done = command(line, "2>&-")
    assert done.returncode == status
    assert (done.stdout == "") == (status == 2)  # an error does not go to stdout instead


@posix
def test_a_terminal_shows_what_was_lost_on_stderr(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        patch.setattr(sys.stderr, "write", full)
        patch.setattr(sys.stderr, "fileno", lambda: os.open(os.devnull, os.O_WRONLY))
        result = microgpt(f"train words.txt {SMALL}")
    assert result.status == 1
    assert result.out.splitlines()[-1] == "error: cannot write to standard error: No space left on device"


@posix
def test_the_reader_of_a_million_samples_may_stop_after_one(run: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "microgpt", "sample", "run", "-n", "1000000"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith("sample  1: ")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=300) == 1


@posix
def test_no_file_of_a_run_gets_the_number_of_a_closed_stream(here: Path) -> None:
    """A library that writes to stderr must not write into a checkpoint."""
    code = (
        "import os, sys\n"
        "from microgpt.cli.main import main\n"
        "from microgpt.runs.folder import Folder\n"
        "train = Folder.train\n"
        "def loud(*arguments, **options):\n"
        "    for step in train(*arguments, **options):\n"
        "        os.write(1, b'one')\n"
        "        os.write(2, b'two')\n"
        "        yield step\n"
        "Folder.train = loud\n"
        f"sys.exit(main('train words.txt {SMALL} --out run --quiet'.split()))\n"
    )
    done = subprocess.run(["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, code], env=clean_environment())
    assert done.returncode == 1
    assert len(metrics(here / "run")) == 12
