"""`verify` finds whether an engine agrees with the reference, and names the first entry where it differs."""

import hashlib
import json
import math
import shutil
import sys
from array import array
from contextlib import contextmanager
from types import ModuleType

import pytest

from microgpt import reference
from microgpt.config import PRESETS, offsets, shapes
from microgpt.engines.base import Decoder
from microgpt.engines.choose import ENGINES
from microgpt.engines.scalar import ScalarEngine
from microgpt.system import safetensors
from microgpt.verification import engine as engine_verification
from microgpt.verification import golden

from conftest import whole

CASE = "batch"


@pytest.fixture
def broken(monkeypatch):
    """Register an engine class as `broken`, and verify it on one case."""

    def run(engine_class, cases=(CASE,), **options):
        module = ModuleType("microgpt.engines.broken")
        engine_class.__module__ = module.__name__
        module.Broken = engine_class
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(ENGINES, "broken", ("broken", "Broken"))
        return engine_verification.verify("broken", cases=cases, golden_steps=0, **options)

    return run


def position(config, vocab_size, name, row, column):
    """Return the index of a parameter's entry in a flat buffer."""
    table = shapes(config, vocab_size)
    return offsets(table)[name].start + row * table[name][1] + column


@pytest.mark.parametrize("count", [3, whole(len(engine_verification.CASES))])
def test_the_scalar_engine_equals_the_reference_bit_for_bit_in_every_case(count, rng):
    cases = rng.sample(list(engine_verification.CASES), count)
    report = engine_verification.verify("scalar", cases=cases, golden_steps=0)
    assert report.exact
    assert report.passed
    assert report.status == 0
    assert {check.case for check in report.checks} == set(cases)
    assert engine_verification.render(report).endswith(" values differ")
    assert "matches the reference bit for bit: 0 of " in engine_verification.render(report)


class GradientOff(ScalarEngine):
    """One entry of the second gradient is off by a millionth."""

    def backward(self, batch, total=None):
        loss = super().backward(batch, total)
        if self.step == 1:
            self.grads[position(self.config, self.vocab_size, "layer0.attn_wk", 3, 2)] += 1e-6
        return loss


def test_a_corrupted_gradient_entry_is_named(broken):
    report = broken(GradientOff)
    first = next(t for t in report.tensors if not t.passed)
    assert report.status == 1
    assert first.name == "step2.grad.layer0.attn_wk"
    assert (first.differ, [path for path, _, _ in first.pairs]) == (1, ["step2.grad.layer0.attn_wk[3][2]"])
    assert first.largest == pytest.approx(1e-6)
    text = engine_verification.render(report)
    assert "batch: step2.grad.layer0.attn_wk\n  beyond the tolerance of " in text
    assert ": 1 of 64 values; not equal bit for bit: 1\n  largest difference: 1e-06 (" in text
    assert "\n  [3][2]  " in text
    assert text.splitlines()[-1].startswith("does NOT match the reference: ")


class WeightOff(ScalarEngine):
    """One weight is the next number of float64 after the first update."""

    def update(self, learning_rate):
        super().update(learning_rate)
        if self.step == 1:
            i = position(self.config, self.vocab_size, "lm_head", 5, 7)
            self.params[i] += math.ulp(self.params[i])


def test_a_weight_off_by_its_last_bit_is_not_exact_and_is_named(broken):
    report = broken(WeightOff)
    first = next(t for t in report.tensors if not t.exact)
    assert [path for path, _, _ in first.pairs] == ["step1.params.lm_head[5][7]"]
    assert not report.exact
    assert report.passed  # it is within the tolerance of 1e-12
    assert "within the tolerance" in engine_verification.render(report)
    assert "batch: step1.params.lm_head\n  beyond the tolerance of " in engine_verification.render(report)
    assert ": 0 of 96 values; not equal bit for bit: 1\n" in engine_verification.render(report)


def test_a_weight_off_by_its_last_bit_fails_with_tolerance_0(broken):
    report = broken(WeightOff, tolerance=0.0)
    assert report.status == 1
    assert next(t for t in report.tensors if not t.passed).pairs[0][0] == "step1.params.lm_head[5][7]"


@contextmanager
def linear_from_the_right():
    """Make the reference sum its dot products from the last term to the first."""
    linear = reference.linear
    reference.linear = lambda x, w: linear(x[::-1], [row[::-1] for row in w])
    try:
        yield
    finally:
        reference.linear = linear


class OtherOrder(ScalarEngine):
    def backward(self, batch, total=None):
        with linear_from_the_right():
            return super().backward(batch, total)

    def logits(self, tokens):
        with linear_from_the_right():
            return super().logits(tokens)


@pytest.mark.slow
def test_another_order_of_adding_is_not_exact_but_within_1e_12(broken):
    report = broken(OtherOrder, cases=engine_verification.CASES)
    assert not report.exact
    assert report.passed
    first = next(t for t in report.tensors if not t.exact)
    assert first.name == "step1.doc0.pos0.logits"
    assert 0 < first.largest < 1e-14
    assert broken(OtherOrder, tolerance=0.0).status == 1


class LastDocumentFirst(ScalarEngine):
    def backward(self, batch, total=None):
        return super().backward(batch[::-1], total)


def test_another_order_of_the_batch_is_not_exact_but_within_1e_12(broken):
    report = broken(LastDocumentFirst)
    assert report.passed
    assert {t.name.partition(".")[2].partition(".")[0] for t in report.tensors if not t.exact} >= {"grad", "params"}


class NotANumber(ScalarEngine):
    def backward(self, batch, total=None):
        super().backward(batch, total)
        return math.nan


def test_a_nan_loss_fails_and_still_gives_json(broken):
    report = broken(NotANumber)
    assert report.status == 1
    first = next(t for t in report.tensors if not t.passed)
    assert (first.name, first.largest) == ("step1.loss", math.inf)
    facts = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert facts["passed"] is False
    assert facts["differ"][0]["pairs"][0]["got"] == "nan"


class ForgetsToDivide(ScalarEngine):
    """An engine that ignores the total of the step."""

    def backward(self, batch, total=None):
        return super().backward(batch)


class TrainSkipsAStep(ScalarEngine):
    def train(self, batches, learning_rates):
        losses = super().train(batches[:-1], learning_rates)
        return [*losses, losses[-1]]


class DecoderForgets(ScalarEngine):
    """An engine whose decoder forgets the previous tokens."""

    def decoder(self):
        engine = self

        class Forgetful(Decoder):
            def feed(self, token_id):
                return ScalarEngine.decoder(engine).feed(token_id)

        return Forgetful()

    def logits(self, tokens):
        decoder = ScalarEngine.decoder(self)
        return [decoder.feed(token_id) for token_id in tokens]


class LogitsStopEarly(ScalarEngine):
    def logits(self, tokens):
        return super().logits(tokens[:1])


class LossesStopEarly(ScalarEngine):
    def train(self, batches, learning_rates):
        return super().train(batches, learning_rates)[:-1]


@pytest.mark.parametrize(
    ("engine_class", "what"),
    [
        (LogitsStopEarly, {"logits"}),
        (LossesStopEarly, {"loss by train()"}),
        (ForgetsToDivide, {"grad, a document a call"}),
        (TrainSkipsAStep, {"loss by train()", "params by train()"}),
        (DecoderForgets, {"logits by decoder()"}),
    ],
)
def test_each_function_of_an_engine_is_checked(broken, engine_class, what):
    report = broken(engine_class)
    assert {check.what for check in report.checks if not check.tensor.passed} == what


class Rounded(ScalarEngine):
    """An engine that keeps its parameters in float32, as one of that precision may."""

    precision = "float32"

    def update(self, learning_rate):
        super().update(learning_rate)
        self.params[:] = array("d", array("f", self.params))


def test_a_float32_engine_has_a_tolerance_of_1e_5(broken):
    report = broken(Rounded)
    assert report.facts["precision"] == "float32"
    assert report.passed
    assert not report.exact
    assert broken(Rounded, tolerance=1e-12).status == 1


def test_the_report_is_a_table_with_one_line_per_case():
    report = engine_verification.verify("scalar", cases=["many_heads", "one_head"], golden_steps=0)
    lines = engine_verification.render(report).splitlines()
    start = lines.index("case        values  differ  largest   allowed         worst tensor")
    assert lines[start + 1] == "many_heads   5,497       0        0  1.93e-12  exact"
    assert lines[0] == "verify"
    assert lines[1] == "engine     scalar"
    assert lines[2] == "precision  exact"


# --- The published runs


@pytest.mark.golden
def test_the_first_steps_of_the_golden_runs_are_reproduced(names_file):
    report = engine_verification.verify("scalar", cases=[], names=names_file, golden_steps=12)
    final, first = report.tensors
    assert (final.numbers, final.differ) == (12, 0)
    assert first.numbers == 12
    assert first.largest < 1e-12
    assert report.exact  # the first version is not compared bit for bit: its published numbers differ from run to run
    assert [check.case for check in report.checks] == ["golden final", "golden first"]


def test_a_published_loss_that_is_not_reproduced_is_named(names_file, monkeypatch, tmp_path):
    shutil.copytree(golden.FOLDER, tmp_path / "golden")
    path = tmp_path / "golden" / "final.json"
    figures = json.loads(path.read_text())
    figures["losses"][3] += 1e-6
    path.write_text(json.dumps(figures))
    monkeypatch.setattr(golden, "FOLDER", tmp_path / "golden")
    report = engine_verification.verify("scalar", cases=[], names=names_file, golden_steps=6)
    assert report.status == 1
    assert [t.pairs[0][0] for t in report.tensors if not t.passed] == ["losses[3]"]


def test_the_final_weights_are_those_of_the_published_run():
    tensors, _ = safetensors.read(golden.FOLDER / "final.safetensors")
    figures = json.loads((golden.FOLDER / "final.json").read_text())
    assert {n: t.shape for n, t in tensors.items()} == shapes(PRESETS["final"], figures["vocab_size"])
    digest = hashlib.sha256(b"".join(bytes(t.data) for t in tensors.values())).hexdigest()
    assert digest == figures["final_params_sha256"]


@pytest.mark.golden
def test_a_complete_published_run_compares_weights_and_samples(names_file, monkeypatch):
    for preset, config in PRESETS.items():
        monkeypatch.setitem(PRESETS, preset, config.replace(num_steps=3))
    report = engine_verification.verify("scalar", cases=[], names=names_file)
    checks = {check.what: check.tensor for check in report.checks if check.case == "golden final"}
    assert set(checks) == {"losses", "weights", "samples"}
    assert checks["losses"].numbers == 3
    assert checks["weights"].numbers == 4192
    assert checks["weights"].differ > 4000  # the published weights are those after 1,000 steps
    assert checks["samples"].pairs[0][:2] == ("samples[0]", "kamon")
    json.dumps(report.to_dict(), allow_nan=False)


def test_without_the_public_names_the_published_runs_are_skipped_and_it_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    report = engine_verification.verify("scalar", cases=["many_heads"])
    assert [text.split(":")[0] for text in report.skipped] == [
        "the published run of preset final",
        "the published run of preset first",
    ]
    assert "which this run reads, is not in" in report.skipped[0]
    assert "skipped: the published run of preset final: the public names.txt" in engine_verification.render(report)


def test_another_names_file_is_refused(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("anna\n")
    with pytest.raises(
        ValueError, match=r"'.*' does not match the public names.txt \(SHA-256 .*, expected 0a30b5557f19...\)"
    ):
        engine_verification.verify("scalar", cases=[], names=path)
    with pytest.raises(ValueError, match=r"cannot read '.*nowhere': No such file"):
        engine_verification.verify("scalar", cases=[], names=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cases": ["nothing"]}, "case must be one of final, first, layers, .*, got case='nothing'"),
        ({"tolerance": -1.0}, "tolerance must be finite and at least 0, got tolerance=-1.0"),
        ({"golden_steps": -1}, "golden_steps must be at least 0, got golden_steps=-1"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        engine_verification.verify("scalar", **options)


def test_nothing_passes_if_nothing_was_compared():
    report = engine_verification.verify("scalar", cases=[], golden_steps=0)
    assert report.status == 2
    assert engine_verification.render(report).endswith("nothing was compared")


def test_an_unknown_engine_is_named():
    with pytest.raises(ValueError, match=r"engine must be one of auto, .*, got engine='quantum'"):
        engine_verification.verify("quantum")
