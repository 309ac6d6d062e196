"""Answer types for figures: a word's forward pass, the parameters, the costs of other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from microgpt.lab.protocol.values import Num, Shaped, Tensor


class Parameters(TypedDict):
    """Every parameter, and Adam's moments on request."""

    tensors: Mapping[str, Tensor]  # by name, in the file's order
    m: Mapping[str, Sequence[float]]  # with `moments`, else empty
    v: Mapping[str, Sequence[float]]


class History(TypedDict):
    """A parameter at the steps whose weights are kept."""

    path: str
    steps: Sequence[int]
    values: Sequence[float]
    m: float  # Adam's moments of it now
    v: float


class OtherToken(TypedDict):
    """A token by the distance of its embedding."""

    symbol: str
    id: int
    distance: float  # Euclidean


class Nearest(TypedDict):
    """The tokens whose rows of wte lie around one token's, the nearest first."""

    symbol: str
    others: Sequence[OtherToken]


class Sizes(TypedDict):
    """The parameters of a model of other sizes, by the program's own shapes()."""

    num_params: int
    shapes: Sequence[Shaped]


class Budget(TypedDict):
    """What a model of other sizes costs. No such model is made."""

    num_params: int
    flops_token: int  # one token forward, after a full context; a multiplication and an addition count as two
    attention: int  # the part of it that grows with the context
    flops_trained: int  # one token forward and backward
    flops_run: float  # `tokens` of them
    bytes_kept: int  # the weights in 16 bits
    bytes_trained: int  # weights, gradients and Adam's moments in 32 bits
    bytes_cache: int  # keys and values of a full context in 16 bits


class Forward(TypedDict):
    """Every number of a word's way through the model."""

    word: str
    tokens: Sequence[int]  # with BOS at both ends
    positions: int
    tensors: Mapping[str, Tensor]  # every tensor of the table of names, `pos0.tok_emb` to `loss`
    before: Mapping[str, Sequence[float]]  # the tensors that weights changed by hand have changed, as they were


class Attention(TypedDict):
    """The textbook's attention: masked matrices, T x T, from the program's q and k. Indexed [layer][head][row]."""

    positions: int
    labels: Sequence[str]  # the token read at each position; BOS is '·'
    logits: Sequence[Sequence[Sequence[Sequence[Num]]]]  # a masked cell is '-inf'
    weights: Sequence[Sequence[Sequence[Sequence[float]]]]  # a masked cell is 0
    sums: Sequence[Sequence[Sequence[float]]]  # each row of weights, added up from the left
    difference: float  # the largest between the textbook's numbers and the program's growing lists
    own: bool  # an edited program departs from the textbook: the matrices hold what its lists do


class LetterLoss(TypedDict):
    """How surprising the next letter is at one position."""

    position: int
    read: str
    target: str
    target_id: int
    prob: float
    loss: float


class Loss(TypedDict):
    """The loss of a word, letter by letter."""

    letters: Sequence[LetterLoss]
    mean: float  # the program's loss
    perplexity: Num  # exp(mean): as unsure as among that many equally likely tokens
    uniform: float  # ln(vocab_size)


class Unmasked(TypedDict):
    """Attention that looks at the whole word, and what that does to the loss: computed by the program's own gpt()."""

    positions: int
    labels: Sequence[str]
    logits: Sequence[Sequence[Sequence[Sequence[float]]]]  # [layer][head] -> T x T, nothing masked
    weights: Sequence[Sequence[Sequence[Sequence[float]]]]
    future: Sequence[Sequence[Sequence[float]]]  # [layer][head] -> how much of each row lies on later positions
    masked: Loss  # the program's own
    unmasked: Loss


class UnmaskedDocuments(TypedDict):
    """Mean losses of the first documents that training reads, with the mask and without."""

    documents: int
    masked: float
    unmasked: float
    lower: int  # documents whose loss is lower without the mask


class Softmax(TypedDict):
    """The program's softmax of scaled logits."""

    probs: Sequence[float]


class GradientNorm(TypedDict):
    """How large the gradient of a tensor is."""

    name: str
    norm: float


class Gradients(TypedDict):
    """d loss / d each parameter."""

    loss: float
    grads: Mapping[str, Sequence[float]]
    zero_rows: Mapping[str, Sequence[int]]  # rows whose gradient is exactly 0
    norms: Sequence[GradientNorm]  # of every tensor in the order of backward, the loss first


class Graph(TypedDict):
    """How large and how deep the graph behind the loss of a word is."""

    nodes: int
    operations: int  # nodes that are no leaves
    depth: int  # operations in the longest chain from a leaf to the loss
    limit: int  # how deep Python lets calls nest


class Gate(TypedDict):
    """Which units of a layer's MLP let something through."""

    open: Sequence[Sequence[bool]]  # of every position and unit: mlp_pre > 0
    dead: Sequence[int]  # units open for none of `documents` training documents
    documents: int
    layer: int
