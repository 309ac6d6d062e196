"""Response types for playback: a chapter of the running program, and backward() one += at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from microgpt.lab.protocol.choices import ChapterName
from microgpt.lab.protocol.values import Num, Tensor

Plain = str | int | float | bool | None


class NumberVariable(TypedDict):
    """A number, with its value and gradient at the time of the event."""

    path: str
    value: Num
    grad: Num


class TensorVariable(TypedDict):
    """A tensor, or part of a tensor."""

    path: str  # 'pos3.layer0.q', 'pos3.layer0.q[4:8]', 'wte[4]', 'layer0.attn_wq'


class NumbersVariable(TypedDict):
    """Numbers that do not belong to a tensor."""

    paths: Sequence[str]
    values: Sequence[Num]


class PlainVariable(TypedDict):
    """A variable that is not a Value."""

    value: Plain | Sequence[Plain]


class ListVariable(TypedDict):
    """A list of variables."""

    list: Sequence[Variable]


class TableVariable(TypedDict):
    """A dict of variables."""

    table: Mapping[str, Variable]


class TextVariable(TypedDict):
    """A variable that is described in words."""

    text: str


# A variable of the running program
Variable = (
    NumberVariable | TensorVariable | NumbersVariable | PlainVariable | ListVariable | TableVariable | TextVariable
)


class PlaySwap(TypedDict):
    """One swap within the shuffle."""

    i: int
    j: int
    turn: int  # the swap's number, from 0
    of: int  # the total number of swaps


class EventExtras(TypedDict, total=False):
    """Additional fields in the events of some chapters. Each comment names the chapter."""

    first: Sequence[str]  # data: the first documents of the list, after the event
    swap: PlaySwap  # data
    printed: str  # data
    letter: int  # tokens: the index of the letter that is looked up
    chance: float  # sample: the random number that the line draws
    text: str  # sample: the text so far


class PlayEvent(EventExtras):
    """An event: the program reaches a statement."""

    line: int
    function: str
    depth: int
    owner: str
    known: Mapping[str, int]  # the function's variables on entry to the statement, as indices into `variables`
    changed: Mapping[str, int]  # the variables that the statement changes, as indices into `variables`


class ChapterFacts(TypedDict, total=False):
    """Facts about a chapter. A chapter name in a comment applies to all fields up to the next chapter name."""

    num_docs: int  # data
    text: str  # data: the name of the text; sample: the generated text
    before: Sequence[str] | float  # data: the first documents before the shuffle; adam: the weight
    after: Sequence[str] | float
    ids: Sequence[int]  # tokens
    symbols: Sequence[str]
    bos: int
    decoded: str
    tokens: Sequence[int]  # forward, loss
    steps: int  # backward: the number of += operations
    operations: int  # the number of nodes that pass back their gradients
    nodes: int  # the number of nodes behind the loss
    tensors_met: Sequence[tuple[int, str]]  # the first step at which each tensor passes back its gradient
    numbers_met: Sequence[int]  # the steps at which a tensor's next element passes back its gradient
    path: str  # adam
    index: int  # adam: the weight's index; sample: the sample's index
    count: int
    grad: float
    learning_rate: float
    plain: float
    token_ids: Sequence[int]  # sample
    seed: int
    temperature: float


class Chapter(TypedDict):
    """A part of the program that can be played back event by event."""

    chapter: ChapterName
    events: Sequence[PlayEvent]  # empty for backward, whose steps are requested one at a time
    variables: Sequence[Variable]  # the variables that the events point to
    tensors: Mapping[str, Tensor]  # the tensors that the execution computed, without the parameters
    facts: ChapterFacts


class NumberGrad(TypedDict):
    """A number in a step of the backward pass."""

    path: str
    op: str
    value: Num
    grad: Num  # for an operand, the gradient after the step; for other numbers, the complete gradient


class OtherOperand(NumberGrad):
    """The node's other operand."""

    local: Num


class Contribution(NumberGrad):
    """A number that contributes to another number's gradient."""

    step: int
    local: Num
    add: Num
    after: Num


class BackwardStep(TypedDict):
    """One += in backward()."""

    step: int
    line: int
    node: NumberGrad  # the number that passes back its gradient
    operand: NumberGrad  # the number that receives the contribution
    other: OtherOperand | None
    local: Num
    add: Num  # local * node.grad
    before: Num
    after: Num
    # the first contributions to the operand's gradient, over the entire backward pass
    contributions: Sequence[Contribution]
    num_contributions: int
    above: Sequence[Contribution]  # the first contributions to the node's gradient, all from earlier steps
    num_above: int
    final: Num  # the operand's complete gradient
