"""microgpt.train as people type it: settings as keywords, a callback, progress; and what notebooks show."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

import microgpt
from microgpt import Config
from microgpt.runs import train as train_module
from microgpt.runs.run import Run
from microgpt.runs.train import train
from microgpt.training import Step

TINY = {"n_embd": 4, "n_head": 2, "block_size": 4}
NAMES = ["ada", "grace", "hedy"]


def test_settings_are_keywords() -> None:
    run = microgpt.train(NAMES, num_steps=3, seed=7, **TINY)
    assert run.config == Config(num_steps=3, seed=7, **TINY)
    assert train(NAMES, Config(num_steps=5, **TINY), num_steps=2).config.num_steps == 2


@pytest.mark.parametrize(
    ("option", "meant"),
    [("lr", "learning_rate"), ("epochs", "num_steps"), ("val", "val_fraction"), ("num_step", "num_steps")],
)
def test_an_unknown_keyword_is_named_with_the_one_that_was_meant(option: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"^unknown option {option}=1; did you mean {meant}\?$"):
        train(NAMES, **{option: 1})  # type: ignore[arg-type]


def test_an_unknown_keyword_without_a_likely_meaning_lists_the_settings() -> None:
    with pytest.raises(TypeError, match=r"^unknown option dropout=0.1; the settings are n_embd, n_head, "):
        train(NAMES, dropout=0.1)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ValueError, match=r"^n_embd must be a multiple of n_head"):
        train(NAMES, n_embd=10)


@pytest.mark.parametrize("out", [None, "run"])
def test_on_step_is_called_with_each_step(tmp_path: Path, out: str | None) -> None:
    steps: list[Step] = []
    run = train(NAMES, num_steps=4, on_step=steps.append, out=out and tmp_path / out, **TINY)
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert run.engine.params == train(NAMES, num_steps=4, **TINY).engine.params


def test_progress_is_shown_where_somebody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(NAMES, num_steps=3, **TINY)
    assert capsys.readouterr() == ("", "")  # a pipe
    train(NAMES, num_steps=3, progress=True, **TINY)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("\rstep 3 of 3 | loss ")
    assert shown.err.endswith("\n")
    monkeypatch.setattr(train_module, "is_interactive", lambda: True)
    train(NAMES, num_steps=3, **TINY)
    assert "step 3 of 3" in capsys.readouterr().err
    train(NAMES, num_steps=3, progress=False, **TINY)
    assert capsys.readouterr().err == ""


def test_a_run_traces_a_text() -> None:
    run = train(NAMES, num_steps=3, **TINY)
    word = run.trace("ada")
    bos = run.tokenizer.bos
    expected = microgpt.trace(run.tokenizer.encode("ada"), run.engine.params, run.config, bos + 1)
    assert word.number("loss") == expected.number("loss")
    with pytest.raises(ValueError, match=r"^text must contain only characters that the model knows .*got 'x' in text="):
        run.trace("x")


def test_an_evaluation_prints_as_a_table() -> None:
    result = train(NAMES, num_steps=3, **TINY).evaluate(num_samples=3)
    assert str(result) == repr(result)
    assert "knowing nothing" in str(result)
    assert result._repr_html_().startswith("<table><thead><tr><th>training data")
    run = train(["<b>"], num_steps=1, **TINY)
    assert "<b>" not in run._repr_html_()
    assert "<td>1 of 1</td>" in run._repr_html_()


@pytest.mark.parametrize(("known", "typed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_prompt_is_tried_in_its_other_normal_form(known: str, typed: str) -> None:
    names = [unicodedata.normalize(known, name) for name in ("josé", "zoë")]
    run = Run.begin(names, Config(n_embd=4, n_head=2, num_steps=1))
    prompt = unicodedata.normalize(typed, "josé")
    assert run.sample(1, prompt=prompt, seed=1)[0].startswith(prompt)
    with pytest.raises(ValueError, match="prompt must contain only characters"):
        run.sample(1, prompt="ø")
