"""Decoding with the torch engine: extend contexts one token at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from microgpt.engines.base import DIVERGED, GREEDY, Decoder, Streams, Tokens, check_tokens
from microgpt.engines.torch.model import KeyValueCache

if TYPE_CHECKING:
    from microgpt.engines.torch.engine import TorchEngine

# The minimum vocabulary size for sampling on the device; with a smaller vocabulary, Python is fast enough, and samples
# exactly as the reference does
MIN_DEVICE_SAMPLING_VOCAB = 1024


class TorchStreams(Streams):
    """Several contexts that use the engine's parameters as they were when the contexts were opened."""

    def __init__(self, engine: TorchEngine, count: int) -> None:
        if not 1 <= count <= 65536:
            raise ValueError(f"count must be between 1 and 65536, got count={count}")
        engine._upload()
        self._engine, self.count = engine, count
        self.draws = engine.vocab_size >= MIN_DEVICE_SAMPLING_VOCAB
        with engine._enough_memory(f"{count} contexts of {engine.config.block_size} tokens"):
            self._model = engine._snapshot()
            dtype = torch.bfloat16 if engine.precision == "bfloat16" else engine._dtype
            self._cache = KeyValueCache(engine.config, count, dtype, engine._torch_device)

    def feed(self, token_ids: Tokens) -> list[list[float]]:
        """Feed one token to each context and return each context's logits, with shape (count, vocab_size).

        Raises:
            ValueError: If the contexts are full, or a token id is not in the vocabulary.
        """
        rows: list[list[float]] = self._logits(token_ids).tolist()
        return rows

    @torch.inference_mode()
    def _logits(self, token_ids: Tokens) -> Tensor:
        engine = self._engine
        if len(token_ids) != self.count:
            raise ValueError(
                f"token_ids must contain one token for each of the {self.count} contexts, got {len(token_ids)}"
            )
        check_tokens(token_ids, engine.vocab_size)
        if self._cache.length == engine.config.block_size:
            raise ValueError(full_context_message(engine.config.block_size))
        ids = torch.tensor(list(token_ids), device=engine._torch_device)[:, None]
        with engine._autocast():
            logits: Tensor = self._model(ids, self._cache)[:, 0]
        return logits

    @torch.inference_mode()
    def draw(self, token_ids: Tokens, chances: Sequence[float], temperature: float, top_k: int | None) -> list[int]:
        logits = self._logits(token_ids)
        if logits.device.type == "mps":  # MPS has no float64
            logits = logits.cpu()
        logits = logits.double()
        largest = logits.max(dim=-1, keepdim=True).values  # nan if any logit is nan
        if not largest.isfinite().all():
            raise FloatingPointError(DIVERGED)
        if top_k is not None:  # among equal logits, prefer the lower id
            kept = logits.sort(dim=-1, descending=True, stable=True).indices[:, :top_k]
            logits = torch.full_like(logits, -math.inf).scatter(1, kept, logits.gather(1, kept))
        last = logits.shape[1] - 1
        if temperature < GREEDY:
            ids = torch.arange(last + 1, device=logits.device)
            return torch.where(logits == largest, ids, last).min(dim=-1).values.tolist()
        weights = ((logits - largest) / temperature).exp().cumsum(dim=-1)
        wanted = torch.tensor(list(chances), dtype=weights.dtype, device=weights.device)[:, None] * weights[:, -1:]
        return torch.searchsorted(weights, wanted, right=True).clamp(max=last)[:, 0].tolist()

    def rewind(self) -> None:
        """Clear every context."""
        self._cache.length = 0


class TorchDecoder(Decoder):
    """A single context that uses the engine's parameters as they were when the context was opened."""

    def __init__(self, engine: TorchEngine) -> None:
        self._streams = TorchStreams(engine, 1)
        self.draws = self._streams.draws

    def feed(self, token_id: int) -> list[float]:
        return self._streams.feed([token_id])[0]

    def draw(self, token_id: int, chance: float, temperature: float, top_k: int | None) -> int:
        return self._streams.draw([token_id], [chance], temperature, top_k)[0]


def full_context_message(block_size: int) -> str:
    """Return the error message for a full context."""
    return f"the context is full: it holds at most block_size={block_size} tokens; create a new decoder"
