"""Files of version 0.1.0 still open and resume bit for bit: run folders, checkpoints, prepared data, sessions.

tests/fixtures/earlier holds those files and, in expected.json, what that version computed after reopening them.
web/src/earlier.test.ts does the same for links.
"""

from __future__ import annotations

import copy
import json
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import microgpt

sys.path.insert(0, str(Path(__file__).parent / "fixtures" / "earlier"))
import opened

EXPECTED: dict[str, Any] = json.loads((opened.HERE / "expected.json").read_text(encoding="utf-8"))
CLOSE = {"float32": 1e-5, "torch": 1e-12}
NEEDS = {"bpe": "tokenizers", "torch": "torch"}


def check(found: Any, expected: Any, where: str = "answer") -> None:
    """Assert that all expected entries are present with equal values; a later version may add entries."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert name in found, f"{where} has no {name}"
            check(found[name], value, f"{where}[{name!r}]")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for i, (one, value) in enumerate(zip(found, expected)):
            check(one, value, f"{where}[{i}]")
    else:
        assert found == expected, where


def losses_of(folder: dict[str, Any]) -> list[float]:
    return [json.loads(line)["loss"] for line in folder["metrics.jsonl"].splitlines()]


def numbers_in(path: Path) -> array[float]:
    """Return the parameters and moments in a checkpoint."""
    header, content = opened.parts_of(path)
    numbers = array("d" if header["wte"]["dtype"] == "F64" else "f")
    numbers.frombytes(content)
    return array("d", numbers)


def furthest(a: Sequence[float], b: Sequence[float]) -> float:
    assert len(a) == len(b)
    return max(abs(x - y) for x, y in zip(a, b))


@pytest.mark.parametrize("name", opened.RUNS)
def test_a_run_folder_resumes_bit_for_bit(tmp_path: Path, name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    path = opened.resumed(name, tmp_path)
    check(opened.of_folder(path), EXPECTED["folders"][name])


def test_a_resumed_folder_equals_the_earlier_one_byte_for_byte(tmp_path: Path) -> None:
    assert opened.whole(opened.resumed("lines", tmp_path)) == EXPECTED["whole"]


@pytest.mark.parametrize("name", opened.ROUNDED)
def test_a_run_folder_of_an_inexact_engine_resumes_to_close_numbers(tmp_path: Path, name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    else:
        try:
            microgpt.load(opened.FOLDERS / name, engine="native")
        except ImportError as error:
            pytest.skip(str(error))
    path = opened.resumed(name, tmp_path)
    found, expected = opened.of_folder(path), copy.deepcopy(EXPECTED["folders"][name])
    assert furthest(losses_of(found), losses_of(expected)) <= CLOSE[name]
    numbers = numbers_in(path / "model.safetensors")
    assert furthest(numbers, numbers_in(opened.HERE / f"{name}.safetensors")) <= CLOSE[name]
    del expected["samples.txt"], expected["metrics.jsonl"]
    del (
        expected["model.safetensors"]["numbers"],
        expected["model.safetensors"]["rng"],
    )  # they depend on the sampled numbers
    check(found, expected)


def test_a_single_checkpoint_samples_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    check(opened.of_documents(tmp_path), EXPECTED["documents"])


@pytest.mark.parametrize("name", ["lines", "stream"])
def test_prepared_data_train_the_same_model(name: str) -> None:
    found, expected = opened.of_prepared(name), copy.deepcopy(EXPECTED["prepared"][name])
    if name == "stream":  # the run is new, and samples of a new run on a stream begin after a line break
        assert len(found.pop("samples")) == len(expected.pop("samples"))
    check(found, expected)


def test_an_interrupted_preparation_is_finished(tmp_path: Path) -> None:
    check(opened.finish_preparing(tmp_path), EXPECTED["finished preparing"])


def test_a_saved_session_is_restored_bit_for_bit() -> None:
    check(opened.of_session(), EXPECTED["session"])


@pytest.mark.parametrize("name", opened.OPENED)
def test_the_lab_opens_a_run_folder_and_scrubs_back(name: str) -> None:
    check(opened.of_opened(name), EXPECTED["opened in the lab"][name])


def test_every_run_folder_is_tested() -> None:
    assert {path.name for path in opened.FOLDERS.iterdir()} == {*opened.RUNS, *opened.ROUNDED}
    assert EXPECTED["folders"].keys() == {*opened.RUNS, *opened.ROUNDED}


def test_a_single_changed_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    content = bytearray((opened.FOLDERS / "lines" / "model.safetensors").read_bytes())
    path.write_bytes(content)
    found = opened.of_checkpoint(path)
    content[-8] ^= 1
    path.write_bytes(content)
    assert {name for name, value in opened.of_checkpoint(path).items() if value != found[name]} == {"numbers"}
