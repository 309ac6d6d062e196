"""Tokenize large text files in parallel, and resume an interrupted `prepare`.

The result is prepared data (data/prepared.py). The files are always split into the same pieces at newlines, so
neither the number of processes nor an interruption affects the result. Finished pieces are stored in parts/ with their
checksums, and are reused when `prepare` is resumed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import accumulate, chain
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from microgpt.config import check_size
from microgpt.data.documents import documents_of
from microgpt.data.prepared import (
    DATA,
    FORMAT,
    LEARNED,
    PARTS,
    PLAN,
    PREPARED,
    STARTS,
    TOKENS,
    Prepared,
    Working,
    open_prepared,
)
from microgpt.data.sources import check_plain, locate, read_text
from microgpt.data.tokenizers import Tokenizer, from_spec, learn, size_of, width
from microgpt.errors import DataError, LockedError
from microgpt.system.files import COPY, atomic, open_regular, read_bytes, sha256, sweep, unsafe
from microgpt.system.locks import LOCK, Lock
from microgpt.system.records import Positive, Whole, read

PIECE = 1 << 23  # bytes of text that a process tokenizes at a time
MAX_WORKERS = 1024
LEARNED_FROM = 1 << 26  # bytes of text from which byte pairs are learned, spread evenly over the files

Each = Callable[[str, Callable[..., Any]], list[Any]]  # (a description of the task, a job to run on every piece)


class Piece(NamedTuple):
    """The bytes of a file from `start` up to, but not including, `stop`; both offsets are at the start of a line."""

    path: str
    start: int
    stop: int


@dataclass(frozen=True)
class Part:
    """A tokenized piece.

    Attributes:
        sha256: The SHA-256 digests of the piece's tokens and of its documents' starting positions.
        tokens: The number of tokens.
        documents: The number of documents; 0 for a stream.
        lengths: Pairs of (length in tokens excluding BOS, number of documents with that length).
    """

    sha256: list[str]
    tokens: Whole
    documents: Whole
    lengths: list[tuple[Whole, Positive]]


def prepare(
    files: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    tokenizer: str = "char",
    documents: str = "lines",
    bos_first: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Working | None = None,
) -> Prepared:
    """Tokenize text files into a folder, or resume an interrupted `prepare`.

    While running, `prepare` needs disk space for two copies of all tokens.

    Args:
        files: The text files: paths or names of data sets.
        folder: The folder to write to.
        tokenizer: The tokenizer: `char`, `byte` or `bpe:N`.
        documents: `lines`, or `stream` for one long text.
        bos_first: Whether to use token id 0 for BOS instead of the last id.
        workers: The number of processes; the default is one per processor.
        overwrite: Whether to replace data that was prepared from other files or with other options.
        progress: Called to report progress.

    Returns:
        The prepared data.

    Raises:
        DataError: A text cannot be used, or the folder cannot be written to or contains other files.
        ValueError: An option is invalid.
    """
    if sys.byteorder != "little":
        raise DataError("prepared data can only be used on a little-endian machine, but this machine is big-endian")
    if documents not in PREPARED:
        raise ValueError(f"documents must be one of {', '.join(PREPARED)}, got documents={documents!r}")
    if workers is not None:
        check_size("workers", workers, MAX_WORKERS)
    size_of(tokenizer)
    paths = [locate(path).resolve() for path in files]
    for path in paths:
        check_plain(path)
    if not paths:
        raise ValueError("files must list at least one text file")
    folder = Path(folder)
    plan = {
        "format": FORMAT,
        "files": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in paths],
        "tokenizer": tokenizer,
        "documents": documents,
        "bos_first": bos_first,
        "piece": PIECE,
    }
    if _is_complete(folder, plan) and not overwrite and not (folder / PARTS).exists():  # the folder may be read-only
        return open_prepared(folder, 1)
    with _locked(folder) as lock:

        def watch(what: str, done: int, total: int) -> None:
            if not lock.is_valid():
                raise DataError(
                    f"{str(folder)!r} was deleted, moved or replaced while the data was being prepared: try again"
                )
            if progress:
                progress(what, done, total)

        if overwrite or not _is_complete(folder, plan):
            _begin(folder, plan, overwrite)
            _prepare(folder, plan, paths, workers, watch)
        _sweep(folder)
    return open_prepared(folder, 1)


def _is_complete(folder: Path, plan: dict[str, Any]) -> bool:
    return _read(folder / DATA).get("asked") == plan


@contextmanager
def _locked(folder: Path) -> Iterator[Lock]:
    """Create the folder if necessary, and lock it."""
    if reason := unsafe(folder, (DATA, TOKENS, STARTS, PARTS, LOCK)):
        raise DataError(f"{str(folder)!r} {reason}, or choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder)
    except OSError as error:
        raise DataError(f"cannot write to {str(folder)!r}: {error.strerror}; choose another folder") from None
    except LockedError as error:
        raise DataError(f"{str(folder)!r} {error}") from None
    try:
        yield lock
    finally:
        lock.release()


def _prepare(folder: Path, plan: dict[str, Any], paths: list[Path], workers: int | None, progress: Working) -> None:
    """Tokenize the files into the folder, as the plan says."""
    tokenizer, documents, bos_first = plan["tokenizer"], plan["documents"], plan["bos_first"]
    pieces = [piece for path in paths for piece in _pieces(path)]
    if not pieces:
        raise DataError("the files are empty: specify files with at least one document")
    with ProcessPoolExecutor(min(workers or os.cpu_count() or 1, len(pieces)), get_context("spawn")) as pool:
        each = partial(_each, pool, pieces, progress)
        made = _tokenizer(folder, tokenizer, bos_first, documents, pieces, each, progress)
        learned = (folder / PARTS / LEARNED).stat().st_mtime_ns
        parts = each("Tokenizing", partial(_make, folder=folder, documents=documents, learned=learned))
    if not sum(part.tokens for part in parts):
        raise DataError("the files are empty: specify files with at least one document")
    facts = {
        "format": FORMAT,
        "asked": plan,
        "documents": documents,
        "tokenizer": made.spec(),
        **_join(folder, parts, made.bos, len(made.symbols), progress),
    }
    with atomic(folder / DATA) as file:
        file.write(json.dumps(facts).encode())


def _each(
    pool: ProcessPoolExecutor, pieces: list[Piece], progress: Working, what: str, job: Callable[..., Any]
) -> list[Any]:
    """Run a job on every (index, piece), and return the results in order; the first failure cancels all other jobs."""
    futures = {pool.submit(job, index, piece): piece for index, piece in enumerate(pieces)}
    done, total = 0, sum(piece.stop - piece.start for piece in pieces)
    try:
        for future in as_completed(futures):
            future.result()
            done += futures[future].stop - futures[future].start
            progress(what, done, total)
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise DataError(
                "a worker process was killed, possibly because the machine ran out of memory: try again with"
                " fewer --workers"
            ) from None
        raise
    return [future.result() for future in futures]


def _begin(folder: Path, plan: dict[str, Any], overwrite: bool) -> None:
    """Set up the folder for this plan."""
    parts = folder / PARTS
    finished, begun = _read(folder / DATA), _read(parts / PLAN)
    is_ours = str(finished.get("format")).startswith("microgpt-data/") or (
        (folder / DATA).exists() and (folder / TOKENS).exists()
    )
    if is_ours or (begun and begun != plan):
        if not overwrite:
            raise DataError(
                f"{str(folder)!r} contains data that is damaged, was prepared with other options, or comes from files"
                " that have changed: add --overwrite to replace it, or choose another folder"
            )
        (folder / DATA).unlink(missing_ok=True)
        _sweep(folder)
    for path in () if is_ours else (*folder.iterdir(), *parts.glob("*")):
        if not _is_ours(path, parts, bool(begun)):
            raise DataError(
                f"{str(folder)!r} contains {path.name!r}, which is not prepared data: choose another folder"
            )
    try:
        parts.mkdir(exist_ok=True)
        with atomic(parts / PLAN) as file:
            file.write(json.dumps(plan).encode())
    except OSError as error:
        raise DataError(f"cannot write to {str(folder)!r}: {error.strerror}; choose another folder") from None


def _read(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty dict if the file holds no object."""
    try:
        facts = json.loads(read_bytes(path).decode())
        return facts if isinstance(facts, dict) else {}
    except (OSError, ValueError, RecursionError):
        return {}


def _is_ours(path: Path, parts: Path, begun: bool = True) -> bool:
    """Return whether `prepare` wrote this path. begun: whether `prepare` has started in the folder."""
    if path.parent != parts:
        return path == parts or path.name == LOCK or (begun and path.name in (TOKENS, STARTS))
    return path.name in (PLAN, LEARNED) or re.fullmatch(r"\d+\.(tokens|starts|json)|\..*\.tmp", path.name) is not None


def _sweep(folder: Path) -> None:
    """Remove the parts. The plan is removed last, so that `prepare` still recognizes a folder swept only in part."""
    parts = folder / PARTS
    sweep(parts)
    for path in sorted(parts.glob("*"), key=lambda path: path.name == PLAN):
        if _is_ours(path, parts):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # the folder does not exist, or holds other files
        parts.rmdir()


def _pieces(path: Path) -> Iterator[Piece]:
    """Yield the pieces of a file: about PIECE bytes each, split after newlines; longer lines are not split."""
    size = path.stat().st_size
    with open_regular(path) as file:
        start = 0
        while start < size:
            file.seek(min(size, start + PIECE))
            while (content := file.read(COPY)) and b"\n" not in content:
                pass
            stop = file.tell() - len(content) + content.index(b"\n") + 1 if content else size
            yield Piece(str(path), start, stop)
            start = stop


def _texts(piece: Piece, documents: str) -> list[str]:
    """Return a piece's documents; for a stream, return the piece's text as a list."""
    text = "".join(read_text(Path(piece.path), start=piece.start, stop=piece.stop))
    return list(chain.from_iterable(documents_of([text], documents)))


def _characters(index: int, piece: Piece, documents: str) -> str:
    return "".join(set().union(*map(set, _texts(piece, documents))))


def _tokenizer(
    folder: Path, kind: str, bos_first: bool, documents: str, pieces: list[Piece], each: Each, progress: Working
) -> Tokenizer:
    """Return the tokenizer that an interrupted `prepare` learned from these texts, or learn a new tokenizer."""
    kept = folder / PARTS / LEARNED
    with suppress(ValueError):  # there is no tokenizer yet, or it is damaged
        return from_spec(_read(kept))
    if kind == "char":
        found = each("Collecting characters", partial(_characters, documents=documents))
        made = learn(kind, found, bos_first)
    else:
        if kind != "byte":
            progress("Learning byte pairs", 0, 0)
        total = sum(piece.stop - piece.start for piece in pieces)
        some = pieces[:: max(1, -(-total // LEARNED_FROM))]
        made = learn(kind, (text for piece in some for text in _texts(piece, documents)), bos_first)
    with atomic(kept) as file:
        file.write(json.dumps(made.spec()).encode())
    return made


def _make(index: int, piece: Piece, folder: Path, documents: str, learned: int) -> Part:
    """Tokenize a piece and store the part in parts/; reuse an intact part from an interrupted `prepare`."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the worker processes already use all processors
    path = folder / PARTS / f"{index}"
    facts = _read(path.with_suffix(".json"))
    with suppress(ValueError, OSError):  # there is no part yet, or it is damaged
        done = read(Part, facts)
        if [sha256(path.with_suffix(end)) for end in (".tokens", ".starts")] == done.sha256:
            return done
    tokens, lengths = _tokenizer_of(folder / PARTS / LEARNED, learned).pack(
        _texts(piece, documents), bos=documents == "lines"
    )
    starts = array("Q", accumulate((length + 1 for length in lengths[:-1]), initial=0)) if tokens else array("Q")
    if documents == "stream":
        starts, lengths = array("Q"), []
    digests = []
    for end, numbers in ((".tokens", tokens), (".starts", starts)):
        content = numbers.tobytes()
        digests.append(hashlib.sha256(content).hexdigest())
        with atomic(path.with_suffix(end)) as file:
            file.write(content)
    part = Part(digests, len(tokens), len(starts), sorted(Counter(lengths).items()))
    with atomic(path.with_suffix(".json")) as file:
        file.write(json.dumps(asdict(part)).encode())
    return part


@cache
def _tokenizer_of(path: Path, learned: int) -> Tokenizer:
    """Return the tokenizer that was written at time `learned`; cached, because large BPE tokenizers load slowly."""
    return from_spec(_read(path))


def _join(folder: Path, parts: list[Part], bos: int, vocab_size: int, progress: Working) -> dict[str, Any]:
    """Join the parts into tokens.bin and starts.bin, and return the facts about both files for data.json."""
    kind = width(vocab_size)
    is_stream = not any(part.documents for part in parts)
    border = array(kind, [bos])
    total = sum(part.tokens for part in parts)
    digests = {name: hashlib.sha256() for name in (TOKENS, STARTS)}
    with atomic(folder / TOKENS) as tokens_file, atomic(folder / STARTS) as starts_file:

        def write(file: Any, name: str, content: bytes) -> None:
            file.write(content)
            digests[name].update(content)

        if is_stream:
            write(tokens_file, TOKENS, border.tobytes())
        first = done = 0
        for index, part in enumerate(parts):
            path = folder / PARTS / f"{index}"
            with path.with_suffix(".tokens").open("rb") as file:
                while content := file.read(COPY):
                    write(tokens_file, TOKENS, content)
            starts = array("Q", path.with_suffix(".starts").read_bytes())
            write(starts_file, STARTS, array("Q", (first + start for start in starts)).tobytes())
            first += part.tokens
            done += part.tokens
            progress("Joining the parts", done, total)
        write(tokens_file, TOKENS, border.tobytes())
    lengths: Counter[int] = Counter()
    for part in parts:
        lengths.update(dict(part.lengths))
    return {
        "sha256": digests[TOKENS].hexdigest(),
        "starts_sha256": digests[STARTS].hexdigest(),
        "tokens": total + 1 + is_stream,
        "num_docs": sum(part.documents for part in parts),
        "lengths": sorted(lengths.items()),
    }
