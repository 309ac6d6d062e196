"""Fixtures and helpers of several test files: the public names, the golden runs, the Pythons of this machine."""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from hypothesis import strategies as st

import microgpt
from microgpt.config import Config
from microgpt.data.download import MAKEMORE_SHA256, cache_folder

# No deadlines: a test must not fail because the machine is busy
settings.register_profile("whole", deadline=None, max_examples=100)
settings.register_profile("shorter", deadline=None, max_examples=50)
settings.register_profile("quick", deadline=None, max_examples=25)


def examples(count: int) -> int:
    """Return max_examples for a test with `count` in `make test-all`; CI has half of them, `make test` a quarter."""
    return max(1, count * settings.default.max_examples // 100)  # type: ignore[union-attr]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="repeat a run that drew its cases with this seed (default: a new one)")
    parser.addoption(
        "--share", type=float, default=1.0, help="draw this share of the tests that `make test` leaves out (default: 1)"
    )


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.option.markexpr
    profile = "quick" if "not slow" in chosen else "shorter" if "not whole" in chosen else "whole"
    settings.load_profile(profile)  # before a test is imported
    if hasattr(config, "workerinput"):  # all workers of xdist draw the same cases
        config.option.seed = config.workerinput["seed"]
    elif config.option.seed is None:
        config.option.seed = secrets.randbelow(10**6)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the seed to a worker of xdist."""
    node.workerinput["seed"] = node.config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    return f"cases drawn with --seed={config.option.seed}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Set the markers that follow from what a test uses, draw tests and cases, and put the longest test first."""
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
        if hasattr(getattr(item, "module", None), "torch"):
            item.add_marker("torch")
        if item.get_closest_marker("golden"):
            item.user_properties.append(("golden", True))  # .ci/no_golden_skips.py reads it in the report
        if item.get_closest_marker("sampled"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for name, its in cases.items():
        [count] = its[0].get_closest_marker("sampled").args  # type: ignore[union-attr]
        drawn = random.Random(f"{config.option.seed} {name}").sample(range(len(its)), min(count, len(its)))
        for i, item in enumerate(its):
            if i not in drawn:
                item.add_marker("whole")
    draw = random.Random(config.option.seed)
    chances: dict[str, float] = {}
    for item in items:  # one chance for all tests of a module that share a costly setup
        unit = item.nodeid.partition("::")[0] if item.get_closest_marker("together") else item.nodeid
        chances.setdefault(unit, draw.random())
        chances[item.nodeid] = chances[unit]
    undrawn = [item for item in items if is_long(item) and chances[item.nodeid] >= config.option.share]
    config.hook.pytest_deselected(items=undrawn)
    kept = set(items) - set(undrawn)
    # a worker that begins the published run last would work alone for a minute
    items[:] = sorted((item for item in items if item in kept), key=lambda item: "reproduced" not in item.name)


def is_long(item: pytest.Item) -> bool:
    """Return whether CI draws a test: `make test` leaves it out, and it does not compare with the published run."""
    names = {mark.name for mark in item.iter_markers()}
    return bool(names & {"slow", "browser"}) and not names & {"smoke", "golden"}


# In the background of a shell SIGINT is ignored, and processes that the tests start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "microgpt"
PACKAGE = Path(microgpt.__file__).parent  # the tested package: SOURCE, or an installed copy
HEAVY = {"torch", "numpy", "rich", "matplotlib"}  # what `import microgpt` must not load
TINY = Config(n_embd=4, n_head=2, block_size=4, num_steps=12)  # a step takes about a millisecond


@st.composite
def models(draw: st.DrawFn) -> tuple[Config, int, list[list[list[int]]], int]:
    """Draw a config, a vocabulary size, a few batches of documents and a seed for the parameters."""
    head_dim, n_head = draw(st.sampled_from([1, 2, 3, 4, 5])), draw(st.integers(1, 3))
    config = Config(
        n_embd=head_dim * n_head,
        n_head=n_head,
        n_layer=draw(st.integers(1, 2)),
        block_size=draw(st.integers(1, 5)),
        activation=draw(st.sampled_from(["relu", "relu2"])),
        zero_init=draw(st.booleans()),
        init_std=draw(st.sampled_from([0.0, 0.02, 0.08, 0.5])),
        beta1=draw(st.sampled_from([0.0, 0.85, 0.9])),
        beta2=draw(st.sampled_from([0.95, 0.99])),
    )
    vocab_size = draw(st.integers(1, 10))
    document = st.lists(st.integers(0, vocab_size - 1), min_size=2, max_size=config.block_size + 2)
    batches = draw(st.lists(st.lists(document, min_size=1, max_size=3), min_size=1, max_size=2))
    return config, vocab_size, batches, draw(st.integers(0, 2**32))


def golden(preset: str) -> dict[str, Any]:
    """Return the facts of the published run of a preset."""
    facts: dict[str, Any] = json.loads((SOURCE / "verification" / "golden" / f"{preset}.json").read_text())
    return facts


@pytest.fixture(scope="session")
def names_file() -> Path:
    """The public names.txt, next to the repository or in the cache of `microgpt train makemore`."""
    for path in (ROOT.parent / "shared" / "data" / "names.txt", cache_folder() / "names.txt"):
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == MAKEMORE_SHA256:
            return path
    pytest.skip("the public names.txt is not here: run `microgpt train makemore` once, to download it")


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """A random generator whose seed is --seed and the name of the test."""
    return random.Random(f"{request.config.option.seed} {request.node.nodeid}")


@pytest.fixture(scope="session")
def made_once(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """made_once(name, make) returns a folder that make(folder) fills once for all processes of the test run."""
    is_shared = hasattr(request.config, "workerinput")
    base = tmp_path_factory.getbasetemp().parent if is_shared else tmp_path_factory.getbasetemp()

    def made(name: str, make: Callable[[Path], object]) -> Path:
        with FileLock(base / f"{name}.lock"):
            folder = base / name
            if not (folder / "made").exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                (folder / "made").touch()
        return folder

    return made


@cache
def interpreters() -> dict[str, str]:
    """Return the installed Pythons, including the one that runs the tests: version -> path."""
    found = {OURS: sys.executable}
    for name in (*[f"python{version}" for version in VERSIONS], "pypy3"):
        path = shutil.which(name)
        version = name.removeprefix("python")
        # a version manager puts a shim on the PATH even if the version is not active
        if path and version not in found and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            found[version] = path
    return found


@pytest.fixture
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter of the version that the test is parametrized with; skips if it is not installed."""
    path = interpreters().get(request.param)
    if path is None:
        pytest.skip(f"no Python {request.param} here")
    return path


OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"  # the Python that runs the tests
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")


def slow(*values: object) -> Any:
    """Mark a case that `make test` leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


def whole(*values: object) -> Any:
    """Mark the full form of a test, which only `make test-all` runs; CI runs a shorter form."""
    return pytest.param(*values, marks=pytest.mark.whole)


every_python = pytest.mark.parametrize(
    "python",
    [version if version == OURS else slow(version) for version in VERSIONS],
    indirect=True,
)


def clean_environment() -> dict[str, str]:
    """Return an environment in which a subprocess finds the tested package, and nothing else by accident."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return {**kept, "PYTHONPATH": str(PACKAGE.parent)}
