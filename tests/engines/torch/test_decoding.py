"""Streams and decoders of the torch engine, and token ids that are sampled on the device."""

from __future__ import annotations

import math
import random

import pytest

from microgpt.config import init

from conftest import TINY

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from microgpt.engines.torch.engine import TorchEngine  # noqa: E402  (needs torch)

from engines.torch.cases import DOCUMENTS, WIDE, assert_close, every_precision  # noqa: E402  (needs torch)


@every_precision
def test_many_streams_give_the_logits_of_each_alone(precision: str) -> None:
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


def test_a_decoder_keeps_the_parameters_it_was_opened_with() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision="float64")
    decoder, expected = engine.decoder(), engine.logits([1, 2])
    decoder.feed(1)
    engine.train([[[0, 1, 2]]], [0.1])
    assert_close("logits", expected[1], decoder.feed(2), 1e-14)


def test_a_new_decoder_has_the_current_parameters() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5, precision="float64")
    seen = [engine.decoder().feed(1)]
    engine.train([[[0, 1, 2]]], [0.1])
    seen.append(engine.decoder().feed(1))
    engine.params[5] += 0.25  # in wte[1], which the decoder reads
    seen.append(engine.decoder().feed(1))
    engine.init_params(1)
    seen.append(engine.decoder().feed(1))
    assert seen[-1] == engine.decoder().feed(1)
    assert len({tuple(logits) for logits in seen}) == 4


def test_the_device_takes_the_lowest_of_equal_logits_and_refuses_nan() -> None:
    config = WIDE.replace(init_std=0.0)
    engine = TorchEngine(init(config, 27, random.Random(5)), config, 27)  # every logit is 0
    streams = engine.streams(2)
    assert streams.draw([1, 2], [0.0, 0.0], 0.0, None) == [0, 0]
    assert streams.draw([1, 2], [0.999, 0.5], 1.0, 4) == [3, 2]
    assert streams.draw([1, 2], [1.0, 0.0], 1.0, None) == [26, 0]
    engine.params[0] = math.nan
    with pytest.raises(FloatingPointError, match="train a new model"):
        engine.streams(1).draw([0], [0.5], 1.0, None)
