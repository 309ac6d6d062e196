"""The page after the last line: one signal through all stages, the tree of the parameters, one scale, the credits."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text

from conftest import golden
from lab.page.browser import SIZES, Visit
from lab.page.shown import mistake, read
from lab.page.truth import Truth

GPT_3 = 175_000_000_000


@pytest.fixture
def end(tab: Visit) -> Iterator[Visit]:
    tab.go(play="end", word="emma")
    tab.page.get_by_role("heading", name="One signal through all stages").wait_for()
    tab.settle()
    yield tab
    tab.section(0)


@pytest.fixture(scope="module")
def truth() -> Truth:
    truth = Truth(opening.names(Text()).run, load("names"), "emma")
    truth.losses = golden("names")["losses"]
    return truth


def test_every_number_is_the_engines(end: Visit, truth: Truth) -> None:
    shown = [one for one in read(end) if one.figure]
    assert {"num_docs", "token[1]", "loss", "steps", "uniform", "samples[0]", "size wte"} <= {one.path for one in shown}
    assert any(one.path.startswith("run.mean") for one in shown)
    assert any(one.path.startswith("after ") for one in shown)
    assert [words for one in shown if (words := mistake(one, truth.number(one.path), 1e-12))] == []


@pytest.mark.parametrize("level", ["plain", "technical", "both"])
def test_each_stage_says_what_to_think_of_and_leads_to_its_chapter(end: Visit, level: str) -> None:
    end.go(play="end", word="emma", level=level)
    figure = end.page.locator("main figure").first
    stages = figure.locator("ol > li .says")
    assert stages.count() == 11
    assert all("Think of " in words for words in stages.all_inner_texts())
    assert all(len(words.split()) < 40 for words in stages.all_inner_texts())
    stages.filter(has_text=re.compile("Attention|Look back")).get_by_role("button").click()
    end.page.locator("main .line").wait_for()
    assert "play=forward" in end.page.evaluate("location.hash")
    end.go(play="end", word="emma", level="both")


def test_the_tree_has_every_matrix_once(end: Visit, truth: Truth) -> None:
    tree = end.page.locator("main .tree")
    leaves = tree.locator("[data-path^='size ']")
    sizes = leaves.evaluate_all("(all) => all.map((e) => [e.dataset.path, e.textContent])")
    assert {path.removeprefix("size "): int(text.replace(",", "")) for path, text in sizes} == {
        name: rows * columns for name, (rows, columns) in truth.shapes.items()
    }
    assert len(sizes) == len(truth.shapes)
    assert f"{len(truth.params):,} parameters" in tree.inner_text()


@pytest.mark.parametrize("size", SIZES)
def test_all_bars_have_one_scale(end: Visit, truth: Truth, size: str) -> None:
    end.page.set_viewport_size(SIZES[size])
    figure = end.page.locator("main figure").filter(has=end.page.get_by_role("heading", name="on one scale"))
    scrubber = figure.locator(".player input[type=range]")
    counts = [int(text.replace(",", "")) for text in figure.locator("li p:first-child .mono").all_inner_texts()]
    assert (counts[0], counts[-1]) == (len(truth.params), GPT_3)
    last = int(scrubber.get_attribute("max") or 0)
    for at in (0, 4, last):
        scrubber.fill(str(at))
        each = int(figure.locator("output").inner_text().split()[3].replace(",", ""))
        width = figure.locator("ol").bounding_box()["width"]
        for bar, count in zip(figure.locator("ol i").all(), counts, strict=True):
            length = count / each
            expected = pytest.approx(max(0.5, min(width, length)), abs=0.1)
            assert float(re.sub("px", "", bar.evaluate("(e) => e.style.width"))) == expected
    assert GPT_3 / each < width  # at last all of it fits
    scrubber.fill("0")
    end.page.set_viewport_size(SIZES["wide"])


def test_the_end_names_who_made_what(end: Visit) -> None:
    main = end.page.locator("main")
    links = main.locator(".credits a").evaluate_all("(all) => all.map((e) => e.getAttribute('href'))")
    assert any("gist.github.com/karpathy" in link for link in links)
    assert any("karpathy.github.io" in link for link in links)
    assert {"./microgpt.ipynb", "./licenses.txt"} <= {*links}
    words = main.locator("blockquote").inner_text()
    assert words.endswith("Everything else is just efficiency.")
