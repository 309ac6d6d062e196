"""The command line, as people and programs meet it: whole outputs, whole files, and one line for each mistake."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import microgpt as package
from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.cli import display, signals
from microgpt.cli import main as cli
from microgpt.config import PRESETS, Config
from microgpt.lab import server as lab_server
from microgpt.runs import checkpoint as checkpoints
from microgpt.schedule import learning_rate
from microgpt.system.safetensors import Tensor, write

from conftest import TINY, clean_environment

WORDS = ["anna", "bob", "carla", "dora", "emil", "fred", "gina", "hanna", "ida", "jan", "kim", "lea"]
SMALL = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 12"  # TINY, as options


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Microgpt = Callable[[str], Answer]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with words.txt in it."""
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("".join(word + "\n" for word in WORDS))
    return tmp_path


@pytest.fixture
def microgpt(capsys: pytest.CaptureFixture[str]) -> Microgpt:
    """`microgpt("train words.txt")` runs that command in this process."""

    def call(line: str) -> Answer:
        capsys.readouterr()
        status = cli.main(shlex.split(line))
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with words.txt, and in `run` a run that was trained on it. Not to be changed: see `run`."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "words.txt").write_text("".join(word + "\n" for word in WORDS))
    assert cli.main(["train", str(folder / "words.txt"), *SMALL.split(), "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def run(trained: Path, here: Path) -> Path:
    """A copy of the trained run; its training data is the words.txt of `trained`."""
    shutil.copytree(trained / "run", here / "run")
    return here / "run"


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its bytes, and the folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def strict_json(text: str) -> Any:
    """JSON as the standard has it, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def untimed(text: str) -> str:
    """A log without what depends on the clock."""
    return re.sub(r"\| [\d.,]+ steps/s \| \d+:\d\d left", "| TIME", text)


# --- The authority: the reference alone, in the order of the published script


class Reference:
    """The run of the reference's functions on these sequences of token ids, with losses, parameters and samples."""

    def __init__(self, sequences: Sequence[list[int]], tokenizer: reference.Tokenizer, config: Config) -> None:
        c = self.config = config
        self.tokenizer, self.rng = tokenizer, random.Random(c.seed)
        sequences = list(sequences)
        self.rng.shuffle(sequences)
        self.shapes = reference.shapes(len(tokenizer.symbols), c.n_embd, c.n_layer, c.block_size)
        self.state_dict = reference.init(self.shapes, self.rng, c.init_std)
        params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        m, v = [0.0] * len(params), [0.0] * len(params)
        self.num_params, self.losses, self.rates = len(params), [], []
        for step in range(c.num_steps):
            loss = self.loss(sequences[step % len(sequences)])
            loss.backward()
            self.rates.append(c.learning_rate * (1 - step / c.num_steps))
            reference.adam(params, m, v, step + 1, self.rates[-1], c.beta1, c.beta2, c.eps_adam)
            self.losses.append(loss.data)
        self.after_training = [self.sample(self.rng) for _ in range(20)]

    @classmethod
    def of_words(cls, config: Config = TINY) -> Reference:
        tokenizer = reference.Tokenizer(set("".join(WORDS)), config.bos_first)
        return cls([tokenizer.encode(word) for word in WORDS], tokenizer, config)

    def loss(self, tokens: list[int]) -> reference.Value:
        c = self.config
        return reference.loss(tokens, self.state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])

    def sample(self, rng: random.Random, temperature: float = TINY.temperature) -> str:
        c, bos = self.config, self.tokenizer.bos
        sizes = (c.n_layer, c.n_head, c.block_size)
        token_ids = reference.sample(self.state_dict, bos, rng, temperature, *sizes, ACTIVATIONS[c.activation])
        return str(self.tokenizer.decode(token_ids))

    def samples(self, n: int, seed: int = 42, temperature: float = TINY.temperature) -> list[str]:
        """What `microgpt sample` draws."""
        return [self.sample(random.Random(f"{seed}:{i}"), temperature) for i in range(n)]


@pytest.fixture(scope="module")
def truth() -> Reference:
    """What `trained` must be."""
    return Reference.of_words()


def numbered(texts: Sequence[str]) -> str:
    return "".join(f"sample {i + 1:2d}: {text}\n" for i, text in enumerate(texts))


# --- Help


def examples() -> list[tuple[str, str]]:
    """(command, example) of every help text."""
    found = []
    for command in cli.app.registered_commands:
        assert command.callback is not None
        lines = [line.strip() for line in (command.callback.__doc__ or "").splitlines()]
        found += [(command.callback.__name__, line) for line in lines if line.startswith("microgpt ")]
    return found


def help_text(microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, line: str) -> str:
    """Without colours, frames and line breaks."""
    monkeypatch.setenv("COLUMNS", "300")
    answer = microgpt(line)
    assert answer.status == 0
    return " ".join(re.sub(r"\x1b\[[\d;]*m|[│╭╮╰╯─]", " ", answer.out).split())


def test_every_example_of_every_help_text_runs(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pytest.importorskip("matplotlib", reason="one example draws: pip install 'microgpt-lab[plot]'")
    page = tmp_path_factory.mktemp("site")  # `microgpt lab` needs one; it would open it, and serve it until Ctrl-C
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


def test_the_version_is_the_packages(microgpt: Microgpt) -> None:
    assert microgpt("--version") == (0, package.__version__ + "\n", "")


def test_python_m_microgpt_is_the_command(here: Path) -> None:
    def outside(*args: str) -> Answer:
        command = [sys.executable, "-m", "microgpt", *args]
        done = subprocess.run(command, cwd=here, env=clean_environment(), capture_output=True, text=True)
        return Answer(done.returncode, done.stdout, done.stderr)

    assert outside("--version") == (0, package.__version__ + "\n", "")
    message = "error: no file 'nowhere.txt': give a text file, or a data set (names, makemore)\n"
    assert outside("train", "nowhere.txt") == (2, "", message)


# --- train: what it prints


def test_quiet_prints_the_20_samples_of_the_reference_and_nothing_else(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    answer = microgpt(f"train words.txt {SMALL} --quiet")
    assert answer == (0, numbered(truth.after_training), "")


def test_a_log_tells_the_run_its_steps_and_where_it_is_saved(here: Path, microgpt: Microgpt, truth: Reference) -> None:
    answer = microgpt(f"train words.txt {SMALL} --engine scalar --out first")
    mean, weight, steps = 0.0, 0.0, []
    for i, loss in enumerate(truth.losses):
        mean, weight = 0.98 * mean + 0.02 * loss, 0.98 * weight + 0.02
        steps.append(f"step {i + 1:4d} /   12 | loss {loss:.4f} | smoothed {mean / weight:.4f} | TIME")
    predicted = sum(len(word) + 1 for word in WORDS)
    unread = sum(max(0, len(word) + 1 - 4) for word in WORDS)
    assert answer.status == 0
    assert answer.out == numbered(truth.after_training)
    assert untimed(answer.err).splitlines() == [
        "num docs: 12",
        "vocab size: 17",
        f"num params: {truth.num_params}",
        f"data: {here / 'words.txt'}, {predicted - 12} tokens, 1 byte each",
        f"not read: {unread / predicted:.1%} of the tokens, which lie beyond block_size=4: a larger one reads more",
        *steps,
        "saved in first; more samples: microgpt sample first",
    ]


def test_json_prints_an_object_a_line_and_each_step_as_the_metrics_keep_it(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    answer = microgpt(f"train words.txt {SMALL} --json --out run")
    assert (answer.status, answer.err) == (0, "")
    begin, *steps, end = answer.out.splitlines()
    facts = strict_json(begin)
    assert facts == {**json.loads(Path("run/config.json").read_text()), "step": 0}
    assert steps == Path("run/metrics.jsonl").read_text().splitlines()
    assert strict_json(end) == {"samples": truth.after_training}


def test_json_of_a_text_with_held_out_documents_keeps_full_precision(here: Path, microgpt: Microgpt) -> None:
    answer = microgpt(f"train words.txt {SMALL} --json --out run --val-fraction 0.25 --validate-every 5")
    steps = [strict_json(line) for line in answer.out.splitlines()[1:-1]]
    assert steps == metrics(here / "run")
    assert [step["step"] for step in steps if "val_loss" in step] == [5, 10, 12]
    # what is shown at the end is what `evaluate` measures
    evaluated = strict_json(microgpt("evaluate run --json --num-samples 0").out)
    assert evaluated["model"]["loss"] == steps[-1]["val_loss"]
    assert evaluated["text"] == f"held-out part of {here / 'words.txt'}"
    assert evaluated["documents"] == 3


# --- train: what it leaves


def test_a_run_folder_holds_what_the_reference_computed(run: Path, truth: Reference, trained: Path) -> None:
    assert names(run) == ["config.json", "metrics.jsonl", "model.safetensors", "samples.txt"]
    words = trained / "words.txt"
    assert json.loads((run / "config.json").read_text()) == {
        "config": TINY.to_dict(),
        "data": {
            "source": str(words),
            "sha256": hashlib.sha256(words.read_bytes()).hexdigest(),
            "documents": "lines",
            "num_docs": 12,
            "val_fraction": 0.0,
        },
        "vocab_size": 17,
        "num_params": truth.num_params,
    }
    shuffled = list(WORDS)
    random.Random(42).shuffle(shuffled)
    assert metrics(run) == [
        {"step": i + 1, "loss": loss, "learning_rate": rate, "tokens": min(4, len(shuffled[i]) + 1)}
        for i, (loss, rate) in enumerate(zip(truth.losses, truth.rates))
    ]
    assert (run / "samples.txt").read_text() == numbered(truth.after_training)


def test_the_model_file_holds_the_references_parameters_for_the_safetensors_package(
    run: Path, truth: Reference
) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="the package safetensors reads the file")
    tensors = safetensors.load_file(run / "model.safetensors")
    for name, matrix in truth.state_dict.items():
        assert tensors[name].tolist() == [[p.data for p in row] for row in matrix], name
    names = set(truth.state_dict)
    assert set(tensors) == names | {f"adam_m.{n}" for n in names} | {f"adam_v.{n}" for n in names}


def test_runs_without_out_are_numbered(here: Path, microgpt: Microgpt) -> None:
    for number in ("1", "2", "3"):
        answer = microgpt(f"train words.txt {SMALL} --num-steps 1")
        assert answer.err.splitlines()[-1] == f"saved in runs/{number}; more samples: microgpt sample runs/{number}"
    assert names(Path("runs")) == ["1", "2", "3"]


def test_every_option_of_config_reaches_the_run(here: Path, microgpt: Microgpt) -> None:
    config = Config(
        n_embd=6,
        n_head=3,
        n_layer=2,
        block_size=3,
        activation="relu2",
        init_std=0.1,
        zero_init=True,
        bos_first=True,
        learning_rate=0.02,
        warmup_steps=1,
        decay="cosine",
        beta1=0.7,
        beta2=0.9,
        eps_adam=1e-7,
        clip=0.5,
        num_steps=2,
        batch_size=3,
        temperature=0.9,
        seed=7,
    )
    assert all(value != getattr(Config(), name) for name, value in config.to_dict().items())
    options = []
    for name, value in config.to_dict().items():
        option = "--" + name.replace("_", "-")
        options.append(option if value is True else f"{option} {value}")
    assert microgpt(f"train words.txt --out run {' '.join(options)}").status == 0
    assert json.loads(Path("run/config.json").read_text())["config"] == config.to_dict()


def test_a_preset_is_where_the_other_options_start_from(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt --out run --preset first {SMALL} --no-zero-init").status == 0
    expected = PRESETS["first"].replace(n_embd=4, n_head=2, block_size=4, num_steps=12, zero_init=False)
    assert json.loads(Path("run/config.json").read_text())["config"] == expected.to_dict()


def test_a_stream_is_read_in_windows_of_block_size(here: Path, microgpt: Microgpt) -> None:
    text = Path("words.txt").read_text()
    tokenizer = reference.Tokenizer(set(text))
    tokens = tokenizer.encode(text)
    windows = [tokens[i : i + 5] for i in range(0, len(tokens) - 1, 4)]
    expected = Reference(windows, tokenizer, TINY)
    answer = microgpt(f"train words.txt --documents stream {SMALL} --out run --json")
    assert [step["loss"] for step in metrics(here / "run")] == expected.losses
    assert strict_json(answer.out.splitlines()[-1]) == {"samples": expected.after_training}


def test_held_out_documents_are_not_trained_on(here: Path, microgpt: Microgpt) -> None:
    held_out = random.Random("42:val").sample(range(12), 3)
    tokenizer = reference.Tokenizer(set("".join(WORDS)))
    kept = [tokenizer.encode(word) for i, word in enumerate(WORDS) if i not in held_out]
    assert microgpt(f"train words.txt {SMALL} --val-fraction 0.25 --out run").status == 0
    assert [step["loss"] for step in metrics(here / "run")] == Reference(kept, tokenizer, TINY).losses


def test_micro_batches_and_frequent_checkpoints_change_nothing(here: Path, microgpt: Microgpt) -> None:
    options = f"train words.txt {SMALL} --batch-size 3"
    for out, more in (("plain", ""), ("micro", "--micro-batch-size 2"), ("often", "--checkpoint-every 1")):
        assert microgpt(f"{options} --out {out} {more}").status == 0
    assert Path("often/model.safetensors").read_bytes() == Path("plain/model.safetensors").read_bytes()
    plain, micro = (checkpoints.load(f"{out}/model.safetensors") for out in ("plain", "micro"))
    assert (micro.params, micro.m, micro.v) == (plain.params, plain.m, plain.v)
    assert micro.data == {**plain.data, "micro_batch_size": 2}
    assert Path("often/metrics.jsonl").read_bytes() == Path("plain/metrics.jsonl").read_bytes()


def test_clipping_warm_up_and_decay_are_settings_of_the_run(here: Path, microgpt: Microgpt) -> None:
    line = f"train words.txt {SMALL} --clip 0.5 --warmup-steps 3 --decay cosine --out run"
    assert microgpt(line).status == 0
    kept = checkpoints.load(here / "run" / "model.safetensors").config
    assert (kept.clip, kept.warmup_steps, kept.decay) == (0.5, 3, "cosine")
    rates = [metric["learning_rate"] for metric in metrics(here / "run")]
    assert rates[:3] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
    assert rates == [learning_rate(step, len(rates), 0.01, 3, "cosine") for step in range(len(rates))]
    assert microgpt("train --out run --resume --clip 0.5").status == 0
    refused = microgpt("train --out run --resume --decay linear")
    assert (refused.status, refused.err.splitlines()[-1]) == (
        2,
        "error: decay cannot change in a run, got decay='linear', the run has 'cosine': leave it out, or begin a new"
        " run",
    )


def test_threads_change_nothing(here: Path, microgpt: Microgpt) -> None:
    if microgpt(f"train words.txt {SMALL} --engine native --out native").status:
        pytest.skip("the native engine is not built")
    for threads in (1, 2):
        assert microgpt(f"train words.txt {SMALL} --batch-size 4 --threads {threads} --out {threads}").status == 0
    assert contents(here / "1") == contents(here / "2")
    for option in ("--resume", "--overwrite"):
        assert microgpt(f"train words.txt {SMALL} --batch-size 4 --threads 2 --out 1 {option}").status == 0
        assert contents(here / "1") == contents(here / "2")


def test_overwrite_leaves_what_a_new_run_leaves(run: Path, here: Path, microgpt: Microgpt) -> None:
    options = f"train words.txt {SMALL} --seed 3 --num-steps 5"
    assert microgpt(f"{options} --out new").status == 0
    assert microgpt(f"{options} --out run --overwrite").status == 0
    assert contents(run) == contents(here / "new")


# --- train: stopping and going on


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, signal.Signals], None]:
    """Send this process a signal when it has made a step (with --quiet)."""

    def arm(at: int, number: signal.Signals = signal.SIGINT) -> None:
        def step(self: object, step: Any) -> None:
            if step.step == at:
                signal.raise_signal(number)

        monkeypatch.setattr(display.Quiet, "step", step)

    return arm


LONG = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 600"  # about two seconds


PRESSED = """
import signal, sys
from microgpt.__main__ import main

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.exit(main())
"""


def test_ctrl_c_while_it_starts_is_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", PRESSED], env=clean_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: stopped\n")


WAITING = """  # the command, which waits after its third step
import sys
from microgpt.__main__ import main
from microgpt.runs.folder import Folder
train = Folder.train
def waits(*arguments, **options):
    for step in train(*arguments, **options):
        if step.step == 3:
            print("here", flush=True)
            sys.stdin.readline()
        yield step
Folder.train = waits
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_process_that_is_told_to_stop_says_the_command_that_goes_on_bit_for_bit(
    here: Path, microgpt: Microgpt, number: signal.Signals, status: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, "train", "words.txt", *LONG.split(), "--out", "stopped"],
        cwd=here,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    out, err = process.communicate("go on\n")
    assert (process.returncode, out) == (status, "")
    told = re.fullmatch(r"stopped and saved after step (\d+); go on with: microgpt (.*)", err.splitlines()[-1])
    assert told, err
    assert told[1] == "3"
    assert [step["step"] for step in metrics(here / "stopped")] == list(range(1, int(told[1]) + 1))

    again = microgpt(told[2])
    assert again.status == 0
    assert f"resumed after step {told[1]} of 600" in again.err
    uninterrupted = microgpt(f"train words.txt {LONG} --out whole --quiet")
    assert again.out == uninterrupted.out
    assert contents(here / "stopped") == contents(here / "whole")


@pytest.mark.parametrize("at", [1, 5, 11])
@pytest.mark.parametrize(
    ("out", "options"),
    [
        ("plain", ""),
        ("my run", ""),
        ("held-out", "--val-fraction 0.25"),
        ("often", "--val-fraction 0.25 --validate-every 3"),
        ("batches", "--batch-size 3 --micro-batch-size 2"),
        ("stream", "--documents stream"),
    ],
    ids=["plain", "a space in the name", "held out", "held out, measured often", "batches", "stream"],
)
def test_the_command_that_a_stopped_run_tells_leaves_what_an_uninterrupted_one_leaves(
    here: Path,
    microgpt: Microgpt,
    stop_at: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    out: str,
    options: str,
) -> None:
    command = f"train words.txt {SMALL} {options} --quiet --checkpoint-every 1"
    with monkeypatch.context() as here_only:
        expected = microgpt(f"{command} --out whole")
        assert expected.status == 0
        stop_at(at)
        stopped = microgpt(f"{command} --out {shlex.quote(out)}")
        here_only.undo()
    assert stopped.status == 130
    told = stopped.err.splitlines()[-1]
    assert told.startswith(f"stopped and saved after step {at}; go on with: microgpt train ")
    monkeypatch.setattr(display.Quiet, "step", lambda self, step: None)
    again = microgpt(told.partition("go on with: microgpt ")[2] + " --quiet")
    assert again == (0, expected.out, "")
    assert contents(here / out) == contents(here / "whole")


def test_a_run_that_is_stopped_at_its_last_step_is_complete(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None], truth: Reference
) -> None:
    stop_at(12)
    assert microgpt(f"train words.txt {SMALL} --quiet") == (0, numbered(truth.after_training), "")


def test_metrics_beyond_the_checkpoint_are_cut_back_when_a_run_goes_on(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process that was killed leaves: more metrics than its checkpoint knows of, the last line half written."""
    command = f"train words.txt {SMALL} --quiet --checkpoint-every 1"
    whole = microgpt(f"{command} --out whole")
    stop_at(4)
    assert microgpt(f"{command} --out killed").status == 130
    monkeypatch.setattr(display.Quiet, "step", lambda self, step: None)
    with Path("killed/metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "loss": 1.0, "learning_rate": 0.1, "tokens": 1}\n{"step": 6, "lo')
    assert microgpt("train --out killed --resume --quiet") == whole
    assert contents(here / "killed") == contents(here / "whole")


def test_the_first_signal_is_kept_and_the_second_acts_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[int] = []

    def twice() -> None:
        with signals.signals() as caught:
            signal.raise_signal(signal.SIGINT)
            seen.extend(caught)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_training_leaves_no_traceback_and_no_folder(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("microgpt.runs.training_data.load_data", interrupted)
    answer = microgpt(f"train words.txt {SMALL}")
    assert (answer.status, answer.out) == (130, "")
    assert answer.err.strip() in ("", "error: stopped")
    assert names(here) == ["words.txt"]


def test_a_complete_run_that_is_resumed_prints_its_samples_again_and_changes_nothing(
    run: Path, microgpt: Microgpt, truth: Reference
) -> None:
    before = contents(run)
    assert microgpt("train --out run --resume --quiet") == (0, numbered(truth.after_training), "")
    assert contents(run) == before


def test_a_complete_run_that_is_resumed_says_what_to_do(run: Path, microgpt: Microgpt) -> None:
    answer = microgpt("train --out run --resume")
    assert answer.status == 0
    assert answer.err.splitlines()[-2:] == [
        "already complete: all 12 steps are made; to go on, resume with a higher --num-steps",
        "saved in run; more samples: microgpt sample run",
    ]


def test_a_run_may_grow_and_its_learning_rate_is_recomputed_and_said(
    run: Path, microgpt: Microgpt, trained: Path
) -> None:
    before = metrics(run)
    answer = microgpt("train --out run --resume --num-steps 16")
    assert answer.status == 0
    assert untimed(answer.err).splitlines()[0] == (
        "num_steps: 12 -> 16; the learning rate is recomputed, to fall to 0 over all of them"
    )
    assert "resumed after step 12 of 16" in answer.err.splitlines()
    after = metrics(run)
    assert after[:12] == before
    assert [step["learning_rate"] for step in after[12:]] == [0.01 * (1 - s / 16) for s in range(12, 16)]
    assert json.loads((run / "config.json").read_text())["config"]["num_steps"] == 16


def test_a_run_may_shrink_to_the_steps_already_made(
    here: Path, microgpt: Microgpt, stop_at: Callable[[int], None]
) -> None:
    stop_at(5)
    assert microgpt(f"train words.txt {SMALL} --quiet --checkpoint-every 1 --out run").status == 130
    assert microgpt("train --out run --resume --num-steps 5 --quiet").status == 0
    assert len(metrics(here / "run")) == 5


def test_a_run_goes_on_with_its_data_at_another_place(run: Path, here: Path, microgpt: Microgpt) -> None:
    Path("words.txt").rename("moved.txt")
    assert microgpt("train moved.txt --out run --resume --num-steps 13").status == 0
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(here / "moved.txt")
    assert microgpt("info run --json").out.count(str(here / "moved.txt")) == 1


def test_settings_that_are_the_runs_own_may_be_repeated_when_it_goes_on(run: Path, microgpt: Microgpt) -> None:
    answer = microgpt(f"train words.txt {SMALL} --out run --resume --engine scalar --val-fraction 0 --documents lines")
    assert answer.status == 0


# --- train: what cannot go on


def test_a_run_that_diverges_says_so_and_its_last_checkpoint_loads(here: Path, microgpt: Microgpt) -> None:
    answer = microgpt(f"train words.txt {SMALL} --learning-rate 1e9 --out run --checkpoint-every 1")
    *_, last = answer.err.splitlines()
    assert answer.status == 1
    assert answer.out == ""
    assert re.match(  # nan or inf, as the engine's arithmetic has it
        r"error: the loss of step 2 is (nan|inf): begin a new run with a lower learning_rate=1000000000.0 or"
        r" init_std=0.08; the last checkpoint is whole",
        last,
    )
    assert [step["step"] for step in metrics(here / "run")] == [1]
    assert strict_json(microgpt("info run --json").out)["step"] == 1
    assert microgpt("sample run -n 3").status == 0


def test_the_last_checkpoint_of_a_run_that_diverged_can_be_evaluated(here: Path, microgpt: Microgpt) -> None:
    """Its loss is so high that its perplexity is no float."""
    assert microgpt(f"train words.txt {SMALL} --learning-rate 1e9 --out run --checkpoint-every 1").status == 1
    assert microgpt("evaluate run --num-samples 3").status == 0
    assert strict_json(microgpt("evaluate run --num-samples 3 --json").out)["model"]["loss"] > 1000


@pytest.mark.parametrize("init_std", ["1e200", "1e308"])
def test_initial_parameters_that_are_too_large_are_said_without_a_traceback(
    here: Path, microgpt: Microgpt, init_std: str
) -> None:
    answer = microgpt(f"train words.txt {SMALL} --init-std {init_std}")
    assert answer.status in (1, 2)
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert "init_std=1e+" in answer.err.splitlines()[-1]


# --- sample


def test_sample_draws_each_text_from_a_stream_of_its_own(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    answer = microgpt("sample run -n 30 --json")
    assert (answer.status, answer.err) == (0, "")
    assert [strict_json(line) for line in answer.out.splitlines()] == [
        {"text": text, "known": text in WORDS} for text in truth.samples(30)
    ]


@pytest.mark.parametrize(("seed", "temperature"), [(7, 0.5), (42, 2.0), (-1, 0.1)])
def test_sample_prints_what_the_reference_draws(
    run: Path, microgpt: Microgpt, truth: Reference, seed: int, temperature: float
) -> None:
    texts = truth.samples(20, seed, temperature)
    assert not set(texts) & set(WORDS)  # else they would be marked
    assert microgpt(f"sample run --seed {seed} --temperature {temperature}") == (0, numbered(texts), "")


def test_five_samples_are_the_first_five_of_eight(run: Path, microgpt: Microgpt) -> None:
    five, eight = (microgpt(f"sample run -n {n}").out.splitlines() for n in (5, 8))
    assert five == eight[:5]
    assert len(eight) == 8


def test_a_checkpoint_file_alone_can_write(run: Path, here: Path, microgpt: Microgpt) -> None:
    shutil.copy(run / "model.safetensors", "alone.safetensors")
    assert microgpt("sample alone.safetensors -n 5") == microgpt("sample run -n 5")


def test_temperature_0_writes_the_likeliest_text_every_time(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    c, keys, values = TINY, [[]], [[]]
    token_id, token_ids = truth.tokenizer.bos, []
    for pos_id in range(c.block_size):
        logits = [x.data for x in reference.gpt(token_id, pos_id, keys, values, truth.state_dict, c.n_head)]
        token_id = logits.index(max(logits))
        if token_id == truth.tokenizer.bos:
            break
        token_ids.append(token_id)
    expected = truth.tokenizer.decode(token_ids)
    for option in ("--temperature 0", "--top-k 1", "--temperature 0 --seed 5"):
        lines = microgpt(f"sample run -n 3 --json {option}").out.splitlines()
        assert [json.loads(line)["text"] for line in lines] == [expected] * 3


def test_a_prompt_begins_every_sample(run: Path, microgpt: Microgpt) -> None:
    lines = microgpt("sample run -n 10 --prompt an --json").out.splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert all(text.startswith("an") and len(text) <= 4 for text in texts)
    assert any(len(text) > 2 for text in texts)


def test_max_new_tokens_ends_a_sample(run: Path, microgpt: Microgpt) -> None:
    whole, short = (
        [json.loads(line)["text"] for line in microgpt(f"sample run --json {option}").out.splitlines()]
        for option in ("", "--max-new-tokens 2")
    )
    assert short == [text[:2] for text in whole]


def test_slide_goes_on_beyond_block_size(run: Path, microgpt: Microgpt) -> None:
    whole, slid = (
        [json.loads(line)["text"] for line in microgpt(f"sample run --temperature 1 --json {option}").out.splitlines()]
        for option in ("", "--slide --max-new-tokens 30")
    )
    assert [text[:4] for text in slid] == whole
    assert max(map(len, slid)) > 4
    longer = microgpt("sample run -n 1 --prompt annabob --slide --json")
    assert json.loads(longer.out)["text"].startswith("annabob")


def test_slide_alone_ends(run: Path, microgpt: Microgpt) -> None:
    """A model that never closes a document must end somewhere."""
    answer = microgpt("sample run -n 5 --slide --temperature 0 --json")
    assert answer.status == 0
    assert all(len(json.loads(line)["text"]) <= 40 for line in answer.out.splitlines())


def test_no_samples_are_no_output(run: Path, microgpt: Microgpt) -> None:
    assert microgpt("sample run -n 0") == (0, "", "")


@pytest.fixture
def parrot(here: Path, microgpt: Microgpt) -> Path:
    """A model that has learned to write its only words, a and b, and sometimes others."""
    Path("parrot.txt").write_text("a\nb\n")
    options = "--n-embd 4 --n-head 2 --block-size 3 --num-steps 20 --learning-rate 0.03"
    assert microgpt(f"train parrot.txt {options} --out parrot --quiet").status == 0
    return here / "parrot"


def test_samples_that_stand_in_the_training_data_are_marked(parrot: Path, microgpt: Microgpt) -> None:
    answer = microgpt("sample parrot -n 50 --temperature 2")
    texts = [json.loads(line) for line in microgpt("sample parrot -n 50 --temperature 2 --json").out.splitlines()]
    assert {text["known"] for text in texts} == {True, False}
    assert all(text["known"] == (text["text"] in ("a", "b")) for text in texts)
    width = max(len(f"sample {i + 1:2d}: {text['text']}") for i, text in enumerate(texts))
    expected = [f"sample {i + 1:2d}: {text['text']}" for i, text in enumerate(texts)]
    expected = [
        f"{line:{width}}  in the training data" if text["known"] else line for line, text in zip(expected, texts)
    ]
    assert answer.out.splitlines() == expected


def test_new_only_gives_the_same_samples_without_the_known_ones(parrot: Path, microgpt: Microgpt) -> None:
    def texts(options: str) -> list[str]:
        lines = microgpt(f"sample parrot --temperature 2 --json {options}").out.splitlines()
        return [json.loads(line)["text"] for line in lines]

    new = [text for text in texts("-n 100") if text not in ("a", "b")]
    assert len(new) >= 6
    assert texts("-n 6 --new-only") == new[:6]
    assert texts("-n 3 --new-only") == new[:3]


def test_new_only_gives_up_where_a_model_writes_nothing_new(parrot: Path, microgpt: Microgpt) -> None:
    answer = microgpt("sample parrot -n 2 --new-only --temperature 0")
    assert answer == (
        2,
        "",
        "error: only 0 of 200 samples are new: raise the temperature, or ask for fewer\n",
    )


def test_a_model_whose_data_has_moved_still_writes_and_says_so(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    with_data = microgpt("sample run -n 5 --seed 7")
    Path("words.txt").rename("moved.txt")
    note = (
        f"note: the training data are no longer at {str(here / 'words.txt')!r}: say where that text is now:"
        " --data FILE, or microgpt train FILE --resume; so no sample is compared with it\n"
    )
    assert microgpt("sample run -n 5 --seed 7") == (0, with_data.out, note)
    answer = microgpt("sample run -n 1 --json")
    assert json.loads(answer.out)["known"] is None
    assert answer.err == note
    refused = microgpt("sample run --new-only")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("error: the training data are no longer at ")
    assert microgpt("sample run -n 5 --seed 7 --data moved.txt") == with_data


def test_a_model_whose_data_has_changed_still_writes_and_says_so(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    Path("words.txt").write_text("anna\n")
    answer = microgpt("sample run -n 5")
    assert answer.status == 0
    assert re.fullmatch(
        r"note: '.*words\.txt' is not the text that the run was trained on \(SHA-256 [0-9a-f]{12}\.\.\., expected"
        r" [0-9a-f]{12}\.\.\.\): say where that text is now: --data FILE, or microgpt train FILE --resume; so no sample"
        r" is compared with it\n",
        answer.err,
    )


# --- evaluate


def expected_scores(truth: Reference, texts: Sequence[str]) -> dict[str, tuple[float, int]]:
    """(nats, tokens) by the reference's loss and by counting, over the part of each text that block_size reaches."""
    encode, vocab_size = truth.tokenizer.encode, len(truth.tokenizer.symbols)
    sequences = [encode(word) for word in WORDS]
    letters = Counter(t for tokens in sequences for t in tokens[1:])
    pairs = Counter(pair for tokens in sequences for pair in pairwise(tokens))
    firsts = Counter(t for tokens in sequences for t in tokens[:-1])
    nats = dict.fromkeys(("model", "letter pairs", "letters", "knowing nothing"), 0.0)
    count = 0
    for text in texts:
        tokens = encode(text)[:5]
        count += len(tokens) - 1
        nats["model"] += truth.loss(tokens).data * (len(tokens) - 1)
        for a, b in pairwise(tokens):
            nats["letter pairs"] -= math.log((pairs[a, b] + 1) / (firsts[a] + vocab_size))
            nats["letters"] -= math.log((letters[b] + 1) / (letters.total() + vocab_size))
            nats["knowing nothing"] -= math.log(1 / vocab_size)
    return {name: (value, count) for name, value in nats.items()}


def table(scores: dict[str, tuple[float, int]]) -> str:
    lines = ["                  nats/token  bits/character  perplexity"]
    for name, (nats, tokens) in scores.items():
        loss = nats / tokens
        lines.append(f"{name:16}{loss:12.4f}{loss * math.log2(math.e):16.4f}{math.exp(loss):12.2f}")
    return "".join(line + "\n" for line in lines)


def test_evaluate_shows_the_model_beside_what_counting_reaches(
    run: Path, microgpt: Microgpt, truth: Reference, trained: Path
) -> None:
    scores = expected_scores(truth, WORDS)
    samples = truth.samples(30)
    new = sum(text not in WORDS for text in samples)
    assert microgpt("evaluate run --num-samples 30") == (
        0,
        f"training data {trained / 'words.txt'}: 12 of 12 documents, {scores['model'][1]} tokens\n\n"
        f"{table(scores)}\nof 30 samples {new} are new, {len(set(samples))} are distinct\n",
        "",
    )


def test_evaluate_reads_another_text_and_only_a_part_of_it_if_asked(
    run: Path, microgpt: Microgpt, truth: Reference
) -> None:
    Path("other.txt").write_text("bach\nhaendel\n\ngabrieli\r\nida\n")
    scores = expected_scores(truth, ["bach", "gabrieli"])
    assert microgpt("evaluate run other.txt --limit 2 --num-samples 0") == (
        0,
        f"other.txt: 2 of 4 documents, {scores['model'][1]} tokens\n\n{table(scores)}",
        "",
    )


def test_evaluate_as_json_has_the_same_facts_in_full_precision(
    run: Path, microgpt: Microgpt, truth: Reference, trained: Path
) -> None:
    answer = microgpt("evaluate run --json --num-samples 10 --seed 3 --limit 5")
    facts = strict_json(answer.out)
    chosen = [WORDS[i * 12 // 5] for i in range(5)]
    scores = expected_scores(truth, chosen)
    samples = truth.samples(10, seed=3)
    assert (answer.status, answer.err) == (0, "")
    for name, (nats, tokens) in scores.items():
        score = facts.pop(name.replace(" ", "_"))
        assert score["loss"] == pytest.approx(nats / tokens, rel=1e-12)
        assert score["bits_per_character"] == pytest.approx(nats / tokens / math.log(2), rel=1e-12)
        assert score["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-12)
    assert facts == {
        "text": f"training data {trained / 'words.txt'}",
        "documents": 5,
        "tokens": scores["model"][1],
        "samples": 10,
        "distinct": len(set(samples)),
        "new": sum(text not in WORDS for text in samples),
    }


def test_evaluate_without_the_training_data_leaves_the_counts_out(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    Path("words.txt").rename("moved.txt")
    scores = expected_scores(truth, WORDS)
    samples = truth.samples(30)
    answer = microgpt("evaluate run moved.txt --num-samples 30")
    assert (answer.status, answer.err.count("\n")) == (0, 1)
    assert answer.err.startswith(f"note: the training data are no longer at {str(here / 'words.txt')!r}")
    assert answer.out == (
        f"moved.txt: 12 of 12 documents, {scores['model'][1]} tokens\n\n"
        f"{table({name: scores[name] for name in ('model', 'knowing nothing')})}"
        f"\nof 30 samples {len(set(samples))} are distinct\n"
    )
    refused = microgpt("evaluate run")
    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)


# --- info and plot


def test_info_tells_what_a_run_is(run: Path, microgpt: Microgpt, trained: Path) -> None:
    words = trained / "words.txt"
    digest = json.loads((run / "config.json").read_text())["data"]["sha256"]
    assert microgpt("info run") == (
        0,
        f"""\
run: 12 of 12 steps

settings
n_embd         4
n_head         2
n_layer        1
block_size     4
activation     relu
init_std       0.08
zero_init      False
bos_first      False
learning_rate  0.01
warmup_steps   0
decay          linear
beta1          0.85
beta2          0.99
eps_adam       1e-08
clip           0.0
num_steps      12
batch_size     1
temperature    0.5
seed           42

data
source        {words}
sha256        {digest}
documents     lines
num_docs      12
val_fraction  0.0
vocab_size    17

parameters
wte             17 x 4   68
wpe              4 x 4   16
lm_head         17 x 4   68
layer0.attn_wq   4 x 4   16
layer0.attn_wk   4 x 4   16
layer0.attn_wv   4 x 4   16
layer0.attn_wo   4 x 4   16
layer0.mlp_fc1  16 x 4   64
layer0.mlp_fc2  4 x 16   64
in all                  344
""",
        "",
    )


def test_info_as_json_has_the_same_facts(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    answer = microgpt("info run --json")
    assert (answer.status, answer.err, answer.out.count("\n")) == (0, "", 1)
    kept = json.loads((run / "config.json").read_text())
    assert strict_json(answer.out) == {
        **kept,
        "step": 12,
        "symbols": [*sorted(set("".join(WORDS))), ""],
        "shapes": {name: list(shape) for name, shape in truth.shapes.items()},
    }


def test_info_tells_what_prepared_data_are(here: Path, microgpt: Microgpt) -> None:
    prepared = strict_json(microgpt("prepare words.txt -o data --json").out)
    assert strict_json(microgpt("info data --json").out) == prepared
    status, out, err = microgpt("info data")
    assert (status, err) == (0, "")
    facts = {name: value for name, value in prepared.items() if name != "files"}
    facts["tokens"] = f"{facts['tokens']:,}"
    rows = [("data", ""), ("files", Path("words.txt").resolve()), *facts.items()]
    assert out == "data: prepared data\n\n" + "".join(f"{name:14}  {value}".rstrip() + "\n" for name, value in rows)


def test_info_needs_no_data(run: Path, here: Path, microgpt: Microgpt) -> None:
    assert microgpt("train words.txt --resume --out run").status == 0  # the data is here now
    told = microgpt("info run").out
    Path("words.txt").unlink()
    assert microgpt("info run") == (0, told, "")


def test_plot_draws_and_says_where(run: Path, microgpt: Microgpt) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'microgpt-lab[plot]'")
    assert microgpt("plot run run -o both.png --smoothing 5") == (0, "", "wrote both.png\n")
    assert Path("both.png").read_bytes().startswith(b"\x89PNG")


# --- Bad input: status 2, one line that names argument, value and remedy, and nothing on the disk has changed


@pytest.fixture
def shelf(run: Path, here: Path) -> Path:
    """The current folder with a run and much that is none."""
    Path("empty.txt").write_bytes(b"")
    Path("blank.txt").write_text("\n  \n\t\n")
    Path("binary.txt").write_bytes(b"ab\0c\n")
    Path("latin1.txt").write_bytes("anna\nrené\n".encode("latin-1"))
    Path("other.txt").write_text("anna\nbob\n")
    Path("xyz.txt").write_text("xyz\n")
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text('{"name": "not ours"}\n')
    shutil.copytree(run, "cut")
    Path("cut/model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:1000])
    return here


UNKNOWN_RUN = "give the folder of a run (microgpt train --out), or a checkpoint"
IN_A_RUN = "leave it out, or begin a new run"
NUMBER = "must be a finite number of at least 0, got"
REFUSED = {
    # the text
    "train nowhere.txt": "no file 'nowhere.txt': give a text file, or a data set (names, makemore)",
    "train empty.txt": "'empty.txt' is empty: give a text with at least one document, one a line",
    "train blank.txt": "'blank.txt' is empty: give a text with at least one document, one a line",
    "train empty.txt --documents stream": ("'empty.txt' is empty: give a text with at least one document, one a line"),
    "train binary.txt": "'binary.txt' is not a text: a zero byte at offset 2; give a text file in UTF-8",
    "train latin1.txt": (
        "'latin1.txt' is not UTF-8: byte 0xe9 at offset 8; save it as UTF-8, or convert it (iconv -f LATIN1 -t UTF-8)"
    ),
    "train foreign": "'foreign' is a folder: give a text file",
    # the settings
    "train words.txt --n-embd 6 --n-head 4": (
        "n_embd must be a multiple of n_head, got n_embd=6, n_head=4 (try n_embd=8)"
    ),
    "train words.txt --n-embd 0": "n_embd must be at least 1, got n_embd=0",
    "train words.txt --n-head 0": "n_head must be at least 1, got n_head=0",
    "train words.txt --n-layer 0": "n_layer must be at least 1, got n_layer=0",
    "train words.txt --block-size -3": "block_size must be at least 1, got block_size=-3",
    "train words.txt --num-steps 0": "num_steps must be at least 1, got num_steps=0",
    "train words.txt --batch-size 0": "batch_size must be at least 1, got batch_size=0",
    "train words.txt --temperature -1": f"temperature {NUMBER} temperature=-1.0",
    "train words.txt --temperature nan": f"temperature {NUMBER} temperature=nan",
    "train words.txt --learning-rate inf": f"learning_rate {NUMBER} learning_rate=inf",
    "train words.txt --init-std -0.1": f"init_std {NUMBER} init_std=-0.1",
    "train words.txt --beta1 1": "beta1 must be at least 0 and less than 1, got beta1=1.0",
    "train words.txt --beta2 -0.5": "beta2 must be at least 0 and less than 1, got beta2=-0.5",
    "train words.txt --eps-adam 0": "eps_adam must be a finite number above 0, got eps_adam=0.0",
    "train words.txt --activation gelu": "activation must be one of relu, relu2, got activation='gelu'",
    "train words.txt --preset last": (
        "preset must be one of final, first, baby, baby-cpu, gpt2-small, gpt2-medium, gpt2-large, gpt2-xl, got"
        " preset='last'"
    ),
    "train words.txt --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    "train words.txt --documents pages": "documents must be one of lines, stream, got documents='pages'",
    "train words.txt --val-fraction 1": "val_fraction must be at least 0 and less than 1, got val_fraction=1.0",
    "train words.txt --val-fraction -0.1": "val_fraction must be at least 0 and less than 1, got val_fraction=-0.1",
    "train words.txt --val-fraction 0.01": (
        "val_fraction=0.01 of 12 documents leaves none to train on or none to hold out: choose another fraction, or"
        " give more documents"
    ),
    "train words.txt --micro-batch-size 2": "micro_batch_size must be from 1 to batch_size=1, got micro_batch_size=2",
    "train words.txt --micro-batch-size 0": "micro_batch_size must be from 1 to batch_size=1, got micro_batch_size=0",
    f"train words.txt {SMALL} --out run --overwrite --micro-batch-size 2": (
        "micro_batch_size must be from 1 to batch_size=1, got micro_batch_size=2"
    ),
    # the folder
    "train words.txt --out run": (
        "out='run' holds a run already: add --resume to go on with it, --overwrite to replace it, or give another"
        " folder"
    ),
    "train words.txt --out foreign": "out='foreign' holds 'config.json', which is not a run's: give another folder",
    "train words.txt --out foreign --overwrite": (
        "out='foreign' holds 'config.json', which is not a run's: give another folder"
    ),
    "train words.txt --out words.txt": "out='words.txt' is a file: give a folder",
    "train words.txt --out words.txt/run": (
        "cannot write to out='words.txt/run': Not a directory; give another folder"
    ),
    "train nowhere.txt --out run --overwrite": (
        "no file 'nowhere.txt': give a text file, or a data set (names, makemore)"
    ),
    "train words.txt --engine scalar --threads 2": (
        "threads must be 1 with the scalar engine, got threads=2: the native engine takes more"
    ),
    "train words.txt --engine scalar --threads 0": (
        "threads must be 1 with the scalar engine, got threads=0: the native engine takes more"
    ),
    "train words.txt --quiet --json": "quiet and json exclude each other: leave one of them out",
    # going on
    "train words.txt --resume": "resume needs the folder of the run: add --out DIR",
    "train --resume --out nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "train --resume --out foreign": f"'foreign' has no model.safetensors: it is not a run folder; {UNKNOWN_RUN}",
    "train other.txt --resume --out run": (
        "'other.txt' is not the text that the run was trained on (SHA-256 {other}..., expected {words}...): give that"
        " text, or begin a new run"
    ),
    "train nowhere.txt --resume --out run": "no file 'nowhere.txt': give a text file, or a data set (names, makemore)",
    "train --resume --out run --n-embd 8": f"n_embd cannot change in a run, got n_embd=8, the run has 4: {IN_A_RUN}",
    "train --resume --out run --seed 1": f"seed cannot change in a run, got seed=1, the run has 42: {IN_A_RUN}",
    "train --resume --out run --activation relu2": (
        f"activation cannot change in a run, got activation='relu2', the run has 'relu': {IN_A_RUN}"
    ),
    "train --resume --out run --val-fraction 0.5": (
        f"val_fraction cannot change in a run, got val_fraction=0.5, the run has 0.0: {IN_A_RUN}"
    ),
    "train --resume --out run --documents stream": (
        f"documents cannot change in a run, got documents='stream', the run has 'lines': {IN_A_RUN}"
    ),
    "train --resume --out run --num-steps 11": (
        "num_steps must be at least the 12 steps already made, got num_steps=11"
    ),
    "train --resume --out run --num-steps 20 --micro-batch-size 2": (
        "micro_batch_size must be from 1 to batch_size=1, got micro_batch_size=2"
    ),
    "train --resume --out run --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    # using a run
    "sample nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "sample foreign": f"'foreign' has no model.safetensors: it is not a run folder; {UNKNOWN_RUN}",
    "sample cut": (
        "'cut/model.safetensors' is not a microgpt checkpoint, or is damaged: the header is said to take {header}"
        " bytes, but only 992 follow; give another one, or train again"
    ),
    "sample empty.txt": (
        "'empty.txt' is not a microgpt checkpoint, or is damaged: a file has at least 8 bytes, this one has 0; give"
        " another one, or train again"
    ),
    "sample run --temperature -0.5": f"temperature {NUMBER} temperature=-0.5",
    "sample run --temperature nan": f"temperature {NUMBER} temperature=nan",
    "sample run --top-k 0": "top_k must be from 1 to the vocabulary's 17 tokens, got top_k=0",
    "sample run --top-k 18": "top_k must be from 1 to the vocabulary's 17 tokens, got top_k=18",
    "sample run --max-new-tokens 0": "max_new_tokens must be at least 1, got max_new_tokens=0",
    "sample run --prompt anz": (
        "prompt has the character 'z', which the model has never seen, got prompt='anz': use its own characters"
        " (abcdefghijklmnor)"
    ),
    "sample run --prompt anna": (
        "prompt must be shorter than block_size=4 tokens, got 4: shorten it, or let the context slide (slide=True,"
        " --slide)"
    ),
    "sample run --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    "evaluate nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "evaluate run nowhere.txt": "no file 'nowhere.txt': give a text file, or a data set (names, makemore)",
    "evaluate run empty.txt": "'empty.txt' is empty: give a text with at least one document, one a line",
    "info nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "plot foreign": "'foreign' has no metrics.jsonl: give the folder of a run (microgpt train --out)",
    "plot nowhere": "'nowhere' has no metrics.jsonl: give the folder of a run (microgpt train --out)",
    "plot run -o loss.xyz": "output must end in one of .svg, .png, .pdf, got 'loss.xyz'",
    "plot run --smoothing 0": "smoothing must be at least 1 step, got smoothing=0",
}


@pytest.mark.parametrize("line", REFUSED, ids=list(REFUSED))
def test_what_makes_no_sense_is_refused_in_one_line_and_changes_nothing(
    line: str, shelf: Path, microgpt: Microgpt
) -> None:

    from microgpt.engines.choose import ENGINES

    facts = {
        "here": str(shelf),
        "engines": ", ".join(ENGINES),
        "header": int.from_bytes((shelf / "run" / "model.safetensors").read_bytes()[:8], "little"),
        **{n: hashlib.sha256((shelf / f"{n}.txt").read_bytes()).hexdigest()[:12] for n in ("other", "words")},
    }
    before = contents(shelf)
    answer = microgpt(line)
    # what was said before the mistake was found is no harm
    assert answer.err.splitlines()[-1] == f"error: {REFUSED[line].format(**facts)}"
    assert (answer.status, answer.out) == (2, "")
    after = contents(shelf)
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("train words.txt --n-embed 8", ["--n-embed"]),
        ("train words.txt --n-embd sixteen", ["--n-embd", "sixteen"]),
        ("train words.txt --n-embd 1.5", ["--n-embd", "1.5"]),
        ("train words.txt --learning-rate fast", ["--learning-rate", "fast"]),
        ("train words.txt --zero-init=maybe", ["--zero-init"]),
        ("train words.txt --checkpoint-every -1", ["--checkpoint-every", "-1"]),
        ("train words.txt --validate-every 0", ["--validate-every", "0"]),
        ("train words.txt more.txt", ["more.txt"]),
        ("train words.txt --out", ["--out"]),
        ("sample", ["RUN"]),
        ("sample run -n -1", ["-n", "-1"]),
        ("sample run -n many", ["-n", "many"]),
        ("evaluate run --limit -1", ["--limit", "-1"]),
        ("plot", ["RUN"]),
        ("dream", ["dream"]),
    ],
)
def test_what_cannot_be_parsed_is_refused_in_one_line_that_names_it(
    line: str, named: list[str], shelf: Path, microgpt: Microgpt
) -> None:
    """The words are the parser's own, and change with its version."""
    before = contents(shelf)
    answer = microgpt(line)
    assert (answer.status, answer.out) == (2, "")
    assert re.fullmatch(r"error: .*\n", answer.err)
    assert [name for name in named if name not in answer.err] == []
    assert contents(shelf) == before


def test_a_text_with_characters_that_the_model_has_never_seen_is_refused_with_a_remedy(
    shelf: Path, microgpt: Microgpt
) -> None:
    before = contents(shelf)
    for line in ("train xyz.txt --resume --out run", "evaluate run xyz.txt"):
        answer = microgpt(line)
        assert (answer.status, answer.out) == (2, "")
        told = re.fullmatch(
            r"error: .*xyz\.txt' has characters that the model has never seen: 'x' 'y' 'z'(.*)\n", answer.err
        )
        assert told, answer.err
        assert re.search("give|use|begin|train", told[1]), "what should one do?"
    assert contents(shelf) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_folder_that_cannot_be_made_is_refused(here: Path, microgpt: Microgpt) -> None:
    answer = microgpt(f"train words.txt {SMALL} --out /proc/run")
    message = "error: cannot write to out='/proc/run': No such file or directory; give another folder\n"
    assert answer == (2, "", message)


def test_a_file_that_may_not_be_read_is_refused(
    shelf: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def forbidden(self: Path, *args: Any, **options: Any) -> Any:
        if self.name in ("words.txt", "model.safetensors"):
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **options)

    before = contents(shelf)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", forbidden)
        text, model = microgpt("train words.txt"), microgpt("info run")
    assert text == (2, "", "error: cannot read 'words.txt': Permission denied; give a text file that you may read\n")
    assert (model.status, model.out) == (2, "")
    assert re.fullmatch(r"error: .*run/model\.safetensors.*Permission denied.*\n", model.err)
    assert contents(shelf) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_text_that_fails_while_it_is_read_is_named(here: Path, microgpt: Microgpt) -> None:
    """/proc/self/mem opens, but has nothing at its beginning."""
    answer = microgpt("train /proc/self/mem")
    assert (answer.status, answer.out) == (2, "")
    assert re.fullmatch(r"error: .*'?/proc/self/mem'?.*Input/output error.*\n", answer.err)


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/stdin on Windows")
def test_a_text_from_a_pipe_is_read_or_refused_in_one_line(here: Path) -> None:
    """A pipe can be read only once: `zcat words.gz | microgpt train /dev/stdin`."""
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", "train", "/dev/stdin", *SMALL.split(), "--quiet"],
        cwd=here,
        env=clean_environment(),
        input="".join(word + "\n" for word in WORDS),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
    if done.returncode:
        assert re.fullmatch(r"error: .*/dev/stdin.*\n", done.stderr)
        assert names(here) == ["words.txt"]
    else:
        assert done.stdout == numbered(Reference.of_words().after_training)


def test_a_model_of_another_program_is_not_replaced(shelf: Path, microgpt: Microgpt) -> None:
    """Other programs' folders hold a config.json and a model.safetensors too."""
    write("foreign/model.safetensors", {"weight": Tensor("F32", (1,), bytes(4))}, {"format": "pt"})
    before = contents(shelf)
    for more in ("", "--overwrite", "--resume"):
        answer = microgpt(f"train words.txt {SMALL} --out foreign {more}")
        assert (answer.status, answer.out, answer.err.count("\n")) == (2, "", 1)
        assert "foreign" in answer.err
        assert contents(shelf) == before


def test_a_damaged_run_may_be_replaced(shelf: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out cut --overwrite").status == 0
    assert microgpt("info cut").status == 0


def test_a_checkpoint_file_is_no_folder_to_go_on_in(shelf: Path, microgpt: Microgpt) -> None:
    before = contents(shelf)
    answer = microgpt("train --resume --out run/model.safetensors --num-steps 13")
    assert (answer.status, answer.out) == (2, "")
    assert re.fullmatch(r"error: out='run/model\.safetensors' .*\n", answer.err)
    assert contents(shelf) == before


@pytest.mark.parametrize("length", [0, 7, 8, 100, 5000, -1])
def test_a_checkpoint_that_is_cut_anywhere_is_refused_by_every_command(
    run: Path, here: Path, microgpt: Microgpt, length: int
) -> None:
    model = run / "model.safetensors"
    model.write_bytes(model.read_bytes()[:length])
    before = contents(here)
    for command in ("sample run", "evaluate run", "info run", "train --resume --out run"):
        answer = microgpt(command)
        assert (answer.status, answer.out) == (2, "")
        assert re.fullmatch(
            r"error: 'run/model\.safetensors' is not a microgpt checkpoint, or is damaged: .*; give another one, or"
            r" train again\n",
            answer.err,
        )
    assert contents(here) == before


def test_plot_without_matplotlib_says_what_to_install(
    run: Path, here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert microgpt("plot run") == (2, "", "error: plot needs matplotlib: pip install matplotlib\n")
    assert not Path("loss.svg").exists()


@pytest.mark.parametrize("temperature", ["1e-308", "1e-320"])
def test_a_temperature_of_almost_nothing_is_greedy_or_refused(run: Path, microgpt: Microgpt, temperature: str) -> None:
    answer = microgpt(f"sample run -n 3 --temperature {temperature}")
    if answer.status == 0:
        assert answer.out == microgpt("sample run -n 3 --temperature 0").out
    else:
        assert (answer.status, answer.out) == (2, "")
        assert re.fullmatch(r"error: temperature .* got temperature=.*\n", answer.err)


# --- A reader that goes away


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
@pytest.mark.parametrize(
    "line",
    ["sample run -n 50", "sample run --json", "evaluate run --num-samples 2", "info run", "--help", "--version"],
)
def test_a_broken_pipe_is_no_traceback(line: str, run: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", *line.split()],
        env=clean_environment(),
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise on Windows")
def test_training_whose_output_nobody_reads_leaves_a_whole_checkpoint(here: Path, microgpt: Microgpt) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", "train", "words.txt", *SMALL.split(), "--json", "--out", "run"],
        env=clean_environment(),
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writes)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert microgpt("train --resume --out run --quiet").status == 0
    assert len(metrics(here / "run")) == 12
