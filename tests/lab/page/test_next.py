"""Beside the figures of the forward pass and attention stands the next guess, and how it changes."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl, quote

import pytest

from microgpt.data.loading import load
from microgpt.lab.runs import opening
from microgpt.lab.runs.texts import Text

from lab.page.browser import SIZES, Visit
from lab.page.shown import Shown, mistake
from lab.page.truth import Truth

LIMITS = {"wide": 450, "phone": 520}  # px above which the drawing begins
DRAWINGS = [(4, "The forward pass", ".beats"), (5, "Attention", ".heads")]
# Words of a section outside folded questions and tables
WORDS = """() => [...document.querySelectorAll('main > .prose, main h3, main figcaption')]
  .filter((e) => !e.closest('details')).map((e) => e.innerText).join(' ').split(/\\s+/)"""


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Truth(opening.names(Text()).run, load("names"), "emma")


@pytest.fixture
def forward(tab: Visit) -> Iterator[Visit]:
    tab.altered = True
    tab.page.set_viewport_size(SIZES["wide"])
    yield tab
    tab.page.set_viewport_size(SIZES["wide"])
    tab.go(section=0)


def next_of(tab: Visit, title: str) -> list[Shown]:
    """Return the numbers in the guess beside a figure."""
    tab.settle()
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name=title, exact=True))
    rows = figure.locator(".next").evaluate(
        "(next) => [...next.querySelectorAll('[data-path]')].map((e) => [e.dataset.path, e.dataset.value, e.innerText])"
    )
    return [Shown(title, *row) for row in rows]


def wrong(numbers: list[Shown], truth: Truth) -> list[str]:
    return [words for one in numbers if (words := mistake(one, truth.number(one.path), 1e-12))]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("section", "name", "drawing"), [(4, "The forward pass", ".beats"), (5, "Attention", ".heads")]
)
def test_one_click_leads_to_the_drawing(forward: Visit, size: str, section: int, name: str, drawing: str) -> None:
    forward.page.set_viewport_size(SIZES[size])
    forward.section(0)
    forward.page.get_by_role("navigation", name="Sections").get_by_role("link", name=name).click()
    box = forward.page.locator(f"main {drawing}").first
    box.wait_for()
    forward.settle()
    place = box.bounding_box()
    assert place["height"] >= 150
    assert 0 < place["y"] < LIMITS[size]


def test_a_switch_takes_a_head_away(forward: Visit, truth: Truth) -> None:
    title = "Every head, every position"
    forward.section(5, word="emma", position=3)
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, title))
    switch = forward.page.get_by_role("switch", name="head 2")
    switch.click()
    numbers = next_of(forward, title)
    assert any(one.path.startswith("without layer0.x_attn[8,9,10,11] pos3.probs") for one in numbers)
    assert any(one.path.startswith("pos3.probs") for one in numbers)
    assert (switch.get_attribute("aria-checked"), forward.page.locator(".heads .muted").count()) == ("false", 1)
    forward.page.get_by_role("button", name="switch all heads off").click()
    nothing = next_of(forward, title)
    assert any(one.path.startswith(f"without layer0.x_attn[{','.join(map(str, range(16)))}] ") for one in nothing)
    assert forward.page.locator(".heads .muted").count() == 4
    assert wrong([*numbers, *nothing], truth) == []
    forward.page.get_by_role("button", name="switch all heads on").click()
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, title))


def test_the_letter_that_lost_most_is_shown(forward: Visit) -> None:
    """A reader sees where most of the probability that has moved came from."""
    title = "Every head, every position"
    forward.section(5, word="emma", position=3, off="2")
    shown = {one.path.rpartition("[")[2] for one in next_of(forward, title)}
    response = forward.ask("guesses_without", word="emma", layer=0, part="x_attn", numbers=[8, 9, 10, 11])
    lost = [before - now for before, now in zip(response["before"][3], response["probs"][3])]
    assert f"{lost.index(max(lost))}]" in shown


@pytest.mark.parametrize("off", ["2", "0,3", "2@1"])
def test_an_address_shows_what_attention_goes_without(off: str, forward: Visit) -> None:
    title = "Every head, every position"
    forward.section(5, word="emma", position=3)
    if "@" in off:
        cells = forward.page.get_by_role("button", name="head 2. Use the arrow keys")
        cells.focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
            cells.press(key)
        forward.page.keyboard.press("Escape")
        forward.page.get_by_role("button", name="hide “e” from head 2").click()
    else:
        for head in off.split(","):
            forward.page.get_by_role("switch", name=f"head {head}").click()
    numbers = next_of(forward, title)
    address = forward.linked(f"off={quote(off)}")
    forward.section(0)
    forward.go(section=5, word="emma")
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, title))
    forward.go(**dict(parse_qsl(address.removeprefix("#"))))
    assert next_of(forward, title) == numbers


def test_a_guess_that_one_head_decides_is_one_click_away(forward: Visit) -> None:
    forward.section(5, word="emma", position=3)
    [first, *_] = forward.ask("deciding_heads")["found"]
    begins = first["word"][: first["position"]]
    forward.page.get_by_role("group", name="One head decides").get_by_role("button", name=begins, exact=True).click()
    next_of(forward, "Every head, every position")
    symbols = forward.ask("model")["symbols"]
    says = forward.page.locator("main .next .best").first.inner_text()
    assert says == f"Best guess: “{symbols[first['instead']]}”, before “{symbols[first['best']]}”"
    forward.go(section=5, word="emma", position=3)


def test_a_cell_takes_a_single_look_away(forward: Visit, truth: Truth) -> None:
    forward.section(5, word="emma", position=3)
    cells = forward.page.get_by_role("button", name="head 1. Use the arrow keys")
    cells.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        cells.press(key)
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, "Every head, every position"))
    forward.page.get_by_role("button", name="hide “e” from head 1").click()
    numbers = next_of(forward, "Every head, every position")
    assert any(one.path.startswith("skipping 1 pos3.layer0.head1 pos3.probs") for one in numbers)
    assert wrong(numbers, truth) == []
    forward.page.keyboard.press("Escape")
    forward.page.get_by_role("button", name="let head 1 see “e” again").click()
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, "Every head, every position"))


def test_a_link_keeps_the_picked_letter(forward: Visit) -> None:
    forward.section(5, word="emma", position=3, number="pos3.layer0.attn_weights.head2%5B1%5D")
    forward.page.get_by_role("button", name="hide “e” from head 2").wait_for()
    forward.page.keyboard.press("Escape")


def test_six_beats_lead_to_the_models_guess(forward: Visit, truth: Truth) -> None:
    forward.section(4, word="emma", position=3)
    beats = forward.page.locator(".beats > li")
    player = forward.page.get_by_role("group", name="The steps of the forward pass")
    assert beats.count() == 6
    for i in range(6):
        assert forward.page.locator(".beats > li.pending").count() == 5 - i
        assert forward.page.locator(".beats > li.now").count() == 1
        numbers = next_of(forward, "One position, beat by beat")
        assert wrong(numbers, truth) == []
        if i < 5:
            player.get_by_label("Step", exact=True).click()
    for one in numbers:
        token = int(one.path.rpartition("[")[2].rstrip("]"))
        assert float(one.value) == pytest.approx(truth.number(f"pos3.probs[{token}]"), abs=1e-12)


def test_every_statement_of_the_walk_lights_something_new(forward: Visit) -> None:
    forward.section(4, word="emma", position=3, level="technical")
    step = forward.page.get_by_role("group", name="The program at position").get_by_label("Step", exact=True)
    before = forward.page.locator(".flow .vector.pending").count()
    lit = 0
    while step.is_enabled():
        step.click()
        now = forward.page.locator(".flow .vector.pending").count()
        lit += now < before
        before = now
    assert before == 0
    assert lit >= 15


def test_a_weight_is_pushed_without_changing_the_model(forward: Visit, truth: Truth) -> None:
    forward.section(4, word="emma", position=3)
    numbers = next_of(forward, "Change a weight")
    assert any("=" in one.path for one in numbers)
    assert wrong(numbers, truth) == []
    assert forward.ask("model")["changes"] == []
    figure = forward.page.locator("main figure").filter(has=forward.page.get_by_role("heading", name="Change a weight"))
    figure.get_by_role("button", name="put it back").click()
    assert all(one.path.startswith("pos3.probs") for one in next_of(forward, "Change a weight"))


@pytest.mark.parametrize("section", [4, 5])
def test_plain_is_short_and_has_no_path(forward: Visit, section: int) -> None:
    forward.section(section, word="emma", level="plain")
    words = forward.page.evaluate(WORDS)
    assert len(words) <= 250
    text = " ".join(words)
    assert not [name for name in ("attn", "mlp_", "resid", "softmax", "·  k", "−∞", "cache") if name in text.lower()]


def test_the_texts_of_the_temperature_stand_beside_every_guess(forward: Visit) -> None:
    for section in (4, 5):
        forward.section(section, word="emma")
        for text in forward.page.locator("main .next").all_inner_texts():
            assert "temperature 1" in text
