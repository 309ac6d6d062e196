"""Prepared data: training reads the same from disk as from memory, for any number of workers and interruptions."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from microgpt.config import Config
from microgpt.data.loading import load
from microgpt.data.prepare import prepare
from microgpt.data.prepared import check, open_prepared
from microgpt.data.sources import NAMES
from microgpt.errors import DataError, RunError
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run
from microgpt.system.locks import LOCK

from conftest import clean_environment, whole

TEXT = NAMES.read_text(encoding="utf-8")
FEW = "".join(TEXT.splitlines(keepends=True)[:4000])
STREAM = "It is a truth, universally acknowledged;\r\n\r\nÜber 日本語 🙂 " * 300


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make prepare read many small pieces, in this process: the patch would not reach worker processes."""
    monkeypatch.setattr("microgpt.data.prepare.PIECE", 1000)
    monkeypatch.setattr("microgpt.data.prepare.ProcessPoolExecutor", FakePool)


class FakePool:
    """A stand-in for a pool of processes that runs its jobs in this process."""

    def __init__(self, *_: Any) -> None:
        self.jobs = 0

    def __enter__(self) -> FakePool:
        return self

    def __exit__(self, *_: Any) -> None: ...

    def shutdown(self, **_: Any) -> None: ...

    def submit(self, job: Any, *arguments: Any) -> Any:
        from concurrent.futures import Future

        future: Future[Any] = Future()
        try:
            future.set_result(job(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "data.json"}


@pytest.mark.parametrize("bos_first", [False, True])
@pytest.mark.parametrize("documents", ["lines", "stream"])
@pytest.mark.parametrize("tokenizer", ["char", "byte", "bpe:300"])
def test_prepared_data_equal_data_loaded_into_memory(
    tmp_path: Path, small_pieces: None, tokenizer: str, documents: str, bos_first: bool
) -> None:
    if tokenizer.startswith("bpe"):
        pytest.importorskip("tokenizers", reason="needs Hugging Face's tokenizers: pip install tokenizers")
    file = write(tmp_path / "text.txt", "\ufeff" + (TEXT if documents == "lines" else STREAM))
    data = prepare([file], tmp_path / "data", tokenizer=tokenizer, documents=documents, bos_first=bos_first)
    data.block_size = 8
    loaded = load(file, mode=documents, block_size=8, tokenizer=data.tokenizer, bos_first=bos_first)
    assert data.bos_first is bos_first
    if not tokenizer.startswith("bpe"):
        fresh = load(file, mode=documents, block_size=8, tokenizer=tokenizer, bos_first=bos_first)
        assert fresh.tokenizer.symbols == data.tokenizer.symbols
    if documents == "lines" or not tokenizer.startswith("bpe"):  # a stream's byte pairs end at the end of a piece
        assert len(data) == len(loaded)
        assert [data.sequence(i) for i in range(len(data))] == [loaded.sequence(i) for i in range(len(loaded))]
        assert data.unread(8) == loaded.unread(8)
    else:
        assert data.tokenizer.decode(data.tokens) == STREAM.replace("\r\n", "\n")
    texts = [loaded.text(5), "no such text", "x\ny", ""]
    more = [*texts, *(loaded.text(i)[1:] for i in range(50)), *map(loaded.text, range(50))]
    if documents == "lines" or tokenizer == "byte":
        assert data.find_texts(texts) == loaded.find_texts(texts)
        assert data.find_texts(more) == loaded.find_texts(more)
        assert documents == "stream" or data.find_texts(more) >= set(map(loaded.text, range(50)))
    for i in (-1, len(data)):
        with pytest.raises(IndexError):
            data.sequence(i)
    check(tmp_path / "data")


def test_several_files_are_read_in_order(tmp_path: Path, small_pieces: None) -> None:
    files = [write(tmp_path / f"{i}.txt", text) for i, text in enumerate(["emma\nzoe", "\n\n", "ann\n"])]
    data = prepare(files, tmp_path / "data")
    assert list(data) == ["emma", "zoe", "ann"]


def test_neither_workers_nor_interruptions_change_a_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.data.prepare.PIECE", 1 << 14)
    file = write(tmp_path / "text.txt", TEXT * 4)
    prepare([file], tmp_path / "one", workers=1)
    prepare([file], tmp_path / "three", workers=3)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "three")

    def stop(what: str, done: int, total: int) -> None:
        if what == "Tokenizing" and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare([file], tmp_path / "stopped", workers=2, progress=stop)
    with pytest.raises(DataError, match="is unfinished: run the same microgpt prepare command again"):
        open_prepared(tmp_path / "stopped", 16)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "stopped" / "parts").glob("*.tokens")}
    assert made
    damaged = min(made)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    times: list[dict[Path, int]] = []

    def look(what: str, done: int, total: int) -> None:
        if what == "Joining the parts" and not times:
            times.append({path: path.stat().st_mtime_ns for path in made})

    prepare([file], tmp_path / "stopped", workers=2, progress=look)
    assert {path for path in made if times[0][path] != made[path]} == {damaged}  # the other parts were reused
    assert bytes_of(tmp_path / "stopped") == bytes_of(tmp_path / "one")


KILLED = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
from microgpt.data import prepare

file, folder, reports, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
prepare.PIECE = 1 << 16
prepare.ProcessPoolExecutor = lambda workers, context: ThreadPoolExecutor(workers)  # which die together
seen = 0
def report(*what):
    global seen
    seen += 1
    if seen == reports:  # it dies without a chance to clean up, after this many seconds of CPU time
        signal.setitimer(signal.ITIMER_PROF, seconds)
prepare.prepare([file], folder, workers=1, progress=report)
"""


@pytest.mark.parametrize("copies", [8, whole(40)])
def test_preparing_resumes_after_being_killed_at_any_moment(tmp_path: Path, copies: int, rng: random.Random) -> None:
    file = write(tmp_path / "text.txt", TEXT * copies)
    prepare([file], tmp_path / "whole")
    (tmp_path / "killed.py").write_text(KILLED)
    command = [sys.executable, str(tmp_path / "killed.py"), str(file), str(tmp_path / "killed")]
    kills, status = 0, None
    while status != 0:  # the n-th attempt is killed soon after its n-th report, until an attempt finishes first
        options = [str(kills + 1), str(rng.uniform(0.001, 0.02))]
        ran = subprocess.run([*command, *options], env=clean_environment(), capture_output=True, text=True)
        status = ran.returncode
        assert status in (0, -signal.SIGPROF), ran.stderr
        kills += status != 0
    print(f"{kills} kills")
    assert kills > 2
    assert bytes_of(tmp_path / "killed") == bytes_of(tmp_path / "whole")


def test_preparing_the_same_again_does_nothing(tmp_path: Path, small_pieces: None) -> None:
    file = write(tmp_path / "text.txt", TEXT)
    prepare([file], tmp_path / "data")
    before = (tmp_path / "data" / "tokens.bin").stat().st_mtime_ns
    prepare([file], tmp_path / "data")
    assert (tmp_path / "data" / "tokens.bin").stat().st_mtime_ns == before
    with pytest.raises(
        DataError, match="prepared with other options, or comes from files that have changed: add --overwrite"
    ):
        prepare([file], tmp_path / "data", tokenizer="byte")
    write(file, "zoe\n")
    with pytest.raises(DataError, match="files that have changed"):
        prepare([file], tmp_path / "data")
    assert list(prepare([file], tmp_path / "data", overwrite=True)) == ["zoe"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"the files are empty: specify files"),
        (b" \n\n", r"the files are empty: specify files"),
        (b"ab\n\xff\n", r"is not UTF-8: byte 0xff at offset 3; "),
        (b"ab\n\x00\n", r"is not text: it contains a null byte at offset 3"),
    ],
)
def test_files_that_are_not_text_are_refused(tmp_path: Path, small_pieces: None, content: bytes, words: str) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        prepare([tmp_path / "text.txt"], tmp_path / "data")
    with pytest.raises(DataError, match=r"cannot read '.*missing': no such file"):
        prepare([tmp_path / "missing"], tmp_path / "data")
    with pytest.raises(DataError, match="is a folder: specify a text file"):
        prepare([tmp_path], tmp_path / "data")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "diary.txt", "mine")
    with pytest.raises(DataError, match=r"contains 'diary\.txt', which is not prepared data: choose another folder"):
        prepare([NAMES], tmp_path / "data", overwrite=True)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["diary.txt"]


def test_files_in_a_folder_named_parts_are_left_alone(tmp_path: Path, small_pieces: None) -> None:
    (tmp_path / "parts").mkdir()
    file = write(tmp_path / "parts" / "a.txt", "emma\n")
    with pytest.raises(DataError, match=r"contains 'a\.txt', which is not prepared data"):
        prepare([file], tmp_path)
    assert file.read_text() == "emma\n"
    (tmp_path / "other").mkdir()
    for text in ('{"mine": 1}', "[1]", "no JSON"):
        mine = write(tmp_path / "other" / "data.json", text)
        for overwrite in (False, True):
            with pytest.raises(DataError, match=r"contains 'data\.json', which is not prepared data"):
                prepare([file], tmp_path / "other", overwrite=overwrite)
        assert mine.read_text() == text


@pytest.mark.parametrize("name", ["parts", "data.json", "tokens.bin", "starts.bin", LOCK])
def test_nothing_outside_the_folder_is_written_through_a_link(tmp_path: Path, small_pieces: None, name: str) -> None:
    file, folder, target = write(tmp_path / "names.txt", "emma\n"), tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    if name == "parts":
        target.mkdir()
        write(target / "0.tokens", "precious")
    else:
        write(target, "precious")
    (folder / name).symlink_to(target)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=f"contains '{name}', which is a symbolic link: .*, or choose another"):
            prepare([file], folder, overwrite=overwrite)
    assert (target / "0.tokens" if name == "parts" else target).read_text() == "precious"
    assert list(folder.iterdir()) == [folder / name]


def test_only_one_process_prepares_data_in_a_folder(tmp_path: Path, small_pieces: None) -> None:
    file, folder = write(tmp_path / "names.txt", FEW), tmp_path / "data"
    code = "import sys; from pathlib import Path; from microgpt.system.locks import Lock\n"
    code += "lock = Lock(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()"
    folder.mkdir()
    command = [sys.executable, "-c", code, str(folder)]
    other = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "ready\n"
    with pytest.raises(DataError, match=f"data' is in use by process {other.pid}: wait until the process exits"):
        prepare([file], folder)
    other.communicate()
    prepare([file], folder)
    assert sorted(path.name for path in folder.iterdir()) == ["data.json", "starts.bin", "tokens.bin"]


def test_preparing_stops_when_the_folder_is_replaced(tmp_path: Path, small_pieces: None) -> None:
    file, folder, calls = write(tmp_path / "names.txt", FEW), tmp_path / "data", 0

    def replace(what: str, *_: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            folder.rename(tmp_path / "old")
            folder.mkdir()

    with pytest.raises(DataError, match="was deleted, moved or replaced while the data was being prepared: try again"):
        prepare([file], folder, progress=replace)
    assert list(folder.iterdir()) == []


def test_damaged_data_can_be_prepared_again(tmp_path: Path, small_pieces: None) -> None:
    folder, file = tmp_path / "data", write(tmp_path / "names.txt", FEW)
    whole = prepare([file], folder).sha256
    (folder / "data.json").write_text("{")
    (folder / ".tokens.bin.999999999.tmp").write_text("half")
    with pytest.raises(DataError, match=r"contains data that is damaged, .*: add --overwrite"):
        prepare([file], folder)
    assert prepare([file], folder, overwrite=True).sha256 == whole
    (folder / "tokens.bin").unlink()
    assert prepare([file], folder, overwrite=True).sha256 == whole
    assert sorted(path.name for path in folder.iterdir()) == ["data.json", "starts.bin", "tokens.bin"]


def test_a_killed_worker_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(FakePool):
        def submit(self, job: Any, *arguments: Any) -> Any:
            def killed() -> None:
                raise BrokenProcessPool("killed")

            return super().submit(killed)

    monkeypatch.setattr("microgpt.data.prepare.ProcessPoolExecutor", Killed)
    with pytest.raises(
        DataError, match="was killed, possibly because the machine ran out of memory: try again with fewer"
    ):
        prepare([NAMES], tmp_path / "data")


def test_damage_is_noticed(tmp_path: Path, small_pieces: None) -> None:
    folder = tmp_path / "data"
    prepare([NAMES], folder)
    tokens, facts = (folder / "tokens.bin").read_bytes(), (folder / "data.json").read_text()
    (folder / "tokens.bin").write_bytes(tokens[:-1])
    with pytest.raises(DataError, match=r"tokens.bin' has [\d,]+ bytes, expected [\d,]+: the file was truncated"):
        open_prepared(folder, 16)
    (folder / "tokens.bin").write_bytes(bytes([tokens[0] ^ 1]) + tokens[1:])
    open_prepared(folder, 16)
    with pytest.raises(DataError, match=r"tokens.bin' has changed: prepare the data again"):
        check(folder)
    (folder / "tokens.bin").unlink()
    with pytest.raises(DataError, match=r"cannot read .*tokens.bin'"):
        open_prepared(folder, 16)
    (folder / "tokens.bin").write_bytes(tokens)
    for text in (facts[:-5], "[]", facts.replace("microgpt-data/1", "microgpt-data/9"), facts.replace('"char"', '"x"')):
        (folder / "data.json").write_text(text)
        with pytest.raises(DataError, match=r"data.json' is damaged"):
            open_prepared(folder, 16)


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
def test_a_run_on_prepared_data_resumes_bit_for_bit(tmp_path: Path, small_pieces: None, tokenizer: str) -> None:
    prepare([write(tmp_path / "names.txt", FEW)], tmp_path / "data", tokenizer=tokenizer)
    config = Config(n_embd=4, n_head=2, block_size=8, num_steps=30)
    whole = Run.begin(tmp_path / "data", config, val_fraction=0.1)
    losses = [step.loss for step in whole]
    assert list(whole.order[:30]) != sorted(whole.order[:30])
    assert not set(whole.order) & set(whole.held_out)
    assert len(whole.order) + len(whole.held_out) == len(whole.data)
    run = Run.begin(str(tmp_path / "data"), config, val_fraction=0.1)
    with Folder.create(tmp_path / "run", run) as folder:
        first = []
        for step in folder.train():
            first.append(step.loss)
            if step.step == 11:
                folder.save()
                break
    with Folder.resume(tmp_path / "run") as folder:
        assert first + [step.loss for step in folder.train()] == losses
        assert folder.run.engine.params == whole.engine.params
        assert folder.run.sample(5) == whole.sample(5)
    loaded = Run.load(tmp_path / "run")
    assert loaded.tokenizer.symbols == run.tokenizer.symbols
    assert loaded.evaluate(limit=20, num_samples=5).novelty.new is not None


def test_a_run_is_not_continued_on_other_data(tmp_path: Path, small_pieces: None) -> None:
    names = write(tmp_path / "names.txt", FEW)
    prepare([names], tmp_path / "chars")
    prepare([names], tmp_path / "bytes", tokenizer="byte")
    prepare([write(tmp_path / "text.txt", FEW + "zoe\n")], tmp_path / "more")
    config = Config(n_embd=4, n_head=2, num_steps=2)
    Folder.create(tmp_path / "run", Run.begin(tmp_path / "chars", config)).close()
    for other, words in (
        ("bytes", "with a tokenizer that differs from the run's"),
        ("more", "is not the text that the run"),
    ):
        with pytest.raises(DataError, match=words):
            Folder.resume(tmp_path / "run", source=tmp_path / other)
    Folder.resume(tmp_path / "run", changes={"tokenizer": "char"}).close()
    with pytest.raises(
        RunError,
        match="tokenizer cannot be changed when a run is resumed, got tokenizer='byte', but the run has 'char'",
    ):
        Folder.resume(tmp_path / "run", changes={"tokenizer": "byte"})
    for options, words in (
        ({"documents": "stream"}, "was prepared with documents=lines, got documents=stream"),
        ({"tokenizer": "byte"}, "was prepared with tokenizer=char, got tokenizer=byte"),
        ({"config": Config(bos_first=True)}, "was prepared with bos_first=False, got bos_first=True"),
    ):
        with pytest.raises(DataError, match=words):
            Run.begin(tmp_path / "chars", **options)


def test_a_run_on_byte_pairs_is_trained_saved_and_sampled(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="needs Hugging Face's tokenizers: pip install tokenizers")
    config = Config(n_embd=8, n_head=2, num_steps=40)
    run = Run.begin("names", config, tokenizer="bpe:300")
    for _ in run:
        pass
    run.save(tmp_path / "model.safetensors")
    again = Run.load(tmp_path / "model.safetensors")
    assert again.engine.vocab_size == 300
    assert again.sample(5, seed=1) == run.sample(5, seed=1)
    assert all(text.startswith("Mar") for text in again.sample(3, seed=1, prompt="Mar"))
    found = again.evaluate(limit=50, num_samples=5)
    score = found.scores["model"]
    assert score.characters
    assert score.characters > score.tokens
    assert score.bits_per_character < score.loss / 0.6931
    facts = json.loads(json.dumps(found.to_dict()))
    assert facts["model"]["bits_per_character"] == score.bits_per_character
