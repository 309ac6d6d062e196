"""Load a text in two passes: the first learns the tokenizer, and the second tokenizes the text.

The file is read in pieces, so only its tokens are held in memory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate

from microgpt.data.documents import Data, check_mode, documents_of
from microgpt.data.download import Progress
from microgpt.data.sources import DATASETS, Watch, in_memory, locate, read_text
from microgpt.data.tokenizers import CharTokenizer, Tokenizer, learn
from microgpt.errors import DataError
from microgpt.system.files import sha256


def load(
    source: str | os.PathLike[str] | Sequence[str] = "names",
    *,
    mode: str = "lines",
    block_size: int = 16,
    bos_first: bool = False,
    tokenizer: str | Tokenizer = "char",
    progress: Progress | None = None,
    check_digest: Callable[[str], object] | None = None,
) -> Data:
    """Read and tokenize a text.

    Args:
        source: A file, the name of a data set (`names`, bundled; `makemore`, downloaded once), or documents in memory,
            which are treated like the lines of a file. A Path always refers to a file.
        mode: How to split the text into documents: `lines` or `stream`.
        block_size: The size of a stream's windows, in tokens.
        bos_first: Whether a new tokenizer uses token id 0 for BOS instead of the last id.
        tokenizer: The tokenizer to use, or the kind of tokenizer to create (see tokenizers.KINDS).
        progress: Called to report download progress.
        check_digest: Called with the SHA-256 of a file's bytes before anything is decoded; it raises an exception to
            refuse the file, so that messages about a file's text can only be about the expected file.

    Returns:
        The tokenized documents.

    Raises:
        DataError: The text cannot be used.
        OSError: The file cannot be read.

    Example:
        >>> data = load(["ada", "grace"])
        >>> data.sequence(0)
        [6, 0, 2, 0, 6]
        >>> data.text(1)
        'grace'
    """
    check_mode(mode)
    name: str | None = None
    if isinstance(source, (str, os.PathLike)):
        path = locate(source, progress)
        name = source if isinstance(source, str) and source in DATASETS else str(path.resolve())
        if check_digest:
            check_digest(sha256(path))
        read: Callable[[Watch | None], Iterable[str]] = partial(read_text, path)
    else:
        read = partial(in_memory, list(source))
    digest = hashlib.sha256()
    found: set[str] = set()

    def texts() -> Iterator[str]:
        for piece in documents_of(read(digest.update), mode):
            found.update(*piece)
            yield from piece

    what = repr(os.fspath(source)) if name else "the list of documents"  # type: ignore[arg-type]
    if isinstance(tokenizer, str):
        tokenizer = learn(tokenizer, texts(), bos_first)
    for _ in () if found else texts():  # a byte tokenizer does not read the text: read the text here for the digest
        pass
    if not found:
        raise DataError(f"{what} is empty: specify a text with at least one document (one document per line)")
    if isinstance(tokenizer, CharTokenizer) and (unknown := found - tokenizer.token_ids.keys()):
        raise DataError(
            f"{what} contains characters that the model has never seen: {_show(unknown)}; remove them, or train a model"
            " on a text that contains them"
        )
    data = Data(name, mode, tokenizer, digest.hexdigest(), block_size)
    again = hashlib.sha256()
    try:
        _fill(data, documents_of(read(again.update), mode))
    except KeyError:  # a character that the first pass did not see
        again.update(b"changed")
    if again.digest() != digest.digest():
        raise DataError(f"{what} changed while it was being read: try again when no program is writing to it")
    return data


def _show(characters: Iterable[str]) -> str:
    listed = sorted(characters)
    return " ".join(map(repr, listed[:10])) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _fill(data: Data, pieces: Iterable[list[str]]) -> None:
    """Append the text's token ids to the data."""
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)
    for documents in pieces:
        tokens, lengths = data.tokenizer.pack(documents, bos=False)
        data.tokens.extend(tokens)
        if data.mode == "lines":
            last = data.ends[-1] if data.ends else 0
            data.ends.extend(accumulate(lengths[1:], initial=last + lengths[0]))
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)
