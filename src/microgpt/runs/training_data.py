"""A run's training data: loaded when a run is started, and located again when it is resumed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from microgpt.config import Config
from microgpt.data.documents import Data
from microgpt.data.download import Progress
from microgpt.data.loading import load as load_data
from microgpt.data.prepared import is_prepared, open_prepared
from microgpt.data.sources import DATASETS, STDIN, Source
from microgpt.data.split import END, TOGETHER
from microgpt.data.tokenizers import Tokenizer
from microgpt.errors import DataError
from microgpt.runs.checkpoint import Checkpoint

WHERE = "specify the new location: --data FILE, or microgpt train FILE --resume"


def load_training_data(
    source: Source,
    config: Config,
    documents: str | None,
    tokenizer: str | None,
    progress: Progress | None,
    separator: str | None = None,
    field: str | None = None,
    known: Tokenizer | None = None,
) -> Data:
    """Load a text, or open prepared data and check that it was prepared with these options.

    Args:
        source: The text, or the folder of prepared data.
        config: The settings; only block_size and bos_first are used.
        documents: How to split the text into documents; None selects the default or, for prepared data, its mode.
        tokenizer: The kind of tokenizer; None selects the default or, for prepared data, its tokenizer.
        progress: Called to report download progress.
        separator: The text that separates documents.
        field: The field of a table that has the documents.
        known: A tokenizer to use instead of a new one; a tokenizer of characters gets those that it lacks.

    Returns:
        The data.

    Raises:
        DataError: The text cannot be used, or the data was prepared with different options.
    """
    if not is_prepared_folder(source):
        return load_data(
            source,
            mode=documents,
            separator=separator,
            field=field,
            block_size=config.block_size,
            bos_first=config.bos_first,
            tokenizer=known or tokenizer or "char",
            grow=True,
            progress=progress,
        )
    for name, value in (("separator", separator), ("field", field)):
        if value is not None:
            raise ValueError(f"{name} cannot be used with prepared data, got {name}={value!r}: omit it")
    data = open_prepared(Path(cast("str", source)), config.block_size)
    for name, asked, actual in (
        ("documents", documents, data.mode),
        ("tokenizer", tokenizer, data.facts.asked.tokenizer),
        ("bos_first", config.bos_first, data.bos_first),
    ):
        if asked is not None and asked != actual:
            remedy = f"set bos_first={actual}" if name == "bos_first" else f"omit {name}"
            raise DataError(
                f"{os.fspath(cast('str', source))!r} was prepared with {name}={actual}, got {name}={asked}: {remedy},"
                f" or prepare the data with {name}={asked}"
            )
    return data


def split_note(data: Data, rule: str, order: Sequence[int], held_out: Sequence[int]) -> str:
    """Return what a reader of a held-out loss must know about the split; empty if there is nothing to know.

    Args:
        data: The data.
        rule: The rule of the split; one of split.RULES.
        order: The indices of the training sequences.
        held_out: The indices of the held-out sequences.

    Returns:
        A sentence without a full stop.
    """
    if not held_out or rule == END:
        return "the held-out part is the end of the text" * bool(held_out)
    if data.mode == "stream":
        return "the held-out windows are scattered among those that are trained on, as in earlier versions"
    if not data.compares:
        return "documents of prepared data are not compared, so equal ones can be on both sides of the split"
    if rule == TOGETHER:
        repeated = len(data) - data.num_distinct
        return (
            f"{repeated:,} of {len(data):,} documents repeat an earlier one; equal documents are on the same side of"
            " the split"
        )
    trained = {data.kinds[i] for i in order} if data.num_distinct < len(data) else ()
    known = sum(data.kinds[i] in trained for i in held_out) if trained else 0
    return f"{known:,} of {len(held_out):,} held-out documents are also in the training part" * bool(known)


def is_prepared_folder(source: Source) -> bool:
    """Return whether the source is a folder of prepared data; a data set's name is never treated as a folder."""
    if isinstance(source, str) and source in DATASETS:
        return False
    return isinstance(source, (str, os.PathLike)) and is_prepared(Path(source))


def find_training_data(state: Checkpoint, source: Source | None) -> Data:
    """Load the data that a checkpoint's run was trained on.

    Args:
        state: The checkpoint.
        source: The new location of the data, if it has moved.

    Returns:
        The data.

    Raises:
        DataError: The data is missing or differs from the data that the run was trained on.
    """
    info, moved = state.provenance, source is None
    if fault := info.fault():
        raise DataError(f"{fault}; train with the version of microgpt that recorded it, or start a new run")
    if source is None:
        if info.source is None:
            raise DataError("the run was trained on documents in memory: pass them again (source=...)")
        if info.source == STDIN:
            raise DataError("the run was trained on standard input: save that text to a file, and " + WHERE)
        source = [Path(info.source), *map(Path, info.more)] if info.more else info.source
    try:
        for path in () if not moved else source if isinstance(source, list) else [source]:
            if path not in DATASETS and not Path(str(path)).exists():
                raise DataError(f"the training data is no longer at {str(path)!r}: {WHERE}")
        return _load_recorded(state, source, WHERE if moved else "specify that text or start a new run")
    except DataError:
        raise
    except (OSError, ValueError) as error:  # not a possible path, or a file that cannot be read
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"cannot read the training data at {str(source)!r:.200}: {reason}; {WHERE}") from None


def _load_recorded(state: Checkpoint, source: Source, remedy: str) -> Data:
    """Load a text or prepared data; raise DataError if it is not what the run was trained on."""

    def check(digest: str) -> None:
        if digest != state.provenance.sha256:
            raise DataError(
                f"{str(source)!r} is not the text that the run was trained on (SHA-256 {digest[:12]}..., expected"
                f" {str(state.provenance.sha256)[:12]}...): {remedy}"
            )

    if is_prepared_folder(source):
        prepared = open_prepared(Path(cast("str", source)), state.config.block_size)
        if prepared.tokenizer.symbols != state.symbols:
            raise DataError(
                f"{os.fspath(cast('str', source))!r} was prepared with a tokenizer that differs from the run's:"
                f" {remedy}"
            )
        check(prepared.sha256)
        return prepared
    data = load_data(
        source,
        mode=state.provenance.mode,
        separator=state.provenance.separator,
        field=state.provenance.field,
        block_size=state.config.block_size,
        bos_first=state.config.bos_first,
        tokenizer=state.tokenizer(),
        check_digest=check,
    )
    check(data.sha256)  # documents in memory
    return data
