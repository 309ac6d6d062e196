"""Attention without its mask: every number is what a plain computation of the whole matrix gives, as is the page's."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from microgpt.config import offsets
from microgpt.engines.program import REFERENCE
from microgpt.lab.figures.unmasked import passes
from microgpt.lab.session import Session

from lab.page.browser import Visit
from lab.page.test_access import AXE, SIZES, violations
from lab.session_client import ask

Vector = list[float]


def linear(matrix: Sequence[Vector], x: Vector) -> Vector:
    return [sum(w * xi for w, xi in zip(row, x)) for row in matrix]


def rmsnorm(x: Vector) -> Vector:
    scale = 1 / math.sqrt(sum(xi * xi for xi in x) / len(x) + 1e-5)
    return [xi * scale for xi in x]


def softmax(scores: Vector) -> Vector:
    exps = [math.exp(score - max(scores)) for score in scores]
    return [e / sum(exps) for e in exps]


class Transformer:
    """A forward pass over all positions at once, layer by layer, on plain floats: as textbooks have it."""

    def __init__(self, session: Session, word: str, sees: Callable[[int, int], bool]) -> None:
        run = session.active
        c, params, places = run.config, run.engine.params, offsets(run.shapes)
        self.w = {
            name: [list(params[at : at + columns]) for at in range(places[name].start, places[name].stop, columns)]
            for name, (_, columns) in run.shapes.items()
        }
        tokens = run.run.tokenizer.encode(word)
        ids = tokens[: c.block_size][: len(tokens) - 1]
        size = c.n_embd // c.n_head
        self.weights: list[list[list[Vector]]] = []
        x = [rmsnorm([a + b for a, b in zip(self.w["wte"][token], self.w["wpe"][t])]) for t, token in enumerate(ids)]
        for i in range(c.n_layer):
            normed = [rmsnorm(row) for row in x]
            q, k, v = ([linear(self.w[f"layer{i}.attn_{name}"], row) for row in normed] for name in ("wq", "wk", "wv"))
            mixed: list[Vector] = [[] for _ in ids]
            self.weights.append([])
            for h in range(c.n_head):
                part = range(h * size, (h + 1) * size)

                scores = [[sum(a[j] * b[j] for j in part) / math.sqrt(size) for b in k] for a in q]
                rows = [
                    softmax([score if sees(t, s) else -math.inf for s, score in enumerate(row)])
                    for t, row in enumerate(scores)
                ]
                for t, row in enumerate(rows):
                    mixed[t] += [sum(w * v[s][j] for s, w in enumerate(row)) for j in part]
                self.weights[i].append(rows)
            x = [[a + b for a, b in zip(linear(self.w[f"layer{i}.attn_wo"], m), row)] for m, row in zip(mixed, x)]
            for t, row in enumerate(x):
                hidden = [max(0.0, a) for a in linear(self.w[f"layer{i}.mlp_fc1"], rmsnorm(row))]
                if c.activation == "relu2":
                    hidden = [a * a for a in hidden]
                x[t] = [a + b for a, b in zip(linear(self.w[f"layer{i}.mlp_fc2"], hidden), row)]
        self.probs = [softmax(linear(self.w["lm_head"], row))[target] for row, target in zip(x, tokens[1:])]
        self.loss = sum(-math.log(p) for p in self.probs) / len(self.probs)


def everything(t: int, s: int) -> bool:
    return True


def the_past(t: int, s: int) -> bool:
    return s <= t


def flat(x: Any) -> list[float]:
    return [x] if isinstance(x, float) else [y for part in x for y in flat(part)]


def near(a: Any, b: Any) -> bool:
    ours, theirs = flat(a), flat(b)
    return len(ours) == len(theirs) and all(math.isclose(x, y, abs_tol=1e-12) for x, y in zip(ours, theirs))


SETTINGS: dict[str, dict[str, Any]] = {
    "published": {},
    "two layers": {"n_layer": 2, "init_std": 0.4},
    "three layers, one head, relu2": {"n_layer": 3, "n_head": 1, "n_embd": 8, "init_std": 0.5, "activation": "relu2"},
    "short": {"block_size": 4, "init_std": 0.4},
}


@pytest.fixture(scope="module", params=SETTINGS)
def session(request: pytest.FixtureRequest) -> Session:
    session = Session()
    if settings := SETTINGS[request.param]:
        ask(session, "reset", config=settings)
    return session


@pytest.mark.parametrize("word", ["emma", "zoe", "q", "", "christopherson"])
def test_it_is_what_the_whole_matrix_gives(session: Session, word: str) -> None:
    told = ask(session, "unmasked", word=word)
    free, bound = Transformer(session, word, everything), Transformer(session, word, the_past)
    assert near(told["weights"], free.weights)
    for of, plain in ((told["unmasked"], free), (told["masked"], bound)):
        assert near([letter["prob"] for letter in of["letters"]], plain.probs)
        assert near(of["mean"], plain.loss)
    ahead = [[[sum(row[t + 1 :], 0.0) for t, row in enumerate(head)] for head in layer] for layer in free.weights]
    assert near(told["future"], ahead)
    assert all(layer[h][-1] == 0.0 for layer in told["future"] for h in range(len(layer)))  # there is nothing after it
    # the scores are those of the masked view and, in the first layer, which nothing has been mixed into, the same
    masked = ask(session, "attention", word=word)
    for head, other in zip(told["logits"][0], masked["logits"][0]):
        for t, row in enumerate(head):
            assert row[: t + 1] == other[t][: t + 1]


@pytest.mark.parametrize("word", ["emma", "christopherson"])
def test_with_the_mask_it_is_the_programs_own(session: Session, word: str) -> None:
    told = ask(session, "unmasked", word=word)
    loss = ask(session, "loss", word=word)
    loss.pop("version")
    assert told["masked"] == loss
    tensors = ask(session, "forward", word=word)["tensors"]
    first = passes(session.active, session.tokens(word))[0]
    assert {name: list(tensor.numbers) for name, tensor in first.items()} == {
        name: tensor["data"] for name, tensor in tensors.items()
    }


def test_a_mask_is_not_left_in_a_later_layer() -> None:
    """The alarm rings: with one pass too few the second layer would still look at keys that were made with the mask."""
    session = Session()
    ask(session, "reset", config=SETTINGS["two layers"])
    made = passes(session.active, [26, 4, 12, 26])
    early, last = (one["pos0.layer1.attn_weights.head0"].numbers for one in made[-2:])
    assert len(early) == len(last) == 3
    assert list(early) != list(last)


def test_many_documents_are_the_mean_of_each() -> None:
    session = Session()
    told = ask(session, "unmasked_documents", count=4)
    run = session.active.run
    words = [run.data.text(i) for i in run.order[:4]]
    pairs = [[Transformer(session, word, sees).loss for sees in (the_past, everything)] for word in words]
    assert near([told["masked"], told["unmasked"]], [sum(column) / 4 for column in zip(*pairs)])
    assert told["lower"] == sum(b < a for a, b in pairs)
    refused = session.ask("unmasked_documents", {"count": 0})
    assert refused["error"].startswith("count must be from 1 to 100, got count=0")


def test_of_data_with_fewer_documents_all_are_read() -> None:
    session = Session()
    ask(session, "load_data", name="own.txt", base64=base64.b64encode(b"anna\nbob\neve\n").decode())
    told = ask(session, "unmasked_documents", count=10)
    assert (told["documents"], told["masked"]) == (3, ask(session, "unmasked_documents", count=3)["masked"])


def test_an_edited_program_is_followed() -> None:
    session = Session()
    edited = REFERENCE.text.replace(" / len(q) ** 0.5 for k in keys]", " for k in keys]")
    ask(session, "edit", source=edited)
    told = ask(session, "unmasked", word="emma")
    masked = ask(session, "attention", word="emma")
    assert told["logits"][0][0][3][:4] == masked["logits"][0][0][3][:4]
    assert all(math.isclose(sum(row), 1) for head in told["weights"][0] for row in head)


def test_the_change_to_try_looks_ahead() -> None:
    """A later letter changes what is said of the earlier ones, which it cannot do in the file."""
    session = Session()
    ask(session, "edit", source=REFERENCE.text)
    a, b = (ask(session, "loss", word=word)["letters"] for word in ("emma", "emmy"))
    assert [x == y for x, y in zip(a, b)] == [True, True, True, False, False]
    ask(session, "edit", source=ask(session, "vary", name="no_mask", source=REFERENCE.text)["source"])
    a, b = (ask(session, "loss", word=word)["letters"] for word in ("emma", "emmy"))
    assert not any(x == y for x, y in zip(a, b))
    refused = session.ask("unmasked", {"word": "emma"})
    assert "there is no mask to take away" in refused["error"]


# --- On the page

FIGURE = """() => {
  const heading = [...document.querySelectorAll('main h3')].find((e) => e.textContent === 'The textbook’s mask')
  return [...heading.closest('figure').querySelectorAll('td [data-path], td[data-path], :is(p, svg) [data-path]')]
    .map((e) => [e.dataset.path, Number(e.dataset.value), e.textContent.trim()])
}"""


def test_the_page_shows_these_numbers(tab: Visit) -> None:
    word, head = "emma", 2
    tab.section(5, word=word, head=head, position=0)
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name="The textbook’s mask"))
    figure.get_by_role("radio", name="taken away").click()
    tab.settle()
    for button in figure.get_by_role("button", name="as a table").all():
        button.click()
    figure.get_by_role("button", name="10 documents of training").click()
    tab.page.locator("[data-path='documents.loss']").wait_for()

    session = Session()
    free, bound = Transformer(session, word, everything), Transformer(session, word, the_past)
    tokenizer = session.active.run.tokenizer
    targets = tokenizer.encode(word)[1:]
    documents = ask(session, "unmasked_documents", count=10)  # held to the plain computation above
    truth: dict[str, float] = {
        "loss": bound.loss,
        "unmasked loss": free.loss,
        "unmasked better": sum(a > b for a, b in zip(free.probs, bound.probs)),
        "positions": len(targets),
        "unmasked documents": 10,
        "unmasked documents.loss": documents["unmasked"],
        "documents.loss": documents["masked"],
        "unmasked documents.lower": documents["lower"],
    }
    scores = ask(session, "unmasked", word=word)["logits"][0][head]
    for t, target in enumerate(targets):
        truth[f"unmasked future pos{t}.layer0.head{head}"] = sum(free.weights[0][head][t][t + 1 :], 0.0)
        truth[f"pos{t}.probs[{target}]"] = bound.probs[t]
        truth[f"unmasked pos{t}.probs[{target}]"] = free.probs[t]
        truth[f"pos{t}.loss"] = -math.log(bound.probs[t])
        truth[f"unmasked pos{t}.loss"] = -math.log(free.probs[t])
        for s in range(len(targets)):
            truth[f"unmasked pos{t}.layer0.attn_weights.head{head}[{s}]"] = free.weights[0][head][t][s]
            truth[f"unmasked pos{t}.layer0.attn_logits.head{head}[{s}]"] = scores[t][s]
    shown = tab.page.evaluate(FIGURE)
    assert {path for path, _, _ in shown} == set(truth)
    assert [path for path, value, _ in shown if not math.isclose(value, truth[path], abs_tol=1e-12)] == []
    for path, value, text in shown:
        digits = text.replace("−", "-").removesuffix(" %")
        if path != "unmasked documents.lower":
            assert abs(float(digits) - (100 * value if text.endswith("%") else value)) <= 0.051, (path, text)
    assert "has risen" in figure.inner_text() if free.loss > bound.loss else "has fallen" in figure.inner_text()

    figure.get_by_role("radio", name="as it is").click()
    tab.settle()
    assert not [path for path, _, _ in tab.page.evaluate(FIGURE) if path.startswith("unmasked")]


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_without_the_mask(tab: Visit, size: str) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    tab.page.set_viewport_size(SIZES[size])
    tab.section(5, word="emma")
    figure = tab.page.locator("main figure").filter(has=tab.page.get_by_role("heading", name="The textbook’s mask"))
    figure.get_by_role("radio", name="taken away").click()
    tab.settle()
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        assert violations(tab, AXE.read_text()) == []
    tab.page.set_viewport_size({"width": 320, "height": 640})
    width, window = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    tab.page.emulate_media(color_scheme="light")
    tab.page.set_viewport_size(SIZES["wide"])
