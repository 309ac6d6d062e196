"""The model as a PyTorch module: its parameters, their gradients, and the padding for tensor cores."""

from __future__ import annotations

import random
from array import array

import pytest

from microgpt.config import init, shapes

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from microgpt.engines.torch.engine import TorchEngine  # noqa: E402  (needs torch)
from microgpt.engines.torch.model import Memory, Model  # noqa: E402  (needs torch)

from engines.torch.cases import DOCUMENTS, WIDE, assert_close  # noqa: E402  (needs torch)


def test_the_parameters_have_the_names_and_shapes_of_the_reference() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    named = {name: tuple(parameter.shape) for name, parameter in engine.model.named_parameters()}
    assert named == shapes(WIDE, 27)
    assert list(engine.model.state_dict()) == list(named)


def test_autograd_stores_each_gradient_with_its_parameter() -> None:
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27, precision="float64")
    engine.backward(DOCUMENTS)
    grads = dict(engine.model.named_parameters())
    flat = torch.cat([grads[name].grad.flatten() for name in shapes(WIDE, 27)])
    assert flat.tolist() == list(engine.grads)
    assert all(parameter.grad.abs().sum() > 0 for parameter in grads.values())


@pytest.mark.parametrize("aligned", [64, 32])
def test_padding_for_tensor_cores_does_not_change_the_results(aligned: int) -> None:
    """On a GPU lm_head is padded with rows of zeros, which give no logits and get no gradient."""
    params = init(WIDE, 27, random.Random(5))
    plain, padded = (TorchEngine(array("d", params), WIDE, 27, precision="float64") for _ in range(2))
    memory = Memory(padded._tensors["params"], padded._tensors["grads"], shapes(WIDE, 27))
    padded.model = Model(memory, WIDE, aligned)
    assert padded.model._more_rows == aligned - 27
    assert padded.backward(DOCUMENTS) == pytest.approx(plain.backward(DOCUMENTS), rel=1e-15)
    assert_close("grads", plain.grads, padded.grads, 1e-15)
    assert [len(row) for row in padded.logits([1, 2])] == [27, 27]
