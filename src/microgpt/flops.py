"""Count floating-point operations; a multiply-add counts as two.

After Kaplan and others, 2020 (arXiv:2001.08361, section 2.1, table 1), and the model flops of arXiv:2204.02311,
appendix B. Looking up a row of wte or wpe costs nothing.
"""

from __future__ import annotations

from microgpt.config import Config, num_params, shapes
from microgpt.parameters import role


def attention_flops(config: Config) -> int:
    """The forward flops of a token that depend on its context, here a full one."""
    # a product for each score, and one for each weighted value
    return 2 * 2 * config.n_layer * config.n_embd * config.block_size


def forward_flops(config: Config, vocab_size: int) -> int:
    """The flops of one token forward, with a full context before it."""
    table = shapes(config, vocab_size)
    multiplied = sum(rows * columns for name, (rows, columns) in table.items() if not role(name).is_lookup)
    return 2 * multiplied + attention_flops(config)


def training_flops(config: Config, vocab_size: int) -> int:
    """The flops of one token forward and backward: backward takes twice as many as forward."""
    return 3 * forward_flops(config, vocab_size)


def estimated_step_flops(config: Config, vocab_size: int) -> int:
    """The usual rule of thumb for a training step: 6 x parameters x tokens."""
    return 6 * num_params(config, vocab_size) * config.batch_size * config.block_size
