"""The held-out split: disjoint, complete, determined by the seed, and with equal documents on one side."""

from __future__ import annotations

import random
import re
from array import array
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import Config
from microgpt.data.loading import load
from microgpt.data.prepare import prepare
from microgpt.data.split import END, SINGLY, TOGETHER
from microgpt.errors import DataError
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import Run

from data.texts import thoroughly


@thoroughly
@given(count=st.integers(2, 60), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 5))
def test_a_split_is_disjoint_and_complete_and_keeps_the_order_of_the_file(
    count: int, fraction: float, seed: int
) -> None:
    text = load(["a"] * count)
    if not 0 < round(count * fraction) < count:
        with pytest.raises(DataError, match=f"of {count} documents leaves nothing to train on or nothing to hold out"):
            text.split(seed, fraction)
        return
    train, held_out = text.split(seed, fraction)
    assert len(held_out) == round(count * fraction)
    assert sorted([*train, *held_out]) == list(range(count))
    assert list(train) == sorted(train)
    assert list(held_out) == sorted(held_out)
    # by design: drawn from its own random stream, which depends only on the seed
    assert set(held_out) == set(random.Random(f"{seed}:val").sample(range(count), len(held_out)))


def test_a_split_depends_only_on_the_seed() -> None:
    text = load(["a"] * 1000)
    splits = {seed: list(text.split(seed, 0.1)[1]) for seed in range(20)}
    assert len({tuple(split) for split in splits.values()}) == 20
    assert all(list(load(["b"] * 1000).split(seed, 0.1)[1]) == split for seed, split in splits.items())


def test_a_fraction_of_0_holds_nothing_out() -> None:
    train, held_out = load(["a", "b", "c"]).split(42, 0)
    assert (train, held_out) == (array("Q", [0, 1, 2]), array("Q"))


def test_a_split_leaves_the_shared_random_stream_alone() -> None:
    state = random.getstate()
    load(["a"] * 100).split(42, 0.5)
    assert random.getstate() == state


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.0, 2, float("nan"), float("inf")])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    expected = f"val_fraction must be at least 0 and less than 1, got val_fraction={fraction}"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        load(["a", "b"]).split(42, fraction)


def test_a_fraction_that_leaves_an_empty_part_says_what_to_do() -> None:
    with pytest.raises(DataError) as error:
        load(["a", "b"]).split(42, 0.1)
    assert str(error.value) == (
        "val_fraction=0.1 of 2 documents leaves nothing to train on or nothing to hold out:"
        " choose another fraction or provide more documents"
    )


def test_the_windows_of_a_stream_are_split_like_documents() -> None:
    stream = load(["abcdefghij" * 10], mode="stream", block_size=5)
    train, held_out = stream.split(1, 0.25)
    assert len(stream) == 21
    assert (len(train), len(held_out)) == (16, 5)


@thoroughly
@given(
    texts=st.lists(st.sampled_from(["a", "ab", "ba", "abc", "b", "c"]), min_size=2, max_size=60), seed=st.integers(0, 9)
)
def test_equal_documents_stand_on_the_same_side(texts: list[str], seed: int) -> None:
    data, distinct = load(texts), list(dict.fromkeys(texts))
    assert data.num_distinct == len(distinct)
    assert data.split_rule() == (TOGETHER if len(distinct) < len(texts) else SINGLY)
    if not 0 < round(len(distinct) * 0.4) < len(distinct):
        with pytest.raises(DataError, match=f"of {len(distinct)} (distinct )?documents leaves nothing"):
            data.split(seed, 0.4, TOGETHER)
        return
    train, held_out = data.split(seed, 0.4, TOGETHER)
    assert sorted([*train, *held_out]) == list(range(len(texts)))
    assert list(train) == sorted(train)
    assert list(held_out) == sorted(held_out)
    sides = [{texts[i] for i in side} for side in (train, held_out)]
    assert not sides[0] & sides[1]
    # the distinct documents are split as a text of these documents alone is
    assert sides[1] == {distinct[i] for i in load(distinct).split(seed, 0.4)[1]}


def test_without_equal_documents_the_split_is_that_of_earlier_versions() -> None:
    names = load("names")
    assert names.split_rule() == SINGLY
    assert names.split(42, 0.1, TOGETHER) == names.split(42, 0.1)
    run = Run.begin("names", Config(n_embd=2, n_head=1), val_fraction=0.1)
    assert (run.provenance.split, run.provenance.num_distinct, run.split_note) == (None, None, "")


def test_the_public_names_have_no_document_on_both_sides(names_file: Path) -> None:
    run = Run.begin(names_file, Config(n_embd=2, n_head=1), val_fraction=0.1)
    train, held_out = ({run.data.text(i) for i in side} for side in (run.order, run.held_out))
    assert not train & held_out
    assert len(train) + len(held_out) == run.provenance.num_distinct == 29494
    assert run.split_note == (
        "2,539 of 32,033 documents repeat an earlier one; equal documents are on the same side of the split"
    )
    # by the rule of earlier versions, one in seven stands on both sides
    earlier = Run.begin(names_file, Config(n_embd=2, n_head=1), val_fraction=0.1, split=SINGLY)
    assert earlier.provenance.split is None
    assert earlier.split_note == "447 of 3,203 held-out documents are also in the training part"


@pytest.mark.parametrize("is_prepared", [False, True])
def test_the_held_out_part_of_a_stream_is_its_end(tmp_path: Path, is_prepared: bool) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcdefghij" * 10)
    if is_prepared:
        prepare([text], tmp_path / "prepared", documents="stream", tokenizer="char")
    run = Run.begin(
        tmp_path / "prepared" if is_prepared else text,
        Config(n_embd=2, n_head=1, block_size=5),
        documents=None if is_prepared else "stream",
        val_fraction=0.25,
    )
    assert list(run.held_out) == list(range(16, 21))
    assert sorted(run.order) == list(range(16))
    assert list(run.order) != sorted(run.order)
    assert run.provenance.split == END
    assert run.split_note == "the held-out part is the end of the text"
    run.provenance = replace(run.provenance, split=None)
    del run._order
    assert run.split_note.startswith("the held-out windows are scattered among those that are trained on")
    assert sorted([*run.order, *run.held_out]) == list(range(21))
    assert list(run.held_out) != list(range(16, 21))


def test_prepared_documents_are_not_compared_and_the_run_says_so(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("ada\nbea\n" * 50)
    prepare([text], tmp_path / "prepared", documents="lines", tokenizer="char")
    run = Run.begin(tmp_path / "prepared", Config(n_embd=2, n_head=1), val_fraction=0.1)
    assert run.provenance.split is None
    assert run.split_note == (
        "documents of prepared data are not compared, so equal ones can be on both sides of the split"
    )


def test_a_checkpoint_records_the_rule_and_an_earlier_one_keeps_its_own(tmp_path: Path) -> None:
    config, texts = Config(n_embd=2, n_head=1), ["ada", "bea", "ada", "eve", "bea", "cid", "dan", "ada"]
    for split in (None, SINGLY):
        run = Run.begin(texts, config, val_fraction=0.4, split=split)
        run.save(tmp_path / "model.safetensors")
        loaded = Run.load(tmp_path / "model.safetensors", source=texts)
        assert loaded.provenance.split == (None if split else TOGETHER)
        assert (loaded.order, loaded.held_out) == (run.order, run.held_out)
        assert loaded.held_out == load(texts).split(42, 0.4, split or TOGETHER)[1]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^split must be one of singly, together, end, got split='other'$"):
        Run.begin(["ada", "bea"], Config(n_embd=2, n_head=1), val_fraction=0.5, split="other")
    with pytest.raises(ValueError, match=r"^split cannot be 'together' for a stream or prepared data, whose documents"):
        Run.begin(["ada", "bea"], Config(n_embd=2, n_head=1), documents="stream", val_fraction=0.5, split=TOGETHER)
    assert Provenance.from_dict({"split": "other"}).fault().startswith("the run's record of its training data")
