"""The numbers that the page shows, and their comparison with the right ones."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from lab.page.browser import Visit


class Shown(NamedTuple):
    """A number on the page."""

    figure: str
    path: str
    value: str  # in full precision
    text: str


READ = """() => {
  const figureOf = (e) => e.closest('figure')?.querySelector('h3')?.textContent ?? ''
  const numbers = [...document.querySelectorAll('[data-path][data-value]')].filter((e) => e.checkVisibility())
  return numbers.map((e) => [figureOf(e), e.dataset.path, e.dataset.value, e.textContent.trim()])
}"""
UNFOLD = """() => { for (const e of document.querySelectorAll('main [aria-expanded=false]')) e.click()
  for (const e of document.querySelectorAll('main details')) e.open = true }"""
NUMBER = re.compile(r"[−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[−-]?\d+)?|[−-]?∞|nan")


def read(visit: Visit) -> list[Shown]:
    """Return all numbers that the page shows, including the tables behind figures."""
    visit.page.evaluate(UNFOLD)
    visit.settle()
    return [Shown(*row) for row in visit.page.evaluate(READ)]


def rounded(value: float, like: str) -> Decimal:
    """Round a number to as many digits as the text `like`; exact halves are rounded up, as by JavaScript's toFixed."""
    exact = Decimal(value)
    if "e" in like:
        size = exact.adjusted()
        return exact.quantize(Decimal(1).scaleb(size - len(like.partition("e")[0].partition(".")[2])), ROUND_HALF_UP)
    return exact.quantize(Decimal(1).scaleb(-len(like.partition(".")[2])), ROUND_HALF_UP)


def mistake(shown: Shown, truth: float | str, tolerance: float) -> str:
    """Return a message if a number of the page is wrong, else an empty string."""
    if isinstance(truth, str):
        return "" if truth == shown.value == shown.text else f"{shown}: natively {truth!r}"
    is_text = shown.path.startswith("fact ")  # only the shown digits are known
    if not is_text and not math.isclose(float(shown.value), truth, rel_tol=tolerance, abs_tol=tolerance):
        return f"{shown}: natively {truth!r}"
    if math.isinf(truth):
        return "" if shown.text == "−∞" else f"{shown}: natively {truth!r}"
    found = NUMBER.findall(shown.text)
    if not found:
        return f"{shown}: shows no number"
    text = found[-1].replace("−", "-").replace(",", "")
    if len(text.partition(".")[2]) > 12:
        return ""  # all digits are shown, and were compared above
    percent = shown.text.endswith("%") or ("percent" in shown.figure) or (shown.figure == PER_CENT and "." not in text)
    expected = rounded(100 * truth if percent else truth, text)
    return "" if Decimal(text) == expected else f"{shown}: natively {expected}, to the digits shown"


PER_CENT = "What the model expected"  # a figure whose caption says so for all its small numbers
