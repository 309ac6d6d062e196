"""Count floating-point operations; a multiply-add counts as two.

The counts follow Kaplan et al., 2020 (arXiv:2001.08361, section 2.1, table 1), and the definition of model flops in
arXiv:2204.02311, appendix B. Looking up a row of wte or wpe counts as zero operations.
"""

from __future__ import annotations

from microgpt.config import Config, num_params, shapes
from microgpt.parameters import role


def attention_flops(config: Config) -> int:
    """Return the forward flops per token that depend on the context length, for a full context."""
    # one dot product per score, and one product per weighted value
    return 2 * 2 * config.n_layer * config.n_embd * config.block_size


def forward_flops(config: Config, vocab_size: int) -> int:
    """Return the forward flops per token, with a full context."""
    table = shapes(config, vocab_size)
    multiplied = sum(rows * columns for name, (rows, columns) in table.items() if not role(name).is_lookup)
    return 2 * multiplied + attention_flops(config)


def training_flops(config: Config, vocab_size: int) -> int:
    """Return the forward and backward flops per token; the backward pass takes twice as many as the forward pass."""
    return 3 * forward_flops(config, vocab_size)


def estimated_step_flops(config: Config, vocab_size: int) -> int:
    """Return the usual estimate of a training step's flops: 6 x weights x tokens."""
    return 6 * num_params(config, vocab_size) * config.batch_size * config.block_size
