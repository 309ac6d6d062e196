"""Measure how much faster reference.py is than simpler versions of itself with bit-identical results.

    python benchmarks/reference_speed.py [FILE] [--steps 40]

`recursive` is the same file with a recursive topological sort that includes the leaves, and with Python's cyclic
garbage collector enabled, as in an obvious first version. `tuples` also stores each node's operands and local gradients
in two tuples, and gives every sum() a node for its initial 0, like the public microgpt.py. The versions take the same
training steps in turn, so that changes in the machine's speed affect all of them. Each ratio is the median over the
steps. If the losses differ, the benchmark fails.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import platform
import random
import resource
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent / "src" / "microgpt"


def fresh_reference() -> ModuleType:
    """Load a separate copy of the module, so that changing one copy does not affect the others."""
    spec = importlib.util.spec_from_file_location("reference", SOURCE / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sorted_by_recursion(node: Any, operands: Any) -> list[Any]:
    order, seen = [], set()

    def visit(node: Any) -> None:
        if node not in seen:
            seen.add(node)
            for operand in operands(node):
                visit(operand)
            order.append(node)

    visit(node)
    return order


def recursive() -> ModuleType:
    module = fresh_reference()

    def backward(self: Any) -> None:
        order = sorted_by_recursion(self, lambda node: [x for x in (node.a, node.b) if x is not None])
        self.grad = 1.0
        for node in reversed(order):
            if node.a is not None:
                node.a.grad += node.da * node.grad
            if node.b is not None:
                node.b.grad += node.db * node.grad

    module.Value.backward = backward
    return module


class TupleValue:
    """A node with its operands and its local gradients in tuples."""

    __slots__ = ("data", "grad", "local_grads", "operands")

    def __init__(self, data: float, operands: tuple[Any, ...] = (), local_grads: tuple[float, ...] = ()) -> None:
        self.data, self.grad, self.operands, self.local_grads = data, 0.0, operands, local_grads

    def __add__(self, other: Any) -> TupleValue:
        other = other if isinstance(other, TupleValue) else TupleValue(other)
        return TupleValue(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Any) -> TupleValue:
        other = other if isinstance(other, TupleValue) else TupleValue(other)
        return TupleValue(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n: float) -> TupleValue:
        return TupleValue(self.data**n, (self,), (n * self.data ** (n - 1),))

    def log(self) -> TupleValue:
        return TupleValue(math.log(self.data), (self,), (1 / self.data,))

    def exp(self) -> TupleValue:
        return TupleValue(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self) -> TupleValue:
        return TupleValue(max(0.0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self) -> TupleValue:
        return self * -1

    def __sub__(self, other: Any) -> TupleValue:
        return self + -other

    def __truediv__(self, other: Any) -> TupleValue:
        return self * other**-1

    __radd__, __rmul__ = __add__, __mul__

    def backward(self) -> None:
        order = sorted_by_recursion(self, lambda node: node.operands)
        self.grad = 1.0
        for node in reversed(order):
            for operand, local_grad in zip(node.operands, node.local_grads):
                operand.grad += local_grad * node.grad


def tuples() -> ModuleType:
    module = fresh_reference()
    module.Value = TupleValue
    return module


class Run:
    """A version of the reference at the published sizes, trained one step at a time."""

    def __init__(self, module: ModuleType, path: str, num_steps: int, collect: bool) -> None:
        self.module, self.num_steps, self.collect = module, num_steps, collect
        rng = random.Random(42)
        self.docs = module.documents(path)
        rng.shuffle(self.docs)
        self.tokenizer = module.Tokenizer(set("".join(self.docs)))
        self.state_dict = module.init(module.shapes(len(self.tokenizer.symbols), 16, 1, 16), rng, 0.08)
        self.params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        self.m, self.v, self.step = [0.0] * len(self.params), [0.0] * len(self.params), 0
        self.seconds: list[float] = []

    def train_step(self) -> float:
        """Take the next step, record its time, and return its loss."""
        tokens = self.tokenizer.encode(self.docs[self.step % len(self.docs)])
        learning_rate = 0.01 * (1 - self.step / self.num_steps)
        self.step += 1
        start = time.perf_counter()
        if not self.collect:
            gc.disable()
        loss = self.module.loss(tokens, self.state_dict, 1, 4, 16, self.module.Value.relu)
        loss.backward()
        self.module.adam(self.params, self.m, self.v, self.step, learning_rate, 0.85, 0.99, 1e-8)
        data: float = loss.data
        del loss
        gc.enable()
        self.seconds.append(time.perf_counter() - start)
        return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=SOURCE / "data" / "names.txt", help="documents, one per line")
    parser.add_argument("--steps", type=int, default=40, help="training steps per version")
    args = parser.parse_args()
    runs = {
        "reference": Run(fresh_reference(), args.file, args.steps, collect=sys.implementation.name != "cpython"),
        "recursive": Run(recursive(), args.file, args.steps, collect=True),
        "tuples": Run(tuples(), args.file, args.steps, collect=True),
    }
    for step in range(1, args.steps + 1):
        losses = {name: run.train_step() for name, run in runs.items()}
        if len(set(losses.values())) > 1:
            sys.exit(f"the losses of step {step} differ: {losses}")
    ours = runs["reference"].seconds
    print(f"{platform.python_implementation()} {platform.python_version()}, {args.steps} steps each, in turn; medians")
    for name, run in runs.items():
        ratio = statistics.median(theirs / our for our, theirs in zip(ours, run.seconds))
        median = statistics.median(run.seconds) * 1000
        print(f"{name:10} {median:7.1f} ms per step   {ratio:5.2f} times the reference's time")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all losses are equal to the last bit; peak memory of all {len(runs)} together: {peak:.0f} MB")


if __name__ == "__main__":
    main()
