"""The command that trains a run with given settings, to print and to paste."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any


def train_command(files: Sequence[str], options: dict[str, Any]) -> str:
    """Return the `microgpt train` command for files and options by name; options that are None are omitted.

    Example:
        >>> train_command(["my names.txt"], {"n_embd": 32, "zero_init": True, "seed": None})
        "microgpt train 'my names.txt' --n-embd 32 --zero-init"
    """
    words = ["microgpt", "train", *files]
    for name, value in options.items():
        option = "--" + {"start_from": "from"}.get(name, name).replace("_", "-")
        if value is True:
            words.append(option)
        elif value is False:
            words.append("--no-" + option.removeprefix("--"))
        elif value is not None:
            text = _escaped(value) if name == "separator" else _text(value)
            words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    return shlex.join(words)


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _escaped(separator: str) -> str:
    return separator.replace("\n", "\\n").replace("\t", "\\t")
