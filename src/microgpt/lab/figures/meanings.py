"""Describe any number in words: its meaning and its kind."""

from __future__ import annotations

import re

from microgpt.parameters import PARAMETERS
from microgpt.tracing import inner_names
from microgpt.tracing import names as tensor_names

KINDS = {
    **dict.fromkeys(("q", "k", "v", "attn_out", "mlp_pre", "mlp_out", "logits"), "linear"),
    **dict.fromkeys(("emb", "resid_pre", "resid_mid", "resid_post"), "add"),
    **dict.fromkeys(("emb_norm", "attn_norm", "mlp_norm", "mean_square", "scale"), "rmsnorm"),
    **dict.fromkeys(("attn_weights", "probs"), "softmax"),
    **dict.fromkeys(("loss", "mean_loss"), "loss"),
    "attn_logits": "attention logit",
    "x_attn": "attention mix",
    "mlp_act": "relu",
}


def meaning(path: str) -> str:
    """Return the meaning of a number or tensor in words.

    Example:
        >>> meaning("pos3.layer0.attn_weights.head2[1]")
        'softmax(attn_logits)'
        >>> meaning("pos3.layer0.q[9].term4")
        'a product in the sum for pos3.layer0.q[9]'
    """
    name = _tensor(path)
    matrix = name.rpartition(".")[2]
    if "]." not in path and matrix in PARAMETERS:
        return PARAMETERS[matrix].meaning
    for pattern, meaning in _TABLE:
        if "]." not in path and pattern.fullmatch(name):
            return meaning
    owner, _, role = path.rpartition(".")
    return next(f"{words} {owner}" for pattern, words in _INSIDE if re.fullmatch(pattern, role))


def kind(path: str, op: str) -> str:
    """Return a number's kind, such as linear or softmax; for intermediate values, weights and constants, the op."""
    if op in ("parameter", "constant"):
        return op
    if is_inner(path):
        return op
    return KINDS.get(inner_names.kind(_tensor(path)), op)


def is_inner(path: str) -> bool:
    """Return whether a number is an intermediate value, which has no entry in the table of names."""
    name = _tensor(path)
    known = name.rpartition(".")[2] in PARAMETERS or any(pattern.fullmatch(name) for pattern, _ in _TABLE)
    return "]." in path or not known


def _tensor(path: str) -> str:
    """Return the name of the tensor that a path leads into."""
    return tensor_names.tensor_of(path)


_TABLE = [
    (re.compile(re.sub(r"\\{[tih]\\}", r"\\d+", re.escape(name))), meaning)
    for part in (
        tensor_names.EMBEDDING,
        tensor_names.BEFORE_HEADS,
        tensor_names.HEAD,
        tensor_names.AFTER_HEADS,
        tensor_names.OUTPUT,
        tensor_names.DOCUMENT,
    )
    for name, _, meaning in part
]
_INSIDE = (
    (r"term\d+", "a product in the sum for"),
    (r"sum\d+", "a running total of the sum for"),
    (r"total", "the sum for"),
    (r"inverse", "1 / the divisor, an intermediate result for"),
    (r"shifted", "a number plus a constant, an intermediate result for"),
    (r".*", "an intermediate result for"),
)
