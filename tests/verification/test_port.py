"""A port compared with the reference by files: the export, and the report on the port's results."""

import json
import re
import shutil
import sys
import warnings
from array import array
from itertools import accumulate

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microgpt.config import Config
from microgpt.system.safetensors import Tensor, read, write
from microgpt.verification import port as ports
from microgpt.verification.cases import CASES

from conftest import ROOT, examples
from tracing.test_recorder import numpy_forward


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
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


def test_the_export_equals_the_reference_bit_for_bit(exported):
    report = ports.against(exported)
    assert report.passed
    assert report.status == 0
    assert [case.case for case in report.cases] == list(CASES)
    assert all(t.exact for case in report.cases for t in case.compared)
    assert not any(case.missing or case.extra or case.misshapen for case in report.cases)
    assert (
        ports.render(report).splitlines()[-1].startswith("the port matches the reference in all 18486 tensors compared")
    )


def test_the_index_has_inputs_names_and_shapes_in_the_order_of_the_files(exported):
    index = json.loads((exported / "index.json").read_text(encoding="utf-8"))
    assert (index["format"], index["version"]) == ("microgpt-verify", 1)
    assert index["tolerances"]["F64"] == 1e-12
    for name, facts in index["cases"].items():
        tensors, metadata = read(exported / facts["file"])
        assert {n: list(t.shape) for n, t in tensors.items()} == facts["tensors"]
        assert list(tensors) == list(facts["tensors"])
        assert metadata == {"format": "microgpt-verify", "version": "1", "case": name}
        assert Config(**facts["config"]) == CASES[name].config
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


def test_the_example_of_the_page_runs_and_prints_what_the_page_shows(exported, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    code, shown = re.search(r"```python\n(.*?)```.*?prints:\n\n```\n(.*?)```", page, re.DOTALL).groups()
    monkeypatch.setattr(sys, "argv", ["port.py", str(exported), str(tmp_path)])
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # the example leaves closing its files to the garbage collector
        exec(compile(code, "port.py", "exec"), {})
    assert ports.render(ports.against(tmp_path)) == shown.strip()


def test_a_port_written_from_the_documentation_passes(exported, tmp_path):
    numpy_port(exported, tmp_path)
    report = ports.against(tmp_path)
    assert report.passed, ports.render(report)
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
    text = ports.render(report)
    assert (
        "batch first diverges from the reference at layer0.attn_weights.head1 at position 3 of document 1 in step 1"
        in text
    )
    assert "step1.doc1.pos3.layer0.attn_weights.head1[2]  expected" in text
    assert text.endswith("the port does NOT match the reference: 1 of 1 cases diverge")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("step2.doc0.grad.pos3.layer0.q", "the gradient of layer0.q at position 3 of document 0 in step 2"),
        ("step1.grad.layer0.attn_wq", "the gradient of layer0.attn_wq in step 1"),
        ("step1.doc1.loss", "loss of document 1 in step 1"),
        ("step3.params.wte", "params.wte in step 3"),
        ("init.wte", "init.wte"),
    ],
)
def test_a_place_is_described_in_words(name, place):
    assert ports.place(name) == place


def test_missing_and_additional_tensors_are_reported_but_allowed(port):
    removed = {f"step{s}.doc0.grad.pos0.probs": None for s in (1, 2, 3)}
    report = ports.against(port({**removed, "step1.doc0.pos0.layer0.extra": Tensor("F64", (1,), bytes(8))}))
    assert report.status == 0
    text = ports.render(report)
    assert "batch: missing: step*.doc*.grad.pos*.probs (3)" in text
    assert "batch: not in the export: step*.doc*.pos*.layer*.extra (1)" in text
    assert "no file for: final, first, " in text


def test_a_transposed_matrix_is_reported_by_its_shape(port):
    report = ports.against(port({"step1.grad.wte": lambda t: Tensor("F64", t.shape[::-1], t.data)}))
    assert report.status == 1
    assert report.cases[0].parts_at == "step1.grad.wte"
    assert "step1.grad.wte must have shape [12, 8], got [8, 12]" in ports.render(report)


def test_nan_is_a_difference(port):
    report = ports.against(port({"step1.doc0.pos1.logits": shifted(3, float("nan"))}))
    assert report.status == 1
    assert "step1.doc0.pos1.logits[3]" in ports.render(report)
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
    ports.render(report).encode()
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_name_from_a_port_cannot_add_a_line_to_the_report(tmp_path):
    name = "extra\x1b]0;t\x07\nthe port matches the reference"
    case = ports.CaseReport("batch", (), (), (), (name,), None)
    shown = ports.render(ports.PortReport(str(tmp_path), (case,), (), (f"{name}.safetensors",)))
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.count("\nthe port matches the reference") == 1


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
