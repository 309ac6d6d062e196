"""The life of a run: resumed bit for bit, killed at any moment, on a disk that is full at any moment."""

from __future__ import annotations

import errno
import gc
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.config import PRESETS, Config
from microgpt.engines.choose import ENGINES
from microgpt.errors import RunError
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run
from microgpt.system import safetensors

from conftest import TINY, clean_environment, golden, slow

DOCUMENTS = ["ada", "bea", "abba", "dada", "ed", "deb", "abe", "bede", "dee", "beda"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def trained(config: Config, folder: Path, stops: list[int] | None = None, **options: Any) -> dict[str, bytes]:
    """The files of a run that was stopped and resumed after each of `stops`."""
    val_fraction = options.pop("val_fraction", 0.0)
    run = Run.begin(DOCUMENTS, config, val_fraction=val_fraction)
    current = Folder.create(folder, run)
    for stop in [*(stops or []), config.num_steps]:
        for step in current.train(**options):
            if step.step >= stop and step.step == current.run.step:  # in bulk, the engine may be ahead
                current.save()
                break
        if stop < config.num_steps:
            current = Folder.resume(folder, source=DOCUMENTS)
    current.close()
    return contents(folder)


def needs(engine: str) -> None:
    try:
        Run.begin(DOCUMENTS, TINY, engine=engine)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.mark.golden
@pytest.mark.parametrize("engine", [slow(name) if name == "scalar" else name for name in ENGINES])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_golden_samples_come_from_a_whole_run(preset: str, engine: str, names_file: Path, tmp_path: Path) -> None:
    needs(engine)
    config, published = PRESETS[preset], golden(preset)
    precision = "float64" if engine == "torch" else None
    run = microgpt.train(names_file, config, out=tmp_path / "run", engine=engine, precision=precision)
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")
    losses = [m["loss"] for m in metrics]
    exact = preset == "final" and engine != "torch"
    assert losses == pytest.approx(published["losses"], rel=0, abs=0 if exact else 1e-9)
    assert run.sample(20) == published["samples"]
    assert microgpt.load(tmp_path / "run").sample(20) == published["samples"]


def test_a_model_that_cannot_fit_is_refused_before_its_numbers_are_drawn() -> None:
    message = (
        r"^a model of 48,000,084,000,000 parameters needs at least 1,788,142\.5 GiB to be trained, and this machine has"
        r" .* GiB free: lower n_embd, n_layer or block_size$"
    )
    with pytest.raises(MemoryError, match=message):
        Run.begin(DOCUMENTS, Config(n_embd=2_000_000, block_size=32), engine="scalar")


VARIANTS = {
    "final": TINY,
    "first": PRESETS["first"].replace(n_embd=4, n_head=2, block_size=4, num_steps=12),
    "batches": TINY.replace(batch_size=3),
    "two layers": TINY.replace(n_layer=2, num_steps=8),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("options", [{}, {"val_fraction": 0.3}, {"together": True}], ids=["plain", "held out", "bulk"])
def test_a_resumed_run_is_the_run_that_never_stopped(config: Config, options: dict[str, Any], tmp_path: Path) -> None:
    whole = trained(config, tmp_path / "whole", **options)
    assert trained(config, tmp_path / "once", [5], **options) == whole
    assert trained(config, tmp_path / "often", [1, 2, 6, 7], **options) == whole


def test_a_run_may_change_its_engine_when_it_is_resumed(tmp_path: Path) -> None:
    needs("native")
    whole = trained(TINY, tmp_path / "whole")
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY, engine="scalar"))
    for stop, engine in ((3, "native"), (7, "scalar"), (12, "native")):
        for step in folder.train():
            if step.step == stop:
                folder.save()
                break
        folder.close()
        folder = Folder.resume(tmp_path / "run", source=DOCUMENTS, engine=engine)
    folder.close()
    assert contents(tmp_path / "run") == whole


def test_threads_that_would_have_nothing_to_do_are_refused() -> None:
    needs("native")
    message = "threads must be at most batch_size=2, got threads=3: they share the documents of a batch"
    with pytest.raises(ValueError, match=message):
        Run.begin(DOCUMENTS, TINY.replace(batch_size=2), engine="native", threads=3)


@pytest.mark.parametrize("precision", ["exact", "float32"])
def test_a_run_has_the_same_bytes_for_any_number_of_threads(precision: str, tmp_path: Path) -> None:
    needs("native")
    config, folders = TINY.replace(batch_size=4), []
    for threads in (1, 2, 4):
        options: dict[str, Any] = {"engine": "native", "precision": precision, "threads": threads}
        path = tmp_path / str(threads)
        for step in Folder.create(path, Run.begin(DOCUMENTS, config, **options)).train(together=True):
            if step.step == 5:
                break
        for _ in Folder.resume(path, source=DOCUMENTS, **options).train(together=True):
            pass
        folders.append(contents(path))
        microgpt.train(DOCUMENTS, config, out=tmp_path / f"whole {threads}", **options)
        folders.append(contents(tmp_path / f"whole {threads}"))
        assert microgpt.load(path, threads=threads).sample(3, seed=1) == microgpt.load(path).sample(3, seed=1)
    assert all(folder == folders[0] for folder in folders)


@pytest.mark.parametrize(
    "options",
    [{}, {"prompt": "ab"}, {"prompt": "a", "max_new_tokens": 1}, {"top_k": 2}, {"temperature": 0.0}, {"slide": True}],
    ids=str,
)
def test_samples_with_a_seed_are_the_same_for_any_engine_and_any_number_together(options: dict[str, Any]) -> None:
    needs("native")
    texts = []
    for engine, counts in (("scalar", [70]), ("native", [70]), ("native", [1, 5, 64])):
        run = Run.begin(DOCUMENTS, TINY.replace(num_steps=40), engine=engine)
        for _ in run:
            pass
        parts = [run.sample(n, seed=3, first=sum(counts[:i]), **options) for i, n in enumerate(counts)]
        texts.append([text for part in parts for text in part])
    assert texts[0] == texts[1] == texts[2]
    assert len(set(texts[0])) > (1 if options.get("temperature") != 0.0 else 0)


def test_an_evaluation_tells_how_far_it_is() -> None:
    run = Run.begin(DOCUMENTS, TINY, val_fraction=0.3)
    told: list[tuple[str, int, int]] = []
    found = run.evaluate(num_samples=70, progress=lambda *facts: told.append(facts))
    assert told == [
        *(("reading", i, 3) for i in range(1, 4)),
        *(("counting", i, 7) for i in range(1, 8)),
        ("writing", 64, 70),
        ("writing", 70, 70),
    ]
    assert (found.text, found.documents, found.novelty.samples) == ("held-out part of documents in memory", 3, 70)


def test_resuming_after_a_crash_makes_the_lost_steps_again(tmp_path: Path) -> None:
    whole = trained(TINY, tmp_path / "whole")
    folder = Folder.create(tmp_path / "crashed", Run.begin(DOCUMENTS, TINY))
    for step in folder.train(checkpoint_every=4):
        if step.step == 7:
            break  # three steps that no checkpoint knows, their metrics on disk
    metrics = tmp_path / "crashed" / "metrics.jsonl"
    assert len(read_metrics(metrics)) == 7
    with metrics.open("a") as file:
        file.write('{"step": 8, "lo')  # and a line half written
    folder.close()
    with Folder.resume(tmp_path / "crashed", source=DOCUMENTS) as folder:
        for _ in folder.train(checkpoint_every=4):
            pass
    assert contents(tmp_path / "crashed") == whole


def test_more_steps_recompute_the_decay(tmp_path: Path) -> None:
    trained(TINY, tmp_path / "run")
    folder = Folder.resume(tmp_path / "run", source=DOCUMENTS, changes={"num_steps": 20})
    assert folder.planned_steps == 12
    assert (
        microgpt.load(tmp_path / "run").config.num_steps == 20
    )  # at once: it may be killed before its next checkpoint
    steps = list(folder.train())
    assert [s.step for s in steps] == list(range(13, 21))
    assert steps[0].learning_rate == TINY.learning_rate * (1 - 12 / 20)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["num_steps"] == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 8}, "n_embd cannot change in a run, got n_embd=8, the run has 4: leave it out, or begin a new run"),
        ({"seed": 1}, "seed cannot change in a run, got seed=1, the run has 42"),
        ({"val_fraction": 0.5}, "val_fraction cannot change in a run, got val_fraction=0.5, the run has 0.0"),
        ({"num_steps": 3}, "num_steps must be at least the 12 steps already made, got num_steps=3"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_lost(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    before = trained(TINY, tmp_path / "run")
    with pytest.raises(RunError, match=message):
        Folder.resume(tmp_path / "run", source=DOCUMENTS, changes=changes)
    assert contents(tmp_path / "run") == before


def test_other_data_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    before = trained(TINY, tmp_path / "run")
    with pytest.raises(microgpt.DataError, match="is not the text that the run was trained on"):
        Folder.resume(tmp_path / "run", source=[*DOCUMENTS, "abe"])
    with pytest.raises(microgpt.DataError, match="has characters that the model has never seen: 'z'"):
        Folder.resume(tmp_path / "run", source=["zz"])
    assert contents(tmp_path / "run") == before


def test_a_folder_is_never_overwritten_unasked(tmp_path: Path) -> None:
    before = trained(TINY, tmp_path / "run")
    run = Run.begin(DOCUMENTS, TINY.replace(seed=1))
    with pytest.raises(RunError, match="holds a run already: add --resume to go on with it, --overwrite to replace it"):
        Folder.create(tmp_path / "run", run)
    assert contents(tmp_path / "run") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"holds 'config.json', which is not a run's: give another folder"):
            Folder.create(tmp_path / "mine", run, overwrite=overwrite)
    assert contents(tmp_path / "mine") == {"config.json": b"precious"}
    Folder.create(tmp_path / "run", run, overwrite=True)
    assert microgpt.load(tmp_path / "run").step == 0


def test_parameters_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY))
    before = contents(tmp_path / "run")
    folder.run.engine.params[3] = float("inf")
    with pytest.raises(
        microgpt.DivergedError, match="a parameter is not finite after step 0: begin a new run with a lower"
    ):
        folder.save()
    assert contents(tmp_path / "run") == before


# --- Killed at any moment

TRAIN = """
import signal, sys
path, documents, num_steps, when, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
def die(moment):  # without a chance to tidy up, after so many seconds of the processor's time
    if moment == when:
        signal.setitimer(signal.ITIMER_PROF, seconds)
die("starting")
from microgpt.config import Config
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
config = Config(n_embd=4, n_head=2, block_size=4, num_steps=num_steps)
try:
    folder = Folder.resume(path)
except ValueError:
    folder = Folder.create(path, Run.begin(documents, config))
print("began", flush=True)
die("training")
for _ in folder.train(checkpoint_every=1):
    pass
"""


@pytest.mark.parametrize("kills", [10, slow(60)])
def test_a_run_killed_many_times_is_the_run_that_never_stopped(kills: int, tmp_path: Path, rng: random.Random) -> None:
    documents, num_steps = tmp_path / "documents.txt", 100_000
    documents.write_text("\n".join(DOCUMENTS))
    begun, last = 0, -1
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "run"), str(documents)]
    for _ in range(kills):
        when, seconds = ("training" if rng.random() < 0.9 else "starting"), rng.uniform(0.001, 0.15)
        process = subprocess.run(
            [*command, str(num_steps), when, str(seconds)], env=clean_environment(), capture_output=True, cwd=tmp_path
        )
        assert process.returncode == -signal.SIGPROF, process.stderr
        if (tmp_path / "run" / "model.safetensors").exists():
            begun += 1
            step = microgpt.load(tmp_path / "run").step  # whole, or this raises
            assert step >= last, "a checkpoint went back"
            assert len(read_metrics(tmp_path / "run" / "metrics.jsonl")) >= step
            last = step
    print(f"{kills} kills, {begun} with a checkpoint, {last} steps made")
    assert begun > 0
    assert last > 0
    # let both end at the step that was reached, and a few more
    state = microgpt.load(tmp_path / "run")
    assert state.config.num_steps == num_steps
    resumed = Folder.resume(tmp_path / "run")
    straight = Folder.create(tmp_path / "straight", Run.begin(documents, state.config))
    for folder in (resumed, straight):
        for step in folder.train():
            if step.step == last + 20:
                break
    both = [contents(folder.path) for folder in (resumed, straight)]
    assert resumed.run.engine.params == straight.run.engine.params
    assert resumed.run.engine.v == straight.run.engine.v
    lines = [files["metrics.jsonl"].splitlines()[: last + 20] for files in both]
    assert lines[0] == lines[1]


# --- A disk that fails at every write


class FailingDisk:
    """Lets `allowed` operations that change the disk pass, and fails every one after them: no space is left."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed, self.count = sys.maxsize, 0
        path_open, replace, fsync = Path.open, Path.replace, safetensors.os.fsync
        disk = self

        class File:
            def __init__(self, file: Any) -> None:
                self.file = file

            def write(self, content: Any) -> Any:
                disk.spend()
                return self.file.write(content)

            def writelines(self, lines: Any) -> None:
                for line in lines:
                    self.write(line)

            def flush(self) -> None:
                disk.spend()
                self.file.flush()

            def __getattr__(self, name: str) -> Any:
                return getattr(self.file, name)

            def __enter__(self) -> File:
                return self

            def __exit__(self, *_: object) -> None:
                self.file.close()

            def __iter__(self) -> Iterator[Any]:
                return iter(self.file)

        def failing_open(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
            if mode.startswith("r"):
                return path_open(path, mode, *args, **options)
            disk.spend()
            return File(path_open(path, mode, *args, **options))

        def failing_replace(path: Path, target: Path) -> Path:
            disk.spend()
            return replace(path, target)

        def failing_fsync(descriptor: int) -> None:
            disk.spend()
            fsync(descriptor)

        monkeypatch.setattr(Path, "open", failing_open)
        monkeypatch.setattr(Path, "replace", failing_replace)
        monkeypatch.setattr(safetensors.os, "fsync", failing_fsync)

    def spend(self) -> None:
        self.count += 1
        if self.count > self.allowed:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_is_full_at_any_write_loses_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TINY.replace(num_steps=6)
    whole = trained(config, tmp_path / "whole", checkpoint_every=2)
    disk = FailingDisk(monkeypatch)
    trained(config, tmp_path / "counted", checkpoint_every=2)
    writes = disk.count
    assert writes > 40
    loaded = 0
    for allowed in range(writes):
        disk.count, disk.allowed = 0, allowed
        path = tmp_path / f"full{allowed}"
        try:  # of one operation alone, the last, the failure may be passed over: the folder's own sync
            assert trained(config, path, checkpoint_every=2) == whole
            assert allowed == writes - 1
        except (OSError, RunError) as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        disk.allowed = sys.maxsize
        assert [p for p in path.glob(".*") if p.suffix == ".tmp"] == []
        if (path / "model.safetensors").exists():
            loaded += 1
            for _ in Folder.resume(path, source=DOCUMENTS).train(checkpoint_every=2):
                pass
            assert contents(path) == whole, f"after {allowed} writes"
    print(f"{writes} writes failed one after the other; {loaded} times there was a checkpoint, and it was whole")


def test_a_disk_that_is_full_while_a_run_is_resumed_loses_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TINY.replace(num_steps=6)
    whole = trained(config, tmp_path / "whole", checkpoint_every=2)
    with Folder.create(tmp_path / "stopped", Run.begin(DOCUMENTS, config)) as folder:
        for step in folder.train(checkpoint_every=2):
            if step.step == 3:  # its metrics are ahead of its checkpoint
                break
    disk = FailingDisk(monkeypatch)

    def resumed(path: Path) -> dict[str, bytes]:
        with Folder.resume(path, source=DOCUMENTS) as folder:
            for _ in folder.train(checkpoint_every=2):
                pass
        return contents(path)

    shutil.copytree(tmp_path / "stopped", tmp_path / "counted")
    disk.count = 0
    assert resumed(tmp_path / "counted") == whole
    writes = disk.count
    assert writes > 20
    for allowed in range(writes):
        path = tmp_path / f"full{allowed}"
        shutil.copytree(tmp_path / "stopped", path)
        disk.count, disk.allowed = 0, allowed
        try:
            assert resumed(path) == whole
            assert allowed == writes - 1
        except (OSError, RunError) as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        disk.allowed = sys.maxsize
        assert [p.name for p in path.glob(".*")] == []
        assert microgpt.load(path).step >= 2
        assert resumed(path) == whole, f"after {allowed} writes"
    print(f"{writes} writes failed one after the other")


# --- Two processes, one folder


def test_a_folder_is_trained_in_by_one_process_at_a_time(tmp_path: Path) -> None:
    documents, path = tmp_path / "documents.txt", tmp_path / "run"
    documents.write_text("\n".join(DOCUMENTS))
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(path), str(documents), "100000", "never", "0"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    process.stdout.readline()
    run = Run.begin(documents, TINY)
    message = re.escape(f"out={str(path)!r} is in use by process {process.pid}: wait until it ends, or stop it")
    locks = list(path.glob("*.lock"))
    for _ in range(3):
        with pytest.raises(RunError, match=message):
            Folder.resume(path)
        with pytest.raises(RunError, match=message):
            Folder.create(path, run, overwrite=True)
    assert list(path.glob("*.lock")) == locks
    assert len(locks) == 1
    while microgpt.load(path).step == 0:  # who reads needs no lock
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    assert list(path.glob("*.lock")) == locks  # nobody has tidied up
    steps = microgpt.load(path).step
    assert steps > 0
    with Folder.resume(path) as folder:
        assert folder.run.step == steps
        assert locks[0] not in list(path.glob("*.lock"))
    assert list(path.glob("*.lock")) == []


def test_a_lock_ends_with_its_folder_object(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY))
    assert len(list((tmp_path / "run").glob("*.lock"))) == 1
    again = Folder.resume(tmp_path / "run", source=DOCUMENTS)  # by the same process
    folder.close()
    assert len(list((tmp_path / "run").glob("*.lock"))) == 1
    del again
    gc.collect()
    assert list((tmp_path / "run").glob("*.lock")) == []


def test_of_many_processes_that_begin_at_once_at_most_one_trains(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from microgpt.errors import LockedError
from microgpt.system.locks import Lock
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = Lock(Path(sys.argv[1]))
    print("mine", flush=True)
except LockedError:
    print("another's", flush=True)
sys.stdin.read()  # who has it keeps it until all have tried
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes if process.stdin and process.stdout]
    assert [out.readline() for _, out in pipes] == ["ready\n"] * 6
    for go, _ in pipes:
        go.write("\n")
        go.flush()
    said = [out.readline().strip() for _, out in pipes]
    for process in processes:
        process.communicate()
    assert set(said) <= {"mine", "another's"}
    assert said.count("mine") <= 1
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from microgpt.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("limit", [1000, 25_000])  # bytes a file may have: no checkpoint fits; it does, metrics do not
def test_the_system_s_own_refusal_to_write_is_told_in_one_line(limit: int, tmp_path: Path) -> None:
    documents = tmp_path / "documents.txt"
    documents.write_text("\n".join(DOCUMENTS))
    arguments = ["train", str(documents), "--out", "run", "--n-embd", "4", "--n-head", "2", "--block-size", "4"]
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *arguments, "--checkpoint-every", "10", "--num-steps", "400"],
        cwd=tmp_path,
        env={**clean_environment(), "PYTHONDONTWRITEBYTECODE": "1"},  # the limit would cut those files too
        capture_output=True,
        text=True,
    )
    last = run.stderr.splitlines()[-1]
    if limit == 1000:
        assert last == "error: cannot write to out='run': File too large; give another folder"
        assert run.returncode == 2
        assert contents(tmp_path / "run") == {}
    else:
        assert "File too large; the last checkpoint is whole: microgpt train --out run --resume goes on from it" in last
        assert run.returncode == 1
        assert 0 < microgpt.load(tmp_path / "run").step < 400


def test_a_checkpoint_that_takes_long_is_written_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, saves = [0.0], []

    def save(folder: Folder) -> None:
        saves.append(folder.run.step)
        now[0] += 6.0

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    run = Run.begin(DOCUMENTS, TINY.replace(num_steps=40), engine="scalar")
    with Folder.create(tmp_path / "run", run) as folder:
        monkeypatch.setattr(Folder, "save", save)
        for _ in folder.train():
            now[0] += 10.0
    # more than 30 seconds after the beginning; then 6 seconds may be a twentieth of 120; and at the end
    assert saves == [5, 18, 31, 40]


def test_of_several_processes_the_one_that_writes_says_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the others a checkpoint of gigabytes costs nothing: they would ask for the next one after 30 seconds."""
    now, saves = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(Folder, "save", lambda folder: saves.append(folder.run.step))
    run = Run.begin(DOCUMENTS, TINY, engine="scalar")
    for _ in Folder(Path("of the first process"), run, run.config.num_steps, None).train():
        now[0] += 100.0
    assert saves == [TINY.num_steps]


def test_a_process_that_is_gone_is_no_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(_: Folder) -> None:
        raise ConnectionError("another process of this training has ended")

    monkeypatch.setattr(Folder, "save", save)
    with pytest.raises(ConnectionError, match="has ended"):
        Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY, engine="scalar"))
