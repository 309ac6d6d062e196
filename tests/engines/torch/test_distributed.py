"""Training with torchrun: several processes give the run of one, and the run can be resumed if one of them dies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.config import init, num_params
from microgpt.engines.choose import open_engine
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run
from microgpt.system.locks import Lock
from microgpt.system.text import size

from conftest import TINY, clean_environment

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
        reason="this PyTorch has no process groups",
    ),
]

WORDS = ["anna", "bob", "carla", "dora", "emil", "frida", "gerd", "hanna", "ida", "jan"]
CONFIG = TINY.replace(n_embd=8, n_layer=2, num_steps=24, batch_size=4, clip=0.8, weight_decay=1.5)
SETTINGS = ("n_embd", "n_head", "n_layer", "block_size", "num_steps", "batch_size", "clip", "weight_decay")
OPTIONS = [text for name in SETTINGS for text in (f"--{name.replace('_', '-')}", str(getattr(CONFIG, name)))]
ENOUGH = 300.0  # seconds, on a busy machine


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("".join(f"{word}\n" for word in WORDS))
    return tmp_path


def torchrun(count: int, *arguments: str) -> subprocess.Popen[str]:
    """Start `torchrun --nproc-per-node count -m microgpt train arguments` on the CPU, in float64."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    command += ["-m", "microgpt", "train", *arguments, "--device", "cpu", "--precision", "float64"]
    environment = {**clean_environment(), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def alone(out: Path, *options: str) -> list[dict[str, object]]:
    """Train the same run with one process, and return its metrics."""
    line = ["train", "words.txt", *OPTIONS, *options, "--out", str(out), "--engine", "torch", "--precision", "float64"]
    assert cli.main(line) == 0
    return read_metrics(out / "metrics.jsonl")


def assert_same_run(expected: Path, got: Path) -> None:
    """Compare all numbers of the metrics and checkpoints of two folders to 1e-9, and their samples."""
    one, many = (read_metrics(folder / "metrics.jsonl") for folder in (expected, got))
    assert [line.keys() for line in one] == [line.keys() for line in many]
    for a, b in zip(one, many):
        assert b == pytest.approx(a, rel=0, abs=1e-9)
    first, second = (Run.load(folder, engine="scalar") for folder in (expected, got))
    for name in ("params", "m", "v"):
        assert list(getattr(second.engine, name)) == pytest.approx(list(getattr(first.engine, name)), rel=0, abs=1e-9)
    assert second.rng.getstate() == first.rng.getstate()
    assert (expected / "samples.txt").read_text() == (got / "samples.txt").read_text()


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_learn_what_one_process_learns(count: int, here: Path) -> None:
    alone(here / "one", "--val-fraction", "0.3")
    process = torchrun(count, "words.txt", *OPTIONS, "--val-fraction", "0.3", "--out", "many")
    out, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    assert_same_run(here / "one", here / "many")
    assert out == (here / "one" / "samples.txt").read_text()  # only the first process prints them
    assert err.count("num params: ") == 1
    assert f"engine: {count} processes, each torch float64 on cpu" in err
    assert sorted(path.name for path in here.iterdir()) == ["many", "one", "words.txt"]


@pytest.mark.parametrize("count", [2, 3])
def test_sharded_moments_do_not_change_the_run(count: int, here: Path) -> None:
    """With 3 processes the shards need padding; the checkpoints during training gather the shards."""
    sizes = ["--batch-size", "6", "--block-size", "5"]
    alone(here / "one", *sizes)
    assert Run.load("one", engine="scalar").num_params % 6 == 2
    process = torchrun(count, "words.txt", *OPTIONS, *sizes, "--shard", "--checkpoint-every", "7", "--out", "many")
    _, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    assert_same_run(here / "one", here / "many")
    padded = Run.load("one", engine="scalar").num_params + (count == 3)  # one more number makes 3 equal parts
    assert f"memory: {size(8 * (2 * padded + 2 * padded / count))} for parameters" in err


def test_processes_also_share_accumulated_micro_batches(here: Path) -> None:
    alone(here / "one")
    process = torchrun(2, "words.txt", *OPTIONS, "--micro-batch-size", "1", "--out", "many")
    _, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    assert_same_run(here / "one", here / "many")


def test_a_run_can_be_resumed_with_another_number_of_processes(here: Path) -> None:
    alone(here / "one")
    folder = Folder.create("many", Run.begin("words.txt", CONFIG, engine="torch", precision="float64"))
    for step in folder.train():
        if step.step == 9:
            folder.save()
            break
    folder.close()
    process = torchrun(2, "--out", "many", "--resume")
    _, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    assert_same_run(here / "one", here / "many")


def ranks(agent: int) -> dict[int, int]:
    """Return the processes that torchrun has started: rank -> process id."""
    found = {}
    for pid in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
        facts = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        found |= {int(fact[5:]): int(pid) for fact in facts if fact.startswith(b"RANK=")}
    return found


@pytest.fixture
def training(here: Path) -> Iterator[subprocess.Popen[str]]:
    """Two processes in the middle of a long training run that saves checkpoints."""
    if not Path("/proc/self/task").exists():
        pytest.skip("only Linux lists the children of a process")
    process = torchrun(2, "words.txt", *OPTIONS, "--num-steps", "1000000", "--checkpoint-every", "50", "--out", "many")
    metrics = here / "many" / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 100):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def test_a_process_that_dies_ends_the_others_and_the_run_can_be_resumed(
    training: subprocess.Popen[str], here: Path
) -> None:
    os.kill(ranks(training.pid)[1], signal.SIGKILL)
    _, err = training.communicate(timeout=ENOUGH)  # PyTorch itself waits 30 minutes
    assert training.returncode != 0
    start = "error: another process in this training run has stopped"
    [line] = [line for line in err.splitlines() if line.startswith(start)]
    assert line.endswith(
        "; the last checkpoint is intact; resume with: torchrun --nproc-per-node 2 -m microgpt train --out many"
        " --resume --engine torch --precision float64 --device cpu"
    )
    state = Run.load("many", engine="scalar")
    assert state.step >= 50
    assert state.step % 50 == 0
    end = str(state.step + 30)
    process = torchrun(2, "--out", "many", "--resume", "--num-steps", end)
    _, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    assert [line["step"] for line in read_metrics(here / "many" / "metrics.jsonl")] == list(range(1, int(end) + 1))


def test_a_request_to_stop_reaches_all_processes_and_saves_the_run(training: subprocess.Popen[str], here: Path) -> None:
    training.terminate()
    _, err = training.communicate(timeout=ENOUGH)
    [line] = [line for line in err.splitlines() if line.startswith("stopped and saved after step ")]
    step = int(line.split()[5].rstrip(";"))
    assert Run.load("many", engine="scalar").step == step
    assert len(read_metrics(here / "many" / "metrics.jsonl")) == step


STUCK = """
import time
from microgpt.cli import signals
from microgpt.config import Config
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
signals.GRACE = 1.0
run = Run.begin(["anna"], Config(n_embd=4, n_head=2), engine="scalar")
run.engine.world_size = 2
folder = Folder.create("many", run)
with signals.signals(), signals.not_waiting_for_the_dead(folder):
    print("waiting", flush=True)
    time.sleep(1000)  # a signal handler does not end it
"""


def test_a_process_that_waits_for_a_dead_one_can_be_terminated(here: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.terminate()
    _, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 1
    message = "error: stopped while waiting for another process; the last checkpoint is intact; resume with: torchrun "
    assert err.startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--batch-size", "3"],
            "batch_size must be a multiple of the number of processes (2), got batch_size=3 (try batch_size=4)",
        ),
        (["--engine", "native"], "engine must be torch when 2 processes train together, got engine='native'"),
    ],
)
def test_bad_options_are_reported_once_and_leave_no_files(options: list[str], message: str, here: Path) -> None:
    process = torchrun(2, "words.txt", *OPTIONS, *options, "--out", "many")
    out, err = process.communicate(timeout=ENOUGH)
    assert process.returncode != 0
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [f"error: {message}"]
    assert "exitcode  : 2" in err
    assert out == ""
    assert not (here / "many").exists()


def test_a_folder_in_use_is_reported_once(here: Path) -> None:
    """Only the first process checks the folder, and only it reports the error."""
    alone(here / "many")
    before = (here / "many" / "model.safetensors").read_bytes()
    for options, message in (([], "already contains a run: add --resume"), (["--resume", "--shard"], "is in use by")):
        if options:
            lock = Lock(here / "many")
        process = torchrun(2, "words.txt", *OPTIONS, *options, "--out", "many")
        _, err = process.communicate(timeout=ENOUGH)
        [line] = [line for line in err.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: out='many' {message}")
        assert "exitcode  : 2" in err
        assert (here / "many" / "model.safetensors").read_bytes() == before
    lock.release()


def test_each_process_of_a_machine_needs_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.system.memory.free_memory", lambda: 1 << 20)
    for name, value in {"MASTER_ADDR": "localhost", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MemoryError) as caught:
        Run.begin(WORDS, CONFIG.replace(n_embd=48), engine="torch", device="cpu")
    count = num_params(CONFIG.replace(n_embd=48), 16)
    assert str(caught.value) == (
        f"training a model of {count:,} parameters in 2 processes needs at least {size(80 * count)}, but this"
        " machine has 1.0 MiB free: lower n_embd, n_layer or block_size, or start fewer processes"
    )


def test_fewer_gpus_than_processes_give_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"MASTER_ADDR": "localhost", "RANK": "0", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}
    for name, value in facts.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    message = (
        r"^nproc-per-node must be at most 1, the number of GPUs in this machine, got 3: start fewer processes, or"
        r" use the CPU \(--device cpu\)$"
    )
    with pytest.raises(ValueError, match=message):
        open_engine("torch", init(TINY, 5, random.Random(1)), TINY, 5)


def test_only_the_first_process_prints_json(here: Path) -> None:
    process = torchrun(2, "words.txt", *OPTIONS, "--json", "--out", "many")
    out, err = process.communicate(timeout=ENOUGH)
    assert process.returncode == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 1 + CONFIG.num_steps + 1
