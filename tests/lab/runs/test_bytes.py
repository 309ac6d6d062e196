"""A run whose tokens are bytes, opened in the lab: a letter beyond ASCII is several tokens, in all figures."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import offsets, shapes
from microgpt.engines.scalar import ScalarEngine
from microgpt.lab.playback.chapters import CHAPTERS
from microgpt.runs.run import Run

from lab.runs import byte_run
from lab.runs.byte_run import CONFIG, TEXT
from lab.session_client import Lab

BOS = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return byte_run.train(tmp_path_factory.mktemp("bytes"))


def opened(folder: Path) -> Lab:
    lab = Lab()
    lab.ask("load_data", name="own.txt", base64=base64.b64encode((folder / "own.txt").read_bytes()).decode())
    checkpoint = base64.b64encode((folder / "run" / "model.safetensors").read_bytes()).decode()
    metrics = (folder / "run" / "metrics.jsonl").read_text()
    lab.ask("open_run", name="bytes", checkpoint=checkpoint, metrics=metrics)
    return lab


@pytest.fixture(scope="module")
def readonly(folder: Path) -> Lab:
    """A session with that run, which the tests must not change."""
    return opened(folder)


@pytest.fixture(scope="module")
def own(folder: Path) -> Run:
    """The same run, without the lab."""
    return Run.load(folder / "run", engine="scalar")


def test_tokens_are_named_by_their_character_or_hexadecimal_digits(readonly: Lab) -> None:
    assert readonly.ask("model")["tokenizer"] == "byte"
    symbols = readonly.ask("model")["symbols"]
    assert len(symbols) == len(set(symbols)) == 257
    assert [symbols[i] for i in (*b"a \xc3\n", BOS)] == ["a", " ", "c3", "0a", ""]


def test_a_letter_beyond_ascii_is_several_tokens(readonly: Lab) -> None:
    found = readonly.ask("tokens", text="zoë\ud800")
    assert found["ids"] == [BOS, *"zoë".encode(), BOS]
    assert [one["char"] for one in found["characters"]] == ["z", "o", "c3", "ab", "\ud800"]
    assert [one["known"] for one in found["characters"]] == [True] * 4 + [False]
    assert found["unknown"] == ["\ud800"]
    assert found["positions"] == 5
    assert [one["target"] for one in readonly.ask("loss", word="zoë")["letters"]] == ["z", "o", "c3", "ab", "·"]
    assert readonly.ask("attention", word="zoë")["labels"] == ["·", "z", "o", "c3", "ab"]


def test_the_numbers_are_those_of_the_run(readonly: Lab, own: Run) -> None:
    assert isinstance(own.engine, ScalarEngine)
    tokens = own.tokenizer.encode("zoë")
    forward = readonly.ask("forward", word="zoë")
    assert forward["tokens"] == tokens
    for t, logits in enumerate(own.engine.logits(tokens[:-1])):
        assert forward["tensors"][f"pos{t}.logits"]["data"] == logits
    [nats] = own.engine.losses([tokens])
    assert readonly.ask("loss", word="zoë")["mean"] == pytest.approx(nats / 5, rel=1e-12)


def test_samples_equal_those_of_the_command_line(readonly: Lab, own: Run) -> None:
    texts = own.sample(10, seed=3, temperature=1.0)
    assert readonly.ask("samples", seed=3, count=10, temperature=1.0)["texts"] == texts
    for prompt in ("", "zo", "é"):
        [text] = own.sample(1, seed=3, temperature=0.7, prompt=prompt)
        found = readonly.ask("generate", seed=3, index=0, temperature=0.7, prompt=prompt)
        assert found["text"] == text
        assert found["letters"][0]["position"] == len(prompt.encode())
    played = readonly.ask("chapter", name="sample", word="anna", seed=3, index=0, temperature=1.0)
    assert played["facts"]["text"] == texts[0]


def test_the_data_are_shown_as_text(readonly: Lab) -> None:
    found = readonly.ask("data")
    assert set(found["shuffled"]) == set(TEXT.split("\n")) - {""}
    assert found["num_chars"] == len(TEXT.replace("\n", ""))
    assert dict(found["lengths"]) == {2: 5, 3: 10, 4: 5, 5: 5, 12: 5}
    counts = {one["char"]: one["count"] for one in found["letters"]}
    assert counts["c3"] == TEXT.encode().count(0xC3)
    run = readonly.session.active
    assert run.text.find_texts(run.run.data, ["zoë", "zo", "日本"]) == {"zoë", "日本"}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_plays_except_the_one_about_characters(readonly: Lab, chapter: str) -> None:
    options: dict[str, Any] = {"path": "wte[97][0]"} if chapter == "adam" else {}
    if chapter == "sample":
        options = {"seed": 1, "index": 0, "temperature": 0.5}
    if chapter == "tokens":
        words = readonly.refused("chapter", name=chapter, word="zoë")
        assert words == "the program's tokens are characters, but this run's tokens are bytes: choose another run"
    else:
        readonly.ask("chapter", name=chapter, word="zoë", **options)


def test_gradients_and_updates_are_those_of_the_engine(readonly: Lab, own: Run) -> None:
    engine = ScalarEngine(own.engine.params[:], CONFIG, 257)
    engine.backward([own.tokenizer.encode("zoë")])
    places = offsets(shapes(CONFIG, 257))
    grads = readonly.ask("gradients", word="zoë")["grads"]
    for name, part in places.items():
        assert grads[name] == list(engine.grads[part]), name
    update = readonly.ask("update", word="zoë", what=["grad"])["tensors"]
    for name, found in update.items():
        assert found["grad"] == list(engine.grads[places[name]]), name
    path = "wte[195][0]"  # the byte c3
    grad = engine.grads[places["wte"].start + 195 * CONFIG.n_embd]
    assert grad != 0
    assert readonly.ask("adam", word="zoë", path=path)["grad"] == grad
    nudge = readonly.ask("nudge", word="zoë", path=path)
    assert nudge["grad"] == grad
    assert nudge["difference"] == pytest.approx(grad, rel=1e-6)


def test_the_probabilities_are_the_softmax_of_the_logits(readonly: Lab, own: Run) -> None:
    logits = own.engine.logits(own.tokenizer.encode("zoë")[:-1])[3]
    powers = [math.exp(logit) for logit in logits]
    chance = readonly.ask("number", word="zoë", path="pos3.probs[171]")["value"]  # the byte ab, after c3
    assert chance == pytest.approx(powers[171] / sum(powers), rel=1e-12)
    assert readonly.ask("parameters")["tensors"]["wte"]["data"] == list(own.engine.params[: 257 * CONFIG.n_embd])


def test_a_number_is_found_by_its_token(readonly: Lab) -> None:
    assert readonly.ask("find", word="zoë", query="wte c3")["found"][0]["path"] == "wte[195]"


def test_the_run_can_be_trained_scrubbed_saved_and_exported(folder: Path, own: Run, tmp_path: Path) -> None:
    lab = opened(folder)
    lab.ask("scrub", step=7)
    whole = Run.begin(folder / "own.txt", CONFIG, tokenizer="byte", engine="native")
    for _ in whole.steps(until=7):
        pass
    assert lab.session.active.engine.params == whole.engine.params
    expected = [step.loss for step in whole.steps(until=12)]
    assert lab.losses(5) == expected  # on a branch
    again = Lab()
    again.ask("restore", state=lab.ask("save")["state"])
    assert again.state() == lab.state()
    assert again.losses(2) == lab.losses(2)
    exported = again.ask("export_model")
    (tmp_path / exported["name"]).write_bytes(base64.b64decode(exported["base64"]))
    loaded = Run.load(tmp_path / exported["name"], engine="native")
    assert loaded.engine.params == lab.session.active.engine.params
    assert loaded.tokenizer.symbols == own.tokenizer.symbols


def test_byte_pairs_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="needs Hugging Face's tokenizers: pip install tokenizers")
    Run.begin("names", CONFIG, tokenizer="bpe:300").save(tmp_path / "model")
    checkpoint = base64.b64encode((tmp_path / "model").read_bytes()).decode()
    assert Lab().refused("open_run", name="run", checkpoint=checkpoint, metrics="") == (
        "'run' has a byte-pair tokenizer (bpe:300), which the lab does not support: open a run trained with"
        " --tokenizer char or byte"
    )
