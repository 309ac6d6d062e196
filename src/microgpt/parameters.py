"""The roles of the model's nine parameters: what each is for and how it is used."""

from __future__ import annotations

from typing import NamedTuple


class Parameter(NamedTuple):
    """The role of a parameter.

    Attributes:
        meaning: What it is for, in words.
        is_lookup: Whether the model reads one of its rows at each position instead of multiplying with it.
        product: The tensor that a layer computes by multiplying with it; empty for a parameter outside the layers.
        starts_at_zero: Whether it starts at zero if Config.zero_init is set.
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
    "attn_wk": Parameter("keys: what a position can be found by", product="k"),
    "attn_wv": Parameter("values: what a position passes on when it is found", product="v"),
    "attn_wo": Parameter("mixes the outputs of the heads", product="attn_out", starts_at_zero=True),
    "mlp_fc1": Parameter("widens fourfold, before the activation", product="mlp_pre"),
    "mlp_fc2": Parameter("narrows again, after the activation", product="mlp_out", starts_at_zero=True),
}
UNKNOWN = Parameter("")  # a parameter that an edited program adds


def role(name: str) -> Parameter:
    """Return the role of a parameter by its full name, such as layer0.attn_wq."""
    return PARAMETERS.get(name.rpartition(".")[2], UNKNOWN)
