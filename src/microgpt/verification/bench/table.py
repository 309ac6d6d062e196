"""The benchmark's result as text: a table for a terminal, or in Markdown."""

from __future__ import annotations

import textwrap

from microgpt.system import text as text_tables
from microgpt.verification.bench.ladder import CALLS, PROCESSES, Ladder
from microgpt.verification.bench.workloads import COMPARED, NUM_SAMPLES

HEADER = ("work", "n_embd", "batch", "engine", "precision", "time", "spread", "tokens/s", "× reference", "difference")
SIDES = "lrrllrrrrr"


def _time(microseconds: float) -> str:
    """Return a duration with its unit, in three or four digits."""
    for unit, factor in (("µs", 1.0), ("ms", 1e3), ("s", 1e6)):
        value = microseconds / factor
        if value < 1000 or unit == "s":
            break
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 100 else 2}f} {unit}"


def rows(ladder: Ladder) -> list[list[str]]:
    """Return the rows of a ladder's table, whose columns are listed in HEADER."""

    def number(x: float | None, form: str) -> str:
        return "-" if x is None else format(x, form)

    return [
        [
            rung.work,
            str(rung.n_embd),
            str(rung.batch_size),
            rung.engine,
            rung.precision,
            _time(rung.microseconds),
            number(rung.spread, ".0%"),
            number(rung.tokens_per_second, ",.0f"),
            number(rung.times_reference, ",.0f" if (rung.times_reference or 0) >= 10 else ".1f"),
            number(rung.largest_difference, ".2g"),
        ]
        for rung in ladder.rungs
    ]


WORK_MEANINGS = {
    "train": "a training step of average length",
    "generate": "a token for every text in the batch, drawn as Run.sample draws it",
    "forward": "a forward pass for every stream in the batch; no token is drawn",
    **{
        work: f"a call of Run.sample for {NUM_SAMPLES} texts" + ", each with its own random stream" * seeded
        for work, seeded in CALLS.items()
    },
    **{
        work: f"all of `microgpt train --quiet` with {steps:,} steps, from the start of the process to its end"
        for work, steps in PROCESSES.items()
    },
}
LEGEND = f"""\
time: the time that one repetition of the work takes when called from Python; the median over the rounds. spread: the
rounds' interquartile range, divided by the median. × reference: tokens per second, divided by the scalar engine's at
batch 1. difference: the largest difference from the scalar engine's results (or an exact engine's, if the scalar engine
was not measured); train compares as many of the first {COMPARED} losses as both engines computed, and forward compares
the first context's logits."""
WIDTH = 80  # columns of the ladder in a terminal


def render(ladder: Ladder, markdown: bool = False) -> str:
    """Render a ladder as text: the facts, the table, the meaning of the columns, the notes, and what was left out."""
    facts = [f"{name}: {text}" for name, text in ladder.facts.items()]
    works = dict.fromkeys(rung.work for rung in ladder.rungs)
    legend = [*(f"{work}: {WORK_MEANINGS[work]}" for work in works), LEGEND]
    rest = [*(f"note: {text}" for text in ladder.notes), *(f"left out: {text}" for text in ladder.skipped)]
    if markdown:
        table = text_tables.markdown(HEADER, rows(ladder), SIDES)
        return "\n".join([*(f"- {line}" for line in facts), "", table, "", *(f"- {line}" for line in (*legend, *rest))])
    filled = [textwrap.fill(text, WIDTH, subsequent_indent="  ") for text in (*facts, "", *legend, *rest)]
    return "\n".join([*filled[: len(facts)], "", _narrow(ladder), *filled[len(facts) :]])


def _narrow(ladder: Ladder) -> str:
    """Render the table for a terminal: a section for each workload, and one column for engine and precision."""
    lines = text_tables.aligned(
        ("n_embd", "batch", "engine", *HEADER[5:8], "× ref.", HEADER[9]),
        [
            (n_embd, batch, f"{engine} {precision}", *rest)
            for _, n_embd, batch, engine, precision, *rest in rows(ladder)
        ],
        "rrlrrrrr",
    ).splitlines()
    table = [lines[0]]
    for rung, line, before in zip(ladder.rungs, lines[1:], (None, *ladder.rungs)):
        if before is None or before.work != rung.work:
            table.append(rung.work)
        table.append(line)
    return "\n".join(table)
