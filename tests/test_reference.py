"""reference.py: the published run bit for bit on every Python; and the properties of its parts."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference
from microgpt.reference import Value

from conftest import OURS, SOURCE, VERSIONS, clean_environment, golden, slow, whole

# Runs main() of the copied file, or its first steps, and prints what main() rounds or omits: every loss, and the final
# weights
WATCH = """
import array, hashlib, json, sys, time
sys.path.insert(0, ".")
import reference
losses, weights, steps = [], [], int(sys.argv[2])
class Enough(Exception):
    pass
backward, adam = reference.Value.backward, reference.adam
def watched_backward(self):
    losses.append(self.data)
    backward(self)
def watched_adam(params, *args, **options):
    adam(params, *args, **options)
    weights[:] = params
    if len(losses) == steps:
        raise Enough
reference.Value.backward, reference.adam = watched_backward, watched_adam
began = time.time()
try:
    reference.main(reference.documents(sys.argv[1]))
except Enough:
    pass
try:  # not ru_maxrss, which includes the memory of the process that started this one
    peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
except OSError:
    peak = 0.0  # unknown on this system
print(json.dumps({
    "losses": losses,
    "sha256": hashlib.sha256(array.array("d", [p.data for p in weights]).tobytes()).hexdigest(),
    "first8": [p.data for p in weights[:8]],
    "seconds": time.time() - began,
    "peak": peak,
}))
"""


def run_alone(python: str, names_file: Path, folder: Path, steps: int) -> tuple[dict[str, Any], list[str]]:
    """Run a copy of the file without the package; return (the facts of WATCH, the lines that main() prints).

    `steps` is the number of steps to train, 0 for all.
    """
    shutil.copy(SOURCE / "reference.py", folder)
    run = subprocess.run(
        [python, "-I", "-c", WATCH, str(names_file), str(steps)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, facts = run.stdout.splitlines()
    found = json.loads(facts)
    print(f"{python}: {found['seconds']:.1f} s, {found['peak']:.0f} MB")
    return found, lines


OTHERS = [version for version in VERSIONS if version != OURS]
PUBLISHED = [(OURS, 0), *[slow(version, 100) for version in OTHERS], *[whole(version, 0) for version in OTHERS]]


@pytest.mark.golden
@pytest.mark.parametrize(("python", "steps"), PUBLISHED, indirect=["python"])
def test_the_golden_run_is_reproduced_bit_for_bit(python: str, steps: int, names_file: Path, tmp_path: Path) -> None:
    published = golden("final")
    found, lines = run_alone(python, names_file, tmp_path, steps)
    assert len(found["losses"]) == (steps or published["num_steps"])
    assert [(i, a, b) for i, (a, b) in enumerate(zip(found["losses"], published["losses"])) if a != b] == []
    assert lines[:4] == ["num docs: 32033", "vocab size: 27", "num params: 4192", "step    1 / 1000 | loss 3.3660"]
    assert found["peak"] < 80, "megabytes"
    if steps:
        return
    assert found["first8"] == published["final_params_first8"]
    assert found["sha256"] == published["final_params_sha256"]
    assert lines[1003:1005] == ["", "--- inference ---"]
    assert lines[1005:] == [f"sample {i:2d}: {name}" for i, name in enumerate(published["samples"], 1)]


@pytest.mark.golden
@pytest.mark.slow
@pytest.mark.parametrize("python", ["pypy3"], indirect=True)
def test_pypy_comes_within_1e_9_of_the_published_run(python: str, names_file: Path, tmp_path: Path) -> None:
    found, lines = run_alone(python, names_file, tmp_path, 0)  # its powers differ in the last bits
    published = golden("final")
    assert found["losses"] == pytest.approx(published["losses"], rel=0, abs=1e-9)
    assert lines[1003:1005] == ["", "--- inference ---"]
    assert lines[1005:] == [f"sample {i:2d}: {name}" for i, name in enumerate(published["samples"], 1)]
    assert found["peak"] < 300, "megabytes"


def test_the_file_is_at_most_200_lines_of_standard_library() -> None:
    lines = (SOURCE / "reference.py").read_text().splitlines()
    assert len(lines) <= 200
    assert [line for line in lines if "import" in line.split()] == ["import gc, math, random, sys"]


def test_importing_does_no_work(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import microgpt.reference"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    assert (run.stdout, run.stderr, list(tmp_path.iterdir())) == (b"", b"", [])


@pytest.mark.parametrize("content", [None, b"caf\xe9\n", b" \n"])
def test_a_missing_or_unreadable_file_gives_one_line_and_status_2(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "input.txt").write_bytes(content)
    run = subprocess.run([sys.executable, SOURCE / "reference.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("cannot read 'input.txt' (")
    assert "names.txt" in run.stderr


def test_documents_are_the_lines_with_text(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbf emma \r\n\r\n\tolivia\n\n")
    assert reference.documents(file) == ["emma", "olivia"]


def test_bos_is_the_last_id_or_the_first() -> None:
    last, first = reference.Tokenizer("ba"), reference.Tokenizer("ba", bos_first=True)
    assert (last.encode("ab"), first.encode("ab")) == ([2, 0, 1, 2], [0, 1, 2, 0])
    assert last.decode(last.encode("ab")) == first.decode(first.encode("ab")) == "ab"


def test_a_number_used_twice_gets_both_gradients() -> None:
    a = Value(3.0)
    b = a + a
    (b * b).backward()  # (2 a)^2
    assert a.grad == 8 * 3.0


def expressions(a: Value, b: Value) -> dict[str, Value]:
    return {
        "add": a + b + 1.5,
        "mul": a * b * 2.0,
        "sub": a - b,
        "div": a / b,
        "neg": -a * b,
        "pow": a**3 * b**-0.5,
        "log": (a * b).log(),
        "exp": (a - b).exp(),
        "relu": (a - 0.5).relu() * b + (b - 100.0).relu(),
        "radd": 2.0 + a * b,
        "rmul": 2.0 * a * b,
        "mixed": ((a * b).exp() + (a + b).log() ** 2) / (a * a + 1e-5) ** 0.5,
    }


@pytest.mark.parametrize("name", list(expressions(Value(1.0), Value(1.0))))
def test_every_gradient_is_the_central_difference(name: str) -> None:
    def f(x: float, y: float) -> float:
        return float(expressions(Value(x), Value(y))[name].data)

    x, y, h = 1.3, 0.7, 1e-6
    a, b = Value(x), Value(y)
    expressions(a, b)[name].backward()
    assert a.grad == pytest.approx((f(x + h, y) - f(x - h, y)) / (2 * h), rel=1e-7, abs=1e-8)
    assert b.grad == pytest.approx((f(x, y + h) - f(x, y - h)) / (2 * h), rel=1e-7, abs=1e-8)


def small_model(n_layer: int, n_embd: int = 8, block_size: int = 16, seed: int = 1) -> dict[str, list[list[Value]]]:
    rng = random.Random(seed)
    return reference.init(reference.shapes(27, n_embd, n_layer, block_size), rng, 0.3)


def test_the_gradients_of_parameters_are_central_differences() -> None:
    state_dict = small_model(n_layer=2, n_embd=4, block_size=4)
    tokens = [26, 4, 12, 12, 0, 26]

    def loss() -> Value:
        return reference.loss(tokens, state_dict, 2, 2, 4)

    loss().backward()
    rng = random.Random(0)
    params = [p for matrix in state_dict.values() for row in matrix for p in row]
    for p in rng.sample([p for p in params if p.grad], 60):
        value, h = p.data, 1e-6
        p.data = value + h
        above = loss().data
        p.data = value - h
        below = loss().data
        p.data = value
        assert p.grad == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-8)


def test_pytorch_finds_the_same_loss_and_gradients() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    n_layer, n_head, n_embd, block_size = 2, 4, 16, 8
    state_dict = small_model(n_layer, n_embd, block_size)
    tokens = [26, 18, 14, 15, 7, 8, 0, 26]
    loss = reference.loss(tokens, state_dict, n_layer, n_head, block_size)
    loss.backward()
    w = {
        name: torch.tensor([[p.data for p in row] for row in matrix], dtype=torch.float64, requires_grad=True)
        for name, matrix in state_dict.items()
    }

    def norm(x):  # type: ignore[no-untyped-def]
        return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt()

    functional = torch.nn.functional
    ids, targets = torch.tensor(tokens[:-1]), torch.tensor(tokens[1:])
    x = norm(w["wte"][ids] + w["wpe"][: len(ids)])
    for i in range(n_layer):
        h = norm(x)
        q, k, v = (
            (h @ w[f"layer{i}.attn_{n}"].T).view(len(ids), n_head, -1).transpose(0, 1) for n in ("wq", "wk", "wv")
        )
        attn = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + attn.transpose(0, 1).reshape(len(ids), n_embd) @ w[f"layer{i}.attn_wo"].T
        x = x + (norm(x) @ w[f"layer{i}.mlp_fc1"].T).relu() @ w[f"layer{i}.mlp_fc2"].T
    torch_loss = functional.cross_entropy(x @ w["lm_head"].T, targets)
    torch_loss.backward()
    assert loss.data == pytest.approx(torch_loss.item(), rel=1e-13)
    for name, matrix in state_dict.items():
        for row, expected in zip(matrix, w[name].grad.tolist()):
            assert [p.grad for p in row] == pytest.approx(expected, rel=1e-9, abs=1e-13), name


@pytest.mark.parametrize("length", [3, whole(15)])
def test_a_deep_model_trains_where_recursion_fails(length: int) -> None:
    state_dict = small_model(n_layer=8, n_embd=16)
    tokens = [26, *range(length), 26]
    loss = reference.loss(tokens, state_dict, 8, 4, 16)

    def depth_first(node: Value | None, seen: set[Value]) -> None:
        if node is not None and node not in seen:
            seen.add(node)
            depth_first(node.a, seen)
            depth_first(node.b, seen)

    with pytest.raises(RecursionError):
        depth_first(loss, set())
    loss.backward()
    params = [p for matrix in state_dict.values() for row in matrix for p in row]
    assert sum(p.grad != 0 for p in params) > len(params) / 2
    before = loss.data
    reference.adam(params, [0.0] * len(params), [0.0] * len(params), 1, 0.001, 0.85, 0.99, 1e-8)
    assert reference.loss(tokens, state_dict, 8, 4, 16).data < before


def test_the_future_does_not_reach_the_past() -> None:
    state_dict = small_model(n_layer=1)

    def logits(tokens: list[int]) -> list[list[float]]:
        keys, values = [[]], [[]]  # type: ignore[var-annotated]
        return [[x.data for x in reference.gpt(t, i, keys, values, state_dict, 4)] for i, t in enumerate(tokens)]

    assert logits([26, 1, 2, 3])[:3] == logits([26, 1, 2, 9])[:3]


def test_init_draws_in_the_order_of_the_table() -> None:
    shapes = reference.shapes(27, 16, 1, 16)
    state_dict = reference.init(shapes, random.Random(7), 0.5)
    rng = random.Random(7)
    flat = [p.data for matrix in state_dict.values() for row in matrix for p in row]
    assert flat == [rng.gauss(0, 0.5) for _ in flat]
    assert {name: (len(matrix), len(matrix[0])) for name, matrix in state_dict.items()} == shapes
    assert len(flat) == 4192


@pytest.mark.golden
def test_the_golden_initial_weights_are_drawn_after_the_shuffle(names_file: Path) -> None:
    rng = random.Random(42)
    docs = reference.documents(names_file)
    rng.shuffle(docs)
    state_dict = reference.init(reference.shapes(27, 16, 1, 16), rng, 0.08)
    flat = array("d", (p.data for matrix in state_dict.values() for row in matrix for p in row))
    assert hashlib.sha256(flat.tobytes()).hexdigest() == golden("final")["init_params_sha256"]
