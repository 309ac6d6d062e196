"""The torch engine against the scalar and the native one; what it does with buffers, streams and mistakes."""

from __future__ import annotations

import math
import os
import random
import shutil
import statistics
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt.config import PRESETS, Config, init, offsets, shapes
from microgpt.data.loading import load
from microgpt.engines.base import Engine
from microgpt.engines.choose import class_of
from microgpt.engines.scalar import ScalarEngine
from microgpt.runs import run as run_module
from microgpt.runs.checkpoint import load as load_checkpoint
from microgpt.runs.folder import Folder
from microgpt.runs.run import Run

from conftest import ROOT, TINY, clean_environment, golden, models

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'microgpt-lab[torch]'")

from microgpt.engines.torch import decoding  # noqa: E402  (needs torch)
from microgpt.engines.torch import engine as torch_engine  # noqa: E402
from microgpt.engines.torch.engine import PRECISIONS, TorchEngine  # noqa: E402
from microgpt.engines.torch.model import Memory, Model  # noqa: E402

torch.set_num_threads(1)  # the models are small, and the machine may be busy
every_precision = pytest.mark.parametrize("precision", PRECISIONS)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
DOCUMENTS = [[random.Random(i).randrange(27) for _ in range(2 + i % 17)] for i in range(40)]
WIDE = Config(n_embd=64, n_head=4, n_layer=2)


def assert_close(name: str, expected: Any, got: Any, allowed: float) -> None:
    """No number is off by more than `allowed` times the largest, or times 1; else the five furthest pairs."""
    assert len(expected) == len(got)
    largest = max([1.0, *map(abs, expected)])
    pairs = sorted(((abs(a - b), i, a, b) for i, (a, b) in enumerate(zip(expected, got))), reverse=True)
    beyond = [pair for pair in pairs if not pair[0] <= allowed * largest]
    assert not beyond, f"{name}: {len(beyond)} of {len(got)} are off: {beyond[:5]}"


@settings(max_examples=100)
@given(models(), st.sampled_from([None, 5]))
def test_float64_gives_the_reference_s_losses_gradients_and_logits(model: Any, total: int | None) -> None:
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


@given(seed=st.integers(0, 2**32))
def test_one_update_is_the_scalar_one_whatever_the_numbers(seed: int) -> None:
    rng = random.Random(seed)
    scalar = ScalarEngine(init(TINY, 3, rng), TINY, 3)
    engine = TorchEngine(array("d", scalar.params), TINY, 3, precision="float64")
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
def test_float32_stays_within_a_hundred_thousandth_of_the_published_losses(names_file: object) -> None:
    _, losses = published_run(names_file, "final")
    assert losses == pytest.approx(golden("final")["losses"], rel=0, abs=1e-5)


@pytest.mark.golden
def test_bfloat16_learns_what_the_published_run_learns(names_file: object) -> None:
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


def test_the_parameters_bear_the_reference_s_names_and_shapes() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    named = {name: tuple(parameter.shape) for name, parameter in engine.model.named_parameters()}
    assert named == shapes(WIDE, 27)
    assert list(engine.model.state_dict()) == list(named)


def test_autograd_leaves_each_gradient_under_its_parameter_s_name() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision="float64")
    engine.backward(DOCUMENTS)
    grads = dict(engine.model.named_parameters())
    flat = torch.cat([grads[name].grad.flatten() for name in shapes(WIDE, 27)])
    assert flat.tolist() == list(engine.grads)
    assert all(parameter.grad.abs().sum() > 0 for parameter in grads.values())


@every_precision
def test_padding_does_not_weigh(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    alone, beside = (TorchEngine(array("d", params), WIDE, 27, precision=precision) for _ in range(2))
    short, long = [1, 2, 3], list(range(17))
    losses = [alone.backward([short], 2), alone.backward([long], 2)]
    assert beside.backward([short, long]) == pytest.approx(sum(losses), rel=1e-2 if precision == "bfloat16" else 1e-6)
    allowed = {"float64": 1e-15, "float32": 1e-6, "bfloat16": 2e-2}[precision]
    assert_close("grads", alone.grads, beside.grads, allowed)


@every_precision
def test_train_is_backward_and_update_again_and_again(precision: str) -> None:
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
def test_accumulated_parts_in_one_call_are_those_of_the_contract(size: int, clip: float) -> None:
    """The engine adds the losses up where they are computed; the contract's own loop asks for each."""
    config = WIDE.replace(clip=clip)
    params = init(config, 27, random.Random(5))
    ours, loop = (TorchEngine(array("d", params), config, 27, precision="float64") for _ in range(2))
    batches, rates = [DOCUMENTS[:8], DOCUMENTS[8:15]], [0.01, 0.02]
    losses = ours.train(batches, rates, size)
    assert losses == pytest.approx(Engine.train(loop, batches, rates, size), rel=1e-15)
    assert_close("params", loop.params, ours.params, 1e-15)


@pytest.mark.parametrize("aligned", [64, 32])
def test_rows_that_tensor_cores_ask_for_change_no_number(aligned: int) -> None:
    """On a GPU lm_head is multiplied with rows of zeros more; what they give is no logit, and gets no gradient."""
    params = init(WIDE, 27, random.Random(5))
    plain, wider = (TorchEngine(array("d", params), WIDE, 27, precision="float64") for _ in range(2))
    memory = Memory(wider._tensors["params"], wider._tensors["grads"], shapes(WIDE, 27))
    wider.model = Model(memory, WIDE, aligned)
    assert wider.model._more_rows == aligned - 27
    assert wider.backward(DOCUMENTS) == pytest.approx(plain.backward(DOCUMENTS), rel=1e-15)
    assert_close("grads", plain.grads, wider.grads, 1e-15)
    assert [len(row) for row in wider.logits([1, 2])] == [27, 27]


def test_deterministic_asks_cublas_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUBLAS_WORKSPACE_CONFIG PyTorch refuses every product on a GPU."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    try:
        TorchEngine(init(TINY, 27, random.Random(5)), TINY, 27, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_a_batch_that_no_memory_holds_is_refused_before_the_system_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that was computed has taken at least what the refusal says."""
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    kept: list[int] = []

    def keep(x: Any) -> Any:
        kept.append(x.numel() * x.element_size())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        engine.backward([DOCUMENTS[16]] * 8)
    needed = 8 * 16 * (12 * 2 * 64 + 2 * 27) * 4
    assert needed <= sum(kept) + 8 * 16 * 27 * 4  # the logits are there, but not kept
    monkeypatch.setattr("microgpt.engines.torch.engine.free_memory", lambda: 16 * needed)
    engine.backward([DOCUMENTS[16]] * 128)
    with pytest.raises(MemoryError, match=r"a batch of 129 documents, 2,064 tokens .* lower micro_batch_size"):
        engine.backward([DOCUMENTS[16]] * 129)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_ctrl_c_while_pytorch_is_loaded_is_neither_lost_nor_a_crash() -> None:
    """It is pressed where loading it is under way: at the first import of numpy or of one of its own parts."""
    program = """if True:
        import os, signal, sys

        class Pressed:
            def find_spec(self, name, *_):
                if name.startswith("torch.") and sys.meta_path[0] is self:
                    del sys.meta_path[0]
                    os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.meta_path.insert(0, Pressed())
        from microgpt.engines.choose import class_of
        try:
            class_of("torch")
            print("lost")
        except KeyboardInterrupt:
            print("stopped", "microgpt.engines.torch.engine" in sys.modules)
    """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=clean_environment())
    assert (ran.stdout, ran.returncode) == ("stopped True\n", 0), ran.stderr


def test_a_handler_of_ctrl_c_that_python_cannot_put_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python runs inside another program, the handler may be that program's."""
    monkeypatch.setattr("signal.getsignal", lambda _: None)
    monkeypatch.setattr("signal.signal", lambda *_: pytest.fail("it was replaced"))
    assert class_of("torch") is torch_engine.TorchEngine


def test_train_adds_to_gradients_that_were_there() -> None:
    params = init(TINY, 27, random.Random(5))
    loop, bulk = (TorchEngine(array("d", params), TINY, 27) for _ in range(2))
    for engine in (loop, bulk):
        engine.backward(DOCUMENTS[:2])
    loop.backward(DOCUMENTS[2:3])
    loop.update(0.01)
    bulk.train([DOCUMENTS[2:3]], [0.01])
    assert (loop.params, loop.m, loop.v) == (bulk.params, bulk.m, bulk.v)


# --- Losses


@every_precision
@pytest.mark.parametrize("at_once", [1, 10_000, 1 << 22])
def test_many_documents_cost_what_each_costs_alone(
    monkeypatch: pytest.MonkeyPatch, precision: str, at_once: int
) -> None:
    """However few numbers there may be at once, the losses come in the order of the documents."""
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


def test_documents_are_read_as_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_engine, "AT_ONCE", 10_000)
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    rest = iter(DOCUMENTS * 10)
    assert next(engine.losses(rest)) > 0
    assert len(list(rest)) > 9 * len(DOCUMENTS)


@every_precision
def test_held_out_losses_are_told_during_training(precision: str) -> None:
    config = Config(n_embd=8, n_head=2, num_steps=20)
    found = {}
    for engine, how in (("scalar", None), ("torch", precision)):
        run = Run.begin(WORDS, config, engine=engine, precision=how, val_fraction=0.3, validate_every=10)
        found[engine] = [step.val_loss for step in run if step.val_loss is not None]
        assert run.evaluate(num_samples=0).scores["model"].loss == pytest.approx(found[engine][-1], rel=1e-6)
    assert len(found["torch"]) == 2
    allowed = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 0.05}[precision]
    assert found["torch"] == pytest.approx(found["scalar"], rel=0, abs=allowed)


# --- The buffers


def test_what_its_owner_writes_to_a_buffer_counts_and_training_copies_none() -> None:
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


# --- Streams


@every_precision
def test_many_streams_give_what_each_gives_alone(precision: str) -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision=precision)
    rows = [document[:6] for document in DOCUMENTS if len(document) >= 6]
    streams = engine.streams(len(rows))
    allowed = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.05}[precision]
    for _ in range(2):
        together = [streams.feed([row[position] for row in rows]) for position in range(6)]
        for i, row in enumerate(rows):
            for position, logits in enumerate(engine.logits(row)):
                assert_close("logits", logits, together[position][i], allowed)
        streams.rewind()


def test_a_decoder_keeps_the_parameters_of_its_moment() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision="float64")
    decoder, expected = engine.decoder(), engine.logits([1, 2])
    decoder.feed(1)
    engine.train([[[0, 1, 2]]], [0.1])
    assert_close("logits", expected[1], decoder.feed(2), 1e-14)


def test_a_new_decoder_has_the_parameters_of_its_own_moment() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision="float64")
    seen = [engine.decoder().feed(1)]
    engine.train([[[0, 1, 2]]], [0.1])
    seen.append(engine.decoder().feed(1))
    engine.params[5] += 0.25  # of wte[1], which is read
    seen.append(engine.decoder().feed(1))
    engine.draw_params(1)
    seen.append(engine.decoder().feed(1))
    assert seen[-1] == engine.decoder().feed(1)
    assert len({tuple(logits) for logits in seen}) == 4


# --- Mistakes


@every_precision
def test_a_loss_that_is_not_finite_ends_the_run_without_an_update(precision: str) -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision=precision)
    engine.train([[[0, 1, 2]]], [0.1])
    engine.params[3] = math.inf
    state = [array("d", each) for each in (engine.m, engine.v, engine.params)]
    losses = engine.train([[[0, 1, 2]]] * 3, [0.1] * 3)
    assert len(losses) == 1
    assert not math.isfinite(losses[0])
    assert engine.step == 1
    assert [engine.m, engine.v, engine.params] == state


MISTAKES: dict[str, tuple[Callable[[TorchEngine], Any], str]] = {
    "empty batch": (lambda e: e.backward([]), "batch must hold at least one document, got none"),
    "one token": (lambda e: e.backward([[1]]), r"document 0 of the batch must have at least two tokens, got \[1\]"),
    "large token": (lambda e: e.backward([[1, 5]]), "token_id must be from 0 to 4, got token_id=5"),
    "negative token": (lambda e: e.train([[[1, 2]], [[0, -1]]], [1, 1]), "got token_id=-1"),
    "decoded token": (lambda e: e.decoder().feed(5), "token_id must be from 0 to 4, got token_id=5"),
    "full context": (lambda e: e.logits([0] * 5), "the context is full: block_size=4"),
    "streams": (lambda e: e.streams(2).feed([1]), "token_ids must be one for each of 2 contexts, got 1"),
    "no stream": (lambda e: e.streams(0), "count must be from 1 to 65536, got count=0"),
    "short m": (lambda e: setattr(e, "m", array("d")), r"m must be an array\('d'\) of \d+ numbers"),
    "no precision": (
        lambda e: TorchEngine(e.params, TINY, 5, precision="half"),
        "precision must be one of float32, float64, bfloat16",
    ),
    "no device": (
        lambda e: TorchEngine(e.params, TINY, 5, device="abacus"),
        r"device must be one that is here for float32 \(.*cpu\), got device='abacus'",
    ),
}


@pytest.mark.parametrize(("act", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_an_exception(act: Callable[[TorchEngine], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act(TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5))


def test_the_steps_before_a_mistake_are_made() -> None:
    engine, other = (TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5) for _ in range(2))
    with pytest.raises(ValueError, match="token_id"):
        engine.train([[[1, 2]], [[1, 9]]], [0.1, 0.1])
    other.train([[[1, 2]]], [0.1])
    assert (engine.params, engine.step) == (other.params, 1)


def test_without_pytorch_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """A stand-in that cannot be imported hides the installed one."""
    (tmp_path / "torch.py").write_text("raise ImportError('no module of that name')\n")
    command = [sys.executable, "-m", "microgpt", "train", "--engine", "torch", "--out", str(tmp_path / "run")]
    environment = {**clean_environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"}
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    message = "the torch engine needs PyTorch: pip install 'microgpt-lab[torch]' (no module of that name)"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {message}\n")
    assert not (tmp_path / "run").exists()


def test_an_option_of_torch_is_refused_by_another_engine() -> None:
    message = (
        "device is no option of the scalar engine, got device='cpu': leave it out, or choose the torch engine"
        r" \(engine='torch', --engine torch\)"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Run.begin(WORDS, TINY, engine="scalar", device="cpu")


def test_what_does_not_fit_into_memory_says_what_to_lower() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5)
    with (
        pytest.raises(MemoryError, match=r"^a batch of 9 documents does not fit .*: lower micro_batch_size "),
        engine._enough_memory("a batch of 9 documents"),
    ):
        torch.empty(2**60)


def test_a_large_model_draws_its_own_first_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LARGE", 1000)
    config = Config(n_embd=48, n_head=4, n_layer=2, init_std=0.05, zero_init=True, seed=7)
    first, second = (Run.begin(WORDS, config, engine="torch", precision=p) for p in ("float32", "bfloat16"))
    assert first.engine.params == second.engine.params
    table = offsets(shapes(config, first.engine.vocab_size))
    for name, where in table.items():
        numbers = first.engine.params[where]
        assert statistics.fmean(numbers) == pytest.approx(0, abs=0.01)
        std = 0.0 if name.endswith(("attn_wo", "mlp_fc2")) else 0.05
        assert statistics.pstdev(numbers) == pytest.approx(std, rel=0.1)
    other = Run.begin(WORDS, config.replace(seed=8), engine="torch")
    assert other.engine.params != first.engine.params


def test_an_engine_that_cannot_draw_has_python_s_parameters_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Run.begin(WORDS, TINY, engine="scalar")
    monkeypatch.setattr(run_module, "LARGE", 10)
    large = Run.begin(WORDS, TINY, engine="scalar")
    assert large.engine.params == small.engine.params
    assert large.rng.getstate() == small.rng.getstate()


def test_the_memory_that_is_told_is_what_the_tensors_take() -> None:
    for precision, size in (("float32", 4), ("float64", 8), ("bfloat16", 4)):
        engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision=precision)
        assert engine.memory == 4 * size * len(engine.params)


# --- In a run

WORDS = ["anna", "bob", "carla", "dora", "emil", "frida", "gerd", "hanna", "ida", "jan"]
SETTINGS = TINY.replace(n_embd=8, num_steps=24, batch_size=2)


def trained(path: Path, changes: list[tuple[int, dict[str, Any]]]) -> Run:
    """A run in a folder that goes on, from each of these steps, with another engine."""
    ends = [*(step for step, _ in changes[1:]), SETTINGS.num_steps]
    folder = Folder.create(path, Run.begin(WORDS, SETTINGS, **changes[0][1]))
    for (_, options), end in zip([*changes[1:], (0, {})], ends):
        for step in folder.train():
            if step.step == end:
                folder.save()
                break
        folder.close()
        if options:
            folder = Folder.resume(path, source=WORDS, **options)
    return Run.load(path, source=WORDS, engine="scalar")


SCALAR, NATIVE, TORCH = {"engine": "scalar"}, {"engine": "native"}, {"engine": "torch", "precision": "float64"}


@pytest.mark.parametrize(
    "engines", [[SCALAR, TORCH, SCALAR, TORCH], [TORCH, NATIVE, TORCH, NATIVE], [NATIVE, SCALAR, TORCH, SCALAR]]
)
def test_a_run_may_change_its_engine_at_any_resume(engines: list[dict[str, Any]], tmp_path: Path) -> None:
    for options in engines:
        if options["engine"] == "native":
            try:
                Run.begin(WORDS, SETTINGS, **options)
            except ImportError as error:
                pytest.skip(str(error))
    whole = trained(tmp_path / "whole", [(0, SCALAR)])
    run = trained(tmp_path / "run", list(zip((0, 7, 13, 20), engines)))
    assert run.step == whole.step == SETTINGS.num_steps
    for name in ("params", "m", "v"):
        assert_close(name, getattr(whole.engine, name), getattr(run.engine, name), 1e-11)
    assert run.rng.getstate() == whole.rng.getstate()
    assert run.sample(10, seed=3) == whole.sample(10, seed=3)


@every_precision
def test_a_checkpoint_keeps_as_many_bits_as_the_engine_has(precision: str, tmp_path: Path) -> None:
    options = {"engine": "torch", "precision": precision}
    whole = trained(tmp_path / "whole", [(0, options)])
    run = trained(tmp_path / "run", [(0, options), (13, options)])
    for name in ("params", "m", "v"):
        assert getattr(run.engine, name) == getattr(whole.engine, name)  # bit for bit
    kept = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert kept.dtype == ("F64" if precision == "float64" else "F32")
    assert kept.step == SETTINGS.num_steps


def test_a_checkpoint_keeps_all_bits_until_a_step_is_made(tmp_path: Path) -> None:
    run = Run.begin(WORDS, SETTINGS, engine="torch")
    begun = array("d", run.engine.params)
    run.save(tmp_path / "begun")
    assert load_checkpoint(tmp_path / "begun").params == begun
    next(run.steps())
    run.save(tmp_path / "on")
    assert load_checkpoint(tmp_path / "on").dtype == "F32"
    assert load_checkpoint(tmp_path / "on").params == run.engine.params


@pytest.mark.parametrize("many", [decoding.MANY, 0], ids=["drawn by Python", "drawn on the device"])
@pytest.mark.parametrize(
    "options",
    [{"temperature": 1.0}, {"temperature": 0.0}, {"top_k": 3}, {"prompt": "a"}, {"slide": True}, {"seed": None}],
    ids=str,
)
def test_float64_writes_what_the_other_engines_write(
    options: dict[str, Any], many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MANY", many)
    trained(tmp_path, [(0, SCALAR)])
    expected, found = (
        Run.load(tmp_path, source=WORDS, **engine).sample(70, **{"seed": 5, **options}) for engine in (SCALAR, TORCH)
    )
    assert found == expected


def test_of_equals_the_device_takes_the_lower_and_of_no_number_none() -> None:
    config = WIDE.replace(init_std=0.0)
    engine = TorchEngine(init(config, 27, random.Random(5)), config, 27)  # every logit is 0
    streams = engine.streams(2)
    assert streams._draw([1, 2], [0.0, 0.0], 0.0, None) == [0, 0]
    assert streams._draw([1, 2], [0.999, 0.5], 1.0, 4) == [3, 2]
    assert streams._draw([1, 2], [1.0, 0.0], 1.0, None) == [26, 0]
    engine.params[0] = math.nan
    with pytest.raises(FloatingPointError, match="train a new one"):
        engine.streams(1)._draw([0], [0.5], 1.0, None)


@pytest.fixture
def microgpt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str, str]]:
    """The command line, in a folder with words.txt."""
    from microgpt.cli import main as cli

    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("".join(f"{word}\n" for word in WORDS))

    def call(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main(line.split())
        return (status, *capsys.readouterr())

    return call


SIZES = "--n-embd 4 --n-head 2 --block-size 4 --num-steps 12 --batch-size 2"


@every_precision
def test_every_command_works_with_it(precision: str, microgpt: Callable[[str], tuple[int, str, str]]) -> None:
    torch_engine = f"--engine torch --precision {precision}"
    status, out, err = microgpt(f"train words.txt {SIZES} --val-fraction 0.2 --out run {torch_engine}")
    assert status == 0
    assert out.count("sample") == 20
    assert f"engine: torch {precision} on " in err
    assert microgpt(f"train --out run --resume --num-steps 15 {torch_engine}")[0] == 0
    assert microgpt("info run")[1].startswith("run: 15 of 15 steps\n")
    status, out, _ = microgpt(f"sample run -n 3 --seed 1 {torch_engine}")
    assert (status, out.count("sample")) == (0, 3)
    assert microgpt(f"evaluate run --num-samples 5 {torch_engine}")[0] == 0
    assert microgpt("plot run")[0] == 0
    assert microgpt(f"train words.txt {SIZES} --out other --micro-batch-size 1 --deterministic {torch_engine}")[0] == 0
    torch.use_deterministic_algorithms(False)


def test_float64_prints_the_samples_of_the_scalar_engine(microgpt: Callable[[str], tuple[int, str, str]]) -> None:
    _, expected, _ = microgpt(f"train words.txt {SIZES} --out run --engine scalar")
    assert microgpt(f"train words.txt {SIZES} --out other --engine torch --precision float64")[1] == expected
    sampled = microgpt("sample run --engine scalar -n 70")[1]
    assert microgpt("sample run --engine torch --precision float64 -n 70")[1] == sampled


def test_verify_finds_the_reference_in_it(microgpt: Callable[[str], tuple[int, str, str]]) -> None:
    for precision in ("float64", "float32"):
        status, out, _ = microgpt(f"verify --engine torch --precision {precision} --golden-steps 0")
        assert status == 0
        assert "within the tolerance" in out
    status, _, err = microgpt("verify --engine torch --precision bfloat16")
    assert (status, err) == (
        2,
        "error: precision must be one of exact, float64, float32, got precision='bfloat16'\n",
    )


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning:torch")  # what it uses of itself
def test_compiled_it_gives_the_same_numbers() -> None:
    params = init(WIDE, 27, random.Random(5))
    plain, compiled = (
        TorchEngine(array("d", params), WIDE, 27, precision="float64", compile=flag) for flag in (False, True)
    )
    batches = [DOCUMENTS[:8], DOCUMENTS[8:16], DOCUMENTS[3:11]]
    assert_close("losses", plain.train(batches, [0.01] * 3), compiled.train(batches, [0.01] * 3), 1e-12)
    assert_close("params", plain.params, compiled.params, 1e-12)


@needs_cuda
@every_precision
def test_a_gpu_computes_what_the_cpu_computes(precision: str) -> None:
    params = init(WIDE, 27, random.Random(5))
    cpu = TorchEngine(array("d", params), WIDE, 27, precision="float64", device="cpu")
    gpu = TorchEngine(array("d", params), WIDE, 27, precision=precision, device="cuda", deterministic=True)
    allowed = {"float64": 1e-12, "float32": 1e-4, "bfloat16": 0.1}[precision]
    assert gpu.backward(DOCUMENTS) == pytest.approx(cpu.backward(DOCUMENTS), abs=allowed)
    assert math.dist(cpu.grads, gpu.grads) < allowed * math.hypot(*cpu.grads)
    losses = gpu.train([DOCUMENTS[:8], DOCUMENTS[8:16]] * 5, [0.01] * 10)
    assert losses == pytest.approx(cpu.train([DOCUMENTS[:8], DOCUMENTS[8:16]] * 5, [0.01] * 10), abs=allowed)


@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_it_tells_the_norm_that_the_gradient_had(clip: float) -> None:
    config = WIDE.replace(clip=clip)
    engine = TorchEngine(init(config, 27, random.Random(5)), config, 27, precision="float64")
    other = TorchEngine(init(config, 27, random.Random(5)), config, 27, precision="float64")
    assert "grad_norm" not in engine.condition()
    engine.train([DOCUMENTS[:4]], [0.01])
    other.backward(DOCUMENTS[:4])
    assert engine.condition()["grad_norm"] == pytest.approx(math.hypot(*other.grads), rel=1e-12)
    assert engine.condition()["grad_norm"] > 0.1


def test_clipping_is_pytorch_s_own() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision="float64")
    engine.backward(DOCUMENTS)
    weights = [torch.nn.Parameter(p.detach().clone()) for p in engine.model.parameters()]
    for weight, parameter in zip(weights, engine.model.parameters()):
        weight.grad = parameter.grad.clone()
    norm = torch.nn.utils.clip_grad_norm_(weights, 0.3)
    assert engine.clip(0.3) == pytest.approx(norm.item(), rel=1e-12)
    for weight, parameter in zip(weights, engine.model.parameters()):
        assert torch.allclose(weight.grad, parameter.grad, rtol=1e-5, atol=0)  # it divides by the norm + 1e-6
