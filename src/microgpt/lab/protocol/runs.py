"""Answer types for models and runs: the active model, the run list, training, comparison, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypedDict

from microgpt.activations import ACTIVATIONS
from microgpt.config import DECAYS
from microgpt.lab.protocol.editing import Program
from microgpt.lab.protocol.values import Num, Shaped

Activation: TypeAlias = Literal[tuple(ACTIVATIONS)]  # type: ignore[valid-type]
Decay: TypeAlias = Literal[DECAYS]  # type: ignore[valid-type]
TokenizerKind = Literal["char", "byte"]


class Config(TypedDict):
    """The settings of a model and its training (config.py)."""

    n_embd: int
    n_head: int
    n_layer: int
    block_size: int
    activation: Activation
    init_std: float
    zero_init: bool
    bos_first: bool
    learning_rate: float
    warmup_steps: int
    decay: Decay
    beta1: float
    beta2: float
    eps_adam: float
    clip: float
    num_steps: int
    batch_size: int
    temperature: float
    seed: int


class Change(TypedDict):
    """A weight changed by hand."""

    path: str
    before: float
    after: float


class Model(TypedDict):
    """The active model."""

    run: str  # the id of the active run
    name: str  # 'trained for 1000 steps', 'random', a file's name
    about: str  # in a sentence or two: what it was trained on, and what is not known of that
    step: int  # updates made
    num_steps: int  # planned; doubled each time that training goes beyond it
    config: Config
    tokenizer: TokenizerKind
    symbols: Sequence[str]  # what each token id writes; hex digits for a byte that writes nothing alone; BOS writes ''
    bos: int
    num_params: int
    head_dim: int  # the width of one attention head
    sqrt_head_dim: float  # its square root, by which attention scores are divided
    uniform_loss: float  # ln(vocab_size): the loss of a model that gives every token the same probability
    shapes: Sequence[Shaped]
    engine: str  # 'native', 'scalar'
    note: str  # why the engine is not the faster one, or ''
    changes: Sequence[Change]  # weights changed by hand
    program: Program | None  # an edited one, which then computes every number; null: the reference


class Hello(TypedDict):
    """Who answers."""

    version: str  # of the package
    schema: int  # of this protocol
    python: str


class Branch(TypedDict):
    """The run and the step from which another run goes on."""

    run: str
    step: int


class Validation(TypedDict):
    """The held-out loss after a step."""

    step: int
    loss: float


class Run(TypedDict):
    """A run and its curve."""

    id: str
    name: str
    config: Config
    data: str
    step: int  # where it stands
    first: int  # the earliest step that it can be scrubbed to
    program: str  # '' for the reference, 'edited: gpt'
    branch: Branch | None  # where it comes from
    losses: Sequence[Num]  # of each step made; 'nan' where the file of an opened run does not tell
    validations: Sequence[Validation]
    active: bool


class Runs(TypedDict):
    """All runs of the session."""

    runs: Sequence[Run]


class Trained(TypedDict):
    """An event of training, for each stretch of steps."""

    run: str
    step: int
    losses: Sequence[float]  # of the steps since the last event
    document: str  # of the last step
    learning_rate: float
    steps_per_second: float
    done: bool


class Difference(TypedDict):
    """A setting that two runs do not share."""

    setting: str
    a: str | float | bool
    b: str | float | bool


class FirstDifference(TypedDict):
    """The first weight that differs, after the first step at which one does."""

    step: int
    tensor: str
    path: str
    a: Num  # 'nan' where the run has no such weight
    b: Num


class FirstDocuments(TypedDict):
    """The first step whose documents differ."""

    step: int
    a: str
    b: str


class Comparison(TypedDict):
    """Where two runs part."""

    a: str
    b: str
    differs: Sequence[Difference]
    first: FirstDifference | None  # null: nowhere
    documents: FirstDocuments | None


class Evaluation(TypedDict):
    """The loss on documents that training does not read, or, where none are held out, on training documents."""

    loss: float
    documents: int
    held_out: bool


class ExportedModel(TypedDict):
    """The active model as a checkpoint, which `microgpt sample` reads."""

    base64: str
    name: str


class Saved(TypedDict):
    """All that `restore` needs after the worker was stopped."""

    state: str
