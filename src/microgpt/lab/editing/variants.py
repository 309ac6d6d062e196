"""Preset changes to the program, each with a note on what to expect.

A change consists of pairs of strings: lines of the program, and the lines that replace them. A change applies to any
version of the program that still contains the original lines, so several changes can be combined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from microgpt.errors import LabError
from microgpt.lab.requests import request

if TYPE_CHECKING:
    from microgpt.lab.protocol.editing import Variants, Varied
    from microgpt.lab.session import Session


class Variant(NamedTuple):
    """A preset change.

    Attributes:
        title: The label on the change's button.
        about: What the change does and what to expect.
        edits: Pairs of (old, new) strings. Each old string must occur exactly once in the program.
        holds: What `about` claims of the losses, as a Python expression that the tests evaluate. `changed` and
            `original` are the programs; mean(program, a, b) is its mean loss over the steps a to b - 1, from 0.
    """

    title: str
    about: str
    edits: tuple[tuple[str, str], ...]
    holds: str


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
        "Uses GPT-2's activation instead of ReLU: a new method of `Value`, with its own derivative. GELU is not"
        " exactly 0 below 0, so no unit is ever completely dead. At this size, the losses hardly differ.",
        (
            (
                RELU,
                RELU
                + "    def gelu(self):  # x times the area under a bell curve to the left of x\n"
                + "        below = (1 + math.erf(self.data / 2**0.5)) / 2\n"
                + "        height = math.exp(-self.data**2 / 2) / (2 * math.pi) ** 0.5\n"
                + "        return Value(self.data * below, self, below + self.data * height)\n",
            ),
            ("        x = [activation(xi) for xi in x]\n", "        x = [xi.gelu() for xi in x]\n"),
        ),
        "abs(mean(changed, 0, 200) - mean(original, 0, 200)) < 0.03",
    ),
    "no_residual": Variant(
        "no residual",
        "Without the two lines that add the input back, each block must pass on everything that the next block needs,"
        " and the gradient loses its direct path down through the layers. Learning is slower; with more layers, it"
        " would stop altogether.",
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
        "mean(changed, 50, 200) > mean(original, 50, 200) + 0.1",
    ),
    "layernorm": Variant(
        "LayerNorm",
        "GPT-2 subtracts the mean before it divides; RMSNorm skips the subtraction and works just as well. Expect a"
        " curve that looks almost the same. (GPT-2 also learns a scale and a shift for each component; both are left"
        " out here.)",
        (
            (
                RMSNORM,
                '    """LayerNorm: subtract the mean of x, then divide by the standard deviation."""\n'
                "    mean = sum(x) / len(x)\n"
                "    x = [xi - mean for xi in x]\n"
                "    variance = sum(xi * xi for xi in x) / len(x)\n"
                "    scale = (variance + 1e-5) ** -0.5\n"
                "    return [xi * scale for xi in x]\n",
            ),
        ),
        "abs(mean(changed, 0, 200) - mean(original, 0, 200)) < 0.03",
    ),
    "no_scale": Variant(
        "no 1/√d",
        "The scores are plain q · k. They are larger, so softmax is more peaked and passes back smaller gradients."
        " With {head_dim} components in a head, the missing divisor is only {sqrt_head_dim}, so the two curves stay"
        " close. GPT-3 divides by more than 11.",
        (
            (
                "sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]",
                "sum(qj * kj for qj, kj in zip(q, k)) for k in keys]",
            ),
        ),
        "abs(mean(changed, 0, 200) - mean(original, 0, 200)) < 0.03",
    ),
    "no_mask": Variant(
        "no mask",
        "Training looks ahead: every document is read once beforehand, so the lists already contain the letters that"
        " are still to be predicted. Measure a few hundred steps. For about a hundred, the two curves stay together."
        " Then a head discovers that the answer is one position ahead, and this curve falls below the curve of any"
        " model that does not look ahead. Run the program to its end and look at the names that it generates: during"
        " sampling, there is nothing ahead to look at.",
        (
            (
                READING,
                "    for pos_id, token_id in enumerate(tokens[:block_size]):  # the lists then hold what is to be"
                " predicted\n"
                "        gpt(token_id, pos_id, keys, values, state_dict, n_head, activation)\n" + READING,
            ),
        ),
        "abs(mean(changed, 0, 100) - mean(original, 0, 100)) < 0.03"
        " and mean(changed, 200, 300) < mean(original, 200, 300) - 0.2",
    ),
    "sgd": Variant(
        "SGD instead of Adam",
        "Each weight changes by its gradient times a learning rate that all weights share. With Adam's rate, training"
        " would crawl. With ten times that rate, as here, SGD keeps up in a model with one layer, where all gradients"
        " have about the same size. With a rate ten times larger still, a single unlucky document blows up the loss.",
        (
            (
                ADAM,
                "    for p in params:\n        p.data -= learning_rate * p.grad\n        p.grad = 0.0\n",
            ),
            (RATE, "0.1 * (1 - step / num_steps)"),
        ),
        "abs(mean(changed, 100, 200) - mean(original, 100, 200)) < 0.05"
        " and mean(changed.replace('0.1 * (1', '0.01 * (1'), 100, 200) > mean(original, 100, 200) + 0.1"
        " and mean(changed.replace('0.1 * (1', '1.0 * (1'), 0, 200) > 3.3",
    ),
    "tied": Variant(
        "weight tying",
        "As in GPT-2, one table serves both to read a letter and to predict it: `lm_head` is removed, and `wte`"
        " receives the gradients from both uses. In a model this small, tying saves a tenth of the parameters. But the"
        " best description of a letter at the input need not be the best description at the output.",
        (
            ('"wpe": (block_size, n_embd), "lm_head": (vocab_size, n_embd)}', '"wpe": (block_size, n_embd)}'),
            ('    return linear(x, state_dict["lm_head"])', '    return linear(x, state_dict["wte"])'),
        ),
        "mean(changed, 0, 200) > mean(original, 0, 200) + 0.05",
    ),
    "two_layers": Variant(
        "two layers",
        "The model has twice as many blocks and nearly twice as many parameters, and training takes nearly twice as"
        " long. On names, the second layer helps little within a thousand steps: depth pays off when there is more to"
        " learn, and more time for training.",
        ((CONFIG + "16, 1, 4, 16", CONFIG + "16, 2, 4, 16"),),
        "abs(mean(changed, 100, 200) - mean(original, 100, 200)) < 0.05",
    ),
    "first": Variant(
        "the first version",
        "This is microgpt as first published: squared ReLU, half the context, BOS first, smaller initial weights (0 for"
        " the weights that write into the residual stream), other averages in Adam, and half the steps. Each block"
        " begins by adding nothing, and the first loss is close to the loss of a uniform guess.",
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
        "abs(mean(changed, 0, 1) - math.log(27)) < 0.05",
    ),
}


@request
def variants(session: Session) -> Variants:
    """List the preset changes to the program."""
    return {"changes": [{"name": name, "title": one.title, "about": one.about} for name, one in VARIANTS.items()]}


@request
def vary(session: Session, name: str, source: str) -> Varied:
    """Apply a preset change to a program."""
    return {"source": apply(name, source)}


def apply(name: str, source: str) -> str:
    """Apply a preset change to a program.

    Args:
        name: The name of the change.
        source: The program's source.

    Returns:
        The changed source.

    Raises:
        LabError: The change is unknown, or an old string does not occur exactly once in the program.
    """
    if name not in VARIANTS:
        raise LabError(f"unknown change {name!r:.40}; choose from {', '.join(VARIANTS)}")
    for old, new in VARIANTS[name].edits:
        if source.count(old) != 1:
            line = old.strip().splitlines()[0]
            raise LabError(
                f"“{VARIANTS[name].title}” changes the line `{line}`, which is different in this program: reset the"
                " file and try again"
            )
        source = source.replace(old, new)
    return source
