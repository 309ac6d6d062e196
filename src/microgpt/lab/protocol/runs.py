"""Response types for models and runs: the active model, the run list, training, comparison, and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypedDict

from microgpt.activations import ACTIVATIONS
from microgpt.config import DECAYS
from microgpt.lab.protocol.editing import Program
from microgpt.lab.protocol.training import CloseUp, Row
from microgpt.lab.protocol.values import Num, Shaped

Activation: TypeAlias = Literal[tuple(ACTIVATIONS)]  # type: ignore[valid-type]
Decay: TypeAlias = Literal[DECAYS]  # type: ignore[valid-type]
TokenizerKind = Literal["char", "byte"]


class Config(TypedDict):
    """The settings for a model and its training (config.py)."""

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
    weight_decay: float
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
    name: str  # 'names', 'published', 'random', a file's name
    about: str  # one or two sentences about the model's origin and training data
    own_text: bool  # whether the text on show is the text that the model was trained on
    step: int  # the number of completed updates
    num_steps: int  # the number of planned updates, doubled each time training exceeds the plan
    config: Config
    val_fraction: float  # the fraction of the documents that is held out
    activation: str  # the formula of config.activation
    activations: Sequence[str]  # the choices for config.activation
    tokenizer: TokenizerKind
    symbols: Sequence[str]  # the text of each token id; hex digits for a byte that is not printable ASCII; '' for BOS
    bos: int
    num_params: int
    head_dim: int  # the width of one attention head
    sqrt_head_dim: float  # the square root of head_dim, by which attention scores are divided
    uniform_loss: float  # ln(vocab_size): the loss of a model that gives every token the same probability
    shapes: Sequence[Shaped]
    engine: str  # 'native', 'scalar'
    note: str  # why the faster engine is not used, or ''
    changes: Sequence[Change]  # weights changed by hand
    program: Program | None  # the edited program that computes every number; null for the reference


class Hello(TypedDict):
    """The versions of the package, this protocol and Python."""

    version: str
    schema: int
    python: str


class Branch(TypedDict):
    """The run and the step that a branch starts from."""

    run: str
    step: int


class Validation(TypedDict):
    """The held-out loss after a step."""

    step: int
    loss: float


class Run(TypedDict):
    """A run and its loss curve."""

    id: str
    name: str
    config: Config
    data: str
    step: int  # the run's current step
    first: int  # the earliest step that the run can be scrubbed to
    program: str  # 'edited: gpt', or '' for the reference
    branch: Branch | None  # where the run branched off
    losses: Sequence[Num]  # the loss of each step; 'nan' if an opened run's files do not record the loss
    validations: Sequence[Validation]
    frozen: bool  # whether training creates a branch, because the run itself never changes
    active: bool


class Runs(TypedDict):
    """All runs of the session."""

    runs: Sequence[Run]


class Trained(TypedDict):
    """A training event, sent every few steps."""

    run: str
    step: int
    losses: Sequence[float]  # the losses of the steps since the previous event
    document: str  # the last document of the last step
    learning_rate: float
    steps_per_second: float
    mean: float | None  # the mean of the last losses, as in Progress
    close_up: CloseUp | None  # of the last step, if it was asked for and the run does not pause before
    row: Row | None  # samples, if a row of samples is due
    done: bool


class Difference(TypedDict):
    """A setting that differs between two runs."""

    setting: str
    a: str | float | bool
    b: str | float | bool


class FirstDifference(TypedDict):
    """The first step at which any weight differs, and the first such weight."""

    step: int
    tensor: str
    path: str
    a: Num  # 'nan' if the run has no such weight
    b: Num


class FirstDocuments(TypedDict):
    """The first step at which the runs read different documents."""

    step: int
    a: str
    b: str


class Comparison(TypedDict):
    """The differences between two runs, and where they diverge."""

    a: str
    b: str
    differs: Sequence[Difference]
    first: FirstDifference | None  # null if no weight differs
    documents: FirstDocuments | None


class Pair(TypedDict):
    """Two short runs that differ in one thing, and their comparison."""

    a: Run
    b: Run
    comparison: Comparison
    samples: tuple[Sequence[str], Sequence[str]]  # of each run


class Evaluation(TypedDict):
    """The loss on held-out documents, or on training documents if none are held out."""

    loss: float
    documents: int
    held_out: bool


class ExportedModel(TypedDict):
    """The active model as a checkpoint that `microgpt sample` can read."""

    base64: str
    name: str


class Saved(TypedDict):
    """The session's saved state, which can be passed to `restore` in a new worker."""

    state: str
