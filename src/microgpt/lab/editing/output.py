"""Run a program as `python reference.py names.txt` would, and capture its output.

It runs in a worker of its own, and how it ends is reported too. What is printed goes out in pieces, a few times a
second, up to a limit: beyond it lines are only counted, so that a program that prints without end drowns nobody.
"""

from __future__ import annotations

import gc
import json
import math
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from microgpt.data.sources import NAMES
from microgpt.lab.requests import Answer

FILE, DOCUMENTS = "reference.py", "names.txt"
MAX_CHARACTERS = 300_000  # of output
PIECE_SECONDS = 0.05
MAX_FRAMES = 12  # of a traceback that are shown
MAX_LINE = 500  # characters of a line in which a loss is looked for
# a number and no more than that: none is read from "loss 1.2.3"
LOSS = re.compile(r"\bloss:? *(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)(?![\w.]*\d)")


class _EnoughError(BaseException):
    """As many steps are made as were asked for."""


class Output:
    """Where a program prints to. send: takes a piece as JSON: {text, losses, more}.

    losses: that the lines tell, as `step 1 | loss 3.3`; more: lines that are left out so far.
    """

    def __init__(self, send: Callable[[str], object], steps: int) -> None:
        self.send, self.steps = send, steps
        self.text: list[str] = []
        self.losses: list[float] = []
        self.characters = self.more = self.told = self.made = 0
        self.line = ""
        self.last = time.monotonic()

    def write(self, text: str) -> int:
        """As a file's."""
        self._read(text)
        if self.characters < MAX_CHARACTERS:
            self.text.append(text[: MAX_CHARACTERS - self.characters])
            self.characters += len(text)
        else:
            self.more += text.count("\n")
        if time.monotonic() - self.last > PIECE_SECONDS:
            self.flush()
        if self.steps and self.made >= self.steps:
            raise _EnoughError
        return len(text)

    def _read(self, text: str) -> None:
        """The losses in lines that are complete."""
        *whole, line = (self.line + text).split("\n")
        self.line = line[:MAX_LINE]
        for line in whole:
            if (found := LOSS.search(line[:MAX_LINE])) and math.isfinite(loss := float(found[1])):
                self.losses.append(loss)
                self.made += 1

    def flush(self) -> None:
        """Send what has gathered."""
        if self.text or self.more != self.told:
            piece = {"text": "".join(self.text), "losses": self.losses, "more": self.more}
            self.send(json.dumps(piece))
        self.text, self.losses, self.told, self.last = [], [], self.more, time.monotonic()

    def isatty(self) -> bool:
        """No."""
        return False


def run(source: str, documents: str | None, send: Callable[[str], object], steps: int = 0) -> str:
    """Run the program over documents (text, one a line; None: the bundled names); gives {error, line, seconds} as JSON.

    steps: how many losses may be printed until it is stopped; 0: it runs to its end. error: empty where it ended well.
    The files are written to the current folder, as a program's own are.
    """
    text = NAMES.read_text(encoding="utf-8") if documents is None else documents
    for name, content in ((FILE, source), (DOCUMENTS, text)):
        Path(name).write_text(content, encoding="utf-8", newline="")
    output = Output(send, steps)
    was, began = (sys.stdout, sys.stderr, sys.argv), time.monotonic()
    sys.stdout = sys.stderr = output
    sys.argv = [FILE, DOCUMENTS]
    error: Answer = {"error": "", "line": 0}
    try:
        exec(compile(source, FILE, "exec", dont_inherit=True), {"__name__": "__main__", "__file__": FILE})
    except _EnoughError:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            error["error"] = f"the program ended itself: sys.exit({end.code!r})"
    except BaseException as caught:
        error = told(caught)
    finally:
        sys.stdout, sys.stderr, sys.argv = was
        output.flush()
        gc.enable()  # a program that was stopped may have left it off
        gc.collect()
        for name in (FILE, DOCUMENTS):
            Path(name).unlink(missing_ok=True)  # a program may remove or rename its own
    return json.dumps({**error, "seconds": time.monotonic() - began})


def told(error: BaseException) -> Answer:
    """The traceback as far as it is the program's own, and the line that it ends in."""
    facts = traceback.TracebackException.from_exception(error)
    own = [frame for frame in facts.stack if frame.filename == FILE]
    lines = own[:1] + own[-MAX_FRAMES + 1 :] if len(own) > MAX_FRAMES else own
    facts.stack = traceback.StackSummary.from_list(lines)
    facts.__cause__ = facts.__context__ = None
    text = "".join(facts.format()).rstrip()
    if len(own) > len(lines):
        text = f"({len(own)} calls deep: the first and the last {MAX_FRAMES - 1} are shown)\n{text}"
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == FILE else own[-1].lineno if own else 0
    return {"error": text, "line": line or 0}
