"""Compare the speed of the torch engine with a plain PyTorch GPT of the same size, and with the native engine.

    python benchmarks/torch_speed.py [--compile] [--threads 2]
    python benchmarks/torch_speed.py --gpu

On a CPU, the models have nanoGPT's small CPU size (n_layer 4, n_embd 128, n_head 4, block_size 64, batch_size 12), and
train on the bundled names as one text. Each row is timed as in normal use: `Run.steps` with its data and metrics, and
the plain loop with its random windows (plain_gpt.py). The rows take turns in every round. The table gives the tokens
per second in the median round, and the median over the rounds of each row's speed relative to the plain GPT. Times are
CPU times with one thread, and wall-clock times with more threads.

On a GPU, the torch engine trains a model of GPT-2's small size on random tokens, compiled and in bfloat16. The table
gives tokens per second, memory and model flops utilisation for several batch sizes. Utilisation is the model's flops
per second (6 per token and multiplied weight, plus attention: arXiv:2204.02311, appendix B), divided by the GPU's dense
bfloat16 peak.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from array import array
from collections.abc import Callable, Iterator

import torch

import plain_gpt
from microgpt.config import Config, num_params
from microgpt.data.loading import load
from microgpt.engines.torch.device import PEAKS
from microgpt.engines.torch.engine import TorchEngine
from microgpt.flops import training_flops
from microgpt.runs.run import Run
from microgpt.system import hardware
from microgpt.system import text as text_tables

SMALL = Config(
    n_layer=4, n_embd=128, n_head=4, block_size=64, batch_size=12, learning_rate=1e-3, init_std=0.02, num_steps=10**6
)
GPT2 = Config(n_layer=12, n_embd=768, n_head=12, block_size=1024, init_std=0.02, learning_rate=6e-4, num_steps=10**6)
VOCAB = 50257


def seconds_of(threads: int) -> float:
    return time.process_time() if threads == 1 else time.perf_counter()


def of_run(**options: object) -> Callable[[int], None]:
    """Return a function that runs training steps like `microgpt train`, but without a run folder."""
    run = Run.begin("names", SMALL, documents="stream", **options)
    rest: Iterator[object] = iter(run.steps(together=True))

    def steps(count: int) -> None:
        for _ in range(count):
            next(rest)

    return steps


def cpu(threads: int, seconds: float, rounds: int, compile: bool) -> None:
    """Print the table for a CPU."""
    torch.set_num_threads(threads)
    names = load("names", mode="stream", block_size=SMALL.block_size)
    text = torch.tensor(names.tokens.tolist())
    plain = {"published": (text, SMALL, names.vocab_size, True), "same parts": (text, SMALL, names.vocab_size, False)}
    rows = {f"plain PyTorch, {name}": plain_gpt.trainer(*args, compile=False) for name, args in plain.items()}
    rows["torch float32"] = of_run(engine="torch", threads=threads)
    if compile:
        rows |= {
            f"plain PyTorch, {name}, compiled": plain_gpt.trainer(*args, compile=True) for name, args in plain.items()
        }
        rows["torch float32, compiled"] = of_run(engine="torch", threads=threads, compile=True)
    rows["native float32"] = of_run(engine="native", precision="float32", threads=threads)
    rows["native exact"] = of_run(engine="native", threads=threads)
    counts = {}
    for name, steps in rows.items():
        steps(5)
        began = time.perf_counter()
        steps(5)
        counts[name] = max(1, round(5 * seconds / rounds / (time.perf_counter() - began)))
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, steps in rows.items():
            began = seconds_of(threads)
            steps(counts[name])
            tokens = counts[name] * SMALL.batch_size * SMALL.block_size
            speeds[name].append(tokens / (seconds_of(threads) - began))
    base = speeds["plain PyTorch, published"]
    facts = [*hardware.facts().items(), ("torch", torch.__version__), ("threads", str(threads))]
    print(text_tables.aligned(("machine", ""), facts, "ll"), "\n")
    table = [
        (name, f"{statistics.median(s):,.0f}", f"{statistics.median(a / b for a, b in zip(s, base)):.2f}")
        for name, s in speeds.items()
    ]
    print(text_tables.markdown(("training", "tokens/s", "× plain PyTorch"), table, "lrr"))


def gpu(batch_sizes: list[int], steps: int) -> None:
    """Print the table for a GPU."""
    if not torch.cuda.is_available():
        raise SystemExit("torch_speed.py --gpu needs a GPU that PyTorch can use, but none was found")
    name = torch.cuda.get_device_name()
    peak = next((peak for part, peak in PEAKS.items() if part in name), None)
    count = num_params(GPT2, VOCAB)
    numbers = torch.randn(count, dtype=torch.float64).mul_(GPT2.init_std).numpy().tobytes()
    table = []
    engine: TorchEngine | None = None
    for batch_size in batch_sizes:
        config = GPT2.replace(batch_size=batch_size)
        torch.compiler.reset()  # otherwise the second size is compiled with dynamic shapes, which are slower
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        try:
            engine = TorchEngine(array("d", numbers), config, VOCAB, precision="bfloat16", compile=True)
            rng = random.Random(1)
            length = GPT2.block_size + 1
            batches = [[array("i", rng.choices(range(VOCAB), k=length)) for _ in range(batch_size)]] * steps
            rates = [GPT2.learning_rate] * steps
            engine.train(batches[:3], rates)
            began = time.perf_counter()
            engine.train(batches, rates)
            speed = steps * batch_size * GPT2.block_size / (time.perf_counter() - began)
        except MemoryError:
            engine = None
            table.append((str(batch_size), "-", "-", "does not fit", "-"))
            continue
        used = f"{speed * training_flops(GPT2, VOCAB) / peak:.1%}" if peak else "-"
        memory = f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
        seconds = batch_size * GPT2.block_size / speed
        table.append((str(batch_size), f"{1e3 * seconds:.1f}", f"{speed:,.0f}", memory, used))
        engine = None  # free the memory for the next engine
    flops = training_flops(GPT2, VOCAB)
    print(f"{name}, torch {torch.__version__}; {count:,} parameters, {flops:.3g} flop per token\n")
    print(text_tables.markdown(("batch", "ms per step", "tokens/s", "memory", "MFU"), table, "rrrrr"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true", help="measure GPT-2's small size on this machine's GPU")
    parser.add_argument("--compile", action="store_true", help="on the CPU, add rows that use torch.compile")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20, help="time per row")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--batch-sizes", type=int, nargs="*", default=[4, 8, 16, 32, 64])
    parser.add_argument("--steps", type=int, default=20, help="steps to time on the GPU")
    options = parser.parse_args()
    if options.gpu:
        gpu(options.batch_sizes, options.steps)
    else:
        cpu(options.threads, options.seconds, options.rounds, options.compile)


if __name__ == "__main__":
    main()
