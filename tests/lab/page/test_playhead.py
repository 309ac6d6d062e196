"""The playhead on the page: it plays, steps and scrubs. test_moments.py checks what it shows at every moment."""

from __future__ import annotations

import pytest

from microgpt.lab.playback.chapters import CHAPTERS

from lab.page.axe import violations
from lab.page.browser import SIZES, Visit
from lab.page.playhead import Head


@pytest.mark.smoke
def test_stepping_over_and_back_shows_the_same_moments(head: Head) -> None:
    head.open("forward")
    there = [head.read()]
    for _ in range(12):
        head.press("Step over")
        there.append(head.read())
    for state in reversed(there[:-1]):
        head.press("Step back")
        assert head.read() == state
    assert head.at == 0


def test_playing_reaches_the_end(head: Head) -> None:
    head.open("adam")
    while head.page.locator(".transport button.quiet").inner_text() != "16×":
        head.page.locator(".transport button.quiet").click()
    head.press("Play")
    head.page.wait_for_function(
        "() => document.querySelector('.transport input').value === document.querySelector('.transport input').max"
    )
    head.page.wait_for_selector(".transport button[aria-label=Play]")
    head.press("next ›")
    head.page.wait_for_selector("main .line")
    assert head.page.locator(".transport select").input_value() == "sample"


@pytest.mark.parametrize("size", SIZES)
def test_the_variables_are_visible(head: Head, size: str) -> None:
    head.page.set_viewport_size(SIZES[size])
    head.open("forward", 7)
    panel = head.page.locator(".variables")
    assert panel.count() == 1
    assert panel.bounding_box()["height"] > 4 * 16
    assert panel.locator("dd").first.is_visible()


# --- Keys and links


def test_the_keyboard_controls_the_playhead(head: Head) -> None:
    head.open("forward")
    head.page.locator("main").focus()
    head.key("ArrowDown")
    head.key("ArrowDown")
    assert head.at == 2
    head.key("ArrowDown")  # into gpt
    depth = head.at
    head.key("ArrowRight")
    assert head.at == depth + 1
    head.key("ArrowRight")  # over rmsnorm, three statements
    assert head.at == depth + 5
    head.key("ArrowLeft")
    assert head.at == depth + 1
    head.key("ArrowUp")  # out of gpt, to the softmax of its result
    assert head.at > depth + 100
    head.key(" ")
    head.page.wait_for_selector(".transport button[aria-label=Pause]")
    now = head.at
    head.page.wait_for_function("(now) => Number(document.querySelector('.transport input').value) > now", arg=now)
    head.key(" ")
    head.page.wait_for_selector(".transport button[aria-label=Play]")
    word = head.page.get_by_label("word", exact=True)
    word.focus()
    now = head.at
    head.key("ArrowLeft")  # moves the cursor in the field
    assert head.at == now
    head.page.locator(".variables").focus()
    head.key("ArrowDown")  # scrolls
    assert head.at == now
    head.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    head.page.get_by_role("dialog").wait_for()
    for name in ("ArrowRight", "ArrowDown"):
        head.key(name)
    assert head.at == now
    head.key("Escape")
    head.page.locator("main").focus()
    head.key("ArrowRight")
    assert head.at != now


def test_a_link_captures_the_moment(head: Head, visit: Visit) -> None:
    head.open("forward", 60)
    head.press("Step into")
    state = head.read()
    assert state["at"] == 61
    fragment = head.tab.linked("at=61")
    assert "play=forward" in fragment
    visit.open(fragment)
    visit.ready()
    visit.page.wait_for_selector("main .line")
    assert Head(visit).read() == state


def test_a_click_on_a_line_moves_the_playhead_to_its_next_moment(head: Head) -> None:
    head.open("forward")
    lines = head.page.evaluate("async () => (await lab.ask('source', {})).lines")
    line = next(i for i, text in enumerate(lines, 1) if "attn_weights = softmax(attn_logits)" in text)
    places = []
    for _ in range(2):
        head.page.locator(f".source li[data-line='{line}'] .gutter").click()
        head.page.wait_for_function(
            "(n) => document.querySelector('main .line code').innerText.startsWith('attn_weights')"
        )
        places.append(head.at)
        head.press("Step into")
    assert places[0] < places[1]
    line = next(i for i, text in enumerate(lines, 1) if "p.data -=" in text)  # in another chapter
    head.page.locator(f".source li[data-line='{line}'] .gutter").click()
    head.page.wait_for_function("() => document.querySelector('main .line code')?.innerText.startsWith('p.data -=')")
    assert head.page.locator(".transport select").input_value() == "adam"


def test_an_open_number_does_not_move_the_playhead(head: Head, visit: Visit) -> None:
    """In a section, opening a number highlights the line that computed it; here the playhead stays."""
    path = "pos3.layer0.attn_logits.head1[1]"
    head.open("forward", 60)
    state = head.read()
    box = head.page.get_by_role("combobox", name="find a number")
    box.fill(path)
    head.page.locator("[role=option] .path").first.wait_for()
    box.press("Enter")
    line = head.page.locator(".opened .formula button")
    line.wait_for()
    assert head.read() == state
    fragment = head.tab.linked("number=")
    assert "at=60" in fragment
    visit.open(fragment)
    visit.ready()
    visit.page.locator(".opened .formula button").wait_for()
    visit.page.wait_for_selector("main .line")
    assert Head(visit).read() == state
    line.click()  # a click on the line moves the playhead
    head.page.wait_for_function("() => document.querySelector('.transport input').value !== '60'")


def test_an_address_that_the_reader_enters_is_not_overwritten(head: Head) -> None:
    """The playhead moves before the page has read the new address."""
    head.open("forward")
    head.page.evaluate("""() => {
      location.hash = '#section=3'
      document.querySelector('.transport [aria-label="Step into"]').click()
    }""")
    head.page.wait_for_selector(".transport", state="detached")
    assert head.tab.linked("section=parameters") == "#section=parameters"


def test_leaving_the_playhead_stops_it(head: Head) -> None:
    head.open("forward")
    head.press("Play")
    head.page.wait_for_selector(".transport button[aria-label=Pause]")
    head.page.get_by_role("navigation", name="Sections").get_by_role("link", name="Attention").click()
    head.page.wait_for_selector(".transport", state="detached")
    head.page.get_by_role("button", name="play “Forward”").click()
    head.page.wait_for_selector("main .line")
    assert head.page.get_by_role("button", name="Play", exact=True).is_visible()


def test_the_playhead_opens_from_the_contents_and_returns_to_the_section(head: Head) -> None:
    head.tab.section(5)
    head.page.get_by_role("button", name="play “Forward”").click()
    head.page.wait_for_selector("main .line")
    head.press("exit")
    head.page.wait_for_selector(".transport", state="detached")
    head.tab.settle()
    assert head.page.locator("main h2").inner_text() == "Attention"
    head.page.get_by_role("button", name="Play the program").click()
    head.page.wait_for_selector("main .caption")
    assert head.at == 0


def test_the_space_bar_plays_after_the_button_has_opened_the_playhead(head: Head) -> None:
    head.tab.section(5)
    button = head.page.get_by_role("button", name="play “Forward”")
    button.click()
    head.page.wait_for_function("() => document.querySelector('.transport input[type=range]')?.max > 0")
    head.page.keyboard.press(" ")
    head.page.wait_for_selector(".transport button[aria-label=Pause]")
    head.page.keyboard.press("Escape")
    head.page.wait_for_selector(".transport", state="detached")
    button = head.page.get_by_role("button", name="Play the program")
    button.click()
    head.page.wait_for_selector(".tour button[aria-label=Pause]")
    head.page.keyboard.press("Escape")
    head.page.wait_for_selector(".transport", state="detached")
    assert button.evaluate("(e) => e === document.activeElement")


@pytest.mark.parametrize(
    ("topic", "act"), [("The shuffle", "I. Setup and data"), ("The loop", "IV. Training"), ("The gate", "III. The GPT")]
)
def test_a_line_of_main_is_in_the_act_that_it_begins(head: Head, topic: str, act: str) -> None:
    head.open("data")
    head.page.locator(".transport select").select_option("end")
    head.page.get_by_role("heading", name="The big picture").wait_for()
    head.page.get_by_text("What to remember").click()
    head.page.locator("dt", has_text=topic).locator("+ dd").get_by_role("button").click()
    head.page.locator("main .topic h3", has_text=topic).wait_for()
    assert head.page.locator("main .chapter p").inner_text().split(" · ")[0] == act


def test_the_big_picture_leads_back_into_the_program(head: Head) -> None:
    head.open("adam")
    head.page.locator(".transport select").select_option("end")
    head.page.get_by_role("heading", name="The big picture").wait_for()
    head.tab.settle()
    head.page.get_by_text("What to remember").click()
    text = head.page.locator("main").text_content()
    for topic in (
        "Mersenne Twister",
        "Fisher–Yates",
        "closed vocabulary",
        "residual stream",
        "4,192 against GPT-3",
    ):
        assert topic.lower() in text.lower(), topic
    head.page.locator("dt", has_text="The spotlight").locator("xpath=following-sibling::dd[1]").get_by_role(
        "button"
    ).click()
    head.page.wait_for_selector("main .line")
    assert "attn_weights = softmax(attn_logits)" in head.page.locator("main .line code").first.inner_text()


def test_a_link_that_names_no_chapter_leads_to_the_guide(head: Head) -> None:
    head.page.evaluate("() => { location.hash = '#section=5&play=nonsense&at=-3' }")
    head.page.wait_for_function("() => !location.hash.includes('play')")
    head.tab.settle()
    assert head.page.locator("main h2").inner_text() == "Attention"
    assert head.page.locator(".transport").count() == 0


def test_nothing_moves_with_reduced_motion(head: Head) -> None:
    head.page.emulate_media(reduced_motion="reduce")
    head.open("backward", 100)
    moving = """() => [...document.querySelectorAll('body *')].filter((e) =>
      getComputedStyle(e).transitionDuration.split(', ').some((t) => parseFloat(t) > 0)).length"""
    assert head.page.evaluate(moving) == 0
    head.press("Step over")
    assert head.page.evaluate("() => document.getAnimations().length") == 0
    head.page.emulate_media(reduced_motion="no-preference")


def test_no_line_is_announced_before_there_is_one(visit: Visit) -> None:
    visit.page.route("**/pyodide/**", lambda route: None)  # Python never loads
    visit.page.clock.install()
    visit.open("#play=forward&word=zoe")
    visit.page.wait_for_selector(".transport")
    visit.page.clock.run_for(5000)  # the announcement comes 0.9 seconds after the playhead has stopped
    assert visit.page.locator(".transport [aria-live]").text_content() == ""


def test_changes_are_announced_when_the_playhead_stops(head: Head) -> None:
    head.open("forward", 3)
    announced = head.page.locator(".transport [aria-live=polite]")
    head.page.wait_for_function("() => document.querySelector('.transport [aria-live]').textContent.includes('zip(')")
    assert announced.inner_text().endswith("Sets x.")


@pytest.mark.sampled(5)
@pytest.mark.parametrize("chapter", [*CHAPTERS, "end"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_the_playhead(head: Head, axe: str, chapter: str, size: str) -> None:
    head.page.set_viewport_size(SIZES[size])
    head.page.emulate_media(color_scheme="light")
    if chapter == "end":
        head.open("adam")
        head.page.locator(".transport select").select_option("end")
        head.page.get_by_role("heading", name="The big picture").wait_for()
    else:
        head.open(chapter, 7)
    assert violations(head.tab, axe) == []
    head.page.emulate_media(color_scheme="dark")
    assert violations(head.tab, axe, "color-contrast") == []
    head.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize(
    ("chapter", "at"),
    [
        ("data", 8),
        ("tokens", 6),
        ("forward", 60),
        ("forward", 1279),
        ("loss", 20),
        ("backward", 2000),
        ("adam", 5),
        ("sample", 259),
    ],
)
def test_nothing_scrolls_sideways_on_a_phone(head: Head, chapter: str, at: int) -> None:
    head.page.set_viewport_size({"width": 320, "height": 640})
    head.open(chapter, at)
    width, window = head.page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    dock = head.page.locator(".transport").bounding_box()
    assert dock["height"] < 0.25 * 640
    head.page.evaluate("() => scrollTo(0, 1e6)")  # at the end of the page the dock covers nothing
    bottom = head.page.evaluate("() => document.querySelector('.right').getBoundingClientRect().bottom")
    assert bottom <= head.page.locator(".transport").bounding_box()["y"] + 1
