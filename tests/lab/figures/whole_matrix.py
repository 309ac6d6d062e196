"""A textbook transformer on plain floats: attention is one full matrix, masked or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from microgpt.config import offsets
from microgpt.lab.session import Session

Vector = list[float]


def linear(matrix: Sequence[Vector], x: Vector) -> Vector:
    return [sum(w * xi for w, xi in zip(row, x)) for row in matrix]


def rmsnorm(x: Vector) -> Vector:
    scale = 1 / math.sqrt(sum(xi * xi for xi in x) / len(x) + 1e-5)
    return [xi * scale for xi in x]


def softmax(scores: Vector) -> Vector:
    exps = [math.exp(score - max(scores)) for score in scores]
    return [e / sum(exps) for e in exps]


class Transformer:
    """A forward pass over all positions at once, layer by layer. `sees(t, s)` says if position t attends to s."""

    def __init__(self, session: Session, word: str, sees: Callable[[int, int], bool]) -> None:
        run = session.active
        c, params, places = run.config, run.engine.params, offsets(run.shapes)
        self.w = {
            name: [list(params[at : at + columns]) for at in range(places[name].start, places[name].stop, columns)]
            for name, (_, columns) in run.shapes.items()
        }
        tokens = run.run.tokenizer.encode(word)
        ids = tokens[: c.block_size][: len(tokens) - 1]
        size = c.n_embd // c.n_head
        self.weights: list[list[list[Vector]]] = []
        x = [rmsnorm([a + b for a, b in zip(self.w["wte"][token], self.w["wpe"][t])]) for t, token in enumerate(ids)]
        for i in range(c.n_layer):
            normed = [rmsnorm(row) for row in x]
            q, k, v = ([linear(self.w[f"layer{i}.attn_{name}"], row) for row in normed] for name in ("wq", "wk", "wv"))
            mixed: list[Vector] = [[] for _ in ids]
            self.weights.append([])
            for h in range(c.n_head):
                part = range(h * size, (h + 1) * size)

                scores = [[sum(a[j] * b[j] for j in part) / math.sqrt(size) for b in k] for a in q]
                rows = [
                    softmax([score if sees(t, s) else -math.inf for s, score in enumerate(row)])
                    for t, row in enumerate(scores)
                ]
                for t, row in enumerate(rows):
                    mixed[t] += [sum(w * v[s][j] for s, w in enumerate(row)) for j in part]
                self.weights[i].append(rows)
            x = [[a + b for a, b in zip(linear(self.w[f"layer{i}.attn_wo"], m), row)] for m, row in zip(mixed, x)]
            for t, row in enumerate(x):
                hidden = [max(0.0, a) for a in linear(self.w[f"layer{i}.mlp_fc1"], rmsnorm(row))]
                if c.activation == "relu2":
                    hidden = [a * a for a in hidden]
                x[t] = [a + b for a, b in zip(linear(self.w[f"layer{i}.mlp_fc2"], hidden), row)]
        self.probs = [softmax(linear(self.w["lm_head"], row))[target] for row, target in zip(x, tokens[1:])]
        self.loss = sum(-math.log(p) for p in self.probs) / len(self.probs)


def everything(t: int, s: int) -> bool:
    return True


def the_past(t: int, s: int) -> bool:
    return s <= t
