"""`microgpt export` and `microgpt plot`: write an ONNX file, and draw loss curves."""

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
    output: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file.")] = Path("model.onnx"),
    precision: Annotated[str, typer.Option(metavar="float32|float64", help="Of its numbers.")] = "float32",
) -> None:
    """Write the model as an ONNX file, for programs in other languages. Needs onnx: pip install onnx.

    Its inputs and outputs are told in docs/onnx.md: a whole text at once, or token by token with a cache.

    [bold]Examples[/]

      microgpt export runs/small -o model.onnx
    """
    from microgpt.export.onnx import to_onnx

    model = Run.load(run)
    to_onnx(model, output, precision)
    print(f"wrote {output}: {model.num_params:,} parameters as {precision}")


def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, drawn together.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture: .svg, .png or .pdf.")] = Path("loss.svg"),
    smoothing: Annotated[int, typer.Option(help="Steps that the drawn mean covers.", **number(int))] = 50,
) -> None:
    """Draw the loss curves of runs. Needs matplotlib: pip install matplotlib.

    [bold]Examples[/]

      microgpt plot runs/small -o loss.svg
    """
    from microgpt.export.plot import plot_losses

    plot_losses(runs, output, smoothing)
    print(f"wrote {output}", file=sys.stderr)
