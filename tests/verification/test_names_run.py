"""The golden data of the model that the lab opens with is what its command makes."""

from __future__ import annotations

import hashlib
import json
import platform
from array import array
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.engines.native.library import LIBRARY
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.metrics import read_metrics
from microgpt.verification import golden
from microgpt.verification.golden import names

from conftest import SOURCE

# The published run is reproduced bit for bit with this C library; another's exp and log differ in the last bit
IS_SAME_LIBM = platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64"
needs_kernel = pytest.mark.skipif(not LIBRARY.exists(), reason="the scalar engine would take two minutes")


def assert_close(expected: array[float], made: array[float]) -> None:
    """Check that numbers are equal: bit for bit, or to 1e-9 with another C library."""
    if IS_SAME_LIBM:
        assert made.tobytes() == expected.tobytes()
    assert list(made) == pytest.approx(list(expected), rel=0, abs=1e-9)


@needs_kernel
def test_the_command_makes_the_golden_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert names.COMMAND == "microgpt train names --val-fraction 0.1"
    assert cli.main([*names.COMMAND.split()[1:], "--out", str(tmp_path / "run"), "--quiet"]) == 0
    made = checkpoints.load(tmp_path / "run" / "model.safetensors")
    kept, facts = checkpoints.load(golden.FOLDER / "names.safetensors"), golden.figures("names")
    for name in ("params", "m", "v"):
        assert_close(getattr(kept, name), getattr(made, name))
    for name in ("config", "symbols", "step", "rng_state", "provenance"):
        assert getattr(made, name) == getattr(kept, name)
    lines = list(read_metrics(tmp_path / "run" / "metrics.jsonl"))
    assert_close(array("d", facts["losses"]), array("d", [line["loss"] for line in lines]))
    validations = [(line["step"], line["val_loss"]) for line in lines if line.get("val_loss") is not None]
    assert [step for step, _ in validations] == [step for step, _ in facts["validations"]]
    assert_close(array("d", [loss for _, loss in facts["validations"]]), array("d", [loss for _, loss in validations]))
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[2] for line in printed if line.startswith("sample")] == facts["samples"]


@needs_kernel
def test_the_golden_files_are_written_again(tmp_path: Path) -> None:
    names.make(tmp_path)
    if IS_SAME_LIBM:
        for name in ("names.json", "names.safetensors"):
            assert (tmp_path / name).read_bytes() == (golden.FOLDER / name).read_bytes()
    else:
        made = json.loads((tmp_path / "names.json").read_text())
        assert made["losses"] == pytest.approx(golden.figures("names")["losses"], rel=0, abs=1e-9)


def test_the_golden_facts_are_those_of_the_files() -> None:
    facts, kept = golden.figures("names"), checkpoints.load(golden.FOLDER / "names.safetensors")
    text = (SOURCE / "data" / "names.txt").read_bytes()
    assert facts["data_sha256"] == kept.provenance.sha256 == hashlib.sha256(text).hexdigest()
    assert facts["params_sha256"] == hashlib.sha256(kept.params.tobytes()).hexdigest()
    assert facts["num_docs"] == kept.provenance.num_docs == len(text.split())
    assert facts["num_held_out"] == round(0.1 * facts["num_docs"])
    assert facts["num_steps"] == kept.step == len(facts["losses"])
    assert facts["validations"][-1][1] < facts["validations"][0][1]
