"""The right value of each number on the page, by its path: computed in CPython with the package's tools."""

from __future__ import annotations

import math
import random
import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from itertools import accumulate
from types import SimpleNamespace
from typing import Any

from microgpt import reference, sampling
from microgpt.config import offsets, shapes
from microgpt.data.documents import Data
from microgpt.engines.base import Engine
from microgpt.engines.choose import open_engine
from microgpt.engines.program import ScalarModel
from microgpt.evaluation import spread
from microgpt.lab.figures.hike import hike
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.runs.run import VAL_DOCUMENTS, Run
from microgpt.tracing.recorder import forward
from microgpt.tracing.trace import trace

from lab.page import alike, by_step
from lab.page.missing import attending, read_out, without

# The models whose sizes section 3 shows: vocab_size, n_embd, n_layer, block_size
OTHERS = {"GPT": (40_478, 768, 12, 512), "GPT-2": (50_257, 1600, 48, 1024), "GPT-3": (50_257, 12_288, 96, 2048)}
LOGIT = r"pos(\d+)\.layer(\d+)\.attn_logits\.head(\d+)\[(\d+)\]"
MIX = r"pos(\d+)\.layer(\d+)\.x_attn\.head(\d+)\[(\d+)\]"


class Truth:
    """The native numbers of a model and a word, by the paths that the page uses."""

    losses: Sequence[float]  # the losses of the run's steps
    before: Truth  # the numbers of the same word before a weight was changed by hand

    def __init__(self, run: Run, data: Data, word: str, temperature: float = 0.5) -> None:
        self.run, self.data, self.word, self.temperature = run, data, word, temperature
        self.config, self.tokenizer, self.params = run.config, run.tokenizer, run.engine.params
        self.vocab_size = len(self.tokenizer.symbols)
        self.shapes = shapes(self.config, self.vocab_size)
        self.places = offsets(self.shapes)
        self.tokens = self.tokenizer.encode(word)
        self.landscapes: dict[str, Any] = {}
        self.positions = min(self.config.block_size, len(self.tokens) - 1)

    @property
    def model(self) -> ScalarModel:
        return ScalarModel(self.params, self.config, self.vocab_size)

    def with_weight(self, path: str, value: float) -> Truth:
        """Return the numbers of the model with one weight changed."""
        twin = copy(self)
        twin.__dict__ = {name: x for name, x in self.__dict__.items() if name not in ("tensors", "grads", "trace")}
        twin.params = array("d", self.params)
        twin.params[self.place(path)] = value
        return twin

    def moved(self, guess: str) -> float:
        """Return how much probability has moved between the model's guess and another."""
        [t] = re.findall(r"pos(\d+)\.probs$", guess)
        base = self.before if guess == f"pos{t}.probs" else self
        return (
            sum(abs(self.number(f"{guess}[{i}]") - base.number(f"pos{t}.probs[{i}]")) for i in range(self.vocab_size))
            / 2
        )

    # --- tensors and their gradients

    @cached_property
    def tensors(self) -> dict[str, Any]:
        return forward(self.tokens, ScalarModel(self.params, self.config, self.vocab_size))

    @cached_property
    def trace(self) -> Any:
        return trace(self.tokens, self.params, self.config, self.vocab_size)

    @cached_property
    def grads(self) -> array[float]:
        engine = self.engine()
        engine.backward([self.tokens])
        return engine.grads

    def engine(self, params: array[float] | None = None) -> Engine:
        engine, _ = open_engine("auto", array("d", params or self.params), self.config, self.vocab_size), None
        return engine

    def loss_of(self, word: str) -> float:
        return self.engine().backward([self.tokenizer.encode(word)])

    def place(self, path: str) -> int:
        """Return the index of a parameter in the flat buffer."""
        name, row, column = re.fullmatch(r"([\w.]+)\[(\d+)\]\[(\d+)\]", path).groups()  # type: ignore[union-attr]
        return self.places[name].start + int(row) * self.shapes[name][1] + int(column)

    def steepest(self, *names: str) -> str:
        """Return the path of the parameter with the largest gradient, of all tensors or of the given ones."""
        found = []
        for name in names or self.shapes:
            part, columns = self.places[name], self.shapes[name][1]
            i = max(range(part.stop - part.start), key=lambda i: abs(self.grads[part][i]))
            found.append((abs(self.grads[part][i]), f"{name}[{i // columns}][{i % columns}]"))
        return max(found, key=lambda item: item[0])[1]

    # --- one update

    @property
    def fresh(self) -> bool:
        """True if Adam has no moments yet."""
        return not any(self.run.engine.v)

    @property
    def rate(self) -> float:
        """The learning rate of the next step: 0.01 decays to 0 over 1,000 steps; after these, over 2,000."""
        return {100: 0.009, 1000: 0.005}[self.run.step]

    @cached_property
    def updated(self) -> dict[str, list[float]]:
        """Adam's numbers for every parameter, in the notation of Kingma and Ba."""
        c, e, t = self.config, self.run.engine, 1 if self.fresh else self.run.step + 1
        numbers: dict[str, list[float]] = {name: [] for name in ("m", "v", "m_hat", "v_hat", "after", "delta")}
        for p, g, m, v in zip(self.params, self.grads, e.m, e.v):
            m = c.beta1 * m + (1 - c.beta1) * g
            v = c.beta2 * v + (1 - c.beta2) * g**2
            m_hat, v_hat = m / (1 - c.beta1**t), v / (1 - c.beta2**t)
            after = p - self.rate * m_hat / (v_hat**0.5 + c.eps_adam)
            for name, x in zip(numbers, (m, v, m_hat, v_hat, after, after - p)):
                numbers[name].append(x)
        return numbers

    # --- generation

    @cached_property
    def generated(self) -> list[tuple[float, list[float], Any]]:
        """The chance, the probabilities and the logits of each letter of sample 0 with seed 42."""
        die, dice = random.Random("42:0"), random.Random("42:0")
        ids = list(
            sampling.generate(
                self.run.engine.decoder,
                die,
                bos=self.tokenizer.bos,
                block_size=self.config.block_size,
                temperature=self.temperature,
            )
        )
        decoder = self.run.engine.decoder()
        read = [self.tokenizer.bos, *ids][: self.config.block_size]
        logits = [decoder.feed(token_id) for token_id in read]
        return [(dice.random(), self.softened(row, self.temperature), row) for row in map(list, logits)]

    @staticmethod
    def softened(logits: list[float], temperature: float) -> list[float]:
        return [p.data for p in reference.softmax([reference.Value(logit) / temperature for logit in logits])]

    @cached_property
    def samples(self) -> list[str]:
        return self.run.sample(12, temperature=0.5, seed=42)

    # --- a path's number

    def number(self, path: str) -> float | str:
        """Return the number with a path; an unknown path is a KeyError."""
        for pattern, rule in self.RULES:
            if found := re.fullmatch(pattern, path):
                return rule(self, *found.groups())  # type: ignore[no-any-return]
        raise KeyError(path)

    def tensor(self, name: str, index: str) -> float:
        if name in self.places:
            return self.params[self.place(name + index)]
        return self._at(self.tensors[name], index)

    def grad(self, name: str, index: str) -> float:
        return self.grads[self.place(name + index)] if name in self.places else self._at(self.trace.grad(name), index)

    @staticmethod
    def _at(tensor: Any, index: str) -> float:
        at = 0
        for size, i in zip(tensor.shape, re.findall(r"\d+", index)):
            at = at * size + int(i)
        return tensor.numbers[at]  # type: ignore[no-any-return]

    def additions(self) -> int:
        """Return how often backward() adds to a gradient: once for each operand of each number behind the loss."""
        model = self.model
        loss = reference.loss(self.tokens, model.state_dict(), **model.loss_arguments)
        seen, stack, count = {loss}, [loss], 0
        while stack:
            operands = [operand for node in [stack.pop()] for operand in (node.a, node.b) if operand is not None]
            count += len(operands)
            fresh = {operand for operand in operands if operand.a is not None} - seen
            seen |= fresh
            stack += fresh
        return count

    def norm(self, name: str) -> float:
        numbers = self.grads[self.places[name]] if name in self.places else self.trace.grad(name).numbers
        return math.hypot(*numbers)

    def zero_rows(self, name: str) -> int:
        rows, columns = self.shapes[name]
        grads = self.grads[self.places[name]]
        return sum(not any(grads[r * columns : (r + 1) * columns]) for r in range(rows))

    def products(self, pos: str, layer: str, head: str, s: str) -> list[float]:
        """Return the products of a query and a key, number by number."""
        size = self.config.n_embd // self.config.n_head
        part = slice(int(head) * size, (int(head) + 1) * size)
        q = self.tensors[f"pos{pos}.layer{layer}.q"].numbers[part]
        k = self.tensors[f"pos{s}.layer{layer}.k"].numbers[part]
        return [a * b for a, b in zip(q, k)]

    def score(self, *place: str, upto: int | None = None) -> float:
        """Return q · k without the scale, summed from the left."""
        total = 0.0
        for product in self.products(*place)[: None if upto is None else upto + 1]:
            total += product
        return total

    def share_without(self, hidden: str, t: str, layer: str, head: str, s: str) -> float:
        """Return a head's weight if it does not see one position: the softmax over the others."""
        weights = self.tensors[f"pos{t}.layer{layer}.attn_weights.head{head}"].numbers
        return weights[int(s)] / (1 - weights[int(hidden)])

    def largest(self, what: str) -> float:
        numbers = {"parameter": self.params, "grad": self.grads}.get(what) or getattr(self.run.engine, what)
        return max(map(abs, numbers))

    def masked(self, tensor: str, t: str, s: str) -> float:
        assert int(s) > int(t)  # the mask hides only later positions
        return -math.inf if tensor == "attn_logits" else 0.0

    def fact(self, name: str) -> float | str:
        """Return a fact about the model and its data that the prose shows."""
        c = self.config
        facts: dict[str, float | str] = {
            **c.to_dict(),
            "activation": {"relu": "max(0, x)", "relu2": "max(0, x)²"}[c.activation],
            "word": self.word,
            "vocab_size": self.vocab_size,
            "num_letters": self.vocab_size - 1,
            "num_params": len(self.params),
            "num_matrices": len(self.shapes),
            "num_docs": len(self.data),
            "four_n_embd": 4 * c.n_embd,
            "head_dim": c.n_embd // c.n_head,
            "sqrt_head_dim": (c.n_embd / c.n_head) ** 0.5,
            "bos": self.tokenizer.bos,
            "uniform_loss": math.log(self.vocab_size),
            "step": self.run.step,
            "heads": c.n_head,
        }
        return facts[name]

    def mixed(self, pos: str, layer: str, head: str, j: str) -> list[float]:
        """Return the contribution of each position to a component of a head's output."""
        owner = f"pos{pos}.layer{layer}"
        size = self.config.n_embd // self.config.n_head
        values = [
            self.tensors[f"pos{s}.layer{layer}.v"].numbers[int(head) * size + int(j)] for s in range(int(pos) + 1)
        ]
        return [w * v for w, v in zip(self.tensors[f"{owner}.attn_weights.head{head}"].numbers, values)]

    def dead(self, layer: str) -> int:
        """Return the number of an MLP's units that are open for none of a thousand documents."""
        shut = set(range(self.shapes[f"layer{layer}.mlp_fc1"][0]))
        for i in self.run.order[:1000]:
            if not shut:
                break
            tensors = forward(self.data.sequence(i), ScalarModel(self.params, self.config, self.vocab_size))
            for name, tensor in tensors.items():
                if name.endswith(f".layer{layer}.mlp_pre"):
                    shut -= {unit for unit, x in enumerate(tensor.numbers) if x > 0}
        return len(shut)

    def budget(self, name: str, length: str | None, what: str) -> float:
        """Return a cost of a model of other sizes, counted from its matrices."""
        c = self.config
        n_embd, n_layer, block_size, vocab_size = PUBLISHED.get(
            name, (c.n_embd, c.n_layer, c.block_size, self.vocab_size)
        )
        block_size = int(length or block_size)
        layers = n_layer * 12 * n_embd**2
        count = layers + (2 * vocab_size + block_size) * n_embd
        attention = 4 * n_layer * n_embd * block_size
        token = 2 * (layers + vocab_size * n_embd) + attention
        return {
            "num_params": count,
            "attention": attention,
            "flops_token": token,
            "flops_trained": 3 * token,
            "flops_run": 3.0 * token * 300e9,
            "bytes_kept": 2 * count,
            "bytes_trained": 16 * count,
            "bytes_cache": 4 * n_layer * n_embd * block_size,
        }[what]

    def spelled(self, what: str) -> int:
        """Return a fact about the word as characters and as bytes."""
        found: dict[str, int] = {
            "num_bytes": len(self.word.encode()),
            "vocab_size.bytes": 257,
            "vocab_size.characters": self.vocab_size,
            "rows.bytes": 2 * 257 * self.config.n_embd,
            "rows.characters": 2 * self.vocab_size * self.config.n_embd,
        }
        return found[what]

    def landscape(self, scene: str, what: str) -> Any:
        """Return a number of a landscape that the search finds: tests/lab/figures/test_hike.py checks the search."""
        if scene not in self.landscapes:
            run = LabRun("run", "", "", Text(), self.run)
            session = SimpleNamespace(active=run, tokens=self.tokenizer.encode)
            self.landscapes[scene] = hike(session, self.word, scene)  # type: ignore[arg-type]
        found = self.landscapes[scene]
        if what == "lowest.loss":
            return found["surface"]["lowest"]["loss"]
        if what.startswith("calm."):
            return found["calm"][what.removeprefix("calm.")]
        name, step, kind = re.fullmatch(r"(SGD|Adam)(?:\[(\d+)\])?\.(\w+)", what).groups()  # type: ignore[union-attr]
        [hiker] = [one for one in found["surface"]["hikers"] if one["name"] == name]
        return hiker[kind] if step is None else hiker["path"][int(step)][kind]

    def learned(self, position: str) -> float:
        """Return the loss of a letter after one update on the word."""
        model = ScalarModel(array("d", self.updated["after"]), self.config, self.vocab_size)
        return forward(self.tokens, model)[f"pos{position}.loss"].numbers[0]

    def evaluated(self) -> float:
        return self.run.score(spread(self.run.held_out or self.run.order, VAL_DOCUMENTS), self.data).loss

    def adam(self, name: str) -> float:
        i = self.place(self.steepest())
        if name == "plain":
            return -self.rate * self.grads[i]
        if name.endswith("_before"):
            return getattr(self.run.engine, name[0])[i]  # type: ignore[no-any-return]
        return self.updated[name][i]

    def shares(self, temperature: str, token_id: str) -> float:
        return self.softened(self.generated[0][2], float(temperature))[int(token_id)]

    def ten_names(self, temperature: str, i: str) -> str:
        return self.run.sample(10, temperature=float(temperature), seed=7)[int(i)]

    @cached_property
    def nearest(self) -> list[int]:
        text = self.run.sample(1, temperature=self.temperature, seed=7)[0]
        return sorted(distance(text, name) for name in {self.data.text(i) for i in self.run.order})

    # --- training

    def memorized(self, which: str) -> float:
        order, step = self.run.order, self.run.step
        read, unread = order[:step], self.run.held_out or order[step:]
        return self.run.score(spread(read if which == "read" else unread, VAL_DOCUMENTS)).loss

    def compared(self, which: str, path: str) -> float:
        """A weight after one step of the two runs that the page opens with, which differ in their learning rate."""
        config = self.config.replace(num_steps=200, learning_rate=self.different(which, "learning_rate"))
        run = Run.begin("names", config, val_fraction=0.1)
        for _ in run.steps(until=1):
            pass
        return run.engine.params[self.place(path)]

    def different(self, which: str, setting: str) -> float:
        """The setting in which the two runs differ."""
        return {"learning_rate": {"a": 0.01, "b": 0.001}}[setting][which]

    def exchanged(self, seed: str, count: str, swap: str, which: str) -> int:
        """Return a place of a swap, by the loop of random.shuffle: from the last place down to place 1."""
        rng = random.Random(int(seed))
        pairs = [(i, rng._randbelow(i + 1)) for i in range(int(count) - 1, 0, -1)]  # type: ignore[attr-defined]
        return pairs[int(swap)][which == "j"]

    T = r"((?:[\w]+\.)*[a-z]\w*)((?:\[\d+\])*)"
    RULES: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("uniform", lambda t: math.log(t.vocab_size)),
        ("perplexity", lambda t: math.exp(t.number("loss"))),
        ("num_params", lambda t: len(t.params)),
        ("num_docs", lambda t: len(t.data)),
        ("steps", additions),
        ("step", lambda t: t.run.step),
        ("learning_rate", lambda t: t.rate),
        ("loss after", lambda t: t.engine(array("d", t.updated["after"])).backward([t.tokens])),
        ("unmoved", lambda t: t.updated["delta"].count(0.0)),
        ("attention.difference", lambda t: 0.0),
        ("evaluate(?:.loss)?", evaluated),
        ("(plain|delta|m|v|m_hat|v_hat|m_before|v_before)", adam),
        (r"token\[(\d+)\]", lambda t, i: t.tokens[int(i)]),
        (r"token_ids\[(.+)\]", lambda t, symbol: t.tokenizer.symbols.index("" if symbol == "BOS" else symbol)),
        (r"shuffle (\d+) (\d+)\[(\d+)\]\.([ij])", exchanged),
        (r"count\[(\d+)\]", lambda t, i: t.counts[int(i)]),
        (r"length\[(\d+)\]", lambda t, n: sum(len(name) == int(n) for name in t.data)),
        (r"samples\[(\d+)\]", lambda t, i: t.samples[int(i)]),
        (r"nearest\[(\d+)\]\.distance", lambda t, i: t.nearest[int(i)]),
        (r"generated\[(\d+)\]\.chance", lambda t, i: t.generated[int(i)][0]),
        (r"generated\[(\d+)\]\.probs\[(\d+)\]", lambda t, i, j: t.generated[int(i)][1][int(j)]),
        (r"first\.probs\[(\d+)\]", lambda t, j: t.generated[0][1][int(j)]),
        ("temperature", lambda t: t.temperature),
        ("temperature as trained", lambda t: 1.0),
        (r"temperature (\S+)", lambda t, temperature: float(temperature)),
        (r"temperature (\S+) probs\[(\d+)\]", shares),
        (r"temperature (\S+) samples\[(\d+)\]", ten_names),
        (r"loss so far (\d+)", lambda t, i: sum(t.number(f"pos{j}.loss") for j in range(int(i) + 1))),
        (r"loss (\w+)", loss_of),
        (r"size ([\w.]+)", lambda t, name: t.shapes[name][0] * t.shapes[name][1]),
        (r"sizes ([\w-]+)", lambda t, name: sum(r * c for r, c in reference.shapes(*OTHERS[name]).values())),
        (r"zero_rows ([\w.]+)", zero_rows),
        (r"norm grad ([\w.]+)", norm),
        (r"open ([\w.]+)", lambda t, name: sum(x > 0 for x in t.tensors[name].numbers)),
        (r"sum ([\w.]+)", lambda t, name: math.fsum(t.tensors[name].numbers)),
        (rf"{LOGIT}\.total", score),
        (rf"{LOGIT}\.term(\d+)", lambda t, *place: t.products(*place[:4])[int(place[4])]),
        (rf"{LOGIT} so far (\d+)", lambda t, *place: t.score(*place[:4], upto=int(place[4]))),
        (rf"{MIX}\.term(\d+)", lambda t, *place: t.mixed(*place[:4])[int(place[4])]),
        (rf"{MIX} so far (\d+)", lambda t, *place: [*accumulate(t.mixed(*place[:4]))][int(place[4])]),
        (r"without (\S+) pos(\d+)\.probs\[(\d+)\]", lambda t, part, *at: without(t.model, t.tokens, part, *at)),
        (r"skipping (\d+) pos(\d+)\.layer(\d+)\.head(\d+) weights\[(\d+)\]", share_without),
        (r"skipping (\d+) (\S+) pos(\d+)\.probs\[(\d+)\]", lambda t, s, *at: attending(t.model, t.tokens, 1, s, *at)),
        (r"scaled (\S+) (\S+) pos(\d+)\.probs\[(\d+)\]", lambda t, x, *at: attending(t.model, t.tokens, x, -1, *at)),
        (r"early (\S+) probs\[(\d+)\]", lambda t, stream, i: read_out(t.model, t.tensors[stream].numbers, int(i))),
        (r"(\S+)=(\S+) (\S+)", lambda t, weight, value, path: t.with_weight(weight, float(value)).number(path)),
        (r"moved (.+)", moved),
        (r"masked pos(\d+)\.layer\d+\.(attn_\w+)\.head\d+\[(\d+)\]", lambda t, pos, name, s: t.masked(name, pos, s)),
        (r"share ([\w.]+)", lambda t, name: t.number(f"size {name}") / len(t.params)),
        (r"largest (\w+)", largest),
        (r"-largest (\w+)", lambda t, what: -t.largest(what)),
        (r"(beta1|beta2|eps_adam)", lambda t, name: getattr(t.config, name)),
        (r"fact (\w+)", fact),
        (r"dead layer(\d+)\.mlp_pre", dead),
        (r"hike (ravine|valleys) (\S+)", landscape),
        (r"pos(\d+)\.loss after", learned),
        (r"surprise of (\S+)", lambda t, p: -math.log(float(p))),
        (r"run\.loss\[(\d+)\]", lambda t, step: t.losses[int(step) - 1]),
        (
            r"run\.mean\[(\d+)\]",
            lambda t, step: math.fsum(t.losses[max(0, int(step) - 30) : int(step)]) / min(30, int(step)),
        ),
        (r"learning_rate\[(\d+)\]", lambda t, step: 0.01 * (1 - (int(step) - 1) / 1000)),
        (r"step(\d+)\.(pos\d+\.(?:loss|probs))(?:\[(\d+)\])?", lambda t, *part: by_step.read(*part)),
        (r"step(\d+)\.grad (\S+)", lambda t, step, path: by_step.traced(step, t.place(path))),
        (r"moved\[(\d+)\] (\S+)", lambda t, step, path: by_step.moved(step, t.place(path))),
        (r"memorized\.(read|unread)", memorized),
        (r"compared (a|b) (\S+)", compared),
        (r"setting (a|b) (\w+)", different),
        (r"before (\S+)", lambda t, path: t.before.number(path)),  # before a weight was changed by hand
        (r"(m|v) (\S+)", lambda t, name, path: getattr(t.run.engine, name)[t.place(path)]),
        (r"(after|delta) (\S+)", lambda t, name, path: t.updated[name][t.place(path)]),
        (r"(.+) in (\w+)", lambda t, path, unit: t.number(path) / UNITS[unit]),
        (r"num_chars", lambda t: sum(map(len, t.data))),
        (r"budget ([\w-]+)(?:@(\d+))?\.(\w+)", budget),
        *alike.RULES,
        (r"published GPT-3\.flops", lambda t: 3.14e23),  # table D.1 of its paper
        (r"spelled\[(\d+)\]\.id", lambda t, i: t.tokenizer.token_ids[t.word[int(i)]]),
        (r"spelled\[(\d+)\]\.bytes\[(\d+)\]", lambda t, i, j: t.word[int(i)].encode()[int(j)]),
        (r"spelled\.([\w.]+)", spelled),
        (f"grad {T}", grad),
        (T, tensor),
    )

    @cached_property
    def counts(self) -> dict[int, int]:
        found = Counter(self.tokenizer.token_ids[char] for name in self.data for char in name)
        return {**found, self.tokenizer.bos: len(self.data)}


def distance(a: str, b: str) -> int:
    """Return the edit distance of two texts, by the recursion of Wagner and Fischer, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


UNITS = {"million": 1e6, "billion": 1e9, "trillion": 1e12, "bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
PUBLISHED = {"GPT-2-small": (768, 12, 1024, 50_257), "GPT-3": (12_288, 96, 2048, 50_257)}  # the models of section 11
