"""`microgpt export`: export a model as ONNX."""

from __future__ import annotations

from pathlib import Path

from microgpt.cli import display
from microgpt.cli.options import CHECKPOINT, RUN, option
from microgpt.cli.sample import load_model

ARGUMENTS = [
    RUN,
    option("-o", "--output", metavar="FILE", type=Path, default=Path("model.onnx"), help="The ONNX file to write."),
    option("--precision", metavar="float32|float64", default="float32", help="Precision of the exported model."),
    CHECKPOINT,
]


def export(run: Path, *, output: Path, precision: str, checkpoint: str | None) -> None:
    """Export a model as an ONNX file for programs in other languages.

    The exported model processes an entire text at once, or one token at a time
    with a cache; docs/onnx.md describes its inputs and outputs.
    This command needs the onnx package: pip install onnx.

    Examples:
      microgpt export runs/small -o model.onnx
    """
    from microgpt.export.onnx import to_onnx

    model = load_model(run, checkpoint)
    to_onnx(model, output, precision)
    display.report(f"wrote {output}: {model.num_params:,} parameters as {precision}")
