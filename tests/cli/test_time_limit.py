"""`microgpt train --minutes` and `--seconds`, with an injected clock and speed; and the advice after a run."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from microgpt.cli import train as command
from microgpt.cli.train_command import train_command
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.time_budget import Speed

from cli.commands import SMALL, Microgpt


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is stopped, and a machine on which a step takes 0.1 s."""

    def measure(*_: Any) -> Speed:
        return Speed(step=0.1, token=1e-4, start=0.5, flops=1e9)

    monkeypatch.setattr(Speed, "measure", measure)
    monkeypatch.setattr(command, "clock", lambda: 0.0)


def printed(err: str) -> str:
    """Return the command that a planned run printed."""
    start = "the same run without a time limit: microgpt "
    return next(line.removeprefix(start) for line in err.splitlines() if line.startswith(start))


@pytest.mark.parametrize("more", ["", "--n-embd 8 --zero-init --documents stream --block-size 8 --tokenizer byte"])
@pytest.mark.usefixtures("fixed")
def test_the_printed_command_gives_the_same_bits(here: Path, microgpt: Microgpt, more: str) -> None:
    one = microgpt(f"train words.txt --seconds 8 {more} --out one")
    assert one.status == 0, one.err
    two = microgpt(f"{printed(one.err)} --out two")
    assert (two.status, two.out) == (0, one.out)
    assert Path("one/metrics.jsonl").read_bytes() == Path("two/metrics.jsonl").read_bytes()
    for name in ("model.safetensors", "best.safetensors"):
        first, second = (checkpoints.load(Path(folder) / name) for folder in ("one", "two"))
        assert first.params.tobytes() == second.params.tobytes()
        assert first == second


@pytest.mark.usefixtures("fixed")
def test_a_plan_says_what_it_chose_and_why(here: Path, microgpt: Microgpt) -> None:
    result = microgpt("train words.txt --minutes 0.1 --out run")
    assert "time limit: 6 s" in result.err
    assert "fill 95% of it" in result.err
    assert "a fraction of 0.1 is held out" in result.err
    assert "parameters: the recipe for" in result.err
    assert "held-out loss: " in result.err


def test_training_stops_when_the_time_is_over_and_can_be_resumed(
    here: Path, microgpt: Microgpt, fixed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, real = [0.0], command._train

    def train(*args: Any) -> int:
        now[0] = 1e6
        return real(*args)

    monkeypatch.setattr(command, "clock", lambda: now[0])
    monkeypatch.setattr(command, "_train", train)
    result = microgpt("train words.txt --seconds 8 --n-embd 4 --n-layer 1 --patience 0 --out run")
    assert result.status == 0, result.err
    assert "the time is over: stopped after step 1 of" in result.err
    assert "sample 20: " in result.out
    remaining = next(line for line in result.err.splitlines() if "to train the remaining" in line)
    monkeypatch.setattr(command, "_train", real)
    assert microgpt(remaining.partition(": microgpt ")[2]).status == 0
    state = checkpoints.load(Path("run/model.safetensors"))
    assert state.step == state.config.num_steps > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--minutes 0", "minutes must be finite and greater than 0, got minutes=0: try minutes=2"),
        ("--seconds nan", "seconds must be finite and greater than 0, got seconds=nan"),
        ("--minutes 1 --seconds 2", "minutes and seconds cannot be used together"),
        ("--minutes 1 --num-steps 20", "num_steps cannot be used with a time limit, got num_steps=20"),
        ("--minutes 1 --preset final --num-steps 20", "num_steps cannot be used with a time limit, got num_steps=20"),
        ("--minutes 1 --out run --resume", "a time limit (minutes, seconds) cannot be used with resume"),
        ("--minutes 1 --from run", "a time limit (minutes, seconds) cannot be used with from"),
        ("--minutes soon", "--minutes must be a number, got 'soon'"),
    ],
)
def test_a_limit_that_cannot_be_used_is_refused_before_anything_is_written(
    here: Path, microgpt: Microgpt, options: str, message: str
) -> None:
    result = microgpt(f"train words.txt {options}")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert [path.name for path in here.iterdir()] == ["words.txt"]


@pytest.mark.usefixtures("fixed")
def test_a_preset_is_kept_and_the_time_decides_its_steps(here: Path, microgpt: Microgpt) -> None:
    result = microgpt("train words.txt --seconds 4 --preset first --out run")
    assert result.status == 0, result.err
    config = checkpoints.load(Path("run/model.safetensors")).config
    assert (config.activation, config.block_size) == ("relu2", 8)
    assert 1 < config.num_steps < 40


def test_the_advice_ends_with_a_command_that_works(here: Path, microgpt: Microgpt) -> None:
    result = microgpt(f"train words.txt {SMALL} --out run")
    last = result.err.splitlines()[-2]
    assert last.startswith("to improve it, train longer, because it read ")
    again = microgpt(f"{last.partition(': microgpt ')[2]} --out longer")
    assert again.status == 0
    assert checkpoints.load(Path("longer/model.safetensors")).config.num_steps > 12


def test_a_resumed_run_is_advised_to_resume(here: Path, microgpt: Microgpt, run: Path) -> None:
    result = microgpt("train --out run --resume --num-steps 14")
    assert ": microgpt train --out run --resume --num-steps " in result.err.splitlines()[-2]


def test_the_command_of_the_advice_names_only_what_differs_from_the_defaults(here: Path, microgpt: Microgpt) -> None:
    result = microgpt("train words.txt --preset first --num-steps 20 --engine auto --temperature 0.5")
    command = result.err.splitlines()[-2].partition(": microgpt ")[2]
    assert command.startswith(
        "train words.txt --block-size 8 --activation relu2 --init-std 0.02 --zero-init --bos-first"
    )
    assert "--temperature" not in command
    assert "--engine" not in command


def test_a_fine_tuned_run_keeps_its_size_in_the_advice(here: Path, microgpt: Microgpt, run: Path) -> None:
    result = microgpt("train words.txt --from run --num-steps 6 --out tuned")
    command = result.err.splitlines()[-2].partition(": microgpt ")[2]
    assert command.startswith("train words.txt --from run --num-steps 12")
    assert microgpt(f"{command} --out again").status == 0


@pytest.mark.parametrize("how", ["--quiet", "--json"])
def test_programs_get_no_advice(here: Path, microgpt: Microgpt, how: str) -> None:
    result = microgpt(f"train words.txt {SMALL} {how}")
    assert "to improve it" not in result.out + result.err


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        (["a b.txt", "c.txt"], {"n_embd": 32}, "microgpt train 'a b.txt' c.txt --n-embd 32"),
        ([], {"separator": "\n\n", "zero_init": False}, "microgpt train --separator '\\n\\n' --no-zero-init"),
        (["x"], {"separator": "--", "seed": -1, "out": None}, "microgpt train x --separator=-- --seed=-1"),
        (["x"], {"start_from": Path("runs/1"), "compile": True}, "microgpt train x --from runs/1 --compile"),
    ],
)
def test_a_command_can_be_pasted(files: list[str], options: dict[str, Any], expected: str) -> None:
    command = train_command(files, options)
    assert command == expected
    assert shlex.split(command)[:2] == ["microgpt", "train"]
