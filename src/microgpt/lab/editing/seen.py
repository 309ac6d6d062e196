"""Record what an edited main() does, by calling it once with functions that record their arguments."""

from __future__ import annotations

import gc
import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from types import FunctionType, ModuleType
from typing import Any

from microgpt import reference
from microgpt.errors import LabError
from microgpt.lab.editing.module import NEEDED, error_sentence

MAX_STEPS = 100_000


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


def watch_main(module: ModuleType, documents: list[str]) -> Seen:
    """Call main() without its expensive computations and record what it does."""
    seen = Seen()
    bind = {name: inspect.signature(getattr(module, name)).bind for name in NEEDED}

    def split(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return a call's arguments for the needed parameters, and its other arguments by name."""
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
            raise LabError("main() must pass init()'s parameters to loss(): the figures support no other parameters")
        if seen.loss_arguments is not None and others != seen.loss_arguments:
            raise LabError("main() must pass the same settings to loss() each time: the figures need constant settings")
        seen.loss_arguments = others
        seen.tokens.append(tokens)
        return Surprise(0.0)

    def adam(*args: Any, **options: Any) -> None:
        (params, _, _, step, rate), others = split("adam", args, options)
        if step != len(seen.rates) + 1 or step > MAX_STEPS:
            raise LabError(
                f"main() must call adam() with step=1, 2, ..., up to {MAX_STEPS:,}, got step={step} after"
                f" {len(seen.rates)} steps"
            )
        if step == 1 and list(map(id, params)) != list(map(id, _flat(seen.state_dict))):
            raise LabError("main() must pass all parameters to adam() in init()'s order: the figures rely on it")
        if seen.adam_arguments is not None and others != seen.adam_arguments:
            raise LabError("main() must pass the same settings to adam() each time: the figures need constant settings")
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
        raise LabError(error_sentence(error) or f"main() fails: {type(error).__name__}: {error}") from None
    finally:
        if collects:
            gc.enable()
    _check(seen, module.Value)
    return seen


def _flat(state_dict: dict[str, Any]) -> list[Any]:
    return list(chain.from_iterable(chain.from_iterable(state_dict.values())))


def _check(seen: Seen, value: type) -> None:
    if type(seen.seed) is not int:
        raise LabError(f"main() must seed random.Random with a whole number, got seed={seen.seed!r:.40}")
    if seen.tokenizer is None or not seen.state_dict or not {"wte", "wpe"} <= seen.state_dict.keys():
        raise LabError("main() must create a Tokenizer and call init() to create the parameters, including wte and wpe")
    for name, matrix in seen.state_dict.items():
        rows = [row if isinstance(row, list) else [] for row in matrix] if isinstance(matrix, list) else []
        if not rows or {len(row) for row in rows} != {len(rows[0]) or None}:
            raise LabError(f"init() must create matrices (lists of rows of equal length), but {name!r} is not a matrix")
        if not all(isinstance(x, value) for row in rows for x in row):
            raise LabError(f"init() must fill its matrices with Values only, but {name!r} contains other objects")
    if not seen.rates:
        raise LabError("main() must call adam() at every step: the figures take the learning rates from these calls")
    if not len(seen.tokens) == seen.backward == len(seen.rates):
        raise LabError(
            "the figures need one call each to loss(), backward() and adam() per step, but main() calls them"
            f" {len(seen.tokens)}, {seen.backward} and {len(seen.rates)} times, respectively. The Run button runs"
            " main() as written"
        )
    expected = reference.Tokenizer([s for s in seen.tokenizer.symbols if s], seen.tokenizer.bos == 0)
    if expected.symbols != seen.tokenizer.symbols:
        raise LabError("the figures need sorted tokens, with BOS first or last: keep this order in Tokenizer")


def gpt_arguments(module: ModuleType, seen: Seen) -> dict[str, Any]:
    """Return the settings that loss() passes to gpt(), found by computing the loss on the beginning of one document."""
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
        raise LabError(error_sentence(error) or f"loss() fails: {type(error).__name__}: {error}") from None
    return found
