"""Rule 2 of the lab: the page's prose types no number of the model; and every line of the program is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from conftest import SOURCE
from lab.page.browser import ROOT
from lab.page.typed_figures import figures

WEB = ROOT / "web" / "src"
PROSE = sorted([*(WEB / "sections").glob("*/text.ts"), *(WEB / "sections").glob("*/*.svelte")])
LABELS = {"20: peaked", "10", "10 per second"}  # ends of sliders, powers on an axis, paces: constants of the page


def prose(path: Path) -> Iterator[str]:
    """Yield the strings of a text.ts, or the texts in the markup of a component."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ts":
        text = re.sub(r"(?m)//.*$|^\s*(?:name|year|count|source|sizes): .*$", "", text)  # notes; facts of other models
        check = r"""'(?:[^'\\]|\\.)+'|"(?:[^"\\]|\\.)+\""""  # code
        text = re.sub(rf"(\bclaim\(\s*'(?:[^'\\]|\\.)+',)\s*(?:{check})", r"\1", text)
        yield from re.findall(r"'((?:[^'\\\n]|\\.)+)'", text)
    else:
        markup = re.sub(r"(?s)<script.*?</script>|<style.*?</style>|<!--.*?-->", "", text)
        while (plain := re.sub(r"\{[^{}]*\}", " ", markup)) != markup:
            markup = plain
        # attributes are not prose, except the titles of figures
        yield from re.findall(r' title="([^"]*)"', markup)
        yield from (line.strip() for line in re.sub(r"(?s)<[^>]*>", "\n", markup).splitlines())


@pytest.mark.parametrize("path", PROSE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_prose_types_no_number_of_the_model(path: Path) -> None:
    assert [(line, found) for line in prose(path) if line not in LABELS and (found := figures(line))] == []


def test_typed_numbers_would_be_found() -> None:
    """A test of the test."""
    assert figures("It has 4,192 parameters and 27 tokens; the loss is 2.73.") == ["4,192", "27", "2.73"]
    assert figures("Sixteen numbers, 4 heads.") == ["4", "Sixteen"]
    assert figures("2,1 or 0.1 or 10") == ["2,1", "0.1", "10"]
    assert (
        figures("{num_params} parameters, `n_head = 4`, n - 1 of 2h, 4 · n_embd², in 2017, section 8, GPT-2's 768")
        == []
    )


# --- The program's lines, explained

MARKS = ("# ", "## ", "> ", "act: ", "plain: ", "technical: ")


def explanations() -> list[str]:
    """Return the lines of the explanations, without the comments that check their claims."""
    lines = (WEB / "explain" / "reference.md").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("<!-- claim: ")]


def groups() -> Iterator[tuple[list[str], list[str]]]:
    """Yield (the heading or the lines of code, their explanations)."""
    kinds = groupby(filter(None, explanations()), key=lambda line: line.startswith(("plain: ", "technical: ")))
    about: list[str] = []
    for is_explanation, lines in kinds:
        if is_explanation:
            yield about, list(lines)
        else:
            about = [line for line in lines if not line.startswith(("# ", "act: "))]


def test_every_line_of_the_program_is_explained_in_order() -> None:
    code = [line.removeprefix("> ") for line in explanations() if line.startswith("> ")]
    source = (SOURCE / "reference.py").read_text(encoding="utf-8").splitlines()
    assert code == [line for line in source if line.strip()]


def test_every_group_of_lines_has_a_plain_and_a_technical_explanation() -> None:
    assert [line for line in explanations() if line and not line.startswith(MARKS)] == []
    for about, words in groups():
        assert about, words
        assert [line.split(": ")[0] for line in words] == ["plain", "technical"], about
        assert all(len(line.split(": ", 1)[1]) > 3 for line in words), about
    code = sum(line.startswith("> ") for line in explanations())
    assert sum(line.startswith("> ") for about, _ in groups() for line in about) == code  # every line is in a group


def test_explanations_type_no_number_of_the_model() -> None:
    wrong = []
    for about, words in groups():
        code = "\n".join(line for line in about if line.startswith("> "))
        wrong += [(line, found) for line in words if (found := figures(line, code))]
    assert wrong == []


# --- Learners' questions, and the section whose text responses them

QUESTIONS = {
    "What does its value mean": "6-surprise",
    "What are Q, K and V, really": "5-attention",
    "Where is the mask": "5-attention",
    "Why a KV cache in training": "5-attention",
    "Where is the batch": "5-attention",
    "Why in this order": "2-value",
    "Why +=": "2-value",
    "Why does a second backward not give the same again": "2-value",
    "Why is the local gradient of `exp` itself": "2-value",
    "Why not recursion": "2-value",
    "Why on the way into the branch, and not on the stream": "4-forward",
    "Why once more, straight after the embedding": "4-forward",
    "Are these words, or pieces of words": "1-data",
    "Can I use my own words": "1-data",
    "Can I see where two runs diverge": "8-training",
}


@pytest.mark.parametrize(("question", "section"), QUESTIONS.items())
def test_a_learners_question_is_answered_with_something_to_try(question: str, section: str) -> None:
    """The answer, folded behind the question or in the prose around it, has something to try."""
    text = (WEB / "sections" / section / "text.ts").read_text(encoding="utf-8")
    pieces = re.split(r"(?m)^\s*asks: |^(?:export )?const |^\]", text)  # an answer ends with the next question or list
    words = [words for words in pieces if f"{question}?" in words]
    assert words, "the question is not in the section's text"
    assert any(re.search(r"\b(Try: |Choose \*)", piece) for piece in words)
