"""`microgpt train`: its output and its files."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference
from microgpt.cli import display
from microgpt.config import PRESETS, Config
from microgpt.data import sources
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.folder import Folder
from microgpt.runs.run import load
from microgpt.schedule import learning_rate
from microgpt.training import Step

from cli.commands import SMALL, WORDS, Microgpt, Reference, contents, metrics, names, numbered, strict_json, untimed
from conftest import TINY

# --- Output


def test_quiet_prints_the_20_samples_of_the_reference_and_nothing_else(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    result = microgpt(f"train words.txt {SMALL} --quiet")
    assert result == (0, numbered(truth.after_training), "")


def test_a_log_shows_the_run_its_steps_and_where_it_is_saved(here: Path, microgpt: Microgpt, truth: Reference) -> None:
    result = microgpt(f"train words.txt {SMALL} --engine scalar --out first")
    mean, weight, steps = 0.0, 0.0, []
    for i, loss in enumerate(truth.losses):
        mean, weight = 0.98 * mean + 0.02 * loss, 0.98 * weight + 0.02
        steps.append(f"step {i + 1:4d} /   12 | loss {loss:.4f} | smoothed {mean / weight:.4f} | TIME")
    predicted = sum(len(word) + 1 for word in WORDS)
    unread = sum(max(0, len(word) + 1 - 4) for word in WORDS)
    per_parameter = (predicted - unread) / truth.num_params
    assert result.status == 0
    assert result.out == numbered(truth.after_training)
    assert untimed(result.err).splitlines() == [
        "num docs: 12",
        "vocab size: 17",
        f"num params: {truth.num_params}",
        f"data: {here / 'words.txt'}, {predicted - 12} tokens, 1 byte each",
        f"not read: {unread / predicted:.1%} of the tokens, which are beyond block_size=4; increase block_size"
        " to read more",
        *steps,
        f"to improve it, train longer, because it read {per_parameter:.1f} tokens per parameter in 1.0"
        " passes over the text: microgpt train words.txt --n-embd 4 --n-head 2 --block-size 4 --num-steps 120"
        " --engine scalar",
        "saved in first; for more samples: microgpt sample first",
    ]


def test_json_prints_one_object_per_line_and_each_step_as_in_the_metrics(
    here: Path, microgpt: Microgpt, truth: Reference
) -> None:
    result = microgpt(f"train words.txt {SMALL} --json --out run")
    assert (result.status, result.err) == (0, "")
    begin, *steps, end = result.out.splitlines()
    facts = strict_json(begin)
    assert facts == {**json.loads(Path("run/config.json").read_text()), "step": 0}
    assert steps == Path("run/metrics.jsonl").read_text().splitlines()
    assert strict_json(end) == {"samples": truth.after_training}


def test_json_of_a_text_with_held_out_documents_keeps_full_precision(here: Path, microgpt: Microgpt) -> None:
    result = microgpt(f"train words.txt {SMALL} --json --out run --val-fraction 0.25 --validate-every 5")
    steps = [strict_json(line) for line in result.out.splitlines()[1:-1]]
    assert steps == metrics(here / "run")
    assert [step["step"] for step in steps if "val_loss" in step] == [5, 10, 12]
    # the held-out loss shown at the end is the one that `evaluate` measures
    evaluated = strict_json(microgpt("evaluate run --json --num-samples 0").out)
    assert evaluated["model"]["loss"] == steps[-1]["val_loss"]
    assert evaluated["text"] == f"held-out part of {here / 'words.txt'}"
    assert evaluated["documents"] == 3


# --- Files and settings


def test_a_run_folder_holds_what_the_reference_computed(run: Path, truth: Reference, trained: Path) -> None:
    assert names(run) == ["config.json", "metrics.jsonl", "model.safetensors", "samples.txt"]
    words = trained / "words.txt"
    assert json.loads((run / "config.json").read_text()) == {
        "config": TINY.to_file(),
        "data": {
            "source": str(words),
            "sha256": hashlib.sha256(words.read_bytes()).hexdigest(),
            "documents": "lines",
            "num_docs": 12,
            "val_fraction": 0.0,
            "precision": "exact",
        },
        "vocab_size": 17,
        "num_params": truth.num_params,
    }
    shuffled = list(WORDS)
    random.Random(42).shuffle(shuffled)
    assert metrics(run) == [
        {"step": i + 1, "loss": loss, "learning_rate": rate, "tokens": min(4, len(shuffled[i]) + 1)}
        for i, (loss, rate) in enumerate(zip(truth.losses, truth.rates))
    ]
    assert (run / "samples.txt").read_text() == numbered(truth.after_training)


def test_the_model_file_holds_the_references_parameters_for_the_safetensors_package(
    run: Path, truth: Reference
) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="the package safetensors reads the file")
    tensors = safetensors.load_file(run / "model.safetensors")
    for name, matrix in truth.state_dict.items():
        assert tensors[name].tolist() == [[p.data for p in row] for row in matrix], name
    names = set(truth.state_dict)
    assert set(tensors) == names | {f"adam_m.{n}" for n in names} | {f"adam_v.{n}" for n in names}


def test_runs_without_out_are_numbered(here: Path, microgpt: Microgpt) -> None:
    for number in ("1", "2", "3"):
        result = microgpt(f"train words.txt {SMALL} --num-steps 1")
        assert result.err.splitlines()[-1] == f"saved in runs/{number}; for more samples: microgpt sample runs/{number}"
    assert names(Path("runs")) == ["1", "2", "3"]


def test_every_option_of_config_reaches_the_run(here: Path, microgpt: Microgpt) -> None:
    config = Config(
        n_embd=6,
        n_head=3,
        n_layer=2,
        block_size=3,
        activation="relu2",
        init_std=0.1,
        zero_init=True,
        bos_first=True,
        learning_rate=0.02,
        warmup_steps=1,
        decay="cosine",
        beta1=0.7,
        beta2=0.9,
        eps_adam=1e-7,
        weight_decay=0.1,
        clip=0.5,
        num_steps=2,
        batch_size=3,
        temperature=0.9,
        seed=7,
    )
    assert all(value != getattr(Config(), name) for name, value in config.to_dict().items())
    options = []
    for name, value in config.to_dict().items():
        option = "--" + name.replace("_", "-")
        options.append(option if value is True else f"{option} {value}")
    assert microgpt(f"train words.txt --out run {' '.join(options)}").status == 0
    assert json.loads(Path("run/config.json").read_text())["config"] == config.to_dict()


def test_options_override_a_preset(here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt --out run --preset first {SMALL} --no-zero-init").status == 0
    expected = PRESETS["first"].replace(n_embd=4, n_head=2, block_size=4, num_steps=12, zero_init=False)
    assert json.loads(Path("run/config.json").read_text())["config"] == expected.to_file()


def test_a_stream_is_read_in_windows_of_block_size(here: Path, microgpt: Microgpt) -> None:
    text = Path("words.txt").read_text()
    tokenizer = reference.Tokenizer(set(text))
    tokens = tokenizer.encode(text)
    windows = [tokens[i : i + 5] for i in range(0, len(tokens) - 1, 4)]
    expected = Reference(windows, tokenizer, TINY)
    result = microgpt(f"train words.txt --documents stream {SMALL} --out run --json")
    assert [step["loss"] for step in metrics(here / "run")] == expected.losses
    # samples of a stream begin after a line break, not after BOS as those of the reference
    assert strict_json(result.out.splitlines()[-1]) == {"samples": load("run").sample(20)}


def test_held_out_documents_are_not_trained_on(here: Path, microgpt: Microgpt) -> None:
    held_out = random.Random("42:val").sample(range(12), 3)
    tokenizer = reference.Tokenizer(set("".join(WORDS)))
    kept = [tokenizer.encode(word) for i, word in enumerate(WORDS) if i not in held_out]
    assert microgpt(f"train words.txt {SMALL} --val-fraction 0.25 --out run").status == 0
    assert [step["loss"] for step in metrics(here / "run")] == Reference(kept, tokenizer, TINY).losses


def test_micro_batches_and_frequent_checkpoints_change_nothing(here: Path, microgpt: Microgpt) -> None:
    options = f"train words.txt {SMALL} --batch-size 3"
    for out, more in (("plain", ""), ("micro", "--micro-batch-size 2"), ("often", "--checkpoint-every 1")):
        assert microgpt(f"{options} --out {out} {more}").status == 0
    assert Path("often/model.safetensors").read_bytes() == Path("plain/model.safetensors").read_bytes()
    plain, micro = (checkpoints.load(f"{out}/model.safetensors") for out in ("plain", "micro"))
    assert (micro.params, micro.m, micro.v) == (plain.params, plain.m, plain.v)
    assert micro.provenance == dataclasses.replace(plain.provenance, micro_batch_size=2)
    assert Path("often/metrics.jsonl").read_bytes() == Path("plain/metrics.jsonl").read_bytes()


@pytest.mark.parametrize("name", ["makemore", "shakespeare"])
def test_the_progress_of_a_download_has_the_name_of_the_data_set(
    name: str, here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(progress: Callable[[int, int], None]) -> Path:
        progress(5, 10)
        return here / "words.txt"

    shown: list[tuple[str, int, int]] = []
    monkeypatch.setattr(sources, name, download)
    monkeypatch.setattr(display, "bars", lambda: nullcontext(lambda *facts: shown.append(facts)))
    assert microgpt(f"train {name} {SMALL} --out run").status == 0
    assert shown == [(name, 5, 10)]


def test_clipping_warm_up_and_decay_are_settings_of_the_run(here: Path, microgpt: Microgpt) -> None:
    line = f"train words.txt {SMALL} --clip 0.5 --weight-decay 0.1 --warmup-steps 3 --decay cosine --out run"
    assert microgpt(line).status == 0
    kept = checkpoints.load(here / "run" / "model.safetensors").config
    assert (kept.clip, kept.weight_decay, kept.warmup_steps, kept.decay) == (0.5, 0.1, 3, "cosine")
    rates = [metric["learning_rate"] for metric in metrics(here / "run")]
    assert rates[:3] == pytest.approx([0.01 / 3, 0.02 / 3, 0.01])
    assert rates == [learning_rate(step, len(rates), 0.01, 3, "cosine") for step in range(len(rates))]
    assert microgpt("train --out run --resume --clip 0.5").status == 0
    refused = microgpt("train --out run --resume --decay linear")
    assert (refused.status, refused.err.splitlines()[-1]) == (
        2,
        "error: decay cannot be changed when a run is resumed, got decay='linear', but the run has 'cosine': omit this"
        " setting, or start a new run",
    )


def test_threads_change_nothing(here: Path, microgpt: Microgpt) -> None:
    if microgpt(f"train words.txt {SMALL} --engine native --out native").status:
        pytest.skip("the native engine is not built")
    for threads in (1, 2):
        assert microgpt(f"train words.txt {SMALL} --batch-size 4 --threads {threads} --out {threads}").status == 0
    assert contents(here / "1") == contents(here / "2")
    for option in ("--resume", "--overwrite"):
        assert microgpt(f"train words.txt {SMALL} --batch-size 4 --threads 2 --out 1 {option}").status == 0
        assert contents(here / "1") == contents(here / "2")


def test_overwrite_leaves_the_files_of_a_new_run(run: Path, here: Path, microgpt: Microgpt) -> None:
    options = f"train words.txt {SMALL} --seed 3 --num-steps 5"
    assert microgpt(f"{options} --out new").status == 0
    assert microgpt(f"{options} --out run --overwrite").status == 0
    assert contents(run) == contents(here / "new")


# --- Runs that diverge


def test_a_run_that_diverges_says_so_and_its_last_checkpoint_loads(here: Path, microgpt: Microgpt) -> None:
    result = microgpt(f"train words.txt {SMALL} --learning-rate 1e9 --out run --checkpoint-every 1")
    *_, last = result.err.splitlines()
    assert result.status == 1
    assert result.out == ""
    assert re.match(  # nan or inf, depending on the engine's arithmetic
        r"error: the loss at step 2 is (nan|inf): start a new run with learning_rate below 1000000000.0 or"
        r" init_std below 0.08; the last checkpoint is intact",
        last,
    )
    assert [step["step"] for step in metrics(here / "run")] == [1]
    assert strict_json(microgpt("info run --json").out)["step"] == 1
    assert microgpt("sample run -n 3").status == 0


def test_the_last_checkpoint_of_a_run_that_diverged_can_be_evaluated(here: Path, microgpt: Microgpt) -> None:
    """Its loss is so high that the perplexity overflows a float."""
    assert microgpt(f"train words.txt {SMALL} --learning-rate 1e9 --out run --checkpoint-every 1").status == 1
    assert microgpt("evaluate run --num-samples 3").status == 0
    assert strict_json(microgpt("evaluate run --num-samples 3 --json").out)["model"]["loss"] > 1000


# --- Runs that the system stops


def stops(monkeypatch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Call a function after the third step of any run."""
    train = Folder.train

    def stopping(folder: Folder, *arguments: Any, **options: Any) -> Iterator[Step]:
        for step in train(folder, *arguments, **options):
            if step.step == 3:
                stop()
            yield step

    monkeypatch.setattr(Folder, "train", stopping)


def test_a_run_whose_folder_is_deleted_stops_and_does_not_claim_a_checkpoint(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops(monkeypatch, lambda: shutil.rmtree(here / "run"))
    result = microgpt(f"train words.txt {SMALL} --engine scalar --out run --checkpoint-every 4")
    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines()[-1] == (
        "error: out='run' was deleted, moved or replaced during training, so step 4 cannot be saved: resume the run"
        " where its folder is now, or train again"
    )
    assert not (here / "run").exists()


def test_the_state_of_the_last_checkpoint_is_reported_truthfully(
    here: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    def stop() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    stops(monkeypatch, stop)
    start = "error: [Errno 28] No space left on device; "
    end = "; resume with: microgpt train --out run --resume --engine scalar"
    for has_checkpoint, message in (
        (None, f"the last checkpoint is intact{end}"),
        (lambda _: False, "the last checkpoint is no longer in 'run', because the folder was deleted or changed"),
        (denied, f"the last checkpoint in 'run' cannot be checked (Permission denied){end}"),
    ):
        if has_checkpoint:
            monkeypatch.setattr(Folder, "has_checkpoint", has_checkpoint)
        result = microgpt(f"train words.txt {SMALL} --engine scalar --out run --overwrite")
        assert result.status == 1
        assert result.err.splitlines()[-1] == start + message


@pytest.mark.parametrize("init_std", ["1e200", "1e308"])
def test_initial_parameters_that_are_too_large_give_an_error_without_a_traceback(
    here: Path, microgpt: Microgpt, init_std: str
) -> None:
    result = microgpt(f"train words.txt {SMALL} --init-std {init_std}")
    assert result.status in (1, 2)
    assert result.err.splitlines()[-1].startswith("error: ")
    assert re.search(r"init_std(=| below )1e\+", result.err.splitlines()[-1])


# --- Fine-tuning


def test_a_run_can_start_from_another_one(run: Path, microgpt: Microgpt) -> None:
    Path("more.txt").write_text("zoé\njörg\nanna\ngina\n", encoding="utf-8")
    result = microgpt("train more.txt --from run --out tuned --num-steps 4")
    assert result.status == 0
    line = f"started from {run.resolve()}, step 12; 3 new characters: 'z' 'é' 'ö'"
    assert line in result.err.splitlines()
    facts = json.loads(Path("tuned/config.json").read_text())
    assert facts["config"] == {**json.loads((run / "config.json").read_text())["config"], "num_steps": 4}
    params = checkpoints.load(run / "model.safetensors").params
    assert facts["data"]["start_from"] == {
        "name": str(run.resolve()),
        "step": 12,
        "sha256": hashlib.sha256(params.tobytes()).hexdigest(),
    }
    assert microgpt("train --out tuned --resume --num-steps 6").status == 0
    assert microgpt("sample tuned --prompt zo").status == 0
    assert "start_from" in microgpt("info tuned").out


def test_a_run_that_cannot_be_started_from_is_refused(run: Path, microgpt: Microgpt) -> None:
    for options, message in (
        (
            "--n-embd 8",
            "n_embd must be 4, as in the run to start from, got n_embd=8: omit it, or start a run from random",
        ),
        (
            "--preset final",
            "n_embd must be 4, as in the run to start from, got n_embd=16: omit it, or start a run from",
        ),
        ("--tokenizer byte", "tokenizer must be 'char', as in the run to start from, got tokenizer='byte': omit it"),
        ("--resume", "from cannot be used with resume, got from='run': the run already has parameters"),
    ):
        refused = microgpt(f"train words.txt --from run --out tuned {options}")
        assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1), refused.err
        assert refused.err.startswith(f"error: {message}")
    refused = microgpt("train words.txt --from nowhere --out tuned")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    assert not Path("tuned").exists()
