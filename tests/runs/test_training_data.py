"""A checkpoint whose record of its training data is wrong can be used, but not trained; no other file is decoded."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config
from microgpt.errors import DataError
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.folder import Folder
from microgpt.runs.provenance import NAMES, Provenance
from microgpt.runs.run import Run
from microgpt.system import safetensors

CONFIG = Config(n_embd=4, n_head=2, block_size=8, num_steps=4)
WRONG: list[Any] = [[], {}, True, -1, 1.5, "words", math.nan, math.inf, 10**30]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("ada\nbea\nabba\n")
    Folder.create(tmp_path / "run", Run.begin(tmp_path / "text.txt", CONFIG, engine="scalar")).close()
    return tmp_path / "run"


def set_fact(folder: Path, **facts: Any) -> None:
    path = folder / "model.safetensors"
    tensors, metadata = safetensors.read(path)
    safetensors.write(path, tensors, {**metadata, "data": json.dumps({**json.loads(metadata["data"]), **facts})})


@pytest.mark.parametrize("name", NAMES)
def test_a_fact_that_cannot_be_used_is_kept_and_named(name: str) -> None:
    for value in WRONG:
        kept = Provenance.from_dict({"sha256": "0", name: value})
        if name in kept.unknown:
            assert re.search(rf"\b{name}( must be |\.\w+ is missing)", kept.fault())
            assert repr(kept.to_dict()[name]) == repr(value)
        else:
            assert kept.fault() == ""
    assert name in Provenance.from_dict({name: []}).unknown


@pytest.mark.parametrize(
    ("name", "value"), [("documents", "words"), ("documents", 5), ("val_fraction", 7.5), ("precision", "int8")]
)
def test_a_run_with_an_unknown_fact_samples_but_does_not_train(folder: Path, name: str, value: Any) -> None:
    set_fact(folder, **{name: value})
    before = (folder / "model.safetensors").read_bytes()
    run = Run.load(folder, engine="scalar")
    [[sample]] = run.sample_batches(1, seed=1)
    assert sample.known is None
    assert run.evaluate(folder.parent / "text.txt", num_samples=1).novelty.new is None
    assert f"{name} must be" in run.missing_data
    for train in (lambda: next(iter(run)), lambda: Folder.resume(folder, engine="scalar")):
        with pytest.raises(DataError, match=f"{name} must be .*, got {name}={value!r}; train with the version"):
            train()
    assert (folder / "model.safetensors").read_bytes() == before


SECRET = "ada\nbea\nroot:$6$SECRET:19000\n"


@pytest.mark.parametrize("content", [SECRET.encode(), b"\xffSECRET", b"SECRET\x00", b""])
def test_another_file_is_not_decoded(folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(content)
    set_fact(folder, source=str(secret))
    message = Run.load(folder, engine="scalar").missing_data
    assert "is not the text that the run was trained on" in message
    assert not any(part in message for part in ("SECRET", "characters", "'$'", "null byte", "0xff", "empty"))
    with pytest.raises(DataError, match="is not the text that the run was trained on"):
        Folder.resume(folder, engine="scalar")


def test_a_pipe_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder.parent / "pipe")
    set_fact(folder, source=str(folder.parent / "pipe"))
    assert "it is a pipe or a device" in Run.load(folder, engine="scalar").missing_data


@pytest.mark.parametrize("source", ["a\0b", "x" * 5000, "\ud800"])
def test_a_source_that_is_no_possible_path_does_not_prevent_sampling(folder: Path, source: str) -> None:
    state = checkpoints.load(folder / "model.safetensors")
    state.provenance = replace(state.provenance, source=source)
    checkpoints.save(folder / "model.safetensors", state)
    run = Run.load(folder, engine="scalar")
    assert "training data" in run.missing_data
    assert len(list(run.sample_batches(1))) == 1


def test_the_recorded_text_is_found_as_before(folder: Path) -> None:
    run = Run.load(folder, engine="scalar")
    assert run.missing_data == ""
    with Folder.resume(folder, engine="scalar") as resumed:
        assert len(list(resumed.train())) == 4


def test_a_pipe_as_a_checkpoint_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="not a regular file; specify a run folder"):
        Run.load(tmp_path)
