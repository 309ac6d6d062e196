"""The kernel's binding: its C functions, their argument types, and typed calls with Python buffers.

Only this module describes the functions and their arguments. Its tables duplicate kernel/api.h, and a test compares the
two. library.py (ctypes) and wasm.py (WebAssembly) turn the tables into functions that accept Python values. The value
types are:

    handle              a net or a decoder: an address that only the kernel can use, or 0 if out of memory
    int, int64, double  a number
    settings            a sequence with the values of SETTINGS; the kernel gets a pointer to the struct
    documents           (tokens, lengths), each an array('i'): all documents, concatenated, and each document's length
    ints, doubles       an array('i') or array('d') that the kernel reads, or None where api.h allows NULL
    written             an array('d') or array('i') that the kernel writes to
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

SETTINGS = {
    **dict.fromkeys(("n_embd", "n_head", "n_layer", "block_size", "vocab_size", "activation"), "int"),
    **dict.fromkeys(("beta1", "beta2", "eps_adam", "weight_decay", "clip"), "double"),
    "threads": "int",
}

# The fields of struct Kernel that follow `name`, in order -> (result, *arguments)
FUNCTIONS = {
    "open": ("handle", "settings"),
    "close": ("void", "handle"),
    "load": ("void", "handle", "doubles", "doubles", "doubles"),
    "store": ("void", "handle", "written", "written", "written"),
    "backward": ("int", "handle", "written", "documents", "int", "double", "written"),
    "train": ("int", "handle", "documents", "ints", "doubles", "int", "int64", "int", "double", "written"),
    "clip": ("double", "handle", "written", "double"),
    "update": ("void", "handle", "written", "written", "written", "written", "int64", "int64", "double"),
    "decoder": ("handle", "handle", "int"),
    "decoder_close": ("void", "handle"),
    "feed": ("void", "handle", "ints", "written"),
    "rewind": ("void", "handle"),
    "draw": ("int", "handle", "ints", "doubles", "int", "double", "int", "written"),
    "generate": (
        *("int", "handle", "ints", "int", "int", "int", "int", "doubles", "int", "double", "int", "written", "written"),
    ),
    "losses": ("int", "handle", "documents", "int", "double", "written"),
}


class Kernel:
    """The kernel for one precision; its functions take Python buffers.

    Attributes:
        functions: An object with one callable attribute for each entry in FUNCTIONS.
    """

    def __init__(self, functions: Any) -> None:
        self.functions = functions

    def open(self, sizes: Sequence[int], optimizer: Sequence[float], threads: int) -> int:
        """Open a net.

        Args:
            sizes: n_embd, n_head, n_layer, block_size, vocab_size, and the activation's index.
            optimizer: beta1, beta2, eps_adam, weight_decay, clip.
            threads: The number of threads that training may use.

        Returns:
            A handle, or 0 if out of memory.
        """
        return self.functions.open((*sizes, *optimizer, threads)) or 0

    def close(self, net: int) -> None:
        self.functions.close(net)

    def load(self, net: int, params: array[float], m: array[float] | None, v: array[float] | None) -> None:
        """Copy the parameters, and the moments if given, into the net."""
        self.functions.load(net, params, m, v)

    def store(self, net: int, params: array[float], m: array[float], v: array[float]) -> None:
        """Copy the net's parameters and moments into these buffers."""
        self.functions.store(net, params, m, v)

    def backward(
        self, net: int, grads: array[float], tokens: array[int], lengths: array[int], weight: float
    ) -> float | None:
        """Add a batch's gradient to grads and compute the batch's loss.

        Args:
            net: The net's handle.
            grads: The buffer to which the gradient is added.
            tokens: The tokens of all documents, concatenated.
            lengths: Each document's length.
            weight: The factor by which each document's loss is multiplied.

        Returns:
            The loss, or None if out of memory.
        """
        loss = array("d", [0.0])
        done = self.functions.backward(net, grads, (tokens, lengths), len(lengths), weight, loss)
        return loss[0] if done else None

    def train(
        self,
        net: int,
        tokens: array[int],
        lengths: array[int],
        batch_sizes: array[int],
        learning_rates: array[float],
        part: int,
        step: int,
        seconds: float,
    ) -> array[float] | None:
        """Train for as many steps as fit into `seconds`, but at least one.

        Args:
            net: The net's handle.
            tokens: The tokens of all documents, concatenated.
            lengths: Each document's length.
            batch_sizes: The number of documents in each step.
            learning_rates: The learning rate of each step.
            part: The number of documents whose losses are added before they are weighted; 0 means the entire batch.
            step: The number of steps already completed.
            seconds: The time limit.

        Returns:
            The losses of the steps completed, or None if out of memory.
        """
        steps = len(learning_rates)
        losses = array("d", bytes(8 * steps))
        documents = (tokens, lengths)
        done = self.functions.train(net, documents, batch_sizes, learning_rates, part, step, steps, seconds, losses)
        return losses[:done] if done >= 0 else None

    def clip(self, net: int, grads: array[float], max_norm: float) -> float | None:
        """Scale grads down to a norm of at most max_norm; return the norm before clipping, or None if out of memory."""
        norm: float = self.functions.clip(net, grads, max_norm)
        return None if norm < 0 else norm

    def update(
        self,
        net: int,
        params: array[float],
        grads: array[float],
        m: array[float],
        v: array[float],
        step: int,
        learning_rate: float,
    ) -> None:
        """Take Adam step number `step` (counting from 1) on these buffers, then clear grads."""
        self.functions.update(net, params, grads, m, v, len(params), step, learning_rate)

    def decoder(self, net: int, streams: int) -> int:
        """Open empty contexts that use a copy of the net's parameters; return a handle, or 0 if out of memory."""
        return self.functions.decoder(net, streams) or 0

    def decoder_close(self, decoder: int) -> None:
        self.functions.decoder_close(decoder)

    def feed(self, decoder: int, token_ids: array[int], logits: array[float]) -> None:
        """Feed one token to each context; write each context's logits, (streams, vocab_size), to `logits`."""
        self.functions.feed(decoder, token_ids, logits)

    def rewind(self, decoder: int) -> None:
        """Clear every context."""
        self.functions.rewind(decoder)

    def draw(
        self, decoder: int, token_ids: array[int], chances: array[float], scale: float, top_k: int
    ) -> array[int] | None:
        """Feed one token to each context, and choose the next tokens of the first contexts.

        Args:
            decoder: The handle of the contexts.
            token_ids: A token for each context.
            chances: A number in [0, 1) for each context whose next token is chosen.
            scale: 1 / temperature, or 0 to choose the likeliest token.
            top_k: The number of tokens to choose from, or 0 for all tokens.

        Returns:
            The chosen tokens, or None if the logits are not finite.
        """
        chosen = array("i", bytes(4 * len(chances)))
        done = self.functions.draw(decoder, token_ids, chances, len(chances), scale, top_k, chosen)
        return chosen if done else None

    def generate(
        self,
        decoder: int,
        prompt: array[int],
        end: int,
        chances: array[float],
        documents: int,
        limit: int,
        in_turn: bool,
        scale: float,
        top_k: int,
    ) -> tuple[array[int], array[int], int] | None:
        """Generate documents in empty contexts, as many at the same time as there are contexts.

        Args:
            decoder: The handle of the contexts.
            prompt: The tokens that all documents begin with.
            end: The token that ends a document.
            chances: `limit` numbers in [0, 1) for each document; empty if scale is 0.
            documents: The number of documents.
            limit: The maximum number of new tokens in a document.
            in_turn: Whether a document continues with the chances that the previous document did not use. This
                requires a single context.
            scale: As in `draw`.
            top_k: As in `draw`.

        Returns:
            The documents' tokens, (documents, limit); the number of tokens in each document; and the number of chances
            used. None if the logits are not finite.
        """
        tokens, lengths = array("i", bytes(4 * documents * limit)), array("i", bytes(4 * documents))
        used = self.functions.generate(
            decoder, prompt, len(prompt), end, documents, limit, chances, in_turn, scale, top_k, tokens, lengths
        )
        return None if used < 0 else (tokens, lengths, used)

    def losses(self, net: int, tokens: array[int], lengths: array[int], seconds: float) -> array[float] | None:
        """Compute the losses of as many documents as fit into `seconds`, but at least one; the net does not change.

        Args:
            net: The net's handle.
            tokens: The tokens of all documents, concatenated.
            lengths: Each document's length.
            seconds: The time limit.

        Returns:
            The losses of the documents completed, each summed over its predicted tokens, in nats; or None if out of
            memory.
        """
        losses = array("d", bytes(8 * len(lengths)))
        done = self.functions.losses(net, (tokens, lengths), len(lengths), seconds, losses)
        return losses[:done] if done >= 0 else None
