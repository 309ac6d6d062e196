"""The kernel as a WebAssembly module, in node, against the published run."""

from __future__ import annotations

import importlib.util
import json
import random
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from microgpt.config import PRESETS, init
from microgpt.data import load

from conftest import ROOT, golden


def test_webassembly_repeats_the_published_losses(tmp_path: Path, names_file: Path) -> None:
    node = shutil.which("node")
    if not node or not importlib.util.find_spec("ziglang"):
        pytest.skip("node and `pip install ziglang` are needed for the WebAssembly module")
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
    module = tmp_path / "kernel.wasm"
    runpy.run_path(str(ROOT / "hatch_build.py"))["compile_wasm"](module)
    command = [node, str(ROOT / "tests" / "wasm_run.mjs"), str(module), str(tmp_path / "run.json")]
    losses = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    published = golden("final")["losses"]
    assert losses["exact"] == pytest.approx(published, rel=0, abs=1e-9)
    assert losses["float32"] == pytest.approx(published, rel=0, abs=1e-5)
