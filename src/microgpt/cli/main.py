"""The command line's entry point: dispatch to a command, error messages and exit status."""

from __future__ import annotations

import io
import os
import sys
import time
from typing import Annotated

import typer

import microgpt
from microgpt.cli.bench import bench
from microgpt.cli.evaluate import evaluate
from microgpt.cli.export import export, plot
from microgpt.cli.info import info
from microgpt.cli.lab import lab
from microgpt.cli.prepare import prepare
from microgpt.cli.sample import sample
from microgpt.cli.train import train
from microgpt.cli.verify import verify
from microgpt.errors import DivergedError, MicrogptError
from microgpt.system.processes import processes

app = typer.Typer(
    name="microgpt",
    help="A whole GPT you can see through: train one on your own text, and let it write.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and stop.")] = False,
) -> None:
    if version:
        print(microgpt.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


for command in (train, prepare, sample, evaluate, export, plot, info, verify, bench, lab):  # in the order of --help
    app.command()(command)


def main(args: list[str] | None = None) -> int:
    """Run the command line. Gives its exit status: 0; 1, it failed; 2, it was asked wrongly; 130, Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter
    try:
        status = app(args=args, standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except (ValueError, ImportError, MemoryError) as error:  # what our own functions say of their arguments
        return _fail(str(error), 2)
    except (DivergedError, FloatingPointError) as error:
        return _fail(f"{error}; the last checkpoint is whole", 1)
    except MicrogptError as error:  # the rest of the tree: what was asked was right
        return _fail(str(error), 1)
    except BrokenPipeError:  # the reader of our output has gone: what is left of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's, for what it could not parse
            raise
        return _fail(str(error.format_message()), 2)


def _fail(message: str, status: int) -> int:
    rank, _ = processes()
    if rank and status == 2:
        time.sleep(10)  # what all processes find wrong the first says for all: torchrun then ends the others
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
