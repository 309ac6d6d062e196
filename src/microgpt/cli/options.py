"""Options and arguments that several commands share, with their --help texts."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from microgpt.activations import ACTIVATIONS
from microgpt.config import DECAYS, Config
from microgpt.data.sources import DATASETS
from microgpt.engines.choose import ENGINES

CHOICES = {"activation": ACTIVATIONS, "decay": DECAYS}
MODEL_FIELDS = ("n_embd", "n_head", "n_layer", "block_size", "activation", "init_std", "zero_init", "bos_first")
NUM_SAMPLES = 20  # generated after training, as in the published script

# The groups of options in --help
DATA, FOLDER, ENGINE, MODEL, TRAINING = "Data", "Run folder", "Engine", "Model", "Training"
FLAG: dict[str, Any] = {"metavar": ""}  # otherwise, Typer would show the type `<bool>`


def default(value: object) -> str:
    """Return the text that states a default at the end of an option's help.

    Use it for options whose Python default is None, so that a command can check whether the user set the option.
    """
    return rf" [dim]\[default: {value}][/]"


def number(kind: type[int] | type[float], at_least: int | None = None) -> dict[str, Any]:
    """Return the `typer.Option` arguments for a numeric option."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            raise typer.BadParameter(f"must be {'a whole' if kind is int else 'a'} number, got {text!r}") from None
        if at_least is not None and value < at_least:
            raise typer.BadParameter(f"must be at least {at_least}, got {text}")
        return value

    return {"parser": parse, "metavar": f"<{kind.__name__}>"}


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace a command's `settings` parameter with one option for every field of Config.

    The command then receives a `settings` dict with the options that the user set.
    """
    signature = inspect.signature(command, eval_str=True)
    options = []
    for f in dataclasses.fields(Config):
        kind = type(f.default)
        how = number(kind) if kind in (int, float) else {}
        if kind is bool:
            how = FLAG
        if f.name in CHOICES:
            how = {"metavar": "|".join(CHOICES[f.name])}
        option = typer.Option(
            help=f.metadata["help"] + default(str(f.default).lower() if kind is bool else f.default),
            rich_help_panel=MODEL if f.name in MODEL_FIELDS else TRAINING,
            **how,
        )
        annotation: Any = Annotated[kind | None, option]
        options.append(inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))

    def wrapper(**arguments: Any) -> None:
        settings = {o.name: arguments.pop(o.name) for o in options}
        given = {name: value for name, value in settings.items() if value is not None}
        command(**arguments, settings=given)

    kept = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values() if p.name != "settings"]
    wrapper.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*kept, *options]}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper


# --- Arguments that several commands share

DOCUMENTS = "Read one document per line, or one long text (stream) in windows of block_size tokens."
TOKENIZER = "Tokenize into characters, bytes, or N tokens learned from the text by byte-pair encoding."

FileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help=f"A UTF-8 text file, a data set ({', '.join(DATASETS)}), or a folder of prepared data."
        + default(DATASETS[0]),
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")]
EngineOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Engine to use ({', '.join(ENGINES)}); auto picks the fastest one available.",
        rich_help_panel=ENGINE,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.", **FLAG)]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Precision. native: exact (identical to the reference) or float32; torch: float32, float64 or bfloat16."
        + default("exact; torch: float32"),
        rich_help_panel=ENGINE,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="Number of CPU threads. native: splits each batch among them, with identical results; torch: uses them"
        " within each operation." + default("1; torch: chosen automatically"),
        rich_help_panel=ENGINE,
        **number(int),
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        metavar="cuda|mps|cpu",
        help="Device for the torch engine." + default("the best available"),
        rich_help_panel=ENGINE,
    ),
]
DataOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="New location of the training data, if it has moved.")
]
SeedOption = Annotated[
    int | None, typer.Option(help="Random seed for the samples." + default("the run's seed"), **number(int))
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that the user set; the engine's defaults apply to the others."""
    return {name: value for name, value in options.items() if value}
