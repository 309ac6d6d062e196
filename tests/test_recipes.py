"""The recipes of docs/contributing.md, followed in a copy of the sources."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference
from microgpt.config import Config, offsets, shapes
from microgpt.reference import Value

from conftest import ROOT, SOURCE, clean_environment

pytestmark = pytest.mark.slow  # it compiles a kernel

# --- Add an activation: relu3, the cube of relu. For each file, what is replaced by what

RELU3 = {
    "activations.py": {
        "# name -> function": """def relu3(x: Any) -> Any:
    \"""max(0, x)³.\"""
    return x.relu() ** 3


# name -> function""",
        "(relu, relu2)": "(relu, relu2, relu3)",
    },
    "engines/native/kernel/activation.h": {
        "enum { RELU, RELU2 };": "enum { RELU, RELU2, RELU3 };",
        "/* h -> activation(h)": """INLINE vec cube(vec x) {
#if EXACT
    for (int j = 0; j < LANES; j++) x[j] = libm_pow(x[j], 3);
    return x;
#else
    return x * x * x;
#endif
}

/* h -> activation(h)""",
        "store(h + i, square(x));": """store(h + i, square(x));
        if (d.activation == RELU3) store(h + i, cube(x));""",
        "dx = (2 * x) * dx;": """dx = (2 * x) * dx;
        if (d.activation == RELU3) dx = (3 * square(x)) * dx;""",
    },
    "engines/torch/model.py": {
        '    "relu2": lambda x: F.relu(x).square(),\n': """    "relu2": lambda x: F.relu(x).square(),
    "relu3": lambda x: F.relu(x).pow(3),
""",
    },
}
VOCAB_SIZE = 5
DOCUMENT = [4, 0, 3, 1, 1, 2, 4]

BUILD = """
import hatch_build
compiler = next(iter(hatch_build.compilers()), None)
if compiler:
    hatch_build.compile_kernel(compiler, hatch_build.ENGINES / "native" / hatch_build.LIBRARY, ["-O1"], ["plain"])
print(compiler)
"""

COMPUTE = """
import json, sys
from array import array
import microgpt
from microgpt.config import Config
from microgpt.engines.choose import open_engine
settings, vocab_size, document, params = json.loads(sys.argv[1])
config, found = Config(**settings), {}
for name, precision in (("scalar", "exact"), ("native", "exact"), ("native", "float32"), ("torch", "float64")):
    try:
        engine = open_engine(name, array("d", params), config, vocab_size, precision)
    except ImportError:
        assert name == "torch"
        continue
    found[f"{name} {precision}"] = [engine.backward([document]), *engine.grads]
run = microgpt.Run.begin(["ab", "cad", "bd"], Config(**{**settings, "num_steps": 6}))
for step in run:
    if step.step == 3:
        run.save("half.safetensors")
again = microgpt.load("half.safetensors", source=["ab", "cad", "bd"])
found["activation"] = again.config.activation
for _ in again:
    pass
found["resumed"] = again.engine.params == run.engine.params and again.sample(3, seed=1) == run.sample(3, seed=1)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources that follows the recipe, with its kernel."""
    folder = tmp_path_factory.mktemp("recipe")
    unwanted = shutil.ignore_patterns("__pycache__", "_kernel.*", "site")
    shutil.copytree(SOURCE, folder / "src" / "microgpt", ignore=unwanted)
    for name in ("hatch_build.py", "build_site.py", "site_licenses.py"):
        shutil.copy(ROOT / name, folder)
    for file, changes in RELU3.items():
        path = folder / "src" / "microgpt" / file
        text = path.read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, (file, old)
            text = text.replace(old, new)
        path.write_text(text)
    if python(folder, "-c", BUILD).strip() == "None":
        pytest.skip("there is no C compiler")
    return folder


def python(folder: Path, *arguments: str) -> str:
    """Run Python on the copy; return what it prints."""
    paths = os.pathsep.join([str(folder / "src"), str(folder)])
    environment = {**clean_environment(), "PYTHONPATH": paths, "COLUMNS": "300"}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


CONFIG = Config(n_embd=8, n_head=2, n_layer=2, block_size=5, init_std=0.5)


@pytest.fixture(scope="module")
def params() -> array[float]:
    count = sum(rows * columns for rows, columns in shapes(CONFIG, VOCAB_SIZE).values())
    return array("d", (math.sin(7 * i + 1) / 2 for i in range(count)))


@pytest.fixture(scope="module")
def computed(scratch: Path, params: array[float]) -> Any:
    """The numbers that the engines of the copy compute with relu3."""
    settings = {**CONFIG.to_dict(), "activation": "relu3"}
    given = json.dumps([settings, VOCAB_SIZE, DOCUMENT, list(params)])
    return json.loads(python(scratch, "-c", COMPUTE, given))


def test_a_new_activation_takes_three_files(scratch: Path) -> None:
    changed = [
        str(path.relative_to(scratch / "src" / "microgpt"))
        for path in (scratch / "src" / "microgpt").rglob("*")
        if path.suffix in (".py", ".h", ".c")
        and path.read_bytes() != (SOURCE / path.relative_to(scratch / "src" / "microgpt")).read_bytes()
    ]
    assert sorted(changed) == sorted(RELU3)


def test_every_engine_computes_a_new_activation_like_the_reference(computed: Any, params: array[float]) -> None:
    table = shapes(CONFIG, VOCAB_SIZE)
    leaves = list(map(Value, params))
    state_dict = {
        name: [leaves[start : start + table[name][1]] for start in range(part.start, part.stop, table[name][1])]
        for name, part in offsets(table).items()
    }
    loss = reference.loss(
        DOCUMENT, state_dict, CONFIG.n_layer, CONFIG.n_head, CONFIG.block_size, lambda x: x.relu() ** 3
    )
    loss.backward()
    expected = [loss.data, *(leaf.grad for leaf in leaves)]
    assert computed["scalar exact"] == computed["native exact"] == expected
    assert computed["native float32"] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    if "torch float64" in computed:
        assert computed["torch float64"] == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_a_run_with_a_new_activation_can_be_saved_and_resumed(computed: Any) -> None:
    assert computed["activation"] == "relu3"
    assert computed["resumed"] is True


def test_the_command_line_knows_a_new_activation(scratch: Path) -> None:
    told = re.sub(r"\s+", " ", python(scratch, "-m", "microgpt", "train", "--help"))
    assert "relu|relu2|relu3" in told
    assert "relu2 = max(0, x)², or relu3 = max(0, x)³" in told
    python(scratch, "-m", "microgpt", "train", "--activation", "relu3", "--num-steps", "2", "--out", "run")
    assert json.loads((scratch / "run" / "config.json").read_text())["config"]["activation"] == "relu3"
