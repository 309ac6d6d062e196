"""The recorded reference: its numbers agree with the scalar engine, with NumPy, and with the chain rule."""

import random
from array import array
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt import reference
from microgpt.config import Config, init, offsets, shapes
from microgpt.engines.base import num_positions
from microgpt.engines.choose import open_engine
from microgpt.engines.program import ScalarModel
from microgpt.tracing import names as tensor_names
from microgpt.tracing import recorder as recording
from microgpt.verification.cases import CASES

from conftest import examples


@st.composite
def trainings(draw):
    n_head = draw(st.integers(1, 3))
    config = Config(
        n_embd=n_head * draw(st.integers(1, 3)),
        n_head=n_head,
        n_layer=draw(st.integers(1, 3)),
        block_size=draw(st.integers(1, 6)),
        activation=draw(st.sampled_from(("relu", "relu2"))),
        init_std=0.3,
        weight_decay=draw(st.sampled_from((0.0, 2.0))),
    )
    vocab_size = draw(st.integers(2, 6))
    document = st.lists(st.integers(0, vocab_size - 1), min_size=2, max_size=8)
    return config, vocab_size, draw(st.lists(document, min_size=1, max_size=3))


@settings(deadline=None, max_examples=examples(30))
@given(trainings())
def test_a_recorded_step_equals_the_scalar_engine_bit_for_bit(training):
    config, vocab_size, batch = training
    params = init(config, vocab_size, random.Random(1))
    engine = open_engine("scalar", array("d", params), config, vocab_size)
    record = recording.training(ScalarModel(params, config, vocab_size), [batch], [0.1])
    assert engine.backward(batch) == record["step1.loss"].numbers[0]
    for name, part in offsets(shapes(config, vocab_size)).items():
        assert engine.grads[part] == record[f"step1.grad.{name}"].numbers
    logits = engine.logits(batch[0][:-1][: config.block_size])
    assert [list(record[f"step1.doc0.pos{t}.logits"].numbers) for t in range(len(logits))] == logits
    engine.update(0.1)
    for name, part in offsets(shapes(config, vocab_size)).items():
        for kind, buffer in (("m", engine.m), ("v", engine.v), ("params", engine.params)):
            assert buffer[part] == record[f"step1.{kind}.{name}"].numbers


@settings(deadline=None, max_examples=examples(30))
@given(trainings())
def test_the_forward_pass_records_every_name_of_the_table_in_its_shape(training):
    config, vocab_size, batch = training
    record = recording.forward(batch[0], ScalarModel(init(config, vocab_size, random.Random(1)), config, vocab_size))
    table = tensor_names.intermediates(config, vocab_size, num_positions(batch[0], config))
    assert {name: tensor.shape for name, tensor in record.items()} == table
    assert list(record) == list(table)
    for shape, numbers in record.values():
        assert len(numbers) == int(np.prod(shape))


def numpy_forward(tokens, weights, config):
    """Compute the forward pass with NumPy: name -> array."""
    out, keys, values = {}, {}, {}
    d = config.n_embd // config.n_head

    def rmsnorm(owner, before, after, x):
        out[f"{owner}.{before}"] = x
        out[f"{owner}.{after}.mean_square"] = ms = np.mean(x**2)
        out[f"{owner}.{after}.scale"] = 1 / np.sqrt(ms + 1e-5)
        out[f"{owner}.{after}"] = x / np.sqrt(ms + 1e-5)
        return out[f"{owner}.{after}"]

    def softmax(x):
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()

    losses = []
    for t, (token, target) in enumerate(pairwise(tokens[: config.block_size + 1])):
        pos = f"pos{t}"
        out[f"{pos}.tok_emb"], out[f"{pos}.pos_emb"] = weights["wte"][token], weights["wpe"][t]
        x = rmsnorm(pos, "emb", "emb_norm", weights["wte"][token] + weights["wpe"][t])
        for i in range(config.n_layer):
            layer, prefix = f"{pos}.layer{i}", f"layer{i}."
            w = {name.removeprefix(prefix): weights[name] for name in weights if name.startswith(prefix)}
            normed = rmsnorm(layer, "resid_pre", "attn_norm", x)
            q, k, v = (w[name] @ normed for name in ("attn_wq", "attn_wk", "attn_wv"))
            keys.setdefault(i, []).append(k)
            values.setdefault(i, []).append(v)
            heads = []
            for h in range(config.n_head):
                head = slice(h * d, (h + 1) * d)
                scores = np.array([q[head] @ key[head] for key in keys[i]]) / np.sqrt(d)
                out[f"{layer}.attn_logits.head{h}"] = scores
                out[f"{layer}.attn_weights.head{h}"] = softmax(scores)
                heads.append(softmax(scores) @ np.array(values[i])[:, head])
                out[f"{layer}.x_attn.head{h}"] = heads[-1]
            x_attn = np.concatenate(heads)
            x_mid = w["attn_wo"] @ x_attn + x
            normed = rmsnorm(layer, "resid_mid", "mlp_norm", x_mid)
            pre = w["mlp_fc1"] @ normed
            act = np.maximum(pre, 0) ** (2 if config.activation == "relu2" else 1)
            x = w["mlp_fc2"] @ act + x_mid
            named = {"q": q, "k": k, "v": v, "x_attn": x_attn, "attn_out": w["attn_wo"] @ x_attn, "mlp_pre": pre}
            named |= {"mlp_act": act, "mlp_out": w["mlp_fc2"] @ act, "resid_post": x}
            out |= {f"{layer}.{name}": value for name, value in named.items()}
        out[f"{pos}.logits"] = weights["lm_head"] @ x
        out[f"{pos}.probs"] = softmax(out[f"{pos}.logits"])
        losses.append(-np.log(out[f"{pos}.probs"][target]))
        out[f"{pos}.loss"] = losses[-1]
    out["loss"] = np.mean(losses)
    return out


@pytest.mark.parametrize("name", CASES)
def test_every_recorded_number_agrees_with_numpy(name):
    case = CASES[name]
    params, tokens = case.params(), case.batches()[0][0]
    table = shapes(case.config, case.vocab_size)
    weights = {n: np.array(params[part]).reshape(table[n]) for n, part in offsets(table).items()}
    record = recording.forward(tokens, case.model())
    expected = numpy_forward(tokens, weights, case.config)
    assert record.keys() == expected.keys()
    for path, (shape, numbers) in record.items():
        np.testing.assert_allclose(
            np.array(numbers).reshape(shape), expected[path], rtol=1e-11, atol=1e-12, err_msg=path
        )


def test_the_gradients_of_intermediates_obey_the_chain_rule():
    case = CASES["layers"]
    record = {name: np.array(numbers).reshape(shape) for name, (shape, numbers) in case.record().items()}
    doc = "step1.doc0."
    count = num_positions(case.batches()[0][0], case.config)
    lm_head = sum(
        np.outer(record[f"{doc}grad.pos{t}.logits"], record[f"{doc}pos{t}.layer2.resid_post"]) for t in range(count)
    )
    np.testing.assert_allclose(record[f"{doc}grad.lm_head"], lm_head, rtol=1e-12, atol=1e-15)
    attn_wq = sum(
        np.outer(record[f"{doc}grad.pos{t}.layer1.q"], record[f"{doc}pos{t}.layer1.attn_norm"]) for t in range(count)
    )
    np.testing.assert_allclose(record[f"{doc}grad.layer1.attn_wq"], attn_wq, rtol=1e-12, atol=1e-15)
    for t in range(count):  # a row of wpe is used once, so its gradient is that of the sum
        assert (record[f"{doc}grad.wpe"][t] == record[f"{doc}grad.pos{t}.emb"]).all()
        assert record[f"{doc}grad.pos{t}.loss"] == 1 / count


def test_recording_does_not_change_the_reference():
    before = dict(vars(reference))
    case = CASES["many_heads"]
    recording.training(case.model(), case.batches(), case.learning_rates)
    assert vars(reference) == before


def test_a_document_of_one_token_is_refused():
    case = CASES["many_heads"]
    with pytest.raises(ValueError, match="document 0 in the batch must have at least two tokens"):
        recording.forward([0], case.model())
