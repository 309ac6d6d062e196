"""Texts as people have them: compressed, in UTF-16, in folders, piped, in tables, with their own separators."""

from __future__ import annotations

import bz2
import csv
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt import Config
from microgpt.data import sources
from microgpt.data.documents import documents_of
from microgpt.data.loading import LONG, load
from microgpt.errors import DataError
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import Run

from conftest import clean_environment

TEXT = "emma\nzoé\n\nbea\n"
DOCUMENTS = ["emma", "zoé", "bea"]


def refusal(source: object, **options: object) -> str:
    with pytest.raises((DataError, ValueError)) as error:
        load(source, **options)  # type: ignore[arg-type]
    return str(error.value)


# --- Encodings and compression


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_compressed_text_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], piece: int
) -> None:
    monkeypatch.setattr(sources, "PIECE", piece)
    content = pack(TEXT.encode())
    path = tmp_path / "text.packed"
    path.write_bytes(content)
    data = load(path)
    assert list(data) == DOCUMENTS
    assert data.sha256 == hashlib.sha256(content).hexdigest()  # of the file, so that it can be checked unread


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_a_damaged_compressed_text_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    content = pack(TEXT.encode() * 1000)
    path = tmp_path / "text.packed"
    for damaged in (content[: len(content) // 2], content[:20] + b"\xff\xff\xff\xff" + content[24:]):
        path.write_bytes(damaged)
        assert refusal(path).startswith(f"{str(path)!r} is damaged or incomplete: ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_a_byte_order_mark_names_the_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, piece: int
) -> None:
    monkeypatch.setattr(sources, "PIECE", piece)
    mark = "\ufeff" if encoding.endswith("-be") else ""
    path = tmp_path / "text.txt"
    path.write_bytes((mark + TEXT.replace("\n", "\r\n")).encode(encoding))
    assert list(load(path)) == DOCUMENTS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("The quick brown fox.\n".encode(encoding))
    assert f"looks like {encoding.upper().replace('UTF-16-', 'UTF-16')}" in refusal(path)


SENTENCES = {
    "cp1252": "She said “hello” – and left.",
    "cp1250": "Zażółć gęślą jaźń",
    "cp1251": "Привет, мир. Как дела?",
    "koi8-r": "Привет, мир. Как дела?",
    "cp1253": "Ελληνικά κείμενα",
    "cp1254": "Günaydın, şöyle böyle",
    "mac-roman": "naïve Ä Ö Ü",
    "shift_jis": "日本語のテキストです。",
    "euc-jp": "日本語のテキストです。",
    "gb18030": "中文文本在这里。",
    "euc-kr": "한국어 텍스트",
}


@pytest.mark.parametrize("encoding", SENTENCES)
def test_the_right_encoding_is_among_the_candidates_shown(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(SENTENCES[encoding].encode(encoding))
    said = refusal(path)
    assert f"({encoding.upper()})" in said
    assert "iconv -f " in said


@pytest.mark.parametrize(
    "text", ["ID3 tags are old", "RIFF raff", "BZh is no word", "PAR1", "MZ", "GIF89a is a format"]
)
def test_a_text_that_begins_like_another_format_is_a_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text)
    assert list(load(path, mode="lines")) == [text]


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "<xml/>" * 100)
    return content.getvalue()


OTHERS = {
    "a zip archive": zipped("text.txt"),
    "a Word document": zipped("[Content_Types].xml", "word/document.xml"),
    "an Excel workbook": zipped("[Content_Types].xml", "xl/workbook.xml"),
    "an OpenDocument file": zipped("mimetype", "content.xml"),
    "an EPUB book": zipped("mimetype", "META-INF/container.xml"),
    "a PDF": b"%PDF-1.7\n1 0 obj\n",
    "an RTF document": rb"{\rtf1\ansi hello}",
    "a Parquet table": b"PAR1\x15\x04\x15\x00",
    "an SQLite database": b"SQLite format 3\x00\x10\x00",
    "an image": b"\x89PNG\r\n\x1a\n\x00\x00",
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_file_that_is_no_text_is_named_for_what_it_is(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(OTHERS[what])
    assert refusal(path).startswith(f"{str(path)!r} is {what}, not text: ")


# --- Where a text comes from


def test_several_files_and_a_folder_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    (folder / "a.txt").write_text("emma\nzoé")  # without a line end: the next file begins another document
    (folder / "b" / "c.txt").write_text("bea\n")
    (folder / ".hidden").write_bytes(b"\0")
    files = [folder / "a.txt", folder / "b" / "c.txt"]
    assert list(load(folder)) == list(load(files)) == list(load(str(folder))) == DOCUMENTS
    assert load(folder).source == str(folder)
    assert load(files).more == (str(files[1]),)
    digests = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    assert load(files).sha256 == hashlib.sha256(b"".join(digests)).hexdigest()
    stream = load(files, mode="stream")
    assert stream.tokenizer.decode(stream.tokens) == "emma\nzoé\nbea\n"


def test_a_file_in_a_folder_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("emma\n")
    (tmp_path / "b.png").write_bytes(OTHERS["an image"])
    assert f"{str(tmp_path / 'b.png')!r} is an image" in refusal(tmp_path)


def test_a_run_on_several_files_is_resumed(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    paths[0].write_text("emma\nolivia\n")
    paths[1].write_text("ava\n")
    run = Run.begin(paths, Config(n_embd=4, n_head=2, block_size=4, num_steps=2))
    run.save(tmp_path / "model.safetensors")
    assert list(Run.load(tmp_path / "model.safetensors").data) == ["emma", "olivia", "ava"]
    paths[1].write_text("eve\n")
    with pytest.raises(DataError, match="is not the text that the run was trained on"):
        Run.load(tmp_path / "model.safetensors").data  # noqa: B018
    paths[1].unlink()
    with pytest.raises(DataError, match="no longer at"):
        Run.load(tmp_path / "model.safetensors").data  # noqa: B018


def command(*args: str, text: bytes | None, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "microgpt", *args], input=text, cwd=cwd, env=clean_environment(), capture_output=True
    )


SMALL = ["--num-steps", "2", "--n-embd", "4", "--n-head", "2"]


def test_standard_input_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    done = command("train", "-", *SMALL, "--out", "run", text=TEXT.encode(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"num docs: 3" in done.stderr
    (tmp_path / "text.txt").write_text(TEXT)
    done = command("train", "--out", "run", "--resume", "--num-steps", "3", text=None, cwd=tmp_path)
    assert done.returncode == 2
    assert b"trained on standard input: save that text to a file" in done.stderr
    done = command("train", "text.txt", "--out", "run", "--resume", "--num-steps", "3", text=None, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_text_that_is_piped_but_not_asked_for_is_an_error(tmp_path: Path) -> None:
    done = command("train", *SMALL, text=TEXT.encode(), cwd=tmp_path)
    assert done.returncode == 2
    assert b"standard input" in done.stderr
    assert b"microgpt train -" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("args", "said"), [(["-"], "is empty"), ([""], "the file's name is empty")])
def test_an_empty_source_is_an_error(tmp_path: Path, args: list[str], said: str) -> None:
    done = command("train", *args, *SMALL, text=b"", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr.decode()


def test_a_text_in_place_of_a_file_name_is_told_so() -> None:
    for text in ("emma\nolivia\n", "a long sentence " * 1000):
        said = refusal(text)
        assert "pass a list of documents" in said
        assert len(said) < 250


# --- Documents

STORY = "Once upon\na time.\n\n \nThe end.\n\n\n"


def test_blank_lines_or_a_text_separate_documents(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(STORY)
    assert list(load(path, mode="paragraphs")) == ["Once upon\na time.", "The end."]
    path.write_text("one\ntwo<|endoftext|>\nthree<|endoftext|>")
    data = load(path, separator="<|endoftext|>")
    assert (list(data), data.mode) == (["one\ntwo", "three"], "separated")
    path.write_text(">first\nACGT\nAC\n>second\nTT\n")
    assert list(load(path, separator=">")) == ["first\nACGT\nAC", "second\nTT"]


@given(st.text("ab \n", max_size=30), st.integers(1, 9), st.sampled_from(["paragraphs", "separated"]))
def test_documents_do_not_depend_on_the_pieces(text: str, size: int, mode: str) -> None:
    separator = "ab" if mode == "separated" else None
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    divided = [document for documents in documents_of(pieces, mode, separator) for document in documents]
    assert divided == [document for documents in documents_of([text], mode, separator) for document in documents]
    assert all(document == document.strip() for document in divided)


def test_a_separator_is_kept_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("one\ntwo;three;")
    config = Config(n_embd=4, n_head=2, block_size=4, num_steps=2)
    run = Run.begin(tmp_path / "text.txt", config, separator=";")
    run.save(tmp_path / "model.safetensors")
    loaded = Run.load(tmp_path / "model.safetensors")
    assert loaded.provenance == run.provenance
    assert list(loaded.data) == ["one\ntwo", "three"]
    assert Provenance.from_dict(run.provenance.to_dict()) == run.provenance


def test_documents_in_memory_are_kept_as_they_are() -> None:
    documents = ["a\nb", " c ", "", "d\r\ne"]
    data = load(documents)
    assert (list(data), data.mode) == (["a\nb", " c ", "d\r\ne"], "list")
    assert load(["a", "b"]).mode == "lines"
    assert list(load(documents, mode="lines")) == ["a", "b", "c", "d", "e"]


def test_one_long_line_is_read_as_a_stream_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ab " * 200)
    data = load(path)
    assert data.mode == "stream"
    assert "single line of 599 characters" in data.note
    assert load(path, mode="lines").mode == "lines"
    path.write_text("a" * LONG * 16)
    assert (load(path).mode, load(path).note) == ("lines", "")


def test_only_what_is_read_of_a_long_document_is_copied(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ab" * 1000 + "\nab\n")
    data = load(path)
    bos = data.tokenizer.bos
    assert data.sequence(0, limit=5) == [bos, 0, 1, 0, 1]
    assert data.sequence(1, limit=9) == data.sequence(1) == [bos, 0, 1, bos]
    assert data.sequence(1, limit=4) == [bos, 0, 1, bos]


@pytest.mark.parametrize("tokenizer", ["char", "byte"])
@pytest.mark.parametrize("seed", [1, 2])
def test_samples_of_a_stream_begin_where_a_line_begins(tokenizer: str, seed: int) -> None:
    config = Config(n_embd=8, n_head=2, block_size=8, num_steps=150, batch_size=4, seed=seed)
    run = Run.begin(["Xabcabc", "Xcbacba"] * 30, config, documents="stream", tokenizer=tokenizer, val_fraction=0.1)
    for _ in run.steps(together=True):
        pass
    texts = run.sample(50, seed=seed, temperature=0.5)
    assert all(text.startswith("X") for text in texts)
    assert texts[:3] == run.sample(3, seed=seed, temperature=0.5, slide=True, max_new_tokens=8)
    assert run.sample(1, seed=seed, prompt="Xab")[0].startswith("Xab")


# --- Tables

ROWS = [("Ada", "first"), ('with "quotes", and\ntwo lines', "second"), ("", "nothing"), ("Bea", "third")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_column_of_a_table_is_read(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([("name", "text"), *ROWS])
    assert list(load(path, field="name")) == [name for name, _ in ROWS if name]
    assert list(load(path, field="text")) == [text for _, text in ROWS]
    said = refusal(path, field="names")
    assert "field='names' is not in the first row of " in said
    assert said.endswith("choose one of name, text")


def test_a_field_of_json_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps({"id": i, "text": t}) + "\n" for t, i in ROWS).encode()))
    assert list(load(path, field="text")) == [text for text, _ in ROWS if text]
    path = tmp_path / "table.jsonl"
    for line, said in (
        ('{"id": 1}', "is not in line 2 of"),
        ("{", "line 2 of"),
        ('{"text": 5}', "must hold text, but line 2"),
        ("[1]", "is not in line 2 of"),
    ):
        path.write_text('{"text": "a"}\n' + line + "\n")
        assert said in refusal(path, field="text")
