"""Names for intermediate values, such as the products inside a sum.

The table in names.py names only the elements of tensors, such as `pos3.layer0.q[9]`, but not the products that are
added up to compute an element. The path of such an intermediate value is its owner's path, a dot, and the value's
role. Below, j counts a sum's terms from 0.

    q k v attn_out mlp_pre mlp_out logits, x_attn.head2
        [i].term{j}         the product of the j-th weight and input, or of attn_weights[j] and position j's v
        [i].sum{j}          the running total after term{j}; sum0 is term0, and the last total is the number itself
    attn_logits.head2
        [i].term{j}         q[j] * k[j];  [i].sum{j}
        [i].total           q · k, the last running total
        [i].inverse         head_dim ** -0.5, a constant: x / y is computed as x * y**-1
    attn_weights.head2, probs
        [i].shifted         logit[i] - the largest logit
        [i].minus_largest   minus the largest logit, a constant that is added to logit[i]
        [i].exp             exp of [i].shifted
        sum{j}, total       the running totals of the exps, and their sum
        [i].inverse         total ** -1, computed again for each i
        [i].scaled          logit[i] / temperature, in sample() only
        [i].inverse_temperature   1 / temperature, a constant that logit[i] is multiplied by
    emb_norm.mean_square
        term{j}             x[j] * x[j];  sum{j};  total
        inverse             1 / n_embd, a constant
    emb_norm.scale
        shifted             mean_square + eps
        eps                 1e-5, a constant
    mlp_act
        [i].relu            the output of relu before it is squared, if the activation is relu2
    pos3.loss
        log                 the log of the next token's probability
        minus_one           -1, the constant that flips the log's sign
    loss
        sum{j}, total       the running totals of the positions' losses, and their sum
        inverse             1 / positions, a constant

Any number can also be looked up by its index in order of creation, as in `node1234`. This name is the number's path
only if no tensor was computed from the number. An execution of reference.py contains no such number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microgpt.tracing.instrument import Node
from microgpt.tracing.names import indexed, without_place

SUMS = {"q", "k", "v", "attn_out", "mlp_pre", "mlp_out", "logits", "x_attn"}  # the last total is the number itself
DIVIDED_SUMS = {"attn_logits", "mean_square", "mean_loss"}
SOFTMAXES = {"attn_weights", "probs"}


def kind(name: str) -> str:
    """Return the kind of a tensor: its name without its place in the computation.

    >>> kind("pos3.layer0.attn_weights.head2"), kind("pos3.emb_norm.scale"), kind("pos3.loss"), kind("loss")
    ('attn_weights', 'scale', 'loss', 'mean_loss')
    """
    if name == "loss":
        return "mean_loss"
    return without_place(name).rpartition(".")[2]


def running_totals(total: Node) -> list[Node]:
    """Return the running totals of a sum, one after each of its terms.

    The first total is the first term, recognized by its op: no term of a sum in the reference is itself the result of
    an addition.
    """
    totals = [total]
    while totals[-1].op == "add":
        totals.append(totals[-1].a)
    return totals[::-1]


def terms(totals: Sequence[Node]) -> list[Node]:
    """Return the terms of the sum with these running totals."""
    return [totals[0], *(total.b for total in totals[1:])]


def sum_of(what: str, nodes: Sequence[Node], position: int) -> list[Node]:
    """Return the running totals of the sum that produced one of a tensor's elements.

    Args:
        what: The tensor's `kind`.
        nodes: The tensor's nodes.
        position: The element's position among the nodes.

    Returns:
        The totals; an empty list if the element was not computed from a sum.
    """
    node = nodes[position]
    if what in SUMS or (what in DIVIDED_SUMS and not _is_divided(node)):
        return running_totals(node)
    if what in DIVIDED_SUMS:
        return running_totals(node.a)
    if what in SOFTMAXES and _is_share(node):
        return running_totals(node.b.a)
    return []


def _is_divided(node: Node) -> bool:
    """Return whether a node was computed as x * y**-1 with a constant y; an edited program may omit the division."""
    return node.op == "mul" and node.b.op == ""


def _is_share(node: Node) -> bool:
    """Return whether a node was computed as in the reference's softmax."""
    return node.op == "mul" and node.a.op == "exp" and node.b.op == "pow" and node.a.a.op == "add"


def inside(name: str, nodes: Sequence[Node], is_scalar: bool) -> Iterator[tuple[str, Node]]:
    """Yield a tensor's intermediate values.

    If a number has two names (a sum of one term is both term0 and total), the name that its path uses comes first.

    Args:
        name: The tensor's name.
        nodes: The tensor's nodes.
        is_scalar: Whether the tensor is a single number, whose intermediate values have no index.

    Yields:
        The rest of the intermediate value's path, such as `[9].term4`, and its node.
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
            if shifted.a.op == "mul" and shifted.a.b.op == "" and what == "probs":  # logit / temperature
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
    """Yield a sum's running totals except the last total, which has its own name."""
    for j, total in enumerate(totals[:-1]):
        yield f"{owner}sum{j}", total
