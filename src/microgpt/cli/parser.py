"""Parse a command's arguments with argparse; every mistake becomes a one-line message."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from microgpt.cli import HELP
from microgpt.system.suggestions import suggestion


class Argument(NamedTuple):
    """An argument or an option of a command."""

    names: tuple[str, ...]
    group: str  # its heading in --help
    how: dict[str, Any]  # the keyword arguments for argparse's add_argument


class Parser(argparse.ArgumentParser):
    """The parser of one command.

    Options may appear before, between or after the arguments and cannot be abbreviated.
    """

    def __init__(self, command: str, description: str, arguments: Sequence[Argument]) -> None:
        super().__init__(
            prog=f"microgpt {command}",
            usage=f"microgpt {command} [OPTIONS]",
            description=description,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
        )
        self._negative_number_matcher = re.compile(r"-\.?\d|-inf|-nan")  # before Python 3.14, -1e-3 is not a number
        self.rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}  # of --help, by group
        everything = self.add_argument_group()  # one for all, because argparse's groups only matter to its own --help
        for names, group, how in arguments:
            action, value = everything.add_argument(*names, **how), how.get("metavar", "")
            name = f"{', '.join(action.option_strings)} {value}".strip()
            self.rows.setdefault(group, []).append((name, how["help"]))
            if not action.option_strings:
                self.usage = f"{self.usage} [{value}]" if how.get("nargs") in ("?", "*") else f"{self.usage} {value}"

    def format_help(self) -> str:
        from microgpt.cli.help import page  # only when it is shown

        return page(str(self.usage), self.description or "", self.rows)

    def parse(self, args: Sequence[str]) -> dict[str, Any]:
        """Return the values by parameter name.

        Raises:
            ValueError: An argument is invalid; the message describes the first problem.
        """
        known = [*self._option_string_actions, *HELP]
        for arg in itertools.takewhile("--".__ne__, args):
            name = arg.partition("=")[0]
            if name.startswith("--") and name not in known and " " not in name:
                raise ValueError(no_such("option", name, known, self.prog))
        try:
            values, extra = self.parse_known_intermixed_args(args)
        except argparse.ArgumentError as error:
            message = error.message.replace("ignored explicit argument", "takes no value, got")
            if message.startswith("must be"):
                raise ValueError(f"{error.argument_name} {message}") from None
            message = message.replace("expected one argument", "needs a value (with = if it begins with -)")
            self.error(f"{error.argument_name} {message}" if error.argument_name else message)
        for arg in extra:
            if arg.startswith("-") and arg != "--":
                raise ValueError(no_such("option", arg, known, self.prog))
        if extra and extra != ["--"]:
            self.error(f"unexpected argument {extra[0]!r}")
        return vars(values)

    def error(self, message: str) -> NoReturn:
        """Raise the message as an error, instead of printing it with the usage."""
        message = message.replace("the following arguments are required:", "missing")
        raise ValueError(f"{message}; see {self.prog} --help")


def no_such(kind: str, name: str, known: Sequence[str], command: str) -> str:
    """Return the message for an unknown option or command; it suggests the most similar known one."""
    meant = suggestion(name, known)
    return f"no such {kind}: {name}; " + (f"did you mean {meant}?" if meant else f"see {command} --help")
