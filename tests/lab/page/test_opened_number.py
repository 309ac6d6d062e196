"""An opened number: its chain rule, the check by a push, the graph around it, the walk, and the search by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab.session import Session
from microgpt.tracing.trace import Trace

from lab.page.axe import violations
from lab.page.browser import SIZES, Visit
from tracing.dots import parse

WORD = "emma"
KINDS = [
    "pos3.layer0.q[9]",
    "pos3.layer0.q[9].term4",
    "pos2.layer0.attn_weights.head1[1].exp",
    "pos1.emb_norm.scale",
    "layer0.mlp_fc2[3][56]",
    "wpe[1][5]",
    "loss",
]
SHOWN = """() => [...document.querySelectorAll('.opened [data-path][data-value]')].filter((e) => e.checkVisibility())
  .map((e) => [e.dataset.path, Number(e.dataset.value)])"""


@pytest.fixture(scope="module")
def truth() -> Trace:
    session = Session()
    return session.trace(session.tokens(WORD))


@pytest.fixture
def wide(tab: Visit) -> Iterator[Visit]:
    tab.page.set_viewport_size({"width": 1440, "height": 1200})
    yield tab
    tab.page.set_viewport_size(SIZES["wide"])


def open_number(tab: Visit, path: str) -> None:
    """Open a number by its address, with all details unfolded."""
    tab.section(4, word=WORD, number=path)
    tab.page.locator(".opened h2").filter(has_text=path).wait_for()
    tab.page.locator(".opened details").last.wait_for()
    for details in tab.page.locator(".opened details").all():
        tab.unfold(details)
    tab.page.wait_for_function("() => unanswered === 0", timeout=180_000)
    tab.page.locator(".opened .graph .turn").wait_for()
    tab.settle()


def test_on_a_phone_only_the_graph_scrolls_sideways(tab: Visit) -> None:
    tab.page.set_viewport_size(SIZES["phone"])
    open_number(tab, "pos0.layer0.k[1]")
    width = "(e) => [e.scrollWidth, e.clientWidth]"
    whole, box = tab.page.locator("section.opened").evaluate(width)
    graph, paper = tab.page.locator("section.opened .graph").evaluate(width)
    tab.page.set_viewport_size(SIZES["wide"])
    assert graph > paper  # the graph needs scrolling
    assert whole <= box


def local(trace: Trace, made: str, of: str) -> set[float]:
    """Return the local gradients d made / d of; a number that is used twice by one node has two."""
    node = trace.node(of)
    return {x["local_gradient"] for x in trace.number(made)["operands"] if trace.node(x["path"]) is node}


@pytest.mark.parametrize("path", KINDS)
def test_everything_shown_of_a_number_agrees_with_the_trace(wide: Visit, truth: Trace, path: str) -> None:
    open_number(wide, path)
    shown = wide.page.evaluate(SHOWN)
    values = dict(shown)
    for what, x in shown:
        if found := re.fullmatch(r"d (\S+) / d (\S+)", what):
            assert any(abs(x - slope) < 1e-12 for slope in local(truth, found[1], found[2])), what
        elif found := re.fullmatch(r"share (\d+) of (\S+)", what):
            assert x == pytest.approx(truth.contributions(found[2])[int(found[1])]["add"], abs=1e-12)
        elif found := re.fullmatch(r"grad (\S+)", what):
            assert x == pytest.approx(truth.number(found[1])["grad"], abs=1e-12)
        elif " " not in what:
            assert x == pytest.approx(truth.number(what)["value"], abs=1e-12)
        else:
            assert re.fullmatch(r"(eps|loss above|loss below|difference) \S+", what)
    assert sum(what.startswith("share ") for what in values) == len(truth.contributions(path))
    # the push agrees with the chain rule
    grad = truth.number(path)["grad"]
    assert abs(values[f"difference {path}"] - grad) <= 1e-6 * max(1e-3, abs(grad))
    slope = (values[f"loss above {path}"] - values[f"loss below {path}"]) / (2 * values[f"eps {path}"])
    assert slope == pytest.approx(values[f"difference {path}"], rel=1e-6, abs=1e-9)
    shown = wide.page.locator(".opened").inner_text()
    assert ("They agree" if grad else "Both are exactly zero") in shown


def test_a_push_that_is_too_small_does_not_show_the_gradient(wide: Visit) -> None:
    """A test of the test: the page says that the two do not agree."""
    open_number(wide, "pos3.layer0.q[9]")
    wide.page.locator(".opened").get_by_role("radio", name="10⁻¹²").click()
    wide.page.locator(".opened").get_by_text("They do not agree").wait_for()
    wide.page.locator(".opened").get_by_role("radio", name="automatic").click()
    wide.page.locator(".opened").get_by_text("They agree").wait_for()


@pytest.mark.parametrize(("way", "end"), [("toward the loss", "loss"), ("toward the weights", "")])
def test_a_walk_leads_up_to_the_loss_and_down_to_a_weight(wide: Visit, truth: Trace, way: str, end: str) -> None:
    open_number(wide, "pos1.layer0.k[3]")
    panel = wide.page.locator(".opened")
    walked = ["pos1.layer0.k[3]"]
    while panel.get_by_role("button", name=way).is_enabled() and len(walked) < 30:
        before = panel.locator("h2").inner_text()
        panel.get_by_role("button", name=way).click()
        wide.page.wait_for_function(
            "(before) => document.querySelector('.opened h2').textContent !== before && unanswered === 0", arg=before
        )
        wide.settle()
        walked.append(panel.locator("h2").inner_text())
    assert 1 < len(walked) < 30
    assert walked[-1] == end or truth.number(walked[-1])["op"] == "parameter"
    # and back the same way
    back = panel.get_by_role("navigation", name="Path so far").get_by_role("button").last
    back.click()
    panel.locator("h2").filter(has_text=walked[-2]).wait_for()
    assert panel.get_by_role("navigation").get_by_role("button").count() <= 4


def test_a_node_of_the_graph_opens(wide: Visit) -> None:
    open_number(wide, "pos3.layer0.q[9]")
    wide.page.locator(".opened .graph button.node").filter(has_text="term15").click()
    wide.page.locator(".opened h2").filter(has_text="pos3.layer0.q[9].term15").wait_for()


def test_the_graph_shows_the_users_with_the_largest_contributions(wide: Visit, truth: Trace) -> None:
    path = "pos3.layer0.mlp_norm[9]"
    open_number(wide, path)
    drawn = wide.page.locator(".opened .graph button.node").evaluate_all(
        "(all) => all.map((e) => e.querySelector('[data-path]').dataset.path)"
    )
    shares = sorted(truth.contributions(path), key=lambda share: -abs(share["add"]))
    made_from = [x["path"] for x in truth.number(path)["operands"]]
    assert len(shares) > 60
    assert {path, *(share["path"] for share in shares[:3] if share["add"]), *made_from} <= set(drawn)
    assert len(drawn) == 1 + 3 + len(made_from)


@pytest.mark.parametrize("path", ["pos3.layer0.q[9]", "loss"])
def test_the_graph_behind_a_number_is_saved_as_dot(wide: Visit, truth: Trace, path: str) -> None:
    open_number(wide, path)
    with wide.page.expect_download() as download:
        wide.page.locator(".opened").get_by_role("button", name=re.compile("^Save .* as DOT")).click()
    assert download.value.suggested_filename.endswith(".dot")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text == str(truth.dot(path, title=WORD))
    assert path in parse(text).nodes
    assert wide.page.locator(".opened [role=alert]").count() == 0


def test_a_long_sum_says_that_it_scrolls(tab: Visit) -> None:
    tab.page.set_viewport_size(SIZES["wide"])
    tab.section(4, word=WORD, number="pos3.layer0.mlp_out[3]")
    more = tab.page.locator(".opened").get_by_role("button", name=re.compile(r"\d+ more terms? below"))
    tab.page.emulate_media(reduced_motion="reduce")  # no smooth scrolling
    seen: list[int] = []
    while more.count() and len(seen) < 20:
        seen.append(int(re.match(r"\d+", more.inner_text())[0]))  # type: ignore[index]
        more.click()
        tab.frames()
    tab.page.emulate_media(reduced_motion="no-preference")
    assert 40 < seen[0] < 64
    assert seen == sorted(seen, reverse=True)
    assert len(seen) < 20


# --- Finding a number by its name


def box(tab: Visit) -> Any:
    return tab.page.get_by_role("combobox", name="find a number")


def test_a_number_is_found_by_keyboard(tab: Visit) -> None:
    tab.section(4, word=WORD, position=3)
    box(tab).focus()
    tab.page.keyboard.type("q head2")
    options = tab.page.locator(".find [role=option]")
    options.first.wait_for()
    tab.settle()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("ArrowDown")
    assert box(tab).get_attribute("aria-activedescendant") == options.nth(1).get_attribute("id")
    assert options.nth(1).get_attribute("aria-selected") == "true"
    tab.page.keyboard.press("Enter")
    tab.page.locator(".opened h2").filter(has_text="pos3.layer0.q[9]").wait_for()
    assert box(tab).get_attribute("aria-expanded") == "false"


def test_a_row_is_completed_and_a_number_chosen(tab: Visit) -> None:
    tab.section(4, word=WORD)
    box(tab).fill("wte e")
    tab.page.locator(".find [role=option]").first.wait_for()
    box(tab).press("Enter")
    assert box(tab).input_value() == "wte[4]["
    tab.settle()
    tab.page.locator(".find [role=option]").nth(3).click()
    tab.page.locator(".opened h2").filter(has_text="wte[4][2]").wait_for()


def test_escape_closes_the_list_first(tab: Visit) -> None:
    tab.section(4, word=WORD, number="pos3.loss")
    box(tab).fill("loss")
    tab.page.locator(".find [role=option]").first.wait_for()
    for expanded, left in (("true", "loss"), ("false", "loss"), ("false", "")):
        assert box(tab).get_attribute("aria-expanded") == expanded
        assert box(tab).input_value() == left
        assert tab.page.locator(".opened h2").is_visible()
        tab.page.keyboard.press("Escape")
    tab.page.locator(".opened h2").wait_for(state="detached")  # the third closes the number


def test_a_search_without_results_says_why(tab: Visit) -> None:
    tab.section(4, word=WORD)
    box(tab).fill("pos3.layer0.qq")
    tab.page.get_by_text("unknown tensor 'pos3.layer0.qq'; pos3.layer0 contains resid_pre").wait_for()
    box(tab).fill("")


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_an_open_number(tab: Visit, axe: str, size: str) -> None:
    tab.page.set_viewport_size(SIZES[size])
    for theme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=theme)
        open_number(tab, "pos3.layer0.q[9]")
        assert violations(tab, axe) == []
    tab.page.emulate_media(color_scheme="light")
    tab.page.keyboard.press("Escape")
    box(tab).fill("q head2")
    tab.page.locator(".find [role=option]").first.wait_for()
    assert violations(tab, axe) == []
    box(tab).fill("")
    tab.page.set_viewport_size(SIZES["wide"])
