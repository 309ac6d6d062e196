"""The snapshot, and equal responses from other Pythons and without the kernel."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab import snapshot
from microgpt.lab.runs import run as lab_run

from conftest import HEAVY, ROOT, SOURCE, clean_environment, every_python
from lab.other_python import json_printed_by
from lab.session_client import Lab

WORD = "emma"
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


def test_the_snapshot_has_the_responses_of_a_session_and_is_small(readonly: Lab, tmp_path: Path) -> None:
    code = "import sys; from microgpt.lab import snapshot; snapshot.main(); print(*sys.modules, file=sys.stderr)"
    out = tmp_path / "snapshot.json"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.split())
    responses = json.loads(out.read_text())
    words = snapshot.compared(responses["examples {}"])
    assert {snapshot.name(*request) for request in snapshot.REQUESTS} < responses.keys()
    assert {snapshot.name("loss", {"word": word}) for word in words} <= responses.keys()
    assert sum(key.startswith("softmax ") for key in responses) == 1
    for key, response in responses.items():
        method, _, params = key.partition(" ")
        assert json.dumps(json.loads(params), sort_keys=True, separators=(",", ":")) == params
        assert response == readonly.ask(method, **json.loads(params)), key
    # the total: long responses are only loaded when a figure needs them; page/test_speed.py limits each section
    assert len(gzip.compress(out.read_bytes())) < 250_000


# --- Other Pythons

REQUEST_ALL = """
import json
from microgpt.engines import choose
from microgpt.lab.snapshot import REQUESTS
from microgpt.lab.wire import Wire

choose.ENGINES = {"scalar": ("scalar", "ScalarEngine")}  # one engine for every Python
wire = Wire()
responses = {}

def ask(method, **params):
    request = json.dumps({"method": method, "params": params})
    responses[f"{method} {len(responses)}"] = json.loads(wire.ask(request))

for method, params in REQUESTS:
    if method != "hello":
        ask(method, **params)
ask("change", path="wte[4][3]", value=1.5)
ask("forward", word="emma")
ask("reset", config={"n_embd": 8, "n_head": 2, "block_size": 8, "num_steps": 40}, val_fraction=0.01)
responses["training"] = [json.loads(event)["result"]["losses"]  # otherwise an event has as many steps as time allows
                    for event in wire.stream('{"method": "train", "params": {"steps": 12, "per_event": 1}}')]
ask("scrub", step=7)
ask("parameters", moments=True)
ask("samples", seed=1, count=5, temperature=0.7)
ask("update", word="anna", what=["delta"])
ask("save")
ask("restore", state=responses.popitem()[1]["result"]["state"])
ask("runs")
"""


def assert_same(expected: Any, got: Any, path: str = "") -> None:
    """Compare responses, except the last bits of floats, which depend on the system's mathematical library."""
    if isinstance(expected, dict):
        assert expected.keys() == got.keys(), path
        for name in expected:
            assert_same(expected[name], got[name], f"{path} {name}")
    elif isinstance(expected, list):
        assert len(expected) == len(got), path
        for i, (x, y) in enumerate(zip(expected, got)):
            assert_same(x, y, f"{path}[{i}]")
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-12), path
    elif "restore" not in path:
        assert expected == got, path


@cache
def responses_here() -> Any:
    """Return the responses of this Python."""
    return json_printed_by(sys.executable, "-c", f"{REQUEST_ALL}print(json.dumps(responses))")


@pytest.mark.slow
@every_python
def test_the_responses_are_the_same_on_every_python(python: str) -> None:
    assert_same(responses_here(), json_printed_by(python, "-c", f"{REQUEST_ALL}print(json.dumps(responses))"))


@pytest.mark.slow
def test_the_responses_are_the_same_in_a_browsers_python(tmp_path: Path) -> None:
    pyodide = ROOT / "web" / "node_modules" / "pyodide"
    if not pyodide.is_dir() or not shutil.which("node"):
        pytest.skip("needs Pyodide: run `npm ci` in web/")
    program = tmp_path / "program.py"
    program.write_text(f"{REQUEST_ALL}json.dumps(responses)")
    run = ("node", ROOT / "tests" / "pyodide_run.mjs", pyodide, "none", program, SOURCE.parent)
    assert_same(responses_here(), json_printed_by(*run))


# --- Without the kernel


@pytest.mark.slow
def test_without_the_kernel_the_responses_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    native = Lab()
    monkeypatch.setattr("microgpt.engines.choose.ENGINES", {"scalar": ("scalar", "ScalarEngine")})
    slow = Lab()
    assert slow.ask("model")["engine"] == "scalar"
    response = slow.ask("surface", word=WORD, x="wte[12][3]", y="wte[4][3]", size=41, reach=0.5, steps=60)
    assert len(response["x"]["values"]) < 41
    for lab in (native, slow):
        lab.ask("reset", config={**SMALL, "num_steps": 25})
        lab.train(23)
        lab.ask("scrub", step=17)
    assert slow.state() == native.state()
    assert lab_run.EVERY["scalar"] == 10
    assert slow.ask("history", word="emma", path="wte[0][0]")["steps"] == [0, 10, 17, 20, 23]
