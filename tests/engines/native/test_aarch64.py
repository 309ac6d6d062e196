"""The kernel on another processor: compiled for aarch64 with NEON vectors, and run under qemu.

With Debian's glibc for aarch64, `exact` must equal this machine's numbers bit for bit, because exp, log and pow are the
same code. Without it the program is linked with musl, whose functions differ in the last bits; then the tolerance is
1e-12.
"""

from __future__ import annotations

import importlib.util
import platform
import random
import re
import runpy
import shutil
import struct
import subprocess
import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from microgpt.activations import ACTIVATIONS
from microgpt.config import PRESETS, Config, init
from microgpt.data.loading import load
from microgpt.engines.native.engine import PRECISIONS, NativeEngine, kernel

from conftest import ROOT, golden, whole

GLIBC = Path("/usr/aarch64-linux-gnu")  # from the package libc6-arm64-cross

Batches = Sequence[Sequence[Sequence[int]]]


class Program(NamedTuple):
    """The program kernel_driver.c with the kernel, compiled for aarch64."""

    command: list[str]
    vectors: dict[str, int]  # precision -> number of instructions that multiply or add whole vectors
    tolerance: float  # the largest allowed difference of `exact` from this machine's numbers


pytestmark = [pytest.mark.slow, pytest.mark.together]


# Optimized as in a wheel, the program takes minutes to compile
OPTIMIZATIONS = {"unoptimized": ["-O0", "-fno-sanitize=undefined"], "optimized": []}


def compile_driver(folder: Path, target: str, link: Sequence[str], optimization: Sequence[str]) -> None:
    """Compile the program, and keep the assembly of each precision."""
    build = runpy.run_path(str(ROOT / "hatch_build.py"))
    zig = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        target,
        "-g0",
        "-Wno-pass-failed",
        *build["FLAGS"],
        *optimization,
    ]
    assembly = {precision: folder / f"{precision}.s" for precision in build["PRECISIONS"]}
    source = str(build["KERNEL"] / "net.c")
    compilations = [  # in parallel: they take a while
        subprocess.Popen([*zig, *flags, "-DISA=plain", "-S", source, "-o", str(assembly[precision])])
        for precision, flags in build["PRECISIONS"].items()
    ]
    assert [compilation.wait() for compilation in compilations] == [0, 0]
    driver = [
        f"-I{build['KERNEL']}",
        "-DHAVE_plain",
        str(ROOT / "tests" / "engines" / "native" / "kernel_driver.c"),
        str(build["KERNEL"] / "sample.c"),
        *map(str, assembly.values()),
    ]
    subprocess.run([*zig, *driver, "-lm", "-pthread", *link, "-o", str(folder / "driver")], check=True)


@pytest.fixture(scope="module", params=["unoptimized", whole("optimized")])
def program(made_once: Callable[..., Path], request: pytest.FixtureRequest) -> Program:
    try:
        kernel()
    except ImportError as error:
        pytest.skip(f"{error} (python hatch_build.py builds it)")
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not qemu or not importlib.util.find_spec("ziglang"):
        pytest.skip("qemu-aarch64 (Debian's qemu-user) and `pip install ziglang` are needed for the kernel on NEON")
    same_libm = (GLIBC / "lib" / "libm.so.6").exists() and platform.libc_ver()[0] == "glibc"
    target = "aarch64-linux-gnu.2.31" if same_libm else "aarch64-linux-musl"
    link, optimization = [] if same_libm else ["-static"], OPTIMIZATIONS[request.param]
    folder = made_once(f"aarch64-{request.param}", lambda folder: compile_driver(folder, target, link, optimization))
    return Program(
        command=[qemu, *(["-L", str(GLIBC)] if same_libm else []), str(folder / "driver")],
        vectors={
            name: len(re.findall(r"\tf(?:mul|add|mla)\tv\d+\.(?:2d|4s)", (folder / f"{name}.s").read_text()))
            for name in PRECISIONS
        },
        tolerance=0.0 if same_libm else 1e-12,
    )


def numbers(engine: NativeEngine, batches: Batches, rates: Sequence[float]) -> dict[str, list[float]]:
    """Return what the driver writes, in its order: the first step, then the others in one call, then the logits."""
    found = {"first loss": [engine.backward(batches[0])], "grads": list(engine.grads)}
    engine.update(rates[0])
    found["params after the first step"] = list(engine.params)
    found["losses"] = engine.train(batches[1:], rates[1:])
    found |= {name: list(getattr(engine, name)) for name in ("params", "m", "v")}
    tokens = batches[0][0][: engine.config.block_size]
    found["logits"] = [logit for row in engine.logits(tokens) for logit in row]
    return found


def on_aarch64(
    program: Program, engine: NativeEngine, batches: Batches, rates: Sequence[float], threads: int = 1
) -> array[float]:
    """Return the driver's output for a run that begins with this engine's parameters."""
    c = engine.config
    documents = [tokens for batch in batches for tokens in batch]
    text = [token for tokens in documents for token in tokens]
    sizes = (c.n_embd, c.n_head, c.n_layer, c.block_size, engine.vocab_size, list(ACTIVATIONS).index(c.activation))
    counts = (engine.precision == "exact", len(batches), len(documents), len(text), len(engine.params))
    head = struct.pack("@5i0d6i5di0d", *counts, *sizes, c.beta1, c.beta2, c.eps_adam, c.weight_decay, c.clip, threads)
    columns: list[Any] = [engine.params, array("d", rates)]
    columns += [array("i", column) for column in (map(len, batches), map(len, documents), text)]
    run = head + b"".join(column.tobytes() for column in columns)
    return array("d", subprocess.run(program.command, input=run, stdout=subprocess.PIPE, check=True).stdout)


def assert_same(expected: dict[str, list[float]], got: array[float], tolerance: Callable[[str], float]) -> None:
    """Compare each name within its tolerance; on failure show the largest difference and the first five pairs."""
    assert len(got) == sum(map(len, expected.values()))
    rest = iter(got)
    for name, numbers in expected.items():
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(numbers, islice(rest, len(numbers))))]
        pairs = [(i, a, b) for i, a, b in pairs if not abs(a - b) <= tolerance(name)]
        largest = max((abs(a - b) for _, a, b in pairs), default=0.0)
        assert not pairs, f"{name}: {len(pairs)} of {len(numbers)} differ, by at most {largest}: {pairs[:5]}"


def published_run(names_file: Path, steps: int) -> tuple[array[float], Batches, list[float]]:
    config = PRESETS["final"]
    data, rng = load(str(names_file)), random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    params = init(config, data.vocab_size, rng)
    batches = [[data.sequence(order[step])[: config.block_size + 1]] for step in range(steps)]
    return params, batches, [config.learning_rate * (1 - step / config.num_steps) for step in range(steps)]


@pytest.mark.parametrize("steps", [40, whole(1000)])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_neon_repeats_the_published_losses(program: Program, names_file: Path, precision: str, steps: int) -> None:
    params, batches, rates = published_run(names_file, steps)
    engine = NativeEngine(params, PRESETS["final"], 27, precision=precision)
    got = on_aarch64(program, engine, batches, rates)
    after_first = 1 + 2 * len(params)
    losses = [got[0], *got[after_first : after_first + len(rates) - 1]]
    allowed = program.tolerance if precision == "exact" else 1e-5
    assert losses == pytest.approx(golden("final")["losses"][: len(rates)], rel=0, abs=allowed)
    if precision == "exact":
        assert_same(numbers(engine, batches, rates), got, lambda name: program.tolerance)


SIZES = {  # config, documents per batch, steps
    "standard": (Config(), 1, 20),
    "relu2, batches": (Config(activation="relu2"), 6, 8),
    "odd": (Config(n_embd=15, n_head=3, block_size=7, n_layer=2), 3, 8),
    "one": (Config(n_embd=1, n_head=1, block_size=1), 2, 4),
    "wide": (Config(n_embd=64, n_layer=2), 8, 4),
    "wider": (Config(n_embd=128), 2, 3),
}
RATE = 0.001


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("config", "batch_size", "steps"), SIZES.values(), ids=SIZES)
def test_neon_computes_the_same_as_this_processor(
    program: Program, precision: str, config: Config, batch_size: int, steps: int
) -> None:
    rng = random.Random(3)
    batches = [
        [[rng.randrange(27) for _ in range(rng.randint(2, 20))] for _ in range(batch_size)] for _ in range(steps)
    ]
    rates = [RATE] * steps
    engine = NativeEngine(init(config, 27, rng), config, 27, precision=precision)
    got = on_aarch64(program, engine, batches, rates)
    assert on_aarch64(program, engine, batches, rates, threads=3) == got

    def tolerance(name: str) -> float:
        if precision == "exact":
            return program.tolerance
        # Adam moves a weight by up to the learning rate in either direction, even if its gradient is rounding noise
        return RATE if name.startswith("params") else 1e-4

    assert_same(numbers(engine, batches, rates), got, tolerance)


def test_the_kernel_is_made_of_neon_instructions(program: Program) -> None:
    assert min(program.vectors.values()) > 300, program.vectors
