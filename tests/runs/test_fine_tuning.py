"""Fine-tuning: a run that starts from another run's parameters, and with its vocabulary."""

from __future__ import annotations

import hashlib
import random
import struct
from array import array
from pathlib import Path

import pytest

import microgpt
from microgpt.config import Config, initial_std, offsets, shapes
from microgpt.data.loading import load as load_data
from microgpt.data.prepare import prepare
from microgpt.errors import DataError, RunError
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.folder import Folder
from microgpt.runs.provenance import Origin
from microgpt.runs.run import Run

from conftest import TINY
from runs.training import DOCUMENTS, needs, trained

KNOWN = ["deb", "abe", "bead", "dada"]  # of the characters of DOCUMENTS
NEW = ["eve", "bob", "zoé", "dada"]


@pytest.fixture(scope="module", params=["bos last", "bos first"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has been trained."""
    path = tmp_path_factory.mktemp("base") / "run"
    trained(TINY.replace(bos_first=request.param == "bos first", temperature=0.9, seed=5), path)
    return path


def rows(run: Run, name: str) -> dict[str, list[float]]:
    """Return the rows of wte or lm_head by their tokens' texts."""
    table = shapes(run.config, run.engine.vocab_size)
    numbers, columns = run.engine.params[offsets(table)[name]], table[name][1]
    return {s: list(numbers[i * columns : (i + 1) * columns]) for i, s in enumerate(run.tokenizer.symbols)}


def test_with_the_same_vocabulary_the_untrained_run_is_the_other_model(base: Path) -> None:
    other = microgpt.load(base)
    run = Run.begin(KNOWN, start_from=base)
    assert run.tokenizer.symbols == other.tokenizer.symbols
    assert run.engine.params == other.engine.params
    assert (run.step, set(run.engine.m), set(run.engine.v)) == (0, {0.0}, {0.0})
    assert run.sample(10, seed=3) == other.sample(10, seed=3)
    assert run.config == other.config  # a setting that is not given is the other run's
    assert Run.begin(KNOWN, start_from=base, learning_rate=0.001, num_steps=3).config == other.config.replace(
        learning_rate=0.001, num_steps=3
    )
    assert Run.begin(KNOWN, start_from=other).engine.params == other.engine.params


def test_new_characters_get_new_rows_and_every_known_token_keeps_its_own(base: Path) -> None:
    other = microgpt.load(base)
    run = Run.begin(NEW, start_from=base, init_std=0.5, seed=9)
    assert run.new_symbols == ["o", "v", "z", "é"]
    assert run.tokenizer.symbols == load_data([*DOCUMENTS, *NEW], bos_first=other.config.bos_first).tokenizer.symbols
    assert run.tokenizer.bos != other.tokenizer.bos or other.config.bos_first
    for name in ("wte", "lm_head"):
        old, now = rows(other, name), rows(run, name)
        assert {symbol: now[symbol] for symbol in old} == old
    # the new ones are drawn after the order of the documents, as initial parameters are
    rng = random.Random(9)
    run.data.order(9, 0.0, rng)
    for name in ("wte", "lm_head"):
        for symbol in run.tokenizer.symbols:
            if symbol in run.new_symbols:
                assert rows(run, name)[symbol] == [rng.gauss(0, initial_std(run.config, name)) for _ in range(4)]
    others = [name for name in shapes(run.config, 1) if name not in ("wte", "lm_head")]
    table, before = (offsets(shapes(run.config, each.engine.vocab_size)) for each in (run, other))
    for name in others:
        assert run.engine.params[table[name]] == other.engine.params[before[name]]


def test_the_known_logits_do_not_change_when_the_vocabulary_grows(base: Path) -> None:
    """Up to the softmax, a model that has never heard of the new tokens computes the same for the known ones."""
    other, run = microgpt.load(base), Run.begin(NEW, start_from=base)
    before, now = (
        dict(zip(one.tokenizer.symbols, one.engine.logits(one.tokenizer.encode("abe")[:-1])[-1]))
        for one in (other, run)
    )
    assert {symbol: now[symbol] for symbol in before} == before
    assert len(now) == len(before) + 4


@pytest.mark.parametrize("engine", ["scalar", "native", "torch"])
def test_every_engine_trains_it_and_a_resumed_run_is_the_same(base: Path, tmp_path: Path, engine: str) -> None:
    needs(engine)
    options = {"engine": engine, "precision": "float64" if engine == "torch" else "exact"}
    run = microgpt.train(NEW, start_from=base, num_steps=6, out=tmp_path / "whole", val_fraction=0.25, **options)
    with Folder.create(
        tmp_path / "part", Run.begin(NEW, start_from=base, num_steps=6, val_fraction=0.25, **options)
    ) as folder:
        for step in folder.train(checkpoint_every=1):
            if step.step == 3:
                break
    with Folder.resume(tmp_path / "part", source=NEW, **options) as folder:
        for _ in folder.train():
            pass
    whole, part = (checkpoints.load(tmp_path / name / "model.safetensors") for name in ("whole", "part"))
    assert whole == part
    assert run.engine.params != Run.begin(NEW, start_from=base).engine.params
    assert microgpt.load(tmp_path / "part").provenance.start_from == run.provenance.start_from


def test_it_records_the_model_that_it_started_from(base: Path, tmp_path: Path) -> None:
    run, other = Run.begin(KNOWN, start_from=base), microgpt.load(base)
    digest = hashlib.sha256(struct.pack(f"<{len(other.engine.params)}d", *other.engine.params)).hexdigest()
    assert run.provenance.start_from == Origin(str(base), 12, digest)
    run.save(tmp_path / "model.safetensors")
    assert microgpt.load(tmp_path / "model.safetensors").provenance == run.provenance
    assert Run.begin(KNOWN, start_from=other).provenance.start_from == Origin(None, 12, digest)
    assert Run.begin(KNOWN, start_from=base / "model.safetensors").provenance.start_from == Origin(
        str(base / "model.safetensors"), 12, digest
    )
    assert Run.begin(KNOWN, TINY).provenance.start_from is None


def test_it_starts_from_the_best_checkpoint(tmp_path: Path) -> None:
    trained(TINY.replace(num_steps=30, learning_rate=0.1, seed=1), tmp_path / "run", val_fraction=0.3)
    run, best = Run.begin(KNOWN, start_from=tmp_path / "run"), microgpt.load(tmp_path / "run")
    assert best.step < 30
    assert run.engine.params == best.engine.params
    assert run.provenance.start_from is not None
    assert run.provenance.start_from.step == best.step
    (tmp_path / "run" / "best.safetensors").write_bytes(b"damaged")
    again = Run.begin(KNOWN, start_from=tmp_path / "run")
    assert again.note.endswith("the last checkpoint (step 30) is used instead")


@pytest.mark.parametrize(
    ("name", "value", "of_run"),
    [("n_embd", 8, 4), ("n_head", 1, 2), ("n_layer", 2, 1), ("block_size", 8, 4), ("activation", "relu2", "relu")],
)
def test_a_setting_of_another_architecture_is_refused(base: Path, name: str, value: object, of_run: object) -> None:
    expected = f"^{name} must be {of_run!r}, as in the run to start from, got {name}={value!r}: omit it, or start a run"
    with pytest.raises(ValueError, match=expected):
        Run.begin(KNOWN, start_from=base, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^n_embd must be 4, as in the run to start from, got n_embd=16"):
        Run.begin(KNOWN, Config(), start_from=base)


def test_what_cannot_be_started_from_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"does not exist; specify a run folder"):
        Run.begin(KNOWN, start_from=tmp_path / "nothing")
    with pytest.raises(
        ValueError, match=r"^tokenizer must be 'char', as in the run to start from, got tokenizer='byte'"
    ):
        Run.begin(KNOWN, start_from=base, tokenizer="byte")
    with pytest.raises(
        DataError, match=r"^'the data' lacks 2 of the characters that the run to start from knows, such"
    ):
        Run.begin(load_data(["ada"], bos_first=microgpt.load(base).config.bos_first), start_from=base)


def test_a_byte_tokenizer_is_kept(tmp_path: Path) -> None:
    other = Run.begin(DOCUMENTS, TINY, tokenizer="byte")
    run = Run.begin(["zoé"], start_from=other)
    assert run.tokenizer.spec() == other.tokenizer.spec()
    assert (run.engine.params, run.new_symbols) == (other.engine.params, [])
    with pytest.raises(
        DataError, match=r"^'the data' was tokenized with another tokenizer than that of the run to start"
    ):
        Run.begin(load_data(["ada"]), start_from=other)


def test_a_bpe_tokenizer_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    other = Run.begin(["abab " * 20, "abc"], TINY, tokenizer="bpe:259")
    run = Run.begin(["zoé abab"], start_from=other)
    assert run.tokenizer.spec() == other.tokenizer.spec()
    assert run.engine.params == other.engine.params
    assert run.data.text(0) == "zoé abab"


def test_prepared_data_with_a_larger_vocabulary_can_be_trained_on(tmp_path: Path) -> None:
    other = Run.begin(DOCUMENTS, TINY)
    for name, texts in (("larger", [*DOCUMENTS, *NEW]), ("smaller", KNOWN[:1])):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts), encoding="utf-8")
        prepare([tmp_path / f"{name}.txt"], tmp_path / name)
    run = Run.begin(tmp_path / "larger", start_from=other)
    assert run.new_symbols == ["o", "v", "z", "é"]
    assert rows(run, "wte")["d"] == rows(other, "wte")["d"]
    with pytest.raises(DataError, match=r"smaller' lacks 1 of the characters .* such as 'a': train on the text itself"):
        Run.begin(tmp_path / "smaller", start_from=other)


def test_the_lab_opens_it_but_does_not_claim_to_know_its_earlier_steps(tmp_path: Path) -> None:
    names = Text()
    other = Run.begin("names", TINY)
    for _ in other.steps(until=3):
        pass
    run = Run.begin("names", start_from=other)
    for _ in run.steps(until=3):
        pass
    run.save(tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    lab_run = opening.opened("a", "a", content, "", lambda sha256: names, names)
    assert (lab_run.missing, lab_run.opened, lab_run.earliest) == ("", None, 3)
    assert lab_run.engine.params == array("d", run.engine.params)
