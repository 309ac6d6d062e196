"""The reference at work, recorded: every number of naming's table, and of a training, as reference.py computes it.

Nothing is computed a second time here. The reference's own functions run, in a copy of their namespace in which those
that call one another are wrapped, so that each call notes what went in and what came out; reference.py is not touched.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

from microgpt import naming, reference
from microgpt.config import Config, offsets, shapes
from microgpt.engines import Tokens, check_batch
from microgpt.engines.scalar import ACTIVATIONS, StateDict, graph, scalar_arithmetic
from microgpt.naming import Shape
from microgpt.reference import Value

Vector = Sequence[Value]


class Tensor(NamedTuple):
    """Numbers, row after row, and their shape."""

    shape: Shape
    numbers: array[float]


MADE_BY = {  # the tensor that `linear` makes with a matrix
    **{"attn_wq": "q", "attn_wk": "k", "attn_wv": "v", "attn_wo": "attn_out"},
    **{"mlp_fc1": "mlp_pre", "mlp_fc2": "mlp_out"},
}


class Recorder:
    """The nodes of a document's forward pass, by name. Which tensor a call makes is told by the matrix it is given."""

    def __init__(self, state_dict: StateDict) -> None:
        self.nodes: dict[str, Vector] = {}
        self.matrices = {id(matrix): name for name, matrix in state_dict.items()}
        self.pos = self.layer = ""  # owners of the next names
        self.norms = self.heads = 0  # calls so far: of rmsnorm at this position, of attention in this layer
        self.in_head = False

    def functions(self) -> dict[str, Any]:
        """The reference's functions, which call each other through this recorder."""
        namespace = dict(vars(reference))
        for name, f in vars(reference).items():
            if isinstance(f, FunctionType):
                namespace[name] = FunctionType(f.__code__, namespace, name, f.__defaults__, f.__closure__)
        for hook in (self.gpt, self.rmsnorm, self.linear, self.attention, self.softmax):
            namespace[hook.__name__] = partial(hook, namespace[hook.__name__])
        return namespace

    def gpt(self, run: Callable[..., Vector], token_id: int, pos_id: int, *args: Any) -> Vector:
        state_dict = args[2]
        self.pos, self.norms = f"pos{pos_id}", 0
        self.nodes[f"{self.pos}.tok_emb"] = state_dict["wte"][token_id]
        self.nodes[f"{self.pos}.pos_emb"] = state_dict["wpe"][pos_id]
        return run(token_id, pos_id, *args)

    def rmsnorm(self, run: Callable[..., Vector], x: Vector) -> Vector:
        out = run(x)
        before, after = ("resid_mid", "mlp_norm") if self.norms % 2 == 0 else ("resid_pre", "attn_norm")
        if self.norms == 0:
            owner, before, after = self.pos, "emb", "emb_norm"
        else:
            i = (self.norms - 1) // 2
            owner = self.layer = f"{self.pos}.layer{i}"
            self.heads = 0
            if before == "resid_pre" and i > 0:
                self.nodes[f"{self.pos}.layer{i - 1}.resid_post"] = x
        self.norms += 1
        scale = out[0].b  # out is x * scale, and scale is (mean_square + 1e-5) ** -0.5
        self.nodes[f"{owner}.{before}"] = x
        self.nodes[f"{owner}.{after}"] = out
        self.nodes[f"{owner}.{after}.scale"] = [scale]
        self.nodes[f"{owner}.{after}.mean_square"] = [scale.a.a]
        return out

    def linear(self, run: Callable[..., Vector], x: Vector, w: Sequence[Vector]) -> Vector:
        out = run(x, w)
        matrix = self.matrices[id(w)].rpartition(".")[2]
        if matrix == "lm_head":
            self.nodes[f"{self.layer}.resid_post"] = x
            self.nodes[f"{self.pos}.logits"] = out
            return out
        if matrix == "attn_wo":
            self.nodes[f"{self.layer}.x_attn"] = x
        elif matrix == "mlp_fc2":
            self.nodes[f"{self.layer}.mlp_act"] = x
        self.nodes[f"{self.layer}.{MADE_BY[matrix]}"] = out
        return out

    def attention(self, run: Callable[..., Vector], q: Vector, keys: object, values: object) -> Vector:
        self.in_head = True
        out = run(q, keys, values)
        self.in_head = False
        self.nodes[f"{self.layer}.x_attn.head{self.heads}"] = out
        self.heads += 1
        return out

    def softmax(self, run: Callable[..., Vector], logits: Vector) -> Vector:
        out = run(logits)
        if self.in_head:
            self.nodes[f"{self.layer}.attn_logits.head{self.heads}"] = logits
            self.nodes[f"{self.layer}.attn_weights.head{self.heads}"] = out
        else:
            self.nodes[f"{self.pos}.probs"] = out
        return out

    def loss(self, run: Callable[..., Value], tokens: Tokens, state_dict: StateDict, config: Config) -> Value:
        """The loss of a document, by the loss() of `functions`; with it all names of the table are known."""
        c = config
        loss = run(tokens, state_dict, c.n_layer, c.n_head, c.block_size, ACTIVATIONS[c.activation])
        self.nodes["loss"] = [loss]
        total = loss.a  # loss is (((pos0.loss + pos1.loss) + pos2.loss) + ...) * (1 / positions)
        for t in range(naming.num_positions(tokens, c) - 1, 0, -1):
            self.nodes[f"pos{t}.loss"] = [total.b]
            total = total.a
        self.nodes["pos0.loss"] = [total]
        return loss


def _document(
    tokens: Tokens, state_dict: StateDict, config: Config, vocab_size: int
) -> tuple[Value, dict[str, Vector]]:
    """The loss of a document, and the nodes behind it by name, in the order of the table."""
    recorder = Recorder(state_dict)
    loss = recorder.loss(recorder.functions()["loss"], tokens, state_dict, config)
    table = naming.intermediates(config, vocab_size, naming.num_positions(tokens, config))
    assert recorder.nodes.keys() == table.keys(), recorder.nodes.keys() ^ table.keys()
    return loss, {name: recorder.nodes[name] for name in table}


def forward(tokens: Tokens, params: array[float], config: Config, vocab_size: int) -> dict[str, Tensor]:
    """Every number of one document's forward pass, by name, in the order of computation.

    tokens: the document's token ids, BOS at both ends included. params: flat, as an engine takes them.
    """
    check_batch([tokens], vocab_size)
    with scalar_arithmetic():
        _, nodes = _document(tokens, graph(params, config, vocab_size)[1], config, vocab_size)
    table = naming.intermediates(config, vocab_size, naming.num_positions(tokens, config))
    return {name: Tensor(table[name], array("d", (node.data for node in nodes[name]))) for name in table}


def training(
    params: array[float],
    config: Config,
    vocab_size: int,
    batches: Iterable[Sequence[Tokens]],
    learning_rates: Iterable[float],
) -> dict[str, Tensor]:
    """Every number of a training, by name, in the order of computation. Steps count from 1, documents from 0:

        step1.doc0.pos3.layer0.q        the forward pass of the first step's first document
        step1.doc0.grad.pos3.layer0.q   d (the step's loss) / d that; not for tok_emb and pos_emb, which are parameters
        step1.doc0.grad.wte             the document's share in the step's gradient
        step1.loss, step1.grad.wte      the batch's loss and gradient
        step1.m.wte, step1.v.wte        Adam's moments after the step
        step1.params.wte                the parameters after the step

    params: flat; what the training starts from, and left alone.
    """
    c = config
    batches = list(batches)
    for batch in batches:
        check_batch(batch, vocab_size)
    table = shapes(c, vocab_size)
    parts = offsets(table)
    params = array("d", params)
    m, v = ([0.0] * len(params) for _ in range(2))
    record: dict[str, Tensor] = {}

    def note_matrices(prefix: str, numbers: Sequence[float]) -> None:
        for name, part in parts.items():
            record[f"{prefix}.{name}"] = Tensor(table[name], array("d", numbers[part]))

    with scalar_arithmetic():
        for step, (batch, learning_rate) in enumerate(zip(batches, learning_rates), start=1):
            weight = 1 / len(batch)
            losses = 0.0
            grads = [0.0] * len(params)
            leaves, state_dict = graph(params, c, vocab_size)
            for d, tokens in enumerate(batch):
                owner = f"step{step}.doc{d}"
                loss, nodes = _document(tokens, state_dict, c, vocab_size)
                (loss * weight).backward()
                named = naming.intermediates(c, vocab_size, naming.num_positions(tokens, c))
                for name, shape in named.items():
                    record[f"{owner}.{name}"] = Tensor(shape, array("d", (node.data for node in nodes[name])))
                for name, shape in reversed(named.items()):
                    if not name.endswith((".tok_emb", ".pos_emb")):
                        numbers = array("d", (node.grad for node in nodes[name]))
                        record[f"{owner}.grad.{name}"] = Tensor(shape, numbers)
                note_matrices(f"{owner}.grad", [leaf.grad for leaf in leaves])
                losses += loss.data
                del loss, nodes  # frees the graph before the next one is built
                for i, leaf in enumerate(leaves):
                    grads[i] += leaf.grad
                    leaf.grad = 0.0
            record[f"step{step}.loss"] = Tensor((), array("d", [losses * weight]))
            note_matrices(f"step{step}.grad", grads)
            for leaf, grad in zip(leaves, grads):
                leaf.grad = grad
            reference.adam(leaves, m, v, step, learning_rate, c.beta1, c.beta2, c.eps_adam)
            params = array("d", (leaf.data for leaf in leaves))
            note_matrices(f"step{step}.m", m)
            note_matrices(f"step{step}.v", v)
            note_matrices(f"step{step}.params", params)
    return record
