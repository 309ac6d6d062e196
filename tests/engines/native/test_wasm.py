"""The kernel as a WebAssembly module in node: called directly, and through the native engine in Pyodide."""

from __future__ import annotations

import importlib.util
import json
import random
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import PRESETS, init
from microgpt.data.loading import load
from microgpt.engines.native.engine import PRECISIONS, kernel

from conftest import ROOT, SOURCE, golden
from engines.native import wasm_trials

PYODIDE = ROOT / "web" / "node_modules" / "pyodide"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def module(made_once: Callable[..., Path]) -> Path:
    """The module of the built page, if it is up to date; otherwise a new one."""
    page = runpy.run_path(str(ROOT / "build_site.py"))
    if shutil.which("node") and page["is_built"]() and page["has_kernel"]():
        return Path(page["SITE"]) / "kernel.wasm"
    if not shutil.which("node") or not importlib.util.find_spec("ziglang"):
        pytest.skip("the WebAssembly module needs node and `pip install ziglang`")
    compile_wasm = runpy.run_path(str(ROOT / "hatch_build.py"))["compile_wasm"]
    return made_once("wasm", lambda folder: compile_wasm(folder / "kernel.wasm")) / "kernel.wasm"


def node(*arguments: object) -> Any:
    run = subprocess.run(["node", *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout)


@pytest.mark.golden
def test_webassembly_repeats_the_published_losses(module: Path, tmp_path: Path, names_file: Path) -> None:
    config = PRESETS["final"]
    data, rng = load(str(names_file)), random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    params = init(config, data.vocab_size, rng)
    documents = [data.sequence(order[step])[: config.block_size + 1] for step in range(config.num_steps)]
    run = {
        "params": list(params),
        "tokens": [token for document in documents for token in document],
        "lengths": [len(document) for document in documents],
        "rates": [config.learning_rate * (1 - step / config.num_steps) for step in range(config.num_steps)],
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    losses = node(ROOT / "tests" / "engines" / "native" / "wasm_run.mjs", module, tmp_path / "run.json")
    published = golden("final")["losses"]
    assert losses["exact"] == pytest.approx(published, rel=0, abs=1e-9)
    assert losses["float32"] == pytest.approx(published, rel=0, abs=1e-5)


PROGRAM = """
import json, js, wasm_trials as trials
found = {"without": trials.without_kernel()}
js.bringKernel()
found["memory"] = [trials.memory_after(rounds) for rounds in (2, 20)]
found["growth"] = trials.growth()
found["mistakes"] = trials.mistakes()
found["pieces"] = [trials.pieces(p, 60, 1, 39) == trials.pieces(p, 100) for p in PRECISIONS]
found["run"] = {precision: trials.published_run(folders[-1] + "/names.txt", precision) for precision in PRECISIONS}
found["trials"] = {
    precision: [trials.trial(config, precision) for config in trials.configs()] for precision in PRECISIONS
}
json.dumps(found)
"""


@pytest.fixture(scope="module")
def in_pyodide(module: Path, names_file: Path, made_once: Callable[..., Path]) -> Any:
    """The results of the trials in Pyodide."""
    if not PYODIDE.is_dir():
        pytest.skip("needs Pyodide: run `npm ci` in web/")

    def run(folder: Path) -> None:
        program = folder / "program.py"
        program.write_text(PROGRAM.replace("PRECISIONS", repr(PRECISIONS)))
        folders = [SOURCE.parent, ROOT / "tests" / "engines" / "native", names_file.parent]
        found = node(ROOT / "tests" / "pyodide_run.mjs", PYODIDE, module, program, *folders)
        (folder / "found.json").write_text(json.dumps(found))

    return json.loads((made_once("pyodide", run) / "found.json").read_text())


@pytest.fixture(scope="module")
def native() -> None:
    try:
        kernel()
    except ImportError as error:
        pytest.skip(f"{error} (python hatch_build.py builds it)")


@pytest.mark.golden
def test_pyodide_repeats_the_published_run(in_pyodide: Any, native: None, names_file: Path) -> None:
    published, run = golden("final"), in_pyodide["run"]["exact"]
    assert run["losses"] == pytest.approx(published["losses"], rel=0, abs=1e-9)
    assert run["samples"] == published["samples"]
    expected = wasm_trials.published_run(str(names_file))
    assert run["params"] == pytest.approx(expected["params"], rel=0, abs=1e-9)
    assert in_pyodide["run"]["float32"]["losses"] == pytest.approx(published["losses"], rel=0, abs=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("number", range(len(wasm_trials.configs())))
def test_pyodide_computes_the_same_as_cpython(in_pyodide: Any, native: None, precision: str, number: int) -> None:
    expected = wasm_trials.trial(wasm_trials.configs()[number], precision)
    found = in_pyodide["trials"][precision][number]
    assert found.keys() == expected.keys()
    for name, numbers in expected.items():
        close = (1e-12 if name.startswith("first") else 1e-9) if precision == "exact" else 1e-3
        assert found[name] == pytest.approx(numbers, rel=0, abs=close), name


def test_training_in_pieces_equals_training_at_once(in_pyodide: Any) -> None:
    assert in_pyodide["pieces"] == [True, True]


def test_pyodide_says_what_is_not_available(in_pyodide: Any) -> None:
    assert in_pyodide["without"]["engine"] == "ScalarEngine"
    assert "globalThis.microgptKernel" in in_pyodide["without"]["note"]
    assert in_pyodide["mistakes"] == {
        "threads": "threads must be 1 in WebAssembly, got threads=2",
        "isa": "isa must be plain in WebAssembly, got isa='avx2'",
        "precision": "precision must be one of exact, float32, got precision='half'",
        "memory": "65536 contexts of 16 tokens do not fit in memory",
    }


def test_a_context_survives_the_growth_of_memory(in_pyodide: Any) -> None:
    before, after, same = in_pyodide["growth"]
    assert after > before
    assert same


def test_the_memory_of_webassembly_does_not_grow_with_use(in_pyodide: Any) -> None:
    few, many = in_pyodide["memory"]
    assert few == many
