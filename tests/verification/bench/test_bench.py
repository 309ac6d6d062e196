"""The benchmark's ladder: what it measures and how it reports it. No test here asserts a time."""

import json
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from microgpt.engines.choose import ENGINES
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import MicrogptError
from microgpt.system import text as text_tables
from microgpt.verification.bench import ladder as bench_module
from microgpt.verification.bench import table, workloads


@pytest.fixture
def second_engine(monkeypatch):
    disguise(monkeypatch)


def disguise(monkeypatch):
    """Register the scalar engine as an engine of two precisions, one of which is slightly wrong."""

    class Disguised(ScalarEngine):
        precisions = ("exact", "float32")
        opens_streams = True

        def __init__(self, params, config, vocab_size, precision):
            super().__init__(params, config, vocab_size)
            self.precision = precision

        def backward(self, batch, total=None):
            return super().backward(batch, total) + (1e-6 if self.precision == "float32" else 0.0)

        def decoder(self):
            return Off(super().decoder(), 1e-5 if self.precision == "float32" else 0.0)

        def streams(self, count):
            decoders = [self.decoder() for _ in range(count)]
            feed = lambda ids: [d.feed(token_id) for d, token_id in zip(decoders, ids)]  # noqa: E731
            return SimpleNamespace(feed=feed, draws=False)

    class Off:
        draws = False

        def __init__(self, decoder, by):
            self.feed = lambda token_id: [logit + by for logit in decoder.feed(token_id)]

    def open_engine(name, params, config, vocab_size, precision=None, threads=None):
        if name == "disguised":
            return Disguised(params, config, vocab_size, precision)
        return ScalarEngine(params, config, vocab_size)

    module = ModuleType("microgpt.engines.disguised")
    module.Disguised = Disguised
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ENGINES, "disguised", ("disguised", "Disguised"))
    monkeypatch.setattr(bench_module, "open_engine", open_engine)


@pytest.fixture(scope="module")
def ladder():
    with pytest.MonkeyPatch.context() as patch:
        disguise(patch)
        return bench_module.bench(
            engines=["scalar", "disguised"],
            works=("train", "generate", "forward"),
            sizes=(4, 8),
            batch_sizes=(1, 2),
            seconds=0.03,
            rounds=3,
        )


def test_every_engine_precision_and_size_has_a_rung(ladder):
    rungs = {(r.work, r.n_embd, r.batch_size, r.engine, r.precision) for r in ladder.rungs}
    works = ("train", "generate", "forward")
    scalar = {(w, n, 1, "scalar", "exact") for w in works for n in (4, 8)}
    other = {(w, n, b, "disguised", p) for w in works for n in (4, 8) for b in (1, 2) for p in ("exact", "float32")}
    assert rungs == scalar | other
    assert len(ladder.rungs) == len(rungs)


def test_a_rung_has_its_difference_from_the_reference(ladder):
    for rung in ladder.rungs:
        # drawn tokens are not numbers to compare, and there is no other exact engine to compare a batch with
        if rung.work == "generate" or (rung.batch_size > 1 and rung.precision == "exact"):
            assert (rung.largest_difference, rung.compared_with) == (None, None)
        elif rung.engine == "scalar":
            assert (rung.largest_difference, rung.times_reference) == (None, 1.0)
        else:
            off = 0.0 if rung.precision == "exact" else 1e-6 if rung.work == "train" else 1e-5
            assert rung.largest_difference == pytest.approx(off, rel=1e-3)
            assert rung.compared_with == ("scalar exact" if rung.batch_size == 1 else "disguised exact")


def test_every_rung_is_measured_in_rounds(ladder):
    for rung in ladder.rungs:
        assert len(rung.seconds) == len(rung.tokens) == 3
        assert rung.microseconds > 0
        assert rung.tokens_per_second > 0
        assert rung.spread >= 0
        assert rung.times_reference > 0


def test_the_json_has_the_machine_the_command_and_every_number(ladder):
    facts = json.loads(json.dumps(ladder.to_dict(), allow_nan=False))
    assert {"command", "processor", "cores", "system", "python", "model", "data"} <= facts["facts"].keys()
    assert len(facts["rungs"]) == len(ladder.rungs)
    first = facts["rungs"][0]
    assert (first["work"], first["n_embd"], first["engine"], first["rounds"]) == ("train", 4, "scalar", 3)
    assert (facts["schema"], facts["notes"]) == (1, [])
    assert facts["skipped"] == ["the scalar engine in batches of 2: it would take minutes"]


def test_the_table_can_be_printed_aligned_or_in_markdown(ladder):
    lines = table.render(ladder).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("n_embd"))
    shown = lines[start : start + 4 + len(ladder.rungs)]
    assert re.fullmatch(r"n_embd +batch +engine +time +spread +tokens/s +× ref\. +difference", shown[0])
    third = len(ladder.rungs) // 3
    assert [i for i, line in enumerate(shown) if line in bench_module.WORKS] == [1, 2 + third, 3 + 2 * third]
    assert re.fullmatch(r" +4 +1 +scalar exact +[\d,.]+ (µs|ms|s) +\d+% +[\d,]+ +1\.0 +-", shown[2])
    assert len({len(line) for line in shown if line not in bench_module.WORKS}) == 1
    assert "generate: a token for every text in the batch" in lines[start + 4 + len(ladder.rungs) + 2]
    assert max(map(len, lines[1:])) <= 80  # except the command, whose length varies
    text = table.render(ladder, markdown=True)
    assert text.startswith("- command: ")
    assert "| work | n_embd | batch | engine | precision |" in text
    assert "| --- | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |" in text
    assert text.count("\n| ") == 2 + len(ladder.rungs)


def test_an_unavailable_engine_is_skipped_with_its_reason(monkeypatch):
    class Absent(ScalarEngine):
        def __init__(self, *args):
            raise ImportError("the absent engine needs a compiler: install one")

    module = ModuleType("microgpt.engines.absent")
    module.Absent = Absent
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ENGINES, "absent", ("absent", "Absent"))
    ladder = bench_module.bench(engines=["absent", "scalar"], works=("forward",), sizes=(4,), seconds=0.01, rounds=3)
    assert ladder.skipped == (
        "absent: the absent engine needs a compiler: install one",
        "the scalar engine in batches of 16: it would take minutes",
    )
    assert [rung.engine for rung in ladder.rungs] == ["scalar"]
    assert "\nleft out: absent: the absent engine needs a compiler: install one\n" in table.render(ladder)


def test_the_scalar_engine_is_not_measured_if_it_would_take_minutes():
    ladder = bench_module.bench(
        engines=["scalar"], sizes=(128, 256), works=("forward", "train"), seconds=0.01, rounds=3
    )
    assert ladder.rungs == ()
    reason = "the scalar engine at n_embd 128, 256 and in batches of 16: it would take minutes"
    assert " ".join(table.render(ladder).split()).endswith(f"left out: {reason}")
    assert table.render(ladder, markdown=True).endswith(f"\n- left out: {reason}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engines": ["quantum"]}, r"engine must be one of .*scalar.*, got engine='quantum'"),
        ({"works": ["dream"]}, r"work must be one of train, generate, forward, sample-1000, .*, got work='dream'"),
        ({"seconds": 0.0}, r"seconds must be finite and greater than 0, got seconds=0.0"),
        ({"rounds": 2}, r"rounds must be at least 3, got rounds=2"),
        ({"sizes": [6]}, r"n_embd must be a multiple of n_head"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        bench_module.bench(**options)


def test_a_training_rung_begins_again_after_the_last_step():
    documents = [[0, 1, 2, 0], [0, 2, 0]]
    config = bench_module.Config(n_embd=4, n_head=2, num_steps=5)

    def open_it():
        return ScalarEngine(bench_module.init(config, 3, bench_module.random.Random(1)), config, 3)

    task = workloads.Training(open_it, documents)
    for count in (2, 2, 3):
        work, tokens = task.prepare(count)
        work()
    assert tokens == 3 + 2 + 3
    assert task.tokens == 2.5
    engine = open_it()
    batches = [[documents[i % 2]] for i in range(4)]
    assert task.results == engine.train(batches, [0.01 * (1 - i / 5) for i in range(4)])


def test_columns_are_as_wide_as_their_widest_cell():
    assert text_tables.aligned(("name", "n"), [("a", "10"), ("long name", "2")], "lr") == (
        "name        n\na          10\nlong name   2"
    )


@pytest.fixture
def short(monkeypatch):
    """Calls of three texts, and processes of two steps."""
    monkeypatch.setattr(workloads, "NUM_SAMPLES", 3)
    monkeypatch.setattr(bench_module, "PROCESSES", {"process-1000": 2, "process-100000": 20_000})


WHOLE = ("sample-1000", "sample-1000-seeded", "process-1000", "process-100000")


def test_whole_calls_and_processes_are_measured_for_the_published_model(short):
    ladder = bench_module.bench(engines=["native", "scalar"], works=WHOLE[:3], sizes=(8, 16), seconds=0.01, rounds=3)
    if not ladder.rungs:
        pytest.skip("the native engine is not built")
    rungs = [(rung.work, rung.n_embd, rung.batch_size, rung.precision) for rung in ladder.rungs]
    assert rungs == [(work, 16, 1, precision) for work in WHOLE[:3] for precision in ("exact", "float32")]
    assert all(rung.tokens_per_second > 0 and len(rung.seconds) == 3 for rung in ladder.rungs)
    assert ladder.skipped == (
        "the scalar engine for sample-1000, sample-1000-seeded, process-1000: it would take minutes",
    )
    assert "sample-1000-seeded: a call of Run.sample for 1000 texts, each with its own" in table.render(ladder)


def test_long_processes_with_pytorch_are_left_out(short):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    ladder = bench_module.bench(engines=["torch"], works=WHOLE[3:], seconds=0.01, rounds=3)
    assert ladder.rungs == ()
    assert ladder.skipped == ("the torch engine for process-100000: it would take minutes",)


def test_whole_calls_and_processes_of_other_models_are_left_out(short):
    ladder = bench_module.bench(engines=["scalar"], works=WHOLE, sizes=(4,), seconds=0.01, rounds=3)
    assert ladder.skipped == (f"{', '.join(WHOLE)}: they are measured only for the published model",)


def test_a_process_that_fails_is_an_error():
    task = workloads.Process(2, 7.0, ["--engine", "quantum"])
    with pytest.raises(MicrogptError, match=r"`microgpt train names .* --engine quantum` failed: error: .*quantum"):
        task.prepare(1)[0]()


def test_generated_tokens_are_counted(monkeypatch):
    data = bench_module.load("names")
    for size in (1, 3):
        config = bench_module.Config(n_embd=4, n_head=2, block_size=5, batch_size=size)

        def open_it(config=config):
            params = bench_module.init(config, data.vocab_size, bench_module.random.Random(1))
            return bench_module.open_engine("native", params, config, data.vocab_size)

        try:
            work, tokens = workloads.Generating(open_it, data).prepare(4)
        except ImportError:
            pytest.skip("the native engine is not built")
        texts = work()
        assert len(texts) == 4 * size
        assert texts == work()
        assert tokens == sum(min(len(text) + 1, 5) for text in texts)


def test_a_longer_context_reads_the_names_as_one_text():
    model = bench_module.Config(block_size=40, n_layer=2)
    ladder = bench_module.bench(
        engines=["scalar"], works=("forward",), sizes=(4,), batch_sizes=(1,), model=model, seconds=0.01, rounds=3
    )
    assert (ladder.facts["model"].partition(", learning")[0], ladder.facts["data"].partition(" ")[2]) == (
        "n_head 4, n_layer 2, block_size 40",
        "windows of the bundled names",
    )
    assert ladder.rungs[0].tokens_per_second > 0


def rung(engine, precision, seconds, work="train"):
    rung = bench_module.Rung(engine, precision, work, 16, 1, SimpleNamespace(tokens=1.0))
    rung.seconds, rung.tokens = [seconds] * 3, [1] * 3
    return rung


def test_bench_says_where_pytorch_is_faster():
    rungs = [rung("native", "exact", 4.0), rung("native", "float32", 2.0), rung("torch", "float32", 1.0)]
    rungs += [rung("native", "float32", 1.0, "forward"), rung("torch", "float32", 2.0, "forward")]
    assert list(bench_module._faster_in_torch(rungs)) == [
        "train, n_embd 16, batch 1: torch float32 takes 0.50 of native float32's time; choose it with"
        " --engine torch --precision float32"
    ]
