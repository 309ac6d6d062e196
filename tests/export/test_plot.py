"""The picture of loss curves: its formats, its numbers, and the inputs that are refused."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt.errors import RunError
from microgpt.export.plot import plot_losses

MAGIC = {".png": b"\x89PNG\r\n\x1a\n", ".pdf": b"%PDF-", ".svg": b"<?xml "}


@pytest.fixture
def matplotlib() -> Any:
    return pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install matplotlib")


def write_run(folder: Path, losses: list[float], held_out: dict[int, float] | None = None) -> Path:
    """Write a run folder that has only metrics."""
    folder.mkdir(parents=True)
    lines = [
        {"step": step, "loss": loss, **({"val_loss": held_out[step]} if held_out and step in held_out else {})}
        for step, loss in enumerate(losses, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "small", [3.5, 3.0, 2.0, 2.5, 1.5], held_out={2: 3.1, 5: 2.2})


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, matplotlib: Any) -> list[Any]:
    """The matplotlib figures, collected instead of written to files."""
    from matplotlib.figure import Figure

    drawn: list[Any] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    return drawn


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


@pytest.mark.usefixtures("matplotlib")
@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf", ".PNG"])
def test_the_ending_of_the_output_chooses_its_format(run: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"loss{ending}"
    plot_losses([run], out)
    assert out.read_bytes().startswith(MAGIC[ending.lower()])


@pytest.mark.usefixtures("matplotlib")
def test_the_picture_names_its_runs_and_its_axes(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "elsewhere" / "large", [3.0, 2.0])
    plot_losses([run, other], tmp_path / "loss.svg")
    # matplotlib draws letters as outlines, and writes the text in a comment
    texts = re.findall("<!-- (.*?) -->", (tmp_path / "loss.svg").read_text(encoding="utf-8"))
    assert [text for text in texts if not re.fullmatch(r"[\d.]+", text)] == [
        "step",
        "loss (nats per token)",
        "small",
        "small, held out",
        "large",
    ]


def test_a_run_has_a_measured_line_and_a_mean_over_the_last_steps(run: Path, figures: list[Any]) -> None:
    plot_losses([run], "loss.svg", smoothing=2)
    [axes] = figures[0].axes
    measured, smoothed, held_out = axes.lines
    assert list(measured.get_xdata()) == list(smoothed.get_xdata()) == [1, 2, 3, 4, 5]
    assert list(measured.get_ydata()) == [3.5, 3.0, 2.0, 2.5, 1.5]
    assert list(smoothed.get_ydata()) == [3.5, 3.25, 2.5, 2.25, 2.0]
    assert (list(held_out.get_xdata()), list(held_out.get_ydata())) == ([2, 5], [3.1, 2.2])


def test_the_mean_agrees_with_numpy(tmp_path: Path, figures: list[Any]) -> None:
    np = pytest.importorskip("numpy")
    losses = np.random.default_rng(0).random(200)
    plot_losses([write_run(tmp_path / "long", losses.tolist())], "loss.svg")
    drawn = figures[0].axes[0].lines[1].get_ydata()
    expected = [losses[max(0, i - 49) : i + 1].mean() for i in range(200)]
    assert np.allclose(drawn, expected, rtol=1e-14, atol=0)


def test_runs_are_compared_in_one_picture_each_in_its_own_colour(tmp_path: Path, figures: list[Any]) -> None:
    runs = [write_run(tmp_path / name, [3.0, 3.0 - i]) for i, name in enumerate("abcdef")]
    plot_losses(runs, "loss.svg")
    lines = figures[0].axes[0].lines
    assert [line.get_ydata()[1] for line in lines[::2]] == [3.0, 2.0, 1.0, 0.0, -1.0, -2.0]
    assert len({line.get_color() for line in lines}) == 6
    assert [line.get_color() for line in lines[::2]] == [line.get_color() for line in lines[1::2]]


def legend(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_runs_of_the_same_name_have_different_labels(tmp_path: Path, figures: list[Any]) -> None:
    runs = [write_run(tmp_path / parent / "1", [3.0]) for parent in ("before", "after")]
    plot_losses(runs, "loss.svg")
    assert legend(figures[0]) == ["before/1", "after/1"]


def test_the_legend_shows_as_much_of_a_path_as_distinguishes_the_runs(
    tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("a/x/1", "b/x/1", "b/y/1"):
        write_run(tmp_path / path, [3.0])
    monkeypatch.chdir(tmp_path / "a" / "x" / "1")
    plot_losses([".", tmp_path / "b/x/1", "../../../b/y/1"], "loss.svg")
    assert legend(figures[0]) == ["a/x/1", "b/x/1", "b/y/1"]
    plot_losses([".", "../1"], "loss.svg")  # one run, twice
    assert legend(figures[1]) == ["1", "1"]


@pytest.mark.parametrize("name", ["_draft", r"a$\b$c", "run 2"])
def test_a_run_of_any_name_is_in_the_legend(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, matplotlib: Any
) -> None:
    """matplotlib omits labels that begin with _, and reads the text between two $ as a formula."""
    from matplotlib.figure import Figure

    drawn, savefig = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (drawn.append(self), savefig(self, *args, **kw)))
    plot_losses([write_run(tmp_path / name, [3.0, 2.0])], tmp_path / "loss.svg")
    [label] = legend(drawn[0])
    assert label.replace(r"\$", "$").endswith(name)


@pytest.mark.usefixtures("matplotlib")
def test_the_current_folder_is_also_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    plot_losses(["."], "loss.svg")
    texts = re.findall("<!-- (.*?) -->", Path("loss.svg").read_text(encoding="utf-8"))
    assert "small" in texts
    assert "small, held out" in texts


@pytest.mark.usefixtures("matplotlib")
def test_a_line_that_a_killed_process_left_incomplete_is_not_drawn(tmp_path: Path, figures: list[Any]) -> None:
    run = write_run(tmp_path / "killed", [3.0, 2.0])
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    plot_losses([run], "loss.svg")
    assert list(figures[0].axes[0].lines[0].get_ydata()) == [3.0, 2.0]


# --- Refusals, each before anything is written


@pytest.mark.parametrize("name", ["loss.xyz", "loss", "svg", "loss.svg.gz"])
def test_an_unknown_ending_is_refused(run: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    with pytest.raises(ValueError, match=exactly(f"output must end in one of .svg, .png, .pdf, got {str(out)!r}")):
        plot_losses([run], out)
    assert not out.exists()


@pytest.mark.parametrize("smoothing", [0, -3])
def test_a_mean_of_no_steps_is_refused(run: Path, tmp_path: Path, smoothing: int) -> None:
    with pytest.raises(ValueError, match=exactly(f"smoothing must be at least 1 step, got smoothing={smoothing}")):
        plot_losses([run], tmp_path / "loss.svg", smoothing)
    assert not (tmp_path / "loss.svg").exists()


def test_a_folder_without_metrics_is_refused(run: Path, tmp_path: Path) -> None:
    message = f"{str(tmp_path)!r} has no metrics.jsonl: specify a run folder (microgpt train --out)"
    with pytest.raises(RunError, match=exactly(message)):
        plot_losses([run, tmp_path], tmp_path / "loss.svg")
    assert not (tmp_path / "loss.svg").exists()


def test_a_run_without_steps_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "new", [])
    message = f"{str(run / 'metrics.jsonl')!r} contains no steps yet: train the run first"
    with pytest.raises(RunError, match=exactly(message)):
        plot_losses([run], tmp_path / "loss.svg")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"step": 1, "loss": 3.0}\nnot json\n{"step": 3, "loss": 2.0}\n', 2),
        (b'{"epoch": 1, "accuracy": 0.5}\n', 1),
        (b'{"step": 1, "loss": 3.0}\n5\n', 2),
        (b"\xff\xfe\n", None),
        (b"[" * 100_000 + b"\n", 1),
    ],
    ids=["not json", "another program's", "a number", "not UTF-8", "deeply nested"],
)
def test_damaged_or_foreign_metrics_are_refused(tmp_path: Path, content: bytes, line: int | None) -> None:
    run = write_run(tmp_path / "strange", [])
    (run / "metrics.jsonl").write_bytes(content)
    with pytest.raises(RunError) as caught:
        plot_losses([run], tmp_path / "loss.svg")
    assert str(run / "metrics.jsonl") in str(caught.value)
    if line:
        assert f"line {line}" in str(caught.value)


def test_without_matplotlib_the_message_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=exactly("plot needs matplotlib: pip install matplotlib")):
        plot_losses([run], tmp_path / "loss.svg")
    assert not (tmp_path / "loss.svg").exists()
