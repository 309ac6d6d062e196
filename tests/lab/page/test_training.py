"""Rule 3 of the lab: a run on the page equals the run of the command line, and scrubbing restores it bit for bit."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from microgpt.cli import main as cli
from microgpt.config import offsets, shapes
from microgpt.runs.checkpoint import load

from lab.page.browser import Visit

STEPS = 1000

# All parameters and moments of the model, each as the bits of its float
BITS = """async () => {
  const { tensors, m, v } = await lab.ask('parameters', { moments: true })
  const weights = Object.values(tensors).map((tensor) => tensor.data)
  const numbers = Float64Array.from([...weights, ...Object.values(m), ...Object.values(v)].flat())
  return Array.from(new BigUint64Array(numbers.buffer), String)
}"""


def train(visit: Visit, count: int, done: str) -> None:
    name = "Train 1000 steps" if count == 1000 else f"train {count}"
    visit.page.get_by_role("button", name=name, exact=True).click()
    visit.page.get_by_text(f"{done} of 1,000 steps are complete").wait_for()
    visit.settle()


def scrub(visit: Visit, step: int) -> None:
    visit.page.get_by_label("go back to step").fill(str(step))
    visit.page.get_by_text(f"{step:,} of 1,000 steps are complete").wait_for()
    visit.settle()


def test_a_run_on_the_page_equals_the_run_of_the_command_line(visit: Visit, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert cli.main(["train", "names", "--val-fraction", "0.1", "--out", str(folder), "--num-steps", str(STEPS)]) == 0
    native = [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    state = load(folder / "model.safetensors")

    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.get_by_role("button", name="use random weights").click()
    visit.settle()
    train(visit, STEPS, "1,000")
    [run] = [run for run in visit.ask("runs")["runs"] if run["active"]]
    assert len(run["losses"]) == len(native) == STEPS
    assert max(abs(a - b) for a, b in zip(run["losses"], native)) < 1e-9
    response = visit.ask("parameters", moments=True)
    table = shapes(state.config, len(state.symbols))
    for name, part in offsets(table).items():
        for shown, native in [(response["tensors"][name]["data"], state.params), (response["m"][name], state.m)]:
            assert all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(shown, native[part])), name


def test_scrubbing_restores_the_weights_bit_for_bit(visit: Visit) -> None:
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.get_by_role("button", name="use random weights").click()
    visit.settle()
    bits: dict[int, Any] = {0: visit.page.evaluate(BITS)}
    for count, step in ((1, 1), (10, 11), (100, 111), (10, 121)):
        train(visit, count, str(step))
        bits[step] = visit.page.evaluate(BITS)
    for step in (11, 0, 111, 1, 121):
        scrub(visit, step)
        assert visit.page.evaluate(BITS) == bits[step], step
    # training from there makes another run with the same numbers
    scrub(visit, 111)
    train(visit, 10, "121")
    assert visit.page.evaluate(BITS) == bits[121]
