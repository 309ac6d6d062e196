"""`microgpt export` and `microgpt plot`: export a model as ONNX, and plot loss curves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli.options import RunArgument, number
from microgpt.runs.run import Run


def export(
    run: RunArgument,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The ONNX file to write.")] = Path(
        "model.onnx"
    ),
    precision: Annotated[
        str, typer.Option(metavar="float32|float64", help="Precision of the exported model.")
    ] = "float32",
) -> None:
    """Export a model as an ONNX file for programs in other languages.

    The exported model processes an entire text at once, or one token at a time
    with a cache; docs/onnx.md describes its inputs and outputs.
    This command needs the onnx package: pip install onnx.

    [bold]Examples[/]

      microgpt export runs/small -o model.onnx
    """
    from microgpt.export.onnx import to_onnx

    model = Run.load(run)
    to_onnx(model, output, precision)
    print(f"wrote {output}: {model.num_params:,} parameters as {precision}")


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders to plot together.")],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The image file to write: .svg, .png or .pdf.")
    ] = Path("loss.svg"),
    smoothing: Annotated[
        int, typer.Option(help="Number of steps over which the plotted loss is averaged.", **number(int))
    ] = 50,
) -> None:
    """Plot the loss curves of one or more runs as SVG, PNG or PDF.

    This command needs the matplotlib package: pip install matplotlib.

    [bold]Examples[/]

      microgpt plot runs/small -o loss.svg
    """
    from microgpt.export.plot import plot_losses

    plot_losses(runs, output, smoothing)
    print(f"wrote {output}", file=sys.stderr)
