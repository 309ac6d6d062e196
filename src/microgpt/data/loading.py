"""Load a text in two passes: the first learns the tokenizer, and the second tokenizes the text.

The files are read in pieces, so only the tokens are held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from microgpt.data.documents import LIST, SEPARATED, Data, check_mode, documents_of
from microgpt.data.download import Progress
from microgpt.data.fields import field_of
from microgpt.data.sources import STREAMED, RawText, Source, check_documents, in_memory, is_documents, joined, open_text
from microgpt.data.tokenizers import CharTokenizer, Tokenizer, learn
from microgpt.errors import DataError
from microgpt.system.memory import check_fits

LONG = 4  # contexts: of a longer single line, a model would read little as a document
CHECK_EVERY = 1 << 26  # tokens between looks at the free memory: a compressed text can be a thousand times its file


def load(
    source: Source = "names",
    *,
    mode: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    block_size: int = 16,
    bos_first: bool = False,
    tokenizer: str | Tokenizer = "char",
    grow: bool = False,
    progress: Progress | None = None,
    check_digest: Callable[[str], object] | None = None,
) -> Data:
    """Read and tokenize a text.

    Args:
        source: A file, a folder of files, several Paths, `-` for standard input, the name of a data set (`names`,
            bundled; `makemore` and `shakespeare`, downloaded once), or a list of documents in memory. A Path always
            refers to a file or a folder.
        mode: How to split the text into documents; one of documents.MODES. None chooses `separated` if there is a
            separator, `list` for documents in memory, and `stream` for a data set that is one long text and for a text
            that is a single line of more than LONG contexts; all others are split into `lines`.
        separator: The text that separates documents.
        field: The column of a CSV or TSV file, or the field of a JSON Lines file, whose values are the documents.
        block_size: The size of a stream's windows, in tokens.
        bos_first: Whether a new tokenizer uses token id 0 for BOS instead of the last id.
        tokenizer: The tokenizer to use, or the kind of tokenizer to create (see tokenizers.KINDS).
        grow: Whether a given tokenizer of characters gets the text's other characters too, instead of refusing them.
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
    raw: RawText | None = None
    documents: Sequence[str] = ()
    if is_documents(source):
        documents = list(source)  # type: ignore[arg-type]
        check_documents(documents)
    else:
        raw = open_text(source, progress)
        if check_digest:
            check_digest(raw.sha256())
    chosen = mode or _default_mode(raw, documents, separator)
    check_mode(chosen, separator)
    if field is not None and raw is None:
        raise ValueError(f"field can only be used with a file, got field={field!r} for documents in memory")
    options: dict[str, Any] = {"block_size": block_size, "bos_first": bos_first, "grow": grow}
    if raw is None:
        return _load(_Memory(documents, chosen, separator), None, chosen, tokenizer, **options)
    data = _load(_Files(raw, chosen, separator, field), raw, chosen, tokenizer, **options)
    if mode is None and field is None and is_one_line(data, block_size):
        characters = len(data.text(0))
        del data
        data = _load(_Files(raw, "stream", None, None), raw, "stream", tokenizer, **options)
        data.note = (
            f"read as one long text, because it is a single line of {characters:,} characters; to read only its first"
            f" {block_size} tokens as a document: --documents lines"
        )
    data.field, data.separator = field, separator
    return data


def is_one_line(data: Data, block_size: int) -> bool:
    """Return whether a text's only line is so long that a model would read little of it as a document."""
    return data.mode == "lines" and len(data) == 1 and len(data.tokens) > LONG * block_size


def _default_mode(raw: RawText | None, documents: Sequence[str], separator: str | None) -> str:
    if separator is not None:
        return SEPARATED
    if raw is not None:
        return "stream" if raw.name in STREAMED else "lines"
    # what a list of lines means has not changed, and earlier versions can resume a run on it
    is_lines = all("\n" not in text and "\r" not in text and text == text.strip() for text in documents)
    return "lines" if is_lines and not any(text.startswith("\ufeff") for text in documents[:1]) else LIST


class _Files:
    """Passes over the files of a text, each with the digests of the bytes that it read."""

    def __init__(self, raw: RawText, mode: str, separator: str | None, field: str | None) -> None:
        self.raw, self.mode, self.separator, self.field = raw, mode, separator, field
        self.digest = ""  # of the last complete pass
        self.has_blank_lines = False

    def __iter__(self) -> Iterator[list[str]]:
        digests = []
        ended, last = True, ""  # whether the previous file of a stream ended with a line break
        for part in self.raw.parts:
            digest = hashlib.sha256()
            pieces: Iterable[str] = part.read(digest.update)
            if self.field is not None:
                pieces = field_of(pieces, self.field, part.what)
                if self.mode == "stream":
                    yield from ([f"{value}\n"] for value in pieces)
                elif self.mode == SEPARATED:
                    for value in pieces:
                        yield from documents_of([value], self.mode, self.separator)
                else:
                    yield from ([value] for value in pieces)
            else:
                for piece in documents_of(map(self._seen, pieces), self.mode, self.separator):
                    if self.mode == "stream":
                        if not ended:
                            yield ["\n"]
                        ended = True
                    yield piece
                    last = piece[-1]
                ended = self.mode != "stream" or last.endswith("\n")
            digests.append(digest.digest())
        self.digest = joined(digests)

    def _seen(self, piece: str) -> str:
        self.has_blank_lines = self.has_blank_lines or "\n\n" in piece.strip("\n")
        return piece


class _Memory:
    """Passes over documents in memory."""

    def __init__(self, documents: Sequence[str], mode: str, separator: str | None) -> None:
        self.documents, self.mode, self.separator = documents, mode, separator
        self.digest = ""

    def __iter__(self) -> Iterator[list[str]]:
        digest = hashlib.sha256()
        pieces = in_memory(self.documents, digest.update)
        if self.mode == LIST:
            for _ in pieces:
                pass
            if documents := [text for text in self.documents if text and not text.isspace()]:
                yield documents
        else:
            yield from documents_of(pieces, self.mode, self.separator)
        self.digest = digest.hexdigest()


def _load(
    passes: _Files | _Memory,
    raw: RawText | None,
    mode: str,
    tokenizer: str | Tokenizer,
    *,
    block_size: int,
    bos_first: bool,
    grow: bool,
) -> Data:
    what = raw.what if raw else "the list of documents"
    found: set[str] = set()

    def texts() -> Iterator[str]:
        for piece in passes:
            found.update(*piece)
            yield from piece

    if isinstance(tokenizer, str):
        tokenizer = learn(tokenizer, texts(), bos_first)
    for _ in () if found else texts():  # a byte tokenizer does not read the text: read the text here for the digest
        pass
    if not found:
        raise DataError(f"{what} is empty: specify a text with at least one document (one document per line)")
    unknown = found - tokenizer.token_ids.keys() if isinstance(tokenizer, CharTokenizer) else set()
    if unknown and grow:
        tokenizer = CharTokenizer({*filter(None, tokenizer.symbols), *unknown}, bos_first)
    elif unknown:
        raise DataError(
            f"{what} contains characters that the model has never seen: {listed(unknown)}; remove them, or train a"
            " model on a text that contains them"
        )
    digest = passes.digest
    data = Data(raw.name if raw else None, mode, tokenizer, digest, block_size)
    data.more = raw.more if raw else ()
    data.has_blank_lines = isinstance(passes, _Files) and mode == "lines" and passes.has_blank_lines
    try:
        _fill(data, passes)
        changed = passes.digest != digest
    except KeyError:  # a character that the first pass did not see
        changed = True
    if changed:
        raise DataError(f"{what} changed while it was being read: try again when no program is writing to it")
    return data


def listed(characters: Iterable[str]) -> str:
    """Return the first ten characters of a set for a message, and how many more there are."""
    ordered = sorted(characters)
    return " ".join(map(repr, ordered[:10])) + (f" and {len(ordered) - 10} more" if len(ordered) > 10 else "")


def _fill(data: Data, pieces: Iterable[list[str]]) -> None:
    """Append the text's token ids to the data."""
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)
    checked = 0
    for documents in pieces:
        tokens, lengths = data.tokenizer.pack(documents, bos=False)
        data.tokens.extend(tokens)
        if len(data.tokens) - checked > CHECK_EVERY:
            checked = len(data.tokens)
            remedy = "use part of it, or microgpt prepare"
            check_fits(CHECK_EVERY * data.bytes_per_token, "the rest of the text", remedy)
        if data.mode != "stream":
            last = data.ends[-1] if data.ends else 0
            data.ends.extend(accumulate(lengths[1:], initial=last + lengths[0]))
    if data.mode == "stream":
        data.tokens.append(data.tokenizer.bos)
