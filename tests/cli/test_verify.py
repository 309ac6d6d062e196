"""`microgpt verify --export` and `--against`: the options, the exit status and the JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microgpt.system.safetensors import Tensor, write
from microgpt.verification.cases import CASES
from microgpt.verification.port import expected

from cli.commands import Microgpt, strict_json

Mine = Callable[[str], None]


@pytest.fixture
def mine(here: Path) -> Mine:
    """Write the tensors of one case whose name contains a text to the folder `mine`."""

    def fill(part: str) -> None:
        Path("mine").mkdir(exist_ok=True)
        tensors = {name: t for name, t in expected(CASES["many_heads"]).items() if part in name}
        table = {name: Tensor("F64", t.shape, t.numbers.tobytes()) for name, t in tensors.items()}
        write("mine/many_heads.safetensors", table)

    return fill


def test_a_requirement_decides_the_exit_status(mine: Mine, microgpt: Microgpt) -> None:
    mine(".params.")
    assert microgpt("verify --against mine").status == 0
    assert microgpt("verify --against mine --case many_heads --require params").status == 0
    status, out, _ = microgpt("verify --against mine --case many_heads --require params,losses")
    assert status == 1
    assert "\nrequired      losses: missing in many_heads\n" in out
    status, _, err = microgpt("verify --against mine --require param")
    assert status == 2
    assert err == (
        "error: require must be a comma-separated list of logits, activations, losses, doc_grads, grads, adam, params,"
        " got require='param' (did you mean params?)\n"
    )
    assert microgpt("verify --against mine --require ''").status == 2


def test_nothing_compared_is_status_2_and_prints_no_report(mine: Mine, microgpt: Microgpt) -> None:
    mine("init.")
    for line in ("verify --against mine", "verify --against mine --json"):
        status, out, err = microgpt(line)
        assert (status, out) == (2, "")
        assert err.splitlines()[-1] == (
            "error: nothing to compare in 'mine': many_heads.safetensors contains only inputs (9 tensors)"
        )


def test_the_json_has_the_same_facts_as_the_text(mine: Mine, microgpt: Microgpt) -> None:
    mine(".loss")
    status, out, _ = microgpt("verify --against mine --require losses,grads --json")
    facts = strict_json(out)
    assert (status, facts["status"]) == (1, 1)
    assert (facts["verdict"], facts["passed"], facts["complete"]) == ("agrees", True, False)
    assert facts["kinds"]["losses"] == {"coverage": "part", "exact": 3, "within": 0, "wrong": 0, "missing": 0}
    assert facts["kinds"]["grads"]["coverage"] == "none"
    assert facts["not_tested"] == ["schedule", "clipping", "random numbers", "tokenizer", "sampling"]
    others = [name for name in CASES if name != "many_heads"]
    assert facts["required"]["losses"] == {"met": False, "missing": others, "wrong": []}
    assert facts["required"]["grads"] == {"met": False, "missing": list(CASES), "wrong": []}
    [case] = facts["cases"]
    assert case["kinds"]["losses"] == {"state": "exact", "exact": 3, "within": 0, "wrong": 0, "missing": 0}
    assert facts["absent"] == others


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--require losses", "require needs against: add --against DIR, the folder with the port's values"),
        ("--against mine --engine native", "engine and against cannot be used together: omit one of them"),
        ("--against mine --golden-steps 0", "golden_steps and against cannot be used together: omit one of them"),
        ("--export out --tolerance 0", "tolerance and export cannot be used together: omit one of them"),
        ("--export out --case final", "case and export cannot be used together: omit one of them"),
        ("--export out --against mine", "export and against cannot be used together: omit one of them"),
    ],
)
def test_an_option_without_effect_is_refused(line: str, message: str, here: Path, microgpt: Microgpt) -> None:
    assert microgpt(f"verify {line}") == (2, "", f"error: {message}\n")
    assert not Path("out").exists()
