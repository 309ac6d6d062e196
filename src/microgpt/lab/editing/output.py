"""Run a program as `python reference.py names.txt` would, and capture its output.

The program runs in its own worker. Its output is sent in pieces, about 20 times a second, up to a limit. Beyond the
limit, lines are only counted, so that endless output does not flood the page. An error that stops the program is
also reported.
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
from microgpt.lab.requests import Response

FILE, DOCUMENTS = "reference.py", "names.txt"
MAX_CHARACTERS = 300_000  # of output
PIECE_SECONDS = 0.05
MAX_FRAMES = 12  # in a traceback
MAX_LINE = 500  # characters; only this part of a line is searched for a loss
# Matches only complete numbers: "loss 1.2.3" contains no loss
LOSS = re.compile(r"\bloss:? *(-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)(?![\w.]*\d)")


class _EnoughError(BaseException):
    """The program has completed the requested number of steps."""


class Output:
    """The standard output of a program.

    Args:
        send: Called with each piece as JSON: {text, losses, more}. `losses` holds the losses found in lines such as
            `step 1 | loss 3.3`; `more` is the number of lines omitted so far.
        steps: Stop the program after it has printed this many losses; 0 for no limit.
    """

    def __init__(self, send: Callable[[str], object], steps: int) -> None:
        self.send, self.steps = send, steps
        self.text: list[str] = []
        self.losses: list[float] = []
        self.characters = self.more = self.sent = self.made = 0
        self.line = ""
        self.last = time.monotonic()

    def write(self, text: str) -> int:
        """Write text, as a file would."""
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
        """Find the losses in the complete lines."""
        *whole, line = (self.line + text).split("\n")
        self.line = line[:MAX_LINE]
        for line in whole:
            if (found := LOSS.search(line[:MAX_LINE])) and math.isfinite(loss := float(found[1])):
                self.losses.append(loss)
                self.made += 1

    def flush(self) -> None:
        """Send the output written since the last piece was sent."""
        if self.text or self.more != self.sent:
            piece = {"text": "".join(self.text), "losses": self.losses, "more": self.more}
            self.send(json.dumps(piece))
        self.text, self.losses, self.sent, self.last = [], [], self.more, time.monotonic()

    def isatty(self) -> bool:
        """Return False: the output is not a terminal."""
        return False


def run(source: str, documents: str | None, send: Callable[[str], object], steps: int = 0) -> str:
    """Run a program until it finishes or completes the requested number of steps.

    The program and its documents are written to the current folder, as are the files that the program creates.

    Args:
        source: The program's source.
        documents: The text that the program reads, with one document per line; None for the bundled names.
        send: Called with each piece of output (see Output).
        steps: Stop the program after it has printed this many losses; 0 for no limit.

    Returns:
        {error, line, seconds} as JSON. `error` is "" if the program finished without an error.
    """
    text = NAMES.read_text(encoding="utf-8") if documents is None else documents
    for name, content in ((FILE, source), (DOCUMENTS, text)):
        Path(name).write_text(content, encoding="utf-8", newline="")
    output = Output(send, steps)
    was, began = (sys.stdout, sys.stderr, sys.argv), time.monotonic()
    sys.stdout = sys.stderr = output
    sys.argv = [FILE, DOCUMENTS]
    error: Response = {"error": "", "line": 0}
    try:
        exec(compile(source, FILE, "exec", dont_inherit=True), {"__name__": "__main__", "__file__": FILE})
    except _EnoughError:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            error["error"] = f"the program exited: sys.exit({end.code!r})"
    except BaseException as caught:
        error = _report(caught)
    finally:
        sys.stdout, sys.stderr, sys.argv = was
        output.flush()
        gc.enable()  # a stopped program may have left the garbage collector disabled
        gc.collect()
        for name in (FILE, DOCUMENTS):
            Path(name).unlink(missing_ok=True)  # the program may have removed or renamed the file
    return json.dumps({**error, "seconds": time.monotonic() - began})


def _report(error: BaseException) -> Response:
    """Return a traceback with only the program's frames, and the line number of the innermost frame."""
    facts = traceback.TracebackException.from_exception(error)
    own = [frame for frame in facts.stack if frame.filename == FILE]
    lines = own[:1] + own[-MAX_FRAMES + 1 :] if len(own) > MAX_FRAMES else own
    facts.stack = traceback.StackSummary.from_list(lines)
    facts.__cause__ = facts.__context__ = None
    text = "".join(facts.format()).rstrip()
    if len(own) > len(lines):
        text = f"({len(own)} calls deep; the first call and the last {MAX_FRAMES - 1} calls are shown)\n{text}"
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == FILE else own[-1].lineno if own else 0
    return {"error": text, "line": line or 0}
