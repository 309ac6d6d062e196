"""Use an edited program in place of the reference, so that the edited program computes every figure.

main() runs once, with loss(), adam() and sample() replaced by functions that only record their arguments. The record
contains the sizes, the seed, each step's learning rate and the initial parameters that main() uses. If the figures
cannot reflect an edit, a message says so; they never use the unedited program instead.
"""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from microgpt.config import Config, Shapes, shapes
from microgpt.engines.base import num_positions
from microgpt.engines.program import REFERENCE, Program
from microgpt.engines.scalar import ScalarEngine
from microgpt.errors import LabError
from microgpt.lab.editing.module import changed, compiled, error_sentence, reference_functions, skeleton
from microgpt.lab.editing.seen import Seen, gpt_arguments, watch_main
from microgpt.lab.runs.opening import check_size, from_checkpoint
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import Text
from microgpt.parameters import role
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance
from microgpt.tracing import names as tensor_names
from microgpt.tracing.recorder import Tensor, forward

if TYPE_CHECKING:
    from microgpt.lab.protocol import editing as protocol

MAX_CHARACTERS = 200_000
READ = 200  # the number of documents whose order is compared with the seed's shuffle


class Edited(Program):
    """An edited program.

    Attributes:
        text: The source.
        module: The source, loaded as a module.
        changed: The names of the functions that were changed, added or removed.
        name: The name that the page shows.
        seen: The record of what main() did.
        notes: Messages about edits that the figures cannot reflect.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.module = compiled(text)
        self.changed = frozenset(changed(text))
        self.name = "edited" + (f": {', '.join(sorted(self.changed))}" if self.changed else "")
        self.seen = Seen()
        self.notes: list[str] = []

    def shapes(self, config: Config, vocab_size: int) -> Shapes:
        """Return the shapes of the parameters that main() created."""
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
        """Return main()'s learning rate for a step, or `scheduled` after main()'s last step."""
        return self.seen.rates[step] if step < len(self.seen.rates) else scheduled


class Names(dict[str, Tensor]):
    """Recorded tensors by name. Looking up a tensor that the edited program does not compute raises LabError."""

    def __missing__(self, name: str) -> Tensor:
        raise LabError(f"the edited program does not compute {name}, which this figure needs")


def begin(id: str, text: Text, source: str) -> LabRun:
    """Start a run that uses an edited program.

    Args:
        id: The new run's id.
        text: The text that the run trains on.
        source: The program's source.

    Raises:
        LabError: The program fails, or the figures cannot be computed from it. The message gives the line number.
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
    about = f"The edited program's model, which starts from random weights and trains on {text.name}."
    run = LabRun(id, program.name, about, text, from_checkpoint(text, state, "", program))
    _try(program, run)
    order = run.run.order
    expected = [data.sequence(order[i % len(order)]) for i in range(min(READ, len(seen.tokens)))]
    if [list(tokens) for tokens in seen.tokens[:READ]] != [list(tokens) for tokens in expected]:
        program.notes.append("main() reads the documents in a different order; the figures use the seed's shuffle")
    return run


def load(source: str, text: Text) -> Edited:
    """Load a program and record what its main() does with the text.

    Args:
        source: The program's source.
        text: The text that main() reads.

    Raises:
        LabError: The program is too long or fails, the figures cannot be computed from it, or the text is a stream.
    """
    if len(source) > MAX_CHARACTERS:
        raise LabError(f"the program must have at most {MAX_CHARACTERS:,} characters, got {len(source):,}: shorten it")
    program = Edited(source)
    data = text.data(Config())
    if data.mode != "lines":
        raise LabError(
            f"an edited program reads one document per line, but {text.name} is one long text: load another text"
        )
    program.seen = watch_main(program.module, [data.text(i) for i in range(len(data))])
    program.seen.gpt_arguments = gpt_arguments(program.module, program.seen)
    if skeleton(source) != skeleton(REFERENCE.text):
        program.notes.append(
            "The statements of main() differ from the reference's. The figures take only the settings, the initial"
            " parameters and the learning rates from main(), and compute each step as the reference does: loss(),"
            " backward(), adam(). The Run button runs main() as written"
        )
    return program


def facts(run: LabRun) -> protocol.Program | None:
    """Return what the page shows about a run's edited program, or None if the run uses the reference."""
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
    """Check that the functions that a figure relies on were not edited.

    Args:
        run: The run whose program is checked.
        why: Why the figure relies on the functions, for the message: "name() was edited, but <why>".
        functions: The names of the functions; "Value." stands for all methods of the reference's Value.

    Raises:
        LabError: A function was edited.
    """
    for name in sorted(run.program.changed):
        if name in reference_functions() and (name in functions or ("Value." in functions and name[:6] == "Value.")):
            raise LabError(f"{name}() was edited, but {why}: the edited program cannot be shown here")


def exportable(run: LabRun) -> None:
    """Check that `microgpt sample`, which runs the unedited program, can use a run's checkpoint.

    Raises:
        LabError: The edited program changes the model's functions or parameters.
    """
    model = {"Tokenizer.encode", "Tokenizer.decode", *(name for name in run.program.changed if name[:6] == "Value.")}
    model |= {"linear", "softmax", "rmsnorm", "attention", "gpt"}
    if different := sorted(model & run.program.changed & reference_functions().keys()):
        raise LabError(
            f"the weights need the edited {_listed([f'{name}()' for name in different])}, but `microgpt sample`"
            " runs the unedited program: save the edited file instead and run it with Python"
        )
    if run.shapes != shapes(run.config, run.engine.vocab_size):
        raise LabError(
            "the edited program's parameters differ from those that `microgpt sample` expects: save the edited file"
            " instead and run it with Python"
        )


def _config(program: Edited) -> Config:
    """Return main()'s settings in the form that the page shows."""
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
    """Take one training step on a copy, so that errors appear early, and note which tensors are missing."""
    tokens = program.seen.tokens[0]
    engine = run.scratch()
    assert isinstance(engine, ScalarEngine)
    try:
        engine.backward([tokens])
        engine.update(run.next_rate)
        made = forward(tokens, engine.model)
    except Exception as error:
        raise LabError(error_sentence(error) or str(error)) from None
    count = num_positions(tokens, run.config)
    gone = [name for name in tensor_names.intermediates(run.config, engine.vocab_size, count) if name not in made]
    if kinds := list(dict.fromkeys(map(tensor_names.without_place, gone))):
        program.notes.append(f"The program does not compute {_listed(kinds)}; figures that need them show an error")


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
