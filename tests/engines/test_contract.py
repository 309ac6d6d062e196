"""Every engine against the engine contract and the published runs."""

from __future__ import annotations

import math
import random
import sys
from array import array
from types import ModuleType, SimpleNamespace

import pytest

from microgpt import reference
from microgpt.config import PRESETS, SIZES, Config, init, offsets, shapes
from microgpt.data.documents import Data
from microgpt.data.loading import load
from microgpt.engines.base import Engine
from microgpt.engines.choose import ENGINES, open_engine, preference

from conftest import TINY, golden, whole

VOCAB = 6
# An engine's precision for comparison with the reference, and the tolerance: it may add in another order
PRECISION = {"torch": "float64"}
TOLERANCE = {"torch": 1e-13}
every_engine = pytest.mark.parametrize("name", list(ENGINES), indirect=True)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """The name of an engine; skips with the engine's own message if it is not available."""
    try:
        opened(request.param, TINY)
    except ImportError as error:
        pytest.skip(str(error))
    return str(request.param)


CONFIGS = {
    "tiny": TINY,
    "two layers": TINY.replace(n_layer=2),
    "one head": TINY.replace(n_head=1),
    "relu2": TINY.replace(activation="relu2", zero_init=True, bos_first=True),
    "wide": TINY.replace(n_embd=12, n_head=3, block_size=7),
}
every_config = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
BATCH = [[5, 0, 1, 5], [5, 4, 3, 2, 1, 0, 5], [5, 2, 5]]  # shorter than block_size, longer, very short


def opened(name: str, config: Config, seed: int = 3) -> Engine:
    params = init(config.replace(init_std=0.4), VOCAB, random.Random(seed))
    return open_engine(name, params, config, VOCAB, PRECISION.get(name))


def close(name: str, expected: object) -> object:
    """Return numbers for comparison with this engine's: bit for bit, except where TOLERANCE allows more."""
    return pytest.approx(expected, rel=TOLERANCE.get(name, 0), abs=TOLERANCE.get(name, 0))


@pytest.mark.golden
@every_engine
@pytest.mark.parametrize("preset", list(PRESETS))
def test_the_first_losses_equal_the_published_ones(name: str, preset: str, names_file: object) -> None:
    config, published = PRESETS[preset], golden(preset)
    data: Data = load(str(names_file), bos_first=config.bos_first)
    rng = random.Random(config.seed)
    order, _ = data.split(config.seed, 0.0)
    rng.shuffle(order)
    engine = open_engine(name, init(config, data.vocab_size, rng), config, data.vocab_size, PRECISION.get(name))
    steps = range(20)
    rates = [config.learning_rate * (1 - step / config.num_steps) for step in steps]
    losses = engine.train([[data.sequence(order[step])] for step in steps], rates)
    exact = preset == "final"  # the first version adds in the order of a set, which differs from run to run
    assert losses == (
        close(name, published["losses"][:20]) if exact else pytest.approx(published["losses"][:20], abs=1e-9)
    )


@every_engine
@every_config
def test_a_batch_is_the_mean_of_its_documents(name: str, config: Config) -> None:
    alone = [opened(name, config) for _ in BATCH]
    losses = [engine.backward([tokens]) for engine, tokens in zip(alone, BATCH)]
    together = opened(name, config)
    assert together.backward(BATCH) == pytest.approx(math.fsum(losses) / 3, rel=1e-13)
    mean = [math.fsum(grads) / 3 for grads in zip(*(engine.grads for engine in alone))]
    assert list(together.grads) == pytest.approx(mean, rel=1e-9, abs=1e-15)


@every_engine
@every_config
def test_the_loss_and_the_logits_agree(name: str, config: Config) -> None:
    engine = opened(name, config)
    tokens = BATCH[1][: config.block_size + 1]
    surprises = []
    for logits, target_id in zip(engine.logits(tokens[:-1]), tokens[1:]):
        surprises.append(math.log(math.fsum(math.exp(x - logits[target_id]) for x in logits)))
    assert engine.backward([BATCH[1]]) == pytest.approx(math.fsum(surprises) / len(surprises), rel=1e-12)


@every_engine
@every_config
def test_the_losses_of_documents_equal_those_of_backward_in_order(name: str, config: Config) -> None:
    engine = opened(name, config)
    documents = [*BATCH, [1, 2], *reversed(BATCH)] * 3
    alone = [engine.backward([tokens]) * min(len(tokens) - 1, config.block_size) for tokens in documents]
    assert list(engine.losses(iter(documents))) == pytest.approx(alone, rel=1e-12)
    assert list(engine.losses([])) == []


@every_engine
def test_losses_follow_the_parameters(name: str) -> None:
    engine = opened(name, TINY)
    [before] = engine.losses([[5, 0, 5]])
    engine.train([[[5, 0, 5]]], [0.1])
    [after] = engine.losses([[5, 0, 5]])
    assert after < before
    engine.params[:] = array("d", bytes(8 * len(engine.params)))
    assert list(engine.losses([[5, 0, 5]])) == pytest.approx([2 * math.log(VOCAB)], rel=1e-15)


@every_engine
@every_config
@pytest.mark.parametrize("count", [5, whole(25)])
def test_gradients_are_central_differences(name: str, config: Config, count: int, rng: random.Random) -> None:
    engine = opened(name, config)
    engine.backward(BATCH)
    grads, h = array("d", engine.grads), 1e-6
    for i in rng.sample(range(len(grads)), count):
        value = engine.params[i]
        engine.params[i] = value + h
        above = engine.backward(BATCH)
        engine.params[i] = value - h
        below = engine.backward(BATCH)
        engine.params[i] = value
        assert grads[i] == pytest.approx((above - below) / (2 * h), rel=1e-4, abs=1e-8), i


@every_engine
def test_backward_adds_and_update_clears(name: str) -> None:
    once, twice = opened(name, TINY), opened(name, TINY)
    once.backward(BATCH)
    twice.backward(BATCH)
    twice.backward(BATCH)
    assert list(twice.grads) == pytest.approx([2 * g for g in once.grads], rel=1e-12, abs=1e-16)
    twice.update(0.01)
    assert twice.step == 1
    assert not any(twice.grads)


@every_engine
def test_several_calls_with_the_total_of_the_step_equal_one_step(name: str) -> None:
    whole, parts = opened(name, TINY), opened(name, TINY)
    loss = whole.backward(BATCH)
    assert parts.backward(BATCH[:2], 3) + parts.backward(BATCH[2:], 3) == pytest.approx(loss, rel=1e-14)
    assert list(parts.grads) == close(name, list(whole.grads))  # documents are added one by one, in order


@every_engine
@pytest.mark.parametrize("weight_decay", [0.0, 5.0])
def test_update_is_adamw_as_in_the_papers(name: str, weight_decay: float) -> None:
    engine = opened(name, TINY.replace(weight_decay=weight_decay))
    params = list(engine.params)
    m, v = [0.0] * len(params), [0.0] * len(params)
    for t, rate in enumerate([0.01, 0.02], 1):
        engine.backward(BATCH)
        grads = list(engine.grads)
        engine.update(rate)
        m = [TINY.beta1 * a + (1 - TINY.beta1) * g for a, g in zip(m, grads)]
        v = [TINY.beta2 * a + (1 - TINY.beta2) * g * g for a, g in zip(v, grads)]
        for i, (a, b) in enumerate(zip(m, v)):
            step = rate * (a / (1 - TINY.beta1**t)) / (math.sqrt(b / (1 - TINY.beta2**t)) + TINY.eps_adam)
            params[i] = (1 - rate * weight_decay) * params[i] - step
        assert list(engine.params) == pytest.approx(params, rel=1e-12)
        assert list(engine.m) == pytest.approx(m, rel=1e-12)
        assert list(engine.v) == pytest.approx(v, rel=1e-12)


@every_engine
@pytest.mark.parametrize("share", [0.5, 1.5])
def test_clip_keeps_the_direction_and_limits_the_length(name: str, share: float) -> None:
    engine = opened(name, TINY)
    engine.backward(BATCH)
    grads = list(engine.grads)
    norm = math.hypot(*grads)
    assert engine.clip(share * norm) == pytest.approx(norm, rel=1e-13)
    assert list(engine.grads) == pytest.approx([grad * min(1.0, share) for grad in grads], rel=1e-13)


@every_engine
def test_train_clips_if_the_config_says_so(name: str) -> None:
    config = TINY.replace(clip=0.1)
    one_by_one, at_once = opened(name, config), opened(name, config)
    for batch in (BATCH, BATCH[:1]):
        one_by_one.backward(batch)
        assert one_by_one.clip(config.clip) > config.clip
        one_by_one.update(0.01)
    at_once.train([BATCH, BATCH[:1]], [0.01, 0.01])
    assert list(at_once.params) == close(name, list(one_by_one.params))
    assert list(at_once.m) == close(name, list(one_by_one.m))


@every_engine
def test_many_steps_in_one_call_equal_single_steps(name: str) -> None:
    one_by_one, at_once = opened(name, TINY), opened(name, TINY)
    batches, rates = [BATCH[:1], BATCH[1:], BATCH], [0.01, 0.008, 0.006]
    losses = []
    for batch, rate in zip(batches, rates):
        losses.append(one_by_one.backward(batch))
        one_by_one.update(rate)
    assert at_once.train(batches, rates) == losses
    assert (at_once.params, at_once.m, at_once.v, at_once.step) == (
        one_by_one.params,
        one_by_one.m,
        one_by_one.v,
        one_by_one.step,
    )


@every_engine
@every_config
def test_a_decoder_gives_the_logits_of_the_reference(name: str, config: Config) -> None:
    engine = opened(name, config)
    table = offsets(shapes(config, VOCAB))
    state_dict = {}
    for matrix, (_, columns) in shapes(config, VOCAB).items():
        flat = engine.params[table[matrix]]
        state_dict[matrix] = [[reference.Value(x) for x in flat[i : i + columns]] for i in range(0, len(flat), columns)]
    activation = {"relu": lambda x: x.relu(), "relu2": lambda x: x.relu() ** 2}[config.activation]
    keys, values = [[] for _ in range(config.n_layer)], [[] for _ in range(config.n_layer)]
    decoder = engine.decoder()
    for pos_id, token_id in enumerate([5, 1, 0, 4][: config.block_size]):
        expected = reference.gpt(token_id, pos_id, keys, values, state_dict, config.n_head, activation)
        assert list(decoder.feed(token_id)) == close(name, [x.data for x in expected])


@every_engine
def test_an_engine_uses_the_numbers_written_to_its_buffers(name: str) -> None:
    one, other = opened(name, TINY, seed=1), opened(name, TINY, seed=2)
    assert one.backward(BATCH) != other.backward(BATCH)
    other.params[:] = one.params
    assert other.backward(BATCH) == opened(name, TINY, seed=1).backward(BATCH)


@every_engine
@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "batch must contain at least one document, got none"),
        ([[5]], r"document 0 in the batch must have at least two tokens, got \[5\]"),
        ([[5, 6]], "token_id must be between 0 and 5, got token_id=6"),
        ([[5, -1]], "token_id must be between 0 and 5, got token_id=-1"),
    ],
)
def test_a_wrong_batch_is_refused(name: str, batch: list[list[int]], message: str) -> None:
    engine = opened(name, TINY)
    with pytest.raises(ValueError, match=message):
        engine.backward(batch)
    assert not any(engine.grads)


@every_engine
def test_a_full_context_and_a_wrong_token_are_refused(name: str) -> None:
    decoder = opened(name, TINY).decoder()
    with pytest.raises(ValueError, match="token_id must be between 0 and 5, got token_id=6"):
        decoder.feed(6)
    for _ in range(TINY.block_size):
        decoder.feed(0)
    with pytest.raises(
        ValueError, match=r"the context is full: it holds at most block_size=4 tokens; create a new decoder"
    ):
        decoder.feed(0)


@every_engine
def test_numbers_out_of_range_do_not_crash(name: str) -> None:
    engine = opened(name, TINY)
    where = offsets(shapes(TINY, VOCAB))["lm_head"]
    engine.params[where] = array("d", [1e308, -1e308] * (len(engine.params[where]) // 2))
    assert not math.isfinite(engine.backward(BATCH))
    assert not math.isfinite(engine.train([BATCH], [0.01])[-1])


def test_auto_is_the_first_engine() -> None:
    params = init(TINY, VOCAB, random.Random(0))
    auto = open_engine("auto", params, TINY, VOCAB)
    first, *others = ENGINES
    assert type(auto) is type(opened(others[0] if auto.note else first, TINY))


def test_auto_chooses_torch_for_options_that_only_torch_has() -> None:
    assert preference(TINY, VOCAB, "bfloat16") == preference(TINY, VOCAB, "float64") == ["torch"]
    assert preference(TINY, VOCAB, None, {"device": "cpu"}) == ["torch"]
    assert preference(TINY, VOCAB, "float32") == preference(TINY, VOCAB) == list(ENGINES)
    assert preference(TINY, VOCAB, preferred_precision="bfloat16") == ["torch", *ENGINES]  # but it need not be here


@pytest.mark.parametrize("gpu", [False, True])
def test_auto_chooses_a_gpu_only_for_large_steps(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("microgpt.engines.torch.engine")
    module.TorchEngine = SimpleNamespace(has_gpu=lambda: gpu)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    large = SIZES["gpt2-small"]
    assert preference(large, 50_257)[0] == ("torch" if gpu else "native")
    assert preference(large, 50_257, "exact")[0] == "native"
    assert preference(Config(batch_size=16), 27)[0] == "native"


def test_an_unknown_engine_or_a_buffer_of_another_size_is_refused() -> None:
    params = init(TINY, VOCAB, random.Random(0))
    with pytest.raises(ValueError, match=r"engine must be one of auto, .*scalar, torch, got engine='abacus'"):
        open_engine("abacus", params, TINY, VOCAB)
    with pytest.raises(ValueError, match=f"params must be {len(params)} float64 values, got 3 of type 'd'"):
        open_engine("scalar", array("d", [1, 2, 3]), TINY, VOCAB)
