"""The command line's entry point: command dispatch, error messages and exit status."""

from __future__ import annotations

import importlib
import io
import itertools
import re
import sys
import time
from contextlib import suppress

import microgpt
from microgpt.cli import HELP, streams
from microgpt.errors import MicrogptError, OutputError
from microgpt.system.processes import processes
from microgpt.system.text import visible

ABOUT = "A complete GPT that you can look inside: train it on your own text."
NO_MEMORY = "there is not enough memory: choose a smaller model, batch or text, or close other programs"
# Each command is the function in its own file that has its name; only that file is imported. In the order of --help.
COMMANDS = {
    "train": "Train a model, save it, and print samples.",
    "prepare": "Tokenize text that is too large for memory and store the tokens in files.",
    "sample": "Generate text. Samples that copy a training document are marked.",
    "evaluate": "Measure a model's loss and count how many of its samples are new.",
    "export": "Export a model as an ONNX file for programs in other languages.",
    "plot": "Plot the loss curves of one or more runs as SVG, PNG or PDF.",
    "graph": "Write the graph behind a number in DOT, for Graphviz.",
    "info": "Describe a run or a folder of prepared data.",
    "verify": "Compare an engine or a port with the reference, tensor by tensor.",
    "bench": "Compare the engines' speed and accuracy, side by side.",
    "lab": "Open the lab, a page that shows every number inside a GPT.",
}


def main(args: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: The arguments after the program's name; the default is this process's arguments.

    Returns:
        The exit status: 0 for success, 1 for a failure or lost output, 2 for an invalid argument, 128 + the signal
        number for a run that a signal stopped (130 after Ctrl-C).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
    with streams.guarded() as (out, err):
        status = _status(sys.argv[1:] if args is None else args, out)
        if err.error and out.isatty():  # a file or a program gets only what it asked for
            with suppress(OutputError):
                print(f"error: {err.error}", flush=True)
        return status or int(err.error is not None)


def _status(args: list[str], out: streams.Stream) -> int:
    """Run a command, report its error, and return its exit status."""
    try:
        status = run(args)
        out.flush()
        return _fail(str(out.error), status or 1) if out.error else status  # training does not stop when output is lost
    except OutputError as error:  # the conventional end of a command whose reader closed the pipe is a quiet one
        return 1 if isinstance(error.__cause__, BrokenPipeError) else _fail(str(error), 1)
    except (ValueError, ImportError, MemoryError) as error:  # an argument is invalid, or a package is missing
        return _fail(str(error) or NO_MEMORY, 2)  # only Python's own MemoryError has no text
    except (MicrogptError, FloatingPointError) as error:  # the request was valid
        return _fail(str(error), 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _fail("stopped", 130)


def run(args: list[str]) -> int:
    """Run a command and return its exit status.

    Raises:
        ValueError: The command or an argument is unknown, missing or invalid.
    """
    name, *rest = args or ["--help"]
    if name == "--version":
        print(microgpt.__version__)
    elif name in HELP:
        from microgpt.cli.help import page

        groups = {"Commands": [*COMMANDS.items()], "Options": [("--version", "Print the version and exit.")]}
        print(page("microgpt COMMAND [OPTIONS] [ARGUMENTS]", ABOUT, groups), end="")
    elif name in COMMANDS:
        from microgpt.cli.parser import Parser

        module = importlib.import_module(f"microgpt.cli.{name}")
        command = getattr(module, name)
        parser = Parser(name, command.__doc__, module.ARGUMENTS)
        if not {*HELP} & {*itertools.takewhile("--".__ne__, rest)}:
            status: int | None = command(**parser.parse(rest))
            return status or 0
        print(parser.format_help(), end="")
    else:
        from microgpt.cli.parser import no_such

        if name.startswith("-"):
            raise ValueError(no_such("option", name, ["--version", *HELP], "microgpt"))
        raise ValueError(no_such("command", name, [*COMMANDS], "microgpt"))
    return 0


def _fail(message: str, status: int) -> int:
    rank, _ = processes()
    if rank and status == 2:
        # every process finds the same error, and the first process reports it; torchrun then stops the others
        time.sleep(10)
    line = re.sub(r"\s*\n\s*", " ", message.strip())  # other packages' messages may span lines
    print(f"error: {visible(line)}", file=sys.stderr)
    return status
