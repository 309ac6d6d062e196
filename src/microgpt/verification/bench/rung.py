"""The measurements of one engine, at one precision, for one workload and one model size."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from microgpt.verification.bench.workloads import Workload
from microgpt.verification.compare import for_json


@dataclass
class Rung:
    """The measurements of one engine at one precision, for one workload and one model size.

    Attributes:
        engine: The engine's name.
        precision: The engine's precision.
        work: One of ladder.WORKS.
        n_embd: The model's size.
        batch_size: Documents per training step, or texts or streams that are computed together.
        task: The workload that is timed.
        count: The number of repetitions of the work in a round.
        seconds: The duration of each round.
        tokens: The number of tokens in each round.
        times_reference: The speed divided by the reference's speed, both in tokens per second.
        largest_difference: The largest difference between this rung's results and the expected results.
        compared_with: The name of the rung that supplied the expected results.
    """

    engine: str
    precision: str
    work: str
    n_embd: int
    batch_size: int
    task: Workload
    count: int = 1
    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    times_reference: float | None = None
    largest_difference: float | None = None
    compared_with: str | None = None

    @property
    def name(self) -> str:
        """The engine and its precision."""
        return f"{self.engine} {self.precision}"

    def time(self, count: int) -> tuple[float, int]:
        """Repeat the work `count` times; return the elapsed seconds and the number of tokens."""
        work, tokens = self.task.prepare(count)
        began = time.perf_counter()
        work()
        return time.perf_counter() - began, tokens

    def warm_up(self, seconds: float) -> None:
        """Set `count` so that a round takes about `seconds`."""
        while (taken := self.time(self.count)[0]) < seconds / 8 and self.count * 4 <= self.task.max_count:
            self.count *= 4
        self.count = max(1, min(self.task.max_count, round(self.count * seconds / max(taken, 1e-9))))

    def round(self) -> None:
        """Run and time one more round."""
        seconds, tokens = self.time(self.count)
        self.seconds.append(seconds)
        self.tokens.append(tokens)

    @property
    def pace(self) -> list[float]:
        """The time per token in each round, in seconds."""
        return [seconds / tokens for seconds, tokens in zip(self.seconds, self.tokens)]

    @property
    def tokens_per_second(self) -> float:
        """Tokens per second: the median over the rounds."""
        return 1 / statistics.median(self.pace)

    @property
    def microseconds(self) -> float:
        """The duration of one repetition of the work at the median speed, in microseconds.

        This assumes that a training step has the average length, because a slow rung's rounds contain few documents,
        which may happen to be short or long.
        """
        return 1e6 * self.task.tokens / self.tokens_per_second

    @property
    def spread(self) -> float:
        """The spread of the rounds: the interquartile range divided by the median."""
        low, median, high = statistics.quantiles(self.pace, n=4)
        return (high - low) / median

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {
            "work": self.work,
            "n_embd": self.n_embd,
            "batch_size": self.batch_size,
            "engine": self.engine,
            "precision": self.precision,
            "microseconds": self.microseconds,
            "spread": self.spread,
            "rounds": len(self.seconds),
            "count": self.count,
            "tokens_per_second": self.tokens_per_second,
            "times_reference": self.times_reference,
            "largest_difference": None if self.largest_difference is None else for_json(self.largest_difference),
            "compared_with": self.compared_with,
        }
