"""Provenance: which text a run is trained on, and how the run reads that text.

Every checkpoint records the provenance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microgpt.data.documents import MODES, Data


@dataclass(frozen=True)
class Provenance:
    """A record of where a run's training data comes from and how the run reads it.

    A checkpoint from another version of microgpt may lack some of these facts.

    Attributes:
        source: The path of the text, or the name of a data set; None for documents in memory.
        sha256: The SHA-256 of the text's bytes, or of the prepared data's tokens.
        documents: How the text is split into documents; one of MODES.
        num_docs: The number of sequences, including the held-out sequences.
        val_fraction: The fraction of documents held out.
        validate_every: The number of steps between measurements of the held-out loss; None means a tenth of num_steps.
        micro_batch_size: The number of documents to process at once; None means the full batch.
        precision: The precision to train in unless another is requested; None means exact.
        unknown: Facts from another version of microgpt, stored unchanged.
    """

    source: str | None = None
    sha256: str | None = None
    documents: str | None = None
    num_docs: int | None = None
    val_fraction: float | None = None
    validate_every: int | None = None
    micro_batch_size: int | None = None
    precision: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: Data,
        val_fraction: float = 0.0,
        validate_every: int | None = None,
        micro_batch_size: int | None = None,
    ) -> Provenance:
        """Return the provenance of a new run on this data."""
        return cls(data.source, data.sha256, data.mode, len(data), val_fraction, validate_every, micro_batch_size)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Provenance:
        """Return the provenance that `to_dict` stored; raise ValueError if a known fact has the wrong type."""
        for name, kinds in KINDS.items():
            if name in facts and type(facts[name]) not in kinds:
                raise ValueError(f"{name} in 'data' must be of type {kinds[0].__name__}, got {facts[name]!r:.60}")
        known = {name: value for name, value in facts.items() if name in KINDS}
        return cls(**known, unknown={name: value for name, value in facts.items() if name not in KINDS})

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as a dict for checkpoints, config.json and session files; missing facts are omitted."""
        known = {name: getattr(self, name) for name in KINDS}
        return {
            **{name: value for name, value in known.items() if value is not None or name == "source"},
            **self.unknown,
        }

    @property
    def mode(self) -> str:
        """How the text is split into documents; the default is lines."""
        return self.documents or MODES[0]


# The facts in the order in which they are written, each with its allowed types
KINDS: dict[str, tuple[type, ...]] = {
    "source": (str, type(None)),
    "sha256": (str,),
    "documents": (str,),
    "num_docs": (int,),
    "val_fraction": (float, int),
    "validate_every": (int,),
    "micro_batch_size": (int,),
    "precision": (str,),
}
