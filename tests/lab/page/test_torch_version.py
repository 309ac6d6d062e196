"""The program in PyTorch: it computes the published run, and the page shows it next to every line of the reference."""

from __future__ import annotations

import importlib.util
import random
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from microgpt import reference

from conftest import SOURCE, golden
from lab.page.browser import FOLDERS, ROOT, Visit
from lab.page.typed_figures import figures

EXPLAIN = ROOT / "web" / "src" / "explain"
WHOLE = EXPLAIN / "microgpt_torch.py"
MARKS = ("> ", "= ", "~ ", "nothing: ", "note: ")


@pytest.fixture(scope="module")
def program() -> Iterator[Any]:
    """The file as a module; PyTorch's global settings are restored afterwards."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install torch")
    spec = importlib.util.spec_from_file_location("microgpt_torch", WHOLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield module
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


@pytest.mark.golden
def test_the_program_prints_the_published_run(
    program: Any, names_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints what the reference prints, and its losses agree in full precision."""
    losses, of_document = [], program.loss

    def listening(*arguments: Any) -> Any:
        value = of_document(*arguments)
        losses.append(value.item())
        return value

    monkeypatch.setattr(program, "loss", listening)
    program.main(program.documents(names_file))
    run = golden("final")
    printed = [f"{what}: {run[what.replace(' ', '_')]}" for what in ("num docs", "vocab size", "num params")]
    printed += [f"step {step:4d} / 1000 | loss {loss:.4f}" for step, loss in enumerate(run["losses"], 1)]
    printed += ["", "--- inference ---"]
    printed += [f"sample {i:2d}: {text}" for i, text in enumerate(run["samples"], 1)]
    assert capsys.readouterr().out.splitlines() == printed
    assert losses == pytest.approx(run["losses"], rel=0, abs=1e-9)


@pytest.mark.parametrize("length", [1, 3, 4, 9])
def test_a_document_of_any_length_gives_the_loss_and_gradients_of_the_reference(program: Any, length: int) -> None:
    """The model has other sizes and two layers; neither program reads beyond block_size."""
    import torch

    sizes, rng = (7, 6, 2, 4), random.Random(length)  # vocab_size, n_embd, n_layer, block_size
    tokens = [6, *(rng.randrange(6) for _ in range(length)), 6]
    state_dict = reference.init(reference.shapes(*sizes), random.Random(1), 0.3)
    expected = reference.loss(tokens, state_dict, 2, 3, 4)
    expected.backward()

    torch.set_default_dtype(torch.float64)
    model = program.GPT(*sizes[:3], 3, sizes[3])
    model.init(random.Random(1), 0.3)
    surprise = program.loss(tokens, model, 4)
    surprise.backward()
    assert surprise.item() == pytest.approx(expected.data, abs=1e-12)
    for p, matrix in zip(model.parameters(), state_dict.values()):
        assert p.grad.tolist() == [pytest.approx([w.grad for w in row], abs=1e-12) for row in matrix]


# --- Next to every line of the reference


def notes() -> list[str]:
    return [line for line in (EXPLAIN / "torch.md").read_text(encoding="utf-8").splitlines() if line]


def entries() -> Iterator[tuple[list[str], list[str]]]:
    """Yield (lines of the reference, the lines next to them)."""
    code: list[str] = []
    for is_code, lines in groupby(notes(), key=lambda line: line.startswith("> ")):
        if is_code:
            code = list(lines)
        else:
            yield code, list(lines)


def test_every_line_of_the_reference_has_its_equivalent_in_order() -> None:
    code = [line.removeprefix("> ") for line in notes() if line.startswith("> ")]
    source = (SOURCE / "reference.py").read_text(encoding="utf-8").splitlines()
    assert code == [line for line in source if line.strip()]
    assert [line for code, beside in entries() for line in code] == [f"> {line}" for line in source if line.strip()]


def test_every_entry_is_code_or_says_why_nothing_is_needed() -> None:
    assert [line for line in notes() if not line.startswith(MARKS)] == []
    for code, beside in entries():
        kinds = {line.split(" ")[0] for line in beside}
        assert ("nothing:" in kinds) != bool(kinds & {"=", "~"}), code
        assert sum(line.startswith("note: ") for line in beside) <= 1, code
        assert all(len(line.split(": ", 1)[1]) > 3 for line in beside if line.startswith(("note: ", "nothing: ")))


def test_the_lines_marked_as_those_of_the_full_version_are() -> None:
    lines = WHOLE.read_text(encoding="utf-8").splitlines()
    assert [line for line in notes() if line.startswith("= ") and line[2:] not in lines] == []
    assert [line for line in notes() if line.startswith("~ ") and line[2:] in lines] == []


def test_almost_every_line_of_the_full_version_has_a_counterpart() -> None:
    """The exceptions are the beginnings and ends of classes, and calls that only torch needs."""
    beside = {line[2:] for line in notes() if line.startswith("= ")}
    code = WHOLE.read_text(encoding="utf-8").split('"""\n', 1)[1]
    bare = re.compile(
        r'\s*(super\(\).*|"""[^"]*"""|class .*|def (__init__|forward).*|self\.n_head = n_head|\)|# ---.*)?'
    )
    assert [line for line in code.splitlines() if line not in beside and not bare.fullmatch(line)] == []


def test_the_snippets_are_valid_python() -> None:
    for code, beside in entries():
        snippet = "\n".join(line[2:].strip() for line in beside if line.startswith("~ "))
        compile(snippet + (" pass" if snippet.endswith(":") else ""), code[0], "exec")


def test_notes_type_no_number_of_the_model() -> None:
    words = [
        (line, "\n".join(code)) for code, beside in entries() for line in beside if line.startswith(("note", "noth"))
    ]
    assert [(line, found) for line, code in words if (found := figures(line, code))] == []


# --- In the page


def test_the_page_pairs_the_lines_and_gives_the_file(tab: Visit) -> None:
    tab.section(FOLDERS.index("10-workbench"))
    figure = tab.page.locator("figure").filter(has_text="PyTorch, line by line")
    rows = figure.locator("li")
    rows.first.wait_for()
    assert rows.count() == len(list(entries()))
    for i, (code, beside) in enumerate(entries()):
        if i % 10 == 0:  # a sample of the rows
            text = rows.nth(i).inner_text()
            expected = [*code, *(line for line in beside if line.startswith(("= ", "~ ")))]
            assert [line for line in expected if line[2:].strip() not in text] == []
    rows.nth(5).hover()
    first = list(entries())[5][0][0].removeprefix("> ")
    source = (SOURCE / "reference.py").read_text(encoding="utf-8").splitlines()
    lit = tab.page.locator(".source li.lit").first
    assert source[int(lit.get_attribute("data-line") or 0) - 1] == first
    with tab.page.expect_download() as download:
        figure.get_by_role("button", name="download microgpt_torch.py").click()
    assert Path(download.value.path()).read_bytes() == WHOLE.read_bytes()
