"""Answer types for playback: a chapter of the running program, and backward() one += at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from microgpt.lab.protocol.choices import ChapterName
from microgpt.lab.protocol.values import Num, Tensor

Plain = str | int | float | bool | None


class ToldNumber(TypedDict):
    """One number, as it was at that moment."""

    path: str
    value: Num
    grad: Num


class ToldTensor(TypedDict):
    """A tensor or a part of one."""

    path: str  # 'pos3.layer0.q', 'pos3.layer0.q[4:8]', 'wte[4]', 'layer0.attn_wq'


class ToldNumbers(TypedDict):
    """Numbers that no tensor holds."""

    paths: Sequence[str]
    values: Sequence[Num]


class ToldPlain(TypedDict):
    """What is no Value."""

    value: Plain | Sequence[Plain]


class ToldList(TypedDict):
    """A list of variables."""

    list: Sequence[Told]


class ToldTable(TypedDict):
    """A dict of variables."""

    table: Mapping[str, Told]


class ToldText(TypedDict):
    """What is described in words."""

    text: str


# A variable of the running program
Told = ToldNumber | ToldTensor | ToldNumbers | ToldPlain | ToldList | ToldTable | ToldText


class PlaySwap(TypedDict):
    """An exchange within the shuffle."""

    i: int
    j: int
    turn: int
    of: int


class Besides(TypedDict, total=False):
    """What some chapters say of an event besides."""

    first: Sequence[str]  # data: the list's first documents after it
    swap: PlaySwap  # data
    printed: str  # data
    letter: int  # tokens: of the word, that is looked up
    die: float  # sample: what the line throws
    text: str  # sample: what is written so far


class PlayEvent(Besides):
    """An arrival at a statement: what its function knows then, and what the statement changes; places in `told`."""

    line: int
    function: str
    depth: int
    owner: str
    known: Mapping[str, int]
    changed: Mapping[str, int]


class ChapterFacts(TypedDict, total=False):
    """What a chapter is about, by chapter."""

    num_docs: int  # data
    text: str  # data: its name; sample: what was written
    before: Sequence[str] | float  # data: documents; adam: the parameter
    after: Sequence[str] | float
    ids: Sequence[int]  # tokens
    symbols: Sequence[str]
    bos: int
    decoded: str
    tokens: Sequence[int]  # forward, loss
    steps: int  # backward: +=, one after another
    operations: int  # that have a turn
    nodes: int
    tensors_met: Sequence[tuple[int, str]]  # the step at which the first number of a tensor comes to its turn
    numbers_met: Sequence[int]  # at which another number of a tensor does
    path: str  # adam
    index: int  # adam: of the parameter; sample: of the sample
    count: int
    grad: float
    learning_rate: float
    plain: float
    token_ids: Sequence[int]  # sample
    seed: int
    temperature: float


class Chapter(TypedDict):
    """A part of the program, played."""

    chapter: ChapterName
    events: Sequence[PlayEvent]  # none for backward, whose steps are asked for one at a time
    told: Sequence[Told]
    tensors: Mapping[str, Tensor]  # that the execution made, parameters aside
    facts: ChapterFacts


class Passing(TypedDict):
    """A number while its gradient is passed on."""

    path: str
    op: str
    value: Num
    grad: Num  # of the operands as it is after the step, of others complete


class OtherOperand(Passing):
    """The second operand of two."""

    local: Num


class Giver(Passing):
    """A number that adds to another's gradient."""

    step: int
    local: Num
    add: Num
    after: Num


class PassedOn(TypedDict):
    """One += of backward()."""

    step: int
    line: int
    node: Passing  # whose turn it is
    operand: Passing  # that is given something
    other: OtherOperand | None
    local: Num
    add: Num  # local * node.grad
    before: Num
    after: Num
    givers: Sequence[Giver]  # to the operand, over all of backward
    num_givers: int
    above: Sequence[Giver]  # to the node, before its turn
    num_above: int
    final: Num
