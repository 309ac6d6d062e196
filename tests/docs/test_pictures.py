"""The README's pictures: each exists, none is left over, and a loop moves and is small."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", README)
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())
LOOPS = [path for path in PICTURES if path.suffix == ".webp"]
LARGEST = 500_000  # bytes, as in docs/pictures.py


def frames(content: bytes) -> list[int]:
    """Return the duration of each frame of a WebP file in ms."""
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WEBP"
    at, durations = 12, []
    while at < len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"ANMF":
            durations.append(int.from_bytes(content[at + 20 : at + 23], "little"))
        at += 8 + size + size % 2
    return durations


def test_every_picture_of_the_readme_exists_and_every_picture_is_shown() -> None:
    assert sorted(ROOT / path for _, path in SHOWN) == PICTURES


def test_every_picture_says_in_words_what_it_shows() -> None:
    assert [path for words, path in SHOWN if len(words.split()) < 6] == []
    assert len({words for words, _ in SHOWN}) == len(SHOWN)


@pytest.mark.parametrize("path", LOOPS, ids=lambda path: path.stem)
def test_a_loop_moves_and_is_small(path: Path) -> None:
    content = path.read_bytes()
    durations = frames(content)
    assert len(content) < LARGEST
    assert len(durations) > 20
    assert 5_000 <= sum(durations) <= 30_000
    assert durations[-1] >= 2000  # the last state stays for a while


def test_there_are_five_loops() -> None:
    assert [path.stem for path in LOOPS] == ["arrival", "blame", "hikers", "shuffle", "spotlight"]
