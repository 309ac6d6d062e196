"""Attention without its mask, on the page: every number agrees with a plain computation of the full matrix."""

from __future__ import annotations

import math

import pytest

from microgpt.lab.session import Session

from lab.figures.whole_matrix import Transformer, everything, the_past
from lab.page.axe import violations
from lab.page.browser import SIZES, Visit
from lab.session_client import ask

FIGURE = """() => {
  const heading = [...document.querySelectorAll('main h3')].find((e) => e.textContent === 'The textbook’s mask')
  return [...heading.closest('figure').querySelectorAll('td [data-path], td[data-path], :is(p, svg) [data-path]')]
    .map((e) => [e.dataset.path, Number(e.dataset.value), e.textContent.trim()])
}"""


def test_the_page_shows_the_numbers_of_the_full_matrix(tab: Visit) -> None:
    word, head = "emma", 2
    tab.section(5, word=word, head=head, position=0)
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name="The textbook’s mask"))
    figure.get_by_role("radio", name="off").click()
    tab.settle()
    for button in figure.get_by_role("button", name="as a table").all():
        button.click()
    figure.get_by_role("button", name="10 training documents").click()
    tab.page.locator("[data-path='documents.loss']").wait_for()

    session = Session()
    free, masked = Transformer(session, word, everything), Transformer(session, word, the_past)
    tokenizer = session.active.run.tokenizer
    targets = tokenizer.encode(word)[1:]
    documents = ask(
        session, "unmasked_documents", count=10
    )  # compared with the plain computation in tests/lab/figures/test_unmasked.py
    truth: dict[str, float] = {
        "loss": masked.loss,
        "unmasked loss": free.loss,
        "unmasked better": sum(a > b for a, b in zip(free.probs, masked.probs)),
        "positions": len(targets),
        "unmasked documents": 10,
        "unmasked documents.loss": documents["unmasked"],
        "documents.loss": documents["masked"],
        "unmasked documents.lower": documents["lower"],
    }
    scores = ask(session, "unmasked", word=word)["logits"][0][head]
    for t, target in enumerate(targets):
        truth[f"unmasked future pos{t}.layer0.head{head}"] = sum(free.weights[0][head][t][t + 1 :], 0.0)
        truth[f"pos{t}.probs[{target}]"] = masked.probs[t]
        truth[f"unmasked pos{t}.probs[{target}]"] = free.probs[t]
        truth[f"pos{t}.loss"] = -math.log(masked.probs[t])
        truth[f"unmasked pos{t}.loss"] = -math.log(free.probs[t])
        for s in range(len(targets)):
            truth[f"unmasked pos{t}.layer0.attn_weights.head{head}[{s}]"] = free.weights[0][head][t][s]
            truth[f"unmasked pos{t}.layer0.attn_logits.head{head}[{s}]"] = scores[t][s]
    shown = tab.page.evaluate(FIGURE)
    assert {path for path, _, _ in shown} == set(truth)
    assert [path for path, value, _ in shown if not math.isclose(value, truth[path], abs_tol=1e-12)] == []
    for path, value, text in shown:
        digits = text.replace("−", "-").removesuffix("%")
        if path != "unmasked documents.lower":
            assert abs(float(digits) - (100 * value if text.endswith("%") else value)) <= 0.051, (path, text)
    assert "has risen" in figure.inner_text() if free.loss > masked.loss else "has fallen" in figure.inner_text()

    figure.get_by_role("radio", name="on").click()
    tab.settle()
    assert not [path for path, _, _ in tab.page.evaluate(FIGURE) if path.startswith("unmasked")]


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_without_the_mask(tab: Visit, axe: str, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    tab.section(5, word="emma")
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name="The textbook’s mask"))
    figure.get_by_role("radio", name="off").click()
    tab.settle()
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        assert violations(tab, axe) == []
    tab.page.set_viewport_size({"width": 320, "height": 640})
    width, window = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    tab.page.emulate_media(color_scheme="light")
    tab.page.set_viewport_size(SIZES["wide"])
