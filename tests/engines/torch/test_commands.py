"""The commands with the torch engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ROOT, clean_environment

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


from engines.torch.cases import WORDS, every_precision  # noqa: E402  (needs torch)


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """A module named torch that fails to import hides the installed PyTorch."""
    (tmp_path / "torch.py").write_text("raise ImportError('no module of that name')\n")
    command = [sys.executable, "-m", "microgpt", "train", "--engine", "torch", "--out", str(tmp_path / "run")]
    environment = {**clean_environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    message = "the torch engine needs PyTorch: pip install torch (no module of that name)"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {message}\n")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def microgpt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str, str]]:
    """Run a command in this process, in a folder with words.txt."""
    from microgpt.cli import main as cli

    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("".join(f"{word}\n" for word in WORDS))

    def call(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(line.split())
        return (status, *capsys.readouterr())

    return call


SIZES = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 12 --batch-size 2"


@every_precision
def test_every_command_works_with_the_torch_engine(
    precision: str, microgpt: Callable[[str], tuple[int, str, str]]
) -> None:
    torch_engine = f"--engine torch --precision {precision}"
    status, out, err = microgpt(f"train words.txt {SIZES} --val-fraction 0.2 --out run {torch_engine}")
    assert status == 0
    assert out.count("sample") == 20
    assert f"engine: torch {precision} on " in err
    assert microgpt(f"train --out run --resume --num-steps 15 {torch_engine}")[0] == 0
    assert microgpt("info run")[1].startswith("run: 15 of 15 steps\n")
    status, out, _ = microgpt(f"sample run -n 3 --seed 1 {torch_engine}")
    assert (status, out.count("sample")) == (0, 3)
    assert microgpt(f"evaluate run --num-samples 5 {torch_engine}")[0] == 0
    assert microgpt("plot run")[0] == 0
    assert microgpt(f"train words.txt {SIZES} --out other --micro-batch-size 1 --deterministic {torch_engine}")[0] == 0
    torch.use_deterministic_algorithms(False)


def test_float64_prints_the_samples_of_the_scalar_engine(microgpt: Callable[[str], tuple[int, str, str]]) -> None:
    _, expected, _ = microgpt(f"train words.txt {SIZES} --out run --engine scalar")
    assert microgpt(f"train words.txt {SIZES} --out other --engine torch --precision float64")[1] == expected
    sampled = microgpt("sample run --engine scalar -n 70")[1]
    assert microgpt("sample run --engine torch --precision float64 -n 70")[1] == sampled


def test_verify_confirms_that_the_torch_engine_agrees_with_the_reference(
    microgpt: Callable[[str], tuple[int, str, str]],
) -> None:
    for precision in ("float64", "float32"):
        status, out, _ = microgpt(f"verify --engine torch --precision {precision} --golden-steps 0")
        assert status == 0
        assert "within the tolerance" in out
    status, _, err = microgpt("verify --engine torch --precision bfloat16")
    assert (status, err) == (
        2,
        "error: precision must be one of exact, float64, float32, got precision='bfloat16'\n",
    )
