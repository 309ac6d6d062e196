"""Mistakes and interruptions: the torch engine says what is wrong and keeps its state intact."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from microgpt.config import init
from microgpt.engines.choose import class_of

from conftest import TINY, clean_environment

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from microgpt.engines.torch import engine as torch_engine  # noqa: E402  (needs torch)
from microgpt.engines.torch.engine import TorchEngine  # noqa: E402  (needs torch)

from engines.torch.cases import DOCUMENTS, WIDE, every_precision  # noqa: E402  (needs torch)


def test_a_batch_too_large_for_memory_is_refused_before_the_system_kills_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The refusal's estimate is a lower bound: a batch that was computed took at least that much."""
    engine = TorchEngine(init(WIDE, 27, random.Random(5)), WIDE, 27)
    kept: list[int] = []

    def keep(x: Any) -> Any:
        kept.append(x.numel() * x.element_size())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        engine.backward([DOCUMENTS[16]] * 8)
    needed = 8 * 16 * (12 * 2 * 64 + 2 * 27) * 4
    assert needed <= sum(kept) + 8 * 16 * 27 * 4  # the logits are in memory, but not saved for the backward pass
    monkeypatch.setattr("microgpt.engines.torch.engine.free_memory", lambda: 16 * needed)
    engine.backward([DOCUMENTS[16]] * 128)
    with pytest.raises(MemoryError, match=r"a batch of 129 documents \(2,064 tokens .* lower micro_batch_size"):
        engine.backward([DOCUMENTS[16]] * 129)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_ctrl_c_while_pytorch_is_loaded_is_neither_lost_nor_a_crash() -> None:
    """The signal arrives during the import of PyTorch, at the first import of one of its submodules."""
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


def test_a_ctrl_c_handler_that_python_cannot_restore_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Python is embedded in another program, the handler may belong to that program."""
    monkeypatch.setattr("signal.getsignal", lambda _: None)
    monkeypatch.setattr("signal.signal", lambda *_: pytest.fail("it was replaced"))
    assert class_of("torch") is torch_engine.TorchEngine


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
    "empty batch": (lambda e: e.backward([]), "batch must contain at least one document, got none"),
    "one token": (lambda e: e.backward([[1]]), r"document 0 in the batch must have at least two tokens, got \[1\]"),
    "large token": (lambda e: e.backward([[1, 5]]), "token_id must be between 0 and 4, got token_id=5"),
    "negative token": (lambda e: e.train([[[1, 2]], [[0, -1]]], [1, 1]), "got token_id=-1"),
    "decoded token": (lambda e: e.decoder().feed(5), "token_id must be between 0 and 4, got token_id=5"),
    "full context": (lambda e: e.logits([0] * 5), "the context is full: it holds at most block_size=4 tokens"),
    "streams": (lambda e: e.streams(2).feed([1]), "token_ids must contain one token for each of the 2 contexts, got 1"),
    "no stream": (lambda e: e.streams(0), "count must be between 1 and 65536, got count=0"),
    "short m": (lambda e: setattr(e, "m", array("d")), r"m must be an array\('d'\) of \d+ values"),
    "no precision": (
        lambda e: TorchEngine(e.params, TINY, 5, precision="half"),
        "precision must be one of float32, float64, bfloat16",
    ),
    "no device": (
        lambda e: TorchEngine(e.params, TINY, 5, device="abacus"),
        r"device must be one of .*cpu for float32 on this machine, got device='abacus'",
    ),
}


@pytest.mark.parametrize(("act", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_raises_an_exception(act: Callable[[TorchEngine], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act(TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5))


def test_the_steps_before_a_mistake_are_done() -> None:
    engine, other = (TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5) for _ in range(2))
    with pytest.raises(ValueError, match="token_id"):
        engine.train([[[1, 2]], [[1, 9]]], [0.1, 0.1])
    other.train([[[1, 2]]], [0.1])
    assert (engine.params, engine.step) == (other.params, 1)


def test_an_out_of_memory_error_says_what_to_lower() -> None:
    engine = TorchEngine(init(TINY, 5, random.Random(5)), TINY, 5)
    with (
        pytest.raises(
            MemoryError, match=r"^not enough memory on .* for a batch of 9 documents: lower micro_batch_size "
        ),
        engine._enough_memory("a batch of 9 documents"),
    ):
        torch.empty(2**60)
