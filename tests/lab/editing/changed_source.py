"""The reference's source with changes applied."""

from __future__ import annotations

from microgpt.engines.program import REFERENCE
from microgpt.lab.editing.variants import apply

FILE = REFERENCE.text


def with_change(*names: str) -> str:
    source = FILE
    for name in names:
        source = apply(name, source)
    return source


def replaced(old: str, new: str) -> str:
    assert FILE.count(old) == 1, old
    return FILE.replace(old, new)
