"""The content of a file is checked against a dataclass's types, field by field."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.system.records import OneOf, Positive, Range, Whole, read

from runs.checkpoints import thoroughly


@dataclasses.dataclass
class Inner:
    size: Positive


@dataclasses.dataclass
class Outer:
    count: Whole
    share: Annotated[float, Range(0, 1, open=True)]
    mode: Annotated[str, OneOf(("lines", "stream"))]
    done: bool
    inner: Inner
    pairs: list[tuple[Whole, str]]
    table: dict[str, Any]
    later: int | None = None


GOOD: dict[str, Any] = {
    "count": 0,
    "share": 0.5,
    "mode": "lines",
    "done": False,
    "inner": {"size": 1},
    "pairs": [[1, "a"]],
    "table": {"a": [1]},
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def test_good_facts_are_read() -> None:
    assert read(Outer, {**GOOD, "another": 1}) == Outer(0, 0.5, "lines", False, Inner(1), [(1, "a")], {"a": [1]})
    assert read(Outer, {**GOOD, "share": 0, "later": None}).share == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *((name, value, f"{name} must be ") for name in GOOD for value in (None, -1, float("nan"), float("inf"))),
        *((name, 10**400, f"{name} must be ") for name in GOOD),
        *((name, "x", f"{name} must be ") for name in GOOD),
        ("count", True, "count must be a whole number, got count=True"),
        ("count", 1.0, "count must be a whole number, got count=1.0"),
        ("share", 1.0, "share must be at least 0 and less than 1, got share=1.0"),
        ("share", True, "share must be a finite number, got share=True"),
        ("mode", "words", "mode must be one of lines, stream, got mode='words'"),
        ("mode", ["lines"], r"mode must be a string, got mode=\['lines'\]"),
        ("inner", {}, "inner.size is missing"),
        ("inner", {"size": 0}, "inner.size must be at least 1"),
        ("pairs", [[1, "a"], [1]], r"pairs\[1\] must be a list of 2 values, got pairs\[1\]=\[1\]"),
        ("pairs", [[1, 2]], r"pairs\[0\]\[1\] must be a string"),
        ("later", "x", "later must be a whole number, got later='x'"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read(Outer, {**GOOD, field: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field} is missing$"):
        read(Outer, {name: value for name, value in GOOD.items() if name != field})


@thoroughly
@given(value=ANYTHING | st.fixed_dictionaries({name: st.just(value) | ANYTHING for name, value in GOOD.items()}))
def test_anything_is_read_or_refused(value: Any) -> None:
    with suppress(ValueError):
        assert isinstance(read(Outer, value), Outer)
