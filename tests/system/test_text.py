"""Human-readable text: what a terminal could obey or hide is made visible."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.system.text import aligned, visible

CONTROLS = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0), *range(0x200B, 0x2010), *range(0x2028, 0x202F))),
    *map(chr, (0x061C, *range(0x2060, 0x2070), 0xFEFF, 0xD800, 0xDBFF, 0xDC80, 0xDFFF)),
]


@pytest.mark.parametrize("character", CONTROLS, ids=lambda character: f"U+{ord(character):04X}")
def test_a_control_character_is_written_as_python_writes_it(character: str) -> None:
    assert visible(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"
    assert visible(f"a{character}b", keep=character) == f"a{character}b"


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_every_other_character_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_visible_text_has_no_control_character_and_is_stable(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert visible(shown) == shown


def test_a_cell_cannot_break_a_table() -> None:
    table = aligned(("name", "count"), [("an\x1b[2J\nna", "7"), ("bo", "12")], "lr")
    assert table == "name           count\nan\\x1b[2J\\nna      7\nbo                12"
