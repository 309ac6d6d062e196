"""`microgpt sample`: the texts that the reference generates."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from microgpt import reference

from cli.commands import SMALL, WORDS, Microgpt, Reference, numbered, strict_json
from conftest import TINY


def test_each_sample_has_its_own_random_stream(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    result = microgpt("sample run -n 30 --json")
    assert (result.status, result.err) == (0, "")
    assert [strict_json(line) for line in result.out.splitlines()] == [
        {"text": text, "known": text in WORDS} for text in truth.samples(30)
    ]


@pytest.mark.parametrize(("seed", "temperature"), [(7, 0.5), (42, 2.0), (-1, 0.1)])
def test_sample_prints_the_texts_of_the_reference(
    run: Path, microgpt: Microgpt, truth: Reference, seed: int, temperature: float
) -> None:
    texts = truth.samples(20, seed, temperature)
    assert not set(texts) & set(WORDS)  # else they would be marked
    assert microgpt(f"sample run --seed {seed} --temperature {temperature}") == (0, numbered(texts), "")


def test_five_samples_are_the_first_five_of_eight(run: Path, microgpt: Microgpt) -> None:
    five, eight = (microgpt(f"sample run -n {n}").out.splitlines() for n in (5, 8))
    assert five == eight[:5]
    assert len(eight) == 8


def test_a_checkpoint_file_is_enough_to_sample(run: Path, here: Path, microgpt: Microgpt) -> None:
    shutil.copy(run / "model.safetensors", "alone.safetensors")
    assert microgpt("sample alone.safetensors -n 5") == microgpt("sample run -n 5")


def test_temperature_0_always_gives_the_likeliest_text(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    c, keys, values = TINY, [[]], [[]]
    token_id, token_ids = truth.tokenizer.bos, []
    for pos_id in range(c.block_size):
        logits = [x.data for x in reference.gpt(token_id, pos_id, keys, values, truth.state_dict, c.n_head)]
        token_id = logits.index(max(logits))
        if token_id == truth.tokenizer.bos:
            break
        token_ids.append(token_id)
    expected = truth.tokenizer.decode(token_ids)
    for option in ("--temperature 0", "--top-k 1", "--temperature 0 --seed 5"):
        lines = microgpt(f"sample run -n 3 --json {option}").out.splitlines()
        assert [json.loads(line)["text"] for line in lines] == [expected] * 3


def test_a_prompt_begins_every_sample(run: Path, microgpt: Microgpt) -> None:
    lines = microgpt("sample run -n 10 --prompt an --json").out.splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert all(text.startswith("an") and len(text) <= 4 for text in texts)
    assert any(len(text) > 2 for text in texts)


def test_max_new_tokens_ends_a_sample(run: Path, microgpt: Microgpt) -> None:
    whole, short = (
        [json.loads(line)["text"] for line in microgpt(f"sample run --json {option}").out.splitlines()]
        for option in ("", "--max-new-tokens 2")
    )
    assert short == [text[:2] for text in whole]


def test_slide_continues_beyond_block_size(run: Path, microgpt: Microgpt) -> None:
    whole, slid = (
        [json.loads(line)["text"] for line in microgpt(f"sample run --temperature 1 --json {option}").out.splitlines()]
        for option in ("", "--slide --max-new-tokens 30")
    )
    assert [text[:4] for text in slid] == whole
    assert max(map(len, slid)) > 4
    longer = microgpt("sample run -n 1 --prompt annabob --slide --json")
    assert json.loads(longer.out)["text"].startswith("annabob")


def test_slide_without_a_limit_ends(run: Path, microgpt: Microgpt) -> None:
    """A model that never ends a document is cut off at a limit."""
    result = microgpt("sample run -n 5 --slide --temperature 0 --json")
    assert result.status == 0
    assert all(len(json.loads(line)["text"]) <= 40 for line in result.out.splitlines())


def test_no_samples_give_no_output(run: Path, microgpt: Microgpt) -> None:
    assert microgpt("sample run -n 0") == (0, "", "")


@pytest.fixture
def parrot(here: Path, microgpt: Microgpt) -> Path:
    """A model that mostly generates its two training documents, a and b, and sometimes others."""
    Path("parrot.txt").write_text("a\nb\n")
    options = "--n-embd 4 --n-head 2 --block-size 3 --num-steps 20 --learning-rate 0.03"
    assert microgpt(f"train parrot.txt {options} --out parrot --quiet").status == 0
    return here / "parrot"


def test_samples_that_copy_a_training_document_are_marked(parrot: Path, microgpt: Microgpt) -> None:
    result = microgpt("sample parrot -n 50 --temperature 2")
    texts = [json.loads(line) for line in microgpt("sample parrot -n 50 --temperature 2 --json").out.splitlines()]
    assert {text["known"] for text in texts} == {True, False}
    assert all(text["known"] == (text["text"] in ("a", "b")) for text in texts)
    width = max(len(f"sample {i + 1:2d}: {text['text']}") for i, text in enumerate(texts))
    expected = [f"sample {i + 1:2d}: {text['text']}" for i, text in enumerate(texts)]
    expected = [
        f"{line:{width}}  in the training data" if text["known"] else line for line, text in zip(expected, texts)
    ]
    assert result.out.splitlines() == expected


def test_new_only_gives_the_same_samples_without_the_known_ones(parrot: Path, microgpt: Microgpt) -> None:
    def texts(options: str) -> list[str]:
        lines = microgpt(f"sample parrot --temperature 2 --json {options}").out.splitlines()
        return [json.loads(line)["text"] for line in lines]

    new = [text for text in texts("-n 100") if text not in ("a", "b")]
    assert len(new) >= 6
    assert texts("-n 6 --new-only") == new[:6]
    assert texts("-n 3 --new-only") == new[:3]


def test_new_only_gives_up_on_a_model_that_generates_nothing_new(parrot: Path, microgpt: Microgpt) -> None:
    result = microgpt("sample parrot -n 2 --new-only --temperature 0")
    assert result == (
        2,
        "",
        "error: only 0 of 200 samples are new: raise the temperature or request fewer samples\n",
    )


def test_a_model_whose_data_has_moved_still_samples_and_says_so(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    with_data = microgpt("sample run -n 5 --seed 7")
    Path("words.txt").rename("moved.txt")
    note = (
        f"note: the training data is no longer at {str(here / 'words.txt')!r}: specify the new location:"
        " --data FILE, or microgpt train FILE --resume; samples are not compared with the training data\n"
    )
    assert microgpt("sample run -n 5 --seed 7") == (0, with_data.out, note)
    result = microgpt("sample run -n 1 --json")
    assert json.loads(result.out)["known"] is None
    assert result.err == note
    refused = microgpt("sample run --new-only")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith("error: the training data is no longer at ")
    assert microgpt("sample run -n 5 --seed 7 --data moved.txt") == with_data


def test_a_model_whose_data_has_changed_still_samples_and_says_so(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out run").status == 0
    Path("words.txt").write_text("anna\n")
    result = microgpt("sample run -n 5")
    assert result.status == 0
    assert re.fullmatch(
        r"note: '.*words\.txt' is not the text that the run was trained on \(SHA-256 [0-9a-f]{12}\.\.\., expected"
        r" [0-9a-f]{12}\.\.\.\): specify the new location: --data FILE, or microgpt train FILE --resume; samples are"
        r" not compared with the training data\n",
        result.err,
    )
