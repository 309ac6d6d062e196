"""A port compared with the reference by files: the export, and the report on the port's results."""

import json
import re
import shutil
from array import array
from functools import cache
from itertools import accumulate

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microgpt.config import Config
from microgpt.schedule import learning_rate
from microgpt.system.safetensors import Tensor, read, write
from microgpt.verification import port as ports
from microgpt.verification.cases import CASES, Case
from microgpt.verification.kinds import INPUTS, KINDS, Unknown
from microgpt.verification.port_report import CaseReport, PortReport, place, render

from conftest import examples
from tracing.test_recorder import numpy_forward


@pytest.fixture(scope="module", autouse=True)
def recorded_once():
    """Record each case only once for this file, to save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "record", cache(Case.record))
        yield


@pytest.fixture(scope="module")
def exported(recorded_once, tmp_path_factory):
    folder = tmp_path_factory.mktemp("port") / "export"
    ports.export(folder)
    return folder


@pytest.fixture
def port(exported, tmp_path):
    """Write one case of the export with changes: port({name: Tensor, function of the Tensor, or None to remove it})."""

    def change(changes, case="batch"):
        tensors, _ = read(exported / f"{case}.safetensors")
        for name, tensor in changes.items():
            if tensor is None:
                del tensors[name]
            else:
                tensors[name] = tensor(tensors[name]) if callable(tensor) else tensor
        write(tmp_path / f"{case}.safetensors", tensors)
        return tmp_path

    return change


def shifted(position, by):
    """Return a change that adds `by` to one number of a tensor."""

    def change(tensor):
        numbers = tensor.floats()
        numbers[position] += by
        return Tensor("F64", tensor.shape, numbers.tobytes())

    return change


@pytest.fixture(scope="module")
def copied(exported, tmp_path_factory):
    """A port whose values are the reference's."""
    folder = tmp_path_factory.mktemp("copied")
    for name in CASES:
        write(folder / f"{name}.safetensors", read(exported / f"{name}.safetensors")[0])
    return folder


def test_values_that_equal_the_export_match_the_reference_bit_for_bit(copied):
    report = ports.against(copied, require=KINDS)
    assert report.passed
    assert report.complete
    assert (report.status, report.verdict) == (0, "matches")
    assert [case.case for case in report.cases] == list(CASES)
    assert all(case.state(kind) == "exact" for case in report.cases for kind in KINDS)
    assert not any(case.missing or case.extra or case.misshapen for case in report.cases)
    assert render(report).splitlines()[-6:] == [
        "compared      18,378 of 18,378 tensors in 10 of 10 cases, all bit for bit",
        "in full       logits, activations, losses, doc_grads, grads, adam, params",
        "not tested    schedule, clipping, random numbers, tokenizer, sampling",
        "required      logits, activations, losses, doc_grads, grads, adam, params:",
        "              compared in full, and correct",
        "the port matches the reference in everything that can be compared",
    ]


def test_the_index_has_inputs_names_and_shapes_in_the_order_of_the_files(exported):
    index = json.loads((exported / "index.json").read_text(encoding="utf-8"))
    assert (index["format"], index["version"]) == ("microgpt-verify", 1)
    assert index["tolerances"]["F64"] == 1e-12
    for name, facts in index["cases"].items():
        tensors, metadata = read(exported / facts["file"])
        assert {n: list(t.shape) for n, t in tensors.items()} == facts["tensors"]
        assert list(tensors) == list(facts["tensors"])
        assert metadata == {"format": "microgpt-verify", "version": "1", "case": name}
        c = Config(**facts["config"])
        assert c == CASES[name].config
        assert [step["learning_rate"] for step in facts["steps"]] == [
            learning_rate(step, c.num_steps, c.learning_rate, c.warmup_steps, c.decay)
            for step in range(len(facts["steps"]))
        ]
        for step in facts["steps"]:
            for tokens in step["documents"]:
                assert tokens[0] == tokens[-1] == facts["bos"]
                assert all(0 <= token_id < facts["vocab_size"] for token_id in tokens)


def numpy_port(folder, out):
    """A port in NumPy that uses only the exported folder and what docs/verify.md says."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for facts in index["cases"].values():
        config = Config(**facts["config"])
        given = safetensors.numpy.load_file(folder / facts["file"])
        results = {}
        owner = "init"
        for number, step in enumerate(facts["steps"], start=1):
            parameters = [n.removeprefix("init.") for n in facts["tensors"] if n.startswith("init.")]
            weights = {n: given[f"{owner}.{n}"] for n in parameters}
            losses = []
            for d, tokens in enumerate(step["documents"]):
                numbers = numpy_forward(tokens, weights, config)
                results |= {f"step{number}.doc{d}.{n}": np.asarray(x, dtype=np.float64) for n, x in numbers.items()}
                losses.append(numbers["loss"])
            results[f"step{number}.loss"] = np.asarray(list(accumulate(losses))[-1] / len(losses))
            for n in parameters:
                m = (given[f"step{number - 1}.m.{n}"], given[f"step{number - 1}.v.{n}"]) if number > 1 else (0.0, 0.0)
                grad = given[f"step{number}.grad.{n}"]
                m, v = (
                    config.beta1 * m[0] + (1 - config.beta1) * grad,
                    config.beta2 * m[1] + (1 - config.beta2) * grad**2,
                )
                results[f"step{number}.m.{n}"], results[f"step{number}.v.{n}"] = m, v
                m_hat, v_hat = m / (1 - config.beta1**number), v / (1 - config.beta2**number)
                move = step["learning_rate"] * m_hat / (np.sqrt(v_hat) + config.eps_adam)
                results[f"step{number}.params.{n}"] = weights[n] - move
            owner = f"step{number}.params"
        safetensors.numpy.save_file(results, out / facts["file"])


def test_a_port_written_from_the_documentation_passes(exported, tmp_path):
    numpy_port(exported, tmp_path)
    report = ports.against(tmp_path)
    assert report.passed, render(report)
    assert report.verdict == "agrees"
    assert ports.against(tmp_path, require=KINDS).unmet == {
        kind: {"missing": list(CASES)} if "grads" in kind else {} for kind in KINDS
    }
    assert sum(len(case.compared) for case in report.cases) > 8000
    for case in report.cases:
        assert all("grad" in name for name in case.missing)


def test_the_first_difference_is_named_with_its_position_and_step(port):
    report = ports.against(
        port(
            {
                "step2.doc1.pos0.layer0.q": shifted(5, 1e-6),
                "step1.doc1.pos3.layer0.attn_weights.head1": shifted(2, 1e-9),
            }
        )
    )
    assert report.status == 1
    [case] = report.cases
    assert case.parts_at == "step1.doc1.pos3.layer0.attn_weights.head1"
    assert [t.name for t in case.wrong] == [case.parts_at, "step2.doc1.pos0.layer0.q"]
    text = render(report)
    assert (
        "batch diverges first at layer0.attn_weights.head1 at position 3 of document 1 in\n  step 1\n"
        "step1.doc1.pos3.layer0.attn_weights.head1\n"
        "  beyond the tolerance of 1e-12: 1 of 4 values; not equal bit for bit: 1\n"
        "  largest difference: 1e-09 ("
    ) in text
    assert re.search(r"\n  index  expected +got\n  \[2\]    ", text)
    assert text.endswith("the port does NOT match the reference: 2 tensors wrong, in 1 case")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("step2.doc0.grad.pos3.layer0.q", "the gradient of layer0.q at position 3 of document 0 in step 2"),
        ("step1.grad.layer0.attn_wq", "the gradient of layer0.attn_wq in step 1"),
        ("step1.doc1.loss", "loss of document 1 in step 1"),
        ("step3.params.wte", "params.wte in step 3"),
        ("init.wte", "init.wte"),
    ],
)
def test_a_place_is_described_in_words(name, words):
    assert place(name) == words


def test_missing_and_unknown_tensors_are_reported_but_allowed(port):
    removed = {f"step{s}.doc0.grad.pos0.probs": None for s in (1, 2, 3)}
    zero = Tensor("F64", (1,), bytes(8))
    write(port({}) / "fianl.safetensors", {})
    report = ports.against(port({**removed, "step1.doc0.pos0.layer0.attn_logit.head0": zero, "step7.loss": zero}))
    assert (report.status, report.verdict) == (0, "agrees")
    text = render(report)
    assert "batch   exact        exact   exact       part  exact  exact   exact\n" in text
    assert "missing       step*.doc*.grad.pos*.probs (3)\n" in text
    assert "not known     fianl.safetensors (did you mean final.safetensors?)\n" in text
    assert "step1.doc0.pos0.layer0.attn_logit.head0 (1 tensor; did you mean" in text
    assert "step*.doc*.pos*.layer*.attn_logits.head*?)\n" in text
    assert "step7.loss (1 tensor; did you mean step3.loss?)\n" in text
    assert "no file for   final, first, " in text
    facts = report.to_dict()
    assert facts["nearest"] == {"fianl.safetensors": "final"}
    assert facts["cases"][0]["unknown"][1] == {"name": "step7.loss", "number": 1, "nearest": "step3.loss"}


def test_the_verdict_is_only_that_the_port_matches_if_every_kind_was_compared_in_every_case(copied, tmp_path):
    for path in copied.iterdir():
        kept = {name: t for name, t in read(path)[0].items() if name.endswith(("logits", ".loss"))}
        write(tmp_path / path.name, {name: t for name, t in kept.items() if "grad" not in name})
    report = ports.against(tmp_path)
    assert (report.status, report.passed, report.complete, report.verdict) == (0, True, False, "agrees")
    assert {kind: facts["coverage"] for kind, facts in report.to_dict()["kinds"].items()} == {
        **dict.fromkeys(KINDS, "none"),
        "logits": "full",
        "losses": "full",
        "activations": "part",
    }
    assert render(report).splitlines()[-5:] == [
        "in full       logits, losses",
        "in part       activations",
        "not compared  doc_grads, grads, adam, params",
        "not tested    schedule, clipping, random numbers, tokenizer, sampling",
        "the port agrees with the reference in what was compared, which is not everything",
    ]
    shutil.copy(copied / "final.safetensors", tmp_path)
    assert ports.against(tmp_path, cases=["final"]).verdict == "agrees"  # 1 of the 10 cases


def test_the_report_fits_80_columns(exported, copied, tmp_path):
    zero = Tensor("F64", (), bytes(8))
    for case in ("layers", "batch", "many_heads", "short_block"):
        tensors = read(copied / f"{case}.safetensors")[0]
        for name in [name for name in tensors if name.startswith(("step1.doc0.pos2", "step2.doc0.grad.pos"))]:
            tensors[name] = shifted(0, 1.0)(tensors[name])
        write(tmp_path / f"{case}.safetensors", {**tensors, "step1.doc0.pos3.layer0.attn_weights.hed1": zero})
    shutil.copy(exported / "batch.safetensors", tmp_path)
    text = render(ports.against(tmp_path, require=["grads"]))
    assert max(map(len, text.splitlines())) <= 80, text
    assert "as exported   batch (its file was written by --export)\n" in text
    assert "required      grads: missing in final, first, one_head, odd_sizes, batch, relu2,\n" in text
    assert text.endswith("wrong, in 3 cases")


def test_only_the_values_beyond_the_tolerance_are_wrong_and_both_counts_are_shown(port):
    def noisy(tensor):
        numbers = array("d", (x * (1 + 1e-15) if i % 2 else x for i, x in enumerate(tensor.floats())))
        numbers[4] += 1e-3
        return Tensor("F64", tensor.shape, numbers.tobytes())

    report = ports.against(port({"step1.doc0.pos0.logits": noisy}))
    [wrong] = report.cases[0].wrong
    assert (wrong.numbers, wrong.differ, wrong.beyond) == (12, 7, 1)
    assert ": 1 of 12 values; not equal bit for bit: 7\n" in render(report)
    facts = report.to_dict()["cases"][0]["wrong"][0]
    assert (facts["beyond"], facts["differ"]) == (1, 7)


def test_a_zero_of_the_other_sign_is_wrong_with_tolerance_0(port):
    def negated(tensor):
        numbers = array("d", (-0.0 if x == 0 else x for x in tensor.floats()))
        assert numbers.tobytes() != bytes(tensor.data)
        return Tensor("F64", tensor.shape, numbers.tobytes())

    folder = port({"step1.doc0.pos0.layer0.mlp_act": negated})
    assert ports.against(folder).status == 0
    assert ports.against(folder, tolerance=0.0).status == 1


@pytest.mark.parametrize("shape", [(1,), (1, 1), ()])
def test_a_single_number_may_have_any_number_of_dimensions(port, shape):
    def reshaped(tensor):
        return Tensor("F64", shape, tensor.data)

    scalars = ("step1.loss", "step1.doc0.loss", "step1.doc0.pos0.loss", "step1.doc0.pos0.layer0.attn_logits.head0")
    report = ports.against(port(dict.fromkeys(scalars, reshaped)))
    assert report.status == 0
    assert report.cases[0].state("losses") == "exact"


def test_inputs_do_not_count(exported, port, tmp_path):
    tensors = read(exported / "batch.safetensors")[0]
    inputs = {name: t for name, t in tensors.items() if name.startswith(INPUTS)}
    write(tmp_path / "batch.safetensors", inputs)
    with pytest.raises(ValueError, match=r"nothing to compare in '.*': batch.safetensors contains only inputs \(9 "):
        ports.against(tmp_path)
    write(tmp_path / "batch.safetensors", {**inputs, "step1.loss": tensors["step1.loss"]})
    [case] = ports.against(tmp_path).cases
    assert (case.names, case.extra, case.inputs) == (["step1.loss"], (), 9)


def test_a_file_without_a_known_name_is_refused_and_the_nearest_name_is_shown(exported, tmp_path):
    write(tmp_path / "batch.safetensors", {})
    with pytest.raises(ValueError, match=r"batch.safetensors contains no tensor with a name from index.json$"):
        ports.against(tmp_path)
    logits = {name: t for name, t in read(exported / "batch.safetensors")[0].items() if name.endswith(".logits")}
    write(tmp_path / "batch.safetensors", {name.replace("logits", "logit"): t for name, t in logits.items()})
    with pytest.raises(ValueError, match=r"but step\*.doc\*.pos\*.logit \(.* did you mean step\*.doc\*.pos\*.logits\?"):
        ports.against(tmp_path)
    (tmp_path / "batch.safetensors").rename(tmp_path / "bach.safetensors")
    with pytest.raises(ValueError, match=r"; got bach.safetensors \(did you mean batch.safetensors\?\)"):
        ports.against(tmp_path)


def test_the_export_itself_is_not_a_port(exported):
    with pytest.raises(ValueError, match=r"nothing to compare in .*: --export wrote the files of final, first, "):
        ports.against(exported)


def test_a_requirement_is_met_only_if_everything_required_was_compared_and_is_correct(copied, port):
    [batch] = ports.against(port({}), cases=["batch"], require=["losses", " grads"]).cases
    assert batch.state("losses") == "exact"
    report = ports.against(port({"step1.grad.wte": None, "step2.loss": shifted(0, 1.0)}), require=["losses", "grads"])
    assert report.status == 1
    others = [name for name in CASES if name != "batch"]
    assert report.unmet == {"losses": {"missing": others, "wrong": ["batch"]}, "grads": {"missing": list(CASES)}}
    assert "\nrequired      losses: wrong in batch\nrequired      grads: missing in every case\n" in render(
        report
    ).replace("\n              ", " ")
    assert report.to_dict()["required"]["grads"] == {"met": False, "missing": list(CASES), "wrong": []}
    report = ports.against(port({"step1.grad.wte": None, "step2.loss": None}), cases=["batch"], require=["adam"])
    assert (report.status, report.passed, report.unmet) == (0, True, {"adam": {}})
    assert ports.against(port({"step1.loss": None}), cases=["batch"], require=["losses"]).status == 1


def test_an_unknown_kind_is_refused(copied):
    message = r"require must be a comma-separated list of logits, .*, got require='loss' \(did you mean losses\?\)"
    with pytest.raises(ValueError, match=message):
        ports.against(copied, require=["grads", "loss"])
    with pytest.raises(ValueError, match=r"case must be one of final, .*, got case='nothing'"):
        ports.against(copied, cases=["nothing"])


def test_a_transposed_matrix_is_reported_by_its_shape(port):
    report = ports.against(port({"step1.grad.wte": lambda t: Tensor("F64", t.shape[::-1], t.data)}))
    assert report.status == 1
    assert report.cases[0].parts_at == "step1.grad.wte"
    assert "step1.grad.wte must have shape [12, 8], got [8, 12]" in render(report)


def test_nan_is_a_difference(port):
    report = ports.against(port({"step1.doc0.pos1.logits": shifted(3, float("nan"))}))
    assert report.status == 1
    assert "step1.doc0.pos1.logits\n" in render(report)
    assert "\n  [3]    " in render(report)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["cases"][0]["wrong"][0]["largest"] == "inf"


def as_float32(tensor):
    return Tensor("F32", tensor.shape, array("f", tensor.floats()).tobytes())


def test_float32_is_compared_as_float32(exported, port):
    names = read(exported / "batch.safetensors")[0]
    folder = port(dict.fromkeys(names, as_float32))
    [case] = ports.against(folder).cases
    assert case.parts_at is None
    assert all(t.exact for t in case.compared)  # equal to the expected numbers rounded to float32
    assert ports.against(folder, tolerance=1e-12).status == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "batch.safetensors' is not a safetensors file: a file must be at least 8 bytes long, got 0"),
        (b"\xff" * 64, "batch.safetensors' is not a safetensors file: the header claims"),
        (
            b"\x02\0\0\0\0\0\0\0{}extra",
            "is not a safetensors file: the tensors occupy 0 bytes, but 5 follow the header",
        ),
        (
            b'\x3c\0\0\0\0\0\0\0{"loss":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}  \0\0',
            "is not a safetensors file: dtype of tensor 'loss' must be F64 or F32, got 'BF16'",
        ),
    ],
)
def test_a_file_that_is_not_safetensors_is_refused(content, message, tmp_path):
    (tmp_path / "batch.safetensors").write_bytes(content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        ports.against(tmp_path)
    assert message in str(caught.value)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_a_value_error_or_a_report(exported, tmp_path, draw):
    content = bytearray((exported / "many_heads.safetensors").read_bytes())
    if draw.draw(st.booleans()):
        del content[draw.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(3):
            content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    (tmp_path / "many_heads.safetensors").write_bytes(content)
    try:
        report = ports.against(tmp_path)
    except ValueError:
        return
    render(report).encode()
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_name_from_a_port_cannot_add_a_line_to_the_report(tmp_path):
    name = "extra\x1b]0;t\x07\nthe port matches the reference"
    case = CaseReport("batch", (), (), (), (name,), None, unknown=(Unknown(name, 1, None),))
    shown = render(PortReport(str(tmp_path), (case,), (), ignored={f"{name}.safetensors": None}))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "\nthe port matches the reference" not in shown


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"contains no files to compare: name them as export does \(final.safetensors, "
    ):
        ports.against(tmp_path)
    with pytest.raises(
        ValueError, match=r"nowhere' is not a folder: specify the folder that contains the port's files"
    ):
        ports.against(tmp_path / "nowhere")
    (tmp_path / "final.safetensors").mkdir()
    with pytest.raises(ValueError, match=r"final.safetensors' is not a file"):
        ports.against(tmp_path)


def test_a_huge_file_is_not_read(tmp_path):
    with (tmp_path / "final.safetensors").open("wb") as file:
        file.truncate(ports.MAX_FILE + 1)
    with pytest.raises(ValueError, match="must have at most 268435456 bytes, got 268435457"):
        ports.against(tmp_path)


def test_results_are_not_overwritten_by_an_export(exported, tmp_path):
    shutil.copy(exported / "batch.safetensors", tmp_path)
    with pytest.raises(ValueError, match="the export folder must be new or empty, got "):
        ports.export(tmp_path)
