"""The model as a PyTorch module: its parameters, their gradients, and rows that tensor cores ask for."""

from __future__ import annotations

import random
from array import array

import pytest

from microgpt.config import init, shapes

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'microgpt-lab[torch]'")

from microgpt.engines.torch.engine import TorchEngine  # noqa: E402  (needs torch)
from microgpt.engines.torch.model import Memory, Model  # noqa: E402  (needs torch)

from engines.torch.cases import DOCUMENTS, WIDE, assert_close  # noqa: E402  (needs torch)


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
