"""The folder of a run: after resuming, it equals the folder of a run that was never stopped."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.config import PRESETS, Config
from microgpt.errors import RunError, StoppedError
from microgpt.runs.folder import Folder
from microgpt.runs.metrics import read_metrics
from microgpt.runs.run import Run
from microgpt.system.locks import LOCK

from conftest import TINY
from runs.training import DOCUMENTS, contents, needs, trained

VARIANTS = {
    "final": TINY,
    "first": PRESETS["first"].replace(n_embd=4, n_head=2, block_size=4, num_steps=12),
    "batches": TINY.replace(batch_size=3),
    "weight decay": TINY.replace(weight_decay=20.0),
    "two layers": TINY.replace(n_layer=2, num_steps=8),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("options", [{}, {"val_fraction": 0.3}, {"together": True}], ids=["plain", "held out", "bulk"])
def test_a_resumed_run_equals_one_that_was_never_stopped(
    config: Config, options: dict[str, Any], tmp_path: Path
) -> None:
    whole = trained(config, tmp_path / "whole", **options)
    assert trained(config, tmp_path / "once", [5], **options) == whole
    assert trained(config, tmp_path / "often", [1, 2, 6, 7], **options) == whole


def test_a_run_can_be_resumed_with_another_engine(tmp_path: Path) -> None:
    needs("native")
    whole = trained(TINY, tmp_path / "whole")
    folder = Folder.create(tmp_path / "run", Run.begin(DOCUMENTS, TINY, engine="scalar"))
    for stop, engine in ((3, "native"), (7, "scalar"), (12, "native")):
        for step in folder.train():
            if step.step == stop:
                folder.save()
                break
        folder.close()
        folder = Folder.resume(tmp_path / "run", source=DOCUMENTS, engine=engine)
    folder.close()
    assert contents(tmp_path / "run") == whole


def test_resuming_after_a_crash_repeats_the_lost_steps(tmp_path: Path) -> None:
    whole = trained(TINY, tmp_path / "whole")
    folder = Folder.create(tmp_path / "crashed", Run.begin(DOCUMENTS, TINY))
    for step in folder.train(checkpoint_every=4):
        if step.step == 7:
            break  # three steps whose metrics are on disk, but which are in no checkpoint
    metrics = tmp_path / "crashed" / "metrics.jsonl"
    assert len(read_metrics(metrics)) == 7
    with metrics.open("a") as file:
        file.write('{"step": 8, "lo')  # and an incomplete line
    folder.close()
    with Folder.resume(tmp_path / "crashed", source=DOCUMENTS) as folder:
        for _ in folder.train(checkpoint_every=4):
            pass
    assert contents(tmp_path / "crashed") == whole


def test_more_steps_recompute_the_decay(tmp_path: Path) -> None:
    trained(TINY, tmp_path / "run")
    folder = Folder.resume(tmp_path / "run", source=DOCUMENTS, changes={"num_steps": 20})
    assert folder.planned_steps == 12
    assert (
        microgpt.load(tmp_path / "run").config.num_steps == 20
    )  # saved immediately: the process may be killed before its next checkpoint
    steps = list(folder.train())
    assert [s.step for s in steps] == list(range(13, 21))
    assert steps[0].learning_rate == TINY.learning_rate * (1 - 12 / 20)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["num_steps"] == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"n_embd": 8},
            "n_embd cannot be changed when a run is resumed, got n_embd=8, but the run has 4: omit this"
            " setting, or start a new run",
        ),
        ({"seed": 1}, "seed cannot be changed when a run is resumed, got seed=1, but the run has 42"),
        (
            {"val_fraction": 0.5},
            "val_fraction cannot be changed when a run is resumed, got val_fraction=0.5, but the run has 0.0",
        ),
        ({"num_steps": 3}, "num_steps must be at least 12 .the steps already completed., got num_steps=3"),
    ],
)
def test_a_setting_that_cannot_change_is_refused_and_nothing_is_lost(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    before = trained(TINY, tmp_path / "run")
    with pytest.raises(RunError, match=message):
        Folder.resume(tmp_path / "run", source=DOCUMENTS, changes=changes)
    assert contents(tmp_path / "run") == before


def test_other_data_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    before = trained(TINY, tmp_path / "run")
    with pytest.raises(microgpt.DataError, match="is not the text that the run was trained on"):
        Folder.resume(tmp_path / "run", source=[*DOCUMENTS, "abe"])
    with pytest.raises(microgpt.DataError, match="contains characters that the model has never seen: 'z'"):
        Folder.resume(tmp_path / "run", source=["zz"])
    assert contents(tmp_path / "run") == before


def test_a_folder_is_only_overwritten_with_overwrite(tmp_path: Path) -> None:
    before = trained(TINY, tmp_path / "run")
    run = Run.begin(DOCUMENTS, TINY.replace(seed=1))
    with pytest.raises(RunError, match="already contains a run: add --resume to continue it, --overwrite"):
        Folder.create(tmp_path / "run", run)
    assert contents(tmp_path / "run") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(RunError, match=r"contains 'config.json', which is not part of a run: choose another"):
            Folder.create(tmp_path / "mine", run, overwrite=overwrite)
    assert contents(tmp_path / "mine") == {"config.json": b"precious"}
    Folder.create(tmp_path / "run", run, overwrite=True)
    assert microgpt.load(tmp_path / "run").step == 0


def test_a_folder_made_by_somebody_else_cannot_change_other_files(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "run"
    before = trained(TINY, path)
    victim.write_text("precious")
    names = [f".{os.getpid()}.{i}.lock" for i in range(10)]
    names += [f".{name}.{os.getpid()}.tmp" for name in before]
    for name in names:
        (path / name).symlink_to(victim)
    with Folder.resume(path, source=DOCUMENTS, changes={"num_steps": 15}) as folder:
        for _ in folder.train(checkpoint_every=1):
            pass
        folder.write_samples("samples")
    assert victim.read_text() == "precious"
    assert contents(path).keys() == {*before, "samples.txt"}  # the links look like files of killed processes


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "metrics.jsonl", "samples.txt", LOCK])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_a_run_is_not_written_through_a_link_or_a_pipe(name: str, kind: str, tmp_path: Path) -> None:
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    path, target = tmp_path / "run", tmp_path / "elsewhere"
    trained(TINY, path)
    if kind == "link":
        (path / name).replace(target) if (path / name).exists() else target.write_text("precious")
    (path / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path / name)
    else:
        (path / name).symlink_to(target)
    before = target.read_bytes() if target.exists() else None
    what = "is not a regular file: move it" if kind == "pipe" else "is a symbolic link: replace the link with what"
    run = Run.begin(DOCUMENTS, TINY)
    for attempt in (
        lambda: Folder.resume(path, source=DOCUMENTS),
        lambda: Folder.create(path, run),
        lambda: Folder.create(path, run, overwrite=True),
    ):
        with pytest.raises(RunError, match=rf"^out='.*run' contains '{name}', which {what}.*or choose another folder$"):
            attempt()
    assert (target.read_bytes() if target.exists() else None) == before
    assert [file.name for file in path.glob(".*")] == [name] * (name == LOCK)


def test_tensorboard_is_not_written_through_a_link(tmp_path: Path) -> None:
    trained(TINY, tmp_path / "run")
    (tmp_path / "run" / "tensorboard").symlink_to(tmp_path)
    with pytest.raises(RunError, match="contains 'tensorboard', which is a symbolic link"):
        Folder.resume(tmp_path / "run", source=DOCUMENTS)


@pytest.mark.parametrize("checkpoint_every", [0, 1])
def test_a_process_whose_folder_was_replaced_leaves_the_new_run_alone(checkpoint_every: int, tmp_path: Path) -> None:
    path = tmp_path / "run"
    old = Folder.create(path, Run.begin(DOCUMENTS, TINY, engine="scalar"))
    steps = old.train(checkpoint_every)
    next(steps)
    shutil.rmtree(path)
    new = Folder.create(path, Run.begin(DOCUMENTS, TINY.replace(seed=1), engine="scalar"))
    before = contents(path)
    assert not old.has_checkpoint()
    message = "^out='.*run' was deleted, moved or replaced during training, so step 2 cannot be saved: resume the run"
    with pytest.raises(StoppedError, match=message):
        next(steps)
    for write in (old.save, old.write_config, lambda: old.write_samples("")):
        with pytest.raises(StoppedError, match="was deleted, moved or replaced"):
            write()
    old.close()
    assert contents(path) == before
    assert new.has_checkpoint()
    new.save()
    new.close()
    with pytest.raises(RunError, match="is no longer open: resume the run to continue it"):
        new.save()
