"""Declare options: those that several commands share, and one for each field of Config."""

from __future__ import annotations

import dataclasses
from argparse import SUPPRESS, ArgumentTypeError, BooleanOptionalAction
from pathlib import Path
from typing import Any

from microgpt.activations import ACTIVATIONS
from microgpt.cli.parser import Argument
from microgpt.config import DECAYS, Config
from microgpt.data.sources import DATASETS
from microgpt.engines.choose import ENGINES

CHOICES = {"activation": ACTIVATIONS, "decay": DECAYS}
MODEL_FIELDS = ("n_embd", "n_head", "n_layer", "block_size", "activation", "init_std", "zero_init", "bos_first")
NUM_SAMPLES = 20  # generated after training, as in the published script

# The groups of options in --help
OPTIONS, DATA, FOLDER, ENGINE, MODEL, TRAINING = "Options", "Data", "Run folder", "Engine", "Model", "Training"


def argument(metavar: str, help: str, name: str = "", shown: str | None = None, **how: Any) -> Argument:
    """Declare an argument.

    Args:
        metavar: Its name in the usage line and in messages.
        help: Its explanation in --help.
        name: The parameter that receives it; the default is the metavar in lower case.
        shown: The default as --help shows it.
        **how: Other keyword arguments for argparse's add_argument, such as type and nargs.
    """
    required = " [required]" * (how.get("nargs") in (None, "+"))
    how |= {"metavar": metavar, "help": help + required + _default(shown)}
    return Argument((name or metavar.lower(),), "Arguments", how)


def option(*names: str, help: str, group: str = OPTIONS, shown: object = None, **how: Any) -> Argument:
    """Declare an option that takes a value.

    Args:
        *names: Its names.
        help: Its explanation in --help.
        group: Its group in --help.
        shown: The default to show in --help, if it differs from `default`. Set it for options whose Python default
            is None, so that a command can check whether the user set the option.
        **how: Other keyword arguments for argparse's add_argument, such as default, metavar and type.
    """
    required = " [required]" * how.get("required", False)
    how["help"] = help + required + _default(how.get("default") if shown is None else shown)
    return Argument(names, group, how)


def flag(name: str, help: str, group: str = OPTIONS) -> Argument:
    """Declare an option without a value."""
    return Argument((name,), group, {"action": "store_true", "help": help})


def number(kind: type[int] | type[float], at_least: int | None = None) -> dict[str, Any]:
    """Return the keyword arguments that make `option` parse a number."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise ArgumentTypeError(f"must be {expected}, got {text!r}") from None
        if at_least is not None and value < at_least:
            raise ArgumentTypeError(f"must be at least {at_least}, got {text}")
        return value

    return {"type": parse, "metavar": f"<{kind.__name__}>"}


def _default(value: object) -> str:
    return "" if value in (None, "") else f" [default:\xa0{value}]"  # its first word stays on the line


def config_options() -> list[Argument]:
    """Return an option for every field of Config; a command receives only those that the user set."""
    options = []
    for f in dataclasses.fields(Config):
        kind: Any = type(f.default)
        how: dict[str, Any] = {"shown": f.default}
        if kind is bool:
            how = {"shown": str(f.default).lower(), "action": BooleanOptionalAction}
        elif f.name in CHOICES:
            how["metavar"] = "|".join(CHOICES[f.name])
        else:
            how |= number(kind)
        name = "--" + f.name.replace("_", "-")
        group = MODEL if f.name in MODEL_FIELDS else TRAINING
        options.append(option(name, help=f.metadata["help"], group=group, default=SUPPRESS, **how))
    return options


# --- Arguments that several commands share

DOCUMENTS = "Read one document per line, or one long text (stream) in windows of block_size tokens."
SPLIT = "How to split the text: lines, stream (one long text) or paragraphs (blank lines separate documents)."
TOKENIZER = "Tokenize into characters, bytes, or N tokens learned from the text by byte-pair encoding."

FILE = argument(
    "FILE",
    f"Text files (also gzip, bzip2, xz), a folder of them, a data set ({', '.join(DATASETS)}), - for standard input, or"
    " a folder of prepared data.",
    name="files",
    nargs="*",
    shown=DATASETS[0],
)
RUN = argument("RUN", "A run folder or a checkpoint file.", type=Path)
ENGINE_NAME = option(
    "--engine",
    group=ENGINE,
    metavar="NAME",
    default="auto",
    help=f"Engine to use ({', '.join(ENGINES)}); auto picks the fastest one available.",
)
PRECISION = option(
    "--precision",
    group=ENGINE,
    metavar="NAME",
    shown="exact up to 2e10 flops a run, then float32; torch: float32",
    help="Precision. native: exact (identical to the reference) or float32; torch: float32, float64 or bfloat16.",
)
THREADS = option(
    "--threads",
    group=ENGINE,
    **number(int),
    shown="as many as help",
    help="Number of CPU threads. native: splits each batch among them, with identical results; torch: uses them within"
    " each operation.",
)
DEVICE = option(
    "--device", group=ENGINE, metavar="cuda|mps|cpu", shown="the best available", help="Device for the torch engine."
)
DATA_FILE = option("--data", metavar="FILE", help="New location of the training data, if it has moved.")
SEED = option("--seed", **number(int), shown="the run's seed", help="Random seed for the samples.")
CHECKPOINT = option(
    "--checkpoint",
    metavar="best|last",
    shown="best, if documents are held out",
    help="Checkpoint of a run folder: the one with the least held-out loss, or the last one.",
)
JSON = flag("--json", "Print JSON for other programs.")


def given(**options: Any) -> dict[str, Any]:
    """Return the options that the user set; the engine's defaults apply to the others."""
    return {name: value for name, value in options.items() if value is not None and value is not False}
