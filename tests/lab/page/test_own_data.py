"""A user's own file on the page: loaded or refused with a message, without a hang; the names can be restored."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lab.page.browser import SECTIONS, Visit

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def many_lines(size: int) -> bytes:
    rng = random.Random(1)
    lines, length = [], 0
    while length < size:
        lines.append("".join(rng.choices(LETTERS, k=rng.randint(3, 12))))
        length += len(lines[-1]) + 1
    return "\n".join(lines).encode()


TAKEN = {
    "large.txt": many_lines(5_000_000),
    "line.txt": b"to be or not to be, that is the question: " * 500,
    "日本.txt": "さくら\nはな\nゆき\nつき\nさくらんぼ\n".encode(),
    "emoji.txt": "🙂🙃\n🙂🐢\n👩‍💻🐢\n".encode(),
    "windows.txt": "\ufeffanna\r\nbob\r\n".encode(),
}
# name -> (content, a part of the page's message)
REFUSED = {
    "empty.txt": (b"", "'empty.txt' is empty"),
    "blank.txt": (b"\n \n\t\n", "blank.txt"),
    "binary.txt": (bytes(range(256)) * 40, "binary.txt"),
    "latin.txt": ("Zoë\nJosé\n".encode("latin-1"), "latin.txt"),
}


def give(visit: Visit, name: str, content: bytes) -> None:
    file: Any = {"name": name, "mimeType": "text/plain", "buffer": content}
    visit.page.locator("input[type=file]").set_input_files(file)
    while visit.page.get_by_text("Reading…").is_visible():
        visit.responds()
    visit.settle()


def own_text(visit: Visit) -> Any:
    return visit.page.locator("figure").filter(has_text="Your own text")


def back_to_the_names(visit: Visit) -> None:
    visit.section(1)
    own_text(visit).get_by_role("button", name="Return to the names").click()
    visit.settle()
    assert visit.ask("model")["name"] == "names"
    assert own_text(visit).get_by_text("The model now has 27 tokens and 4,192 parameters.").is_visible()


@pytest.mark.parametrize("name", TAKEN)
def test_a_users_file_is_loaded(tab: Visit, name: str) -> None:
    characters = set("".join(TAKEN[name].decode("utf-8-sig").splitlines()))
    tab.section(1)
    give(tab, name, TAKEN[name])
    assert own_text(tab).get_by_role("alert").all_inner_texts() == []
    assert f" {len(characters) + 1} tokens and " in own_text(tab).locator("figcaption").inner_text()
    for section in range(SECTIONS):  # every section shows the new model, or says what it cannot show
        tab.section(section)
        tab.responds()
        assert tab.page.get_by_text("this is a bug").count() == 0
    tab.section(8)
    tab.page.get_by_role("button", name="train 10", exact=True).click()
    tab.page.get_by_text("10 of 1,000 steps are complete").wait_for()
    back_to_the_names(tab)


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_text_is_refused_with_a_message(tab: Visit, name: str) -> None:
    content, says = REFUSED[name]
    tab.section(1)
    before = tab.ask("model")
    give(tab, name, content)
    [words] = own_text(tab).get_by_role("alert").all_inner_texts()
    assert says in words
    assert "Traceback" not in words
    assert "\n" not in words
    assert tab.ask("model") == before
    tab.responds()


def test_the_same_file_can_be_chosen_again(tab: Visit) -> None:
    tab.section(1)
    for _ in range(2):
        give(tab, "two.txt", b"ab\nba\n")
        assert "3 tokens" in own_text(tab).locator("figcaption").inner_text()
        back_to_the_names(tab)
