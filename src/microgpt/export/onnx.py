"""Export a trained model as an ONNX file.

With onnxruntime, programs in other languages can run the file, including in browsers and on phones. One graph both
reads and generates text, for N sequences at a time:

    tokens   int64 (N, T)                    the next T tokens of each sequence; a sequence begins with BOS
    keys     float (n_layer, N, P, n_embd)   the keys of the P preceding tokens, from earlier calls; P is 0 at first
    values   float (n_layer, N, P, n_embd)   the values of these tokens
    logits   float (N, T, vocab_size)        the logits of the token after each of the T tokens
    keys_out, values_out                     `keys` and `values` for the next call, with P + T tokens

To read an entire text at once, set P = 0; to generate, set T = 1 in each call. P + T is at most block_size. The file's
metadata (`symbols`, `bos`, `block_size`, `tokenizer`) includes each token's text and BOS's id.

Exporting needs the `onnx` package: pip install onnx.
"""

from __future__ import annotations

import functools
import json
import os
from array import array
from pathlib import Path
from typing import Any

from microgpt.activations import ACTIVATIONS
from microgpt.config import offsets, shapes
from microgpt.runs.run import Run
from microgpt.system.files import atomic

OPSET = 18  # the newest opset that every onnxruntime release since 2023 supports
LARGEST = 2**31 - 2**20  # bytes of parameters: the size limit without external data, minus room for the graph
PRECISIONS = {"float32": "f", "float64": "d"}
REMEDY = "exporting to ONNX needs the onnx package: pip install onnx"


class _Graph:
    """A graph under construction: its nodes in order, each named after its output, and its constants."""

    def __init__(self, helper: Any, kind: str) -> None:
        self.helper, self.kind = helper, kind
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def add(self, op: str, *inputs: str, **options: Any) -> str:
        """Add a node with one output; return the output's name: the `name` option or, if not set, a generated name."""
        name = options.pop("name", None) or f"{op}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(op, list(inputs), [name], **options))
        return str(name)

    def number(self, value: float) -> str:
        """Add a constant in the model's precision; return its name."""
        return self.tensor(f"number_{value!r}", array(self.kind, [value]), ())

    def integers(self, *values: int) -> str:
        """Add an int64 vector; return its name."""
        return self.tensor("integers_" + "_".join(map(str, values)), array("q", values), (len(values),))

    def integer(self, value: int) -> str:
        """Add an int64 scalar; return its name."""
        return self.tensor(f"integer_{value}", array("q", [value]), ())

    def tensor(self, name: str, numbers: array[Any], shape: tuple[int, ...]) -> str:
        """Add a constant tensor, unless it already exists; return its name."""
        kinds = {"f": 1, "d": 11, "q": 7}  # TensorProto's data types
        self.constants.setdefault(
            name, self.helper.make_tensor(name, kinds[numbers.typecode], shape, numbers.tobytes(), raw=True)
        )
        return name


class _Tensor:
    """A tensor in the graph with a Value's operations, so that applying an activation to it adds nodes."""

    def __init__(self, graph: _Graph, name: str) -> None:
        self.graph, self.name = graph, name

    def _node(self, op: str, *others: _Tensor | float) -> _Tensor:
        names = [other.name if isinstance(other, _Tensor) else self.graph.number(other) for other in others]
        return _Tensor(self.graph, self.graph.add(op, self.name, *names))

    def relu(self) -> _Tensor:
        return self._node("Relu")

    def exp(self) -> _Tensor:
        return self._node("Exp")

    def log(self) -> _Tensor:
        return self._node("Log")

    def __add__(self, other: _Tensor | float) -> _Tensor:
        return self._node("Add", other)

    def __mul__(self, other: _Tensor | float) -> _Tensor:
        return self._node("Mul", other)

    def __pow__(self, n: float) -> _Tensor:
        return self._node("Mul", self) if n == 2 else self._node("Pow", n)

    def __neg__(self) -> _Tensor:
        return self._node("Neg")

    def __sub__(self, other: _Tensor | float) -> _Tensor:
        return self._node("Sub", other)

    def __truediv__(self, other: _Tensor | float) -> _Tensor:
        return self._node("Div", other)

    __radd__, __rmul__ = __add__, __mul__


def to_onnx(run: Run, path: str | os.PathLike[str], precision: str = "float32") -> None:
    """Write a run's current model as an ONNX file, atomically.

    Args:
        run: The run.
        path: The file to write.
        precision: float32 or float64.

    Raises:
        ValueError: If the precision is unknown, the model is too large for one file, or the file cannot be written.
        ImportError: If the `onnx` package is missing; the message says how to install it.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got precision={precision!r}")
    if run.num_params * array(PRECISIONS[precision]).itemsize >= LARGEST:
        raise ValueError(
            f"an ONNX file must be smaller than 2 GiB, got a model with {run.num_params:,} parameters in {precision}:"
            " export a smaller model"
        )
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise ImportError(REMEDY) from None
    c, vocab_size = run.config, run.engine.vocab_size
    kind = PRECISIONS[precision]
    g = _Graph(helper, kind)
    table = shapes(c, vocab_size)
    params = run.engine.params
    where = offsets(table)

    def matrix(name: str, transposed: bool = True) -> str:
        """Add one of the model's matrices, transposed for x @ matrix because linear() multiplies each row by x."""
        rows, columns = table[name]
        flat = params[where[name]]
        if transposed:
            rows_of_columns = (flat[i::columns] for i in range(columns))
            flat = functools.reduce(array.__iadd__, rows_of_columns, array("d"))
        return g.tensor(name, array(kind, flat), (columns, rows) if transposed else (rows, columns))

    def rmsnorm(x: str) -> str:
        mean_square = g.add("ReduceMean", g.add("Mul", x, x), g.integers(-1), keepdims=1)
        return g.add("Div", x, g.add("Sqrt", g.add("Add", mean_square, g.number(1e-5))))

    def heads(x: str) -> str:
        """Split (N, T, n_embd) into heads: (N, n_head, T, head_dim)."""
        split = g.add("Reshape", x, g.integers(0, 0, c.n_head, c.n_embd // c.n_head))
        return g.add("Transpose", split, perm=[0, 2, 1, 3])

    count = g.add("Gather", g.add("Shape", "tokens"), g.integer(1))
    before = g.add("Gather", g.add("Shape", "keys"), g.integer(2))
    total = g.add("Add", before, count)
    positions = g.add("Range", before, total, g.integer(1))
    # (T, P + T): whether a key's position is after the query's
    asking = g.add("Unsqueeze", positions, g.integers(1))
    is_later = g.add("Greater", g.add("Range", g.integer(0), total, g.integer(1)), asking)

    embedded = g.add("Gather", matrix("wte", transposed=False), "tokens")
    placed = g.add("Gather", matrix("wpe", transposed=False), positions)
    x = rmsnorm(g.add("Add", embedded, placed))
    kept: dict[str, list[str]] = {"keys": [], "values": []}
    for i in range(c.n_layer):
        normed = rmsnorm(x)
        q = g.add("MatMul", normed, matrix(f"layer{i}.attn_wq"))
        context = {}
        for what, name in (("keys", "attn_wk"), ("values", "attn_wv")):
            new = g.add("MatMul", normed, matrix(f"layer{i}.{name}"))
            context[what] = g.add("Concat", g.add("Gather", what, g.integer(i)), new, axis=1)
            kept[what].append(g.add("Unsqueeze", context[what], g.integers(0)))
        transposed = g.add("Transpose", heads(context["keys"]), perm=[0, 1, 3, 2])
        scores = g.add("Where", is_later, g.number(float("-inf")), g.add("MatMul", heads(q), transposed))
        # scale after masking: onnxruntime fuses a division that follows a product, and rounds the factor to 32 bits
        weights = g.add("Softmax", g.add("Div", scores, g.number((c.n_embd // c.n_head) ** 0.5)), axis=-1)
        mixed = g.add("Transpose", g.add("MatMul", weights, heads(context["values"])), perm=[0, 2, 1, 3])
        joined = g.add("Reshape", mixed, g.integers(0, 0, c.n_embd))
        x = g.add("Add", x, g.add("MatMul", joined, matrix(f"layer{i}.attn_wo")))
        mlp_pre = _Tensor(g, g.add("MatMul", rmsnorm(x), matrix(f"layer{i}.mlp_fc1")))
        x = g.add("Add", x, g.add("MatMul", ACTIVATIONS[c.activation](mlp_pre).name, matrix(f"layer{i}.mlp_fc2")))
    g.add("MatMul", x, matrix("lm_head"), name="logits")
    for what, parts in kept.items():
        g.add("Concat", *parts, axis=0, name=f"{what}_out")

    real, whole = TensorProto.FLOAT if kind == "f" else TensorProto.DOUBLE, TensorProto.INT64
    past: list[int | str | None] = [c.n_layer, "N", "P", c.n_embd]
    future = {what: [*past[:2], "P+T", c.n_embd] for what in kept}
    graph = helper.make_graph(
        g.nodes,
        "microgpt",
        [
            helper.make_tensor_value_info("tokens", whole, ["N", "T"]),
            helper.make_tensor_value_info("keys", real, past),
            helper.make_tensor_value_info("values", real, past),
        ],
        [
            helper.make_tensor_value_info("logits", real, ["N", "T", vocab_size]),
            *(helper.make_tensor_value_info(f"{what}_out", real, shape) for what, shape in future.items()),
        ],
        list(g.constants.values()),
    )
    model = helper.make_model(graph, producer_name="microgpt", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8  # the IR version that was released with the opset
    facts = {
        "config": json.dumps(c.to_dict()),
        "symbols": json.dumps(run.tokenizer.symbols),
        "bos": str(run.tokenizer.bos),
        "block_size": str(c.block_size),
        "tokenizer": json.dumps(run.tokenizer.spec()),
        "step": str(run.step),
    }
    helper.set_model_props(model, facts)
    checker.check_model(model, full_check=True)
    try:
        with atomic(Path(path)) as file:
            file.write(model.SerializeToString())
    except OSError as error:
        raise ValueError(f"cannot write {os.fspath(path)!r}: {error.strerror}; choose another file") from None
