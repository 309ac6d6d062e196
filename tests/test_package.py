"""`import microgpt`: the public names, and what importing loads."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import microgpt

from conftest import ROOT, TINY, clean_environment, every_python


def test_every_public_name_exists_and_has_a_docstring() -> None:
    assert set(dir(microgpt)) >= set(microgpt.__all__)
    for name in microgpt.__all__:
        assert getattr(microgpt, name).__doc__ or name == "PRESETS"
    with pytest.raises(AttributeError, match="module 'microgpt' has no attribute 'nothing'"):
        _ = microgpt.nothing


def test_type_checkers_see_the_names_of_the_package() -> None:
    source = (ROOT / "src" / "microgpt" / "__init__.py").read_text()
    block = source.split("if TYPE_CHECKING:")[1].split("__version__")[0]
    typed = {name for line in block.splitlines() if "import" in line for name in line.split("import")[1].split(",")}
    assert {name.strip() for name in typed} == set(microgpt.__all__)
    assert resources.files("microgpt").joinpath("py.typed").is_file()


def test_importing_the_package_imports_no_other_module() -> None:
    code = "import sys, typing, __future__; before = {*sys.modules}; import microgpt; print(*({*sys.modules} - before))"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, env=clean_environment(), text=True).split() == ["microgpt"]


def test_the_version_is_in_one_place() -> None:
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+", microgpt.__version__)


def test_the_library_trains_saves_loads_and_samples(tmp_path: Path) -> None:
    documents = ["ada", "bea", "abba"]
    run = microgpt.train(documents, TINY, out=tmp_path / "run", val_fraction=0.34)
    assert run.step == TINY.num_steps
    assert microgpt.load(tmp_path / "run", source=documents).sample(5) == run.sample(5)
    run.save(tmp_path / "other.safetensors")
    assert microgpt.load(tmp_path / "other.safetensors").engine.params == run.engine.params


def test_each_step_can_be_inspected() -> None:
    run = microgpt.Run.begin(["ada", "bea"], TINY)
    before = run.engine.params[:]
    seen = []
    for step in run:
        assert run.step == step.step  # the run is never ahead of the yielded step
        assert run.engine.params != before
        before = run.engine.params[:]
        seen.append(step)
    assert [step.step for step in seen] == list(range(1, 13))
    assert seen == list(microgpt.Run.begin(["ada", "bea"], TINY))


# Prints everything that depends on the interpreter's arithmetic and formats: training, a checkpoint, resuming, samples
CHECK = """
import hashlib, pathlib, sys, tempfile
import microgpt
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
folder = pathlib.Path(tempfile.mkdtemp())
config = microgpt.Config(n_embd=4, n_head=2, block_size=4, num_steps=6, batch_size=2)
names = ["ada", "bea", "abba", "dada"]
first = Folder.create(folder / "run", Run.begin(names, config, val_fraction=0.25))
for step in first.train():
    if step.step == 3:
        first.save()
        break
again = Folder.resume(folder / "run", source=names)
for step in again.train():
    pass
print((folder / "run" / "metrics.jsonl").read_text(), again.run.sample(5), again.run.sample(5, seed=1))
print(hashlib.sha256((folder / "run" / "model.safetensors").read_bytes()).hexdigest())
"""


@every_python
def test_every_python_gives_the_same_bytes(python: str) -> None:
    def output(interpreter: str) -> str:
        return subprocess.run(
            [interpreter, "-W", "error", "-c", CHECK],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert output(python) == output(sys.executable)


def test_each_sample_has_a_random_stream_of_its_number() -> None:
    run = microgpt.train(["ada", "bea", "abba"], TINY)
    assert run.sample(6, seed=9)[2:5] == run.sample(3, seed=9, first=2)
    state = random.Random(0).getstate()
    run.rng.setstate(state)
    run.sample(2, seed=9)
    assert run.rng.getstate() == state  # sampling with a seed does not use the run's random stream
