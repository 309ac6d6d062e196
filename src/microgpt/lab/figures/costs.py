"""The parameters, arithmetic and memory that a model of any size would need.

No such model is built. The arithmetic is the reference's: of its matrices, and of the scores and mixes of attention.
FLOP counts a multiplication and an addition as two (Kaplan and others, 2020, arXiv 2001.08361, section 2.1, table 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from microgpt.config import Config
from microgpt.engines.program import REFERENCE, Program
from microgpt.errors import LabError
from microgpt.flops import attention_flops, forward_flops, training_flops
from microgpt.lab.editing import edited
from microgpt.lab.requests import request

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Budget, Sizes
    from microgpt.lab.session import Session

MAX_SIZE, MAX_LAYERS = 10_000_000, 1000
BYTES_KEPT = 2  # of a number, as such models are served: bfloat16
BYTES_TRAINED = 16  # of a parameter in training: weight, gradient, m and v in float32
MAX_TOKENS = 10**15


@request
def sizes(session: Session, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Sizes:
    """How many parameters a model of other sizes has."""
    return table_of(session.active.program, n_embd, n_layer, block_size, vocab_size)


def table_of(program: Program, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Sizes:
    """The matrices that a model of these sizes would have, by the program's own table; none is made."""
    given = {"n_embd": n_embd, "n_layer": n_layer, "block_size": block_size, "vocab_size": vocab_size}
    for name, size in given.items():
        if not 1 <= size <= MAX_SIZE or (name == "n_layer" and size > MAX_LAYERS):
            limit = MAX_LAYERS if name == "n_layer" else MAX_SIZE
            raise LabError(f"{name} must be from 1 to {limit:,}, got {name}={size}")
    edited.need(program, "shapes")
    table = program.module.shapes(vocab_size, n_embd, n_layer, block_size)
    return {
        "num_params": sum(rows * columns for rows, columns in table.values()),
        "shapes": [(name, *shape) for name, shape in table.items()],
    }


@request
def budget(session: Session, n_embd: int, n_layer: int, block_size: int, vocab_size: int, tokens: int = 0) -> Budget:
    """Parameters, arithmetic and memory of a model of these sizes.

    flops_token: one token forward, with a full context before it; attention: the part of it that grows with the
    context. flops_trained: one token forward and backward, which is twice as much again; flops_run: so many tokens.
    """
    edited.unchanged(session.active, "the costs are reckoned of it", "shapes", "attention")
    if not 0 <= tokens <= MAX_TOKENS:
        raise LabError(f"tokens must be from 0 to {MAX_TOKENS:,}, got tokens={tokens}")
    size = table_of(REFERENCE, n_embd, n_layer, block_size, vocab_size)
    config = Config(n_embd=n_embd, n_head=1, n_layer=n_layer, block_size=block_size)
    forward = forward_flops(config, vocab_size)
    count = size["num_params"]
    return {
        "num_params": count,
        "flops_token": forward,
        "attention": attention_flops(config),
        "flops_trained": training_flops(config, vocab_size),
        "flops_run": 3.0 * tokens * forward,
        "bytes_kept": BYTES_KEPT * count,
        "bytes_trained": BYTES_TRAINED * count,
        "bytes_cache": BYTES_KEPT * 2 * n_layer * n_embd * block_size,  # keys and values of a full context
    }
