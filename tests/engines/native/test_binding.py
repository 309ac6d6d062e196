"""The binding's tables agree with the kernel's header; and a test of that test."""

from __future__ import annotations

import re

import pytest

from microgpt.engines.native.binding import FUNCTIONS, SETTINGS

from conftest import SOURCE

HEADER = (SOURCE / "engines" / "native" / "kernel" / "api.h").read_text()
KINDS = {
    **{kind: kind for kind in ("void", "int", "double")},
    "int64_t": "int64",
    "Net*": "handle",
    "const Net*": "handle",
    "Decoder*": "handle",
    "const Settings*": "settings",
    "Documents": "documents",
    "const int32_t*": "ints",
    "const double*": "doubles",
    "double*": "written",
    "int32_t*": "written",
}


def fields(header: str, struct: str) -> list[str]:
    """Return the declarations inside a struct, without comments, each on one line."""
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = re.search(rf"typedef struct \{{([^{{}}]*)\}} {struct};", code)
    assert found, struct
    return [" ".join(field.split()) for field in found[1].split(";")[:-1]]


def kind(declaration: str) -> str:
    """Return the kind of a declaration, with or without a name: `const double *params` -> doubles."""
    found = re.fullmatch(r"((?:const )?\w+)(?: ?(\*)(?:\w+)?| \w+)?", declaration)
    assert found, declaration
    return KINDS[found[1] + (found[2] or "")]


def settings(header: str) -> list[tuple[str, str]]:
    declared = (field.partition(" ") for field in fields(header, "Settings"))
    return [(name, KINDS[type_name]) for type_name, _, names in declared for name in names.split(", ")]


def functions(header: str) -> list[tuple[str, tuple[str, ...]]]:
    name, *pointers = fields(header, "Kernel")
    assert name == "const char *name"
    found = []
    for pointer in pointers:
        parts = re.fullmatch(r"(.+?) ?\(\*(\w+)\)\((.*)\)", pointer)
        assert parts, pointer
        found.append((parts[2], tuple(map(kind, [parts[1], *parts[3].split(", ")]))))
    return found


def agree(header: str) -> bool:
    return settings(header) == list(SETTINGS.items()) and functions(header) == list(FUNCTIONS.items())


def test_the_tables_are_those_of_the_header() -> None:
    assert settings(HEADER) == list(SETTINGS.items())
    assert functions(HEADER) == list(FUNCTIONS.items())


CHANGES = {
    "another order": ("    void (*close)(Net *);\n", ""),
    "another name": ("(*rewind)", "(*reset)"),
    "one more argument": ("(*rewind)(Decoder *)", "(*rewind)(Decoder *, int position)"),
    "one argument less": ("double weight, double *loss", "double *loss"),
    "an argument's type": ("int part, int64_t step", "int part, int step"),
    "a result": ("int (*train)", "void (*train)"),
    "a buffer that is read only": ("double *logits", "const double *logits"),
    "a buffer's numbers": ("const int32_t *prompt", "const double *prompt"),
    "one more setting": ("int threads;", "int threads, seed;"),
    "a setting's type": ("double beta1", "int beta1"),
    "settings in another order": ("n_embd, n_head", "n_head, n_embd"),
}


@pytest.mark.parametrize(("old", "new"), CHANGES.values(), ids=CHANGES)
def test_a_changed_header_is_noticed(old: str, new: str) -> None:
    assert HEADER.count(old) == 1
    changed = HEADER.replace(old, new)
    if not new:  # the function moves to the end
        changed = changed.replace("} Kernel;", f"{old}}} Kernel;")
    assert not agree(changed)
    assert agree(HEADER)
