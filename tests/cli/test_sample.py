"""`microgpt sample`: the texts that the reference generates."""

from __future__ import annotations

import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from microgpt import reference

from cli.commands import SMALL, WORDS, Microgpt, Reference, numbered, read_terminal, strict_json
from conftest import TINY, clean_environment


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


# --- How a sample ends, and what it is drawn from


def test_a_sample_ends_before_a_stop(run: Path, microgpt: Microgpt, truth: Reference) -> None:
    texts = [re.split("n|ab", text)[0] for text in truth.samples(20)]
    result = microgpt("sample run --stop n --stop ab --json")
    assert [json.loads(line)["text"] for line in result.out.splitlines()] == texts
    assert texts != truth.samples(20)


def test_top_p_is_an_option(run: Path, microgpt: Microgpt) -> None:
    assert microgpt("sample run --top-p 1") == microgpt("sample run")
    assert microgpt("sample run -n 3 --top-p 1e-9").out == microgpt("sample run -n 3 --temperature 0").out
    assert microgpt("sample run --top-p 0") == (
        2,
        "",
        "error: top_p must be greater than 0 and at most 1, got top_p=0.0\n",
    )


# --- The prompt


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Standard input, to which a test writes before the command reads it."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content, encoding="utf-8"))
    return content


def give(typed: io.BytesIO, content: bytes) -> None:
    typed.write(content)
    typed.seek(0)


@pytest.mark.parametrize("content", ["an", "an\n", "\ufeffan\r\n"], ids=ascii)
def test_a_prompt_can_come_from_a_file_or_standard_input(
    content: str, run: Path, typed: io.BytesIO, microgpt: Microgpt
) -> None:
    Path("prompt.txt").write_bytes(content.encode())
    give(typed, content.encode())
    expected = microgpt("sample run -n 5 --prompt an")
    assert microgpt("sample run -n 5 --prompt-file prompt.txt") == expected
    assert microgpt("sample run -n 5 --prompt-file -") == expected


REFUSED = {
    "--prompt a --prompt-file p.txt": "prompt and prompt_file cannot be used together: omit one of them",
    "-i --prompt a": "interactive and a prompt cannot be used together: omit one of them",
    "-i --prompt-file -": "interactive and a prompt cannot be used together: omit one of them",
    "--prompt-file nowhere.txt": "cannot read 'nowhere.txt': no such file",
    "--prompt-file run": "prompt_file must be a text file, got the folder 'run': specify a file in it",
    "--prompt-file run/model.safetensors": "'run/model.safetensors' is not text",
    "--prompt-file -": "prompt_file must contain a text, got prompt_file='-', which is empty",
    "--stop ''": "stop must contain at least one character, got stop='': omit it, or give a text",
}


@pytest.mark.parametrize(("options", "message"), REFUSED.items(), ids=REFUSED)
def test_a_prompt_that_cannot_be_read_is_refused(
    options: str, message: str, run: Path, typed: io.BytesIO, microgpt: Microgpt
) -> None:
    result = microgpt(f"sample run {options}")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}"), result.err


def test_a_piped_text_that_nothing_reads_is_an_error(run: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "microgpt", "sample", "run"],
        input=b"an\n",
        capture_output=True,
        env=clean_environment(),
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode() == (
        "error: a text is piped to standard input, but nothing reads it: --prompt-file - reads it as the prompt, and"
        " --interactive reads one prompt per line\n"
    )


# --- Interactive


def test_each_line_is_a_prompt_and_the_samples_are_numbered_on(
    run: Path, typed: io.BytesIO, microgpt: Microgpt
) -> None:
    give(typed, b"an\n\nb\n")
    result = microgpt("sample run --interactive -n 2")
    assert (result.status, result.err) == (0, "")
    lines = {
        prompt: microgpt(f"sample run -n 6 --json --prompt '{prompt}'").out.splitlines() for prompt in ("an", "", "b")
    }
    texts = [json.loads(lines[prompt][i])["text"] for i, prompt in enumerate(["an", "an", "", "", "b", "b"])]
    assert [line[:11] + line[11:].split(" ")[0] for line in result.out.splitlines()] == numbered(texts).splitlines()


@pytest.mark.parametrize("bad", ["XX", "annabob", "\x80"], ids=ascii)
def test_a_prompt_that_the_model_cannot_continue_is_said_and_the_next_one_read(
    bad: str, run: Path, typed: io.BytesIO, microgpt: Microgpt
) -> None:
    give(typed, f"{bad}\nan".encode("latin-1"))
    result = microgpt("sample run -i --json")
    assert (result.status, len(result.err.splitlines())) == (2, 1)
    assert result.err.startswith("error: prompt must ")
    [line] = result.out.splitlines()
    assert json.loads(line)["text"].startswith("an")


def in_a_terminal(*line: str, keys: bytes = b"", waits: bytes = b"") -> tuple[int, str, str]:
    """Run a command in a pseudoterminal, typing each key once it has shown `waits`; return what it showed."""
    pty = pytest.importorskip("pty", reason="this system has no pseudoterminals")
    import fcntl
    import termios

    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "microgpt", "sample", *line],
        env={**clean_environment(), "TERM": "dumb", "INPUTRC": os.devnull},
        stdin=other_end,
        stdout=other_end,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0),  # Ctrl-C then reaches the command
    )
    os.close(other_end)
    shown = b""
    for i, key in enumerate(keys.split(b"|") if keys else []):
        while shown.count(waits) <= i:
            assert select.select([terminal], [], [], 120)[0], shown
            shown += os.read(terminal, 1 << 16)
        os.write(terminal, key)
    # Python does not notice a Ctrl-C that comes just before it waits for a key: somebody would press it again
    shown += read_terminal(terminal, again=b"\x03" * keys.endswith(b"\x03"))
    assert process.stderr
    errors = process.stderr.read().decode()
    process.stderr.close()
    return process.wait(300), shown.decode().replace("\r\n", "\n").replace("\r", ""), errors


def test_a_terminal_shows_the_samples_of_a_file(run: Path, microgpt: Microgpt) -> None:
    options = ["run", "-n", "12", "--seed", "5", "--temperature", "2"]
    status, shown, errors = in_a_terminal(*options)
    assert (status, errors) == (0, "")
    expected = microgpt(f"sample {' '.join(options)}").out
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in expected.splitlines()]


@pytest.mark.parametrize("end", [b"\x04", b"\x03"], ids=["Ctrl-D", "Ctrl-C"])
def test_prompts_are_asked_for_in_a_terminal_until_it_is_left(end: bytes, run: Path, microgpt: Microgpt) -> None:
    keys = b"XX\n|an\n|" + end
    status, shown, errors = in_a_terminal("run", "-i", "--seed", "5", keys=keys, waits=b"prompt> ")
    told, refused = errors.splitlines()
    assert (status, told) == (0, "Type the beginning of a text, and Enter; Ctrl-D ends.")
    assert refused.startswith(
        "error: prompt must contain only characters that the model knows (abcdefghijklmnor), got 'X'"
    )
    [sample] = [line for line in shown.splitlines() if line.startswith("sample")]
    assert sample.split() == microgpt("sample run -n 1 --seed 5 --prompt an").out.split()
    assert shown.count("prompt> ") == 3
    assert "Traceback" not in shown + errors


class Screen(io.StringIO):
    """A terminal that remembers what it showed after each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.shown.append(self.getvalue())


def test_a_terminal_shows_each_token_as_it_is_chosen(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from microgpt.cli.sample import _show
    from microgpt.runs.run import Run

    screen, model = Screen(), Run.load(run)
    [expected] = model.sample(1, seed=5, prompt="a")
    monkeypatch.setattr(sys, "stdout", screen)
    assert _show(model, n=1, seed=5, prompt="a", new_only=False, json=False) == 1
    assert len(expected) > 2
    steps = [f"sample  1: {expected[:i]}" for i in range(1, len(expected) + 1)]
    assert screen.shown[: len(steps)] == steps
    assert screen.getvalue().split() == [
        "sample",
        "1:",
        expected,
        *["in", "the", "training", "data"] * (expected in WORDS),
    ]
