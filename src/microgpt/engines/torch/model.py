"""The model as an nn.Module whose parameters have the reference's names.

The caller owns the parameters' memory. All parameters are in one flat tensor, laid out as in `config.shapes`, and all
gradients are in another, so that an update, a norm or a sum over processes is a single operation for all matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from microgpt.config import Config, Shapes, offsets

IGNORED = -100  # the target at padding positions
EPS = 1e-5  # as in the reference's rmsnorm
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {  # as in microgpt/activations.py
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
}


class Memory:
    """The flat parameter and gradient tensors, and views of both.

    A view's gradient accumulates in the flat gradient tensor.

    Args:
        params: The flat parameters.
        grads: The flat gradients; None if no gradients are needed.
        table: The shape of each parameter, in the order of the flat tensors.
    """

    def __init__(self, params: Tensor, grads: Tensor | None, table: Shapes) -> None:
        self.params, self.grads, self._table = params, grads, table
        self._where = offsets(table)

    def matrices(self, first: str, last: str | None = None) -> Tensor:
        """Return an autograd leaf: one matrix, or the adjacent matrices `first` to `last` (of equal width), stacked."""
        last = last or first
        where = slice(self._where[first].start, self._where[last].stop)
        columns = self._table[first][1]
        leaf = self.params[where].view(-1, columns).detach()
        if self.grads is not None:
            leaf.requires_grad_().grad = self.grads[where].view(-1, columns)
        return leaf

    def parameter(self, name: str) -> nn.Parameter:
        """Return one matrix as an nn.Parameter."""
        matrix = self.matrices(name)
        parameter = nn.Parameter(matrix.detach(), matrix.requires_grad)
        parameter.grad = matrix.grad
        return parameter


class KeyValueCache:
    """The keys and values of all positions so far, (n_layer, 2, streams, n_head, block_size, head_dim)."""

    def __init__(self, config: Config, streams: int, dtype: torch.dtype, device: torch.device) -> None:
        head_dim = config.n_embd // config.n_head
        shape = (config.n_layer, 2, streams, config.n_head, config.block_size, head_dim)
        self._numbers = torch.empty(shape, dtype=dtype, device=device)
        self.length = 0

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append one position's keys and values; return the keys and values of all positions so far.

        Args:
            layer: The layer's index.
            k: The keys, (streams, n_head, 1, head_dim).
            v: The values, with the same shape.

        Returns:
            Keys and values, each (streams, n_head, T, head_dim).
        """
        keys, values = self._numbers[layer]
        keys[:, :, self.length : self.length + 1] = k
        values[:, :, self.length : self.length + 1] = v
        return keys[:, :, : self.length + 1], values[:, :, : self.length + 1]


class Layer(nn.Module):
    """A transformer block: attention and an MLP, each with a residual connection."""

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
        # wq, wk and wv are adjacent in memory, so one multiplication replaces three
        self.attn_wqkv = memory.matrices(f"{name}attn_wq", f"{name}attn_wv")

    def forward(self, x: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Compute (B, T, n_embd) -> (B, T, n_embd); with a cache, T is 1 and the earlier positions are in the cache."""
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

    Args:
        memory: The parameters and gradients.
        config: The model's sizes and settings.
        aligned: Pad lm_head with zero rows to a multiple of this number before multiplying, and drop the extra logits.
    """

    def __init__(self, memory: Memory, config: Config, aligned: int = 1) -> None:
        super().__init__()
        self.wte, self.wpe, self.lm_head = (memory.parameter(name) for name in ("wte", "wpe", "lm_head"))
        self.layers = [Layer(memory, i, config) for i in range(config.n_layer)]
        self._more_rows = -len(self.lm_head) % aligned
        for i, layer in enumerate(self.layers):
            self.add_module(f"layer{i}", layer)

    def forward(self, tokens: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """Compute (B, T) -> logits (B, T, vocab_size); with a cache, T is 1 and the token follows the cached ones."""
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
    """Scale each position's vector to a root mean square of about 1."""
    return F.rms_norm(x, x.shape[-1:], eps=EPS)


def token_losses(model: nn.Module, tokens: Tensor, targets: Tensor) -> Tensor:
    """Return -log p of each target, (B, T) like tokens and targets; 0 where the target is IGNORED."""
    logits = model(tokens)
    found = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return found.view(targets.shape)


def loss(model: nn.Module, tokens: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the documents' losses, each summed over the positions; weights has shape (B,)."""
    return (token_losses(model, tokens, targets).sum(1) * weights).sum()
