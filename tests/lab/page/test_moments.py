"""The playhead at every moment: the page shows CPython's numbers, and the same state when it comes back.

A script in the page goes from moment to moment, each as soon as the one before is rendered, and records what the page
shows; the right numbers are computed here. Backward has tens of thousands of +=: the page plays some of them, and
Python compares them all.
"""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from array import array
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from microgpt.config import shapes
from microgpt.data.loading import load
from microgpt.data.sources import NAMES
from microgpt.lab.playback.backward import backward_steps
from microgpt.lab.session import Session

from conftest import ROOT, SOURCE, whole
from lab.other_python import json_printed_by
from lab.page.playhead import Head
from lab.page.shown import NUMBER, Shown, mistake
from lab.page.truth import Truth
from lab.playback.resolved import Resolved
from lab.session_client import ask

WORD = "emma"

# Goes from moment to moment: by the button if it leads to the next one, else by the scrubber. All tables are unfolded.
# A number is [title of the figure, variable or part, path, value, text]; each is reported once, and a moment has the
# indices of its numbers. The state of a moment is what it shows, without buttons, which depend on the layout
WALK = """async ([moments, isBack]) => {
  const scrubber = document.querySelector('.transport input[type=range]')
  const into = document.querySelector('.transport [aria-label="Step into"]')
  const textOf = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
    let text = ''
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest('button')) text += walker.currentNode.data
    return text
  }
  const textsOf = (selector) => [...document.querySelectorAll(selector)].map((e) => e.textContent)
  if (!isBack) globalThis.walked = { states: new Map(), numbers: new Map(), known: new WeakMap() }
  const { states, numbers, known } = globalThis.walked
  const read = (e, title) => {
    const [path, value, text] = [e.getAttribute('data-path'), e.getAttribute('data-value'), e.textContent]
    const last = known.get(e)
    if (last?.path === path && last.value === value && last.text === text && last.title === title) return last.index
    const name = e.closest('.variables dd')?.previousElementSibling.textContent
    const number = JSON.stringify([title, name ?? (e.closest('.equation') ? 'equation' : ''), path, value, text.trim()])
    if (!numbers.has(number)) numbers.set(number, numbers.size)
    known.set(e, { path, value, text, title, index: numbers.get(number) })
    return numbers.get(number)
  }
  const result = []
  for (const at of moments) {
    if (!isBack && Number(scrubber.value) === at - 1) into.click()
    else {
      scrubber.value = at
      scrubber.dispatchEvent(new Event('input', { bubbles: true }))
    }
    await idle()
    const folded = document.querySelectorAll('main [aria-expanded=false]')
    for (const button of folded) button.click()
    if (folded.length) await idle()
    const title = document.querySelector('main figure h3').textContent
    const moment = {
      at: Number(scrubber.value),
      lit: [...document.querySelectorAll('.source li.lit')].map((e) => Number(e.dataset.line)),
      title,
      texts: textsOf('main figure ol[start] li, main figure .written'),
      shown: [...document.querySelectorAll('main [data-path], .variables [data-path]')].map((e) => read(e, title)),
    }
    const state = JSON.stringify([moment, [...document.querySelectorAll('main, .variables')].map(textOf)])
    if (!isBack) {
      states.set(at, state)
      result.push(moment)
    } else if (states.get(at) !== state) result.push([at, states.get(at), state])
  }
  if (isBack) delete globalThis.walked
  return JSON.stringify(isBack ? result : { moments: result, numbers: [...numbers.keys()].map((n) => JSON.parse(n)) })
}"""


def moments_of(chapter: Any) -> list[int]:
    """Return the event of each moment of a chapter: a weighted sum has a moment per row after its statement."""
    events: list[int] = []
    for i, event in enumerate(chapter["events"]):
        made = chapter["variables"][event["changed"]["return"]]["path"] if event["function"] == "linear" else None
        events += [i] * (1 + (chapter["tensors"][made]["shape"][0] if made else 0))
    return events


class Moment(NamedTuple):
    """The content of the page at a moment; `texts` are the listed documents, or the text generated so far."""

    at: int
    lit: list[int]
    title: str
    texts: list[str]
    shown: list[int]


def walk(head: Head, moments: list[int]) -> tuple[list[Moment], list[list[str]]]:
    """Return what the page shows at each moment, and the numbers by index; going back must show the same."""
    forward = json.loads(head.page.evaluate(WALK, [moments, False]))
    shown = [Moment(**moment) for moment in forward["moments"]]
    assert [moment.at for moment in shown] == moments
    changed = json.loads(head.page.evaluate(WALK, [moments[::-1], True]))
    assert changed[:1] == []
    return shown, forward["numbers"]


def wrong(number: list[str], truth: Any) -> str:
    """Return a message if a number is wrong, else an empty string."""
    title, _, path, value, text = number
    if truth is None or isinstance(truth, (bool, str)):
        expected = {None: "None", True: "True", False: "False"}.get(truth, f'"{truth}"')  # as Python writes it
        return "" if text == expected else f"{number}: natively {truth!r}"
    return mistake(Shown(title, path, value, text), truth, 1e-12)


def numbers_of(resolved: Resolved, name: str, shown: Any) -> Iterator[tuple[str, Any]]:
    """Yield the (path, value) of every number in a variable."""
    if "path" in shown and "value" in shown:
        yield shown["path"], shown["value"]
        yield f"grad {shown['path']}", shown.get("grad")
    elif "paths" in shown:
        yield from zip(shown["paths"], shown["values"])
    elif "path" in shown:
        name, *slice_ = re.split(r"\[(?=\d+:)", shown["path"])
        first = int(slice_[0].partition(":")[0]) if slice_ else 0
        values = resolved.numbers(shown["path"])
        if shown["path"] in resolved.tensors and resolved.tensors[name]["shape"] == []:
            yield name, values[0]
        elif not any(isinstance(x, list) for x in values):  # for a matrix, only its shape is shown
            yield from ((f"{name}[{first + i}]", x) for i, x in enumerate(values))
    elif "list" in shown:
        for i, item in enumerate(shown["list"]):
            yield from numbers_of(resolved, f"{name}[{i}]", item)
    elif "table" in shown:
        for key, item in shown["table"].items():
            yield from numbers_of(resolved, f"{name}.{key}", item)
    elif isinstance(shown.get("value"), list):
        yield from ((f"variable {name}[{i}]", item) for i, item in enumerate(shown["value"]))
    elif "value" in shown:
        yield f"variable {name}", shown["value"]


class Played:
    """The numbers that the page must show at the moments of a chapter that plays events."""

    def __init__(self, session: Session, chapter: str) -> None:
        self.story = ask(session, "chapter", name=chapter, word=WORD)
        self.resolved = Resolved(session, self.story)
        self.trace = session.trace(session.tokens(WORD))
        self.config, self.tokenizer = session.active.config, session.active.run.tokenizer
        self.facts, self.events = self.story["facts"], self.story["events"]
        self.prose = Truth(session.active.run, load(NAMES), WORD)
        self.of_tensors: dict[str, float | None] = {}

    def tensors(self, path: str) -> float | None:
        """Return a number of a tensor, or a node inside one, which is the same at every moment."""
        if path not in self.of_tensors:
            self.of_tensors[path] = None
            name, *index = re.findall(r"[^[\]]+", path)
            if name in self.resolved.tensors:
                tensor = self.resolved.tensors[name]
                assert len(index) == len(tensor["shape"])
                place = 0
                for i, size in zip(map(int, index), tensor["shape"]):
                    place = place * size + i
                self.of_tensors[path] = tensor["data"][place]
            elif self.story["chapter"] in ("forward", "loss"):
                with suppress(ValueError):
                    self.of_tensors[path] = self.trace.node(path).data
        return self.of_tensors[path]

    def variables(self, event: Any) -> dict[str, dict[str, Any]]:
        """Return the function's variables after the line has run: name -> path -> value."""
        known = {**event["known"], **event["changed"]}
        return {name: dict(numbers_of(self.resolved, name, self.story["variables"][i])) for name, i in known.items()}

    def figures(self, event: Any, variables: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Return what a figure may show in addition to the tensors: path -> value."""
        known = {path: value for numbers in variables.values() for path, value in numbers.items()}
        known["variable layer"], known["variable head"] = known.get("variable i"), known.get("variable h")
        known |= {f"tokens[{i}]": token_id for i, token_id in enumerate(self.tokenizer.encode(WORD))}
        known |= {f"token_ids[{symbol or 'BOS'}]": i for i, symbol in enumerate(self.tokenizer.symbols)}
        known |= {"temperature": self.facts.get("temperature", 1.0), "temperature as trained": 1.0}
        if "swap" in event:
            swap = event["swap"]
            known |= {"exchange": swap["turn"] + 1, "exchanges": swap["of"], "i": swap["i"], "j": swap["j"]}
        chance = next((e["chance"] for e in self.events if "chance" in e and e["owner"] == event["owner"]), None)
        known[f"{event['owner'].partition('.')[0]}.chance"] = chance
        if self.story["chapter"] == "adam":
            path, before = self.facts["path"], self.facts["before"]
            now = known.setdefault(path, before)
            known.setdefault(f"grad {path}", self.facts["grad"])
            for name in ("m", "v", "m_hat", "v_hat"):
                for given in (f"variable {name}", f"variable {name}[0]"):
                    if given in known:
                        known[f"{name} {path}"] = known[given]
            known |= {f"before {path}": before, f"delta {path}": now - before, f"plain {path}": self.facts["plain"]}
        return known


def mistakes(played: Played, event: Any, numbers: Iterable[list[str]], right: set[tuple[str, ...]]) -> Iterator[str]:
    """Yield a message for each wrong number of an event; add those that are right at every moment to `right`."""
    variables = played.variables(event)
    figures = played.figures(event, variables)
    table = shapes(played.config, len(played.tokenizer.symbols))
    positions = 0
    for number in numbers:
        _, name, path, value, text = key = tuple(number)
        if key in right:
            continue
        if name in variables and path in variables[name]:
            words = wrong(number, variables[name][path])
        elif name:
            words = f"{number}: {name} has no such number"
        elif path.startswith("fact "):
            words = wrong(number, played.prose.number(path)) if NUMBER.search(text) else ""
        elif path == "position":
            words = "" if value == text == str(positions) else f"{number} is in place {positions}"
            positions += 1
        elif path.startswith("shape "):
            rows, columns = table[path.removeprefix("shape ")]
            words = "" if (value, text) == (f"{rows},{columns}", f"{rows} × {columns}") else str(number)
        elif path in figures:
            words = wrong(number, figures[path])
        elif (of_tensor := played.tensors(path)) is not None:
            words = wrong(number, of_tensor)
            if not words:
                right.add(key)
        else:
            words = f"{number}: unknown path"
        if words:
            yield words


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


LEAST = {  # chapter -> at least this many numbers, and kinds of figures
    "data": (800, 4),
    "tokens": (400, 2),
    "forward": (100_000, 10),
    "loss": (1000, 3),
    "adam": (140, 1),
    "sample": (100_000, 10),
}
STRETCHES, LENGTH = 8, 25  # the parts of a long chapter that are walked


def some_moments(last: int, rng: random.Random) -> list[int]:
    """Return the moments of some stretches of a chapter, including the first and the last."""
    starts = [0, last + 1 - LENGTH, *rng.sample(range(last), STRETCHES - 2)]
    return sorted({min(start + i, last) for start in starts for i in range(LENGTH)})


@pytest.mark.parametrize(
    ("chapter", "every"),
    [(name, least[0] < 10_000) for name, least in LEAST.items()]
    + [whole(name, True) for name, least in LEAST.items() if least[0] >= 10_000],
)
def test_every_moment_shows_the_values_of_cpython_there_and_back(
    head: Head, session: Session, chapter: str, every: bool, rng: random.Random
) -> None:
    played = Played(session, chapter)
    event_at = moments_of(played.story)
    head.open(chapter)
    assert head.last + 1 == len(event_at)
    walked = list(range(len(event_at))) if every else some_moments(head.last, rng)
    moments, numbers = walk(head, walked)
    found, compared, titles, right = [], 0, set(), set()
    for moment in moments:
        event = played.events[event_at[moment.at]]
        shown = [numbers[i] for i in moment.shown]
        found += [f"moment {moment.at}: {words}" for words in mistakes(played, event, shown, right)]
        if chapter == "data" and moment.title == "The documents":
            assert moment.texts == event["first"]
        if moment.title == "The die":
            assert moment.texts == [event["text"] + "▏"]
        assert moment.lit == [event["line"]]
        compared += len(shown)
        titles.add(moment.title)
    assert found == []
    numbers_at_least, kinds_at_least = LEAST[chapter]
    assert compared >= (numbers_at_least if every else 10 * len(walked))
    assert len(titles) >= (kinds_at_least if every else 4)


def test_another_value_would_be_noticed(session: Session) -> None:
    """A test of the test: a wrong value, wrong digits, a wrong variable and wrong paths are noticed."""
    played = Played(session, "forward")
    event = next(e for e in played.events if e["function"] == "linear" and e["owner"] == "pos0")
    value = played.tensors("pos0.layer0.q[3]")
    right = ["A matrix times a vector", "", "pos0.layer0.q[3]", repr(value), f"{value:.4f}".replace("-", "−")]
    assert list(mistakes(played, event, [right], set())) == []
    for column, other in ((1, "x"), (2, "pos0.layer0.q[4]"), (2, "nonsense"), (3, repr(value + 1e-9)), (4, "0.1234")):
        assert len(list(mistakes(played, event, [[*right[:column], other, *right[column + 1 :]], right], set()))) == 1


# --- Backward: each moment is one +=


def numbers_passed(step: int, one: Any) -> dict[tuple[str, str], set[Any]]:
    """Return the numbers that may be shown at a step of backward: (variable or part, path) -> numbers."""
    known: defaultdict[tuple[str, str], set[Any]] = defaultdict(set)
    node, operand, other = one["node"], one["operand"], one["other"]
    which = "b" if one["second"] else "a"
    panel = {
        (f"node.{which}.grad", f"grad {operand['path']} after {step}"): one["after"],
        ("node", node["path"]): node["value"],
        ("node.grad", f"grad {node['path']}"): node["grad"],
        (f"node.{which}", operand["path"]): operand["value"],
        (f"node.d{which}", f"local {operand['path']}"): one["local"],
        ("equation", f"local {operand['path']}"): one["local"],
        ("equation", f"grad {node['path']}"): node["grad"],
    }
    for place, value in panel.items():
        known[place].add(value)
    known["equation", f"grad {operand['path']}"] |= {one["before"], one["after"]}
    for box in (node, operand, *one["above"], *filter(None, [other])):  # the boxes of the graph, and its edges
        known["", box["path"]].add(box["value"])
        known["", f"grad {box['path']}"].add(box["grad"])
    known["", f"local {operand['path']} {node['path']}"].add(one["local"])
    if other:
        known["", f"local {other['path']} {node['path']}"].add(other["local"])
    for contribution in one["above"]:
        known["", f"local {node['path']} {contribution['path']}"].add(contribution["local"])
    for contribution in one["contributions"]:
        known["", f"add {contribution['path']}"].add(contribution["add"])
        known["", f"grad {operand['path']} after {contribution['step']}"].add(contribution["after"])
    return known


PREAMBLE = 3  # moments before the first +=


@pytest.mark.parametrize("count", [40, whole(None)])
def test_backward_shows_the_values_of_cpython_there_and_back(
    head: Head, session: Session, count: int | None, rng: random.Random
) -> None:
    """The steps are the first four += of every tensor and others between them; `count` of these are walked."""
    facts = ask(session, "chapter", name="backward", word=WORD)["facts"]
    second = [step.second for step in backward_steps(session, WORD).steps]
    steps = {start + i for start, _ in facts["tensors_met"] for i in range(4)}
    steps |= {*range(0, facts["steps"], 199), facts["steps"] - 1}
    steps = set(rng.sample(sorted(steps), count or len(steps)))
    head.open("backward")
    assert head.last + 1 == PREAMBLE + facts["steps"]
    moments = [*range(PREAMBLE), *(step + PREAMBLE for step in sorted(steps) if step < facts["steps"])]
    walked, numbers = walk(head, moments)
    found, compared = [], 0
    for moment in walked[PREAMBLE:]:
        step = moment.at - PREAMBLE
        one = ask(session, "backward_step", word=WORD, step=step)
        known = numbers_passed(step, {**one, "second": second[step]})
        shown = [numbers[i] for i in moment.shown]
        for _, name, path, *_ in shown:
            assert (name, path) in known, f"+= {step}: {name} {path}"
        words = [min((wrong(number, value) for value in known[number[1], number[2]]), key=len) for number in shown]
        found += [f"+= {step}: {text}" for text in words if text]
        given = ("equation", f"grad {one['operand']['path']}")
        sums = [float(value) for _, *place, value, _ in shown if tuple(place) == given]
        assert sums == pytest.approx([one["before"], one["after"]], rel=1e-12, abs=1e-15)
        assert moment.lit == [one["line"]]
        compared += len(shown)
    assert found == []
    assert compared > 15 * len(steps)


RELAY = """
import json
from array import array
from base64 import b64decode
from base64 import b64encode
from microgpt.lab.playback.backward import backward_steps
from microgpt.lab.session import Session
session = Session()
steps = backward_steps(session, "emma").steps
numbers = array("d", [x for s in steps for x in (s.node.data, s.node.grad, s.operand.data, s.local, s.before, s.after)])
indices = [[s.node.index, s.operand.index, s.second] for s in steps]
json.dumps({"numbers": b64encode(numbers.tobytes()).decode(), "indices": indices})
"""


@pytest.mark.slow
def test_every_step_of_backward_is_the_same_in_a_browsers_python(session: Session, tmp_path: Path) -> None:
    pyodide = ROOT / "web" / "node_modules" / "pyodide"
    if not pyodide.is_dir() or not shutil.which("node"):
        pytest.skip("needs Pyodide: run `npm ci` in web/")
    program = tmp_path / "program.py"
    program.write_text(RELAY)
    response = json_printed_by("node", ROOT / "tests" / "pyodide_run.mjs", pyodide, "none", program, SOURCE.parent)
    steps = backward_steps(session, WORD).steps
    assert response["indices"] == [[s.node.index, s.operand.index, s.second] for s in steps]
    got = iter(array("d", b64decode(response["numbers"])))
    names = ("node", "node.grad", "operand", "local", "before", "after")
    for i, s in enumerate(steps):
        expected = (s.node.data, s.node.grad, s.operand.data, s.local, s.before, s.after)
        for name, a, b in zip(names, expected, got):
            assert math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15), (i, name, a, b)
    assert next(got, None) is None
