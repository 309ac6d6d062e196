"""The best checkpoint: which model it is, that nothing loses it, and what happens if it cannot be used."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.config import Config
from microgpt.data.loading import load as load_data
from microgpt.errors import RunError
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.lab.server import NamedRun
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.best import choose
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import SELECTION_TOKENS, Run
from microgpt.runs.selection import Selection

from conftest import TINY, whole
from runs.test_full_disk import FailingDisk
from runs.training import DOCUMENTS, contents, trained

# the least held-out loss comes early: with this learning rate, the model soon learns the few documents by heart
CONFIG = TINY.replace(num_steps=30, learning_rate=0.1, seed=1)
HELD_OUT = {"val_fraction": 0.3}
SAVED = {"best.safetensors", "model.safetensors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose best checkpoint is not its last one. Tests copy it before they change it."""
    path = tmp_path_factory.mktemp("best") / "run"
    trained(CONFIG, path, **HELD_OUT)
    return path


def losses(path: Path) -> dict[int, float]:
    lines = read_metrics(path / "metrics.jsonl")
    return {line["step"]: line["val_loss"] for line in lines if "val_loss" in line}


def test_it_is_the_model_of_the_measurement_with_the_least_held_out_loss(folder: Path) -> None:
    measured = losses(folder)
    assert list(measured) == [*range(3, 31, 3)]
    step = min(measured, key=measured.__getitem__)
    assert step < 30
    run = Run.begin(DOCUMENTS, CONFIG, **HELD_OUT)
    for _ in run.steps(until=step):
        pass
    best = microgpt.load(folder, source=DOCUMENTS)
    assert (best.step, best.is_best) == (step, True)
    for name in ("params", "m", "v"):
        assert getattr(best.engine, name) == getattr(run.engine, name)
    assert best.score(best.held_out).loss == measured[step]
    last = microgpt.load(folder, source=DOCUMENTS, checkpoint="last")
    assert (last.step, last.is_best) == (30, False)
    assert last.score(last.held_out).loss == measured[30] > measured[step]
    since = sum(measured[step] < loss for at, loss in measured.items() if at > step)
    assert last.selection == Selection(30, measured[30], step, measured[step], since)
    assert microgpt.load(folder / "model.safetensors").step == 30


def test_a_sample_of_many_short_documents_is_larger_than_the_one_that_is_validated_on(tmp_path: Path) -> None:
    run = Run.begin("names", TINY.replace(num_steps=3), val_fraction=0.9, validate_every=1)
    with Folder.create(tmp_path / "run", run) as folder:
        steps = list(folder.train())
    count = len(run._selecting)
    tokens = run.score(run._selecting).tokens
    assert (len(run.held_out), count > 300) == (5387, True)
    assert tokens == pytest.approx(SELECTION_TOKENS, rel=0.05)
    assert all(step.val_loss and step.selection_loss and step.val_loss != step.selection_loss for step in steps)
    assert steps[-1].selection_loss == run.score(run._selecting).loss
    assert steps[-1].val_loss == run.score([run.held_out[i * 5387 // 100] for i in range(100)]).loss
    assert [line["selection_loss"] for line in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [
        step.selection_loss for step in steps
    ]
    best = min(steps, key=lambda step: step.selection_loss or 0.0)
    assert microgpt.load(tmp_path / "run").step == best.step


def test_without_held_out_documents_there_is_none(tmp_path: Path) -> None:
    files = trained(TINY, tmp_path / "run")
    assert "best.safetensors" not in files
    loaded = microgpt.load(tmp_path / "run")
    assert (loaded.step, loaded.selection, loaded.note) == (12, None, "")
    with pytest.raises(RunError, match=r"has no best checkpoint: .* does not exist \(nothing is held out"):
        microgpt.load(tmp_path / "run", checkpoint="best")


@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_is_resumed_again_and_again_keeps_the_same_one(folder: Path, tmp_path: Path, together: bool) -> None:
    expected = contents(folder)
    stops = [2, 3, 4, 8, 9, 20, 29]
    assert trained(CONFIG, tmp_path / "run", stops, together=together, **HELD_OUT) == expected


def train_until(last: int, folder: Path, config: Config, **options: Any) -> None:
    """Train with a checkpoint every 5 steps, and stop after a step without another checkpoint, as a kill does."""
    with Folder.create(folder, Run.begin(DOCUMENTS, config, **options)) as begun:
        for step in begun.train(checkpoint_every=5):
            if step.step == last:
                break


def test_a_run_that_was_killed_after_a_best_checkpoint_repeats_its_steps(tmp_path: Path) -> None:
    """The last checkpoint is at step 5, and better models of later steps are saved, when the process dies."""
    config = CONFIG.replace(learning_rate=0.03, seed=2)  # the loss falls: nearly every measurement is a new best one
    files = trained(config, tmp_path / "whole", **HELD_OUT)
    options = {"val_fraction": 0.3, "patience": 2}
    train_until(19, tmp_path / "killed", config, **options)
    shutil.copy(tmp_path / "killed" / "model.safetensors", tmp_path / "15.safetensors")
    assert checkpoints.load(tmp_path / "15.safetensors").step == 15
    train_until(6, tmp_path / "early", config, **options)
    shutil.copy(tmp_path / "killed" / "best.safetensors", tmp_path / "early")
    assert checkpoints.load(tmp_path / "early" / "best.safetensors").step == 18
    for name in ("killed", "early"):
        with Folder.resume(tmp_path / name, source=DOCUMENTS) as resumed:
            assert len(list(resumed.train(checkpoint_every=5))) == 30 - (15 if name == "killed" else 5)
        for file in SAVED:
            made, expected = (checkpoints.load(tmp_path / at / file) for at in (name, "whole"))
            assert made.provenance.patience == 2
            assert dataclasses.replace(made, provenance=expected.provenance) == expected
    assert files.keys() >= SAVED


def test_a_best_checkpoint_of_the_future_is_not_replaced_by_a_worse_one(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    best = checkpoints.load(folder / "best.safetensors").step
    early = Folder.create(path, Run.begin(DOCUMENTS, CONFIG, **HELD_OUT))
    for step in early.train(checkpoint_every=2):
        if step.step == best - 1:
            break
    early.close()
    shutil.copy(folder / "best.safetensors", path)
    with Folder.resume(path, source=DOCUMENTS) as resumed:
        for step in resumed.train(checkpoint_every=2):
            assert checkpoints.load(path / "best.safetensors").step == best, step.step
    assert contents(path) == contents(folder)


@pytest.mark.parametrize("every", [40, whole(1)])
def test_a_full_disk_loses_neither_checkpoint(every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIG.replace(num_steps=6)
    options = {"checkpoint_every": 2, **HELD_OUT}
    expected = trained(config, tmp_path / "whole", **options)
    assert expected.keys() >= SAVED
    disk = FailingDisk(monkeypatch)
    trained(config, tmp_path / "counted", **options)
    writes = disk.count
    for allowed in range(writes // 3 % every, writes, every):
        disk.count, disk.allowed = 0, allowed
        path = tmp_path / f"full{allowed}"
        try:
            assert trained(config, path, **options) == expected
            assert allowed == writes - 1
        except (OSError, RunError) as error:
            assert "No space left on device" in str(error)  # noqa: PT017
        disk.allowed = sys.maxsize
        assert [p for p in path.glob(".*") if p.suffix == ".tmp"] == []
        if (path / "model.safetensors").exists():
            if (path / "best.safetensors").exists():
                assert choose(path).is_best
            for _ in Folder.resume(path, source=DOCUMENTS).train(checkpoint_every=2):
                pass
            assert contents(path) == expected, f"after {allowed} writes"


def damage(path: Path, how: str) -> str:
    """Damage a best checkpoint; return the reason that is given."""
    if how == "missing":
        path.unlink()
        return f"{str(path)!r} does not exist (it is missing)"
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-8])
        return f"{str(path)!r} is not a microgpt checkpoint, or is damaged: the tensors occupy "
    if how == "wrong":
        content = path.read_bytes()
        assert b'"seed\\": 1}' in content
        path.write_bytes(content.replace(b'"seed\\": 1}', b'"seed\\": 2}'))
        return f"{str(path)!r} belongs to another run"
    run = Run.begin([*DOCUMENTS, "fee"], CONFIG, **HELD_OUT)
    run.selection = Selection().after(0, 1.0)
    run.save(path)
    return f"{str(path)!r} belongs to another run"


@pytest.mark.parametrize("how", ["missing", "truncated", "wrong", "another"])
def test_one_that_cannot_be_used_is_replaced_by_the_last_one_with_a_clear_word(
    folder: Path, tmp_path: Path, how: str
) -> None:
    path = tmp_path / "run"
    shutil.copytree(folder, path)
    reason = damage(path / "best.safetensors", how)
    with pytest.warns(UserWarning, match="instead$") as warned:
        loaded = microgpt.load(path)
    assert loaded.step == 30
    message = str(warned[0].message)
    assert message == loaded.note
    assert message.startswith(reason)
    assert message.endswith("; the last checkpoint (step 30) is used instead")
    assert microgpt.load(path, checkpoint="last").note == ""
    with pytest.raises(RunError, match=r"^'.*' has no best checkpoint: .*; use the last one \(checkpoint=last\)$"):
        microgpt.load(path, checkpoint="best")
    # a run that is resumed keeps the best of the models that it measures from here on
    with Folder.resume(path, source=DOCUMENTS, changes={"num_steps": 40}) as resumed:
        assert resumed.note.startswith(reason)
        assert resumed.note.endswith("; the next model that is measured becomes the best checkpoint")
        for _ in resumed.train():
            pass
    assert checkpoints.load(path / "best.safetensors").step > 30
    assert microgpt.load(path).is_best


def test_damage_that_only_reading_the_tensors_shows_is_noticed_too(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(folder, path)
    file = path / "best.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"wpe"', b'"wpf"', 1))
    with pytest.warns(UserWarning, match=r"tensor 'wp[ef]' is (missing|unknown); the last checkpoint \(step 30\)"):
        assert microgpt.load(path).step == 30


def test_a_choice_that_makes_no_sense_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^checkpoint must be one of best, last, got checkpoint='first'$"):
        microgpt.load(folder, checkpoint="first")
    with pytest.raises(ValueError, match=r"^checkpoint can only be used with a run folder, got checkpoint='best' for"):
        microgpt.load(folder / "best.safetensors", checkpoint="best")


def test_a_run_that_is_replaced_takes_its_best_checkpoint_with_it(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(folder, path)
    with Folder.create(path, Run.begin(DOCUMENTS, TINY), overwrite=True):
        assert sorted(p.name for p in path.glob("*.safetensors")) == ["model.safetensors"]


def test_a_foreign_file_of_that_name_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"mine")
    with pytest.raises(RunError, match=r"contains 'best.safetensors', which is not part of a run"):
        Folder.create(tmp_path, Run.begin(DOCUMENTS, CONFIG, **HELD_OUT))
    assert (tmp_path / "best.safetensors").read_bytes() == b"mine"


# --- Patience


def patient(path: Path, patience: int, config: Config = CONFIG) -> Run:
    with Folder.create(path, Run.begin(DOCUMENTS, config, patience=patience, **HELD_OUT)) as folder:
        for _ in folder.train():
            pass
        return folder.run


def test_training_stops_after_so_many_measurements_without_a_new_least_loss(folder: Path, tmp_path: Path) -> None:
    measured = losses(folder)
    run = patient(tmp_path / "run", 2)
    steps = [*measured]
    best = next(
        i for i in range(10) if all(measured[steps[j]] >= min(list(measured.values())[: i + 1]) for j in (i + 1, i + 2))
    )
    assert run.step == steps[best + 2] < 30
    assert run.stopped_early
    assert losses(tmp_path / "run") == {step: loss for step, loss in measured.items() if step <= run.step}
    last = checkpoints.load(tmp_path / "run" / "model.safetensors")
    assert (last.step, last.selection and last.selection.since) == (run.step, 2)
    # without a folder, too
    alone = Run.begin(DOCUMENTS, CONFIG, patience=2, **HELD_OUT)
    assert [step.step for step in alone][-1] == run.step


def test_a_run_that_stopped_early_goes_on_only_with_more_patience(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    patient(path, 2)
    before = contents(path)
    with Folder.resume(path, source=DOCUMENTS) as resumed:
        assert resumed.run.stopped_early
        assert list(resumed.train()) == []
    assert contents(path) == before
    with Folder.resume(path, source=DOCUMENTS, changes={"patience": 0}) as resumed:
        assert not resumed.run.stopped_early
        assert [step.step for step in resumed.train()][-1] == 30
    # the run that never had a patience, except that the best checkpoint was saved when there was one
    made, expected = contents(path), contents(folder)
    best, never = (checkpoints.load(at / "best.safetensors") for at in (path, folder))
    assert (best.provenance.patience, never.provenance.patience) == (2, None)
    assert dataclasses.replace(best, provenance=never.provenance) == never
    del made["best.safetensors"], expected["best.safetensors"]
    assert made == expected


def test_patience_needs_measurements_to_wait_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^patience needs held-out documents, got patience=3: set val_fraction, such"):
        Run.begin(DOCUMENTS, CONFIG, patience=3)
    with pytest.raises(
        ValueError, match=r"^patience needs several measurements .* set validate_every below num_steps$"
    ):
        Run.begin(DOCUMENTS, CONFIG, patience=3, val_fraction=0.3, validate_every=30)
    with pytest.raises(ValueError, match=r"^patience must be at least 1, got patience=-1$"):
        Run.begin(DOCUMENTS, CONFIG, patience=-1, val_fraction=0.3)
    assert Run.begin(DOCUMENTS, CONFIG, patience=0).provenance.patience is None
    trained(TINY, tmp_path / "run")
    with pytest.raises(ValueError, match=r"^patience needs held-out documents, got patience=2"):
        Folder.resume(tmp_path / "run", source=DOCUMENTS, changes={"patience": 2})


# --- The lab


def test_the_lab_opens_the_best_checkpoint(folder: Path) -> None:
    assert NamedRun.find(folder).chosen() == folder / "best.safetensors"
    assert NamedRun.find(folder, "last").chosen() == folder / "model.safetensors"
    assert NamedRun.find(folder / "model.safetensors").chosen() == folder / "model.safetensors"


def test_the_lab_trains_a_run_on_that_has_run_out_of_patience(tmp_path: Path) -> None:
    patient(tmp_path / "run", 2)
    state = checkpoints.load(tmp_path / "run" / "model.safetensors")
    lab_run = LabRun("a", "a", "", Text(), Run(state, lambda: load_data(DOCUMENTS)))
    lab_run.losses = array("d", [1.0]) * state.step
    for _ in lab_run.train(state.step + 5):
        pass
    assert lab_run.step == state.step + 5
