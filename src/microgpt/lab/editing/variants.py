"""Suggested edits of the program, each with what to expect from it.

Each one changes lines of the program itself. It consists of pairs of texts: lines of the file, and the lines that
replace them. It applies to any version of the file that still has these lines, so several changes can be combined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from microgpt.errors import LabError
from microgpt.lab.requests import request

if TYPE_CHECKING:
    from microgpt.lab.protocol.editing import Variants, Varied
    from microgpt.lab.session import Session


class Variant(NamedTuple):
    """A suggested change.

    Attributes:
        title: The title on its button.
        about: What it changes, and what to expect from it.
        edits: Pairs of (old, new) text. Each old text must occur exactly once in the program.
    """

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
        "GPT-2's activation in place of ReLU: a new method of `Value`, with its own derivative. It lets a little"
        " through below 0, so no unit is ever completely dead. At this size the losses hardly differ.",
        (
            (
                RELU,
                RELU
                + "    def gelu(self):  # x times the share of a bell curve that lies below x\n"
                + "        below = (1 + math.erf(self.data / 2**0.5)) / 2\n"
                + "        height = math.exp(-self.data**2 / 2) / (2 * math.pi) ** 0.5\n"
                + "        return Value(self.data * below, self, below + self.data * height)\n",
            ),
            ("        x = [activation(xi) for xi in x]\n", "        x = [xi.gelu() for xi in x]\n"),
        ),
    ),
    "no_residual": Variant(
        "no residual",
        "Without the two lines that add its input back, each block must pass on everything that the next one needs,"
        " and the gradient loses its motorway down through the layers. Learning is slower; with more layers it would"
        " stop altogether.",
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
        "GPT-2 subtracts the mean before it divides; RMSNorm leaves that out, and nobody misses it. Expect a curve"
        " that looks almost the same. (GPT-2 also learns a scale and a shift for each component, which are left out"
        " here.)",
        (
            (
                RMSNORM,
                '    """x with its mean subtracted, at a common loudness: LayerNorm."""\n'
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
        "The scores are plain q · k. They are larger, so softmax is more peaked, and a sharper softmax passes on less"
        " gradient. With {head_dim} numbers in a head, the missing division is only by {sqrt_head_dim}, so the two"
        " curves stay close. GPT-3 divides by more than 11.",
        (
            (
                "sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]",
                "sum(qj * kj for qj, kj in zip(q, k)) for k in keys]",
            ),
        ),
    ),
    "no_mask": Variant(
        "no mask",
        "Training with a look ahead: every document is read once beforehand, so the lists already hold the letters that"
        " are still to be predicted. Measure a few hundred steps: for a long while the two curves stay together, then"
        " this one falls lower than any honest model can get, once a head has discovered that the answer is one"
        " position ahead. Run it to the end and see what names it writes: in sampling, there is nothing ahead.",
        (
            (
                READING,
                "    for pos_id, token_id in enumerate(tokens[:block_size]):  # the lists then hold what is to be"
                " predicted\n"
                "        gpt(token_id, pos_id, keys, values, state_dict, n_head, activation)\n" + READING,
            ),
        ),
    ),
    "sgd": Variant(
        "SGD instead of Adam",
        "Each parameter moves by its gradient times one rate, the same for all. With Adam's rate training would crawl;"
        " with ten times that, as here, it keeps up on a model of one layer, where all gradients have about the same"
        " size. Try a rate ten times larger still: one unlucky document, and the loss blows up.",
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
        "One table for reading a letter and for predicting it, as in GPT-2: `lm_head` goes, and `wte` gets the"
        " gradients of both. In a model this small that saves a tenth of the parameters. But the best description of a"
        " letter at the input need not be the best one at the output.",
        (
            ('"wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}', '"wpe": (block_size, n_embd)}'),
            ('    return linear(x, state_dict["lm_head"])', '    return linear(x, state_dict["wte"])'),
        ),
    ),
    "two_layers": Variant(
        "two layers",
        "Twice the blocks, and nearly twice the parameters and the time. On names, within a thousand steps, the second"
        " layer has little to add: depth pays off when there is more to learn and more time to learn it.",
        ((CONFIG + "16, 1, 4, 16", CONFIG + "16, 2, 4, 16"),),
    ),
    "first": Variant(
        "the first version",
        "microgpt on the day it was published: ReLU squared, half the context, BOS first, smaller initial weights, with"
        " those that write into the residual stream at 0, slower averages in Adam, and half the steps. Each block"
        " begins by adding nothing, and the first loss is close to that of a model that knows nothing.",
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
    """List the suggested changes of the program."""
    return {"changes": [{"name": name, "title": title, "about": about} for name, (title, about, _) in VARIANTS.items()]}


@request
def vary(session: Session, name: str, source: str) -> Varied:
    """Apply a suggested change to a program."""
    return {"source": apply(name, source)}


def apply(name: str, source: str) -> str:
    """Apply a suggested change to a program.

    Args:
        name: The name of the change.
        source: The program.

    Returns:
        The changed program.

    Raises:
        LabError: There is no such change, or the program lacks a line that it replaces.
    """
    if name not in VARIANTS:
        raise LabError(f"there is no change {name!r:.40}: the changes are {', '.join(VARIANTS)}")
    for old, new in VARIANTS[name].edits:
        if source.count(old) != 1:
            line = old.strip().splitlines()[0]
            raise LabError(
                f"“{VARIANTS[name].title}” changes the line `{line}`, which is different in this program: reset the"
                " file, then try again"
            )
        source = source.replace(old, new)
    return source
