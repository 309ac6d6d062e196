"""Count floating-point operations; a multiply-add counts as two.

The counts follow Kaplan et al., 2020 (arXiv:2001.08361, section 2.1, table 1), and the model flops of arXiv:2204.02311,
appendix B. Looking up a row of wte or wpe counts as 0.
"""

from __future__ import annotations

from microgpt.config import Config, num_params, shapes
from microgpt.parameters import role


def attention_flops(config: Config) -> int:
    """Return a token's forward flops that depend on the length of its context, for a full context."""
    # one dot product per score, and one product per weighted value
    return 2 * 2 * config.n_layer * config.n_embd * config.block_size


def forward_flops(config: Config, vocab_size: int) -> int:
    """Return the flops of one token's forward pass, with a full context before it."""
    table = shapes(config, vocab_size)
    multiplied = sum(rows * columns for name, (rows, columns) in table.items() if not role(name).is_lookup)
    return 2 * multiplied + attention_flops(config)


def training_flops(config: Config, vocab_size: int) -> int:
    """Return the flops of one token's forward and backward pass; backward takes twice as many as forward."""
    return 3 * forward_flops(config, vocab_size)


def estimated_step_flops(config: Config, vocab_size: int) -> int:
    """Return the usual estimate for a training step: 6 x weights x tokens."""
    return 6 * num_params(config, vocab_size) * config.batch_size * config.block_size
