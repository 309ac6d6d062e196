"""What the figures show of one word: attention as a masked matrix, surprise letter by letter, gates, its gradient.

Every number is the recorded one of the reference at work (`recording`), or comes from the reference's own functions.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Mapping
from functools import reduce
from itertools import product
from operator import add

from microgpt.engines.base import Tokens
from microgpt.engines.program import Program
from microgpt.errors import LabError
from microgpt.lab.requests import Answer
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import label, names, read
from microgpt.tracing.instrument import Node
from microgpt.tracing.recorder import Tensor
from microgpt.tracing.trace import Trace

MAX_SIZE, MAX_LAYERS = 10_000_000, 1000  # of a model that is only counted
DOCUMENTS = {"native": 1000, "scalar": 10}  # of training, in which gates are watched

Recorded = Mapping[str, Tensor]


def tensors(recorded: Mapping[str, Tensor]) -> Answer:
    """Tensors for the page."""
    return {name: {"shape": tensor.shape, "data": tensor.numbers} for name, tensor in recorded.items()}


def rows(numbers: array[float], columns: int) -> list[array[float]]:
    """A flat buffer, row after row."""
    return [numbers[i : i + columns] for i in range(0, len(numbers), columns)]


def need(program: Program, *functions: str) -> None:
    """Raise LabError where an edited program no longer has these functions."""
    for name in functions:
        if not callable(getattr(program.module, name, None)):
            raise LabError(f"the edited program has no function {name}(), from which this figure is made")


def attention(run: LabRun, tokens: Tokens, recorded: Recorded) -> Answer:
    """The textbook's matrix, all positions at once and a mask, beside the program's lists, which have no future.

    The same q and k, the reference's own linear and softmax: row t is q of position t with the keys of all positions,
    those after t masked with -inf.
    """
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
    if own:  # an edited attention() is no longer the textbook's: what is shown is the program's
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


def loss(run: LabRun, tokens: Tokens, recorded: Recorded) -> Answer:
    """The surprise at each letter, and at the document."""
    tokenizer = run.run.tokenizer
    letters = []
    for t, token_id in enumerate(read(tokens, run.config)):
        target = tokens[t + 1]
        letters.append(
            {
                "position": t,
                "read": label(token_id, tokenizer),
                "target": label(target, tokenizer),
                "target_id": target,
                "prob": recorded[f"pos{t}.probs"].numbers[target],
                "loss": recorded[f"pos{t}.loss"].numbers[0],
            }
        )
    mean = recorded["loss"].numbers[0]
    return {
        "letters": letters,
        "mean": mean,
        "perplexity": math.exp(mean) if mean < 700 else math.inf,  # beyond that exp leaves the range of floats
        "uniform": run.uniform_loss,
    }


def graph(trace: Trace) -> Answer:
    """How large the graph behind the loss is, and how deep: what a backward that calls itself would have to nest."""
    depth: dict[Node, int] = {}
    behind = {trace.node("loss")}
    for node in reversed(trace.graph.nodes):  # what a number was made from was made before it
        if node in behind:
            behind.update(x for x in (node.a, node.b) if x is not None)
    for node in trace.graph.nodes:
        if node in behind:
            depth[node] = 1 + max((depth[x] for x in (node.a, node.b) if x is not None), default=-1)
    return {
        "nodes": len(behind),
        "operations": sum(node.a is not None for node in behind),
        "depth": max(depth.values()),
        "limit": sys.getrecursionlimit(),
    }


def softmax(run: LabRun, logits: list[float], scale: float) -> Answer:
    """The program's softmax of scale * logits: scale 0 makes all equal, a large one lets the largest win."""
    if not logits:
        raise LabError("logits must hold at least one number, got logits=[]")
    if not math.isfinite(scale * max(map(abs, logits))):
        raise LabError(f"scale must keep the logits within the range of numbers, got scale={scale}: lower it")
    need(run.program, "softmax")
    module = run.program.module
    return {"probs": [p.data for p in module.softmax([module.Value(logit) * scale for logit in logits])]}


def gate(run: LabRun, tokens: Tokens, recorded: Recorded, layer: int) -> Answer:
    """Which units of a layer's MLP let something through, and which did so for none of many training documents.

    A unit that is closed at every position of a document gets a gradient of exactly 0 for its row of mlp_fc1: that is
    how it is seen for many documents, and what makes it dead, since learning does not reach it.
    """
    c = run.config
    if not 0 <= layer < c.n_layer:
        raise LabError(f"layer must be from 0 to {c.n_layer - 1}, got layer={layer}")
    gates = [recorded[f"pos{t}.layer{layer}.mlp_pre"].numbers for t in range(len(read(tokens, c)))]
    for t, pre in enumerate(gates):
        act = recorded[f"pos{t}.layer{layer}.mlp_act"].numbers
        if any(x <= 0 and y != 0 for x, y in zip(pre, act)):
            raise LabError("the activation of the edited program lets numbers below 0 through: it has no gates to show")
    engine = run.scratch()
    table, places = run.model.shapes, run.model.offsets
    after = places[f"layer{layer}.mlp_fc2"]
    for i in range(after.start, after.stop):
        if engine.params[i] == 0.0:  # a unit that nobody listens to would get no gradient either, open or not
            engine.params[i] = 1.0
    place, (units, columns) = places[f"layer{layer}.mlp_fc1"], table[f"layer{layer}.mlp_fc1"]
    dead = set(range(units))
    order = run.run.order
    documents = min(len(order), DOCUMENTS[run.engine.name])
    blank = array("d", bytes(8 * len(engine.grads)))
    for i in range(documents):
        engine.backward([run.run.data.sequence(order[i])])
        grads = engine.grads[place]
        dead -= {u for u in dead if any(grads[u * columns : (u + 1) * columns])}
        engine.grads[:] = blank
        if not dead:
            break
    return {
        "open": [[x > 0 for x in gate] for gate in gates],
        "dead": sorted(dead),
        "documents": documents,
        "layer": layer,
    }


def sizes(program: Program, n_embd: int, n_layer: int, block_size: int, vocab_size: int) -> Answer:
    """The matrices that a model of these sizes would have, by the program's own table; none is made."""
    given = {"n_embd": n_embd, "n_layer": n_layer, "block_size": block_size, "vocab_size": vocab_size}
    for name, size in given.items():
        if not 1 <= size <= MAX_SIZE or (name == "n_layer" and size > MAX_LAYERS):
            limit = MAX_LAYERS if name == "n_layer" else MAX_SIZE
            raise LabError(f"{name} must be from 1 to {limit:,}, got {name}={size}")
    need(program, "shapes")
    table = program.module.shapes(vocab_size, n_embd, n_layer, block_size)
    return {
        "num_params": sum(rows * columns for rows, columns in table.values()),
        "shapes": [[name, *shape] for name, shape in table.items()],
    }


def parameters(run: LabRun, moments: bool) -> Answer:
    """The matrices, and Adam's moments where they are asked for."""
    e, parts = run.engine, run.model.offsets
    return {
        "tensors": {name: {"shape": run.shapes[name], "data": e.params[part]} for name, part in parts.items()},
        "m": {name: e.m[part] for name, part in parts.items() if moments},
        "v": {name: e.v[part] for name, part in parts.items() if moments},
    }


def nearest(run: LabRun, symbol: str) -> Answer:
    """The tokens by the distance of their rows of wte from that of one: which letters training has made alike."""
    symbols = names(run.run.tokenizer)
    if symbol not in symbols:
        raise LabError(f"symbol must be one of {', '.join(map(repr, symbols))}, got symbol={symbol!r:.40}")
    wte, width = run.engine.params[run.model.offsets["wte"]], run.config.n_embd
    own = symbols.index(symbol)
    table = rows(wte, width)
    others = [
        {"symbol": other, "id": token_id, "distance": math.dist(table[token_id], table[own])}
        for token_id, other in enumerate(symbols)
        if token_id != own
    ]
    return {"symbol": symbol, "others": sorted(others, key=lambda other: other["distance"])}


def history(run: LabRun, path: str) -> Answer:
    """A parameter at the steps whose weights are kept, and now; and Adam's moments of it now."""
    index = run.index(path)
    values = {step: frame.params[index] for step, frame in run.frames.items() if step <= run.furthest}
    values[run.step] = run.engine.params[index]
    return {
        "path": path,
        "steps": sorted(values),
        "values": [values[step] for step in sorted(values)],
        "m": run.engine.m[index],
        "v": run.engine.v[index],
    }
