"""Bad input: status 2, one line that names argument, value and remedy, and an unchanged disk."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt.system.safetensors import Tensor, write

from cli.commands import SMALL, WORDS, Microgpt, Reference, contents, names, numbered
from conftest import clean_environment


@pytest.fixture
def shelf(run: Path, here: Path) -> Path:
    """The current folder with a run and with files and folders that are not usable."""
    Path("empty.txt").write_bytes(b"")
    Path("blank.txt").write_text("\n  \n\t\n")
    Path("binary.txt").write_bytes(b"ab\0c\n")
    Path("latin1.txt").write_bytes("anna\nrené\n".encode("latin-1"))
    Path("other.txt").write_text("anna\nbob\n")
    Path("xyz.txt").write_text("xyz\n")
    Path("empty-folder").mkdir()
    Path("foreign").mkdir()
    Path("foreign/config.json").write_text('{"name": "not ours"}\n')
    shutil.copytree(run, "cut")
    Path("cut/model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:1000])
    return here


UNKNOWN_RUN = "specify a run folder (microgpt train --out) or a checkpoint file"
IN_A_RUN = "omit this setting, or start a new run"
NUMBER = "must be finite and at least 0, got"
REFUSED = {
    # the text
    "train nowhere.txt": (
        "cannot read 'nowhere.txt': no such file; specify a text file or a data set (names, makemore, shakespeare)"
    ),
    "train empty.txt": "'empty.txt' is empty: specify a text with at least one document (one document per line)",
    "train blank.txt": "'blank.txt' is empty: specify a text with at least one document (one document per line)",
    "train empty.txt --documents stream": (
        "'empty.txt' is empty: specify a text with at least one document (one document per line)"
    ),
    "train binary.txt": "'binary.txt' is not text: it contains a null byte at offset 2; specify a UTF-8 text file",
    "train latin1.txt": (
        "'latin1.txt' is not UTF-8: byte 0xe9 at offset 8; it may read “rené” (CP1252) or “renй” (CP1251) or “renι”"
        " (CP1253): convert it from the right one (such as iconv -f CP1252 -t UTF-8)"
    ),
    "train empty-folder": "'empty-folder' is a folder without files: specify a text file, or a folder of text files",
    # the settings
    "train words.txt --n-embd 6 --n-head 4": (
        "n_embd must be a multiple of n_head, got n_embd=6, n_head=4 (try n_embd=8)"
    ),
    "train words.txt --n-embd 0": "n_embd must be at least 1, got n_embd=0",
    "train words.txt --n-head 0": "n_head must be at least 1, got n_head=0",
    "train words.txt --n-layer 0": "n_layer must be at least 1, got n_layer=0",
    "train words.txt --block-size -3": "block_size must be at least 1, got block_size=-3",
    "train words.txt --num-steps 0": "num_steps must be at least 1, got num_steps=0",
    "train words.txt --batch-size 0": "batch_size must be at least 1, got batch_size=0",
    "train words.txt --temperature -1": f"temperature {NUMBER} temperature=-1.0",
    "train words.txt --temperature nan": f"temperature {NUMBER} temperature=nan",
    "train words.txt --learning-rate inf": f"learning_rate {NUMBER} learning_rate=inf",
    "train words.txt --init-std -0.1": f"init_std {NUMBER} init_std=-0.1",
    "train words.txt --beta1 1": "beta1 must be at least 0 and less than 1, got beta1=1.0",
    "train words.txt --beta2 -0.5": "beta2 must be at least 0 and less than 1, got beta2=-0.5",
    "train words.txt --eps-adam 0": "eps_adam must be finite and greater than 0, got eps_adam=0.0",
    "train words.txt --activation gelu": "activation must be one of relu, relu2, got activation='gelu'",
    "train words.txt --preset last": (
        "preset must be one of final, first, baby, baby-cpu, gpt2-small, gpt2-medium, gpt2-large, gpt2-xl, got"
        " preset='last'"
    ),
    "train words.txt --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    "train words.txt --documents pages": "documents must be one of lines, stream, paragraphs, got documents='pages'",
    "train words.txt --val-fraction 1": "val_fraction must be at least 0 and less than 1, got val_fraction=1.0",
    "train words.txt --val-fraction -0.1": "val_fraction must be at least 0 and less than 1, got val_fraction=-0.1",
    "train words.txt --val-fraction 0.01": (
        "val_fraction=0.01 of 12 documents leaves nothing to train on or nothing to hold out: choose another fraction"
        " or provide more documents"
    ),
    "train words.txt --micro-batch-size 2": (
        "micro_batch_size must be between 1 and batch_size=1, got micro_batch_size=2"
    ),
    "train words.txt --micro-batch-size 0": (
        "micro_batch_size must be between 1 and batch_size=1, got micro_batch_size=0"
    ),
    f"train words.txt {SMALL} --out run --overwrite --micro-batch-size 2": (
        "micro_batch_size must be between 1 and batch_size=1, got micro_batch_size=2"
    ),
    # the folder
    "train words.txt --out run": (
        "out='run' already contains a run: add --resume to continue it, --overwrite to replace it, or choose another"
        " folder"
    ),
    "train words.txt --out foreign": (
        "out='foreign' contains 'config.json', which is not part of a run: choose another folder"
    ),
    "train words.txt --out foreign --overwrite": (
        "out='foreign' contains 'config.json', which is not part of a run: choose another folder"
    ),
    "train words.txt --out words.txt": "out='words.txt' is a file: specify a folder",
    "train words.txt --out words.txt/run": (
        "cannot write to out='words.txt/run': Not a directory; choose another folder"
    ),
    "train nowhere.txt --out run --overwrite": (
        "cannot read 'nowhere.txt': no such file; specify a text file or a data set (names, makemore, shakespeare)"
    ),
    "train words.txt --engine scalar --threads 2": (
        "threads must be 1 with the scalar engine, got threads=2: use the native engine for more threads"
    ),
    "train words.txt --engine scalar --threads 0": (
        "threads must be 1 with the scalar engine, got threads=0: use the native engine for more threads"
    ),
    "train words.txt --quiet --json": "quiet and json cannot be used together: omit one of them",
    # resuming
    "train words.txt --resume": "resume needs the run's folder: add --out DIR",
    "train --resume --out nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "train --resume --out foreign": f"'foreign' has no model.safetensors, so it is not a run folder; {UNKNOWN_RUN}",
    "train other.txt --resume --out run": (
        "'other.txt' is not the text that the run was trained on (SHA-256 {other}..., expected {words}...): specify"
        " that text or start a new run"
    ),
    "train nowhere.txt --resume --out run": (
        "cannot read 'nowhere.txt': no such file; specify a text file or a data set (names, makemore, shakespeare)"
    ),
    "train --resume --out run --n-embd 8": (
        f"n_embd cannot be changed when a run is resumed, got n_embd=8, but the run has 4: {IN_A_RUN}"
    ),
    "train --resume --out run --seed 1": (
        f"seed cannot be changed when a run is resumed, got seed=1, but the run has 42: {IN_A_RUN}"
    ),
    "train --resume --out run --activation relu2": (
        f"activation cannot be changed when a run is resumed, got activation='relu2', but the run has 'relu':"
        f" {IN_A_RUN}"
    ),
    "train --resume --out run --val-fraction 0.5": (
        f"val_fraction cannot be changed when a run is resumed, got val_fraction=0.5, but the run has 0.0: {IN_A_RUN}"
    ),
    "train --resume --out run --documents stream": (
        f"documents cannot be changed when a run is resumed, got documents='stream', but the run has 'lines':"
        f" {IN_A_RUN}"
    ),
    "train --resume --out run --num-steps 11": (
        "num_steps must be at least 12 (the steps already completed), got num_steps=11"
    ),
    "train --resume --out run --num-steps 20 --micro-batch-size 2": (
        "micro_batch_size must be between 1 and batch_size=1, got micro_batch_size=2"
    ),
    "train --resume --out run --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    # using a run
    "sample nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "sample foreign": f"'foreign' has no model.safetensors, so it is not a run folder; {UNKNOWN_RUN}",
    "sample cut": (
        "'cut/model.safetensors' is not a microgpt checkpoint, or is damaged: the header claims {header}"
        " bytes, but only 992 follow; choose another checkpoint, or train again"
    ),
    "sample empty.txt": (
        "'empty.txt' is not a microgpt checkpoint, or is damaged: a file must be at least 8 bytes long, got 0; choose"
        " another checkpoint, or train again"
    ),
    "sample run --temperature -0.5": f"temperature {NUMBER} temperature=-0.5",
    "sample run --temperature nan": f"temperature {NUMBER} temperature=nan",
    "sample run --top-k 0": "top_k must be between 1 and vocab_size=17, got top_k=0",
    "sample run --top-k 18": "top_k must be between 1 and vocab_size=17, got top_k=18",
    "sample run --max-new-tokens 0": "max_new_tokens must be at least 1, got max_new_tokens=0",
    "sample run --prompt anz": (
        "prompt must contain only characters that the model knows (abcdefghijklmnor), got 'z' in prompt='anz'"
    ),
    "sample run --prompt anna": (
        "prompt must be shorter than block_size=4 tokens, got 4: shorten the prompt or let the context slide"
        " (slide=True, --slide)"
    ),
    "sample run --engine abacus": "engine must be one of auto, {engines}, got engine='abacus'",
    "evaluate nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "evaluate run nowhere.txt": (
        "cannot read 'nowhere.txt': no such file; specify a text file or a data set (names, makemore, shakespeare)"
    ),
    "evaluate run empty.txt": "'empty.txt' is empty: specify a text with at least one document (one document per line)",
    "info nowhere": f"'nowhere' does not exist; {UNKNOWN_RUN}",
    "plot foreign": "'foreign' has no metrics.jsonl: specify a run folder (microgpt train --out)",
    "plot nowhere": "'nowhere' has no metrics.jsonl: specify a run folder (microgpt train --out)",
    "plot run -o loss.xyz": "output must end in one of .svg, .png, .pdf, got 'loss.xyz'",
    "plot run --smoothing 0": "smoothing must be at least 1 step, got smoothing=0",
}


@pytest.mark.parametrize("line", REFUSED, ids=list(REFUSED))
def test_bad_input_is_refused_in_one_line_and_changes_nothing(line: str, shelf: Path, microgpt: Microgpt) -> None:

    from microgpt.engines.choose import ENGINES

    facts = {
        "here": str(shelf),
        "engines": ", ".join(ENGINES),
        "header": int.from_bytes((shelf / "run" / "model.safetensors").read_bytes()[:8], "little"),
        **{n: hashlib.sha256((shelf / f"{n}.txt").read_bytes()).hexdigest()[:12] for n in ("other", "words")},
    }
    before = contents(shelf)
    result = microgpt(line)
    # notes before the error are allowed
    assert result.err.splitlines()[-1] == f"error: {REFUSED[line].format(**facts)}"
    assert (result.status, result.out) == (2, "")
    after = contents(shelf)
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train words.txt --n-embed 8", "no such option: --n-embed; did you mean --n-embd?"),
        ("train words.txt --n-emb 8", "no such option: --n-emb; did you mean --n-embd?"),
        ("train words.txt --n-embe=8", "no such option: --n-embe; did you mean --n-embd?"),
        ("train words.txt --num-stesp 8 --out", "no such option: --num-stesp; did you mean --num-steps?"),
        ("train words.txt --xyz", "no such option: --xyz; see microgpt train --help"),
        ("train words.txt -x", "no such option: -x; see microgpt train --help"),
        ("train words.txt --lr 1", "no such option: --lr; did you mean --learning-rate?"),
        ("train words.txt --dropout 0", "no such option: --dropout; see microgpt train --help"),
        ("train words.txt --n-embd sixteen", "--n-embd must be a whole number, got 'sixteen'"),
        ("train words.txt --n-embd 1.5", "--n-embd must be a whole number, got '1.5'"),
        ("train words.txt --learning-rate fast", "--learning-rate must be a number, got 'fast'"),
        (
            "train words.txt --zero-init=maybe",
            "--zero-init/--no-zero-init takes no value, got 'maybe'; see microgpt train --help",
        ),
        ("train words.txt --checkpoint-every -1", "--checkpoint-every must be at least 0, got -1"),
        ("train words.txt --validate-every 0", "--validate-every must be at least 1, got 0"),
        ("train words.txt names", "FILE must be 'names' alone or several paths, got words.txt names"),
        (
            "train --preset baby-cpu --num-steps 3",
            "warmup_steps must be at least 0 and less than num_steps=3, got warmup_steps=100; preset baby-cpu sets"
            " warmup_steps: set --warmup-steps too",
        ),
        ("train words.txt --out", "--out needs a value (with = if it begins with -); see microgpt train --help"),
        (
            "train words.txt --out --quiet",
            "--out needs a value (with = if it begins with -); see microgpt train --help",
        ),
        ("sample", "missing RUN; see microgpt sample --help"),
        ("sample --temp 1", "no such option: --temp; did you mean --temperature?"),
        ("sample run -n -1", "-n/--num-samples must be at least 0, got -1"),
        ("sample run -n many", "-n/--num-samples must be a whole number, got 'many'"),
        ("evaluate run --limit -1", "--limit must be at least 0, got -1"),
        ("plot", "missing RUN...; see microgpt plot --help"),
        ("prepare words.txt", "missing -o/--output; see microgpt prepare --help"),
        ("prepare -o data", "missing FILE...; see microgpt prepare --help"),
        ("dream", "no such command: dream; see microgpt --help"),
        ("trian words.txt", "no such command: trian; did you mean train?"),
        ("--versoin", "no such option: --versoin; did you mean --version?"),
        ("--quiet", "no such option: --quiet; see microgpt --help"),
    ],
)
def test_an_unparsable_command_is_refused_in_one_line_that_names_the_cause_and_the_remedy(
    line: str, message: str, shelf: Path, microgpt: Microgpt
) -> None:
    before = contents(shelf)
    assert microgpt(line) == (2, "", f"error: {message}\n")
    assert contents(shelf) == before


def test_a_text_with_characters_that_the_model_has_never_seen_is_refused_with_a_remedy(
    shelf: Path, microgpt: Microgpt
) -> None:
    before = contents(shelf)
    result = microgpt("evaluate run xyz.txt")
    assert (result.status, result.out) == (2, "")
    match = re.fullmatch(
        r"error: .*xyz\.txt' contains characters that the model has never seen: 'x' 'y' 'z'(.*)\n", result.err
    )
    assert match, result.err
    assert re.search("give|use|begin|train", match[1]), "the message names no remedy"
    result = microgpt("train xyz.txt --resume --out run")
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(
        r"error: 'xyz\.txt' is not the text that the run was trained on .*: specify that text or .*\n", result.err
    )
    assert contents(shelf) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_folder_that_cannot_be_created_is_refused(here: Path, microgpt: Microgpt) -> None:
    result = microgpt(f"train words.txt {SMALL} --out /proc/run")
    message = "error: cannot write to out='/proc/run': No such file or directory; choose another folder\n"
    assert result == (2, "", message)


def test_a_file_that_may_not_be_read_is_refused(
    shelf: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def forbidden(path: Any, *args: Any, **options: Any) -> int:
        if os.path.basename(path) in ("words.txt", "model.safetensors"):  # noqa: PTH119
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *args, **options)

    before = contents(shelf)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", forbidden)
        text, model = microgpt("train words.txt"), microgpt("info run")
    assert text == (2, "", "error: cannot read 'words.txt': Permission denied; specify a readable text file\n")
    assert (model.status, model.out) == (2, "")
    assert re.fullmatch(r"error: .*run/model\.safetensors.*Permission denied.*\n", model.err)
    assert contents(shelf) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_text_that_fails_while_it_is_read_is_named(here: Path, microgpt: Microgpt) -> None:
    """/proc/self/mem can be opened, but reading from its beginning fails."""
    result = microgpt("train /proc/self/mem")
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(r"error: .*'?/proc/self/mem'?.*Input/output error.*\n", result.err)


@pytest.mark.skipif(sys.platform == "win32", reason="no /dev/stdin on Windows")
def test_a_text_from_a_pipe_is_read_or_refused_in_one_line(here: Path) -> None:
    """A pipe can only be read once: `zcat words.gz | microgpt train /dev/stdin`."""
    done = subprocess.run(
        [sys.executable, "-m", "microgpt", "train", "/dev/stdin", *SMALL.split(), "--quiet"],
        cwd=here,
        env=clean_environment(),
        input="".join(word + "\n" for word in WORDS),
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
    if done.returncode:
        assert re.fullmatch(r"error: .*/dev/stdin.*\n", done.stderr)
        assert names(here) == ["words.txt"]
    else:
        assert done.stdout == numbered(Reference.of_words().after_training)


def test_a_model_of_another_program_is_not_replaced(shelf: Path, microgpt: Microgpt) -> None:
    """Folders of other programs may also contain a config.json and a model.safetensors."""
    write("foreign/model.safetensors", {"weight": Tensor("F32", (1,), bytes(4))}, {"format": "pt"})
    before = contents(shelf)
    for more in ("", "--overwrite", "--resume"):
        result = microgpt(f"train words.txt {SMALL} --out foreign {more}")
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert "foreign" in result.err
        assert contents(shelf) == before


def test_a_damaged_run_may_be_replaced(shelf: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"train words.txt {SMALL} --out cut --overwrite").status == 0
    assert microgpt("info cut").status == 0


def test_a_checkpoint_file_cannot_be_resumed_as_a_folder(shelf: Path, microgpt: Microgpt) -> None:
    before = contents(shelf)
    result = microgpt("train --resume --out run/model.safetensors --num-steps 13")
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(r"error: out='run/model\.safetensors' .*\n", result.err)
    assert contents(shelf) == before


@pytest.mark.parametrize("length", [0, 7, 8, 100, 5000, -1])
def test_a_truncated_checkpoint_is_refused_by_every_command(
    run: Path, here: Path, microgpt: Microgpt, length: int
) -> None:
    model = run / "model.safetensors"
    model.write_bytes(model.read_bytes()[:length])
    before = contents(here)
    for command in ("sample run", "evaluate run", "info run", "train --resume --out run"):
        result = microgpt(command)
        assert (result.status, result.out) == (2, "")
        assert re.fullmatch(
            r"error: 'run/model\.safetensors' is not a microgpt checkpoint, or is damaged: .*; choose another"
            r" checkpoint, or train again\n",
            result.err,
        )
    assert contents(here) == before


@pytest.mark.parametrize("temperature", ["1e-308", "1e-320"])
def test_a_temperature_close_to_0_is_greedy_or_refused(run: Path, microgpt: Microgpt, temperature: str) -> None:
    result = microgpt(f"sample run -n 3 --temperature {temperature}")
    if result.status == 0:
        assert result.out == microgpt("sample run -n 3 --temperature 0").out
    else:
        assert (result.status, result.out) == (2, "")
        assert re.fullmatch(r"error: temperature .* got temperature=.*\n", result.err)
