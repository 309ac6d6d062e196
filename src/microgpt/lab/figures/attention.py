"""Attention as the textbook's masked matrix, and softmax at several scales.

The matrix is compared with the program's growing lists.
"""

from __future__ import annotations

import math
from functools import reduce
from itertools import product
from operator import add
from typing import TYPE_CHECKING

from microgpt.errors import LabError
from microgpt.lab.editing.edited import need
from microgpt.lab.requests import model_request, request
from microgpt.lab.runs.texts import label, read

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import Attention, Softmax
    from microgpt.lab.session import Session


@model_request
def attention(session: Session, word: str) -> Attention:
    """Compare textbook attention (all positions at once, with a mask) with the program's attention over growing lists.

    Both computations use the same q and k, and the program's own linear() and softmax(). Row t of the textbook matrix
    combines q at position t with the keys of all positions; scores for positions after t are masked with -inf. The
    program's growing lists contain no later positions, so the program needs no mask.
    """
    run, tokens = session.active, session.tokens(word)
    recorded = session.forward(tokens)
    c, ids, module = run.config, read(tokens, run.config), run.program.module
    need(run.program, "linear", "softmax")
    count, head_dim = len(ids), c.n_embd // c.n_head
    logits: list[list[list[list[float]]]] = []
    weights: list[list[list[list[float]]]] = []
    difference, value = 0.0, module.Value
    for i in range(c.n_layer):
        logits.append([])
        weights.append([])
        q, k = ([recorded[f"pos{t}.layer{i}.{name}"].numbers for t in range(count)] for name in "qk")
        for h in range(c.n_head):
            head = slice(h * head_dim, (h + 1) * head_dim)
            keys = [[value(x) for x in k[t][head]] for t in range(count)]
            logits[i].append([])
            weights[i].append([])
            for t in range(count):
                scores = module.linear([value(x) for x in q[t][head]], keys)
                scaled = [score / head_dim**0.5 for score in scores]
                masked = [score if s <= t else value(-math.inf) for s, score in enumerate(scaled)]
                logits[i][h].append([score.data for score in masked])
                weights[i][h].append([weight.data for weight in module.softmax(masked)])
                owner = f"pos{t}.layer{i}"
                for name, ours in (("attn_logits", logits), ("attn_weights", weights)):
                    made = recorded[f"{owner}.{name}.head{h}"].numbers
                    difference = max([difference, *(abs(a - b) for a, b in zip(made, ours[i][h][t]))])
    own = bool(run.program.changed) and not difference <= 1e-9
    if own:  # an edited program that differs from the textbook: show the program's values
        for name, ours, masked_as in (("attn_logits", logits, -math.inf), ("attn_weights", weights, 0.0)):
            for i, h, t in product(range(c.n_layer), range(c.n_head), range(count)):
                made = recorded[f"pos{t}.layer{i}.{name}.head{h}"].numbers
                ours[i][h][t] = [*made, *[masked_as] * (count - 1 - t)]
    return {
        "positions": count,
        "labels": [label(token_id, run.run.tokenizer) for token_id in ids],
        "logits": logits,
        "weights": weights,
        "sums": [[[reduce(add, row) for row in head] for head in layer] for layer in weights],
        "difference": difference,
        "own": own,
    }


@request
def softmax(session: Session, logits: list[float], scales: list[float]) -> Softmax:
    """Return the program's softmax of scale * logits, for each scale.

    At scale 0, all probabilities are equal; a large scale favors the largest logit.
    """
    if not logits:
        raise LabError("logits must contain at least one value, got logits=[]")
    for scale in scales:
        if not math.isfinite(scale * max(map(abs, logits))):
            raise LabError(f"scales must keep the logits within float64's range, got {scale}: choose a smaller scale")
    program = session.active.program
    need(program, "softmax")
    module = program.module
    return {
        "probs": [
            [p.data for p in module.softmax([module.Value(logit) * scale for logit in logits])] for scale in scales
        ]
    }
