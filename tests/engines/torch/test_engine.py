"""The torch engine against the scalar one: losses, gradients and updates in every precision."""

from __future__ import annotations

import math
import os
import random
import shutil
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.config import PRESETS, Config, init, offsets, shapes
from microgpt.data.loading import load
from microgpt.engines.base import Engine
from microgpt.engines.scalar import ScalarEngine

from conftest import TINY, examples, golden, models

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from microgpt.engines.torch import engine as torch_engine  # noqa: E402  (needs torch)
from microgpt.engines.torch.engine import TorchEngine  # noqa: E402  (needs torch)

from engines.torch.cases import DOCUMENTS, WIDE, assert_close, every_precision  # noqa: E402  (needs torch)

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@settings(max_examples=examples(100))
@given(models(), st.sampled_from([None, 5]))
def test_float64_gives_the_losses_gradients_and_logits_of_the_reference(model: Any, total: int | None) -> None:
    config, vocab_size, batches, seed = model
    params = init(config, vocab_size, random.Random(seed))
    scalar = ScalarEngine(array("d", params), config, vocab_size)
    engine = TorchEngine(array("d", params), config, vocab_size, precision="float64")
    for batch in batches:
        assert_close("loss", [scalar.backward(batch, total)], [engine.backward(batch, total)], 1e-12)
        assert_close("grads", scalar.grads, engine.grads, 1e-12)
    tokens = batches[0][0][: config.block_size]
    for expected, got in zip(scalar.logits(tokens), engine.logits(tokens)):
        assert_close("logits", expected, got, 1e-12)
    documents = [tokens for batch in batches for tokens in batch]
    assert_close("losses", list(scalar.losses(documents)), list(engine.losses(documents)), 1e-12)


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_weight_decay_is_that_of_torchs_own_adamw(precision: str) -> None:
    config = TINY.replace(weight_decay=3.0)
    engine = TorchEngine(init(config, 3, random.Random(3)), config, 3, precision=precision)
    dtype = getattr(torch, precision)
    where = offsets(shapes(config, 3))["layer0.mlp_fc1"]
    matrix = torch.tensor(engine.params[where], dtype=dtype, requires_grad=True)
    betas = (config.beta1, config.beta2)
    adamw = torch.optim.AdamW([matrix], lr=1, betas=betas, eps=config.eps_adam, weight_decay=config.weight_decay)
    for rate in (0.1, 0.05, 0.2):
        engine.backward([[2, 0, 1, 2]])
        matrix.grad = torch.tensor(engine.grads[where], dtype=dtype)
        adamw.param_groups[0]["lr"] = rate
        adamw.step(), engine.update(rate)
        assert_close("params", matrix.tolist(), engine.params[where], {"float64": 1e-14, "float32": 1e-6}[precision])


@given(seed=st.integers(0, 2**32), weight_decay=st.sampled_from([0.0, 0.3, 9.0]))
def test_an_update_equals_the_scalar_one_for_any_numbers(seed: int, weight_decay: float) -> None:
    rng, config = random.Random(seed), TINY.replace(weight_decay=weight_decay)
    scalar = ScalarEngine(init(config, 3, rng), config, 3)
    engine = TorchEngine(array("d", scalar.params), config, 3, precision="float64")
    length = len(scalar.params)
    grads = array("d", (rng.choice([0, 1, 1]) * rng.gauss(0, 1) * 10.0 ** rng.randint(-6, 3) for _ in range(length)))
    m, v = array("d", grads[::-1]), array("d", (g * g for g in grads))
    for each in (scalar, engine):
        each.grads, each.m, each.v, each.step = array("d", grads), array("d", m), array("d", v), 3
        each.update(0.1)
    for name in ("params", "m", "v"):
        assert_close(name, getattr(scalar, name), getattr(engine, name), 1e-13)
    assert engine.step == 4
    assert not any(engine.grads)


def published_run(names_file: object, preset: str, **options: Any) -> tuple[TorchEngine, list[float]]:
    config = PRESETS[preset]
    data = load(str(names_file), bos_first=config.bos_first)
    rng = random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    engine = TorchEngine(init(config, data.vocab_size, rng), config, data.vocab_size, **options)
    rates = [config.learning_rate * (1 - step / config.num_steps) for step in range(config.num_steps)]
    batches = [[data.sequence(order[step % len(order)])] for step in range(config.num_steps)]
    return engine, engine.train(batches, rates)


@pytest.mark.golden
@pytest.mark.parametrize("preset", list(PRESETS))
def test_float64_repeats_the_published_runs(preset: str, names_file: object) -> None:
    engine, losses = published_run(names_file, preset, precision="float64")
    assert_close("losses", golden(preset)["losses"], losses, 1e-9)
    assert engine.step == PRESETS[preset].num_steps


@pytest.mark.golden
def test_float32_stays_within_1e_5_of_the_published_losses(names_file: object) -> None:
    _, losses = published_run(names_file, "final")
    assert losses == pytest.approx(golden("final")["losses"], rel=0, abs=1e-5)


@pytest.mark.golden
def test_bfloat16_learns_as_well_as_the_published_run(names_file: object) -> None:
    _, losses = published_run(names_file, "final", precision="bfloat16")
    expected = golden("final")["losses"]
    assert abs(sum(losses[-100:]) - sum(expected[-100:])) / 100 < 0.01


@pytest.mark.parametrize(("precision", "allowed"), [("float64", 1e-12), ("float32", 1e-4), ("bfloat16", 0.1)])
@pytest.mark.parametrize("config", [Config(), Config(activation="relu2"), WIDE, Config(n_embd=48, n_head=3)], ids=str)
def test_gradients_are_as_close_as_the_precision_allows(config: Config, precision: str, allowed: float) -> None:
    params = init(config, 27, random.Random(5))
    exact = TorchEngine(array("d", params), config, 27, precision="float64")
    engine = TorchEngine(array("d", params), config, 27, precision=precision)
    assert engine.backward(DOCUMENTS) == pytest.approx(exact.backward(DOCUMENTS), abs=allowed / 10)
    length = math.sqrt(sum(g * g for g in exact.grads))
    assert math.dist(exact.grads, engine.grads) < allowed * length


@every_precision
def test_padding_does_not_affect_loss_and_gradients(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    alone, together = (TorchEngine(array("d", params), WIDE, 27, precision=precision) for _ in range(2))
    short, long = [1, 2, 3], list(range(17))
    losses = [alone.backward([short], 2), alone.backward([long], 2)]
    assert together.backward([short, long]) == pytest.approx(sum(losses), rel=1e-2 if precision == "bfloat16" else 1e-6)
    allowed = {"float64": 1e-15, "float32": 1e-6, "bfloat16": 2e-2}[precision]
    assert_close("grads", alone.grads, together.grads, allowed)


@every_precision
def test_train_equals_a_loop_of_backward_and_update(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    loop, bulk = (TorchEngine(array("d", params), WIDE, 27, precision=precision) for _ in range(2))
    batches = [DOCUMENTS[:1], DOCUMENTS[1:9], DOCUMENTS[9:10], DOCUMENTS[10:40]]
    expected = []
    for batch in batches:
        expected.append(loop.backward(batch))
        loop.update(0.01)
    assert bulk.train(batches, [0.01] * 4) == expected
    assert (bulk.params, bulk.m, bulk.v, bulk.grads, bulk.step) == (loop.params, loop.m, loop.v, loop.grads, 4)


@pytest.mark.parametrize("size", [1, 3, 8, 50])
@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_accumulated_micro_batches_equal_those_of_the_base_class(size: int, clip: float) -> None:
    """The engine sums the losses on the device; the loop of the base class fetches each of them."""
    config = WIDE.replace(clip=clip)
    params = init(config, 27, random.Random(5))
    engine, loop = (TorchEngine(array("d", params), config, 27, precision="float64") for _ in range(2))
    batches, rates = [DOCUMENTS[:8], DOCUMENTS[8:15]], [0.01, 0.02]
    losses = engine.train(batches, rates, size)
    assert losses == pytest.approx(Engine.train(loop, batches, rates, size), rel=1e-15)
    assert_close("params", loop.params, engine.params, 1e-15)


def test_deterministic_also_configures_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUBLAS_WORKSPACE_CONFIG PyTorch refuses every product on a GPU."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        TorchEngine(init(TINY, 27, random.Random(5)), TINY, 27, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_train_adds_to_existing_gradients() -> None:
    params = init(TINY, 27, random.Random(5))
    loop, bulk = (TorchEngine(array("d", params), TINY, 27) for _ in range(2))
    for engine in (loop, bulk):
        engine.backward(DOCUMENTS[:2])
    loop.backward(DOCUMENTS[2:3])
    loop.update(0.01)
    bulk.train([DOCUMENTS[2:3]], [0.01])
    assert (loop.params, loop.m, loop.v) == (bulk.params, bulk.m, bulk.v)


@every_precision
@pytest.mark.parametrize("at_once", [1, 10_000, 1 << 22])
def test_many_documents_have_the_losses_of_each_alone(
    monkeypatch: pytest.MonkeyPatch, precision: str, at_once: int
) -> None:
    """The losses come in the order of the documents, even if only few numbers may be computed at once."""
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision=precision)
    alone = list(Engine.losses(engine, DOCUMENTS))
    sizes: list[int] = []
    forward = engine.model.forward

    def watched(tokens: Any) -> Any:
        sizes.append(tokens.numel())
        return forward(tokens)

    monkeypatch.setattr(engine.model, "forward", watched)
    monkeypatch.setattr(torch_engine, "AT_ONCE", at_once)
    together = list(engine.losses(DOCUMENTS))
    assert_close("losses", alone, together, {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.02}[precision])
    room = at_once // (4 * WIDE.n_embd)
    assert max(sizes) <= max(room, WIDE.block_size)
    assert (len(sizes) == len(DOCUMENTS)) is (at_once == 1)
    predicted = sum(min(len(document) - 1, WIDE.block_size) for document in DOCUMENTS)
    assert sum(sizes) < 1.3 * predicted or at_once == 1 << 22  # little padding


def test_documents_are_read_lazily(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "AT_ONCE", 10_000)
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    rest = iter(DOCUMENTS * 10)
    assert next(engine.losses(rest)) > 0
    assert len(list(rest)) > 9 * len(DOCUMENTS)


def test_writes_to_a_buffer_take_effect_and_training_keeps_the_buffer() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision="float64")
    params = engine.params
    engine.train([[[0, 1, 2]]], [0.1])
    trained = array("d", params)
    assert engine.params is params
    assert params != trained
    params[3] = 0.25
    assert engine.params[3] == 0.25
    before = engine.backward([[0, 1, 2]])
    engine.params[3] = 0.5
    assert engine.backward([[0, 1, 2]]) != before


def test_a_buffer_can_be_replaced() -> None:
    engine, other = (TorchEngine(init(TINY, 5, random.Random(seed)), TINY, 5) for seed in (1, 2))
    engine.params = array("d", other.params)
    assert engine.backward([[0, 1, 2]]) == other.backward([[0, 1, 2]])


def test_the_reported_memory_is_the_size_of_the_tensors() -> None:
    for precision, size in (("float32", 4), ("float64", 8), ("bfloat16", 4)):
        engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision=precision)
        assert engine.memory == 4 * size * len(engine.params)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning:torch")  # torch uses its own deprecated functions
def test_a_compiled_model_gives_the_same_numbers() -> None:
    params = init(WIDE, 27, random.Random(5))
    plain, compiled = (
        TorchEngine(array("d", params), WIDE, 27, precision="float64", compile=flag) for flag in (False, True)
    )
    batches = [DOCUMENTS[:8], DOCUMENTS[8:16], DOCUMENTS[3:11]]
    assert_close("losses", plain.train(batches, [0.01] * 3), compiled.train(batches, [0.01] * 3), 1e-12)
    assert_close("params", plain.params, compiled.params, 1e-12)


@needs_cuda
@every_precision
def test_a_gpu_computes_the_same_as_the_cpu(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    cpu = TorchEngine(array("d", params), WIDE, 27, precision="float64", device="cpu")
    gpu = TorchEngine(array("d", params), WIDE, 27, precision=precision, device="cuda", deterministic=True)
    allowed = {"float64": 1e-12, "float32": 1e-4, "bfloat16": 0.1}[precision]
    assert gpu.backward(DOCUMENTS) == pytest.approx(cpu.backward(DOCUMENTS), abs=allowed)
    assert math.dist(cpu.grads, gpu.grads) < allowed * math.hypot(*cpu.grads)
    losses = gpu.train([DOCUMENTS[:8], DOCUMENTS[8:16]] * 5, [0.01] * 10)
    assert losses == pytest.approx(cpu.train([DOCUMENTS[:8], DOCUMENTS[8:16]] * 5, [0.01] * 10), abs=allowed)


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_the_condition_has_the_gradient_norm_before_clipping(clip: float) -> None:
    config = WIDE.replace(clip=clip)
    engine = TorchEngine(init(config, 27, random.Random(5)), config, 27, precision="float64")
    other = TorchEngine(init(config, 27, random.Random(5)), config, 27, precision="float64")
    assert "grad_norm" not in engine.diagnostics()
    engine.train([DOCUMENTS[:4]], [0.01])
    other.backward(DOCUMENTS[:4])
    assert engine.diagnostics()["grad_norm"] == pytest.approx(math.hypot(*other.grads), rel=1e-12)
    assert engine.diagnostics()["grad_norm"] > 0.1


def test_clipping_agrees_with_pytorch() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision="float64")
    engine.backward(DOCUMENTS)
    weights = [torch.nn.Parameter(p.detach().clone()) for p in engine.model.parameters()]
    for weight, parameter in zip(weights, engine.model.parameters()):
        weight.grad = parameter.grad.clone()
    norm = torch.nn.utils.clip_grad_norm_(weights, 0.3)
    assert engine.clip(0.3) == pytest.approx(norm.item(), rel=1e-12)
    for weight, parameter in zip(weights, engine.model.parameters()):
        assert torch.allclose(weight.grad, parameter.grad, rtol=1e-5, atol=0)  # it divides by the norm + 1e-6
