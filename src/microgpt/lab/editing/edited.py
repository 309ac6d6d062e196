"""An edited program in place of the reference, so that every figure is computed by it.

main() is run once, with loss(), adam() and sample() replaced by functions that only record their arguments. This gives
the sizes, the seed, the learning rate of each step and the first parameters that main() itself uses. If an edit goes
beyond what the figures can follow, a message says so. Nothing is computed with the unedited program instead.
"""

from __future__ import annotations

import ast
import gc
import inspect
import math
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from types import FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from microgpt import reference
from microgpt.config import Config, Shapes, shapes
from microgpt.engines.base import num_positions
from microgpt.engines.program import REFERENCE, Program
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import LabError
from microgpt.lab.runs.opening import check_size, over
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.parameters import role
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance
from microgpt.tracing import names as tensor_names
from microgpt.tracing.recorder import Tensor, forward

if TYPE_CHECKING:
    from microgpt.lab.protocol import editing as protocol

FILE = "edited reference.py"
MAX_CHARACTERS = 200_000
MAX_STEPS = 100_000
READ = 200  # documents whose order is compared with the seed's shuffle

# The functions that the figures call, and the parameters that each must take first
NEEDED = {
    "init": ("shapes", "rng"),
    "gpt": ("token_id", "pos_id", "keys", "values", "state_dict"),
    "loss": ("tokens", "state_dict"),
    "adam": ("params", "m", "v", "step", "learning_rate"),
    "sample": ("state_dict", "bos", "rng", "temperature"),
    "main": ("docs",),
}


@dataclass
class Seen:
    """A record of what main() did."""

    seed: Any = None
    tokenizer: Any = None
    state_dict: dict[str, Any] = field(default_factory=dict)
    init_std: float = math.nan
    tokens: list[list[int]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    loss_arguments: dict[str, Any] | None = None
    gpt_arguments: dict[str, Any] = field(default_factory=dict)
    adam_arguments: dict[str, Any] | None = None
    sample_arguments: dict[str, Any] = field(default_factory=dict)
    backward: int = 0
    temperature: float = 0.5
    rng_state: tuple[Any, ...] | None = None


class Edited(Program):
    """An edited program.

    Attributes:
        text: The source.
        module: The source, loaded as a module.
        changed: The names of the functions that differ from the reference's, are new or are missing.
        name: The name that the page shows.
        seen: What main() did.
        notes: Sentences about what the figures cannot follow.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.module = _compiled(text)
        self.changed = frozenset(_changed(text))
        self.name = "edited" + (f": {', '.join(sorted(self.changed))}" if self.changed else "")
        self.seen = Seen()
        self.notes: list[str] = []

    def shapes(self, config: Config, vocab_size: int) -> Shapes:
        """Return the shapes of the parameters that main() made."""
        return {name: (len(matrix), len(matrix[0])) for name, matrix in self.seen.state_dict.items()}

    def loss_arguments(self, config: Config) -> dict[str, Any]:
        return self.seen.loss_arguments or {}

    def gpt_arguments(self, config: Config) -> dict[str, Any]:
        return self.seen.gpt_arguments

    def sample_arguments(self, config: Config) -> dict[str, Any]:
        return self.seen.sample_arguments

    def adam_arguments(self, config: Config) -> dict[str, Any]:
        return self.seen.adam_arguments or {}

    def learning_rate(self, step: int, scheduled: float) -> float:
        """Return main()'s own learning rate; after its last step, the scheduled one."""
        return self.seen.rates[step] if step < len(self.seen.rates) else scheduled


class Names(dict[str, Tensor]):
    """Recorded tensors by name. A name that the edited program does not compute raises LabError."""

    def __missing__(self, name: str) -> Tensor:
        raise LabError(f"the edited program does not compute {name}, which this figure needs")


def begin(id: str, text: Text, source: str) -> LabRun:
    """Begin a run whose numbers the edited program computes.

    Args:
        id: The id for the run.
        text: The text that the run trains on.
        source: The source of the program.

    Raises:
        LabError: The program fails, or the figures cannot follow it. The message names the line of an error.
    """
    program = load(source, text)
    seen = program.seen
    config = _config(program)
    check_size(config, len(seen.tokenizer.symbols))
    params = array("d", (x.data for x in chain.from_iterable(chain.from_iterable(seen.state_dict.values()))))
    data = text.data(config)
    state = Checkpoint(
        config=config,
        symbols=seen.tokenizer.symbols,
        params=params,
        m=array("d", bytes(8 * len(params))),
        v=array("d", bytes(8 * len(params))),
        step=0,
        rng_state=seen.rng_state or random.Random(seen.seed).getstate(),
        provenance=Provenance.of(data),
    )
    about = f"A model of the edited program that starts from random weights and trains on {text.name}."
    run = LabRun(id, program.name, about, text, over(text, state, "", program))
    _try(program, run)
    order = run.run.order
    expected = [data.sequence(order[i % len(order)]) for i in range(min(READ, len(seen.tokens)))]
    if [list(tokens) for tokens in seen.tokens[:READ]] != [list(tokens) for tokens in expected]:
        program.notes.append("main() reads the documents in another order; the figures use the seed's shuffle")
    return run


def load(source: str, text: Text) -> Edited:
    """Load a program, and record what its main() does with the text.

    Args:
        source: The source of the program.
        text: The text that main() reads.

    Raises:
        LabError: The program is too long or fails, the figures cannot follow it, or the text is not read as lines.
    """
    if len(source) > MAX_CHARACTERS:
        raise LabError(f"the program must have at most {MAX_CHARACTERS:,} characters, got {len(source):,}: shorten it")
    program = Edited(source)
    data = text.data(Config())
    if data.mode != "lines":
        raise LabError(f"an edited program reads one document per line, but {text.name} is one long text: load another")
    program.seen = _watched(program.module, [data.text(i) for i in range(len(data))])
    program.seen.gpt_arguments = _gpt_arguments(program)
    if _skeleton(source) != _skeleton(REFERENCE.text):
        program.notes.append(
            "main() has other statements than the reference. The figures take only the settings, the first parameters"
            " and the learning rates from it, and do each step as the reference does: loss(), backward(), adam(). Run"
            " does what main() does"
        )
    return program


def facts(run: LabRun) -> protocol.Program | None:
    """Return what the page shows about a run's edited program; None for the reference."""
    program = run.program
    if not isinstance(program, Edited):
        return None
    return {"name": program.name, "changed": sorted(program.changed), "notes": program.notes}


def need(program: Program, *functions: str) -> None:
    """Check that an edited program still has the functions that a figure needs.

    Raises:
        LabError: A function is missing.
    """
    for name in functions:
        if not callable(getattr(program.module, name, None)):
            raise LabError(f"the edited program has no function {name}(), which this figure needs")


def unchanged(run: LabRun, why: str, *functions: str) -> None:
    """Check that functions were not edited, for a figure that relies on the reference's version of them.

    Args:
        run: The run whose program is checked.
        why: Why the figure relies on them, for the message: "name() was edited, and <why>".
        functions: The names of the functions; "Value." stands for all methods of the reference's Value.

    Raises:
        LabError: A function was edited.
    """
    for name in sorted(run.program.changed):
        if name in _reference_functions() and (name in functions or ("Value." in functions and name[:6] == "Value.")):
            raise LabError(f"{name}() was edited, and {why}: this cannot be shown for the edited program")


def exportable(run: LabRun) -> None:
    """Check that `microgpt sample`, which computes with the reference, can use a run's checkpoint.

    Raises:
        LabError: The edited program computes with other functions, or has other parameters.
    """
    model = {"Tokenizer.encode", "Tokenizer.decode", *(name for name in run.program.changed if name[:6] == "Value.")}
    model |= {"linear", "softmax", "rmsnorm", "attention", "gpt"}
    if different := sorted(model & run.program.changed & _reference_functions().keys()):
        raise LabError(
            f"the weights need the edited {_listed([f'{name}()' for name in different])}, but `microgpt sample`"
            " computes with the unedited program: save the edited file instead, and train it with Python"
        )
    if run.shapes != shapes(run.config, run.engine.vocab_size):
        raise LabError(
            "the edited program has other parameters than `microgpt sample` expects: save the edited file instead"
        )


# --- The module


def _compiled(text: str) -> ModuleType:
    """Load the text as a module with a print() that does nothing."""
    module = ModuleType("edited")
    module.__dict__["print"] = lambda *_, **__: None
    try:
        exec(compile(text, FILE, "exec", dont_inherit=True), module.__dict__)
    except SyntaxError as error:
        raise LabError(f"line {error.lineno}: {type(error).__name__}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise LabError(blamed(error) or f"the program cannot be loaded: {error}") from None
    for name in ("Value", "Tokenizer"):
        if not isinstance(getattr(module, name, None), type):
            raise LabError(f"the figures need the class {name}, which the program no longer has: put it back")
    for name, needed in NEEDED.items():
        f = getattr(module, name, None)
        if not isinstance(f, FunctionType):
            raise LabError(f"the figures need the function {name}(), which the program no longer has: put it back")
        there = list(inspect.signature(f).parameters)
        if there[: len(needed)] != list(needed):
            line = f.__code__.co_firstlineno
            raise LabError(
                f"line {line}: the figures call {name}({', '.join(needed)}, ...), but it now takes"
                f" ({', '.join(there)}): keep these parameters first, and add others after them"
            )
    return module


def blamed(error: BaseException) -> str:
    """Return the sentence for an error in an edited program, with its line; "" if the error is from elsewhere."""
    for one in (error, error.__cause__, error.__context__):
        line = _line(one.__traceback__) if one else None
        if line and one and not isinstance(one, LabError):
            return f"line {line}: {type(one).__name__}: {one}"
    return ""


def _line(traceback: TracebackType | None) -> int | None:
    """Return the innermost line of the edited program in a traceback."""
    line = None
    while traceback:
        if traceback.tb_frame.f_code.co_filename == FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _functions(text: str) -> dict[str, str]:
    """Return the code of each function and method as text, without its comments, docstrings and line numbers."""
    table: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            table[node.name] = _bare(node)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    table[f"{node.name}.{inner.name}"] = _bare(inner)
    return table


def _bare(node: ast.FunctionDef) -> str:
    if ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    return ast.dump(node)


@cache
def _reference_functions() -> dict[str, str]:
    return _functions(REFERENCE.text)


def _changed(text: str) -> set[str]:
    ours, theirs = _reference_functions(), _functions(text)
    return {name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)}


class _Skeleton(ast.NodeTransformer):
    """Remove from main() its constants, and the arguments of the functions whose calls are recorded."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(0)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in (*NEEDED, "shapes", "Tokenizer", "print"):
            node.args, node.keywords = [], []
        return node


def _skeleton(text: str) -> str:
    tree = ast.parse(text)
    main = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    return ast.dump(_Skeleton().visit(main))


# --- What main() does


def _watched(module: ModuleType, documents: list[str]) -> Seen:
    """Run main() without its long computations, and record what it does."""
    seen = Seen()
    bind = {name: inspect.signature(getattr(module, name)).bind for name in NEEDED}

    def split(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments for the needed parameters of a function, and its other arguments by name."""
        given = bind[name](*args, **options).arguments
        return [given[needed] for needed in NEEDED[name]], {k: x for k, x in given.items() if k not in NEEDED[name]}

    class Seeded(random.Random):
        def __init__(self, seed: Any = None) -> None:
            seen.seed = seed
            super().__init__(seed)

    class Watched(module.Tokenizer):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            seen.tokenizer = self

    class Surprise(module.Value):  # type: ignore[name-defined, misc]
        def backward(self) -> None:
            seen.backward += 1

    def init(*args: Any, **options: Any) -> Any:
        seen.init_std = split("init", args, options)[1].get("init_std", math.nan)
        seen.state_dict = module.init(*args, **options)
        return seen.state_dict

    def loss(*args: Any, **options: Any) -> Any:
        (tokens, state_dict), others = split("loss", args, options)
        if state_dict is not seen.state_dict:
            raise LabError("main() must pass loss() the parameters that init() made: the figures cannot follow others")
        if seen.loss_arguments is not None and others != seen.loss_arguments:
            raise LabError("main() must pass loss() the same settings at every step: the figures cannot follow others")
        seen.loss_arguments = others
        seen.tokens.append(tokens)
        return Surprise(0.0)

    def adam(*args: Any, **options: Any) -> None:
        (params, _, _, step, rate), others = split("adam", args, options)
        if step != len(seen.rates) + 1 or step > MAX_STEPS:
            raise LabError(
                f"main() must pass adam() the steps 1, 2, ... up to {MAX_STEPS:,} at most, got step={step} after"
                f" {len(seen.rates)} steps"
            )
        if step == 1 and list(map(id, params)) != list(map(id, _flat(seen.state_dict))):
            raise LabError("main() must pass adam() all parameters in their order: the figures cannot follow others")
        if seen.adam_arguments is not None and others != seen.adam_arguments:
            raise LabError("main() must pass adam() the same settings at every step: the figures cannot follow others")
        seen.adam_arguments = others
        seen.rates.append(rate)

    def sample(*args: Any, **options: Any) -> list[int]:
        (_, _, rng, temperature), seen.sample_arguments = split("sample", args, options)
        seen.rng_state = seen.rng_state or rng.getstate()
        seen.temperature = temperature
        return []

    watched_random = ModuleType("random")
    watched_random.__dict__.update({**vars(random), "Random": Seeded})
    space = {
        **{**vars(module), "random": watched_random, "Tokenizer": Watched},
        **{f.__name__: f for f in (init, loss, adam, sample)},
    }
    main, collects = module.main, gc.isenabled()
    try:
        FunctionType(main.__code__, space, "main", main.__defaults__, main.__closure__)(documents)
    except LabError:
        raise
    except (Exception, SystemExit) as error:
        raise LabError(blamed(error) or f"main() fails: {type(error).__name__}: {error}") from None
    finally:
        if collects:
            gc.enable()
    _check(seen, module.Value)
    return seen


def _flat(state_dict: dict[str, Any]) -> list[Any]:
    return list(chain.from_iterable(chain.from_iterable(state_dict.values())))


def _check(seen: Seen, value: type) -> None:
    if type(seen.seed) is not int:
        raise LabError(f"main() must begin with random.Random(a whole number), got seed={seen.seed!r:.40}")
    if seen.tokenizer is None or not seen.state_dict or not {"wte", "wpe"} <= seen.state_dict.keys():
        raise LabError("main() must make a Tokenizer, and call init() for parameters that include wte and wpe")
    for name, matrix in seen.state_dict.items():
        rows = [row if isinstance(row, list) else [] for row in matrix] if isinstance(matrix, list) else []
        if not rows or {len(row) for row in rows} != {len(rows[0]) or None}:
            raise LabError(f"init() must make matrices, lists of rows of the same length, which {name!r} is not")
        if not all(isinstance(x, value) for row in rows for x in row):
            raise LabError(f"the matrices that init() makes must hold Values, which {name!r} does not")
    if not seen.rates:
        raise LabError("main() must call adam() at every step: the figures take the learning rates from its calls")
    if not len(seen.tokens) == seen.backward == len(seen.rates):
        raise LabError(
            "the figures train with one loss(), one backward() and one adam() per step, but main() has"
            f" {len(seen.tokens)}, {seen.backward} and {len(seen.rates)} of them. Run does what main() does"
        )
    expected = reference.Tokenizer([s for s in seen.tokenizer.symbols if s], seen.tokenizer.bos == 0)
    if expected.symbols != seen.tokenizer.symbols:
        raise LabError("the figures need the tokens in sorted order, with BOS first or last: keep to that in Tokenizer")


def _gpt_arguments(program: Edited) -> dict[str, Any]:
    """Return the settings that loss() passes to gpt(), found by computing a part of one document."""
    module, seen = program.module, program.seen
    bind = inspect.signature(module.gpt).bind
    found: dict[str, Any] = {}

    def gpt(*args: Any, **options: Any) -> Any:
        given = bind(*args, **options).arguments
        found.update({name: x for name, x in given.items() if name not in NEEDED["gpt"]})
        return module.gpt(*args, **options)

    space = {**vars(module), "gpt": gpt}
    loss: Callable[..., Any] = FunctionType(
        module.loss.__code__, space, "loss", module.loss.__defaults__, module.loss.__closure__
    )
    try:
        loss(seen.tokens[0][:3], seen.state_dict, **(seen.loss_arguments or {}))
    except (Exception, SystemExit) as error:
        raise LabError(blamed(error) or f"loss() fails: {type(error).__name__}: {error}") from None
    return found


def _config(program: Edited) -> Config:
    """Return the settings of main() that the page shows."""
    seen, adam, loss = program.seen, program.seen.adam_arguments or {}, program.seen.loss_arguments or {}
    table = program.shapes(Config(), 0)
    layers = {name.partition(".")[0] for name in table if name.startswith("layer")}
    n_head = loss.get("n_head", program.seen.gpt_arguments.get("n_head"))
    if type(n_head) is not int:
        raise LabError("the figures need the number of heads: pass n_head to loss() as the reference does")
    zero = [name for name in table if role(name).starts_at_zero]
    known: dict[str, Any] = {name: adam[name] for name in ("beta1", "beta2", "eps_adam") if name in adam}
    return Config(
        n_embd=table["wte"][1],
        n_head=n_head,
        n_layer=len(layers),
        block_size=loss.get("block_size", table["wpe"][0]),
        init_std=seen.init_std if math.isfinite(seen.init_std) else 0.0,
        zero_init=all(x.data == 0.0 for name in zero for row in seen.state_dict[name] for x in row),
        bos_first=seen.tokenizer.bos == 0,
        learning_rate=seen.rates[0],
        num_steps=len(seen.rates),
        temperature=float(seen.temperature),
        seed=seen.seed,
        **known,
    )


def _try(program: Edited, run: LabRun) -> None:
    """Take one step on a copy, so that errors appear before a figure asks, and note which names are missing."""
    tokens = program.seen.tokens[0]
    engine = run.scratch()
    assert isinstance(engine, ScalarEngine)
    try:
        engine.backward([tokens])
        engine.update(run.next_rate)
        made = forward(tokens, engine.model)
    except Exception as error:
        raise LabError(blamed(error) or str(error)) from None
    count = num_positions(tokens, run.config)
    gone = [name for name in tensor_names.intermediates(run.config, engine.vocab_size, count) if name not in made]
    if kinds := list(dict.fromkeys(map(tensor_names.without_place, gone))):
        program.notes.append(f"The program does not compute {_listed(kinds)}; a figure that needs one of these says so")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
