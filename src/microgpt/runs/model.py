"""A model with its data and its random stream, and what can be done with it without training it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from microgpt import evaluation, training
from microgpt.data.documents import Data
from microgpt.data.prepared import Working
from microgpt.data.sources import Source
from microgpt.data.split import SINGLY
from microgpt.engines.base import Engine, num_positions
from microgpt.engines.choose import open_engine
from microgpt.engines.program import REFERENCE, Program
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import DataError
from microgpt.flops import attention_flops, forward_flops
from microgpt.runs import samples
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.evaluate import evaluate, with_progress
from microgpt.runs.samples import Sample
from microgpt.runs.training_data import split_note
from microgpt.system.memory import check_fits
from microgpt.system.text import html

if TYPE_CHECKING:
    from microgpt.tracing.trace import Trace

NODE_BYTES = 200  # the least memory of a number in a trace: the node, its numbers, and its place in a list
MEASURED_TOKENS = 200_000  # the final held-out loss is measured on at most about this many tokens


class Model:
    """A model with its data and its random stream. Runs are models that can also be trained.

    Attributes:
        config: The settings.
        provenance: Where the training data comes from, and how the run reads it.
        tokenizer: The tokenizer.
        num_params: The number of weights in the model.
        engine: The engine, which holds the weights and Adam's moments.
        rng: The run's random stream.
    """

    def __init__(
        self,
        state: Checkpoint,
        find_data: Callable[[], Data],
        engine: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        program: Program = REFERENCE,
        **options: Any,
    ) -> None:
        self.config = state.config
        self.provenance = state.provenance
        self.tokenizer = state.tokenizer()
        self.num_params = len(state.params)
        self.engine: Engine
        if program is REFERENCE:
            vocab_size, preferred = len(state.symbols), state.provenance.precision
            self.engine = open_engine(
                engine, state.params, state.config, vocab_size, precision, threads, preferred, **options
            )
            if precision:
                self.provenance = replace(state.provenance, precision=self.engine.precision)
        else:  # only Python can run an edited program
            self.engine = ScalarEngine(state.params, state.config, len(state.symbols), program)
        if engine != "torch" and (threads or 1) > self.config.batch_size:
            raise ValueError(
                f"threads must be at most batch_size={self.config.batch_size}, got threads={threads}: a batch's"
                " documents are divided among the threads"
            )
        training.check_share(self.config.batch_size, self.engine.world_size)
        self.engine.m[:], self.engine.v[:] = state.m, state.v
        self.engine.step = state.step
        self.rng = random.Random()
        self.rng.setstate(state.rng_state)
        self._find_data = find_data

    @cached_property
    def data(self) -> Data:
        """The training data; raises DataError if the data is missing or differs from the run's original data."""
        return self._find_data()

    @cached_property
    def missing_data(self) -> str:
        """The reason the training data is unavailable; empty if it is available."""
        try:
            _ = self.data
            return ""
        except DataError as error:
            return str(error)

    @cached_property
    def _order(self) -> tuple[Sequence[int], Sequence[int]]:
        rng = random.Random(self.config.seed)
        return self.data.order(self.config.seed, self.provenance.val_fraction or 0.0, rng, self._rule)

    @property
    def _rule(self) -> str:
        return self.provenance.split or SINGLY

    @property
    def split_note(self) -> str:
        """A remark on the split for readers of the held-out loss; see training_data.split_note."""
        return split_note(self.data, self._rule, *self._order)

    @property
    def order(self) -> Sequence[int]:
        """The indices of the training sequences; training cycles through them in this order."""
        return self._order[0]

    @property
    def held_out(self) -> Sequence[int]:
        """The indices of the held-out sequences, which training does not read."""
        return self._order[1]

    @property
    def step(self) -> int:
        """The number of training steps completed."""
        return self.engine.step

    @cached_property
    def measured(self) -> Sequence[int]:
        """The held-out sequences that the final held-out loss is measured on: all, up to MEASURED_TOKENS tokens."""
        size = self.config.block_size
        return evaluation.drawn(self.held_out, self._positions, size, MEASURED_TOKENS, self.config.seed)

    def _positions(self, i: int) -> int:
        return num_positions(self.data.sequence(i, self.config.block_size + 1), self.config)

    def score(
        self, indices: Sequence[int], data: Data | None = None, progress: Working | None = None
    ) -> evaluation.Score:
        """Return the model's score on the given sequences.

        Args:
            indices: The indices of the sequences.
            data: Data that contains the sequences, encoded with the run's tokenizer; the default is the training data.
            progress: Called to report progress.

        Returns:
            The score.
        """
        reported = with_progress(indices, "Reading documents", len(indices), progress)
        limited = partial((data or self.data).sequence, limit=self.config.block_size + 1)
        return evaluation.score(self.engine, map(limited, reported))

    def evaluate(
        self,
        source: Source | None = None,
        *,
        limit: int | None = None,
        num_samples: int = 1000,
        seed: int | None = None,
        progress: Working | None = None,
    ) -> evaluation.Evaluation:
        """Compare the model's loss with unigram and bigram baselines, and count how many of its samples are new.

        If the training data is unavailable, there are no baselines, and the number of new samples is unknown.

        Args:
            source: The text to measure the loss on; the default is the held-out split, or all of the training data if
                nothing is held out.
            limit: The maximum number of documents to read, evenly spaced throughout the text; 0 reads all of them. The
                default is `measured` for the held-out split, and evaluate.LIMIT documents of any other text.
            num_samples: The number of samples to generate.
            seed: The random seed for the samples; the default is the config's seed.
            progress: Called to report progress.

        Returns:
            The measurements.

        Raises:
            DataError: The text cannot be used.
        """
        return evaluate(self, source, limit, num_samples, self.config.seed if seed is None else seed, progress)

    def trace(self, text: str, *, backward: bool = True, events: bool = False) -> Trace:
        """Record the reference's loss() and backward() for a text, with the run's weights.

        Args:
            text: The text; what is beyond block_size is not read.
            backward: Whether to run backward(). If false, every gradient is 0.0.
            events: Whether to also record the program's steps.

        Returns:
            The recording, in which every number has a name; see tracing.trace.

        Raises:
            ValueError: The text contains a character that the model does not know.
            MemoryError: The recording does not fit in memory.

        Example:
            >>> from microgpt import Config, Run
            >>> run = Run.begin(["ada", "grace"], Config(n_embd=4, n_head=2, block_size=4))
            >>> run.trace("ada").tensor("pos0.probs").shape
            (7,)
        """
        from microgpt.tracing.trace import trace

        token_ids = [self.tokenizer.bos, *samples.prompt_ids(text, self.tokenizer, "text"), self.tokenizer.bos]
        vocab_size, positions = self.engine.vocab_size, num_positions(token_ids, self.config)
        multiplied = forward_flops(self.config, vocab_size) - attention_flops(self.config)  # at each position
        nodes = self.num_params + positions * multiplied
        check_fits(nodes * NODE_BYTES, f"the graph of {positions} positions", "use a shorter text or a smaller model")
        return trace(token_ids, self.engine.params, self.config, vocab_size, backward=backward, events=events)

    def sample(
        self,
        n: int = 1,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        prompt: str = "",
        seed: int | None = None,
        first: int = 0,
        max_new_tokens: int | None = None,
        slide: bool = False,
        stop: Sequence[str] = (),
    ) -> list[str]:
        """Generate new texts, each starting with the prompt.

        Args:
            n: The number of texts.
            temperature: The sampling temperature; 0 always picks the most likely token. The default is the config's.
            top_k: Sample only from the top_k most likely tokens; None samples from all tokens.
            top_p: Of these, sample only from the fewest whose probabilities add up to at least top_p (nucleus
                sampling); None samples from all of them.
            prompt: The text that each sample starts with.
            seed: The random seed. Sample i is drawn with `random.Random(f"{seed}:{i}")`, so that every engine
                generates the same texts. Without a seed, sampling continues the run's random stream.
            first: The index i of the first sample.
            max_new_tokens: The maximum number of tokens to generate per text; the default is no limit, or
                10 * block_size with `slide`.
            slide: Whether to continue when the context is full; see sampling.generate.
            stop: Texts before which a sample ends, wherever one first appears after the prompt.

        Returns:
            The texts.

        Raises:
            ValueError: An option is invalid.
        """
        how = self._how(temperature, top_k=top_k, top_p=top_p, prompt=prompt, max_new_tokens=max_new_tokens)
        tools = self.engine, self.tokenizer, self.rng
        return samples.generate(*tools, n, seed=seed, first=first, slide=slide, stop=stop, **how)

    def grow(
        self,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        prompt: str = "",
        seed: int | None = None,
        first: int = 0,
        max_new_tokens: int | None = None,
        slide: bool = False,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Generate one text piece by piece: the prompt, then whole characters as soon as the model has chosen them.

        The pieces together are the text that `sample` returns for the same options.

        Args:
            temperature: As in `sample`.
            top_k: As in `sample`.
            top_p: As in `sample`.
            prompt: As in `sample`.
            seed: As in `sample`.
            first: The sample's index.
            max_new_tokens: As in `sample`.
            slide: As in `sample`.
            stop: As in `sample`.

        Returns:
            An iterator over the pieces.

        Raises:
            ValueError: An option is invalid.
        """
        how = self._how(temperature, top_k=top_k, top_p=top_p, prompt=prompt, max_new_tokens=max_new_tokens)
        tools = self.engine, self.tokenizer, self.rng
        return samples.grow(*tools, seed=seed, first=first, slide=slide, stop=stop, **how)

    def _how(self, temperature: float | None, **options: Any) -> dict[str, Any]:
        """Return the options of a sample with those that the run itself determines."""
        start = samples.prompt_ids(self.provenance.begins or "", self.tokenizer, "begins")
        return {
            "start": start,
            "temperature": self.config.temperature if temperature is None else temperature,
            **options,
        }

    def sample_batches(
        self, n: int = 1, *, seed: int | None = None, new_only: bool = False, first: int = 0, **options: Any
    ) -> Iterator[list[Sample]]:
        """Generate samples in batches and look up each sample in the training data.

        Args:
            n: The number of samples.
            seed: The random seed for the samples; the default is the config's seed.
            new_only: Whether to yield only samples that are not in the training data.
            first: The index of the first sample.
            **options: Other options for `sample`.

        Yields:
            The samples, in batches.

        Raises:
            DataError: new_only is set, but the training data is unavailable or hardly any samples are new.
        """
        data = None if self.missing_data and not new_only else self.data
        generate = partial(self.sample, seed=self.config.seed if seed is None else seed, **options)
        yield from samples.mark_copies(generate, data, n, new_only, first)

    def measure(self, progress: Working | None = None) -> evaluation.Score:
        """Return the model's score on the held-out sequences in `measured`; the error is evaluation.total's."""
        return self.score(self.measured, progress=progress)

    def _repr_html_(self) -> str:
        facts = {
            "data": self.provenance.source or "documents in memory",
            "step": f"{self.step:,} of {self.config.num_steps:,}",
            "parameters": f"{self.num_params:,}",
            "vocabulary": f"{self.engine.vocab_size:,}",
            "engine": f"{self.engine.name}, {self.engine.precision}",
        }
        return html(("run", ""), [*facts.items()])
