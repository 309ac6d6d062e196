"""Provenance: which text a run is trained on, and how the run reads it.

Every checkpoint records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from microgpt.data.documents import MODES, Data


@dataclass(frozen=True)
class Provenance:
    """Where the training data of a run come from. A checkpoint of another version may lack any of these facts."""

    source: str | None = None  # the path of the text, or the name of a data set; None for documents in memory
    sha256: str | None = None  # of the text's bytes, or of the prepared data's tokens
    documents: str | None = None  # how the text is cut into documents, one of MODES
    num_docs: int | None = None  # training sequences, held-out ones included
    val_fraction: float | None = None  # the share that is held out
    validate_every: int | None = None  # steps between two held-out losses; None: a tenth of all
    micro_batch_size: int | None = None  # documents computed at once; None: the whole batch
    unknown: Mapping[str, Any] = field(default_factory=dict)  # facts of another version, kept as they are

    @classmethod
    def of(
        cls,
        data: Data,
        val_fraction: float = 0.0,
        validate_every: int | None = None,
        micro_batch_size: int | None = None,
    ) -> Provenance:
        """The provenance of a new run over these data."""
        return cls(data.source, data.sha256, data.mode, len(data), val_fraction, validate_every, micro_batch_size)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Provenance:
        """The inverse of to_dict. Raises ValueError for a known fact of the wrong type."""
        for name, kinds in KINDS.items():
            if name in facts and type(facts[name]) not in kinds:
                raise ValueError(f"{name} in 'data' must be of type {kinds[0].__name__}, got {facts[name]!r:.60}")
        known = {name: value for name, value in facts.items() if name in KINDS}
        return cls(**known, unknown={name: value for name, value in facts.items() if name not in KINDS})

    def to_dict(self) -> dict[str, Any]:
        """What checkpoints, config.json and session files hold; facts that are not known are left out."""
        known = {name: getattr(self, name) for name in KINDS}
        return {
            **{name: value for name, value in known.items() if value is not None or name == "source"},
            **self.unknown,
        }

    @property
    def mode(self) -> str:
        """How the text is cut into documents, by default lines."""
        return self.documents or MODES[0]


# The facts in the order in which they are written, each with the types that it may have
KINDS: dict[str, tuple[type, ...]] = {
    "source": (str, type(None)),
    "sha256": (str,),
    "documents": (str,),
    "num_docs": (int,),
    "val_fraction": (float, int),
    "validate_every": (int,),
    "micro_batch_size": (int,),
}
