"""The display of training: lines for a log, a live line for a terminal, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from microgpt.cli import display, terminal
from microgpt.cli.display import Json, Lines, Live, Quiet, Smooth, bars, sample_lines, status
from microgpt.cli.terminal import TrainingLine
from microgpt.flops import training_flops
from microgpt.runs.run import Run
from microgpt.system.text import duration
from microgpt.training import Step

from cli.commands import read_terminal
from conftest import TINY, clean_environment

NAMES = ["anna", "bob", "carl", "dora", "emil"]


@pytest.fixture
def run() -> Run:
    return Run.begin(NAMES, TINY, engine="scalar")


class Clock:
    """A clock that only moves when a test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def plain(text: str) -> str:
    """Remove colours and cursor movements from terminal output."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


# --- Samples


def test_samples_are_printed_as_the_published_script_does() -> None:
    assert sample_lines(["kamon", "ann", ""]) == "sample  1: kamon\nsample  2: ann\nsample  3: \n"


def test_the_numbers_of_up_to_99_samples_are_aligned() -> None:
    lines = sample_lines(["x"] * 100).splitlines()
    assert lines[8:11] == ["sample  9: x", "sample 10: x", "sample 11: x"]
    assert lines[99] == "sample 100: x"


def test_marks_are_in_one_column_after_the_longest_sample() -> None:
    texts, marks = ["ann", "kamonika", "bo"], ["known", "", "known"]
    assert sample_lines(texts, marks) == (
        "sample  1: ann       known\n"  #
        "sample  2: kamonika\n"
        "sample  3: bo        known\n"
    )


@given(st.lists(st.tuples(st.text("ab", max_size=9), st.booleans())))
def test_a_line_without_a_mark_ends_with_its_text_and_all_marks_are_aligned(pairs: list[tuple[str, bool]]) -> None:
    lines = sample_lines([text for text, _ in pairs], ["MARK" * known for _, known in pairs]).splitlines()
    assert len(lines) == len(pairs)
    for i, ((text, known), line) in enumerate(zip(pairs, lines)):
        begins = f"sample {i + 1:2d}: {text}"
        assert line.startswith(begins)
        assert line[len(begins) :].strip() == "MARK" * known
        assert known or line == begins
    assert len({line.index("MARK") for line in lines if "MARK" in line}) <= 1


def test_no_samples_give_no_lines() -> None:
    assert sample_lines([]) == sample_lines([], []) == ""


# --- The smoothed loss


def test_the_smoothed_loss_of_a_constant_is_that_constant_from_the_first_step() -> None:
    smooth = Smooth()
    for _ in range(200):
        smooth.add(2.5)
        assert smooth.mean() == pytest.approx(2.5, rel=1e-13)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_the_smoothed_loss_is_a_mean_in_which_a_step_weighs_2_percent_less_than_the_next(losses: list[float]) -> None:
    np = pytest.importorskip("numpy", reason="numpy makes the mean")
    smooth = Smooth()
    for loss in losses:
        smooth.add(loss)
    weights = 0.98 ** np.arange(len(losses))[::-1]
    assert smooth.mean() == pytest.approx(np.average(losses, weights=weights), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (0.4, "0:00"), (59, "0:59"), (59.6, "1:00"), (61, "1:01"), (3599.9, "1:00:00"), (90061, "25:01:01")],
)
def test_times_are_shown_in_minutes_and_seconds(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


# --- Lines for a log


def test_a_log_shows_the_facts_then_the_steps_on_stderr(
    run: Run, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    show = Lines()
    show.begin(run)
    clock.now += 2.0
    show.step(Step(1, 2.0, 0.01, 4))
    clock.now += 2.0
    show.step(Step(2, 3.0, 0.009, 4, val_loss=2.25))
    show.end()
    show.message("saved")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "num docs: 5",
        "vocab size: 12",
        "num params: 304",
        "data: in memory, 19 tokens, 1 byte each",
        # 4 + 3 + 4 + 4 + 4 characters and 5 ends; the 4 ends after 4 characters are beyond block_size
        "not read: 16.7% of the tokens, which are beyond block_size=4; increase block_size to read more",
        "step    1 /   12 | loss 2.0000 | smoothed 2.0000 |    0.5 steps/s | 0:22 left",
        # (0.98 * 2 + 3) / 1.98
        "step    2 /   12 | loss 3.0000 | smoothed 2.5051 | held-out 2.2500 |    0.5 steps/s | 0:20 left",
        "saved",
    ]


def test_a_log_of_a_long_run_has_about_20_lines_and_every_held_out_loss(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    show = Lines()
    show.begin(Run.begin(NAMES, TINY.replace(num_steps=1000)))
    for step in range(1, 1001):
        clock.now += 0.01
        show.step(Step(step, 2.0, 0.01, 4, val_loss=1.0 if step == 77 else None))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step")]
    assert [int(line.split()[1]) for line in lines] == [1, 50, 77, *range(100, 1001, 50)]


def test_a_log_of_a_resumed_run_measures_speed_from_the_resumed_step(
    run: Run, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    run.engine.step = 10
    show = Lines()
    show.begin(run)
    clock.now += 4.0
    show.step(Step(11, 2.0, 0.01, 4))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        "resumed after step 10 of 12",
        "step   11 /   12 | loss 2.0000 | smoothed 2.0000 |    0.2 steps/s | 0:04 left",
    ]


def test_the_facts_say_how_much_is_held_out() -> None:
    run = Run.begin(NAMES, TINY, val_fraction=0.4)
    assert display.facts(run)[3] == "data: in memory, 19 tokens, 1 byte each, 2 documents held out"


def test_the_facts_say_that_a_token_of_a_large_vocabulary_takes_2_bytes() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    run = Run.begin([text], TINY.replace(block_size=301), engine="scalar")
    assert display.facts(run) == [
        "num docs: 1",
        "vocab size: 301",
        f"num params: {run.num_params}",
        "data: in memory, 300 tokens, 2 bytes each",
    ]


@pytest.mark.parametrize(
    ("precision", "line"),
    [
        ("exact", "precision: exact (bit for bit the same as the reference); --precision float32 is faster"),
        ("float32", "precision: float32 (fast); --precision exact is bit for bit the same as the reference"),
    ],
)
def test_the_facts_say_the_precision_and_how_to_get_the_other(precision: str, line: str) -> None:
    try:
        run = Run.begin(NAMES, TINY, engine="native", precision=precision)
    except ImportError as error:
        pytest.skip(str(error))
    assert display.facts(run)[4] == line


# --- Quiet, and JSON for programs


def test_quiet_prints_nothing_but_the_samples(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    show = Quiet()
    show.begin(run)
    show.step(Step(1, 2.0, 0.01, 4, val_loss=1.0))
    show.end()
    show.message("saved")
    show.samples(["ann", "bo"])
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == "sample  1: ann\nsample  2: bo\n"


def test_json_is_one_object_per_line_in_full_precision(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    show = Json()
    show.begin(run)
    show.step(Step(1, 0.1 + 0.2, 0.01, 4))
    show.step(Step(2, 1 / 3, 0.009, 3, val_loss=2 / 3))
    show.end()
    show.message("saved")
    show.samples(["ann", "ø"])
    captured = capsys.readouterr()
    assert captured.err == ""
    begin, *rest = (json.loads(line) for line in captured.out.splitlines())
    assert begin["config"] == TINY.to_file()
    assert (begin["vocab_size"], begin["num_params"], begin["step"]) == (12, 304, 0)
    assert begin["data"]["num_docs"] == 5
    assert rest == [
        {"step": 1, "loss": 0.1 + 0.2, "learning_rate": 0.01, "tokens": 4},
        {"step": 2, "loss": 1 / 3, "learning_rate": 0.009, "tokens": 3, "val_loss": 2 / 3},
        {"samples": ["ann", "ø"]},
    ]


# --- Live, at a terminal


@pytest.fixture
def screen(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 100 columns, instead of stderr."""
    text = io.StringIO()

    def console(**options: object) -> Console:
        assert options.pop("stderr") is True
        return Console(file=text, force_terminal=True, width=100, get_time=clock, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(terminal, "Console", console)
    return text


def test_live_shows_step_loss_speed_and_time_left(run: Run, clock: Clock, screen: io.StringIO) -> None:
    show = Live()
    show.begin(run)
    for step in range(1, 4):
        clock.now += 2.0
        show.step(Step(step, float(step), 0.01, 4, val_loss=1.5 if step == 2 else None))
    show.line.refresh()
    # (0.98^2 * 1 + 0.98 * 2 + 3) / (0.98^2 + 0.98 + 1) = 2.0135; 9 steps remain, at 2 seconds each
    line = plain(screen.getvalue()).splitlines()[-1].split("\r")[-1]
    assert re.fullmatch(r"step 3 / 12 .* loss 2\.0135 held-out 1\.5000 0\.5 steps/s 0:18 left\s*", line), line
    for step in range(4, 13):
        clock.now += 2.0
        show.step(Step(step, 2.0, 0.01, 4))
    show.end()
    line = plain(screen.getvalue()).splitlines()[-1]
    assert re.fullmatch(r"step 12 / 12 .* held-out 1\.5000 0\.5 steps/s 0:24\s*", line), line


def test_live_shows_the_facts_above_the_moving_line(run: Run, screen: io.StringIO) -> None:
    show = Live()
    show.begin(run)
    show.end()
    assert plain(screen.getvalue()).splitlines()[:5] == [
        "num docs: 5",
        "vocab size: 12",
        "num params: 304",
        "data: in memory, 19 tokens, 1 byte each",
        "not read: 16.7% of the tokens, which are beyond block_size=4; increase block_size to read more",
    ]


def test_live_draws_ten_times_a_second_and_always_the_last_step(run: Run, clock: Clock, screen: io.StringIO) -> None:
    show = Live()
    show.begin(run)
    for step in range(1, 12):  # the first step, and every fourth: 0.03 seconds pass between two steps
        show.step(Step(step, 2.0, 0.01, 4))
        clock.now += 0.03
    assert re.findall(r"step (\d+) / 12", plain(screen.getvalue())) == ["0", "1", "5", "9"]
    show.end()
    assert plain(screen.getvalue()).splitlines()[-1].split("\r")[-1].startswith("step 11 / 12 ")


def test_live_continues_from_the_step_of_a_resumed_run(run: Run, clock: Clock, screen: io.StringIO) -> None:
    run.engine.step = 6
    show = Live()
    show.begin(run)
    for step in (7, 8):
        clock.now += 1.0
        show.step(Step(step, 2.0, 0.01, 4))
    show.line.refresh()
    line = plain(screen.getvalue()).splitlines()[-1].split("\r")[-1]
    show.end()
    assert line.startswith("step 8 / 12 ")
    assert re.search(r" 1\.0 steps/s 0:04 left\s*$", line), line


def test_the_facts_say_that_a_run_is_complete_and_how_to_continue_it(run: Run) -> None:
    run.engine.step = 12
    assert display.facts(run)[-1] == (
        "already complete: all 12 steps are done; to continue, resume with a larger --num-steps"
    )


def test_live_shows_a_file_name_as_it_is(tmp_path: Path, screen: io.StringIO) -> None:
    """Square brackets are markup to rich."""
    path = tmp_path / "names [red].txt"
    path.write_text("\n".join(NAMES))
    show = Live()
    show.begin(Run.begin(path, TINY, engine="scalar"))
    show.end()
    assert f"data: {path}, " in plain(screen.getvalue())


def test_a_terminal_obeys_no_name(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as an escape sequence nor as rich's markup."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    name = "a\x1b]0;t\x07[/]\u202e"
    with bars() as progress:
        progress(name, 20, 40)
    with status() as show:
        show(name)
    TrainingLine([f"data: {name}"], 0, 1).stop()
    shown = plain(screen.getvalue())
    assert shown.count("a\\x1b]0;t\\x07[/]\\u202e") >= 3
    assert not set(shown) & set("\x1b\x07\u202e")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on Windows")
def test_training_at_a_terminal_is_live_and_only_its_samples_go_to_stdout(tmp_path: Path) -> None:
    import pty
    import subprocess

    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    terminal, other_end = pty.openpty()
    options = ["--n-embd", "4", "--n-head", "2", "--block-size", "4", "--num-steps", "40"]
    process = subprocess.Popen(
        [sys.executable, "-m", "microgpt", "train", "names.txt", *options],
        cwd=tmp_path,
        env={**clean_environment(), "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=other_end,
    )
    os.close(other_end)
    output = read_terminal(terminal)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert [line[:9] for line in out.decode().splitlines()] == [f"sample {i:2d}" for i in range(1, 21)]
    text = plain(output.decode())
    assert "num docs: 5" in text
    assert re.search(r"step 40 / 40 .* loss \d\.\d{4} .*[\d.,]+ steps/s 0:\d\d", text), text
    assert b"\x1b[?25h" in output  # the cursor is visible again


# --- The choice of a display


@pytest.mark.parametrize(
    ("quiet", "json_lines", "terminal", "expected"),
    [
        (False, False, True, Live),
        (False, False, False, Lines),
        (True, False, True, Quiet),
        (False, True, True, Json),
    ],
)
def test_the_options_and_the_terminal_choose_the_display(
    monkeypatch: pytest.MonkeyPatch, quiet: bool, json_lines: bool, terminal: bool, expected: type
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert type(display.choose(quiet, json_lines)) is expected


def test_quiet_and_json_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="quiet and json cannot be used together: omit one of them"):
        display.choose(True, True)


def test_no_bars_are_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as progress:
        for done in (0, 50, 100):
            progress("reading", done, 100)
    captured = capsys.readouterr()
    assert (captured.out, captured.err.strip()) == ("", "")


def test_a_terminal_shows_a_bar_for_each_task(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with bars() as progress:
        for task in ("reading", "writing"):
            for done in (20, 30):
                progress(task, done, 40)
    shown = plain(screen.getvalue()).splitlines()[-2:]
    assert re.fullmatch(r"reading .* 75% .*", shown[0])
    assert re.fullmatch(r"writing .* 75% .*", shown[1])


def test_a_status_prints_one_line_per_message_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with status() as show:
        show("round 1 of 2")
        show("round 2 of 2")
    assert capsys.readouterr() == ("", "round 1 of 2\nround 2 of 2\n")


def test_a_terminal_shows_one_status_at_a_time_and_none_at_the_end(
    screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with status() as show:
        show("round 1 of 2")
        show("round 2 of 2")
    shown, erase = screen.getvalue(), "\x1b[2K"
    assert shown.index("round 1 of 2") < shown.index(erase) < shown.index("round 2 of 2") < shown.rindex(erase)
    assert not plain(shown[shown.rindex(erase) :]).strip()


def test_an_engine_that_reports_diagnostics_has_them_in_the_log(
    run: Run, clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    peak = 100 * training_flops(run.config, run.engine.vocab_size)  # enough for 100 tokens a second
    diagnostics = {"memory": 3.0 * 2**30, "grad_norm": 1.25, "peak_flops": peak}
    monkeypatch.setattr(run.engine, "diagnostics", lambda: diagnostics, raising=False)
    show = Lines()
    show.begin(run)
    clock.now += 8.0
    for step in range(1, 5):
        show.step(Step(step, 3.0, 0.005, 90, seconds=2.0))  # all four come from one call, at the same time
    lines = capsys.readouterr().err.splitlines()[-4:]
    for line in lines:
        assert "| lr 5.00e-03 | grad norm 1.25 | 45 tokens/s | MFU 45.0% | 3.0 GiB |" in line
    diagnostics.clear()
    show.step(Step(5, 3.0, 0.005, 90, seconds=2.0))
    assert "tokens/s" not in capsys.readouterr().err


@pytest.mark.parametrize("columns", [80, 120])
def test_the_diagnostics_do_not_crowd_the_moving_line(
    run: Run, clock: Clock, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    diagnostics = {"memory": 3.0 * 2**30, "grad_norm": 1.25, "peak_flops": 1e12}
    monkeypatch.setattr(run.engine, "diagnostics", lambda: diagnostics, raising=False)
    text = io.StringIO()
    monkeypatch.setattr(
        terminal, "Console", lambda **_: Console(file=text, force_terminal=True, width=columns, get_time=clock)
    )
    show = Live()
    show.begin(run)
    for step in range(1, 5):
        clock.now += 2.0
        show.step(Step(step, 3.0, 0.005, 90, val_loss=2.5, seconds=2.0))
    show.end()
    moving, below = plain(text.getvalue()).splitlines()[-2:]
    assert re.fullmatch(r"step 4 / \d+ ━.* loss 3\.0000 held-out 2\.5000 0\.5 steps/s .*\S *", moving)
    assert re.fullmatch(r"lr 5\.00e-03 · grad norm 1\.25 · 45 tokens/s · MFU .* · 3\.0 GiB *", below)
