"""A run: its samples, threads, evaluation and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.config import PRESETS, Config
from microgpt.engines.choose import ENGINES
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run

from conftest import TINY, golden, whole
from runs.training import DOCUMENTS, contents, needs


@pytest.mark.golden
@pytest.mark.parametrize("engine", [whole(name) if name == "scalar" else name for name in ENGINES])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_complete_run_gives_the_golden_samples(preset: str, engine: str, names_file: Path, tmp_path: Path) -> None:
    needs(engine)
    config, published = PRESETS[preset], golden(preset)
    precision = "float64" if engine == "torch" else None
    run = microgpt.train(names_file, config, out=tmp_path / "run", engine=engine, precision=precision)
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")
    losses = [m["loss"] for m in metrics]
    exact = preset == "final" and engine != "torch"
    assert losses == pytest.approx(published["losses"], rel=0, abs=0 if exact else 1e-9)
    assert run.sample(20) == published["samples"]
    assert microgpt.load(tmp_path / "run").sample(20) == published["samples"]


def test_a_model_that_does_not_fit_into_memory_is_refused_before_drawing_its_parameters() -> None:
    message = (
        r"^training a model of 48,000,084,000,000 parameters needs at least 1,788,142\.5 GiB, but this machine has"
        r" .* GiB free: lower n_embd, n_layer or block_size$"
    )
    with pytest.raises(MemoryError, match=message):
        Run.begin(DOCUMENTS, Config(n_embd=2_000_000, block_size=32), engine="scalar")


def test_threads_that_would_have_nothing_to_do_are_refused() -> None:
    needs("native")
    message = "threads must be at most batch_size=2, got threads=3: a batch's documents are divided among the threads"
    with pytest.raises(ValueError, match=message):
        Run.begin(DOCUMENTS, TINY.replace(batch_size=2), engine="native", threads=3)


@pytest.mark.parametrize("precision", ["exact", "float32"])
def test_a_run_has_the_same_bytes_for_any_number_of_threads(precision: str, tmp_path: Path) -> None:
    needs("native")
    config, folders = TINY.replace(batch_size=4), []
    for threads in (1, 2, 4):
        options: dict[str, Any] = {"engine": "native", "precision": precision, "threads": threads}
        path = tmp_path / str(threads)
        for step in Folder.create(path, Run.begin(DOCUMENTS, config, **options)).train(together=True):
            if step.step == 5:
                break
        for _ in Folder.resume(path, source=DOCUMENTS, **options).train(together=True):
            pass
        folders.append(contents(path))
        microgpt.train(DOCUMENTS, config, out=tmp_path / f"whole {threads}", **options)
        folders.append(contents(tmp_path / f"whole {threads}"))
        assert microgpt.load(path, threads=threads).sample(3, seed=1) == microgpt.load(path).sample(3, seed=1)
    assert all(folder == folders[0] for folder in folders)


@pytest.mark.parametrize(
    "options",
    [{}, {"prompt": "ab"}, {"prompt": "a", "max_new_tokens": 1}, {"top_k": 2}, {"temperature": 0.0}, {"slide": True}],
    ids=str,
)
def test_samples_with_a_seed_do_not_depend_on_the_engine_or_the_number_of_samples(options: dict[str, Any]) -> None:
    needs("native")
    texts = []
    for engine, counts in (("scalar", [70]), ("native", [70]), ("native", [1, 5, 64])):
        run = Run.begin(DOCUMENTS, TINY.replace(num_steps=40), engine=engine)
        for _ in run:
            pass
        parts = [run.sample(n, seed=3, first=sum(counts[:i]), **options) for i, n in enumerate(counts)]
        texts.append([text for part in parts for text in part])
    assert texts[0] == texts[1] == texts[2]
    assert len(set(texts[0])) > (1 if options.get("temperature") != 0.0 else 0)


def test_an_evaluation_reports_its_progress() -> None:
    run = Run.begin(DOCUMENTS, TINY, val_fraction=0.3)
    calls: list[tuple[str, int, int]] = []
    found = run.evaluate(num_samples=70, progress=lambda *facts: calls.append(facts))
    assert calls == [
        *(("Reading documents", i, 3) for i in range(1, 4)),
        *(("Counting tokens", i, 7) for i in range(1, 8)),
        ("Generating samples", 64, 70),
        ("Generating samples", 70, 70),
    ]
    assert (found.text, found.documents, found.novelty.samples) == ("held-out part of documents in memory", 3, 70)


def test_parameters_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY))
    before = contents(tmp_path / "run")
    folder.run.engine.params[3] = float("inf")
    with pytest.raises(
        microgpt.DivergedError, match="a weight is not finite after step 0: start a new run with learning_rate below"
    ):
        folder.save()
    assert contents(tmp_path / "run") == before


# Runs of about 1.5e10 and 2.5e10 flops (6 x parameters x tokens), on both sides of the limit
SHORT, LONG = (Config(n_embd=64, block_size=16, num_steps=steps) for steps in (3_000, 5_000))


def test_a_long_run_is_trained_in_float32_and_keeps_its_precision(tmp_path: Path) -> None:
    short, long = Run.begin(DOCUMENTS, SHORT), Run.begin(DOCUMENTS, LONG)
    if short.engine.name != "native":
        pytest.skip("the native engine is missing")
    assert [run.engine.precision for run in (short, long)] == ["exact", "float32"]
    assert Run.begin(DOCUMENTS, LONG, precision="exact").engine.precision == "exact"
    for _ in long.steps(until=3):
        pass
    long.save(tmp_path / "long.safetensors")
    again = Run.load(tmp_path / "long.safetensors")
    assert again.engine.precision == "float32"
    assert again.provenance.precision == "float32"
    assert Run.load(tmp_path / "long.safetensors", engine="scalar").engine.precision == "exact"  # it has no other
    begun = Run.begin(DOCUMENTS, LONG)
    begun.save(tmp_path / "begun.safetensors")
    assert Run.load(tmp_path / "begun.safetensors", engine="scalar").provenance.precision == "float32"
    exact = Run.load(tmp_path / "long.safetensors", precision="exact")
    exact.save(tmp_path / "exact.safetensors")
    assert Run.load(tmp_path / "exact.safetensors").engine.precision == "exact"


def test_a_run_of_an_earlier_version_stays_exact(tmp_path: Path) -> None:
    """Earlier checkpoints do not record the precision, which was exact unless another one was requested."""
    run = Run.begin(DOCUMENTS, LONG)
    run.provenance = replace(run.provenance, precision=None)
    run.save(tmp_path / "old.safetensors")
    assert Run.load(tmp_path / "old.safetensors").engine.precision == "exact"
