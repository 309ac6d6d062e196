"""The workloads of the benchmark: training, generation, forward passes, whole calls and processes.

A workload prepares work outside the timed part. `Workload.prepare` returns the function to time, which can be called
once, and the number of tokens that it processes.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from microgpt.config import Config
from microgpt.data.documents import Data
from microgpt.engines.base import Engine, num_positions
from microgpt.errors import MicrogptError
from microgpt.runs import samples
from microgpt.runs.run import Run
from microgpt.schedule import learning_rate

SEED = 42
CONTEXT = 8  # tokens fed to each context, if the documents are names: about the length of a name
NUM_STEPS = 10_000  # steps in a training run; a workload that needs more steps starts a new run
COMPARED = 20  # the number of losses that are compared, from the start of a run
NUM_SAMPLES = 1000  # texts in one call of Run.sample

Work = tuple[Callable[[], object], int]


class Workload(ABC):
    """Something to time.

    Attributes:
        tokens: The number of tokens, on average, in each repetition of the work.
        results: Numbers that every engine should compute; empty if no numbers are compared.
    """

    max_count: ClassVar[int]  # the maximum number of repetitions in a round
    tokens: float
    results: list[float]

    @abstractmethod
    def prepare(self, count: int) -> Work:
        """Return a single-use function that repeats the work `count` times, and its total number of tokens."""


class Training(Workload):
    """Steps of a training run of NUM_STEPS steps, which restarts when complete.

    Args:
        open_it: Opens the engine.
        documents: The token ids of each document.
    """

    max_count = NUM_STEPS

    def __init__(self, open_it: Callable[[], Engine], documents: Sequence[list[int]]) -> None:
        self._open, self._documents = open_it, documents
        self._engine = open_it()
        self.results = []  # the first losses
        lengths = [num_positions(tokens, self._engine.config) for tokens in documents]
        self.tokens = statistics.fmean(lengths) * self._engine.config.batch_size

    def prepare(self, count: int) -> Work:
        config = self._engine.config
        first = self._engine.step
        if first + count > config.num_steps:
            self._engine, first = self._open(), 0
        size, documents = config.batch_size, self._documents
        steps = range(first, first + count)
        batches = [[documents[i % len(documents)] for i in range(s * size, s * size + size)] for s in steps]
        rates = [learning_rate(step, config.num_steps, config.learning_rate) for step in steps]

        def work() -> None:
            losses = self._engine.train(batches, rates)
            if len(self.results) == first:
                self.results.extend(losses[: COMPARED - first])

        return work, sum(num_positions(tokens, config) for batch in batches for tokens in batch)


class Generating(Workload):
    """Texts that a new model generates, batch_size at a time, as Run.sample generates them: tokens are drawn.

    More than one text at a time requires an engine that supports `streams`. Texts that are generated together have a
    seed each; a single text continues one random stream.

    Args:
        open_it: Opens the engine.
        data: The data whose tokenizer the model uses.
    """

    max_count = 1000

    def __init__(self, open_it: Callable[[], Engine], data: Data) -> None:
        self._engine, self._tokenizer = open_it(), data.tokenizer
        self.tokens = float(self._engine.config.batch_size)  # one token for each text
        self.results = []

    def prepare(self, count: int) -> Work:
        config = self._engine.config
        # a single random stream continues from text to text, so one call can generate them all
        calls = [count] if config.batch_size == 1 else [config.batch_size] * count
        seed = None if config.batch_size == 1 else SEED

        def generate() -> list[str]:
            texts: list[str] = []
            rng = random.Random(SEED)
            for n in calls:
                texts += samples.generate(
                    self._engine,
                    self._tokenizer,
                    rng,
                    n,
                    temperature=config.temperature,
                    top_k=None,
                    prompt="",
                    seed=seed,
                    first=len(texts),
                    max_new_tokens=None,
                    slide=False,
                )
            return texts

        # every text was ended by BOS or by the end of the context
        return generate, sum(min(len(self._tokenizer.encode(text)) - 1, config.block_size) for text in generate())


class Forward(Workload):
    """Forward passes for batch_size streams at once, one token at a time; texts are fed in, and nothing is drawn.

    More than one stream requires an engine that supports `streams`.

    Args:
        open_it: Opens the engine.
        documents: The token ids of each document.
        context: The number of tokens fed to each context.
    """

    max_count = 1000  # limited because each context takes memory

    def __init__(self, open_it: Callable[[], Engine], documents: Sequence[list[int]], context: int = CONTEXT) -> None:
        engine: Any = open_it()
        size = engine.config.batch_size
        text = [token_id for tokens in documents for token_id in tokens[:-1]]
        self._open = engine.decoder if size == 1 else lambda: engine.streams(size)
        self._steps: list[Any] = text if size == 1 else [text[i : i + size] for i in range(0, len(text) - size, size)]
        self._context = context
        self.tokens = float(size)
        feed = self._open().feed
        logits = [feed(step) for step in self._steps[:CONTEXT]]
        rows = logits if size == 1 else [row for stream in logits for row in stream]
        self.results = [float(logit) for row in rows for logit in row]  # the first context's logits

    def prepare(self, count: int) -> Work:
        contexts = []
        for first in range(0, count, self._context):
            steps = [self._steps[i % len(self._steps)] for i in range(first, min(first + self._context, count))]
            contexts.append((self._open().feed, steps))

        def work() -> None:
            for feed, steps in contexts:
                for step in steps:
                    feed(step)

        return work, count * int(self.tokens)


class Sampling(Workload):
    """One call of Run.sample for NUM_SAMPLES texts of an untrained model.

    Args:
        data: The training data.
        config: The model.
        seeded: Whether each sample has its own random stream.
        **options: The engine and its options, as in Run.begin.
    """

    max_count = 1

    def __init__(self, data: Data, config: Config, seeded: bool, **options: Any) -> None:
        self._run, self._seed = Run.begin(data, config, **options), SEED if seeded else None
        texts = self._run.sample(NUM_SAMPLES, seed=self._seed)
        self.tokens = float(sum(min(len(text) + 1, config.block_size) for text in texts))
        self.results = []

    def prepare(self, count: int) -> Work:
        return lambda: self._run.sample(NUM_SAMPLES, seed=self._seed), int(self.tokens)


class Process(Workload):
    """A whole process of `microgpt train --quiet`: starting Python, training, saving the run, and printing 20 samples.

    Args:
        steps: The number of training steps.
        tokens: The average number of tokens in a step.
        arguments: Other arguments of `microgpt train`.
    """

    max_count = 1

    def __init__(self, steps: int, tokens: float, arguments: Sequence[str]) -> None:
        self._arguments = ["train", "names", "--quiet", "--num-steps", str(steps), *arguments]
        self.tokens = steps * tokens
        self.results = []

    def prepare(self, count: int) -> Work:
        return self._run, round(self.tokens)

    def _run(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            out = ["--out", str(Path(folder) / "run")]
            command = [sys.executable, "-m", "microgpt", *self._arguments, *out]
            done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
        if done.returncode:
            reason = (done.stderr.strip() or "no message").splitlines()[-1]
            raise MicrogptError(f"`microgpt {' '.join(self._arguments)}` failed: {reason}")
