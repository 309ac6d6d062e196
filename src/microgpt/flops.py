"""The floating-point operations of a training step."""

from __future__ import annotations

from microgpt.config import Config, num_params


def flops_per_token(config: Config, vocab_size: int) -> float:
    """Of a training step, forward and backward: 6 for each parameter that multiplies, and attention (arXiv:2204.02311,
    appendix B, whose model flops these are).
    """
    looked_up = (vocab_size + config.block_size) * config.n_embd  # wte and wpe
    multiplying = num_params(config, vocab_size) - looked_up
    return 6 * multiplying + 12 * config.n_layer * config.n_embd * config.block_size
