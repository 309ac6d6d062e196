"""Exercises: wrong before anything is done, right after the right thing was done on the page, with the real numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab.session import Session

from lab import session_client as client
from lab.page.browser import ROOT, Visit
from lab.page.test_access import AXE, SIZES, violations

WAIT = 180_000  # milliseconds, for a model that is trained


class Reader:
    """Somebody at the exercises."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page

    # --- the exercise itself

    def begin(self, title: str) -> None:
        self.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
        self.page.get_by_role("dialog").get_by_role("button", name=title).first.click()
        self.page.get_by_role("region", name=title).wait_for()
        self.page.wait_for_function("() => unanswered === 0", timeout=WAIT)
        self.tab.settle()

    @property
    def card(self) -> Any:
        return self.page.locator("main .exercise")

    def check(self) -> str:
        self.card.get_by_role("button", name="Check").click()
        said = self.card.locator(".verdict .said")
        said.wait_for(timeout=WAIT)
        return str(said.inner_text())

    def predict(self, value: str) -> None:
        self.card.locator("input[type=radio]").first.wait_for()
        self.card.locator(f"input[value='{value}']").check()

    # --- the page

    def figure(self, title: str) -> Any:
        return self.page.locator("main figure").filter(has=self.page.get_by_role("heading", name=title))

    def press(self, figure: str, button: str) -> None:
        self.figure(figure).get_by_role("button", name=button, exact=True).first.click()
        self.tab.settle()

    def choose(self, figure: str, option: str) -> None:
        self.figure(figure).get_by_role("radio", name=option, exact=True).first.click()
        self.tab.settle()

    def follow(self, word: str) -> None:
        self.page.locator("#word").fill(word)
        self.tab.settle()

    def open(self, path: str) -> None:
        box = self.page.get_by_role("combobox", name="find a number")
        box.fill(path)
        self.page.locator("[role=option] .path").filter(has_text=re.compile(f"^{re.escape(path)}$")).wait_for()
        box.press("Enter")
        self.page.locator(".opened h2").filter(has_text=path).wait_for()
        self.tab.settle()

    def slide(self, figure: str, label: str, value: float) -> None:
        named = self.page.get_by_text(label, exact=True)
        self.figure(figure).locator("label").filter(has=named).locator("input[type=range]").fill(str(value))
        self.tab.settle()

    def line(self, text: str) -> None:
        lines = self.tab.ask("source")["lines"]
        number = next(i for i, line in enumerate(lines, 1) if text in line)
        self.page.locator(f".source li[data-line='{number}'] .gutter").click()

    def unit(self, wanted: Callable[[int], bool]) -> None:
        """Walk the board of gates from the first unit to one of these."""
        board = self.figure("Open or shut").locator(".board")
        board.focus()
        for _ in range(64):
            board.press("ArrowLeft")
        for unit in range(64):
            if unit:
                board.press("ArrowRight")
            if wanted(unit):
                return

    def train(self, steps: int) -> None:
        self.page.get_by_role("button", name=f"train {steps}", exact=True).click()
        self.page.get_by_role("button", name=f"train {steps}", exact=True).wait_for(timeout=WAIT)
        self.tab.settle()


@cache
def native() -> Session:
    return Session()


def ask(method: str, **params: Any) -> Any:
    """What CPython answers: the truth of the predictions."""
    return client.ask(native(), method, **params)


def steepest(word: str) -> str:
    grads = ask("gradients", word=word)["grads"]
    columns = {name: columns for name, _, columns in ask("model")["shapes"]}
    _, name, i = max((abs(x), name, i) for name, numbers in grads.items() for i, x in enumerate(numbers))
    return f"{name}[{i // columns[name]}][{i % columns[name]}]"


def likeliest(path: str, word: str) -> str:
    probs = ask("forward", word=word)["tensors"][path]["data"]
    return str(probs.index(max(probs)))


def text(x: float) -> str:
    """As JavaScript writes it."""
    return repr(x).removesuffix(".0")


def listening() -> int:
    rows = ask("attention", word="olivia")["weights"][0][0]
    return max(range(1, len(rows)), key=lambda t: rows[t][0])


def strongest() -> str:
    heads = ask("attention", word="emma")["weights"][0]
    _, t, h, s = max(
        (x, t, h, s) for h, rows in enumerate(heads) for t, row in enumerate(rows) if t for s, x in enumerate(row)
    )
    return f"pos{t}.layer0.attn_weights.head{h}[{s}]"


def rows_that_change() -> str:
    a, b = (ask("attention", word=word)["weights"] for word in ("emma", "emmy"))
    rows = range(len(a[0][0]) - 1)
    return str(sum(any(a[0][h][t] != b[0][h][t] for h in range(len(a[0]))) for t in rows))


def deeper() -> str:
    return str(ask("sizes", n_embd=16, n_layer=2, block_size=16, vocab_size=27)["num_params"])


def twice() -> str:
    told = ask("expression", source="y = x * x + x", inputs={"x": 1.5}, times=2)
    return text(told["check"][0]["grad"])


def nearest_to_a() -> str:
    wte = ask("parameters")["tensors"]["wte"]["data"]
    rows = [wte[i : i + 16] for i in range(0, 16 * 26, 16)]
    return chr(ord("a") + min(range(1, 26), key=lambda i: math.dist(rows[i], rows[0])))


def first_stride() -> str:
    """Of the three lengths that are offered the one that an Adam of its own makes: m_hat / sqrt(v_hat) is 1."""
    told = ask("adam", word="emma", path=steepest("emma"), fresh=True)
    stride = told["learning_rate"] * abs(told["grad"]) / (math.sqrt(told["grad"] ** 2) + told["eps_adam"])
    lengths = {"plain": abs(told["plain"]), "delta": abs(told["delta"]), "grad": abs(told["grad"])}
    return min(lengths, key=lambda name: abs(lengths[name] - stride))


def more_or_less() -> str:
    a, b = (ask("loss", word=word)["mean"] for word in ("maria", "airam"))
    return "more" if b > a else "less"


# The predictions: what is so, as CPython has it
PREDICTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "what-comes-after-kay": ("What comes after “ka”?", lambda: likeliest("pos2.probs", "kayla")),
    "backward-twice": ("Backward twice", twice),
    "the-nearest-letter": ("Letters that are alike", nearest_to_a),
    "twice-as-deep": ("Twice as deep", deeper),
    "attention-at-position-0": (
        "Alone at position 0",
        lambda: text(ask("attention", word="emma")["weights"][0][0][0][0]),
    ),
    "a-letter-later": ("A letter later", rows_that_change),
    "backwards": ("The same letters, backwards", more_or_less),
    "the-first-stride": ("How long is the first stride?", first_stride),
}

# The lines: a piece of the one that is asked for
LINES = {
    "bos-at-both-ends": ("The silence at both ends", "return [self.bos, *("),
    "where-blame-adds-up": ("Where blame adds up", "node.a.grad += "),
    "keep-the-original": ("Think, and keep the original", "x = [a + b for a, b in zip(x, x_residual)]"),
    "surprise-in-the-program": ("Surprise, in a line", "losses.append("),
    "where-the-weight-moves": ("Where the weight moves", "p.data -= learning_rate"),
    "the-whole-of-training": ("Surprise, then backward", "surprise.backward()"),
    "chance-in-one-line": ("Chance, in a line", "rng.choices("),
}

# The numbers: the one that is asked for, and another, which is not
NUMBERS: dict[str, tuple[str, Callable[[], str], str]] = {
    "the-end-of-the-word": ("How surprised was it at the end?", lambda: "pos4.loss", "pos3.loss"),
    "a-letter-that-is-not-there": ("A letter that is not there", lambda: "wte[16][3]", "wte[4][3]"),
    "a-number-cut-to-zero": ("Cut to zero", lambda: "pos3.layer0.mlp_act[0]", "pos3.layer0.q[0]"),
    "the-strongest-look": ("The strongest look", strongest, "pos3.layer0.attn_weights.head0[0]"),
    "whose-value-is-taken": ("Ask, and be answered", lambda: "pos3.layer0.q[8]", "pos3.layer0.q[7]"),
    "the-number-training-makes-small": ("The one number that training", lambda: "loss", "pos3.loss"),
    "the-steepest": ("The steepest of all", lambda: steepest("emma"), "wte[4][3]"),
}


def expression(reader: Reader, preset: str, **inputs: float) -> None:
    reader.press("An expression", preset)
    for name, value in inputs.items():
        reader.slide("An expression", name, value)


def seed(reader: Reader) -> None:
    def first(seed: int) -> bool:
        told = ask("shuffle", seed=seed, count=8)
        return bool(told["before"][0] == told["swaps"][-1]["after"][0])

    reader.figure("The shuffle").get_by_label("seed").fill(str(next(s for s in range(100) if first(s))))
    reader.tab.settle()


def shut(reader: Reader) -> None:
    open_ = ask("gate", word="emma", layer=0)["open"]
    reader.unit(lambda unit: not any(row[unit] for row in open_))


def dead(reader: Reader) -> None:
    found = reader.tab.ask("gate", word="emma", layer=0)["dead"]
    reader.unit(lambda unit: unit in found)


def one_weight(reader: Reader) -> None:
    reader.open(steepest("emma"))
    reader.page.locator("#push").fill("-1")
    reader.tab.settle()


def own_data(reader: Reader) -> None:
    reader.tab.section(1, word="emma", exercise="learn-this-word")
    file = {"name": "emma.txt", "mimeType": "text/plain", "buffer": b"emma\nemma\n"}
    reader.page.locator("main input[type=file]").set_input_files(file)
    reader.tab.settle()
    reader.page.get_by_role("navigation", name="Sections").get_by_role("link", name="Training").click()
    reader.tab.settle()
    reader.train(100)


def scrub(reader: Reader) -> None:
    run = next(run for run in reader.tab.ask("runs")["runs"] if run["active"])
    step = next(i for i, loss in enumerate(run["losses"], 1) if loss < 2.5)
    reader.page.locator("main .scrub input").fill(str(step))
    reader.tab.settle()


def two_runs(reader: Reader) -> None:
    reader.page.get_by_role("button", name="random weights").click()
    reader.tab.settle()
    reader.train(10)
    reader.page.get_by_label("learning_rate").last.fill("0.02")
    reader.page.get_by_role("button", name="Begin a new run").click()
    reader.tab.settle()
    reader.train(10)


def program(reader: Reader, change: str) -> None:
    reader.press("Changes to try", change)
    reader.press("reference.py", "Use in all figures")
    reader.page.wait_for_function("() => unanswered === 0", timeout=WAIT)


def lucky(reader: Reader) -> None:
    letters = ask("generate", seed=42, index=0, temperature=0.5)["letters"]
    at = min(range(len(letters)), key=lambda i: letters[i]["probs"][letters[i]["token_id"]])
    reader.figure("One letter at a time").locator(".player input").fill(str(at))
    reader.tab.settle()


def new_name(reader: Reader) -> None:
    reader.figure("One letter at a time").get_by_label("begins with").fill("z")
    reader.tab.settle()
    for index in range(20):
        told = ask("generate", seed=42, index=index, temperature=0.5, prompt="z")
        if len(told["text"]) >= 4 and not told["in_data"]:
            return
        reader.press("One letter at a time", "Another name")


def greatest(reader: Reader) -> None:
    letters = ask("loss", word="olivia")["letters"]
    most = max(letters, key=lambda letter: letter["loss"])
    reader.page.get_by_role("button", name=f"{most['target']} after {most['read']}: choose this position").first.click()


def causality(reader: Reader) -> None:
    """Wrong in two more ways first: without the mask no head goes so far in `emma`; in `olivia` head 0 does not."""
    figure = "The textbook’s mask"
    for word in ("emma", "olivia"):
        future = ask("unmasked", word=word)["future"][0]
        reader.follow(word)
        for head in range(4):
            reader.choose(figure, "taken away")
            reader.choose(figure, str(head))
            said = reader.check()
            assert said.startswith("Right." if future[head][0] > 0.9 else "Not yet. At the beginning"), (word, head)
            assert f"{100 * future[head][0]:.1f} %" in said
    assert max(rows[0] for rows in ask("unmasked", word="emma")["future"][0]) < 0.9
    right = next(head for head, rows in enumerate(future) if rows[0] > 0.9)
    reader.choose(figure, str(right))
    reader.choose(figure, "as it is")
    assert reader.check().startswith("Not yet. The mask is where it was")
    reader.choose(figure, "taken away")


# The rest: what is done on the page
DONE: dict[str, tuple[str, Callable[[Reader], object]]] = {
    "follow-a-made-up-name": (
        "Follow a name that nobody wrote",
        lambda r: r.press("Names that the model makes up", "teriy"),
    ),
    "a-letter-it-does-not-know": (
        "A letter it does not know",
        lambda r: r.figure("Type anything").get_by_label("text").fill("jürgen"),
    ),
    "too-long": (
        "Longer than it can read",
        lambda r: r.figure("Type anything").get_by_label("text").fill("abcdefghijklmnopqrst"),
    ),
    "the-rarest-letter": ("The rarest letter", lambda r: r.follow("quinn")),
    "a-seed-that-leaves-the-first": ("A shuffle that leaves the first card", seed),
    "a-flat-place": ("A flat place", lambda r: expression(r, "x used twice", x=-0.5)),
    "shut-the-neuron": ("Shut the neuron", lambda r: expression(r, "a neuron", b=-3)),
    "break-backward": (
        "Break backward",
        lambda r: (expression(r, "x used twice"), r.choose("An expression", "put in its place (=)")),
    ),
    "the-largest-matrix": ("The largest matrix", lambda r: r.choose("One matrix, and one number", "mlp_fc1")),
    "a-unit-that-stays-shut": ("A unit with nothing to say", shut),
    "find-the-dead-units": ("Find the dead", dead),
    "one-weight-for-the-better": ("One weight for the better", one_weight),
    "a-change-that-spares-the-first": ("What cannot reach back", lambda r: r.press("Change a weight", "to 0")),
    "who-listens-for-the-beginning": (
        "Who listens for the beginning?",
        lambda r: r.page.locator("main").get_by_role("radio", name=re.compile(f"^{listening()} ")).first.click(),
    ),
    "break-causality": ("Break causality", causality),
    "winner-takes-all": ("The winner takes it all", lambda r: r.press("From uniform to peaked", "20: peaked")),
    "a-word-it-expects": ("A word it expects", lambda r: r.follow("alana")),
    "worse-than-knowing-nothing": ("Worse than knowing nothing", lambda r: r.follow("qqq")),
    "the-greatest-surprise": ("The greatest surprise", greatest),
    "left-alone": (
        "Left alone",
        lambda r: (
            r.press("Adam, for one parameter", "one that the word does not touch"),
            r.choose("One update on", "empty, as at step 1"),
        ),
    ),
    "an-update-too-far": ("Too far", lambda r: r.figure("One update on").locator("label.rate input").fill("0")),
    "know-nothing": ("Begin from nothing", lambda r: r.page.get_by_role("button", name="random weights").click()),
    "learn-this-word": ("Below 2, by any means", own_data),
    "the-first-good-day": ("Back to the first good day", scrub),
    "make-two-runs-part": ("Make two runs part", two_runs),
    "a-sure-thing": ("A sure thing", lambda r: r.slide("One letter at a time", "temperature", 0.1)),
    "anything-goes": ("Anything goes", lambda r: r.slide("One letter at a time", "temperature", 2)),
    "something-new": ("Something new", new_name),
    "the-lucky-throw": ("The luckiest throw", lucky),
    "a-program-of-your-own": ("A program of your own", lambda r: program(r, "GELU")),
    "attention-without-its-brake": ("Attention of another kind", lambda r: program(r, "no 1/√d")),
}


def written() -> dict[str, int]:
    """Every exercise of the page, with its section."""
    found = {}
    for file in sorted((ROOT / "web" / "src" / "exercises").glob("[0-9]*.ts")):
        for id in re.findall(r"^    id: '([\w-]+)'", file.read_text(), re.M):
            found[id] = int(file.name.partition("-")[0])
    return found


def test_every_exercise_is_solved_here() -> None:
    solved = [*PREDICTIONS, *LINES, *NUMBERS, *DONE]
    assert len(solved) == len(set(solved))
    assert set(solved) == set(written())


def test_every_section_has_exercises() -> None:
    of_section = list(written().values())
    assert len(of_section) >= 30
    assert all(of_section.count(section) >= 2 for section in range(11))


@pytest.fixture
def reader(tab: Visit) -> Reader:
    tab.page.set_viewport_size(SIZES["wide"])
    return Reader(tab)


@pytest.mark.parametrize("id", PREDICTIONS)
def test_a_prediction_is_judged(reader: Reader, id: str) -> None:
    title, truth = PREDICTIONS[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. Nothing is chosen")
    right = truth()
    reader.card.locator("input[type=radio]").first.wait_for()
    offered = reader.card.locator("input[type=radio]").evaluate_all("(all) => all.map((one) => one.value)")
    assert right in offered
    for option in offered:
        reader.predict(option)
        assert reader.check().startswith("Right." if option == right else "Not yet."), option


@pytest.mark.parametrize("id", LINES)
def test_a_line_is_found(reader: Reader, id: str) -> None:
    title, piece = LINES[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. No line is chosen")
    reader.line("import gc, math, random, sys")
    assert reader.check().startswith("Not yet. Line")
    reader.line(piece)
    reader.page.mouse.move(600, 700)  # over a figure, which lights up lines of its own
    assert reader.check().startswith("Right.")


@pytest.mark.parametrize("id", NUMBERS)
def test_a_number_is_found(reader: Reader, id: str) -> None:
    title, path, other = NUMBERS[id]
    reader.begin(title)
    assert reader.check().startswith("Not yet. No number is open")
    reader.open(other)
    assert reader.check().startswith("Not yet.")
    reader.open(path())
    assert reader.check().startswith("Right.")


@pytest.mark.parametrize("id", DONE)
def test_it_is_made_so(reader: Reader, id: str) -> None:
    title, work = DONE[id]
    if id == "make-two-runs-part":  # other exercises have left runs behind
        reader.page.reload()
        reader.tab.ready()
    reader.begin(title)
    assert reader.check().startswith("Not yet.")
    work(reader)
    reader.tab.settle()
    said = reader.check()
    assert said.startswith("Right."), said
    assert "…" not in said  # every fact is filled in


# --- Progress


def test_progress_survives_a_reload_and_goes_round_in_a_file(visit: Visit, tmp_path: Path) -> None:
    visit.open()
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    assert reader.check().startswith("Right.")
    visit.page.reload()
    visit.ready()
    shelf = visit.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises")
    assert "1 solved" in shelf.inner_text()
    shelf.click()
    dialog = visit.page.get_by_role("dialog")
    with visit.page.expect_download() as started:
        dialog.get_by_role("button", name="export progress").click()
    file = tmp_path / "progress.json"
    started.value.save_as(file)
    assert list(json.loads(file.read_text())["exercises"]) == ["a-word-it-expects"]
    dialog.get_by_role("button", name="forget all").click()
    assert dialog.get_by_text("0 of").is_visible()
    dialog.locator("input[type=file]").set_input_files(file)
    dialog.get_by_text("The file tells of 1 exercise").wait_for()
    assert dialog.get_by_role("button", name="A word it expects").inner_text().endswith(", solved")
    for content, says in (("{", "This is no JSON"), ('{"kind": "other"}', "This is no file of exercises")):
        file.write_text(content)
        dialog.locator("input[type=file]").set_input_files(file)
        dialog.get_by_text(says).wait_for()
    visit.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_exercises_work_where_nothing_is_kept(visit: Visit) -> None:
    denied = "{ get() { throw new DOMException('denied', 'SecurityError') } }"
    visit.context.add_init_script(f"Object.defineProperty(globalThis, 'localStorage', {denied})")
    visit.open()
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    assert reader.check().startswith("Right.")
    visit.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    visit.page.get_by_role("dialog").get_by_text("This browser keeps nothing").wait_for()


def test_an_edited_program_with_another_attention_is_asked_for(reader: Reader) -> None:
    reader.begin("Attention of another kind")
    program(reader, "no residual")
    assert re.match(r"Not yet. Edited: gpt. Attention is as it was.", reader.check())


def test_an_exercise_of_the_workbench_keeps_the_readers_program(reader: Reader) -> None:
    reader.tab.section(10)
    reader.press("Changes to try", "GELU")
    reader.begin("A program of your own")
    assert reader.page.get_by_text("what was changed:").is_visible()
    reader.press("reference.py", "Reset the file")


def test_a_verdict_that_comes_late_is_not_another_exercises(reader: Reader) -> None:
    reader.begin("A word it expects")
    reader.page.evaluate(
        """() => {
          const ask = lab.ask.bind(lab)
          lab.ask = (...question) => {
            lab.ask = ask
            return new Promise((go) => { globalThis.letGo = go }).then(() => ask(...question))
          }
        }"""
    )
    reader.card.get_by_role("button", name="Check").click()
    reader.page.wait_for_function("() => globalThis.letGo")
    reader.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
    reader.page.get_by_role("dialog").get_by_role("button", name="Surprise, in a line").first.click()
    reader.page.get_by_role("region", name="Surprise, in a line").wait_for()
    reader.page.evaluate("letGo()")
    reader.page.wait_for_function("() => document.querySelector('.exercise .verdict')?.textContent.trim() === ''")
    reader.tab.settle()
    assert reader.card.locator(".verdict .said").count() == 0


# --- What the reader had before


def state(reader: Reader) -> tuple[Any, ...]:
    model = reader.tab.ask("model")
    word, position = reader.page.locator("#word").input_value(), "position=1" in reader.page.url
    return word, position, model["run"], model["step"], [(x["path"], x["after"]) for x in model["changes"]]


def leave(reader: Reader) -> None:
    reader.card.get_by_role("button", name="Leave the exercise").click()
    reader.card.wait_for(state="detached")
    reader.page.wait_for_function("() => unanswered === 0", timeout=WAIT)
    reader.tab.settle()


def test_an_exercise_gives_back_the_readers_word_model_and_weights(visit: Visit) -> None:
    visit.open("#section=4&word=zoe&position=1")
    visit.ready()
    reader = Reader(visit)
    reader.press("Change a weight", "to 0")
    before = state(reader)
    assert before[:3] == ("zoe", True, "published")
    assert len(before[4]) == 1
    reader.begin("The greatest surprise")  # of another word, with the weights as they were published
    assert state(reader)[0] == "olivia"
    assert state(reader)[4] == []
    assert "you have the word “zoe” and the weights that you changed again" in reader.card.inner_text()
    leave(reader)
    assert state(reader) == before
    assert "exercise" not in visit.page.evaluate("location.hash")

    # a run of one's own, and from one exercise to the next
    visit.section(8, word="zoe", position=1)
    visit.page.get_by_role("button", name="random weights").click()
    visit.settle()
    reader.train(10)
    before = state(reader)
    assert before[3] == 10
    reader.begin("A word it expects")
    reader.follow("alana")
    reader.begin("Back to the first good day")  # which trains a run for itself
    assert state(reader)[3] == 100
    leave(reader)
    assert state(reader) == before


def test_who_leaves_while_the_model_is_still_made_gets_back_what_was_there(visit: Visit) -> None:
    visit.open("#section=8&word=zoe&position=1")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    before = state(reader)
    visit.page.evaluate("""() => {
      const ask = lab.ask
      lab.ask = async (method, params) => {
        if (method === 'reset') await new Promise((go) => (globalThis.go = go))
        return ask(method, params)
      }
    }""")
    reader.begin("Back to the first good day")
    reader.card.get_by_role("button", name="Leave the exercise").click()
    visit.page.evaluate("go()")
    visit.page.wait_for_function("async () => (await lab.ask('runs', {})).runs.length > 1")
    visit.page.wait_for_function("async () => (await lab.ask('model', {})).run === 'published'")
    visit.settle()
    assert state(reader) == before


def test_the_reader_may_stay_with_what_the_exercise_has_made(visit: Visit) -> None:
    visit.open("#section=6&word=zoe")
    visit.ready()
    reader = Reader(visit)
    reader.begin("A word it expects")
    reader.follow("alana")
    reader.card.get_by_role("button", name="stay with what is here").click()
    assert reader.card.get_by_text("you have the word").count() == 0
    leave(reader)
    assert state(reader)[0] == "alana"


def test_an_exercise_gives_back_the_expression(visit: Visit) -> None:
    visit.open("#section=2")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    source = reader.figure("An expression").locator("input[type=text]")
    source.fill("y = a * a * b")
    visit.settle()
    reader.slide("An expression", "a", 0.5)
    reader.begin("A flat place")
    assert source.input_value() != "y = a * a * b"
    leave(reader)
    assert source.input_value() == "y = a * a * b"
    named = visit.page.get_by_text("a", exact=True)
    assert (
        reader.figure("An expression").locator("label").filter(has=named).locator("input[type=range]").input_value()
        == "0.5"
    )


def test_where_nothing_was_replaced_nothing_is_offered(reader: Reader) -> None:
    reader.tab.section(6, word="emma")
    reader.begin("Surprise, in a line")
    assert reader.card.get_by_text("Leave the exercise, and").count() == 0
    leave(reader)


def test_a_link_begins_an_exercise(visit: Visit) -> None:
    visit.open("#section=6&word=olivia&position=0&exercise=the-greatest-surprise")
    visit.ready()
    visit.settle()
    reader = Reader(visit)
    assert reader.check().startswith("Not yet.")
    greatest(reader)
    assert reader.check().startswith("Right.")
    assert "exercise=the-greatest-surprise" in visit.page.evaluate("location.hash")


# --- For every eye and every hand


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_exercises(tab: Visit, size: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    axe = AXE.read_text()
    tab.page.set_viewport_size(SIZES[size])
    reader = Reader(tab)
    for theme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=theme)
        reader.begin("Alone at position 0")
        reader.card.get_by_role("button", name="hint").click()
        reader.check()
        assert violations(tab, axe) == []
        tab.page.get_by_role("navigation", name="Sections").get_by_role("button", name="Exercises").click()
        tab.page.get_by_role("dialog").wait_for()
        assert violations(tab, axe) == []
        tab.page.keyboard.press("Escape")
    tab.page.emulate_media(color_scheme="light")
    tab.page.set_viewport_size(SIZES["wide"])


def test_an_exercise_is_done_by_keyboard_alone(reader: Reader) -> None:
    reader.begin("Alone at position 0")
    page = reader.page
    assert page.evaluate("document.activeElement.textContent") == "Alone at position 0"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    said = reader.card.locator(".verdict .said")
    said.wait_for()
    assert said.inner_text().startswith("Right.")


def test_an_exercise_fits_a_narrow_screen(tab: Visit) -> None:
    tab.page.set_viewport_size({"width": 320, "height": 640})
    reader = Reader(tab)
    reader.begin("Alone at position 0")
    width, window = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    tab.page.set_viewport_size(SIZES["wide"])
