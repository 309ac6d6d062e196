"""The exported model gives the numbers of the engines in another program, onnxruntime."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.cli import main as cli
from microgpt.config import PRESETS, Config
from microgpt.export.onnx import to_onnx
from microgpt.runs.run import Run

from conftest import ROOT, examples

numpy = pytest.importorskip("numpy", reason="needs NumPy: pip install numpy")


class Exported:
    """An exported file in onnxruntime, which knows nothing of microgpt."""

    def __init__(self, path: Path) -> None:
        onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.facts = self.session.get_modelmeta().custom_metadata_map
        self.past = self.session.get_inputs()[1]

    def start(self, count: int) -> tuple[Any, Any]:
        kind = numpy.float32 if "float" in self.past.type and "double" not in self.past.type else numpy.float64
        n_layer, _, _, n_embd = self.past.shape
        empty = numpy.zeros((n_layer, count, 0, n_embd), kind)
        return empty, empty

    def run(self, tokens: Any, past: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        inputs = {"tokens": numpy.array(tokens, numpy.int64), "keys": past[0], "values": past[1]}
        logits, *context = self.session.run(["logits", "keys_out", "values_out"], inputs)
        return logits, tuple(context)


@pytest.fixture(scope="module", autouse=True)
def onnx() -> Any:
    return pytest.importorskip("onnx", reason="needs onnx: pip install onnx")


def trained(**settings: Any) -> Run:
    run = Run.begin("names", Config(**{"num_steps": 30, **settings}), engine="auto")
    for _ in run:
        pass
    return run


@pytest.mark.parametrize("precision", ["float32", "float64"])
@given(
    seed=st.integers(0, 10**6),
    n_layer=st.integers(1, 3),
    n_head=st.sampled_from([1, 2, 4]),
    block_size=st.integers(1, 12),
    activation=st.sampled_from(["relu", "relu2"]),
)
@settings(max_examples=examples(12))
def test_the_logits_equal_those_of_the_engine(
    tmp_path_factory: pytest.TempPathFactory,
    precision: str,
    seed: int,
    n_layer: int,
    n_head: int,
    block_size: int,
    activation: str,
) -> None:
    config = Config(
        n_embd=8, n_layer=n_layer, n_head=n_head, block_size=block_size, activation=activation, seed=seed, init_std=0.5
    )
    run = Run.begin("names", config)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    to_onnx(run, path, precision)
    model, rng = Exported(path), random.Random(seed)
    texts = [[rng.randrange(run.engine.vocab_size) for _ in range(block_size)] for _ in range(3)]
    expected = numpy.array([[list(row) for row in run.engine.logits(text)] for text in texts])
    within = {"float32": 1e-5, "float64": 1e-12}[precision] * max(1.0, float(abs(expected).max()))

    whole, _ = model.run(texts, model.start(3))
    assert abs(whole - expected).max() < within

    past, steps = model.start(3), []  # in pieces of random length, each with the context of the pieces before
    first = 0
    while first < block_size:
        size = rng.randint(1, block_size - first)
        logits, past = model.run([text[first : first + size] for text in texts], past)
        steps.append(logits)
        first += size
    assert past[0].shape == (n_layer, 3, block_size, 8)
    assert abs(numpy.concatenate(steps, 1) - expected).max() < within


@pytest.mark.parametrize("preset", PRESETS)
def test_the_exported_model_generates_the_texts_of_sample(tmp_path: Path, preset: str) -> None:
    config = PRESETS[preset]
    run = trained(**{**config.to_dict(), "num_steps": 200})
    to_onnx(run, tmp_path / "model.onnx", "float64")
    model = Exported(tmp_path / "model.onnx")
    symbols, bos = json.loads(model.facts["symbols"]), int(model.facts["bos"])
    written = []
    for i in range(10):
        rng, token, text, past = random.Random(f"3:{i}"), bos, "", model.start(1)
        for _ in range(int(model.facts["block_size"])):
            logits, past = model.run([[token]], past)
            scaled = logits[0, 0] / config.temperature
            weights = numpy.exp(scaled - scaled.max())
            token = rng.choices(range(len(symbols)), weights=list(weights / weights.sum()))[0]
            if token == bos:
                break
            text += symbols[token]
        written.append(text)
    assert written == run.sample(10, seed=3)


def test_the_command_writes_a_file_or_explains_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(n_embd=4, n_head=2)
    run.save(tmp_path / "model.safetensors")
    path = tmp_path / "model.onnx"
    assert cli.main(["export", str(tmp_path / "model.safetensors"), "-o", str(path)]) == 0
    assert "onnx" in capsys.readouterr().out
    logits, _ = Exported(path).run([[26]], Exported(path).start(1))
    assert abs(logits[0, 0] - numpy.array(run.engine.logits([26])[0])).max() < 1e-5
    before = path.read_bytes()
    wrong = ["export", str(tmp_path / "model.safetensors"), "-o", str(path), "--precision", "float8"]
    assert cli.main(wrong) == 2
    assert capsys.readouterr().err == "error: precision must be one of float32, float64, got precision='float8'\n"

    assert cli.main(["export", str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "no" / "model.onnx")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write '")
    assert error.endswith("model.onnx': No such file or directory; choose another file\n")

    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    assert cli.main(["export", str(tmp_path / "model.safetensors"), "-o", str(path)]) == 2
    assert "pip install onnx" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_the_program_in_the_document_generates_a_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
    to_onnx(trained(num_steps=300), tmp_path / "model.onnx")
    program = (ROOT / "docs" / "onnx.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    random.seed(1)
    exec(program, {})
    assert capsys.readouterr().out.strip().isalpha()
