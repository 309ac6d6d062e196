"""Solutions of all exercises of the page: the right answer, computed by CPython, or the actions on the page."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from microgpt.lab.session import Session

from lab import session_client as client
from lab.page.reader import WAIT, Reader


@cache
def native() -> Session:
    return Session()


def ask(method: str, **params: Any) -> Any:
    """Return CPython's response to a request, which decides whether a prediction is right."""
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
    """Return a number as JavaScript writes it."""
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
    found = ask("expression", source="y = x * x + x", inputs={"x": 1.5}, times=2)
    return text(found["check"][0]["grad"])


def nearest_to_a() -> str:
    wte = ask("parameters")["tensors"]["wte"]["data"]
    rows = [wte[i : i + 16] for i in range(0, 16 * 26, 16)]
    cosines = [sum(a * b for a, b in zip(row, rows[0])) / math.hypot(*row) for row in rows]
    return chr(ord("a") + max(range(1, 26), key=cosines.__getitem__))


def first_stride() -> str:
    """Return which of the three offered lengths is that of Adam's first step, where m_hat / sqrt(v_hat) is 1."""
    found = ask("adam", word="emma", path=steepest("emma"), fresh=True)
    stride = found["learning_rate"] * abs(found["grad"]) / (math.sqrt(found["grad"] ** 2) + found["eps_adam"])
    lengths = {"plain": abs(found["plain"]), "delta": abs(found["delta"]), "grad": abs(found["grad"])}
    return min(lengths, key=lambda name: abs(lengths[name] - stride))


def more_or_less() -> str:
    one = ask("examples")["backwards"][0]["word"]
    a, b = (ask("loss", word=word)["mean"] for word in (one, one[::-1]))
    return "more" if b > a else "less"


# The predictions: the title, and the right answer from CPython
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

# The lines: the title, and a piece of the right line
LINES = {
    "bos-at-both-ends": ("The silence at both ends", "return [self.bos, *("),
    "where-blame-adds-up": ("Where blame adds up", "node.a.grad += "),
    "keep-the-original": ("Think, and keep the original", "x = [a + b for a, b in zip(x, x_residual)]"),
    "surprise-in-the-program": ("Surprise, in a line", "losses.append("),
    "where-the-weight-moves": ("Where the weight moves", "p.data -= learning_rate"),
    "the-whole-of-training": ("Surprise, then backward", "surprise.backward()"),
    "chance-in-one-line": ("Chance, in one line", "rng.choices("),
}

# The numbers: the title, the right number, and a wrong one
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
        found = ask("shuffle", seed=seed, count=8)
        return bool(found["before"][0] == found["swaps"][-1]["after"][0])

    reader.figure("The shuffle").get_by_label("seed", exact=True).fill(str(next(s for s in range(100) if first(s))))
    reader.tab.settle()


def shut(reader: Reader) -> None:
    open_ = ask("gate", word="emma", layer=0)["open"]
    reader.unit(lambda unit: not any(row[unit] for row in open_))


def dead(reader: Reader) -> None:
    found = reader.tab.ask("gate", word="emma", layer=0)["dead"]
    reader.unit(lambda unit: unit in found)


def one_weight(reader: Reader) -> None:
    path = steepest("emma")
    reader.open(path)
    reader.page.locator("#push").fill("-1" if ask("nudge", word="emma", path=path)["grad"] > 0 else "1")
    reader.tab.settle()


def second_place(reader: Reader) -> None:
    """Change the first weight of the second position's embedding."""
    figure = reader.figure("Change a weight")
    figure.get_by_label("matrix").select_option("wpe")
    for label, to in (("row", "1"), ("column", "0")):
        box = figure.get_by_label(label, exact=True)
        box.fill(to)
        box.blur()
    reader.press("Change a weight", "set to 0")


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
    reader.page.get_by_role("button", name="use random weights").click()
    reader.tab.settle()
    reader.train(10)
    reader.page.get_by_label("learning_rate").last.fill("0.02")
    reader.page.get_by_role("button", name="Start a new run").click()
    reader.tab.settle()
    reader.train(10)


def program(reader: Reader, change: str) -> None:
    reader.press("Changes to try", change)
    reader.press("reference.py", "Use in all figures")
    reader.page.wait_for_function("() => unanswered === 0", timeout=WAIT)


def surest(reader: Reader) -> None:
    letters = ask("generate", seed=42, index=0, temperature=0.5)["letters"]
    at = max(range(len(letters)), key=lambda i: letters[i]["probs"][letters[i]["token_id"]])
    reader.figure("One letter at a time").locator(".player input").fill(str(at + 1))
    reader.tab.settle()


def new_name(reader: Reader) -> None:
    reader.figure("One letter at a time").get_by_label("begins with").fill("z")
    reader.tab.settle()
    for index in range(20):
        found = ask("generate", seed=42, index=index, temperature=0.5, prompt="z")
        if len(found["text"]) >= 4 and not found["in_data"]:
            return
        reader.press("One letter at a time", "Generate another name")


def greatest(reader: Reader) -> None:
    letters = ask("loss", word="olivia")["letters"]
    most = max(letters, key=lambda letter: letter["loss"])
    reader.page.get_by_role("button", name=f"Select {most['target']} after {most['read']}").first.click()


def causality(reader: Reader) -> None:
    """Two wrong attempts come first: without the mask, no head of `emma` attends enough, nor head 0 of `elizabeth`."""
    figure = "The textbook’s mask"
    for word in ("emma", "elizabeth"):
        future = ask("unmasked", word=word)["future"][0]
        reader.follow(word)
        for head in range(4):
            reader.choose(figure, "off")
            reader.choose(figure, str(head))
            verdict = reader.check()
            assert verdict.startswith("Right." if future[head][0] > 0.9 else "Not yet. At the beginning"), (word, head)
            assert f"{100 * future[head][0]:.1f}%" in verdict
    assert max(rows[0] for rows in ask("unmasked", word="emma")["future"][0]) < 0.9
    right = next(head for head, rows in enumerate(future) if rows[0] > 0.9)
    reader.choose(figure, str(right))
    reader.choose(figure, "on")
    assert reader.check().startswith("Not yet. The mask is where it was")
    reader.choose(figure, "off")


# The other exercises: the title, and the actions on the page
DONE: dict[str, tuple[str, Callable[[Reader], object]]] = {
    "follow-a-made-up-name": (
        "Follow a name that the model wrote",
        lambda r: (r.tab.page.locator("main .names li button").nth(1).click(), r.tab.settle()),
    ),
    "a-letter-it-does-not-know": (
        "A letter it does not know",
        lambda r: r.figure("Type anything").get_by_label("text", exact=True).fill("jürgen"),
    ),
    "too-long": (
        "Longer than it can read",
        lambda r: r.figure("Type anything").get_by_label("text", exact=True).fill("abcdefghijklmnopqrst"),
    ),
    "the-rarest-letter": ("The rarest letter", lambda r: r.follow("quinn")),
    "a-seed-that-leaves-the-first": ("A shuffle that leaves the first card", seed),
    "a-flat-place": ("A flat place", lambda r: expression(r, "x used twice", x=-0.5)),
    "shut-the-neuron": ("Shut the neuron", lambda r: expression(r, "a neuron", b=-3)),
    "break-backward": (
        "Break backward",
        lambda r: (expression(r, "x used twice"), r.choose("An expression", "assigned (=)")),
    ),
    "the-largest-matrix": ("The largest matrix", lambda r: r.choose("A matrix and one of its numbers", "mlp_fc1")),
    "a-unit-that-stays-shut": ("A unit with nothing to say", shut),
    "find-the-dead-units": ("Find the dead", dead),
    "one-weight-for-the-better": ("One weight for the better", one_weight),
    "a-change-that-spares-the-first": ("What cannot reach back", second_place),
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
            r.press("Adam, for one parameter", "a parameter that the word does not use"),
            r.choose("One update on", "empty, as at step 1"),
        ),
    ),
    "an-update-too-far": ("Too far", lambda r: r.figure("One update on").locator("label.rate input").fill("0")),
    "know-nothing": ("Begin from nothing", lambda r: r.page.get_by_role("button", name="use random weights").click()),
    "learn-this-word": ("Below 2, by any means", own_data),
    "the-first-good-day": ("Back to the first good day", scrub),
    "make-two-runs-part": ("Make two runs part", two_runs),
    "a-sure-thing": ("A sure thing", lambda r: r.slide("One letter at a time", "temperature", 0.1)),
    "anything-goes": ("Anything goes", lambda r: r.slide("One letter at a time", "temperature", 2)),
    "something-new": ("Something new", new_name),
    "the-surest-throw": ("The surest throw", surest),
    "a-program-of-your-own": ("A program of your own", lambda r: program(r, "GELU")),
    "attention-without-its-brake": ("Attention of another kind", lambda r: program(r, "no 1/√d")),
}
