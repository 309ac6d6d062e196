"""The command line's entry point: command dispatch, error messages and exit status."""

from __future__ import annotations

import importlib
import io
import os
import sys
import time

import microgpt
from microgpt.errors import MicrogptError
from microgpt.system.processes import processes

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
        The exit status: 0 for success, 1 for a failure, 2 for an invalid argument, 128 + the signal number for a run
        that a signal stopped (130 after Ctrl-C).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals that cannot show every character
    try:
        status = run(sys.argv[1:] if args is None else args)
        if sys.stdout:
            sys.stdout.flush()
        return status
    except (ValueError, ImportError, MemoryError) as error:  # an argument is invalid, or a package is missing
        return _fail(str(error) or NO_MEMORY, 2)  # only Python's own MemoryError has no text
    except (MicrogptError, FloatingPointError) as error:  # the request was valid
        return _fail(str(error), 1)
    except BrokenPipeError:  # the reader closed the pipe: discard the rest of the output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
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
    elif name == "--help":
        from microgpt.cli.help import page

        groups = {"Commands": [*COMMANDS.items()], "Options": [("--version", "Print the version and exit.")]}
        print(page("microgpt COMMAND [OPTIONS] [ARGUMENTS]", ABOUT, groups), end="")
    elif name in COMMANDS:
        from microgpt.cli.parser import Parser

        module = importlib.import_module(f"microgpt.cli.{name}")
        command = getattr(module, name)
        parser = Parser(name, command.__doc__, module.ARGUMENTS)
        if "--help" not in rest:
            status: int | None = command(**parser.parse(rest))
            return status or 0
        print(parser.format_help(), end="")
    else:
        from microgpt.cli.parser import no_such

        if name.startswith("-"):
            raise ValueError(no_such("option", name, ["--version", "--help"], "microgpt"))
        raise ValueError(no_such("command", name, [*COMMANDS], "microgpt"))
    return 0


def _fail(message: str, status: int) -> int:
    rank, _ = processes()
    if rank and status == 2:
        # every process finds the same error, and the first process reports it; torchrun then stops the others
        time.sleep(10)
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
