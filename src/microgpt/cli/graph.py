"""`microgpt graph`: write the graph behind a number in DOT, for Graphviz."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast, get_args

from microgpt.cli import display
from microgpt.cli.options import CHECKPOINT, argument, number, option
from microgpt.cli.sample import load_model
from microgpt.lab.protocol.choices import Pretrained
from microgpt.runs.model import Model
from microgpt.runs.samples import prompt_ids
from microgpt.system.files import atomic
from microgpt.tracing.dot import DEPTH, RANKDIRS

STDOUT = Path("-")
PRETRAINED = get_args(Pretrained)

ARGUMENTS = [
    argument("WORD", "The text that the model reads; each of its numbers has a name."),
    argument(
        "RUN",
        f"A run folder, a checkpoint file or a pretrained model ({', '.join(PRETRAINED)}).",
        nargs="?",
        type=Path,
        default=Path("published"),
        shown="published",
    ),
    option(
        "--node",
        metavar="PATH",
        default="loss",
        help="The number to begin with, such as pos2.logits[3] or pos2.layer0.q[5].term4.",
    ),
    option(
        "--depth",
        **number(int, at_least=1),
        default=DEPTH,
        help="Number of operations to follow from the number back to those it was computed from.",
    ),
    option(
        "--rankdir", metavar="|".join(RANKDIRS), default=RANKDIRS[0], help="Direction of the edges: left to right, ..."
    ),
    option(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=STDOUT,
        shown="- (standard output)",
        help="The DOT file to write.",
    ),
    CHECKPOINT,
]


def graph(word: str, run: Path, *, node: str, depth: int, rankdir: str, output: Path, checkpoint: str | None) -> None:
    """Write the graph behind a number in DOT, for Graphviz.

    Each node shows a number's operation, value and gradient, each edge a
    local gradient. A number in a tensor also shows its path. The loss of a
    word depends on tens of thousands of numbers: --depth says how many
    operations to follow, and dashed nodes are those that it cuts off.

    Examples:
      microgpt graph emma --node loss -o loss.dot
      microgpt graph ann runs/small --node pos1.layer0.q[2] --depth 3
    """
    model = _model(run, checkpoint)
    tokens, most = len(prompt_ids(word, model.tokenizer, "word")), model.config.block_size
    if tokens > most:
        display.note(f"note: the model reads only the first {most} of the word's {tokens:,} tokens")
    trace = model.trace(word)
    try:
        trace.node(node)
    except ValueError as error:
        reason = str(error).partition(", got path=")[0]
        raise ValueError(f"node must name a number, got node={node!r}: {reason}") from None
    dot = trace.dot(node, depth=depth, rankdir=rankdir, title=word)
    _write(dot.text, output)
    shown = f"{dot.nodes:,} numbers"
    if dot.nodes < dot.all_nodes:
        shown = f"{dot.nodes:,} of {dot.all_nodes:,} numbers; --depth {dot.all_depth} shows all of them"
    if output != STDOUT:
        display.note(f"wrote {output}: {shown}")
    elif dot.nodes < dot.all_nodes:
        display.note(f"note: {shown}")


def _model(run: Path, checkpoint: str | None) -> Model:
    """Return a pretrained model, or the model of a run; a file or folder with the name of a pretrained one is a run."""
    if str(run) not in PRETRAINED or run.exists():
        return load_model(run, checkpoint, engine="scalar")
    from microgpt.lab.runs.opening import pretrained
    from microgpt.lab.runs.texts import Text

    if checkpoint:
        raise ValueError(f"checkpoint can only be used with a run folder, got checkpoint={checkpoint!r}: omit it")
    return pretrained(cast(Pretrained, str(run)), Text()).run


def _write(text: str, output: Path) -> None:
    if output == STDOUT:
        if hasattr(sys.stdout, "reconfigure") and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # what DOT is written in
        sys.stdout.write(text)
        return
    try:
        if output.exists() and not output.is_file():  # atomic would put a file in the place of /dev/null
            raise ValueError(f"output must be a regular file, got output={str(output)!r}: choose another file")
        with atomic(output) as file:
            file.write(text.encode())
    except OSError as error:
        raise ValueError(f"cannot write output={str(output)!r}: {error.strerror}; choose another file") from None
