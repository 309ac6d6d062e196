"""Find phrases that no native writer would use: `python docs/words.py [FILE ...]`, which `make lint` runs.

This script is only a reminder: it knows the phrases that this project's text used to contain, and prints each line in
which one of these phrases reappears. docs/glossary.md lists the terms to use.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHERE = ("docs", "src", "benchmarks", "tests", "web/src", ".ci", "Makefile", ":(glob)*.md", ":(glob)*.py")
KINDS = {".py", ".md", ".ts", ".svelte", ".c", ".h", ""}
# Files that are not checked: the page's long texts, which still have to be rewritten; generated text; and this file
EXCEPT = re.compile(r"web/src/(sections/.*/text\.ts|exercises/\d|engine/protocol\.ts)|docs/words\.py|tests/fixtures/")

# Each phrase, as a regular expression -> what to write instead
TURNS = {
    r"\b(is|are|was|were|be|been|not) told\b|\btold (by|of|in|to|that)\b|\btells? of\b": "say, report, explain",
    r"\banew\b": "again, from scratch, new",
    r"\bwhoever\b|\bwho (sees|reads|asks|wants|trains|looks|has)\b": "you, a reader, anyone who",
    r"\bat hand\b|\b(can|may|could) be had\b": "available, this, current",
    r"\bstands? (in the way|in it|beside|there|here|in a|in the|for good)\b": "is, appears, next to",
    r"\ball that (is|a|the|it|they|was|one)\b": "everything",
    r"\bso (is|are|does|do|has|have) (it|its|theirs)\b": "too, also",
    r"\bmistakes? of (ours|theirs)\b|\b(of|is) ours\b": "a bug; our own",
    r"\bbroke down\b|\bbreaks down\b": "crashed, failed",
    r"\bin its own time\b|\bof its own accord\b|\bof themselves\b": "by itself, automatically",
    r"\b(goes|go|went|going) on (with|where|from|as|to|at|by)\b": "continue, resume",
    r"\bparts? from (it|the|yours|ours)\b": "diverge",
    r"\bas it was before\b|\bas before\b": "unchanged, its previous state",
    r"\bthe other way (about|round)\b": "vice versa, in reverse",
    r"\b(it|that|which|they) (lacks?|wants?) none\b|\b(has|have) none\b|\bthere (is|are) none\b": "no ..., missing",
    r"\bis (mended|begun|sought)\b": "is fixed, started, searched for",
    r"\bthat (is|are) (here|there)\b": "available, installed",
    r"\bwhere (it|there) is( one| none| there| here)?[,.;)]": "if there is one, if present",
    r"\bby (itself|themselves) alone\b|\b(alone|itself)\. alone\b": "only, by itself",
    r"\bmakes? (it|them) again\b": "reproduce, rebuild",
    r"\bunlike what\b|\bof which (each|one|the)\b|\bof whom\b": "say who does what",
    r"\bkeeps? in mind\b|\bkept in mind\b": "remember, store",
    r"\bone after the other\b": "in turn, in order",
    r"\bhow (strongly|often) it (answers|was changed)\b": "responds; the number of changes",
    r"\bdoes (without|well by)\b|\bdo without\b": "does not need",
    r"\bcomes? by way of\b|\bby way of\b": "through, via",
    r"\b(over|upon) this\b": "because of this",
}
# The first line of a docstring says what the thing is or does
FIRST = re.compile(r'"""(Of|What|Who|Whether|Where|That|Those|As|Is|Are|From|To|By)\b')


def sources() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--", *WHERE], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\n") if name and Path(name).suffix in KINDS]


def turns(text: str) -> list[tuple[int, str, str]]:
    """Return the line number of each phrase in a text, the phrase, and what to write instead."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        for turn, instead in TURNS.items():
            if match := re.search(turn, line, re.IGNORECASE):
                found.append((number, match[0], instead))
        if match := FIRST.search(line):
            found.append((number, match[0], "say what it is or does"))
    return found


def main() -> int:
    """Print each phrase that was found. Return the exit status: 1 if there are any, otherwise 0."""
    wanted = [Path(name).resolve() for name in sys.argv[1:]] or sources()
    count = 0
    for path in wanted:
        name = path.relative_to(ROOT).as_posix()
        if EXCEPT.search(name) or not path.is_file():
            continue
        for number, turn, instead in turns(path.read_text(encoding="utf-8")):
            print(f"{name}:{number}: {turn!r}; rather: {instead}")
            count += 1
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
