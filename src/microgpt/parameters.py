"""The roles of the model's nine parameters: what each parameter is for, and how the model uses it."""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    """A parameter's role.

    Attributes:
        meaning: The parameter's purpose, in words.
        is_lookup: Whether the model looks up one row per position instead of multiplying by the matrix.
        product: The name of the tensor that a layer computes with the matrix; empty outside the layers.
        starts_at_zero: Whether Config.zero_init initializes the matrix to zero.
    """

    meaning: str
    is_lookup: bool = False
    product: str = ""
    starts_at_zero: bool = False


PARAMETERS = {
    "wte": Parameter("token embeddings: a row for each token", is_lookup=True),
    "wpe": Parameter("position embeddings: a row for each position", is_lookup=True),
    "lm_head": Parameter("the next token's logits: a row for each token"),
    "attn_wq": Parameter("queries: what a position looks for", product="q"),
    "attn_wk": Parameter("keys: what other positions' queries match", product="k"),
    "attn_wv": Parameter("values: what a position passes on to the positions that attend to it", product="v"),
    "attn_wo": Parameter("mixes the heads' outputs", product="attn_out", starts_at_zero=True),
    "mlp_fc1": Parameter("widens the vector fourfold, before the activation", product="mlp_pre"),
    "mlp_fc2": Parameter("narrows the vector again, after the activation", product="mlp_out", starts_at_zero=True),
}
UNKNOWN = Parameter("")  # a parameter that an edited program adds


def role(name: str) -> Parameter:
    """Return the role of a parameter, given its full name, such as layer0.attn_wq."""
    return PARAMETERS.get(name.rpartition(".")[2], UNKNOWN)
