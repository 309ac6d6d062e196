"""Numbers that were typed into prose."""

from __future__ import annotations

import re

# Texts that may have digits: code, values that the page fills in, addresses; names of other models, years, sections of
# the page; constants of mathematics, as in 1 / x, n - 1 or 2h, and the factor of a named size
SPARED = re.compile(
    r"`[^`]*`|\{[^{}]*\}|\]\([^)]*\)|https?:\S+|(?:GPT|UTF)-\d|Llama \d|\b(?:19|20)\d\d\b|\bsections? \d+"
    r"|\d+ (?:· ?)?(?=n_\w+)|(?<![\d.,])[0-2](?![\d.,]*\d)"
)
# Sentences about other models and about machines have their own numbers, which the page cannot fill in
ELSEWHERE = re.compile(r"GPT|Llama|PyTorch|\bfloat\b|\bbits?\b|\busual\b")
SPELLED = re.compile(
    r"\b(?:thir|four|fif|six|seven|eigh|nine)teen\b|\b(?:twen|thir|for|fif|six|seven|eigh|nine)ty\b", re.I
)


def figures(prose: str, code: str = "") -> list[str]:
    """Return the numbers that were typed into prose, except those that are also in the explained code."""
    found = []
    for sentence in re.split(r"(?<=[.;:?!]) ", prose):
        if not ELSEWHERE.search(sentence):
            rest = SPARED.sub(" ", sentence)
            found += [number for number in re.findall(r"\d[\d.,]*\d|\d", rest) if number not in code]
            found += [word for word in SPELLED.findall(rest) if not re.search(r"\d", code)]
    return found
