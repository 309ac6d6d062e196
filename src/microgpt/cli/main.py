"""The command line's entry point: command dispatch, error messages and exit status."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import microgpt
from microgpt.cli.bench import bench
from microgpt.cli.evaluate import evaluate
from microgpt.cli.export import export, plot
from microgpt.cli.info import info
from microgpt.cli.lab import lab
from microgpt.cli.options import FLAG
from microgpt.cli.prepare import prepare
from microgpt.cli.sample import sample
from microgpt.cli.train import train
from microgpt.cli.verify import verify
from microgpt.errors import DivergedError, MicrogptError
from microgpt.system.processes import processes


class Group(TyperGroup):
    """The list of commands; its --help option is shown without a type, like every other flag."""

    def get_help_option(self, ctx: Any) -> Any:
        return _without_type(super().get_help_option(ctx))


class Command(TyperCommand):
    """A command whose --help option is shown without a type, like every other flag."""

    def get_help_option(self, ctx: Any) -> Any:
        return _without_type(super().get_help_option(ctx))


def _without_type(option: Any) -> Any:
    if option is not None:
        option.metavar = FLAG["metavar"]
    return option


app = typer.Typer(
    name="microgpt",
    cls=Group,
    help="A complete GPT that you can look inside: train it on your own text.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(  # noqa: D103 - its docstring would be the help text
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", **FLAG)] = False,
) -> None:
    if version:
        print(microgpt.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


for command in (train, prepare, sample, evaluate, export, plot, info, verify, bench, lab):  # in the order of --help
    app.command(cls=Command)(command)


def main(args: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The arguments after the program's name; the default is this process's arguments.

    Returns:
        The exit status: 0 for success, 1 for a failure, 2 for an invalid argument, 128 + the signal number for a run
        that a signal stopped (130 after Ctrl-C).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
    try:
        status = app(args=args, standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except (ValueError, ImportError, MemoryError) as error:  # an argument is invalid, or a package is missing
        return _fail(str(error), 2)
    except (DivergedError, FloatingPointError) as error:
        return _fail(f"{error}; the last checkpoint is intact", 1)
    except MicrogptError as error:  # every other microgpt error: the request was valid
        return _fail(str(error), 1)
    except BrokenPipeError:  # the reader closed the pipe: discard the rest of the output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's errors, for arguments that Typer cannot parse
            raise
        return _fail(str(error.format_message()), 2)


def _fail(message: str, status: int) -> int:
    rank, _ = processes()
    if rank and status == 2:
        # every process finds the same error, and the first process reports it; torchrun then stops the others
        time.sleep(10)
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
