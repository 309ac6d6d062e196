"""Section 9 of the lab: letters are sampled with their probabilities, in the package and on the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text
from microgpt.runs.run import Run
from microgpt.sampling import probabilities

from lab.page.browser import Visit

THROWN = 500  # names per click on the page


@pytest.fixture(scope="module")
def run() -> Run:
    return opening.names(Text()).run


def first_letters(run: Run, temperature: float) -> dict[str, float]:
    """Return the probability of each first letter; '' is BOS, which ends the text immediately."""
    logits = run.engine.decoder().feed(run.tokenizer.bos)
    return dict(zip(run.tokenizer.symbols, probabilities(logits, temperature)))


def chi_square(counts: Counter[str], expected: dict[str, float]) -> tuple[float, int]:
    """Return Pearson's statistic and its degrees of freedom; letters expected under 5 times are counted together."""
    total = sum(counts.values())
    common = [letter for letter, p in expected.items() if p * total >= 5]
    cells: list[tuple[float, float]] = [(counts[letter], expected[letter] * total) for letter in common]
    rare = total - sum(predicted for _, predicted in cells)
    if rare >= 5:
        cells.append((total - sum(seen for seen, _ in cells), rare))
    return sum((seen - predicted) ** 2 / predicted for seen, predicted in cells), len(cells) - 1


def unlikely(statistic: float, freedom: int) -> bool:
    """Return whether the statistic has a probability below 1 in 10,000 (Wilson and Hilferty's approximation)."""
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5
    return z > 3.72


def starts(texts: Sequence[str]) -> Counter[str]:
    return Counter(text[:1] for text in texts)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_first_letters_have_their_probabilities(run: Run, temperature: float) -> None:
    texts = run.sample(4000, temperature=temperature, seed=1)
    assert not unlikely(*chi_square(starts(texts), first_letters(run, temperature)))


def test_later_letters_have_their_probabilities(run: Run) -> None:
    """The second letter, in all names that begin with "m"."""
    decoder = run.engine.decoder()
    decoder.feed(run.tokenizer.bos)
    logits = decoder.feed(run.tokenizer.token_ids["m"])
    expected = dict(zip(run.tokenizer.symbols, probabilities(logits, 1.0)))
    seconds = Counter(text[1:2] for text in run.sample(6000, temperature=1.0, seed=2) if text[:1] == "m")
    assert not unlikely(*chi_square(seconds, expected))


def test_a_loaded_die_would_be_noticed(run: Run) -> None:
    """A test of the test: these names were sampled at another temperature."""
    texts = run.sample(THROWN, temperature=0.5, seed=1)
    assert unlikely(*chi_square(starts(texts), first_letters(run, 1.0)))


def test_the_page_throws_a_fair_die(tab: Visit, run: Run) -> None:
    tab.section(9)
    tab.page.get_by_role("slider", name="temperature").first.fill("1")
    tab.settle()
    expected = first_letters(run, 1.0)
    shares = """() => Object.fromEntries([...document.querySelectorAll('[data-path^="first.share"]')]
      .map((e) => [Number(/\\d+/.exec(e.dataset.path)), Number(e.dataset.value)]))"""
    statistics = []
    drawn: set[str] = set()
    for _ in range(3):
        tab.page.get_by_role("button", name=f"Sample {THROWN} names").click()
        tab.settle()
        shown = {run.tokenizer.symbols[int(i)]: share for i, share in tab.page.evaluate(shares).items()}
        drawn.add(str(shown))
        counts = Counter({letter: round(share * THROWN) for letter, share in shown.items()})
        assert all(abs(share * THROWN - counts[letter]) < 1e-9 for letter, share in shown.items())
        # the figure shows only the likeliest letters; the others are the rest
        counts["others"] = THROWN - counts.total()
        listed = {letter: expected[letter] for letter in shown}
        statistics.append(chi_square(counts, {**listed, "others": 1 - sum(listed.values())}))
    assert len(drawn) == 3
    total, freedom = (sum(column) for column in zip(*statistics))
    assert not unlikely(total, freedom)


def test_the_shown_text_belongs_to_the_shown_response(tab: Visit) -> None:
    """A prompt that the model cannot read appears in the field only."""
    tab.section(9)
    field, written = tab.page.get_by_label("begins with"), tab.page.locator("main .written")
    field.fill("jo")
    tab.settle()
    shown = written.inner_text()
    assert shown.startswith("jo")
    field.fill("Zoë")
    tab.page.get_by_role("alert").get_by_text("only characters that the model knows").wait_for()
    assert written.inner_text() == shown
    field.fill("")
    tab.settle()
