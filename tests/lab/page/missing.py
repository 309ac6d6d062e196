"""The guess at a position if a part of the model is missing, computed from edited weights or a wrapped function."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from microgpt import reference
from microgpt.engines.base import Tokens
from microgpt.engines.program import ScalarModel
from microgpt.tracing.recorder import forward

MATRICES = {"x_attn": "attn_wo", "mlp_act": "mlp_fc2"}  # what reads a part's numbers


def without(model: ScalarModel, tokens: Tokens, part: str, t: str, i: str) -> float:
    """Return a probability if some numbers of a part, such as `layer0.x_attn[4,5,6,7]`, are not passed on."""
    layer, name, numbers = re.fullmatch(r"layer(\d+)\.(\w+)\[([\d,]+)\]", part).groups()  # type: ignore[union-attr]
    place = model.offsets[f"layer{layer}.{MATRICES[name]}"]
    _, columns = model.shapes[f"layer{layer}.{MATRICES[name]}"]
    params = array("d", model.params)
    for number in map(int, numbers.split(",")):
        for index in range(place.start + number, place.stop, columns):
            params[index] = 0.0
    return forward(tokens, replace(model, params=params))[f"pos{t}.probs"].numbers[int(i)]


def attending(
    model: ScalarModel, tokens: Tokens, scale: str | float, skip: str | int, head: str, t: str, i: str
) -> float:
    """Return a probability if a head, such as `pos3.layer0.head1`, has scaled scores or does not see one position."""
    return _attending(model.params.tobytes(), model.config, tuple(tokens), float(scale), int(skip), head, t)[int(i)]


@lru_cache(maxsize=64)
def _attending(
    params: bytes, config: Any, tokens: tuple[int, ...], scale: float, skip: int, head: str, t: str
) -> Sequence[float]:
    """Run gpt() with a wrapped attention(), which knows by counting its calls which head it computes."""
    at, layer, h = map(int, re.fullmatch(r"pos(\d+)\.layer(\d+)\.head(\d+)", head).groups())  # type: ignore[union-attr]
    weights = array("d", params)
    columns = config.n_embd
    per_layer = 12 * columns**2
    vocab_size = (len(weights) - config.n_layer * per_layer - config.block_size * columns) // (2 * columns)
    model = ScalarModel(weights, config, vocab_size)
    namespace: dict[str, Any] = {**vars(reference), "__name__": "wrapped"}
    exec(compile(model.program.text, "wrapped", "exec"), namespace)
    plain, calls = namespace["attention"], [0]
    wanted = (at * config.n_layer + layer) * config.n_head + h

    def attention(q: Any, keys: Any, values: Any) -> Any:
        if calls[0] == wanted:
            q = [x * scale for x in q] if scale != 1 else q
            keys, values = ([x for s, x in enumerate(entries) if s != skip] for entries in (keys, values))
        calls[0] += 1
        return plain(q, keys, values)

    namespace["attention"] = attention
    rest = iter(map(namespace["Value"], weights))
    state = {
        name: [[next(rest) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in model.shapes.items()
    }
    keys, values = ([[] for _ in range(config.n_layer)] for _ in range(2))
    logits: Any = ()
    for pos_id, token_id in enumerate(tokens[: int(t) + 1]):
        logits = namespace["gpt"](token_id, pos_id, keys, values, state, config.n_head)
    return [p.data for p in namespace["softmax"](logits)]


def read_out(model: ScalarModel, stream: Sequence[float], i: int) -> float:
    """Return a token's probability if lm_head read out this vector."""
    part, columns = model.offsets["lm_head"], model.config.n_embd
    rows = [model.params[at : at + columns] for at in range(part.start, part.stop, columns)]
    logits = [reference.Value(sum(w * x for w, x in zip(row, stream))) for row in rows]
    return float(reference.softmax(logits)[i].data)
