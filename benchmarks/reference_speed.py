"""How much faster is reference.py than a plain form of itself, at the same bits?

    python benchmarks/reference_speed.py [--steps 40] [FILE]

The plain form sorts the graph by recursion, leaves included, gives every sum() a node for its initial 0, and leaves
Python's cyclic collector on: what one writes first, and what the public microgpt.py does. Both forms take the same
training steps in turn, step by step, so that a change of the machine's speed meets both; the figure is the median of
the steps' ratios. The losses must be equal to the last bit, or the benchmark fails.
"""

import argparse
import gc
import importlib.util
import platform
import random
import resource
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fresh_reference():
    """A copy of the module of its own, so that changing one changes no other."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "src/microgpt/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_reference():
    module = fresh_reference()

    def backward(self):
        order, seen = [], set()

        def build(node):
            if node not in seen:
                seen.add(node)
                for child in (node.a, node.b):
                    if child is not None:
                        build(child)
                order.append(node)

        build(self)
        self.grad = 1.0
        for node in reversed(order):
            if node.a is not None:
                node.a.grad += node.da * node.grad
            if node.b is not None:
                node.b.grad += node.db * node.grad

    module.Value.backward = backward
    module.Value.__radd__ = lambda self, other: self + other
    return module


class Run:
    """One form of the reference at the published sizes, stepped from outside."""

    def __init__(self, module, path, num_steps, rest_collector):
        self.module, self.num_steps, self.rest_collector = module, num_steps, rest_collector
        rng = random.Random(42)
        self.docs = module.documents(path)
        rng.shuffle(self.docs)
        self.tokenizer = module.Tokenizer(set("".join(self.docs)))
        self.state_dict = module.init(module.shapes(len(self.tokenizer.symbols), 16, 1, 16), rng, 0.08)
        self.params = [p for matrix in self.state_dict.values() for row in matrix for p in row]
        self.m, self.v, self.step = [0.0] * len(self.params), [0.0] * len(self.params), 0

    def train_step(self):
        """(loss, seconds) of the next step."""
        tokens = self.tokenizer.encode(self.docs[self.step % len(self.docs)])
        learning_rate = 0.01 * (1 - self.step / self.num_steps)
        self.step += 1
        start = time.perf_counter()
        if self.rest_collector:
            gc.disable()
        loss = self.module.loss(tokens, self.state_dict, n_layer=1, n_head=4, block_size=16)
        loss.backward()
        self.module.adam(self.params, self.m, self.v, self.step, learning_rate, 0.85, 0.99, 1e-8)
        data = loss.data
        del loss
        gc.enable()
        return data, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=ROOT / "src/microgpt/names.txt", help="documents, one a line")
    parser.add_argument("--steps", type=int, default=40, help="training steps of each form")
    args = parser.parse_args()
    plain = Run(plain_reference(), args.file, args.steps, rest_collector=False)
    ours = Run(fresh_reference(), args.file, args.steps, rest_collector=True)
    ratios, times = [], {"plain": [], "reference": []}
    for _ in range(args.steps):
        plain_loss, plain_time = plain.train_step()
        our_loss, our_time = ours.train_step()
        if plain_loss != our_loss:
            sys.exit(f"the losses of step {ours.step} differ: {plain_loss!r} and {our_loss!r}")
        ratios.append(plain_time / our_time)
        times["plain"].append(plain_time)
        times["reference"].append(our_time)
    print(f"{platform.python_implementation()} {platform.python_version()}, {args.steps} steps each, in turn")
    for name, seconds in times.items():
        print(f"{name:10s} {statistics.median(seconds) * 1000:7.1f} ms a step (median)")
    print(f"the reference is {statistics.median(ratios):.2f} times as fast, and every loss is equal to the last bit")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of both together: {peak:.0f} MB")


if __name__ == "__main__":
    main()
