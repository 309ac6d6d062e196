"""Names for intermediate numbers, such as the products inside a sum.

They are the numbers inside a number, which the table in names.py leaves out. `pos3.layer0.q[9]` is in the table; the
products that were added up to it are not. Such an inner number has the path of its owner, a dot, and its role. j counts
what is added up, from 0.

    q k v attn_out mlp_pre mlp_out logits, x_attn.head2
        [i].term{j}         the product of the j-th weight and input, or of attn_weights[j] and v of position j
        [i].sum{j}          the running total after term{j}; sum0 is term0, and after the last term it is the number
    attn_logits.head2
        [i].term{j}         q[j] * k[j];  [i].sum{j}
        [i].total           q · k, the last running total
        [i].inverse         head_dim ** -0.5, a constant: x / y is made as x * y**-1
    attn_weights.head2, probs
        [i].shifted         logit[i] - the largest logit
        [i].minus_largest   the constant that is added for that
        [i].exp             exp of [i].shifted
        sum{j}, total       of all the exps, which they share
        [i].inverse         total ** -1, made anew for each
        [i].scaled          logit[i] / temperature, in sample() only
        [i].inverse_temperature   the constant that it is multiplied with for that
    emb_norm.mean_square
        term{j}             x[j] * x[j];  sum{j};  total
        inverse             1 / n_embd, a constant
    emb_norm.scale
        shifted             mean_square + eps
        eps                 1e-5, a constant
    mlp_act
        [i].relu            before it is squared, where the activation is relu2
    pos3.loss
        log                 of the probability of the next token
        minus_one           the constant that turns its sign
    loss
        sum{j}, total       of the positions' losses
        inverse             1 / positions, a constant

Any number can be asked for by its turn among all, too: `node1234`. It goes by that only where it has no other name, as
what no tensor was made from; an execution of reference.py holds no such number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microgpt.tracing.instrument import Node
from microgpt.tracing.names import indexed, without_place

SUMS = {"q", "k", "v", "attn_out", "mlp_pre", "mlp_out", "logits", "x_attn"}  # their last running total is the number
DIVIDED_SUMS = {"attn_logits", "mean_square", "mean_loss"}
SOFTMAXES = {"attn_weights", "probs"}


def kind(name: str) -> str:
    """What a tensor is, wherever it stands.

    >>> kind("pos3.layer0.attn_weights.head2"), kind("pos3.emb_norm.scale"), kind("pos3.loss"), kind("loss")
    ('attn_weights', 'scale', 'loss', 'mean_loss')
    """
    if name == "loss":
        return "mean_loss"
    return without_place(name).rpartition(".")[2]


def running_totals(total: Node) -> list[Node]:
    """The totals of a sum, after each of its terms; after the first it is the term itself, since a sum starts with it.

    No term of any sum in the reference is itself made by an addition: that is where the sum begins.
    """
    totals = [total]
    while totals[-1].op == "add":
        totals.append(totals[-1].a)
    return totals[::-1]


def terms(totals: Sequence[Node]) -> list[Node]:
    """What was added up to these running totals."""
    return [totals[0], *(total.b for total in totals[1:])]


def sum_of(what: str, nodes: Sequence[Node], position: int) -> list[Node]:
    """The running totals of the sum behind the number at `position` of a tensor; empty where there is none."""
    node = nodes[position]
    if what in SUMS or (what in DIVIDED_SUMS and not _is_divided(node)):
        return running_totals(node)
    if what in DIVIDED_SUMS:
        return running_totals(node.a)
    if what in SOFTMAXES and _is_share(node):
        return running_totals(node.b.a)
    return []


def _is_divided(node: Node) -> bool:
    """Made as x * y**-1 with a constant y: an edited program may have left the division out."""
    return node.op == "mul" and node.b.op == ""


def _is_share(node: Node) -> bool:
    """Made as the reference's softmax makes its numbers."""
    return node.op == "mul" and node.a.op == "exp" and node.b.op == "pow" and node.a.a.op == "add"


def inside(name: str, nodes: Sequence[Node], is_scalar: bool) -> Iterator[tuple[str, Node]]:
    """What is inside the numbers of a tensor: (the rest of its path, such as `[9].term4`, node).

    A number that has two of these names (total where there is one term) comes with the one it goes by first.
    """
    what = kind(name)
    for position, node in enumerate(nodes):
        owner = "." if is_scalar else indexed("", [position]) + "."
        if what in SUMS or what in DIVIDED_SUMS:
            totals = sum_of(what, nodes, position)
            if what != "mean_loss":
                for j, term in enumerate(terms(totals)):
                    yield f"{owner}term{j}", term
            yield from _totals(owner, totals)
        if what in DIVIDED_SUMS and _is_divided(node):
            yield f"{owner}total", node.a
            yield f"{owner}inverse", node.b
        elif what in SOFTMAXES and _is_share(node):
            shifted = node.a.a
            yield f"{owner}exp", node.a
            yield f"{owner}shifted", shifted
            yield f"{owner}minus_largest", shifted.b
            yield f"{owner}inverse", node.b
            if shifted.a.op == "mul" and shifted.a.b.op == "" and what == "probs":  # a logit by a temperature
                yield f"{owner}scaled", shifted.a
                yield f"{owner}inverse_temperature", shifted.a.b
        elif what == "scale":
            yield f"{owner}shifted", node.a
            yield f"{owner}eps", node.a.b
        elif what == "mlp_act" and node.op == "pow" and node.a.op == "relu":
            yield f"{owner}relu", node.a
        elif what == "loss":
            yield f"{owner}log", node.a
            yield f"{owner}minus_one", node.b
    if what in SOFTMAXES and _is_share(nodes[0]):
        yield from _totals(".", sum_of(what, nodes, 0))
        yield ".total", nodes[0].b.a


def _totals(owner: str, totals: Sequence[Node]) -> Iterator[tuple[str, Node]]:
    """The running totals of a sum, but for the last, which has a name of its own."""
    for j, total in enumerate(totals[:-1]):
        yield f"{owner}sum{j}", total
