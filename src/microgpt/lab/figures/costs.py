"""The parameters, arithmetic and memory that a model of any size would need.

The model is never built. The arithmetic is the reference's: matrix products, attention scores and weighted sums. A
multiplication and an addition count as two FLOPs (Kaplan et al., 2020, arXiv 2001.08361, section 2.1, table 1).
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
BYTES_KEPT = 2  # per weight or cached value when such a model is served in bfloat16
BYTES_TRAINED = 16  # per weight in training: the weight, its gradient, m and v in float32
MAX_TOKENS = 10**15


@request
def sizes(session: Session, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Sizes:
    """Return the matrix shapes and the parameter count of a model with these sizes."""
    return table_of(session.active.program, n_embd, n_layer, block_size, vocab_size)


def table_of(program: Program, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Sizes:
    """Return the matrix shapes that the program's shapes() returns for these sizes. No matrix is created.

    Raises:
        LabError: A size is out of range, or the edited program has no shapes().
    """
    given = {"n_embd": n_embd, "n_layer": n_layer, "block_size": block_size, "vocab_size": vocab_size}
    for name, size in given.items():
        if not 1 <= size <= MAX_SIZE or (name == "n_layer" and size > MAX_LAYERS):
            limit = MAX_LAYERS if name == "n_layer" else MAX_SIZE
            raise LabError(f"{name} must be between 1 and {limit:,}, got {name}={size}")
    edited.need(program, "shapes")
    table = program.module.shapes(vocab_size, n_embd, n_layer, block_size)
    return {
        "num_params": sum(rows * columns for rows, columns in table.values()),
        "shapes": [(name, *shape) for name, shape in table.items()],
    }


@request
def budget(session: Session, n_embd: int, n_layer: int, block_size: int, vocab_size: int, tokens: int = 0) -> Budget:
    """Return the costs of a model with these sizes: parameters, arithmetic and memory.

    Args:
        session: The session.
        n_embd: The model's width.
        n_layer: The number of layers.
        block_size: The maximum context length.
        vocab_size: The number of tokens, including BOS.
        tokens: The number of training tokens.

    Returns:
        The costs. `flops_token` counts one token's forward pass with a full context, and `attention` is the part of
        `flops_token` that grows with the context. `flops_trained` counts one token's forward and backward passes; the
        backward pass costs twice as much as the forward pass. `flops_run` counts both passes for all `tokens`.
    """
    edited.unchanged(session.active, "the costs are computed for the reference", "shapes", "attention")
    if not 0 <= tokens <= MAX_TOKENS:
        raise LabError(f"tokens must be between 0 and {MAX_TOKENS:,}, got tokens={tokens}")
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
