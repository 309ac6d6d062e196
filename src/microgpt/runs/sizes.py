"""Check that a run's batches fit in memory, before anything is allocated."""

from __future__ import annotations

from microgpt.config import Config
from microgpt.data.documents import Data
from microgpt.system.memory import check_fits
from microgpt.system.processes import processes, processes_here

PER_DOCUMENT = 100  # bytes: a list of tokens, and the document's entries in the tables of a batch
PER_TOKEN = 12  # bytes: a token in a list, and in the array that the kernel reads


def check_batch_fits(data: Data, config: Config, engine: str) -> None:
    """Raise MemoryError if a batch's tokens, or the activations of a stream's window, exceed the free memory.

    The estimates are lower bounds: a document has at least two tokens, and PyTorch's activations may be on a GPU.

    Args:
        data: The training data.
        config: The settings.
        engine: The engine's name.
    """
    tokens = min(config.block_size + 1, len(data.tokens)) if data.mode == "stream" else 2
    _, world_size = processes()
    share = -(-config.batch_size // world_size) * processes_here()
    check_fits(share * (PER_DOCUMENT + PER_TOKEN * tokens), f"batch_size={config.batch_size}", "lower batch_size")
    if engine in ("native", "scalar"):
        # the inputs and outputs of each layer's matrices, and the logits, as float32
        activations = 4 * tokens * (12 * config.n_layer * config.n_embd + data.vocab_size)
        check_fits(activations, f"block_size={config.block_size}", "lower block_size, n_embd or n_layer")
