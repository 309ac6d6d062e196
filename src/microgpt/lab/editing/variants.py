"""Suggested edits of the program, each with what to expect from it.

Each one changes lines of the program itself. An edit is a list of (lines as they stand, lines in their place). It
applies to any version of the file that still has these lines, so that changes add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from microgpt.errors import LabError
from microgpt.lab.requests import request

if TYPE_CHECKING:
    from microgpt.lab.protocol.editing import Variants, Varied
    from microgpt.lab.session import Session


class Variant(NamedTuple):
    """about: what is changed, and what to expect. edits: (old, new), each old text standing exactly once."""

    title: str
    about: str
    edits: tuple[tuple[str, str], ...]


RELU = "    def relu(self): return Value(max(0.0, self.data), self, float(self.data > 0))\n"
CONFIG = "vocab_size, n_embd, n_layer, n_head, block_size = len(tokenizer.symbols), "
RMSNORM = '''    """Divide x by its root mean square, so that all vectors have about the same size."""
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]
'''
ADAM = """    for i, p in enumerate(params):
        m[i] = beta1 * m[i] + (1 - beta1) * p.grad
        v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
        m_hat = m[i] / (1 - beta1**step)  # m and v start at 0, so they are too small at first
        v_hat = v[i] / (1 - beta2**step)
        p.data -= learning_rate * m_hat / (v_hat**0.5 + eps_adam)
        p.grad = 0.0
"""
RATE = "0.01 * (1 - step / num_steps)"
READING = "    for pos_id, (token_id, target_id) in enumerate(zip(tokens[:block_size], tokens[1:])):\n"
BETAS = "beta1=0.85, beta2=0.99, eps_adam=1e-8"

VARIANTS = {
    "gelu": Variant(
        "GELU",
        "The activation of GPT-2 in place of ReLU: a new method of `Value`, with a slope of its own. It lets"
        " a little through below 0, so that no unit is ever quite dead. At this size the losses hardly differ.",
        (
            (
                RELU,
                RELU
                + "    def gelu(self):  # x * how much of a bell curve lies below x\n"
                + "        below = (1 + math.erf(self.data / 2**0.5)) / 2\n"
                + "        height = math.exp(-self.data**2 / 2) / (2 * math.pi) ** 0.5\n"
                + "        return Value(self.data * below, self, below + self.data * height)\n",
            ),
            ("        x = [activation(xi) for xi in x]\n", "        x = [xi.gelu() for xi in x]\n"),
        ),
    ),
    "no_residual": Variant(
        "no residual",
        "Without the two lines that add back what was there before, each block must hand on all that the next"
        " one is to know, and the gradient has one way down instead of a motorway. Learning is slower; with"
        " more layers it would stop altogether.",
        (
            (
                '        x = linear(x_attn, state_dict[f"layer{i}.attn_wo"])\n'
                "        x = [a + b for a, b in zip(x, x_residual)]\n",
                '        x = linear(x_attn, state_dict[f"layer{i}.attn_wo"])\n',
            ),
            (
                '        x = linear(x, state_dict[f"layer{i}.mlp_fc2"])\n'
                "        x = [a + b for a, b in zip(x, x_residual)]\n",
                '        x = linear(x, state_dict[f"layer{i}.mlp_fc2"])\n',
            ),
        ),
    ),
    "layernorm": Variant(
        "LayerNorm",
        "GPT-2 takes the mean away before it divides; RMSNorm leaves that out, and nobody misses it. Expect a"
        " curve that can hardly be told from the other. (GPT-2 also learns a scale and a shift for each"
        " component; left out here.)",
        (
            (
                RMSNORM,
                '    """x with its mean taken away, at a common loudness: LayerNorm."""\n'
                "    mean = sum(x) / len(x)\n"
                "    x = [xi - mean for xi in x]\n"
                "    variance = sum(xi * xi for xi in x) / len(x)\n"
                "    scale = (variance + 1e-5) ** -0.5\n"
                "    return [xi * scale for xi in x]\n",
            ),
        ),
    ),
    "no_scale": Variant(
        "no 1/√d",
        "The scores are the plain q · k. They are larger, so that softmax is more peaked, and a sharper"
        " softmax passes on less gradient. At a head of {head_dim} numbers the division is only by {sqrt_head_dim}:"
        " the two curves stay close. In GPT-3 it divides by more than 11.",
        (
            (
                "sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]",
                "sum(qj * kj for qj, kj in zip(q, k)) for k in keys]",
            ),
        ),
    ),
    "no_mask": Variant(
        "no mask",
        "Training with a look ahead: every document is read once beforehand, so that the lists hold what is still to"
        " be guessed. Measure some hundreds of steps: for a long while both curves go together, then this one falls to"
        " where no honest model can be, once a head has found out that the answer stands one position further on. Run"
        " it to its end, and see what names it writes: there nothing stands ahead.",
        (
            (
                READING,
                "    for pos_id, token_id in enumerate(tokens[:block_size]):  # what is still to be guessed is in the"
                " lists\n"
                "        gpt(token_id, pos_id, keys, values, state_dict, n_head, activation)\n" + READING,
            ),
        ),
    ),
    "sgd": Variant(
        "SGD instead of Adam",
        "Each parameter moves by its gradient times one rate, the same for all. With Adam's rate it would crawl;"
        " with ten times that, as here, it keeps up on a model of one layer, where all gradients are of much the"
        " same size. Try a rate ten times larger again: one unlucky document, and the loss blows up.",
        (
            (
                ADAM,
                "    for p in params:\n        p.data -= learning_rate * p.grad\n        p.grad = 0.0\n",
            ),
            (RATE, "0.1 * (1 - step / num_steps)"),
        ),
    ),
    "tied": Variant(
        "weight tying",
        "One table for reading a letter and for predicting it, as in GPT-2: `lm_head` goes, and `wte` gets"
        " the gradients of both. In a model this small it is a tenth of all parameters; what a letter looks"
        " like from the input need not be what it is recognised by at the output.",
        (
            ('"wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}', '"wpe": (block_size, n_embd)}'),
            ('    return linear(x, state_dict["lm_head"])', '    return linear(x, state_dict["wte"])'),
        ),
    ),
    "two_layers": Variant(
        "two layers",
        "Twice the blocks, nearly twice the parameters and the time. On names, within a thousand steps, the"
        " second layer has little to add: depth pays when there is more to learn and more time to learn it.",
        ((CONFIG + "16, 1, 4, 16", CONFIG + "16, 2, 4, 16"),),
    ),
    "first": Variant(
        "the first version",
        "What microgpt was on the day it was published: ReLU squared, half the context, BOS first, smaller"
        " weights at the start and those that write into the stream at 0, slower averages in Adam, half the"
        " steps. Each block begins by adding nothing, and the first loss lies near that of knowing nothing.",
        (
            ("        x = [activation(xi) for xi in x]\n", "        x = [activation(xi) ** 2 for xi in x]\n"),
            (
                "    return {name: [[Value(rng.gauss(0, init_std)) for _ in range(columns)] for _ in range(rows)]\n"
                "            for name, (rows, columns) in shapes.items()}\n",
                '    zero = ("attn_wo", "mlp_fc2")  # these start at 0, so that each block begins by adding nothing\n'
                "    return {name: [[Value(rng.gauss(0, 0.0 if name.endswith(zero) else init_std))"
                " for _ in range(columns)]\n"
                "                   for _ in range(rows)] for name, (rows, columns) in shapes.items()}\n",
            ),
            ('Tokenizer(set("".join(docs)))', 'Tokenizer(set("".join(docs)), bos_first=True)'),
            (CONFIG + "16, 1, 4, 16", CONFIG + "16, 1, 4, 8"),
            ("init_std=0.08", "init_std=0.02"),
            ("[0.0] * len(params), [0.0] * len(params), 1000", "[0.0] * len(params), [0.0] * len(params), 500"),
            (BETAS, "beta1=0.9, beta2=0.95, eps_adam=1e-8"),
            ("tokenizer.bos, rng, 0.5,", "tokenizer.bos, rng, 0.6,"),
        ),
    ),
}


@request
def variants(session: Session) -> Variants:
    """Changes to try."""
    return {"changes": [{"name": name, "title": title, "about": about} for name, (title, about, _) in VARIANTS.items()]}


@request
def vary(session: Session, name: str, source: str) -> Varied:
    """The program with one of these changes."""
    return {"source": apply(name, source)}


def apply(name: str, source: str) -> str:
    """The program with that change. Raises LabError where a line that it changes is not there."""
    if name not in VARIANTS:
        raise LabError(f"there is no change {name!r:.40}: there are {', '.join(VARIANTS)}")
    for old, new in VARIANTS[name].edits:
        if source.count(old) != 1:
            line = old.strip().splitlines()[0]
            raise LabError(
                f"“{VARIANTS[name].title}” changes the line `{line}`, which the program no longer has as the file has"
                " it: reset the file, then try again"
            )
        source = source.replace(old, new)
    return source
