"""Record a running program: every named number in an execution or a training run.

The names come from the table in names.py, and reference.py itself computes the numbers: nothing is computed twice. The
program's own functions run in a copy of their namespace, in which the functions that build the model are wrapped, so
that each call records its input and output. reference.py is not modified. An edited program is recorded in the same
way.
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
    """A tensor's shape and its values, row by row."""

    shape: Shape
    numbers: array[float]


class Recorder:
    """Records a document's forward pass and finds the nodes of each named tensor.

    The matrix that a call receives identifies the tensor that the call computes. A tensor is named only if it was
    computed as the table of names specifies, so some of an edited program's tensors may have no name.

    Attributes:
        nodes: The nodes of each tensor, by name.
        model: The model.
        state_dict: The parameters, in the form that the program's functions expect.
        matrices: Each parameter's name, keyed by the id of its matrix.
        pos: The prefix for the names of the current position's tensors, such as `pos3`.
        layer: The layer being computed, such as `pos3.layer0`; empty before the first layer.
        stream: The most recent residual stream.
        heads: The number of calls to attention in this layer so far.
        in_head: Whether a call to attention is in progress.
        normed: The output and input of each call to rmsnorm, keyed by the id of the output.
    """

    def __init__(self, model: ScalarModel, state_dict: StateDict) -> None:
        self.nodes: dict[str, Vector] = {}
        self.model, self.state_dict = model, state_dict
        self.matrices = {id(matrix): name for name, matrix in state_dict.items()}
        self.pos = self.layer = ""
        self.stream: Vector = ()
        self.heads = 0
        self.in_head = False
        self.normed: dict[int, tuple[Vector, Vector]] = {}

    def functions(self) -> dict[str, Any]:
        """Return the program's functions, which call each other through this recorder."""
        module = self.model.program.module
        namespace = dict(vars(module))
        methods = {f: name for name, f in vars(module.Value).items() if isinstance(f, FunctionType)}

        def late_bound(default: Any) -> Any:
            """Make a default such as Value.relu call its argument's own method; the argument may be a Node."""
            known = isinstance(default, FunctionType) and default in methods
            return methodcaller(methods[default]) if known else default

        for name, f in vars(module).items():
            if isinstance(f, FunctionType):
                defaults = f.__defaults__ and tuple(map(late_bound, f.__defaults__))
                namespace[name] = FunctionType(f.__code__, namespace, name, defaults, f.__closure__)
                if f.__kwdefaults__:
                    namespace[name].__kwdefaults__ = {key: late_bound(x) for key, x in f.__kwdefaults__.items()}
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
        """Return the input of the rmsnorm call that returned `out`; `out` itself if there was no such call."""
        return self.normed[id(out)][1] if id(out) in self.normed else out

    def _norm(self, name: str, out: Vector, of: str) -> None:
        """Name the output of an rmsnorm call and, if its input was the tensor `of`, its intermediate values."""
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
        """Name a vector if it is the sum of the given parts."""
        if all(
            part is not None and len(part) == len(total) and all(t.a is p or t.b is p for t, p in zip(total, part))
            for part in parts
        ):
            self.nodes[name] = total

    def _embedding(self, x: Vector) -> None:
        """Name the stream entering the first layer, and the embedding that it was computed from."""
        emb, nodes = f"{self.pos}.emb", self.nodes
        self._add(emb, self._before(x), nodes[f"{self.pos}.tok_emb"], nodes[f"{self.pos}.pos_emb"])
        self._norm(f"{self.pos}.emb_norm", x, emb)

    def _into(self, layer: str, x: Vector) -> None:
        """Name the residual stream entering a layer or, if `layer` is empty, leaving the last layer."""
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
            if matrix:  # lm_head
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
        """Compute a document's loss, recording its forward pass in `nodes`.

        Args:
            run: The loss() function that `functions` returned.
            tokens: The document's token ids, with BOS at both ends.

        Returns:
            The loss that `run` returned.
        """
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
    """Return a document's loss, its tensors' nodes in the order of the table of names, and the table."""
    recorder = Recorder(model, state_dict)
    loss = recorder.loss(recorder.functions()["loss"], tokens)
    table = tensor_names.intermediates(model.config, model.vocab_size, num_positions(tokens, model.config))
    found = {name: recorder.nodes[name] for name in table if name in recorder.nodes}
    unnamed = recorder.nodes.keys() ^ table.keys()
    assert model.program is not REFERENCE or not unnamed, unnamed
    return loss, {name: nodes for name, nodes in found.items() if len(nodes) == math.prod(table[name])}, table


def forward(tokens: Tokens, model: ScalarModel) -> dict[str, Tensor]:
    """Return every tensor in one document's forward pass, by name, in order of computation.

    Args:
        tokens: The document's token ids, with BOS at both ends.
        model: The model. If its program was edited, some names may be missing.

    Raises:
        ValueError: The tokens are not a valid document for the model's vocabulary.
        FloatingPointError: A value is outside the range of float64.
    """
    check_batch([tokens], model.vocab_size)
    with scalar_arithmetic():
        _, nodes, table = _document(tokens, model, model.state_dict())
    return {name: Tensor(table[name], array("d", (node.data for node in nodes[name]))) for name in nodes}


def training(
    model: ScalarModel, batches: Iterable[Sequence[Tokens]], learning_rates: Iterable[float]
) -> dict[str, Tensor]:
    """Return every tensor in a training run, by name, in order of computation.

    Steps are numbered from 1 and documents from 0:

        step1.doc0.pos3.layer0.q        the forward pass of the first step's first document
        step1.doc0.grad.pos3.layer0.q   d (the step's loss) / d q; not for tok_emb and pos_emb, which are parameters
        step1.doc0.grad.wte             the document's share of the step's gradient
        step1.loss, step1.grad.wte      the batch's loss and gradient
        step1.m.wte, step1.v.wte        Adam's moments after the step
        step1.params.wte                the parameters after the step

    Args:
        model: The model before training. It is not changed.
        batches: The documents in each step's batch.
        learning_rates: Each step's learning rate.

    Raises:
        ValueError: A batch is empty, or one of its documents is not valid for the model's vocabulary.
        FloatingPointError: A value is outside the range of float64.
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
                del loss, nodes  # free the graph before the next document's graph is built
                for i, leaf in enumerate(leaves):
                    grads[i] += leaf.grad
                    leaf.grad = 0.0
            record[f"step{step}.loss"] = Tensor((), array("d", [losses * weight]))
            note_matrices(f"step{step}.grad", grads)
            for leaf, grad in zip(leaves, grads):
                leaf.grad = grad
            model.update(leaves, m, v, step, learning_rate)
            model = replace(model, params=array("d", (leaf.data for leaf in leaves)))
            note_matrices(f"step{step}.m", m)
            note_matrices(f"step{step}.v", v)
            note_matrices(f"step{step}.params", model.params)
    return record
