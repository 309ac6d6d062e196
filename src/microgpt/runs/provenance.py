"""Provenance: which text a run is trained on, and how the run reads that text.

Every checkpoint records the provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from dataclasses import field as dataclass_field
from typing import Annotated, Any

from microgpt.data.documents import MODES, Data
from microgpt.data.split import RULES, SINGLY, TOGETHER
from microgpt.data.tokenizers import beginning
from microgpt.system.records import NotEmpty, OneOf, Positive, Range, Whole, read_field

PRECISIONS = ("exact", "float32", "float64", "bfloat16")


@dataclass(frozen=True)
class Origin:
    """The model that a run was started from.

    Attributes:
        name: The path of its run folder or checkpoint; None for a run in memory.
        step: The number of updates it had completed.
        sha256: The SHA-256 of its parameters, as little-endian float64 values in the order of `config.shapes`.
    """

    name: str | None
    step: Whole
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """A record of where a run's training data comes from and how the run reads it.

    A checkpoint from another version of microgpt may lack some of these facts, or state them in another way.

    Attributes:
        source: The path of the text, or the name of a data set; None for documents in memory.
        sha256: The SHA-256 of the text's bytes, or of the prepared data's tokens.
        documents: How the text is split into documents; one of MODES.
        num_docs: The number of sequences, including the held-out sequences.
        val_fraction: The fraction of documents held out.
        validate_every: The number of steps between measurements of the held-out loss; None means a tenth of num_steps.
        micro_batch_size: The number of documents to process at once; None means the full batch.
        precision: The precision to train in unless another is requested; None means exact.
        separator: The text that separates documents; None if `documents` is another mode.
        field: The field of a table that has the documents; None if all of the text is read.
        more: The paths of further files; None if there is one.
        begins: The text after which samples of a stream begin; None for BOS, as in runs of earlier versions.
        split: The rule that chooses the held-out documents; None means `singly` (see data/split.py).
        num_distinct: The number of distinct documents; None if no documents are equal, or if they were not compared.
        patience: Training stops after this many measurements of the held-out loss without a new least loss; None means
            never.
        start_from: The model that the run was started from; None for random parameters.
        unknown: Facts that this version cannot use, stored unchanged. If one of the facts above is among them, the run
            cannot be trained (see `fault`), but its model can be used.
    """

    source: str | None = None
    sha256: str | None = None
    documents: Annotated[str, OneOf(MODES)] | None = None
    num_docs: Whole | None = None
    val_fraction: Annotated[float, Range(0, 1, open=True)] | None = None
    validate_every: Positive | None = None
    micro_batch_size: Positive | None = None
    precision: Annotated[str, OneOf(PRECISIONS)] | None = None
    separator: str | None = None
    field: str | None = None
    more: Annotated[list[str], NotEmpty()] | None = None
    begins: str | None = None
    split: Annotated[str, OneOf(RULES)] | None = None
    num_distinct: Whole | None = None
    patience: Positive | None = None
    start_from: Origin | None = None
    unknown: Mapping[str, Any] = dataclass_field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: Data,
        val_fraction: float = 0.0,
        validate_every: int | None = None,
        micro_batch_size: int | None = None,
        split: str | None = None,
        patience: int | None = None,
    ) -> Provenance:
        """Return the provenance of a new run on this data; `split` is the split's rule if something is held out."""
        return cls(
            source=data.source,
            sha256=data.sha256,
            documents=data.mode,
            separator=data.separator,
            field=data.field,
            more=list(data.more) or None,
            begins=beginning(data.tokenizer, data.tokens) if data.mode == "stream" else None,
            num_docs=len(data),
            val_fraction=val_fraction,
            validate_every=validate_every,
            micro_batch_size=micro_batch_size,
            split=None if split == SINGLY else split,
            num_distinct=data.num_distinct if split == TOGETHER else None,
            patience=patience or None,
        )

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Provenance:
        """Return the provenance that `to_dict` stored; facts that this version cannot use become `unknown`."""
        known: dict[str, Any] = {}
        unknown = {name: value for name, value in facts.items() if name not in NAMES}
        for name in facts.keys() & NAMES:
            try:
                known[name] = read_field(cls, name, facts[name])
            except ValueError:
                unknown[name] = facts[name]
        return cls(**known, unknown=unknown)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict for checkpoints, config.json and session files; missing facts are omitted."""
        known = {name: getattr(self, name) for name in NAMES}
        if self.start_from:
            known["start_from"] = asdict(self.start_from)
        return {
            **{name: value for name, value in known.items() if value is not None or name == "source"},
            **self.unknown,
        }

    def fault(self) -> str:
        """Return why the run cannot be trained: a fact that this version cannot use; empty if it can be trained."""
        for name in NAMES:
            if name in self.unknown:
                try:
                    read_field(Provenance, name, self.unknown[name])
                except ValueError as error:
                    return f"the run's record of its training data cannot be used: {error}"
        return ""

    @property
    def mode(self) -> str:
        """How the text is split into documents; the default is lines."""
        return self.documents or MODES[0]


NAMES = [f.name for f in fields(Provenance) if f.name != "unknown"]  # the facts, in the order in which they are written
