"""`microgpt info`: everything that is known about a run or about prepared data."""

from __future__ import annotations

import json
from pathlib import Path

from microgpt.runs.run import Run

from cli.commands import SMALL, WORDS, Microgpt, Reference, metrics, strict_json
from conftest import TINY


def test_info_describes_a_run(run: Path, microgpt: Microgpt, trained: Path) -> None:
    words = trained / "words.txt"
    digest = json.loads((run / "config.json").read_text())["data"]["sha256"]
    assert microgpt("info run") == (
        0,
        f"""\
run: 12 of 12 steps

settings
n_embd         4
n_head         2
n_layer        1
block_size     4
activation     relu
init_std       0.08
zero_init      False
bos_first      False
learning_rate  0.01
warmup_steps   0
decay          linear
beta1          0.85
beta2          0.99
eps_adam       1e-08
weight_decay   0.0
clip           0.0
num_steps      12
batch_size     1
temperature    0.5
seed           42

data
source        {words}
sha256        {digest}
documents     lines
num_docs      12
val_fraction  0.0
precision     exact
vocab_size    17

parameters
wte             17 x 4   68
wpe              4 x 4   16
lm_head         17 x 4   68
layer0.attn_wq   4 x 4   16
layer0.attn_wk   4 x 4   16
layer0.attn_wv   4 x 4   16
layer0.attn_wo   4 x 4   16
layer0.mlp_fc1  16 x 4   64
layer0.mlp_fc2  4 x 16   64
total                   344
""",
        "",
    )


def test_info_as_json_has_the_same_facts(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    result = microgpt("info run --json")
    assert (result.status, result.err, result.out.count("\n")) == (0, "", 1)
    kept = json.loads((run / "config.json").read_text())
    assert strict_json(result.out) == {
        **kept,
        "config": TINY.to_dict(),
        "step": 12,
        "symbols": [*sorted(set("".join(WORDS))), ""],
        "shapes": {name: list(shape) for name, shape in truth.shapes.items()},
    }


def test_info_describes_prepared_data(here: Path, microgpt: Microgpt) -> None:
    prepared = strict_json(microgpt("prepare words.txt -o data --json").out)
    assert strict_json(microgpt("info data --json").out) == prepared
    status, out, err = microgpt("info data")
    assert (status, err) == (0, "")
    facts = {name: value for name, value in prepared.items() if name != "files"}
    facts["tokens"] = f"{facts['tokens']:,}"
    rows = [("data", ""), ("files", Path("words.txt").resolve()), *facts.items()]
    assert out == "data: prepared data\n\n" + "".join(f"{name:15}  {value}".rstrip() + "\n" for name, value in rows)


def test_info_needs_no_data(run: Path, here: Path, microgpt: Microgpt) -> None:
    assert microgpt("train words.txt --resume --out run").status == 0  # the run's data is now in this folder
    shown = microgpt("info run").out
    Path("words.txt").unlink()
    assert microgpt("info run") == (0, shown, "")


def test_info_shows_the_last_and_the_best_checkpoint(here: Path, microgpt: Microgpt) -> None:
    options = f"{SMALL} --num-steps 30 --learning-rate 0.1 --seed 1 --val-fraction 0.3"
    assert microgpt(f"train words.txt {options} --out run").status == 0
    measured = {step["step"]: step["val_loss"] for step in metrics(here / "run") if "val_loss" in step}
    best = min(measured, key=measured.__getitem__)
    assert best < 30
    shown = microgpt("info run")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(
        "run: 30 of 30 steps\n\n"
        "checkpoints  step  held-out loss\n"
        f"last           30         {measured[30]:.4f}\n"
        f"best          {best:3}         {measured[best]:.4f}\n\nsettings\n"
    )
    facts = strict_json(microgpt("info run --json").out)
    assert facts["step"] == 30
    assert facts["checkpoints"] == {
        "last": {"step": 30, "val_loss": measured[30]},
        "best": {"step": best, "val_loss": measured[best]},
    }
    Path("run/best.safetensors").unlink()
    lost = microgpt("info run")
    assert lost.err == "note: 'run/best.safetensors' does not exist (it is missing)\n"
    assert "best  " not in lost.out
    # one checkpoint file is a single checkpoint
    assert "checkpoints" not in microgpt("info run/model.safetensors").out


def test_commands_use_the_best_checkpoint_unless_the_last_is_asked_for(here: Path, microgpt: Microgpt) -> None:
    options = f"{SMALL} --num-steps 30 --learning-rate 0.1 --seed 1 --val-fraction 0.3"
    trained = microgpt(f"train words.txt {options} --out run --json")
    assert strict_json(trained.out.splitlines()[-1])["held_out"]["step"] < 30
    assert strict_json(trained.out.splitlines()[-1])["samples"] == Run.load("run").sample(20)
    assert Run.load("run").sample(20) != Run.load("run", checkpoint="last").sample(20)
    for checkpoint in ("best", "last"):
        of_file = Path(f"{checkpoint}.safetensors")
        of_file.write_bytes(Path("run", {"best": of_file.name, "last": "model.safetensors"}[checkpoint]).read_bytes())
        expected = microgpt(f"sample {of_file}")
        assert microgpt(f"sample run --checkpoint {checkpoint}") == expected
        assert (microgpt("sample run").out == expected.out) == (checkpoint == "best")
    Path("run/best.safetensors").write_bytes(b"damaged")
    note = "note: 'run/best.safetensors' is not a microgpt checkpoint, or is damaged: a file must be at least 8 bytes"
    result = microgpt("sample run")
    assert result.out == microgpt("sample last.safetensors").out
    assert result.err.startswith(note)
    assert result.err.endswith("; the last checkpoint (step 30) is used instead\n")
    refused = microgpt("sample run --checkpoint best")
    assert (refused.status, refused.out, refused.err.count("\n")) == (2, "", 1)
