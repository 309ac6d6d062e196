"""The model as an nn.Module whose parameters have the reference's names.

The caller owns the memory that they live in. All parameters lie in one flat tensor, in the layout of `config.shapes`,
and all gradients in another: an update, a norm or a sum over processes is then one operation, whatever the number of
matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from microgpt.config import Config, Shapes, offsets

IGNORED = -100  # the target of a position that is padding
EPS = 1e-5  # the reference's, in rmsnorm
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {  # as in microgpt/activations.py
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
}


class Memory:
    """The flat tensors, and views into them. A view's gradient is added up where the flat gradient lies; without one
    there is none.
    """

    def __init__(self, params: Tensor, grads: Tensor | None, table: Shapes) -> None:
        self.params, self.grads, self._table = params, grads, table
        self._where = offsets(table)

    def matrices(self, first: str, last: str | None = None) -> Tensor:
        """A leaf of autograd: a matrix, or neighbours of the same width from `first` to `last`, one below another."""
        last = last or first
        where = slice(self._where[first].start, self._where[last].stop)
        columns = self._table[first][1]
        leaf = self.params[where].view(-1, columns).detach()
        if self.grads is not None:
            leaf.requires_grad_().grad = self.grads[where].view(-1, columns)
        return leaf

    def parameter(self, name: str) -> nn.Parameter:
        """One matrix under its own name."""
        matrix = self.matrices(name)
        parameter = nn.Parameter(matrix.detach(), matrix.requires_grad)
        parameter.grad = matrix.grad
        return parameter


class KeyValueCache:
    """The keys and values of every layer, (n_layer, 2, streams, n_head, block_size, head_dim), as far as they are."""

    def __init__(self, config: Config, streams: int, dtype: torch.dtype, device: torch.device) -> None:
        head_dim = config.n_embd // config.n_head
        shape = (config.n_layer, 2, streams, config.n_head, config.block_size, head_dim)
        self._numbers = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Of one more position, (streams, n_head, 1, head_dim) -> of all so far, (streams, n_head, T, head_dim)."""
        keys, values = self._numbers[layer]
        keys[:, :, self.length : self.length + 1] = k
        values[:, :, self.length : self.length + 1] = v
        return keys[:, :, : self.length + 1], values[:, :, : self.length + 1]


class Layer(nn.Module):
    """An attention and an MLP, each added to what it read."""

    def __init__(self, memory: Memory, index: int, config: Config) -> None:
        super().__init__()
        name = f"layer{index}."
        self.index, self.n_head = index, config.n_head
        self.activation = ACTIVATIONS[config.activation]
        self.attn_wq = memory.parameter(f"{name}attn_wq")
        self.attn_wk = memory.parameter(f"{name}attn_wk")
        self.attn_wv = memory.parameter(f"{name}attn_wv")
        self.attn_wo = memory.parameter(f"{name}attn_wo")
        self.mlp_fc1 = memory.parameter(f"{name}mlp_fc1")
        self.mlp_fc2 = memory.parameter(f"{name}mlp_fc2")
        # the first three are neighbours in memory: one multiplication instead of three
        self.attn_wqkv = memory.matrices(f"{name}attn_wq", f"{name}attn_wv")

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T, n_embd) -> (B, T, n_embd). With a cache T is 1, and the past is in there."""
        B, T, C = x.shape
        qkv = F.linear(rmsnorm(x), self.attn_wqkv)
        # each (B, n_head, T, head_dim)
        q, k, v = qkv.view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.add(self.index, k, v)
        x_attn = F.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
        x = x + F.linear(x_attn.transpose(1, 2).reshape(B, T, C), self.attn_wo)
        return x + F.linear(self.activation(F.linear(rmsnorm(x), self.mlp_fc1)), self.mlp_fc2)


class Model(nn.Module):
    """The reference's gpt(), for many documents and all their positions at once.

    aligned: lm_head is multiplied as if its rows were a multiple of this; what the rows of zeros give is cut off.
    """

    def __init__(self, memory: Memory, config: Config, aligned: int = 1) -> None:
        super().__init__()
        self.wte, self.wpe, self.lm_head = (memory.parameter(name) for name in ("wte", "wpe", "lm_head"))
        self.layers = [Layer(memory, i, config) for i in range(config.n_layer)]
        self._more_rows = -len(self.lm_head) % aligned
        for i, layer in enumerate(self.layers):
            self.add_module(f"layer{i}", layer)

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """(B, T) -> logits, (B, T, vocab_size). With a cache T is 1: the position after those in the cache."""
        first = cache.length if cache else 0
        x = rmsnorm(F.embedding(tokens, self.wte) + self.wpe[first : first + tokens.shape[1]])
        for layer in self.layers:
            x = layer(x, cache)
        if cache:
            cache.length += 1
        if self._more_rows:
            return F.linear(x, F.pad(self.lm_head, (0, 0, 0, self._more_rows)))[..., : len(self.lm_head)]
        return F.linear(x, self.lm_head)


def rmsnorm(x: Tensor) -> Tensor:
    """x at a common loudness, each position for itself."""
    return F.rms_norm(x, x.shape[-1:], eps=EPS)


def surprises(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """-log p of each target, (B, T) as tokens and targets; 0 where that is IGNORED."""
    logits = model(tokens)
    found = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return found.view(targets.shape)


def loss(model: nn.Module, tokens: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The documents' losses, each the sum over its positions times its weight, (B,), added up."""
    return (surprises(model, tokens, targets).sum(1) * weights).sum()
