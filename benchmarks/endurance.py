"""Kill, race and starve training runs, and feed damaged files to every reader, for a given time.

    python benchmarks/endurance.py [--minutes 3] [--seed N] [--kinds kills,races] [--keep FOLDER]

Four kinds of disturbance, or those of --kinds, have the same share of the time:

    kills    a training process is killed at a random moment and resumed: the last checkpoint is whole, no step is lost,
             and the run equals an undisturbed one bit for bit
    races    two processes start in one run folder at the same moment: at most one trains, and the other says why
    faults   a write fails at a random moment (ENOSPC, EIO, EACCES, or a limit on the size of files), and the run is
             resumed: it equals an undisturbed one
    inputs   a checkpoint, metrics, prepared data, a text, a session or a port's results are damaged at random and read:
             the reader accepts them, or refuses them with a message

The last lines count the disturbances and what went wrong: lost (steps or bits), crashes (another exception than a
refusal), tracebacks (of a command). Every failure is described, and the exit status is 1 if there is one. The helpers
come from tests/, so the packages of the extra `dev` are needed.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import re
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import pytest  # noqa: E402

import microgpt  # noqa: E402
from microgpt.data.loading import load as load_text  # noqa: E402
from microgpt.data.prepared import check, open_prepared  # noqa: E402
from microgpt.errors import MicrogptError  # noqa: E402
from microgpt.lab.model.session_file import restore  # noqa: E402
from microgpt.lab.runs.opening import opened  # noqa: E402
from microgpt.lab.session import Session  # noqa: E402
from microgpt.runs import checkpoint as checkpoints  # noqa: E402
from microgpt.runs.folder import Folder  # noqa: E402
from microgpt.runs.metrics import read_metrics  # noqa: E402
from microgpt.runs.run import Run  # noqa: E402
from microgpt.verification import port  # noqa: E402
from microgpt.verification.cases import CASES  # noqa: E402

from conftest import TINY, clean_environment  # noqa: E402
from runs.test_full_disk import FailingDisk  # noqa: E402
from runs.test_locked_folder import LIMITED  # noqa: E402
from runs.training import DOCUMENTS, TRAIN, contents, trained  # noqa: E402
from system.test_hostile_safetensors import WILD  # noqa: E402

EARLIER = ROOT / "tests" / "fixtures" / "earlier"
STEPS = 100_000  # of a run that is killed; it never gets there
MEMORY = 8 << 30  # bytes of addresses for this process: a reader that allocates what a file claims fails here
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
CASE = next(iter(CASES))
SMALL = ["--n-embd", "4", "--n-head", "2", "--block-size", "4", "--num-steps", "300", "--checkpoint-every", "20"]


class Endurance:
    """Counts the disturbances and the failures.

    Args:
        rng: Draws every disturbance.
        work: A folder for the runs.
        keep: A folder for the inputs that crashed a reader, or None.
    """

    def __init__(self, rng: random.Random, work: Path, keep: Path | None) -> None:
        self.rng, self.work, self.keep = rng, work, keep
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.documents = work / "documents.txt"
        self.documents.write_text("\n".join(DOCUMENTS))
        self.last = -1  # the step of the killed run's last checkpoint
        self.config = TINY.replace(num_steps=6)
        self.whole = trained(self.config, work / "whole", checkpoint_every=2)
        self.command_whole: dict[str, bytes] = {}
        self.readers = readers(work, self.whole)
        self.seconds = dict.fromkeys(range(len(self.readers)), 0.0)  # the time that each reader has had

    def fail(self, kind: str, text: str) -> None:
        self.failed[kind] += 1
        if self.failed[kind] <= 10:
            print(f"{kind}: {text}", flush=True)

    def kill(self) -> None:
        """Train until a random moment of CPU time, and check what is on disk."""
        when, seconds = ("training" if self.rng.random() < 0.9 else "starting"), self.rng.uniform(0.001, 0.15)
        path = self.work / "killed"
        command = [sys.executable, "-c", TRAIN, str(path), str(self.documents), str(STEPS), when, str(seconds)]
        process = subprocess.run(command, env=clean_environment(), capture_output=True, cwd=self.work, text=True)
        self.done["kills"] += 1
        if process.returncode != -signal.SIGPROF:
            self.fail("tracebacks", f"a killed run ended by itself: {process.stderr[-1000:]}")
        elif (path / "model.safetensors").exists():
            try:
                step = microgpt.load(path).step
                metrics = [line["step"] for line in read_metrics(path / "metrics.jsonl")]
            except (MicrogptError, OSError) as error:
                return self.fail("lost", f"after a kill: {error}")
            if step < self.last or metrics != list(range(1, len(metrics) + 1)) or len(metrics) < step:
                self.fail("lost", f"step {step} after step {self.last}, {len(metrics)} metrics")
            self.last = step
        return None

    def compare_killed(self) -> None:
        """Train the killed run and an undisturbed one a few steps further, and compare them."""
        if self.last < 0:
            return
        resumed = Folder.resume(self.work / "killed")
        straight = Folder.create(self.work / "straight", Run.begin(self.documents, resumed.run.config))
        for folder in (resumed, straight):
            for step in folder.train():
                if step.step == self.last + 20:
                    break
        lines = [contents(f.path)["metrics.jsonl"].splitlines()[: self.last + 20] for f in (resumed, straight)]
        engines = [[e.params, e.m, e.v] for e in (resumed.run.engine, straight.run.engine)]
        if lines[0] != lines[1] or engines[0] != engines[1]:
            self.fail("lost", "the killed run differs from an undisturbed one")
        print(f"the killed run did {self.last:,} steps")

    def train(self, out: str, limit: int | None = None, *more: str) -> list[str]:
        """Return the command that trains in a folder, with a limit on the size of files if one is given."""
        program = ["-m", "microgpt"] if limit is None else ["-c", LIMITED, str(limit)]
        return [sys.executable, *program, "train", str(self.documents), "--out", out, *SMALL, "--quiet", *more]

    def undisturbed(self) -> dict[str, bytes]:
        if not self.command_whole:
            subprocess.run(self.train("alone"), cwd=self.work, env=environment(), check=True, capture_output=True)
            self.command_whole = contents(self.work / "alone")
        return self.command_whole

    def is_refusal(self, status: int, stderr: str) -> bool:
        """Check a command that failed: its status, and one line instead of a traceback."""
        if "Traceback" in stderr or status not in (1, 2) or not stderr.strip():
            self.fail("tracebacks", f"status {status}: {stderr[-1500:]}")
            return False
        return True

    def race(self) -> None:
        """Start two processes in a new folder."""
        whole, path = self.undisturbed(), self.work / "raced"
        shutil.rmtree(path, ignore_errors=True)
        both = [
            subprocess.Popen(
                self.train("raced"), cwd=self.work, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            for _ in range(2)
        ]
        errors = [process.communicate()[1].decode() for process in both]
        self.done["races"] += 1
        winners = [process for process in both if process.returncode == 0]
        for process, stderr in zip(both, errors):
            if process.returncode:
                self.is_refusal(process.returncode, stderr)
        if len(winners) > 1:
            self.fail("lost", "both of two processes trained in one folder")
        self.done["races without a winner"] += not winners
        if winners and contents(path) != whole:
            self.fail("lost", "the run that won a race differs from an undisturbed one")

    def fault(self) -> None:
        """Let a write fail in this process, or in a command that may write only small files."""
        if self.rng.random() < 0.25:
            return self.limited()
        path, code = self.work / "faulty", self.rng.choice(ERRORS)
        shutil.rmtree(path, ignore_errors=True)
        patch = pytest.MonkeyPatch()
        disk = Faults(patch, code)
        disk.allowed = self.rng.randrange(60)
        self.done["faults"] += 1
        try:
            trained(self.config, path, checkpoint_every=2)
        except (MicrogptError, ValueError, OSError) as error:
            if not str(error):
                self.fail("crashes", f"a fault without a message: {error!r}")
        except Exception as error:
            self.crash("a fault", error, None)
        finally:
            patch.undo()
        if left := [file.name for file in path.glob(".*.tmp")]:
            self.fail("lost", f"a fault leaves {left}")
        if (path / "model.safetensors").exists():
            try:
                for _ in Folder.resume(path, source=DOCUMENTS).train(checkpoint_every=2):
                    pass
            except Exception as error:
                return self.fail("lost", f"after {os.strerror(code)}: {error!r}")
            if contents(path) != self.whole:
                self.fail("lost", f"after {os.strerror(code)} at write {disk.allowed} the run differs")
        return None

    def limited(self) -> None:
        whole, path, limit = self.undisturbed(), self.work / "limited", self.rng.randrange(1, 40_000)
        shutil.rmtree(path, ignore_errors=True)
        options = {"cwd": self.work, "env": environment(), "capture_output": True, "text": True}
        done = subprocess.run(self.train("limited", limit), **options)
        self.done["faults"] += 1
        if done.returncode and self.is_refusal(done.returncode, done.stderr) and (path / "model.safetensors").exists():
            done = subprocess.run(self.train("limited", None, "--resume"), **options)
            if done.returncode:
                self.is_refusal(done.returncode, done.stderr)
                return self.fail("lost", f"a run limited to {limit} bytes is not resumed: {done.stderr[-500:]}")
        if done.returncode == 0 and contents(path) != whole:
            self.fail("lost", f"a run limited to {limit} bytes differs")
        return None

    def read_damaged(self) -> None:
        """Damage one input and read it."""
        reader = min(self.seconds, key=lambda reader: self.seconds[reader])
        name, content, read = self.readers[reader]
        damaged = damage(content, self.rng)
        self.done["inputs"] += 1
        begin = time.monotonic()
        try:
            read(damaged)
            self.done["inputs that were read"] += 1
        except (MicrogptError, ValueError, OSError) as error:
            if not str(error):
                self.fail("crashes", f"{name}: a refusal without a message: {error!r}")
        except Exception as error:
            self.crash(name, error, damaged)
        finally:
            self.seconds[reader] += time.monotonic() - begin

    def crash(self, name: str, error: Exception, content: bytes | None) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        self.fail("crashes", f"{name}: {error!r:.300} at {Path(where.filename).name}:{where.lineno}")
        if self.keep and content is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{self.failed['crashes']}-{name.replace(' ', '-')}").write_bytes(content)


class Faults(FailingDisk):
    """A disk whose writes fail with the given error once `allowed` of them have succeeded; later ones succeed."""

    def __init__(self, patch: pytest.MonkeyPatch, code: int) -> None:
        super().__init__(patch)
        self.code = code

    def spend(self) -> None:
        self.count += 1
        if self.count == self.allowed + 1 or (self.count > self.allowed and self.code == errno.ENOSPC):
            raise OSError(self.code, os.strerror(self.code))


def environment() -> dict[str, str]:
    return {**clean_environment(), "PYTHONDONTWRITEBYTECODE": "1"}  # a limit also applies to bytecode files


def readers(work: Path, whole: dict[str, bytes]) -> list[tuple[str, bytes, Callable[[bytes], object]]]:
    """Return the kinds of input: a name, a valid content, and a function that reads another one."""
    place = work / "inputs"
    port.export(place / "port")
    for path in (place / "port").glob("*.safetensors"):
        if path.stem != CASE:
            path.unlink()
    shutil.copytree(EARLIER / "prepared" / "lines", place / "prepared")
    shutil.copytree(work / "whole", place / "run")
    session = Session()
    session.ask("reset", {"config": {"n_embd": 4, "n_head": 2, "block_size": 4, "num_steps": 20}})
    state = session.ask("save")["result"]["state"].encode()

    def of_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
        good = path.read_bytes()

        def reader(content: bytes) -> object:
            path.write_bytes(content)
            try:
                return read(path)
            finally:
                path.write_bytes(good)

        return reader

    def prepared(_: Path) -> object:
        check(place / "prepared", None)
        data = open_prepared(place / "prepared", 4)
        return [data.sequence(i) for i in range(min(len(data), 1000))]

    def resumed(_: Path) -> object:
        with Folder.resume(place / "run", source=DOCUMENTS) as folder:
            return folder.run.step

    checkpoint, metrics = place / "run" / "model.safetensors", place / "run" / "metrics.jsonl"
    text, results = place / "text.txt", place / "port" / f"{CASE}.safetensors"
    text.write_bytes(whole["metrics.jsonl"])
    data, tokens = (place / "prepared" / name for name in ("data.json", "tokens.bin"))
    lines = whole["metrics.jsonl"].decode()
    return [
        ("a checkpoint", checkpoint.read_bytes(), of_file(checkpoint, checkpoints.load)),
        ("a resumed checkpoint", checkpoint.read_bytes(), of_file(checkpoint, resumed)),
        ("metrics", metrics.read_bytes(), of_file(metrics, read_metrics)),
        ("resumed metrics", metrics.read_bytes(), of_file(metrics, resumed)),
        ("data.json", data.read_bytes(), of_file(data, prepared)),
        ("tokens.bin", tokens.read_bytes(), of_file(tokens, prepared)),
        ("a text", text.read_bytes(), of_file(text, lambda path: load_text(str(path)))),
        ("a session", state, lambda content: restore(Session(), content.decode("utf-8", "replace"))),
        (
            "a run in the lab",
            checkpoint.read_bytes(),
            lambda content: opened("run1", "run", content, lines, lambda _: None, session.names),
        ),
        ("results of a port", results.read_bytes(), of_file(results, lambda path: port.against(path.parent))),
    ]


TOKEN = re.compile(rb'"[^"]{0,100}"|-?\d[\d.e+-]*|true|false|null|[][{}:,]')


def damage(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one to three random changes: of bits, of lengths, and of JSON tokens."""
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 4)):
        kind, at = rng.randrange(6), rng.randrange(len(changed) or 1)
        stop = at + rng.randrange(1, 1 << rng.randrange(1, 12))
        if kind == 0 and changed:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at:stop]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            changed[at:at] = changed[at:stop]
        elif kind == 4 and rng.random() < 0.3:
            del changed[at:]
        elif tokens := [found.span() for found in TOKEN.finditer(bytes(changed[: 1 << 14]))]:
            start, end = rng.choice(tokens)
            changed[start:end] = rng.choice(WILD).encode()
            if start > 8 and content[8:9] == b"{":  # a safetensors header: keep its length right
                header = int.from_bytes(changed[:8], "little") + len(changed) - len(content)
                changed[:8] = max(0, min(header, 2**64 - 1)).to_bytes(8, "little")
    return bytes(changed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--kinds", default="kills,races,faults,inputs", help="the kinds, separated by commas")
    parser.add_argument("--keep", type=Path, help="keep the inputs that crash a reader in this folder")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    print(f"{given.minutes:g} minutes with --seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        endurance = Endurance(random.Random(given.seed), Path(work), given.keep)
        every = {
            "kills": endurance.kill,
            "races": endurance.race,
            "faults": endurance.fault,
            "inputs": endurance.read_damaged,
        }
        if unknown := sorted(set(given.kinds.split(",")) - set(every)):
            parser.error(f"--kinds must be some of {', '.join(every)}, got {', '.join(unknown)}")
        kinds = {every[name]: 0.0 for name in given.kinds.split(",")}
        end = time.monotonic() + 60 * given.minutes
        while (begin := time.monotonic()) < end:
            kind = min(kinds, key=lambda kind: kinds[kind])  # the one that has had the least time
            kind()
            kinds[kind] += time.monotonic() - begin
        endurance.compare_killed()
    print(", ".join(f"{count:,} {name}" for name, count in sorted(endurance.done.items())))
    print(", ".join(f"{endurance.failed[name]:,} {name}" for name in ("lost", "crashes", "tracebacks")))
    return 1 if endurance.failed else 0


if __name__ == "__main__":
    sys.exit(main())
