"""A GPT in plain PyTorch, written like nanoGPT: the baseline for the torch engine's speed.

With `published`, the model and its training use nanoGPT's components (LayerNorm, GELU, one embedding for input and
output, AdamW, gradients clipped to norm 1). Without it, they use our components (rmsnorm, ReLU, Adam), so that only the
implementation differs. Both variants compute q, k and v as one product and use scaled_dot_product_attention.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from microgpt.config import Config


class Block(nn.Module):
    """A layer: attention and MLP."""

    def __init__(self, config: Config, published: bool) -> None:
        super().__init__()
        n = config.n_embd
        self.n_head = config.n_head
        self.norms = nn.ModuleList(norm(n, published) for _ in range(2))
        self.attention, self.project = nn.Linear(n, 3 * n, bias=False), nn.Linear(n, n, bias=False)
        self.widen, self.narrow = nn.Linear(n, 4 * n, bias=False), nn.Linear(4 * n, n, bias=False)
        self.activation = nn.GELU() if published else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        parts = self.attention(self.norms[0](x)).split(C, dim=2)
        q, k, v = (part.view(B, T, self.n_head, C // self.n_head).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).contiguous().view(B, T, C))
        return x + self.narrow(self.activation(self.widen(self.norms[1](x))))


class GPT(nn.Module):
    """The model, which maps tokens and targets, (B, T) each, to the mean loss."""

    def __init__(self, config: Config, vocab_size: int, published: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, config.n_embd)
        self.positions = nn.Embedding(config.block_size, config.n_embd)
        self.blocks = nn.ModuleList(Block(config, published) for _ in range(config.n_layer))
        self.norm = norm(config.n_embd, published)
        self.head = nn.Linear(config.n_embd, vocab_size, bias=False)
        if published:
            self.tokens.weight = self.head.weight
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def norm(n: int, published: bool) -> nn.Module:
    return nn.LayerNorm(n, bias=False) if published else nn.RMSNorm(n, eps=1e-5, elementwise_affine=False)


def trainer(text: Tensor, config: Config, vocab_size: int, published: bool, compile: bool) -> Callable[[int], None]:
    """Return a function that runs n training steps on random windows of `text`, like nanoGPT's loop."""
    model = GPT(config, vocab_size, published)
    run = torch.compile(model) if compile else model
    betas = (config.beta1, config.beta2)
    make = torch.optim.AdamW if published else torch.optim.Adam
    optimizer = make(model.parameters(), lr=config.learning_rate, betas=betas)
    T, B = config.block_size, config.batch_size

    def batch() -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(text) - T, (B,))
        return torch.stack([text[i : i + T] for i in starts]), torch.stack([text[i + 1 : i + T + 1] for i in starts])

    def steps(count: int) -> None:
        for _ in range(count):
            loss = run(*batch())
            loss.backward()
            if published:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss.item()

    return steps
