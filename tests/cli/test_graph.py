"""`microgpt graph`: the DOT of a run's or a pretrained model's graph, its file, and the messages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import microgpt as library
from microgpt.lab.session import Session

from cli.commands import Microgpt, contents, names
from conftest import clean_environment
from tracing.dots import parse, shown


def test_graph_prints_the_graph_of_a_runs_model(run: Path, microgpt: Microgpt) -> None:
    result = microgpt("graph ann run --node pos1.layer0.q[2] --depth 3 --rankdir BT")
    expected = library.load(run, engine="scalar").trace("ann").dot("pos1.layer0.q[2]", depth=3, rankdir="BT")
    found, same = parse(result.out), parse(expected.text)
    assert (found.nodes, found.edges) == (same.nodes, same.edges)
    assert found.attributes["rankdir"] == "BT"
    assert shown(found.attributes["label"])[0] == "ann"
    remark = f"{expected.nodes} of {expected.all_nodes} numbers; --depth {expected.all_depth} shows all of them"
    assert (result.status, result.err) == (0, f"note: {remark}\n")
    assert microgpt("graph ann run --node pos1.layer0.q[2] --depth 3 --rankdir BT -o -") == result


def test_graph_begins_with_the_loss_and_the_depth_it_names_shows_everything(run: Path, microgpt: Microgpt) -> None:
    loss = library.load(run, engine="scalar").trace("ann").dot("loss")
    assert parse(microgpt("graph ann run").out).name == "loss"
    result = microgpt(f"graph ann run --depth {loss.all_depth} -o all.dot")
    assert result == (0, "", f"wrote all.dot: {loss.all_nodes:,} numbers\n")
    assert len(parse(Path("all.dot").read_text(encoding="utf-8")).nodes) == loss.all_nodes


def test_graph_writes_a_file_and_replaces_it_whole(run: Path, here: Path, microgpt: Microgpt) -> None:
    line = "graph ann run --depth 2"
    Path("loss.dot").write_text("an earlier graph")
    result = microgpt(f"{line} -o loss.dot")
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith("wrote loss.dot: 5 of ")
    assert Path("loss.dot").read_text(encoding="utf-8") == microgpt(line).out
    assert names(here) == ["loss.dot", "run", "words.txt"]


@pytest.mark.parametrize(("model", "given"), [("names", " names"), ("published", " published"), ("published", "")])
def test_graph_of_a_pretrained_model_is_the_one_that_the_lab_saves(
    model: str, given: str, here: Path, microgpt: Microgpt
) -> None:
    session = Session()
    session.active = session.by_id[model]
    answer = session.ask("dot", {"word": "emma", "path": "pos2.logits[3]"})["result"]
    assert microgpt(f"graph emma{given} --node pos2.logits[3]").out == answer["text"]


def test_a_run_in_a_folder_with_the_name_of_a_pretrained_model_is_used(run: Path, microgpt: Microgpt) -> None:
    run.rename("published")
    assert parse(microgpt("graph ann --node wte[0][3] --depth 1").out).name == "wte[0][3]"
    assert microgpt("graph ann --node wte[0][4]").status == 2  # n_embd is 4


def test_any_letters_of_the_vocabulary_are_shown(here: Path, microgpt: Microgpt) -> None:
    Path("odd.txt").write_text('zoë\n"\\<é>\n日本&amp;\n', encoding="utf-8")
    assert microgpt("train odd.txt --n-embd 2 --n-head 1 --num-steps 1 --out odd --quiet").status == 0
    for word in ("zoë", '"\\<é>', "日本&amp;", ""):
        result = microgpt(f"graph '{word}' odd --depth 1 -o odd.dot")
        assert result.status == 0, result.err
        label = shown(parse(Path("odd.dot").read_text(encoding="utf-8")).attributes["label"])
        assert label[: len(label) - 2] == [word] * bool(word)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX sets the encoding by the environment")
def test_a_pipe_gets_utf_8_whatever_the_locale_is(here: Path, microgpt: Microgpt) -> None:
    Path("odd.txt").write_text("zoë\n日本\n", encoding="utf-8")
    assert microgpt("train odd.txt --n-embd 2 --n-head 1 --num-steps 1 --out odd --quiet").status == 0
    command = [sys.executable, "-m", "microgpt", "graph", "日ë", "odd", "--depth", "1"]
    environment = {**clean_environment(), "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "1"}
    done = subprocess.run(command, env=environment, capture_output=True)
    assert shown(parse(done.stdout.decode("utf-8")).attributes["label"])[0] == "日ë"


def test_a_word_beyond_block_size_is_noted(run: Path, microgpt: Microgpt) -> None:
    note = "note: the model reads only the first 4 of the word's 5 tokens\n"
    assert microgpt("graph hanna run").err.startswith(note)
    assert "tokens" not in microgpt("graph hann run").err


# --- Bad input: status 2, one line that names argument, value and remedy, and an unchanged disk

DID_YOU_MEAN = "did you mean pos3.logits[3] or pos2.logits[3] or pos1.logits[3]?"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("graph", "missing WORD; see microgpt graph --help"),
        ("graph xyz run", "word must contain only characters that the model knows (abcdefghijklmnor), got 'x' in"),
        ("graph ann run --depth 0", "--depth must be at least 1, got 0"),
        ("graph ann run --depth -3", "--depth must be at least 1, got -3"),
        ("graph ann run --depth all", "--depth must be a whole number, got 'all'"),
        ("graph ann run --rankdir up", "rankdir must be one of LR, TB, RL, BT, got rankdir='up'"),
        ("graph ann run --node logits[3]", "node must name a number, got node='logits[3]': unknown tensor 'logits'; "),
        ("graph ann run --node logits[3]", DID_YOU_MEAN),
        ("graph ann run --node pos1.layer0.qq[2]", "did you mean pos1.layer0.q[2]?"),
        ("graph ann run --node pos4.loss", "got node='pos4.loss': path must have a position between 0 and 3"),
        ("graph ann run --node pos1.layer0.q", "got node='pos1.layer0.q': path must name one number"),
        ("graph ann run --node ''", "got node='': path must be a name followed by an index"),
        ("graph ann nowhere", "'nowhere' does not exist; specify a run folder (microgpt train --out) or a checkpoint"),
        ("graph ann published --checkpoint last", "checkpoint can only be used with a run folder, got checkpoint="),
        ("graph ann run --checkpoint first", "checkpoint must be one of best, last, got checkpoint='first'"),
        (
            "graph ann run -o no/loss.dot",
            "cannot write output='no/loss.dot': No such file or directory; choose another file",
        ),
        ("graph ann run -o run", "output must be a regular file, got output='run': choose another file"),
        ("graph ann run -o words.txt/x", "cannot write output='words.txt/x': Not a directory; choose another file"),
        (f"graph ann run -o {'x' * 300}", "File name too long; choose another file"),
        ("graph ann run --dept 3", "no such option: --dept; did you mean --depth?"),
    ],
)
def test_bad_input_is_refused(line: str, message: str, run: Path, here: Path, microgpt: Microgpt) -> None:
    before = contents(here)
    result = microgpt(line)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("error: ")
    assert message in result.err
    assert contents(here) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_only_a_regular_file_is_replaced(run: Path, here: Path, microgpt: Microgpt) -> None:
    os.mkfifo("pipe")
    message = "error: output must be a regular file, got output='pipe': choose another file\n"
    assert microgpt("graph ann run -o pipe") == (2, "", message)
    assert names(here) == ["pipe", "run", "words.txt"]
    assert Path("pipe").is_fifo()


def test_a_graph_that_does_not_fit_in_memory_is_refused_before_it_is_recorded(
    run: Path, microgpt: Microgpt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microgpt.system.memory.free_memory", lambda: 50_000)
    result = microgpt("graph ann run --depth 1")
    assert (result.status, result.out) == (2, "")
    assert "the graph of 4 positions needs at least " in result.err
    assert result.err.endswith(": use a shorter text or a smaller model\n")
