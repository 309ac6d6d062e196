"""The instruction sets and precisions of the native engine's tests, which need the compiled kernel."""

from __future__ import annotations

import pytest

from microgpt.engines.native.engine import PRECISIONS, kernel

try:
    kernel()
except ImportError as error:
    pytest.skip(f"{error} (python hatch_build.py builds it)", allow_module_level=True)


def runs_here(isa: str) -> bool:
    try:
        kernel("exact", isa)
    except ValueError:
        return False
    return True


ISAS = [isa for isa in ("avx512", "avx2", "plain") if runs_here(isa)]
every_isa = pytest.mark.parametrize("isa", ISAS)
every_precision = pytest.mark.parametrize("precision", PRECISIONS)
