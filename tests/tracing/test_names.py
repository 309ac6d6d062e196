"""The names of tensors: the table, and paths into it."""

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.config import PRESETS, Config, shapes
from microgpt.tracing import names as tensor_names

TABLE = tensor_names.tensors(PRESETS["final"], 27, 4)
SHAPES = st.lists(st.integers(1, 7), max_size=3).map(tuple)


def test_the_examples_in_the_docstrings_work():
    assert doctest.testmod(tensor_names, extraglobs={"Config": Config}).failed == 0


def test_the_table_has_the_shapes_of_the_published_model():
    assert TABLE["wte"] == (27, 16)
    assert TABLE["layer0.mlp_fc1"] == (64, 16)
    assert TABLE["pos3.layer0.q"] == (16,)
    assert TABLE["pos3.layer0.attn_weights.head2"] == (4,)
    assert TABLE["pos0.layer0.attn_weights.head2"] == (1,)
    assert TABLE["pos3.layer0.x_attn.head3"] == (4,)
    assert TABLE["pos3.layer0.mlp_act"] == (64,)
    assert TABLE["pos3.layer0.mlp_norm.scale"] == ()
    assert TABLE["pos3.logits"] == TABLE["pos3.probs"] == (27,)
    assert TABLE["pos3.loss"] == TABLE["loss"] == ()
    assert "pos4.loss" not in TABLE


def test_a_name_comes_after_the_names_it_is_computed_from():
    order = list(tensor_names.intermediates(Config(n_layer=2), 27, 3))
    assert order.index("pos1.layer0.attn_logits.head1") > order.index("pos1.layer0.k")
    assert order.index("pos1.layer0.resid_post") < order.index("pos1.layer1.resid_pre")
    assert order.index("pos1.layer1.resid_post") < order.index("pos1.logits") < order.index("pos2.tok_emb")
    assert order[-1] == "loss"


@given(SHAPES, st.data())
def test_the_path_of_a_number_leads_back_to_it(shape, draw):
    position = draw.draw(st.integers(0, math.prod(shape) - 1))
    path = tensor_names.element_path("pos3.layer0.q", shape, position)
    name, index = tensor_names.look_up(path, {"pos3.layer0.q": shape})
    flat = 0
    for i, size in zip(index, shape):
        flat = flat * size + i
    assert (name, flat, len(index)) == ("pos3.layer0.q", position, len(shape))


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_a_value_error(text):
    try:
        name, index = tensor_names.parse(text)
    except ValueError:
        return
    assert name + "".join(f"[{i}]" for i in index) == text or "[0" in text


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "pos3.layer0.q[x]",
            "path must be a name followed by an index, such as pos3.layer0.q[9], got path='pos3.layer0.q[x]'",
        ),
        ("", "path must be a name followed by an index, such as pos3.layer0.q[9], got path=''"),
        (
            "pos3.layer0.q[16]",
            "an index into pos3.layer0.q, which has shape (16,), must be between 0 and 15, got"
            " path='pos3.layer0.q[16]'",
        ),
        ("loss[0]", "path must have at most 0 indices, because loss has shape (), got path='loss[0]'"),
        (
            "pos3.attn",
            "unknown tensor 'pos3.attn'; pos3 contains tok_emb, pos_emb, emb, emb_norm, layer0, logits, probs, loss",
        ),
        (
            "pos9.loss",
            "unknown tensor 'pos9.loss': 'pos9' is also unknown; did you mean pos3.loss or pos2.loss or pos1.loss?",
        ),
        (
            "los",
            "unknown tensor 'los'; an execution contains wte, wpe, lm_head, layer0, pos0, pos1, pos2, pos3, loss;"
            " did you mean loss?",
        ),
    ],
)
def test_a_wrong_path_is_refused_with_the_existing_names(path, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        tensor_names.look_up(path, TABLE)
    assert str(caught.value) == message


def test_a_row_and_a_whole_tensor_also_have_paths():
    assert tensor_names.look_up("layer0.attn_wq[2]", TABLE) == ("layer0.attn_wq", (2,))
    assert tensor_names.look_up("layer0.attn_wq", TABLE) == ("layer0.attn_wq", ())


@pytest.mark.parametrize("config", [Config(), Config(n_layer=3, n_embd=6, n_head=2, block_size=5)])
def test_every_place_in_the_flat_buffer_converts_to_a_path_and_back(config: Config) -> None:
    table = shapes(config, 11)
    paths = [
        f"{name}[{row}][{column}]"
        for name, (rows, columns) in table.items()
        for row in range(rows)
        for column in range(columns)
    ]
    assert [tensor_names.parameter_path(position, table) for position in range(len(paths))] == paths
    assert [tensor_names.parameter_position(path, table) for path in paths] == list(range(len(paths)))
    with pytest.raises(IndexError, match=f"position must be between 0 and {len(paths) - 1}, got position={len(paths)}"):
        tensor_names.parameter_path(len(paths), table)
    with pytest.raises(ValueError, match="path must name one weight, such as wte"):
        tensor_names.parameter_position("wte[4]", table)
