"""Random clicks, keys, words and slider moves in all sections: nothing breaks, and the page never hangs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lab.page.browser import SECTIONS, Visit

KEYS = ["Tab", "Shift+Tab", "Enter", "Space", "Escape", "Home", "End", "PageDown", "Backspace"]
KEYS += ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]
TYPED = [
    "a",
    "emma",
    "zoe",
    "x",
    "ann!",
    "ß",
    "東京",
    "🙂",
    "",
    " ",
    "0",
    "1",
    "-1",
    "2.5",
    "7",
    "1e9",
    "abc" * 30,
    "a*b",
    "exp(",
    "1/0",
]

# Scrolls to one of the elements that a user could click, and returns where to click it. Links to other pages and the
# file chooser are excluded because they leave the page.
REACH = """([at, dx, dy]) => {
  const kinds = 'button, a, input, select, summary, svg[role=img], [tabindex="0"]'
  const other = /^https?:|[.](html|txt)$/
  const all = [...document.querySelectorAll(kinds)].filter((e) =>
    e.checkVisibility() && !e.disabled && e.type !== 'file' && !other.test(e.getAttribute('href') ?? ''))
  const e = all[Math.floor(at * all.length)]
  e.scrollIntoView({ block: 'center' })
  const box = e.getBoundingClientRect()
  return { kind: e.type || e.localName, x: box.x + dx * box.width, y: box.y + dy * box.height,
           options: e.localName === 'select' ? e.options.length : 0, what: e.outerHTML.slice(0, 120) }
}"""
SET = """([x, y, to]) => {
  const e = document.elementFromPoint(x, y)?.closest('input, select')
  if (e?.localName === 'select') e.selectedIndex = Math.floor(to * e.options.length)
  else if (e?.type === 'range') e.value = String(Number(e.min) + to * (Number(e.max) - Number(e.min)))
  else return
  e.dispatchEvent(new Event('input', { bubbles: true }))
  e.dispatchEvent(new Event('change', { bubbles: true }))
}"""


def act(page: Any, rng: random.Random) -> str:
    """Do something, and return a description of it."""
    kind = rng.random()
    if kind < 0.04:
        section = rng.randrange(SECTIONS)
        page.evaluate("(section) => { location.hash = `section=${section}` }", section)
        return f"to section {section}"
    if kind < 0.25:
        key = rng.choice(KEYS)
        page.keyboard.press(key)
        return f"key {key}"
    target = page.evaluate(REACH, [rng.random(), rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)])
    x, y = target["x"], target["y"]
    if target["kind"] in ("range", "select-one"):
        page.evaluate(SET, [x, y, rng.random()])
    elif target["kind"] in ("text", "number"):
        page.mouse.click(x, y, click_count=3)
        page.keyboard.insert_text(text := rng.choice(TYPED))
        return f"{text!r} into {target['what']}"
    elif rng.random() < 0.1:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + rng.uniform(-90, 90), y + rng.uniform(-90, 90), steps=3)
        page.mouse.up()
    else:
        page.mouse.click(x, y)
    return f"click {target['what']}"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("part", range(8))
def test_random_actions_break_nothing(visit: Visit, rng: random.Random, part: int) -> None:
    """Two thousand actions in all parts together."""
    visit.open()
    visit.ready()
    page = visit.page
    done: list[str] = []
    for i in range(250):
        done.append(act(page, rng))
        if i % 10 == 9:
            visit.responds()
            assert visit.errors == [], done[-20:]
    assert page.url.startswith(visit.address)
    visit.ready()
    assert visit.ask("model")["num_params"] > 0  # and Python still responses
