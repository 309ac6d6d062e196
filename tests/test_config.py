"""The settings: presets, refused values, files, and the parameters that follow from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
import re
import struct
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import reference
from microgpt.activations import ACTIVATIONS
from microgpt.config import PRESETS, SIZES, Config, init, num_params, offsets, shapes

from conftest import examples, golden

thoroughly = settings(deadline=None, derandomize=True, database=None, max_examples=examples(200))

VOCAB_SIZE = 27  # of the public names: the letters a to z, and BOS


# --- The settings

NAMES = [field.name for field in dataclasses.fields(Config)]
LATER = {"warmup_steps", "decay", "weight_decay", "clip"}  # the first checkpoints do not have them


def test_every_setting_has_its_help() -> None:
    helps = [field.metadata["help"] for field in dataclasses.fields(Config)]
    assert all(re.fullmatch(r"[A-Z].{10,90}\.", text) for text in helps), helps
    assert len(set(helps)) == len(NAMES)


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().n_embd = 32  # type: ignore[misc]


def test_the_presets_are_the_defaults_and_the_first_version() -> None:
    assert list(PRESETS) == ["final", "first"]
    assert PRESETS["final"] == Config()


@pytest.mark.parametrize("preset", ["final", "first"])
def test_a_preset_has_the_settings_of_its_golden_run(preset: str) -> None:
    facts, config = golden(preset), PRESETS[preset].to_dict()
    named = {name: facts[name] for name in NAMES if name in facts}
    named["activation"] = {"relu": "relu", "relu squared": "relu2"}[facts["activation"]]
    named["zero_init"] = facts.get("zero_init", []) == ["attn_wo", "mlp_fc2"]
    named["bos_first"] = {"last id": False, "id 0": True}[facts["bos"]]
    assert facts["preset"] == preset
    # the public scripts train on one document per step with a linear decay, and neither clip nor decay the weights
    other = {"batch_size": 1, "warmup_steps": 0, "decay": "linear", "weight_decay": 0.0, "clip": 0.0}
    assert set(NAMES) - named.keys() == other.keys()
    assert config == {**named, **other}
    assert {name: type(value) for name, value in config.items()} == {
        name: type(getattr(Config(), name)) for name in NAMES
    }


# GPT-2's published counts, with its vocabulary of 50,257 (Radford et al. 2019; the counts are of the released weights)
GPT2 = {
    "gpt2-small": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


@pytest.mark.parametrize(("name", "published"), GPT2.items())
def test_a_size_of_gpt2_has_its_parameters_except_where_our_model_differs(name: str, published: int) -> None:
    config = SIZES[name]
    n = config.n_embd
    lm_head = 50_257 * n  # GPT-2 shares it with wte
    biases = config.n_layer * (3 * n + n + 4 * n + n)
    norms = (2 * config.n_layer + 1) * 2 * n  # a gain and a bias per component
    assert num_params(config, 50_257) == published + lm_head - biases - norms


def test_replace_changes_what_it_names_and_checks_it() -> None:
    assert Config().replace(n_embd=32).to_dict() == {**Config().to_dict(), "n_embd": 32}
    assert Config().replace() == Config()
    with pytest.raises(ValueError, match=r"^n_layer must be at least 1, got n_layer=0$"):
        Config().replace(n_layer=0)
    with pytest.raises(TypeError, match="dropout"):
        Config().replace(dropout=0.1)


# --- Refused settings

AT_LEAST_1 = ["n_embd", "n_head", "n_layer", "block_size", "num_steps", "batch_size"]
WHOLE = [*AT_LEAST_1, "warmup_steps", "seed"]
NUMBERS = ["init_std", "learning_rate", "beta1", "beta2", "eps_adam", "weight_decay", "clip", "temperature"]

REFUSED: list[tuple[dict[str, Any], str]] = [
    *[({name: 0}, f"{name} must be at least 1, got {name}=0") for name in AT_LEAST_1],
    *[({name: -4}, f"{name} must be at least 1, got {name}=-4") for name in AT_LEAST_1],
    *[({name: 4.0}, f"{name} must be a whole number, got {name}=4.0") for name in WHOLE],
    *[({name: "4"}, f"{name} must be a whole number, got {name}='4'") for name in WHOLE],
    *[({name: True}, f"{name} must be a whole number, got {name}=True") for name in WHOLE],
    *[({name: None}, f"{name} must be a whole number, got {name}=None") for name in WHOLE],
    *[({name: "0.1"}, f"{name} must be a number, got {name}='0.1'") for name in NUMBERS],
    *[({name: True}, f"{name} must be a number, got {name}=True") for name in NUMBERS],
    *[({name: None}, f"{name} must be a number, got {name}=None") for name in NUMBERS],
    *[({name: 0.5j}, f"{name} must be a number, got {name}=0.5j") for name in NUMBERS],
    *[({name: 1}, f"{name} must be True or False, got {name}=1") for name in ("zero_init", "bos_first")],
    *[({name: "no"}, f"{name} must be True or False, got {name}='no'") for name in ("zero_init", "bos_first")],
    ({"n_head": 3}, "n_embd must be a multiple of n_head, got n_embd=16, n_head=3 (try n_embd=18)"),
    ({"n_embd": 18}, "n_embd must be a multiple of n_head, got n_embd=18, n_head=4 (try n_embd=20)"),
    ({"n_embd": 1}, "n_embd must be a multiple of n_head, got n_embd=1, n_head=4 (try n_embd=4)"),
    ({"activation": "gelu"}, "activation must be one of relu, relu2, got activation='gelu'"),
    ({"activation": ""}, "activation must be one of relu, relu2, got activation=''"),
    ({"decay": "step"}, "decay must be one of linear, cosine, got decay='step'"),
    *[
        (
            {"warmup_steps": value},
            f"warmup_steps must be at least 0 and less than num_steps=1000, got warmup_steps={value}",
        )
        for value in (-1, 1000, 2000)
    ],
    ({"activation": None}, "activation must be a string, got activation=None"),
    *[
        ({name: value}, f"{name} must be finite and at least 0, got {name}={float(value)}")
        for name in ("init_std", "learning_rate", "weight_decay", "clip", "temperature")
        for value in (-0.1, -1, -5e-324, math.inf, -math.inf, math.nan)
    ],
    (
        {"weight_decay": 100},
        "learning_rate * weight_decay must be less than 1, got learning_rate=0.01, weight_decay=100.0: lower one of"
        " them (weight_decay is usually at most 0.1)",
    ),
    *[
        ({name: value}, f"{name} must be at least 0 and less than 1, got {name}={float(value)}")
        for name in ("beta1", "beta2")
        for value in (1, 1.0, 1.5, -0.1, math.inf, -math.inf, math.nan)
    ],
    *[
        ({"eps_adam": value}, f"eps_adam must be finite and greater than 0, got eps_adam={float(value)}")
        for value in (0, -0.0, -1e-8, math.inf, -math.inf, math.nan)
    ],
]


@pytest.mark.parametrize(("changes", "text"), REFUSED, ids=[f"{k}={v!r}" for c, _ in REFUSED for k, v in c.items()])
def test_an_invalid_setting_is_refused_with_its_value_and_the_remedy(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Config(**changes)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Config.from_dict({**Config().to_dict(), **changes})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("number", [10**400, -(10**400), 10**5000], ids=["400 digits", "minus 400", "5000 digits"])
def test_a_whole_number_beyond_the_largest_float_is_refused_like_any_other(name: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be") as error:
        Config(**{name: number})
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 0},
        {"learning_rate": 0},
        {"learning_rate": 0.01, "weight_decay": 99},
        {"learning_rate": 1e308},
        {"init_std": 0},
        {"beta1": 0, "beta2": 0},
        {"beta1": math.nextafter(1, 0)},
        {"eps_adam": 5e-324},
        {"seed": -1},
        {"seed": 2**100},
        {"n_embd": 1, "n_head": 1, "n_layer": 1, "block_size": 1, "num_steps": 1, "batch_size": 1},
        {"n_embd": 12, "n_head": 12},
    ],
    ids=str,
)
def test_the_limits_of_each_range_are_allowed(changes: dict[str, Any]) -> None:
    config = Config(**changes)
    assert {name: getattr(config, name) for name in changes} == changes


def test_a_whole_number_is_accepted_as_a_float() -> None:
    config = Config(init_std=1, temperature=0)
    assert (type(config.init_std), type(config.temperature)) == (float, float)
    assert json.dumps(config.to_dict()) == json.dumps(Config(init_std=1.0, temperature=0.0).to_dict())


# --- Files

share = st.floats(0, 1, exclude_max=True)
finite = st.floats(0, allow_infinity=False)
size = st.integers(1, 10**6)
configs = st.builds(
    lambda n_head, head_dim, **rest: Config(n_head=n_head, n_embd=n_head * head_dim, **rest),
    n_head=size,
    head_dim=st.integers(1, 200),
    n_layer=size,
    block_size=size,
    activation=st.sampled_from(list(ACTIVATIONS)),
    init_std=finite,
    zero_init=st.booleans(),
    bos_first=st.booleans(),
    learning_rate=finite,
    beta1=share,
    beta2=share,
    eps_adam=st.floats(5e-324, allow_infinity=False),
    num_steps=size,
    batch_size=size,
    temperature=finite | st.integers(0, 9),
    seed=st.integers(),
)


@thoroughly
@given(config=configs)
def test_any_settings_survive_a_file_bit_for_bit(config: Config) -> None:
    back = Config.from_dict(json.loads(json.dumps(config.to_dict())))
    assert back == config == Config(**config.to_dict())
    assert repr(back) == repr(config)  # == does not distinguish -0.0 from 0.0


def test_a_file_omits_weight_decay_unless_it_is_used() -> None:
    """The files of other runs keep their bytes, and earlier versions, which refuse unknown settings, open them."""
    assert Config().to_file().keys() == Config().to_dict().keys() - {"weight_decay"}
    decays = Config(weight_decay=0.1)
    assert decays.to_file() == decays.to_dict()
    for config in (Config(), decays):
        assert Config.from_dict(config.to_file()) == config


def test_a_setting_that_is_missing_or_unknown_is_named() -> None:
    for name in set(NAMES) - LATER:
        rest = {other: value for other, value in Config().to_dict().items() if other != name}
        with pytest.raises(ValueError, match=f"^the '?{name}'? setting is missing$"):
            Config.from_dict(rest)
    with pytest.raises(ValueError, match=r"^the '?dropout'? setting is unknown to this version of microgpt$"):
        Config.from_dict({**Config().to_dict(), "dropout": 0.1})


# --- The parameters


def test_the_table_of_the_final_version_is_that_of_the_published_script() -> None:
    assert list(shapes(PRESETS["final"], VOCAB_SIZE).items()) == [
        ("wte", (27, 16)),
        ("wpe", (16, 16)),
        ("lm_head", (27, 16)),
        ("layer0.attn_wq", (16, 16)),
        ("layer0.attn_wk", (16, 16)),
        ("layer0.attn_wv", (16, 16)),
        ("layer0.attn_wo", (16, 16)),
        ("layer0.mlp_fc1", (64, 16)),
        ("layer0.mlp_fc2", (16, 64)),
    ]


@pytest.mark.parametrize("preset", ["final", "first"])
def test_a_golden_run_has_the_published_number_of_parameters(preset: str) -> None:
    facts = golden(preset)
    assert facts["vocab_size"] == VOCAB_SIZE
    assert num_params(PRESETS[preset], VOCAB_SIZE) == facts["num_params"]


small = st.builds(
    lambda n_head, head_dim, **rest: Config(n_head=n_head, n_embd=n_head * head_dim, **rest),
    n_head=st.integers(1, 3),
    head_dim=st.integers(1, 3),
    n_layer=st.integers(1, 3),
    block_size=st.integers(1, 5),
    init_std=st.floats(0, 1),
    zero_init=st.booleans(),
)


@thoroughly
@given(config=small, vocab_size=st.integers(1, 9))
def test_the_matrices_are_contiguous_and_fill_the_buffer(config: Config, vocab_size: int) -> None:
    table = shapes(config, vocab_size)
    where = offsets(table)
    assert list(where) == list(table)
    covered = [i for place in where.values() for i in range(10**6)[place]]
    assert covered == list(range(num_params(config, vocab_size)))
    assert all(where[name].stop - where[name].start == rows * columns for name, (rows, columns) in table.items())
    d, layers = config.n_embd, config.n_layer
    assert len(covered) == (2 * vocab_size + config.block_size) * d + layers * 12 * d * d


def reference_init(config: Config, vocab_size: int, rng: random.Random) -> dict[str, list[float]]:
    """Return the matrices that the reference draws, flat; with zero_init, some are then set to zero."""
    table = reference.shapes(vocab_size, config.n_embd, config.n_layer, config.block_size)
    matrices = {
        name: [p.data for row in matrix for p in row]
        for name, matrix in reference.init(table, rng, config.init_std).items()
    }
    if config.zero_init:
        for name in matrices:
            if name.endswith(("attn_wo", "mlp_fc2")):
                matrices[name] = [0.0] * len(matrices[name])
    return matrices


def assert_same_init(config: Config, vocab_size: int, seed: int) -> None:
    rng, reference_rng = random.Random(seed), random.Random(seed)
    got, expected = init(config, vocab_size, rng), reference_init(config, vocab_size, reference_rng)
    for name, place in offsets(shapes(config, vocab_size)).items():
        assert got[place].tobytes() == array("d", expected[name]).tobytes(), name  # bytes distinguish -0.0
    assert len(got) == sum(map(len, expected.values()))
    assert rng.getstate() == reference_rng.getstate()  # sampling continues with it


@pytest.mark.parametrize("preset", ["final", "first"])
def test_a_preset_starts_with_the_parameters_of_the_reference_bit_for_bit(preset: str) -> None:
    assert_same_init(PRESETS[preset], VOCAB_SIZE, seed=42)


@thoroughly
@given(config=small, vocab_size=st.integers(1, 5), seed=st.integers(0, 9))
def test_any_model_starts_with_the_parameters_of_the_reference_bit_for_bit(
    config: Config, vocab_size: int, seed: int
) -> None:
    assert_same_init(config, vocab_size, seed)


@pytest.mark.golden
def test_the_golden_run_starts_with_the_published_parameters(names_file: Path) -> None:
    rng = random.Random(42)
    docs = reference.documents(names_file)
    rng.shuffle(docs)
    params = init(PRESETS["final"], VOCAB_SIZE, rng)
    content = struct.pack(f"<{len(params)}d", *params)
    assert hashlib.sha256(content).hexdigest() == golden("final")["init_params_sha256"]


def test_matrices_that_start_at_zero_still_draw_their_numbers() -> None:
    zero, drawn = (random.Random(1), random.Random(1))
    config = Config(zero_init=True, n_layer=2)
    with_zeros, without = init(config, 5, zero), init(config.replace(zero_init=False), 5, drawn)
    assert zero.getstate() == drawn.getstate()
    for name, place in offsets(shapes(config, 5)).items():
        if name.endswith(("attn_wo", "mlp_fc2")):
            assert with_zeros[place].tobytes() == bytes(8 * (place.stop - place.start)), name  # 0.0, not -0.0
            assert all(without[place]), name
        else:
            assert with_zeros[place] == without[place], name
