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
NUM_SAMPLES = 20  # after training, as the published script


def default(value: object) -> str:
    """The end of a help text that names a default. The parameter itself defaults to None, for "not asked for"."""
    return rf" [dim]\[default: {value}][/]"


def number(kind: type[int] | type[float], at_least: int | None = None) -> dict[str, Any]:
    """How an option that takes a number is parsed and shown."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            raise typer.BadParameter(f"it must be {'a whole' if kind is int else 'a'} number, got {text!r}") from None
        if at_least is not None and value < at_least:
            raise typer.BadParameter(f"it must be at least {at_least}, got {text}")
        return value

    return {"parser": parse, "metavar": f"<{kind.__name__}>"}


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of Config, in place of its parameter `settings`.

    An option that is not given is None there, so that a command can tell what was asked for.
    """
    signature = inspect.signature(command, eval_str=True)
    options = []
    for f in dataclasses.fields(Config):
        kind = type(f.default)
        how = number(kind) if kind in (int, float) else {}
        if f.name in CHOICES:
            how = {"metavar": "|".join(CHOICES[f.name])}
        option = typer.Option(
            help=f.metadata["help"] + default(str(f.default).lower() if kind is bool else f.default),
            rich_help_panel="Model and training (every field of Config)",
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

DOCUMENTS = "A document a line, or one long text (stream) cut into windows of block_size."
TOKENIZER = "What is one token: a character of the text, a byte, or one of N byte pairs learned from it."

FileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help=f"A text file in UTF-8, a data set ({', '.join(DATASETS)}), or a folder of prepared data."
        + default(DATASETS[0]),
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a checkpoint file.")]
EngineOption = Annotated[
    str, typer.Option(metavar="|".join(["auto", *ENGINES]), help="What computes it: the fastest that is here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="exact|float32|float64|bfloat16",
        help="Of the native engine exact (bit for bit the reference) or float32; of torch float32, float64 or bfloat16."
        + default("the engine's first"),
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="How many share the documents of a batch; the numbers are the same. Of torch: the work."
        + default("1; torch: as many as help"),
        **number(int),
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option(metavar="cuda|mps|cpu", help="Of the torch engine." + default("the best that is here"))
]
DataOption = Annotated[str | None, typer.Option(metavar="FILE", help="The training data, if they have moved.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the samples." + default("the run's"), **number(int))]


def asked(**options: Any) -> dict[str, Any]:
    """Those of an engine's options that were asked for."""
    return {name: value for name, value in options.items() if value}
