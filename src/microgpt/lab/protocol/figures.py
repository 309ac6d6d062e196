"""Response types for figures: a word's forward pass, the parameters, and the costs of other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from microgpt.lab.protocol.values import Num, Shaped, Tensor


class Parameters(TypedDict):
    """All parameters, and Adam's moments if requested."""

    tensors: Mapping[str, Tensor]  # by name, in the order of shapes()
    m: Mapping[str, Sequence[float]]  # empty unless `moments` was requested
    v: Mapping[str, Sequence[float]]


class History(TypedDict):
    """A weight's values at the saved steps."""

    path: str
    steps: Sequence[int]
    values: Sequence[float]
    grad: Num  # of a word's loss
    m: float  # the weight's current moments
    v: float


class OtherToken(TypedDict):
    """A token, and how much its embedding is like the requested token's."""

    symbol: str
    id: int
    cosine: float  # of the angle between the two rows of wte: 1 in the same direction, -1 in the opposite one


class Nearest(TypedDict):
    """The other tokens, ordered by the angle between their wte rows and one token's row, the smallest angle first."""

    symbol: str
    others: Sequence[OtherToken]


class PlacedToken(TypedDict):
    """A token's place on the map: its row of wte along the first two principal components."""

    symbol: str
    id: int
    x: float
    y: float


class Hidden(TypedDict):
    """The two tokens of whose distance the map shows the smallest part."""

    one: str
    other: str
    shown: float  # the distance on the map
    distance: float  # between the rows of wte


class Likeness(TypedDict):
    """A map of the tokens by likeness."""

    tokens: Sequence[PlacedToken]  # the most frequent ones, if the vocabulary is large
    vocab_size: int
    shares: Sequence[float]  # of the variance, along each principal component; empty if all rows are equal
    held: float  # the share of the variance that the map shows
    hidden: Hidden | None  # None if the map shows all of the variance
    typical: float  # the mean distance between two of the rows
    vowels: bool  # whether the four letters with the largest cosine to each of a, e, i, o and u are the other four


class Sizes(TypedDict):
    """The parameters of a model of a different size, computed by the program's own shapes()."""

    num_params: int
    shapes: Sequence[Shaped]


class Budget(TypedDict):
    """The costs of a model of a different size. The model itself is never built."""

    num_params: int
    flops_token: int  # one token's forward pass after a full context; a multiplication and an addition count as 2
    attention: int  # the part of flops_token that grows with the context
    flops_trained: int  # one token's forward and backward passes
    flops_run: float  # the forward and backward passes for `tokens` tokens
    bytes_kept: int  # the weights, at 16 bits each
    bytes_trained: int  # the weights, the gradients and Adam's moments, at 32 bits each
    bytes_cache: int  # the keys and values of a full context, at 16 bits each


class Forward(TypedDict):
    """Every number in a word's forward pass."""

    word: str
    tokens: Sequence[int]  # with BOS at both ends
    positions: int
    tensors: Mapping[str, Tensor]  # every tensor in the table of names, from `pos0.tok_emb` to `loss`
    before: Mapping[str, Sequence[float]]  # the previous values of tensors that manual changes affect


class Attention(TypedDict):
    """Textbook attention: masked T x T matrices computed from the program's q and k, indexed by [layer][head][row]."""

    positions: int
    labels: Sequence[str]  # the token read at each position; BOS is '·'
    logits: Sequence[Sequence[Sequence[Sequence[Num]]]]  # a masked cell is '-inf'
    weights: Sequence[Sequence[Sequence[Sequence[float]]]]  # a masked cell is 0
    sums: Sequence[Sequence[Sequence[float]]]  # the sum of each row of weights, added from left to right
    difference: float  # the largest difference between the textbook's values and the program's
    own: bool  # whether an edited program differs from the textbook; the matrices then contain the program's values


class LetterLoss(TypedDict):
    """The loss at one position, where the model predicts the next letter."""

    position: int
    read: str
    target: str
    target_id: int
    prob: float
    loss: float
    so_far: float  # the sum of the losses up to this one


class Loss(TypedDict):
    """A word's loss, letter by letter."""

    letters: Sequence[LetterLoss]
    mean: float  # the program's loss
    perplexity: Num  # exp(mean): the model is as uncertain as if it were choosing among this many equally likely tokens
    uniform: float  # ln(vocab_size)


class Unmasked(TypedDict):
    """Attention to the complete word, without the mask, and its effect on the loss, computed by the program's gpt()."""

    positions: int
    labels: Sequence[str]
    logits: Sequence[Sequence[Sequence[Sequence[float]]]]  # [layer][head] -> T x T, with nothing masked
    weights: Sequence[Sequence[Sequence[Sequence[float]]]]
    future: Sequence[Sequence[Sequence[float]]]  # [layer][head] -> each row's total weight on later positions
    masked: Loss  # the program's own loss
    unmasked: Loss
    probs: Sequence[Sequence[float]]  # [position][token id], without the mask


class UnmaskedDocuments(TypedDict):
    """The mean loss over the first documents that training reads, with and without the mask."""

    documents: int
    masked: float
    unmasked: float
    lower: int  # the number of documents whose loss is lower without the mask


class Softmax(TypedDict):
    """The program's softmax of scaled logits."""

    probs: Sequence[Sequence[float]]  # of each scale


class GradientNorm(TypedDict):
    """The norm of a tensor's gradient."""

    name: str
    norm: float


class Gradients(TypedDict):
    """The gradient of the loss with respect to every parameter."""

    loss: float
    grads: Mapping[str, Sequence[float]]
    zero_rows: Mapping[str, Sequence[int]]  # rows whose gradient is exactly 0
    norms: Sequence[GradientNorm]  # for every tensor in the order of backward, starting with the loss


class Graph(TypedDict):
    """The size and depth of the graph behind a word's loss."""

    nodes: int
    operations: int  # the nodes that are not leaves
    depth: int  # the number of operations in the longest chain from a leaf to the loss
    limit: int  # Python's recursion limit


class Gate(TypedDict):
    """The open and dead units of a layer's MLP."""

    open: Sequence[Sequence[bool]]  # [position][unit]: whether mlp_pre > 0
    dead: Sequence[int]  # units that are closed at every position of `documents` training documents
    documents: int
    layer: int


class Guesses(TypedDict):
    """The probabilities of the next token at every position of a word, at temperature 1."""

    labels: Sequence[str]  # the token read at each position; BOS is '·'
    probs: Sequence[Sequence[float]]  # [position][token id]
    before: Sequence[Sequence[float]]  # the same without the change that was asked about
    moved: Sequence[float]  # [position] the probability that the change moves from some tokens to others


class Attending(Guesses):
    """The guesses if one head attends differently at one position."""

    position: int
    weights: Sequence[float]  # of that head there, over the positions that it sees


class DecidingHead(TypedDict):
    """A guess that one head decides: without the head, another token is the most likely next one."""

    word: str
    position: int
    layer: int
    head: int
    best: int  # the id of the most likely next token
    instead: int  # the same without the head
    moved: float  # the probability that moves from some tokens to others without it


class DecidingHeads(TypedDict):
    """Guesses that one head decides, at most one for each beginning of a word; the largest change comes first."""

    searched: int  # words
    found: Sequence[DecidingHead]


class StageGuess(TypedDict):
    """The guess if the residual stream were read out at one stage."""

    path: str  # the residual stream's path, such as pos3.layer0.resid_mid
    probs: Sequence[float]


class GuessesOnTheWay(TypedDict):
    """The guesses at a position, stage by stage; the last one is the model's."""

    position: int
    stages: Sequence[StageGuess]


class Missed(TypedDict):
    """The unit of an MLP without which a guess changes most."""

    unit: int
    moved: float  # the probability that moves from some tokens to others without it


class Push(TypedDict):
    """A weight, and the value that it is given."""

    path: str
    before: float
    after: float


class RippleCell(TypedDict):
    """The number of a tensor that changed most."""

    path: str
    before: float
    after: float
    share: float  # the change, relative to the largest magnitude in the tensor before; at most 1


class RippleRow(TypedDict):
    """The changes of one kind of tensor, at every position."""

    kind: str  # the tensor's name without its position, such as layer0.q
    cells: Sequence[RippleCell | None]  # [position]; None where nothing changed
    largest: int  # the position with the largest share; -1 if nothing changed


class Ripple(TypedDict):
    """The changes in a word's forward pass that a change of weights makes."""

    pushed: Push | None  # the weight that the session chose and pushed, without changing the model
    rows: Sequence[RippleRow]
    guesses: Guesses
