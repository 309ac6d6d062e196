"""Verify an engine against the reference, tensor by tensor and on the published runs.

This module first compares every tensor in small training runs, then the results of the published runs. The expected
values come from a recording of reference.py itself (tracing/recorder.py) and from the published runs (golden/). The
scalar engine is checked like any other engine.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microgpt import reference, sampling
from microgpt.config import PRESETS, Config, init, offsets, shapes
from microgpt.data import download
from microgpt.engines.base import Engine, num_positions
from microgpt.engines.choose import open_engine
from microgpt.schedule import learning_rate
from microgpt.system import hardware, safetensors
from microgpt.system import text as text_tables
from microgpt.verification import golden
from microgpt.verification.cases import CASES, Case, chosen_cases
from microgpt.verification.compare import (
    PROMISES,
    Comparison,
    allowed,
    compare,
    compare_texts,
    details,
    furthest,
    merge,
)

# preset -> precision -> the difference allowed in a published run's losses and weights. The difference for `exact` is
# not 0, because exp and log differ in their last bits between systems, and these differences grow. The first version is
# more sensitive: if all values are rounded to float32, even the reference's losses change by up to 1e-3.
GOLDEN_PROMISES = {
    "final": {"exact": 1e-9, "float64": 1e-9, "float32": 1e-5},
    "first": {"exact": 1e-9, "float64": 1e-9, "float32": 5e-3},
}
UNORDERED = {"first"}  # presets whose published run sums in no fixed order, so its results are accurate only to 2e-12
SHOWN = 3  # the maximum number of tensors whose first pairs are printed

Open = Callable[["array[float]", Config, int], Engine]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """The result of checking one tensor.

    Attributes:
        case: The name of the case or of the published run.
        what: The type of tensor and the engine method that computed it.
        tensor: The comparison.
        bitwise: Whether bit-for-bit equality is possible. It is not for the first published version, which sums over
            sets in a different order each time.
    """

    case: str
    what: str
    tensor: Comparison
    bitwise: bool = True


@dataclass(frozen=True)
class Report:
    """The results of checking an engine.

    Attributes:
        facts: What was verified, and on which machine.
        checks: The checks, in order of computation within each case.
        skipped: What was not checked, and why.
    """

    facts: dict[str, str]
    checks: tuple[Check, ...]
    skipped: tuple[str, ...]

    @property
    def tensors(self) -> list[Comparison]:
        """The comparisons of all tensors."""
        return [check.tensor for check in self.checks]

    @property
    def exact(self) -> bool:
        """True if every value is bit-for-bit equal, ignoring the checks where that is impossible."""
        return all(check.tensor.exact for check in self.checks if check.bitwise)

    @property
    def passed(self) -> bool:
        """True if anything was checked and every value is within its tolerance."""
        return bool(self.checks) and all(tensor.passed for tensor in self.tensors)

    @property
    def status(self) -> int:
        """The exit status: 0, 1 if a tensor exceeds its tolerance, or 2 if nothing was compared."""
        return 0 if self.passed else 1 if self.checks else 2

    def kinds(self) -> dict[tuple[str, str], list[Comparison]]:
        """Return the comparisons, grouped by case and tensor type."""
        groups: dict[tuple[str, str], list[Comparison]] = {}
        for check in self.checks:
            groups.setdefault((check.case, check.what), []).append(check.tensor)
        return groups

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON: the facts, one entry per case and tensor type, and every tensor that differs."""
        return {
            "facts": self.facts,
            "passed": self.passed,
            "exact": self.exact,
            "checks": [
                {"case": case, **merge(what, tensors).to_dict()} for (case, what), tensors in self.kinds().items()
            ],
            "differ": [{"case": c.case, **c.tensor.to_dict()} for c in self.checks if not c.tensor.exact],
            "skipped": list(self.skipped),
        }


def verify(
    engine: str = "auto",
    precision: str | None = None,
    *,
    cases: Iterable[str] | None = None,
    names: Path | str | None = None,
    golden_steps: int | None = None,
    tolerance: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare an engine with the reference and the published runs.

    Args:
        engine: The engine's name, as for `open_engine`.
        precision: The precision, as for `open_engine`.
        cases: Names from CASES; default: all.
        names: The path of the public names.txt, the training data of the published runs. Default: the downloaded
            file; if names.txt has not been downloaded, the published runs are skipped.
        golden_steps: The number of steps to compare in each published run; 0 skips the published runs. Default: all
            steps, followed by the final weights and samples.
        tolerance: The difference allowed for values of magnitude 1 in every check, in place of the precision's own
            tolerance; 0 requires bit-for-bit equality.
        progress: Called with a description of each task before it starts.

    Raises:
        ValueError: If the engine, the precision or a case is unknown, an argument is out of range, or `names` cannot be
            read or is a different file.
        ImportError: If the engine cannot run on this machine.
    """
    chosen = chosen_cases(cases)
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be finite and at least 0, got tolerance={tolerance}")
    if golden_steps is not None and golden_steps < 0:
        raise ValueError(f"golden_steps must be at least 0, got golden_steps={golden_steps}")

    def open_it(params: array[float], config: Config, vocab_size: int) -> Engine:
        return open_engine(engine, params, config, vocab_size, precision)

    path = find_names(names)
    notify = progress or (lambda _: None)
    probe = CASES["many_heads"]
    opened = open_it(probe.params(), probe.config, probe.vocab_size)
    name = opened.name
    kind = precision or opened.precision
    if kind not in PROMISES:
        raise ValueError(f"precision must be one of {', '.join(PROMISES)}, got precision={kind!r}")
    promise = PROMISES[kind] if tolerance is None else tolerance
    checks: list[Check] = []
    for case in chosen:
        notify(f"{case.name}: {case.about}")
        checks += check_case(open_it, case, promise)
    skipped: list[str] = []
    for preset in PRESETS:
        if golden_steps == 0:
            skipped.append(f"the published run of preset {preset}: golden_steps=0")
        elif path is None:
            skipped.append(
                f"the published run of preset {preset}: the public names.txt, which this run reads, is not in"
                f" {str(download.cache_folder())!r}; download {download.MAKEMORE_URL} and pass the file's path as names"
            )
        else:
            far = GOLDEN_PROMISES[preset][kind] if tolerance is None or preset in UNORDERED else tolerance
            checks += check_golden(open_it, preset, path, golden_steps, far, notify)
    facts = {"engine": name, "precision": kind, **hardware.facts()}
    return Report(facts, tuple(checks), tuple(skipped))


def find_names(names: Path | str | None) -> Path | None:
    """Find the public names.txt.

    Args:
        names: The file's path; None for the downloaded file.

    Returns:
        The path; None if `names` is None and the file has not been downloaded.

    Raises:
        ValueError: If `names` cannot be read or is a different file.
    """
    path = download.cache_folder() / "names.txt" if names is None else Path(names)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        if names is None:
            return None
        raise ValueError(f"cannot read {str(path)!r}: {error.strerror}") from None
    if digest == download.MAKEMORE_SHA256:
        return path
    if names is None:
        return None
    raise ValueError(
        f"{str(path)!r} does not match the public names.txt (SHA-256 {digest[:12]}..., expected"
        f" {download.MAKEMORE_SHA256[:12]}...): download {download.MAKEMORE_URL}"
    )


def check_case(open_it: Open, case: Case, promise: float) -> list[Check]:
    """Compare every value that an engine exposes with the reference's value, for each method that computes it."""
    truth = case.record()
    batches = case.batches()
    table = shapes(case.config, case.vocab_size)
    parts = offsets(table)
    checks: list[Check] = []

    def check(what: str, name: str, got: Sequence[float]) -> None:
        shape, expected = truth[name]
        if len(got) != len(expected):  # if the length is wrong, every value counts as wrong
            got = [math.nan] * len(expected)
        far = allowed(name, expected, promise)
        checks.append(Check(case.name, what, compare(name, shape, expected, got, far)))

    def check_matrices(what: str, owner: str, got: array[float]) -> None:
        for name, part in parts.items():
            check(what, f"{owner}.{name}", got[part])

    def fresh() -> Engine:
        return open_it(case.params(), case.config, case.vocab_size)

    engine = fresh()
    for step, (batch, rate) in enumerate(zip(batches, case.learning_rates), start=1):
        for d, tokens in enumerate(batch):
            read = tokens[: num_positions(tokens, case.config)]
            rows = engine.logits(read)
            for t in range(len(read)):
                check("logits", f"step{step}.doc{d}.pos{t}.logits", rows[t] if t < len(rows) else ())
        check("loss", f"step{step}.loss", [engine.backward(batch)])
        check_matrices("grad", f"step{step}.grad", engine.grads)
        engine.update(rate)
        check_matrices("m", f"step{step}.m", engine.m)
        check_matrices("v", f"step{step}.v", engine.v)
        check_matrices("params", f"step{step}.params", engine.params)

    engine = fresh()
    decoder = engine.decoder()
    for t, token_id in enumerate(batches[0][0][: num_positions(batches[0][0], case.config)]):
        check("logits by decoder()", f"step1.doc0.pos{t}.logits", decoder.feed(token_id))

    if case.config.batch_size > 1:
        for tokens in batches[0]:
            engine.backward([tokens], len(batches[0]))
        check_matrices("grad, a document a call", "step1.grad", engine.grads)

    engine = fresh()
    losses = engine.train(batches, case.learning_rates)
    for step in range(1, len(batches) + 1):
        check("loss by train()", f"step{step}.loss", losses[step - 1 : step])
    check_matrices("params by train()", f"step{len(batches)}.params", engine.params)
    return checks


def check_golden(
    open_it: Open, preset: str, names: Path, steps: int | None, promise: float, notify: Progress
) -> list[Check]:
    """Repeat a published run and compare its losses; if all steps are run, also compare the final weights and samples.

    Args:
        open_it: Opens the engine.
        preset: The run's preset.
        names: The path of the public names.txt.
        steps: The number of steps; None for all.
        promise: The largest difference allowed.
        notify: Called with a description of each task before it starts.
    """
    figures = golden.figures(preset)
    config = PRESETS[preset]
    rng = random.Random(config.seed)
    docs = reference.documents(names)
    rng.shuffle(docs)
    tokenizer = reference.Tokenizer(set("".join(docs)), config.bos_first)
    vocab_size = len(tokenizer.symbols)
    engine = open_it(init(config, vocab_size, rng), config, vocab_size)
    count = min(steps or config.num_steps, config.num_steps)
    losses: list[float] = []
    for start in range(0, count, 100):
        notify(f"published run of preset {preset}: step {start} of {count}")
        some = range(start, min(start + 100, count))
        losses += engine.train(
            [[tokenizer.encode(docs[step % len(docs)])] for step in some],
            [learning_rate(step, config.num_steps, config.learning_rate) for step in some],
        )
    checks = [compare("losses", (count,), figures["losses"][:count], losses, promise)]
    if count == config.num_steps:
        if (weights := golden.FOLDER / f"{preset}.safetensors").is_file():
            expected = array("d")
            for tensor in safetensors.read(weights)[0].values():
                expected.extend(tensor.floats())
            checks.append(compare("weights", (len(expected),), expected, engine.params, promise))
        if promise <= GOLDEN_PROMISES[preset]["exact"]:  # beyond this difference, the sampled tokens may differ
            samples = [
                tokenizer.decode(
                    sampling.generate(
                        engine.decoder,
                        rng,
                        bos=tokenizer.bos,
                        block_size=config.block_size,
                        temperature=config.temperature,
                    )
                )
                for _ in figures["samples"]
            ]
            checks.append(compare_texts("samples", figures["samples"], samples))
    return [Check(f"golden {preset}", check.name, check, preset not in UNORDERED) for check in checks]


def render(report: Report) -> str:
    """Render a report as text.

    The text contains the facts, one line per case with the case's largest difference, the first tensors that differ (in
    order of computation), and the verdict.
    """
    rows = []
    for case in dict.fromkeys(check.case for check in report.checks):
        whole = merge(case, ours := [check.tensor for check in report.checks if check.case == case])
        mark = "exact" if whole.exact else "ok" if whole.passed else "WRONG"
        size = (f"{whole.numbers:,}", f"{whole.differ:,}", f"{whole.largest:.3g}", f"{whole.tolerance:.3g}")
        rows.append((case, *size, mark, "" if whole.exact else furthest(ours).name))
    header = ("case", "values", "differ", "largest", "allowed", "", "worst tensor")
    lines = [text_tables.aligned(("verify", ""), list(report.facts.items()), "ll"), ""]
    if rows:
        lines += [text_tables.aligned(header, rows, "lrrrrll"), ""]
    wrong = [check for check in report.checks if not check.tensor.passed]
    shown = wrong
    if report.facts["precision"] == "exact":
        shown = wrong or [check for check in report.checks if check.bitwise and not check.tensor.exact]
    lines += [f"{check.case}: {details(check.tensor)}" for check in shown[:SHOWN]]
    if len(shown) > SHOWN:
        lines.append(f"and {len(shown) - SHOWN} more tensors")
    lines += [f"skipped: {text}" for text in report.skipped]
    return "\n".join([*lines, verdict(report)])


def verdict(report: Report) -> str:
    """State in one line whether the engine matches the reference bit for bit, within the tolerance, or not at all."""
    if not report.checks:
        return "nothing was compared"
    if not report.passed:
        wrong = sum(not tensor.passed for tensor in report.tensors)
        return f"does NOT match the reference: {wrong} of {len(report.tensors)} tensors exceed their tolerance"
    tensors = [check.tensor for check in report.checks if check.bitwise]
    numbers, differ = sum(t.numbers for t in tensors), sum(t.differ for t in tensors)
    if report.exact:
        return f"matches the reference bit for bit: 0 of {numbers:,} values differ"
    largest = max(t.largest for t in tensors)
    return f"matches within the tolerance: {differ:,} of {numbers:,} values differ, by at most {largest:.3g}"
