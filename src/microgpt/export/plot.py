"""Plot the loss curves of runs as PNG, SVG or PDF.

This needs matplotlib, which the extra `plot` installs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from microgpt.errors import RunError
from microgpt.runs.layout import METRICS
from microgpt.runs.metrics import read_metrics
from microgpt.system.text import visible

FORMATS = (".svg", ".png", ".pdf")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe-Ito: colour-blind safe


def plot_losses(folders: Sequence[str | Path], out: str | Path, smoothing: int = 50) -> None:
    """Plot the losses of runs by step: the individual losses (pale) and their running means.

    Held-out losses, if any, are plotted as points.

    Args:
        folders: The run folders.
        out: The image file; its suffix must be one of FORMATS.
        smoothing: The number of steps in the running mean.

    Raises:
        ImportError: If matplotlib is missing.
        RunError: If a folder has no metrics.
        ValueError: If the suffix of `out` is unknown, or smoothing is less than 1.
    """
    out = Path(out)
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"output must end in one of {', '.join(FORMATS)}, got {str(out)!r}")
    if smoothing < 1:
        raise ValueError(f"smoothing must be at least 1 step, got smoothing={smoothing}")
    curves = [(Path(folder), _metrics(Path(folder))) for folder in folders]
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    labels = _labels([folder for folder, _ in curves])
    for i, (_, metrics) in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        steps = [m["step"] for m in metrics]
        losses = [m["loss"] for m in metrics]
        axes.plot(steps, losses, color=colour, alpha=0.18, linewidth=0.7)
        axes.plot(steps, _means(losses, smoothing), color=colour, linewidth=1.8, label=labels[i])
        held_out = [(m["step"], m["val_loss"]) for m in metrics if m.get("val_loss") is not None]
        if held_out:
            axes.plot(*zip(*held_out), "o", color=colour, markersize=4, label=f"{labels[i]}, held out")
    axes.set(xlabel="step", ylabel="loss (nats per token)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.2)
    for text in axes.legend(frameon=False).get_texts():
        text.set_parse_math(False)  # a dollar sign in a name must not start a formula
    figure.savefig(out, dpi=150)


def _metrics(folder: Path) -> list[dict[str, float]]:
    path = folder / METRICS
    if not path.is_file():
        raise RunError(f"{str(folder)!r} has no {METRICS}: specify a run folder (microgpt train --out)")
    metrics = read_metrics(path)
    if not metrics:
        raise RunError(f"{str(path)!r} contains no steps yet: train the run first")
    return metrics


def _labels(folders: Sequence[Path]) -> list[str]:
    """Return a label for each folder: the last components of its path, as many as make all labels distinct."""
    paths = [folder.resolve().parts for folder in folders]
    length = 1
    while len({path[-length:] for path in paths}) < len(set(paths)):
        length += 1
    names = [visible("/".join(path[-length:])) for path in paths]
    # matplotlib hides labels that start with an underscore
    return [f"./{name}" if name.startswith("_") else name for name in names]


def _means(losses: Sequence[float], window: int) -> list[float]:
    """For each loss, return the mean of the `window` losses that end with it, or of fewer losses at the start."""
    means = []
    for i in range(len(losses)):
        part = losses[max(0, i - window + 1) : i + 1]
        means.append(math.fsum(part) / len(part))
    return means
