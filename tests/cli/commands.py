"""Helpers of the command tests: what a command printed, its files, and the run that the reference computes."""

from __future__ import annotations

import json
import os
import random
import re
import select
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import Config

from conftest import TINY

WORDS = ["anna", "bob", "carla", "dora", "emil", "fred", "gina", "hanna", "ida", "jan", "kim", "lea"]
SMALL = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 12"  # TINY, as options


class Result(NamedTuple):
    status: int
    out: str
    err: str


Microgpt = Callable[[str], Result]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return the bytes of every file below a folder by relative path, and None for every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def strict_json(text: str) -> Any:
    """Parse standard JSON, which has no NaN and no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def untimed(text: str) -> str:
    """Replace the parts of a log that depend on the clock."""
    return re.sub(r"\| +[\d.,]+ steps/s \| \d+:\d\d left", "| TIME", text)


class Reference:
    """A run computed with only the reference's functions: its losses, parameters and samples."""

    def __init__(self, sequences: Sequence[list[int]], tokenizer: reference.Tokenizer, config: Config) -> None:
        c = self.config = config
        self.tokenizer, self.rng = tokenizer, random.Random(c.seed)
        sequences = list(sequences)
        self.rng.shuffle(sequences)
        self.shapes = reference.shapes(len(tokenizer.symbols), c.n_embd, c.n_layer, c.block_size)
        self.state_dict = reference.init(self.shapes, self.rng, c.init_std)
        params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        m, v = [0.0] * len(params), [0.0] * len(params)
        self.num_params, self.losses, self.rates = len(params), [], []
        for step in range(c.num_steps):
            loss = self.loss(sequences[step % len(sequences)])
            loss.backward()
            self.rates.append(c.learning_rate * (1 - step / c.num_steps))
            reference.adam(params, m, v, step + 1, self.rates[-1], c.beta1, c.beta2, c.eps_adam)
            self.losses.append(loss.data)
        self.after_training = [self.sample(self.rng) for _ in range(20)]

    @classmethod
    def of_words(cls, config: Config = TINY) -> Reference:
        tokenizer = reference.Tokenizer(set("".join(WORDS)), config.bos_first)
        return cls([tokenizer.encode(word) for word in WORDS], tokenizer, config)

    def loss(self, tokens: list[int]) -> reference.Value:
        c = self.config
        return reference.loss(tokens, self.state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])

    def sample(self, rng: random.Random, temperature: float = TINY.temperature) -> str:
        c, bos = self.config, self.tokenizer.bos
        sizes = (c.n_layer, c.n_head, c.block_size)
        token_ids = reference.sample(self.state_dict, bos, rng, temperature, *sizes, ACTIVATIONS[c.activation])
        return str(self.tokenizer.decode(token_ids))

    def samples(self, n: int, seed: int = 42, temperature: float = TINY.temperature) -> list[str]:
        """Return the texts that `microgpt sample` must generate."""
        return [self.sample(random.Random(f"{seed}:{i}"), temperature) for i in range(n)]


def numbered(texts: Sequence[str]) -> str:
    return "".join(f"sample {i + 1:2d}: {text}\n" for i, text in enumerate(texts))


def read_terminal(terminal: int, again: bytes = b"") -> bytes:
    """Return what is written to a pseudoterminal until its other end is closed; close it.

    Args:
        terminal: The pseudoterminal's file descriptor.
        again: Keys that are pressed each time nothing has been written for some seconds.
    """
    output = b""
    while True:
        if again and not select.select([terminal], [], [], 5)[0]:
            os.write(terminal, again)
            continue
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # Linux raises this when the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(terminal)
    return output
