"""Record a running program: every named number of an execution or a training run.

The names are those of the table in names.py, and the numbers are as reference.py computes them. Nothing is computed a
second time here. The program's own functions run, in a copy of their namespace in which those that call one another are
wrapped, so that each call notes what went in and what came out; reference.py is not touched. An edited program is
recorded in the same way.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from operator import methodcaller
from types import FunctionType
from typing import Any, NamedTuple

from microgpt.engines.base import Tokens, check_batch, num_positions
from microgpt.engines.program import REFERENCE, ScalarModel, StateDict
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.parameters import role
from microgpt.reference import Value
from microgpt.tracing import names as tensor_names
from microgpt.tracing.names import Shape

Vector = Sequence[Value]


class Tensor(NamedTuple):
    """Numbers, row after row, and their shape."""

    shape: Shape
    numbers: array[float]


class Recorder:
    """The nodes of a document's forward pass, by name. Which tensor a call makes is told by the matrix it is given.

    Only what is made as the table of names says gets a name: an edited program may lack some.
    """

    def __init__(self, model: ScalarModel, state_dict: StateDict) -> None:
        self.nodes: dict[str, Vector] = {}
        self.model, self.state_dict = model, state_dict
        self.matrices = {id(matrix): name for name, matrix in state_dict.items()}
        self.pos = self.layer = ""  # owners of the next names
        self.stream: Vector = ()  # the residual stream, where it was last seen
        self.heads = 0  # calls of attention in this layer so far
        self.in_head = False
        self.normed: dict[int, tuple[Vector, Vector]] = {}  # calls of rmsnorm: what came out, by its identity, and in

    def functions(self) -> dict[str, Any]:
        """The program's functions, which call each other through this recorder."""
        module = self.model.program.module
        namespace = dict(vars(module))
        methods = {f: name for name, f in vars(module.Value).items() if isinstance(f, FunctionType)}

        def handed_on(default: Any) -> Any:
            """Value.relu as a default is the method of whichever Value comes."""
            known = isinstance(default, FunctionType) and default in methods
            return methodcaller(methods[default]) if known else default

        for name, f in vars(module).items():
            if isinstance(f, FunctionType):
                defaults = f.__defaults__ and tuple(map(handed_on, f.__defaults__))
                namespace[name] = FunctionType(f.__code__, namespace, name, defaults, f.__closure__)
                if f.__kwdefaults__:
                    namespace[name].__kwdefaults__ = {key: handed_on(x) for key, x in f.__kwdefaults__.items()}
        for hook in (self.gpt, self.rmsnorm, self.linear, self.attention, self.softmax):
            if hook.__name__ in namespace:
                namespace[hook.__name__] = partial(hook, namespace[hook.__name__])
        return namespace

    def gpt(self, run: Callable[..., Vector], token_id: int, pos_id: int, *args: Any, **options: Any) -> Vector:
        state_dict = args[2]
        self.pos, self.layer, self.stream = f"pos{pos_id}", "", ()
        self.normed.clear()
        self.nodes[f"{self.pos}.tok_emb"] = state_dict["wte"][token_id]
        self.nodes[f"{self.pos}.pos_emb"] = state_dict["wpe"][pos_id]
        out = run(token_id, pos_id, *args, **options)
        self.nodes[f"{self.pos}.logits"] = out
        return out

    def rmsnorm(self, run: Callable[..., Vector], x: Vector, *args: Any, **options: Any) -> Vector:
        out = run(x, *args, **options)
        self.normed[id(out)] = (out, x)
        return out

    def _before(self, out: Vector) -> Vector:
        """What went into the call of rmsnorm that this came out of; itself if there was no such call."""
        return self.normed[id(out)][1] if id(out) in self.normed else out

    def _norm(self, name: str, out: Vector, of: str) -> None:
        """Note a call of rmsnorm by what came out of it, and what is inside it, if it was handed the vector `of`."""
        if id(out) not in self.normed:
            return
        x = self.normed[id(out)][1]
        self.nodes[name] = out
        if of not in self.nodes:
            return
        scale = out[0].b  # out is x * scale, and scale is (mean_square + 1e-5) ** -0.5
        if scale is not None and all(o.a is xi and o.b is scale for o, xi in zip(out, x)):
            mean_square = scale.a and scale.a.a
            first = mean_square and mean_square.a
            for _ in range(len(x) - 1):
                first = first and first.a
            if first and first.a is first.b is x[0]:
                self.nodes[f"{name}.scale"] = [scale]
                self.nodes[f"{name}.mean_square"] = [mean_square]

    def _add(self, name: str, total: Vector, *parts: Vector | None) -> None:
        """Note a vector that is the sum of two."""
        if all(
            part is not None and len(part) == len(total) and all(t.a is p or t.b is p for t, p in zip(total, part))
            for part in parts
        ):
            self.nodes[name] = total

    def _embedding(self, x: Vector) -> None:
        """The stream into the first layer, and how it was made."""
        emb, nodes = f"{self.pos}.emb", self.nodes
        self._add(emb, self._before(x), nodes[f"{self.pos}.tok_emb"], nodes[f"{self.pos}.pos_emb"])
        self._norm(f"{self.pos}.emb_norm", x, emb)

    def _into(self, layer: str, x: Vector) -> None:
        """The stream into a layer or, with none, out of the last."""
        if not self.layer:
            self._embedding(x)
        else:
            owner, nodes = self.layer, self.nodes
            self._add(f"{owner}.resid_post", x, nodes.get(f"{owner}.mlp_out"), self.stream)
        if layer:
            self.nodes[f"{layer}.resid_pre"] = x
        self.stream = x

    def linear(self, run: Callable[..., Vector], x: Vector, w: Sequence[Vector], *args: Any, **options: Any) -> Vector:
        out = run(x, w, *args, **options)
        layer, _, matrix = self.matrices.get(id(w), "").rpartition(".")
        if not layer:
            if matrix:  # of the output
                self._into("", x)
            return out
        layer = f"{self.pos}.{layer}"
        if matrix == "attn_wq":
            self._into(layer, self._before(x))
            self._norm(f"{layer}.attn_norm", x, f"{layer}.resid_pre")
            self.layer, self.heads = layer, 0
        elif matrix == "attn_wo":
            self.nodes[f"{layer}.x_attn"] = x
        elif matrix == "mlp_fc1":
            mid, self.stream, before = f"{layer}.resid_mid", self._before(x), self.stream
            self._add(mid, self.stream, self.nodes.get(f"{layer}.attn_out"), before)
            self._norm(f"{layer}.mlp_norm", x, mid)
        elif matrix == "mlp_fc2":
            self.nodes[f"{layer}.mlp_act"] = x
        if product := role(matrix).product:
            self.nodes[f"{layer}.{product}"] = out
        return out

    def attention(self, run: Callable[..., Vector], *args: Any, **options: Any) -> Vector:
        self.in_head = True
        out = run(*args, **options)
        self.in_head = False
        self.nodes[f"{self.layer}.x_attn.head{self.heads}"] = out
        self.heads += 1
        return out

    def softmax(self, run: Callable[..., Vector], logits: Vector, *args: Any, **options: Any) -> Vector:
        out = run(logits, *args, **options)
        if self.in_head:
            self.nodes[f"{self.layer}.attn_logits.head{self.heads}"] = logits
            self.nodes[f"{self.layer}.attn_weights.head{self.heads}"] = out
        elif self.pos:
            self.nodes[f"{self.pos}.probs"] = out
        return out

    def loss(self, run: Callable[..., Value], tokens: Tokens) -> Value:
        """The loss of a document, by the loss() of `functions`; with it all names of the table are known."""
        loss = run(tokens, self.state_dict, **self.model.loss_arguments)
        self.nodes["loss"] = [loss]
        losses = []
        total = loss.a  # loss is (((pos0.loss + pos1.loss) + pos2.loss) + ...) * (1 / positions)
        for _ in range(num_positions(tokens, self.model.config) - 1):
            losses.append(total and total.b)
            total = total and total.a
        for t, mean in enumerate([total, *reversed(losses)]):
            p = mean and mean.a and mean.a.a  # mean is -log(p)
            if p and any(p is prob for prob in self.nodes.get(f"pos{t}.probs", ())):
                self.nodes[f"pos{t}.loss"] = [mean]
        return loss


def _document(
    tokens: Tokens, model: ScalarModel, state_dict: StateDict
) -> tuple[Value, dict[str, Vector], dict[str, Shape]]:
    """The loss of a document; the nodes behind it by name, in the order of the table; and the table."""
    recorder = Recorder(model, state_dict)
    loss = recorder.loss(recorder.functions()["loss"], tokens)
    table = tensor_names.intermediates(model.config, model.vocab_size, num_positions(tokens, model.config))
    found = {name: recorder.nodes[name] for name in table if name in recorder.nodes}
    unnamed = recorder.nodes.keys() ^ table.keys()
    assert model.program is not REFERENCE or not unnamed, unnamed
    return loss, {name: nodes for name, nodes in found.items() if len(nodes) == math.prod(table[name])}, table


def forward(tokens: Tokens, model: ScalarModel) -> dict[str, Tensor]:
    """Every number of one document's forward pass, by name, in the order of computation.

    tokens: the document's token ids, BOS at both ends included. An edited program may lack some of the names.
    """
    check_batch([tokens], model.vocab_size)
    with scalar_arithmetic():
        _, nodes, table = _document(tokens, model, model.state_dict())
    return {name: Tensor(table[name], array("d", (node.data for node in nodes[name]))) for name in nodes}


def training(
    model: ScalarModel, batches: Iterable[Sequence[Tokens]], learning_rates: Iterable[float]
) -> dict[str, Tensor]:
    """Every number of a training, by name, in the order of computation. Steps count from 1, documents from 0:

        step1.doc0.pos3.layer0.q        the forward pass of the first step's first document
        step1.doc0.grad.pos3.layer0.q   d (the step's loss) / d that; not for tok_emb and pos_emb, which are parameters
        step1.doc0.grad.wte             the document's share in the step's gradient
        step1.loss, step1.grad.wte      the batch's loss and gradient
        step1.m.wte, step1.v.wte        Adam's moments after the step
        step1.params.wte                the parameters after the step

    The training starts from the model's parameters, and leaves them alone.
    """
    batches = list(batches)
    for batch in batches:
        check_batch(batch, model.vocab_size)
    m, v = ([0.0] * len(model.params) for _ in range(2))
    record: dict[str, Tensor] = {}

    def note_matrices(prefix: str, numbers: Sequence[float]) -> None:
        for name, part in model.offsets.items():
            record[f"{prefix}.{name}"] = Tensor(model.shapes[name], array("d", numbers[part]))

    with scalar_arithmetic():
        for step, (batch, learning_rate) in enumerate(zip(batches, learning_rates), start=1):
            weight = 1 / len(batch)
            losses = 0.0
            grads = [0.0] * len(model.params)
            leaves = model.leaves()
            state_dict = model.state_dict(leaves)
            for d, tokens in enumerate(batch):
                owner = f"step{step}.doc{d}"
                loss, nodes, table = _document(tokens, model, state_dict)
                (loss * weight).backward()
                for name, shape in table.items():
                    record[f"{owner}.{name}"] = Tensor(shape, array("d", (node.data for node in nodes[name])))
                for name, shape in reversed(table.items()):
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
            model.program.module.adam(leaves, m, v, step, learning_rate, **model.adam_arguments)
            model = replace(model, params=array("d", (leaf.data for leaf in leaves)))
            note_matrices(f"step{step}.m", m)
            note_matrices(f"step{step}.v", v)
            note_matrices(f"step{step}.params", model.params)
    return record
