"""`microgpt plot`: plot loss curves."""

from __future__ import annotations

from pathlib import Path

from microgpt.cli import display
from microgpt.cli.options import argument, number, option

ARGUMENTS = [
    argument("RUN...", "Run folders to plot together.", name="runs", nargs="+", type=Path),
    option(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=Path("loss.svg"),
        help="The image file to write: .svg, .png or .pdf.",
    ),
    option("--smoothing", **number(int), default=50, help="Number of steps over which the plotted loss is averaged."),
]


def plot(runs: list[Path], *, output: Path, smoothing: int) -> None:
    """Plot the loss curves of one or more runs as SVG, PNG or PDF.

    This command needs the matplotlib package: pip install matplotlib.

    Examples:
      microgpt plot runs/small -o loss.svg
    """
    from microgpt.export.plot import plot_losses

    plot_losses(runs, output, smoothing)
    display.note(f"wrote {output}")
