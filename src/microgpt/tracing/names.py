"""The names of all tensors in an execution of the reference.

This is the only table of tensor names. Figures, links, tests and `verify` all name a number by its path: the tensor's
name, then the number's index.

    layer0.attn_wq[2][5]                   row 2, column 5 of a parameter
    pos3.layer0.q[9]                       component 9 of the query at position 3, in layer 0
    pos3.layer0.attn_weights.head2[1]      how much attention head 2 at position 3 pays to position 1
    loss                                   the document's loss: a single number, which has no index

A name identifies a place in the computation. If the reference passes a number on unchanged, the number has two names:
the residual stream leaving one layer enters the next, a row of a parameter is an embedding, and the heads' outputs are
also slices of one vector.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import lt

from microgpt.config import Config, Shapes, offsets, shapes
from microgpt.system.suggestions import ALIKE

Shape = tuple[int, ...]
Rows = Sequence[tuple[str, tuple[str, ...], str]]

# The table: name, shape and meaning, in the order in which the reference computes the tensors. t is a position, i a
# layer and h a head, all numbered from 0; head_dim is n_embd / n_head.
EMBEDDING: Rows = (
    ("pos{t}.tok_emb", ("n_embd",), "the token's row in wte"),
    ("pos{t}.pos_emb", ("n_embd",), "the position's row in wpe"),
    ("pos{t}.emb", ("n_embd",), "tok_emb + pos_emb"),
    ("pos{t}.emb_norm.mean_square", (), "mean of the squares of emb"),
    ("pos{t}.emb_norm.scale", (), "(mean_square + 1e-5) ** -0.5"),
    ("pos{t}.emb_norm", ("n_embd",), "rmsnorm(emb) = emb * scale"),
)
BEFORE_HEADS: Rows = (
    (
        "pos{t}.layer{i}.resid_pre",
        ("n_embd",),
        "the residual stream entering the layer: emb_norm, or the previous layer's resid_post",
    ),
    ("pos{t}.layer{i}.attn_norm.mean_square", (), "mean of the squares of resid_pre"),
    ("pos{t}.layer{i}.attn_norm.scale", (), "(mean_square + 1e-5) ** -0.5"),
    ("pos{t}.layer{i}.attn_norm", ("n_embd",), "rmsnorm(resid_pre)"),
    ("pos{t}.layer{i}.q", ("n_embd",), "query: attn_wq · attn_norm; head h owns head_dim components from h * head_dim"),
    ("pos{t}.layer{i}.k", ("n_embd",), "key: attn_wk · attn_norm"),
    ("pos{t}.layer{i}.v", ("n_embd",), "value: attn_wv · attn_norm"),
)
HEAD: Rows = (
    (
        "pos{t}.layer{i}.attn_logits.head{h}",
        ("t+1",),
        "this position's q · the k of this and each earlier position, divided by sqrt(head_dim)",
    ),
    ("pos{t}.layer{i}.attn_weights.head{h}", ("t+1",), "softmax(attn_logits)"),
    (
        "pos{t}.layer{i}.x_attn.head{h}",
        ("head_dim",),
        "the head's output: the sum of its v over all positions so far, weighted by attn_weights",
    ),
)
AFTER_HEADS: Rows = (
    ("pos{t}.layer{i}.x_attn", ("n_embd",), "all heads' outputs, side by side"),
    ("pos{t}.layer{i}.attn_out", ("n_embd",), "attn_wo · x_attn"),
    ("pos{t}.layer{i}.resid_mid", ("n_embd",), "attn_out + resid_pre"),
    ("pos{t}.layer{i}.mlp_norm.mean_square", (), "mean of the squares of resid_mid"),
    ("pos{t}.layer{i}.mlp_norm.scale", (), "(mean_square + 1e-5) ** -0.5"),
    ("pos{t}.layer{i}.mlp_norm", ("n_embd",), "rmsnorm(resid_mid)"),
    ("pos{t}.layer{i}.mlp_pre", ("4*n_embd",), "mlp_fc1 · mlp_norm"),
    ("pos{t}.layer{i}.mlp_act", ("4*n_embd",), "activation(mlp_pre)"),
    ("pos{t}.layer{i}.mlp_out", ("n_embd",), "mlp_fc2 · mlp_act"),
    ("pos{t}.layer{i}.resid_post", ("n_embd",), "mlp_out + resid_mid"),
)
OUTPUT: Rows = (
    ("pos{t}.logits", ("vocab_size",), "lm_head · the last layer's resid_post"),
    ("pos{t}.probs", ("vocab_size",), "softmax(logits)"),
    ("pos{t}.loss", (), "-log(probs[the next token]), in nats"),
)
DOCUMENT: Rows = (("loss", (), "the mean of the positions' losses, in nats per token"),)


def intermediates(config: Config, vocab_size: int, num_positions: int) -> dict[str, Shape]:
    """Return the tensors of one document's forward pass, name -> shape, in order of computation.

    Raises:
        ValueError: num_positions is not between 1 and block_size.

    Example:
        >>> list(intermediates(Config(), 27, 4).items())[-3:]
        [('pos3.probs', (27,)), ('pos3.loss', ()), ('loss', ())]
    """
    if not 1 <= num_positions <= config.block_size:
        raise ValueError(
            f"num_positions must be between 1 and block_size={config.block_size}, got num_positions={num_positions}"
        )
    n = config.n_embd
    sizes = {"n_embd": n, "4*n_embd": 4 * n, "head_dim": n // config.n_head, "vocab_size": vocab_size}

    def rows(part: Rows, **indices: int) -> Iterator[tuple[str, Shape]]:
        here = {**sizes, "t+1": indices.get("t", 0) + 1}
        for name, shape, _ in part:
            yield name.format(**indices), tuple(here[size] for size in shape)

    table: dict[str, Shape] = {}
    for t in range(num_positions):
        table.update(rows(EMBEDDING, t=t))
        for i in range(config.n_layer):
            table.update(rows(BEFORE_HEADS, t=t, i=i))
            for h in range(config.n_head):
                table.update(rows(HEAD, t=t, i=i, h=h))
            table.update(rows(AFTER_HEADS, t=t, i=i))
        table.update(rows(OUTPUT, t=t))
    table.update(rows(DOCUMENT))
    return table


def tensors(config: Config, vocab_size: int, num_positions: int) -> dict[str, Shape]:
    """Return every tensor of an execution, name -> shape: the parameters, then `intermediates`."""
    return {**shapes(config, vocab_size), **intermediates(config, vocab_size, num_positions)}


_PATH = re.compile(r"([a-z_]\w*(?:\.[a-z_]\w*)*)((?:\[\d{1,18}\])*)", re.ASCII)


def parse(path: str) -> tuple[str, tuple[int, ...]]:
    """Split a path into name and index, without checking that such a tensor exists.

    Raises:
        ValueError: The text is not a valid path.

    Example:
        >>> parse("layer0.attn_wq[2][5]")
        ('layer0.attn_wq', (2, 5))
    """
    match = _PATH.fullmatch(path)
    if not match:
        raise ValueError(f"path must be a name followed by an index, such as pos3.layer0.q[9], got path={path!r:.80}")
    name, index = match.groups()
    return name, tuple(int(i) for i in re.findall(r"\d+", index))


def look_up(path: str, table: Mapping[str, Shape]) -> tuple[str, tuple[int, ...]]:
    """Split the path of a tensor or its elements into name and index; an empty index means the entire tensor.

    Args:
        path: The path.
        table: The shape of each tensor that exists, by name.

    Raises:
        ValueError: The name or the index does not exist. The message lists the names or indices that do exist.
    """
    name, index = parse(path)
    if name not in table:
        raise ValueError(f"unknown tensor {name!r}{_instead(name, table)}{_meant(name, index, table)}")
    shape = table[name]
    if len(index) > len(shape):
        raise ValueError(
            f"path must have at most {len(shape)} indices, because {name} has shape {shape}, got path={path!r}"
        )
    for i, size in zip(index, shape):
        if i >= size:
            raise ValueError(
                f"an index into {name}, which has shape {shape}, must be between 0 and {size - 1}, got path={path!r}"
            )
    return name, index


def _instead(name: str, table: Iterable[str]) -> str:
    """Return the end of the message for an unknown name: the names that its owner contains, if the owner exists."""
    owner = name.rpartition(".")[0]
    prefix = f"{owner}." if owner else ""
    found = {known[len(prefix) :].partition(".")[0]: None for known in table if known.startswith(prefix)}
    if not found:
        return f": {owner!r} is also unknown" if owner else ""
    listed = list(found)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return f"; {owner or 'an execution'} contains {', '.join(listed[:12])}{more}"


def _meant(name: str, index: tuple[int, ...], table: Mapping[str, Shape]) -> str:
    """Return the end of the message for an unknown name: the most similar paths, if any are likely to be meant."""
    import difflib  # only for a mistake

    same = [known for known in table if without_place(known) == without_place(name)]  # its place is wrong or missing
    similar = difflib.get_close_matches(name, same, 3, 0.0) or difflib.get_close_matches(name, table, 1, ALIKE)
    paths = [
        indexed(known, index if len(index) == len(table[known]) and all(map(lt, index, table[known])) else ())
        for known in similar
    ]
    return f"; did you mean {' or '.join(paths)}?" if paths else ""


# --- Arithmetic on paths


def indexed(name: str, index: Sequence[int]) -> str:
    """Return the path of the number or row at an index: the inverse of `parse`.

    >>> indexed("layer0.attn_wq", (2, 5))
    'layer0.attn_wq[2][5]'
    """
    return name + "".join(f"[{i}]" for i in index)


def tensor_of(path: str) -> str:
    """Return the name of the tensor in a path: the part before the first index.

    >>> tensor_of("pos3.layer0.q[9].term4")
    'pos3.layer0.q'
    """
    return path.partition("[")[0]


_PLACE = re.compile(r"\b(?:pos|layer|head)\d+\b\.?")


def without_place(name: str) -> str:
    """Return the name of a tensor without its position, layer and head.

    >>> without_place("pos3.layer0.attn_weights.head2"), without_place("pos3.emb_norm.scale")
    ('attn_weights', 'emb_norm.scale')
    """
    return _PLACE.sub("", name).rstrip(".")


def flat_position(index: Sequence[int], shape: Shape) -> int:
    """Return the position of an index in a tensor's flat buffer, which is stored row by row."""
    position = 0
    for i, size in zip(index, shape):
        position = position * size + i
    return position


def element_path(name: str, shape: Shape, position: int) -> str:
    """Return the path of the number at `position` in a tensor's flat buffer.

    Raises:
        IndexError: The position is outside the tensor.

    Example:
        >>> element_path("layer0.attn_wq", (16, 16), 37)
        'layer0.attn_wq[2][5]'
    """
    if not 0 <= position < math.prod(shape):
        raise IndexError(f"position must be between 0 and {math.prod(shape) - 1}, got position={position}")
    index = []
    for size in reversed(shape):
        position, i = divmod(position, size)
        index.append(i)
    return indexed(name, index[::-1])


def parameter_position(path: str, shapes: Shapes) -> int:
    """Return the position of a weight in the flat buffer of all parameters.

    Args:
        path: The path of the weight, such as `wte[4][0]`.
        shapes: The shapes of the parameters, in the order of the buffer.

    Raises:
        ValueError: The path does not name a single weight.
    """
    name, index = look_up(path, shapes)
    if len(index) < len(shapes[name]):
        raise ValueError(f"path must name one weight, such as {name}[0][0], got path={path!r:.80}")
    start: int = offsets(shapes)[name].start
    return start + flat_position(index, shapes[name])


def parameter_path(position: int, shapes: Shapes) -> str:
    """Return the path of the weight at `position` in the flat buffer of all parameters.

    Raises:
        IndexError: The position is outside the buffer.
    """
    for name, part in offsets(shapes).items():
        if part.start <= position < part.stop:
            return element_path(name, shapes[name], position - part.start)
    largest = sum(map(math.prod, shapes.values())) - 1
    raise IndexError(f"position must be between 0 and {largest}, got position={position}")
