"""Runs with the torch engine: beginning, resuming with other engines, checkpoints and samples."""

from __future__ import annotations

import statistics
from array import array
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config, offsets, shapes
from microgpt.runs import run as run_module
from microgpt.runs.checkpoint import load as load_checkpoint
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run

from conftest import TINY

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from microgpt.engines.torch import decoding  # noqa: E402  (needs torch)

from engines.torch.cases import WORDS, assert_close, every_precision  # noqa: E402  (needs torch)


@every_precision
def test_held_out_losses_are_measured_during_training(precision: str) -> None:
    config = Config(n_embd=8, n_head=2, num_steps=20)
    found = {}
    for engine, how in (("scalar", None), ("torch", precision)):
        run = Run.begin(WORDS, config, engine=engine, precision=how, val_fraction=0.3, validate_every=10)
        found[engine] = [step.val_loss for step in run if step.val_loss is not None]
        assert run.evaluate(num_samples=0).scores["model"].loss == pytest.approx(found[engine][-1], rel=1e-6)
    assert len(found["torch"]) == 2
    allowed = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 0.05}[precision]
    assert found["torch"] == pytest.approx(found["scalar"], rel=0, abs=allowed)


def test_an_option_of_torch_is_refused_by_another_engine() -> None:
    message = (
        "device is not an option of the scalar engine, got device='cpu': omit it or use the torch engine"
        r" \(engine='torch', --engine torch\)"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Run.begin(WORDS, TINY, engine="scalar", device="cpu")


def test_a_large_model_draws_its_own_first_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "ENGINE_INIT_PARAMS", 1000)
    config = Config(n_embd=48, n_head=4, n_layer=2, init_std=0.05, zero_init=True, seed=7)
    first, second = (Run.begin(WORDS, config, engine="torch", precision=p) for p in ("float32", "bfloat16"))
    assert first.engine.params == second.engine.params
    table = offsets(shapes(config, first.engine.vocab_size))
    for name, where in table.items():
        numbers = first.engine.params[where]
        assert statistics.fmean(numbers) == pytest.approx(0, abs=0.01)
        std = 0.0 if name.endswith(("attn_wo", "mlp_fc2")) else 0.05
        assert statistics.pstdev(numbers) == pytest.approx(std, rel=0.1)
    other = Run.begin(WORDS, config.replace(seed=8), engine="torch")
    assert other.engine.params != first.engine.params


def test_an_engine_that_cannot_draw_gets_parameters_from_python_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Run.begin(WORDS, TINY, engine="scalar")
    monkeypatch.setattr(run_module, "ENGINE_INIT_PARAMS", 10)
    large = Run.begin(WORDS, TINY, engine="scalar")
    assert large.engine.params == small.engine.params
    assert large.rng.getstate() == small.rng.getstate()


SETTINGS = TINY.replace(n_embd=8, num_steps=24, batch_size=2)


def trained(path: Path, changes: list[tuple[int, dict[str, Any]]]) -> Run:
    """Train a run in a folder that is resumed at each of these steps with another engine."""
    ends = [*(step for step, _ in changes[1:]), SETTINGS.num_steps]
    folder = Folder.create(path, Run.begin(WORDS, SETTINGS, **changes[0][1]))
    for (_, options), end in zip([*changes[1:], (0, {})], ends):
        for step in folder.train():
            if step.step == end:
                folder.save()
                break
        folder.close()
        if options:
            folder = Folder.resume(path, source=WORDS, **options)
    return Run.load(path, source=WORDS, engine="scalar")


SCALAR, NATIVE, TORCH = {"engine": "scalar"}, {"engine": "native"}, {"engine": "torch", "precision": "float64"}


@pytest.mark.parametrize(
    "engines", [[SCALAR, TORCH, SCALAR, TORCH], [TORCH, NATIVE, TORCH, NATIVE], [NATIVE, SCALAR, TORCH, SCALAR]]
)
def test_a_run_may_change_its_engine_at_any_resume(engines: list[dict[str, Any]], tmp_path: Path) -> None:
    for options in engines:
        if options["engine"] == "native":
            try:
                Run.begin(WORDS, SETTINGS, **options)
            except ImportError as error:
                pytest.skip(str(error))
    whole = trained(tmp_path / "whole", [(0, SCALAR)])
    run = trained(tmp_path / "run", list(zip((0, 7, 13, 20), engines)))
    assert run.step == whole.step == SETTINGS.num_steps
    for name in ("params", "m", "v"):
        assert_close(name, getattr(whole.engine, name), getattr(run.engine, name), 1e-11)
    assert run.rng.getstate() == whole.rng.getstate()
    assert run.sample(10, seed=3) == whole.sample(10, seed=3)


@every_precision
def test_a_checkpoint_keeps_the_precision_of_the_engine(precision: str, tmp_path: Path) -> None:
    options = {"engine": "torch", "precision": precision}
    whole = trained(tmp_path / "whole", [(0, options)])
    run = trained(tmp_path / "run", [(0, options), (13, options)])
    for name in ("params", "m", "v"):
        assert getattr(run.engine, name) == getattr(whole.engine, name)  # bit for bit
    kept = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert kept.dtype == ("F64" if precision == "float64" else "F32")
    assert kept.step == SETTINGS.num_steps


def test_a_checkpoint_keeps_all_bits_before_the_first_step(tmp_path: Path) -> None:
    run = Run.begin(WORDS, SETTINGS, engine="torch")
    begun = array("d", run.engine.params)
    run.save(tmp_path / "begun")
    assert load_checkpoint(tmp_path / "begun").params == begun
    next(run.steps())
    run.save(tmp_path / "on")
    assert load_checkpoint(tmp_path / "on").dtype == "F32"
    assert load_checkpoint(tmp_path / "on").params == run.engine.params


@pytest.mark.parametrize("least", [decoding.MIN_DEVICE_SAMPLING_VOCAB, 0], ids=["by Python", "on the device"])
@pytest.mark.parametrize(
    "options",
    [{"temperature": 1.0}, {"temperature": 0.0}, {"top_k": 3}, {"prompt": "a"}, {"slide": True}, {"seed": None}],
    ids=str,
)
def test_float64_gives_the_samples_of_the_other_engines(
    options: dict[str, Any], least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MIN_DEVICE_SAMPLING_VOCAB", least)
    trained(tmp_path, [(0, SCALAR)])
    expected, found = (
        Run.load(tmp_path, source=WORDS, **engine).sample(70, **{"seed": 5, **options}) for engine in (SCALAR, TORCH)
    )
    assert found == expected
