"""The command line. It parses, calls, and prints; what is computed is computed elsewhere."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json as json_module
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

import microgpt
from microgpt import display, evaluation
from microgpt.board import Board, check_tensorboard
from microgpt.config import ACTIVATIONS, DECAYS, PRESETS, SIZES, Config, shapes
from microgpt.data import DATASETS, MODES
from microgpt.engines import ENGINES, processes
from microgpt.prepared import check, is_prepared, open_prepared
from microgpt.run import Folder, Run, next_folder
from microgpt.tokenization import KINDS
from microgpt.training import DivergedError

app = typer.Typer(
    name="microgpt",
    help="A whole GPT you can see through: train one on your own text, and let it write.",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


class StoppedError(Exception):
    """Training that could not go on, for no fault in what was asked."""


CHOICES = {"activation": ACTIVATIONS, "decay": DECAYS}
GRACE = 10.0  # seconds that a process that is asked to terminate has for its last step and checkpoint
NUM_SAMPLES = 20  # after training, as the published script


def _default(value: object) -> str:
    """How a help text tells a default that is not the parameter's own: None there says that nothing was asked for."""
    return rf" [dim]\[default: {value}][/]"


def number(kind: type[int] | type[float], at_least: int | None = None) -> dict[str, Any]:
    """Of an option that takes a number: how it is read and shown. The error says what came."""

    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            raise typer.BadParameter(f"it must be {'a whole' if kind is int else 'a'} number, got {text!r}") from None
        if at_least is not None and value < at_least:
            raise typer.BadParameter(f"it must be at least {at_least}, got {text}")
        return value

    return {"parser": parse, "metavar": f"<{kind.__name__}>"}


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every field of Config, in place of its parameter `settings`.

    An option that is not given is None there, so that a command can tell what was asked for.
    """
    signature = inspect.signature(command, eval_str=True)
    options = []
    for f in dataclasses.fields(Config):
        kind = type(f.default)
        how = number(kind) if kind in (int, float) else {}
        if f.name in CHOICES:
            how = {"metavar": "|".join(CHOICES[f.name])}
        option = typer.Option(
            help=f.metadata["help"] + _default(str(f.default).lower() if kind is bool else f.default),
            rich_help_panel="Model and training (every field of Config)",
            **how,
        )
        annotation: Any = Annotated[kind | None, option]
        options.append(inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))

    def wrapper(**arguments: Any) -> None:
        settings = {o.name: arguments.pop(o.name) for o in options}
        given = {name: value for name, value in settings.items() if value is not None}
        command(**arguments, settings=given)

    kept = [p.replace(kind=p.KEYWORD_ONLY) for p in signature.parameters.values() if p.name != "settings"]
    wrapper.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*kept, *options]}
    wrapper.__name__, wrapper.__doc__ = command.__name__, command.__doc__
    return wrapper


# --- Arguments that several commands share

DOCUMENTS = "A document a line, or one long text (stream) cut into windows of block_size."
TOKENIZER = "What is one token: a character of the text, a byte, or one of N byte pairs learned from it."

FileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help=f"A text file in UTF-8, a data set ({', '.join(DATASETS)}), or a folder of prepared data."
        + _default(DATASETS[0]),
    ),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a checkpoint file.")]
EngineOption = Annotated[
    str, typer.Option(metavar="|".join(["auto", *ENGINES]), help="What computes it: the fastest that is here.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        metavar="exact|float32|float64|bfloat16",
        help="Of the native engine exact (bit for bit the reference) or float32; of torch float32, float64 or bfloat16."
        + _default("the engine's first"),
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        help="How many share the documents of a batch; the numbers are the same. Of torch: the work."
        + _default("1; torch: as many as help"),
        **number(int),
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option(metavar="cuda|mps|cpu", help="Of the torch engine." + _default("the best that is here"))
]
DataOption = Annotated[str | None, typer.Option(metavar="FILE", help="The training data, if they have moved.")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of the samples." + _default("the run's"), **number(int))]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version, and stop.")] = False,
) -> None:
    if version:
        print(microgpt.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
@config_options
def train(
    file: FileArgument = None,
    *,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="|".join([*PRESETS, *SIZES]),
            help="The published version, or the size, to start from." + _default("final"),
        ),
    ] = None,
    documents: Annotated[
        str | None,
        typer.Option(metavar="|".join(MODES), help=DOCUMENTS + _default(MODES[0])),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="|".join(KINDS), help=TOKENIZER + _default(KINDS[0]))] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share of the documents that is held out, and measured now and then." + _default(0), **number(float)
        ),
    ] = None,
    validate_every: Annotated[
        int | None,
        typer.Option(help="Steps between two held-out losses." + _default("a tenth of all"), **number(int, at_least=1)),
    ] = None,
    micro_batch_size: Annotated[
        int | None,
        typer.Option(
            help="Documents computed at once, their gradients accumulated." + _default("batch_size"), **number(int)
        ),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Of the torch engine: fuse operations; slow to start, then faster.")
    ] = False,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Of the torch engine: the same bits each time on a GPU too.")
    ] = False,
    shard: Annotated[
        bool, typer.Option("--shard", help="Of processes that train together each keeps a part of Adam's moments.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder of the run." + _default("runs/1, runs/2, ...")),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, bit for bit.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    checkpoint_every: Annotated[
        int,
        typer.Option(
            help="Steps between two checkpoints; 0: every 30 seconds, large ones less often.", **number(int, at_least=0)
        ),
    ] = 0,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write the metrics for TensorBoard too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the samples.")] = False,
    json: JsonOption = False,
    settings: dict[str, Any],
) -> None:
    """Train a model, and print what it writes.

    [bold]Examples[/]

      microgpt train --num-steps 20
      microgpt train names --out runs/small --n-embd 8 --n-head 2 --num-steps 20
      microgpt train --out runs/small --resume --num-steps 30
    """
    rank, _ = processes()
    if tensorboard:
        check_tensorboard()
    show = display.choose(quiet, json) if rank == 0 else display.Quiet()
    options = {
        "documents": documents,
        "tokenizer": tokenizer,
        "val_fraction": val_fraction,
        "validate_every": validate_every,
        "micro_batch_size": micro_batch_size,
    }
    computed_by: dict[str, Any] = {"engine": engine, "precision": precision, "threads": threads}
    computed_by |= _asked(device=device, compile=compile, deterministic=deterministic, shard=shard)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if preset is not None:
        presets = {**PRESETS, **SIZES}
        if preset not in presets:
            raise ValueError(f"preset must be one of {', '.join(presets)}, got preset={preset!r}")
        settings = {**presets[preset].to_dict(), **settings}
    if resume:
        if out is None:
            raise ValueError("resume needs the folder of the run: add --out DIR")
        if overwrite:
            raise ValueError("resume and overwrite exclude each other: leave one of them out")
        if preset is not None:
            raise ValueError(f"preset cannot be given with resume, got preset={preset!r}: the run has its settings")
        folder = Folder.resume(out, changes={**settings, **given}, source=file, **computed_by)
        if folder.run.config.num_steps != folder.planned_steps:
            show.message(
                f"num_steps: {folder.planned_steps} -> {folder.run.config.num_steps}; the learning rate is recomputed,"
                " to fall to 0 over all of them"
            )
    else:
        config = Config().replace(**settings)
        with display.Bars() as bars:
            download = partial(bars, "names.txt")
            run = Run.begin(file or DATASETS[0], config, progress=download, **computed_by, **given)
        if out is None:
            out = next_folder(Path("runs")) if rank == 0 else Path()
        folder = Folder.create(out, run, overwrite=overwrite)
    folder.computed_by = computed_by
    with folder, Board(folder.path, folder.run) if tensorboard and rank == 0 else nullcontext() as board:
        _train(folder, show, checkpoint_every, board)


def _asked(**options: Any) -> dict[str, Any]:
    """The options of an engine that were asked for."""
    return {name: value for name, value in options.items() if value}


def _train(folder: Folder, show: display.Display, checkpoint_every: int, board: Board | None) -> None:
    run, stopped = folder.run, False
    show.begin(run)
    try:
        with signals() as caught, not_waiting_for_the_dead(folder):
            for step in folder.train(checkpoint_every, together=True):
                show.step(step)
                if board:
                    board.step(step)
                if step.step == run.step and folder.any(bool(caught)):
                    folder.save()
                    stopped = True
                    break
    except OSError as error:
        way_on = f"the last checkpoint is whole: {resume_command(folder)} goes on from it"
        raise StoppedError(f"{error}; {way_on}") from error
    finally:
        show.end()
    if stopped and run.step < run.config.num_steps:
        if run.engine.rank == 0:
            print(f"stopped and saved after step {run.step}; go on with: {resume_command(folder)}", file=sys.stderr)
        raise typer.Exit(128 + (caught or [signal.SIGTERM])[0])
    if run.engine.rank:
        return
    texts = run.sample(NUM_SAMPLES)
    folder.write_samples(display.sample_lines(texts))  # kept before they are shown
    show.samples(texts)
    show.message(f"saved in {folder.path}; more samples: microgpt sample {shlex.quote(str(folder.path))}")


def resume_command(folder: Folder) -> str:
    """What to type to go on with a run, by the same engine in the same way."""
    engine = folder.run.engine
    how = dict(folder.computed_by)
    if engine.device:
        how |= {"engine": "torch", "precision": getattr(engine, "precision", None)}
    line = f"microgpt train --out {shlex.quote(str(folder.path))} --resume"
    for name, value in how.items():
        if value is True:
            line += f" --{name}"
        elif value not in (None, False, {"engine": "auto", "threads": 1}.get(name)):
            line += f" --{name} {shlex.quote(str(value))}"
    if engine.world_size > 1:
        line = f"torchrun --nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', engine.world_size)} -m {line}"
    return line


@contextmanager
def signals() -> Iterator[list[int]]:
    """A list that Ctrl-C or a request to terminate is put in, for a loop to look at; a second one acts at once."""
    caught: list[int] = []
    handled = (signal.SIGINT, signal.SIGTERM)

    def catch(number: int, _: FrameType | None) -> None:
        caught.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    # who started this process may have asked it to ignore one (nohup, a shell's &)
    before = {each: signal.signal(each, catch) for each in handled if signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield caught
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@app.command()
def prepare(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Text files in UTF-8, read in this order.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DATA", help="The folder of the prepared data.")],
    tokenizer: Annotated[str, typer.Option(metavar="|".join(KINDS), help=TOKENIZER)] = KINDS[0],
    documents: Annotated[str, typer.Option(metavar="|".join(MODES), help=DOCUMENTS)] = MODES[0],
    bos_first: Annotated[bool, typer.Option("--bos-first", help="BOS is token id 0 instead of the last id.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes." + _default("one for each processor"), **number(int, at_least=1)),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was prepared otherwise.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Afterwards, read all of it and compare checksums.")] = False,
    json: JsonOption = False,
) -> None:
    """Tokenize text that is too large for memory, once; training then reads it from disk where it needs it.

    Stopped, it goes on where it was when it is asked the same again.

    [bold]Examples[/]

      microgpt prepare names -o data/names
      microgpt prepare names -o data/bytes --tokenizer byte --documents stream
      microgpt train data/names --out runs/prepared --num-steps 20
    """
    from microgpt.preparing import prepare as prepare_data  # and with it what starts processes

    try:
        with display.Bars() as progress:
            data = prepare_data(
                files,
                output,
                tokenizer=tokenizer,
                documents=documents,
                bos_first=bos_first,
                workers=workers,
                overwrite=overwrite,
                progress=progress,
            )
            if verify:
                check(output, progress)
    except KeyboardInterrupt:
        display.tell("stopped; the same command goes on from here")
        raise
    facts = data.summary()
    if json:
        print(json_module.dumps(facts))
        return
    documents_told = f"{facts['num_docs']:,} documents, " if data.mode == "lines" else ""
    print(
        f"{output}: {documents_told}{facts['tokens']:,} tokens of {data.vocab_size:,},"
        f" {data.bytes_per_token} bytes each; train on it with: microgpt train {shlex.quote(str(output))}"
    )


@contextmanager
def not_waiting_for_the_dead(folder: Folder) -> Iterator[None]:
    """End this process a little after it was asked to terminate, if it has not done so itself.

    Where one of several processes has died, another may wait for it inside PyTorch, for minutes and out of reach of
    Python's signal handlers. torchrun asks it to terminate; a thread hears that, as it does not wait.
    """
    if folder.run.engine.world_size == 1:
        yield
        return
    heard, told = socket.socketpair()
    told.setblocking(False)

    def listen() -> None:
        while number := heard.recv(1):  # nothing comes once `told` is closed
            if number[0] == signal.SIGTERM:
                heard.settimeout(GRACE)
                try:
                    heard.recv(1)
                except TimeoutError:
                    way_on = "the last checkpoint is whole"
                    if folder.path != Path():  # the folder that the first process has chosen is not known here
                        way_on += f": {resume_command(folder)} goes on from it"
                    os.write(2, f"error: ended while it waited for another process; {way_on}\n".encode())
                    os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        told.close()


@app.command()
def sample(
    run: RunArgument,
    n: Annotated[int, typer.Option("-n", "--num-samples", help="How many.", **number(int, at_least=0))] = NUM_SAMPLES,
    *,
    temperature: Annotated[
        float | None,
        typer.Option(help="0 is the likeliest token always." + _default("the run's"), **number(float)),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Draw among the k likeliest tokens only.", **number(int))] = None,
    prompt: Annotated[str, typer.Option(help="What each sample begins with.")] = "",
    seed: SeedOption = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="End a sample after so many.", **number(int))] = None,
    slide: Annotated[
        bool, typer.Option("--slide", help="Go on beyond block_size, with the last block_size tokens as context.")
    ] = False,
    new_only: Annotated[bool, typer.Option("--new-only", help="Only samples that are not training data.")] = False,
    data: DataOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Let a model write. A sample that stands in the training data is marked.

    Sample i is drawn from random.Random(f"{seed}:{i}"): the same text for any engine and any n.

    [bold]Examples[/]

      microgpt sample runs/small -n 5 --temperature 0.8
      microgpt sample runs/small --prompt ma --top-k 5
      microgpt sample runs/small --new-only --json
    """
    model = Run.load(run, engine=engine, precision=precision, source=data, **_asked(device=device))
    if not new_only:
        tell_missing_data(model)
    count = 0
    for samples in model.write(
        n,
        seed=seed,
        new_only=new_only,
        temperature=temperature,
        top_k=top_k,
        prompt=prompt,
        max_new_tokens=max_new_tokens,
        slide=slide,
    ):
        if json:
            for text, known in samples:
                print(json_module.dumps({"text": text, "known": known}))
        else:
            texts, marks = [text for text, _ in samples], ["in the training data" * bool(known) for _, known in samples]
            sys.stdout.write(display.sample_lines(texts, marks, first=count + 1))
        sys.stdout.flush()
        count += len(samples)


def tell_missing_data(model: Run) -> None:
    if model.missing_data:
        display.tell(f"note: {model.missing_data}; so no sample is compared with it")


@app.command()
def evaluate(
    run: RunArgument,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Another text." + _default("the held-out part, else the training data")),
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option(help="Documents read, spread over the text; 0: all.", **number(int, at_least=0))
    ] = 1000,
    num_samples: Annotated[
        int, typer.Option(help="Samples drawn to see how many are new.", **number(int, at_least=0))
    ] = 1000,
    seed: SeedOption = None,
    data: DataOption = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = None,
    device: DeviceOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model: its loss beside what counting letters reaches, and how much of its writing is new.

    [bold]Examples[/]

      microgpt evaluate runs/small --limit 20 --num-samples 10
    """
    model = Run.load(run, engine=engine, precision=precision, source=data, **_asked(device=device))
    if file is not None:
        tell_missing_data(model)
    with display.Bars() as progress:
        found = model.evaluate(file, limit=limit, num_samples=num_samples, seed=seed, progress=progress)
    print(json_module.dumps(found.to_dict()) if json else evaluation.render(found))


@app.command()
def export(
    run: RunArgument,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file.")] = Path("model.onnx"),
    precision: Annotated[str, typer.Option(metavar="float32|float64", help="Of its numbers.")] = "float32",
) -> None:
    """Write the model as an ONNX file, for programs in other languages. Needs onnx: pip install onnx.

    Its inputs and outputs are told in docs/onnx.md: a whole text at once, or token by token with a cache.

    [bold]Examples[/]

      microgpt export runs/small -o model.onnx
    """
    from microgpt.exporting import to_onnx

    model = Run.load(run)
    to_onnx(model, output, precision)
    print(f"wrote {output}: {model.num_params:,} parameters as {precision}")


@app.command()
def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, drawn together.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="The picture: .svg, .png or .pdf.")] = Path("loss.svg"),
    smoothing: Annotated[int, typer.Option(help="Steps that the drawn mean covers.", **number(int))] = 50,
) -> None:
    """Draw the loss curves of runs. Needs matplotlib: pip install matplotlib.

    [bold]Examples[/]

      microgpt plot runs/small -o loss.svg
    """
    from microgpt.plot import plot_losses

    plot_losses(runs, output, smoothing)
    print(f"wrote {output}", file=sys.stderr)


@app.command()
def info(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run or of prepared data, or a checkpoint file.")
    ],
    *,
    json: JsonOption = False,
) -> None:
    """Say what a run is: its settings, its parameters matrix by matrix, its data, how far it is trained.

    Or what prepared data are: from which files, how many documents and tokens.

    [bold]Examples[/]

      microgpt info runs/small
      microgpt info data/names
    """
    if is_prepared(run):
        facts = open_prepared(run, block_size=1).summary()
        if json:
            print(json_module.dumps(facts))
            return
        print(f"{run}: prepared data\n")
        for name, value in facts.items():
            for told in value if isinstance(value, list) else [value]:
                print(f"  {name:16}{f'{told:,}' if isinstance(told, int) else told}")
                name = ""
        return
    model = Run.load(run, engine="scalar")
    table = {name: list(shape) for name, shape in shapes(model.config, model.engine.vocab_size).items()}
    if json:
        facts = {
            "step": model.step,
            "config": model.config.to_dict(),
            "vocab_size": model.engine.vocab_size,
            "symbols": model.tokenizer.symbols,
            "num_params": model.num_params,
            "shapes": table,
            "data": model.data_info,
        }
        print(json_module.dumps(facts))
        return
    print(f"{run}: {model.step} of {model.config.num_steps} steps\n")
    for name, value in model.config.to_dict().items():
        print(f"  {name:16}{value}")
    print("\ndata")
    for name, value in model.data_info.items():
        print(f"  {name:16}{value}")
    print(f"  {'vocab_size':16}{model.engine.vocab_size}")
    print("\nparameters")
    for name, (rows, columns) in table.items():
        print(f"  {name:20}{rows:6} x {columns:<6}{rows * columns:12,}")
    print(f"  {'in all':35}{model.num_params:12,}")


@app.command()
def verify(
    engine: EngineOption = "auto",
    *,
    precision: PrecisionOption = None,
    case: Annotated[list[str] | None, typer.Option(help="Only this case; may be repeated." + _default("all"))] = None,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The public names.txt." + _default("the downloaded one"))
    ] = None,
    golden_steps: Annotated[
        int | None,
        typer.Option(help="Steps of the published runs; 0: none." + _default("all"), **number(int, at_least=0)),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Allowed difference; 0: every bit." + _default("the precision's promise"), **number(float)),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the reference's numbers, for a port to compare with.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare a port's numbers, laid out as --export lays them out.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare an engine, or somebody's port, with the reference: tensor by tensor, and with the published runs.

    Exit status 1 where it is not the reference. The layout of --export and --against stands in docs/verify.md.

    [bold]Examples[/]

      microgpt verify --engine scalar --case odd_sizes --golden-steps 0
      microgpt verify --export port
      microgpt verify --against port
    """
    from microgpt import ports
    from microgpt import verify as oracle

    other = "against" if against else "export" if export else None
    options = {"case": case, "names": names, "golden_steps": golden_steps, "precision": precision, "export": export}
    for name, value in options.items():
        if other and value and name != other:
            raise ValueError(f"{name} and {other} exclude each other: leave one of them out")
    if export is not None:
        paths = ports.export(export, display.tell)
        display.tell(f"wrote {len(paths)} files to {export}; compare with: microgpt verify --against DIR")
        return
    if against is not None:
        answer = ports.against(against, tolerance, display.tell)
        print(json_module.dumps(answer.to_dict(), allow_nan=False) if json else ports.render(answer))
        raise typer.Exit(answer.status)
    report = oracle.verify(
        engine,
        precision,
        cases=case,
        names=names,
        golden_steps=golden_steps,
        tolerance=tolerance,
        progress=display.tell,
    )
    print(json_module.dumps(report.to_dict(), allow_nan=False) if json else oracle.render(report))
    raise typer.Exit(report.status)


@app.command()
def bench(
    *,
    engine: Annotated[
        list[str] | None, typer.Option(help="Only this engine; may be repeated." + _default("all"))
    ] = None,
    work: Annotated[
        list[str] | None, typer.Option(metavar="train|generate", help="Only this; may be repeated." + _default("both"))
    ] = None,
    n_embd: Annotated[
        list[int] | None, typer.Option(help="Sizes; may be repeated." + _default("16 32 64 128 256"), **number(int))
    ] = None,
    batch_size: Annotated[
        list[int] | None,
        typer.Option(help="Documents a step, streams together; may be repeated." + _default("1 16"), **number(int)),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for each rung.", **number(float))] = 2.0,
    rounds: Annotated[int, typer.Option(help="Rounds, in which the rungs take turns.", **number(int))] = 10,
    threads: ThreadsOption = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")] = False,
    json: JsonOption = False,
) -> None:
    """Measure the engines side by side: time, and difference from the reference.

    [bold]Examples[/]

      microgpt bench --engine scalar --n-embd 16 --seconds 0.2 --rounds 3
    """
    from microgpt import bench as ladder

    asked: dict[str, Any] = {"engines": engine, "works": work, "sizes": n_embd, "batch_sizes": batch_size}
    found = ladder.bench(
        **{name: value for name, value in asked.items() if value},
        seconds=seconds,
        rounds=rounds,
        threads=threads or 1,
        progress=display.tell,
    )
    print(json_module.dumps(found.to_dict(), allow_nan=False) if json else ladder.render(found, markdown))


@app.command()
def lab(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of runs, or checkpoints, that it can open.")
    ] = None,
    *,
    port: Annotated[
        int | None, typer.Option(help="Port on this machine." + _default("8000, or a free one"), **number(int))
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write it there for a web server, instead; needs a new folder.")
    ] = None,
) -> None:
    """Open the page on which every number of a GPT can be seen and changed.

    It is served to this machine alone, works without a network, and stops at Ctrl-C. A run that still trains is shown
    as it grows.

    [bold]Examples[/]

      microgpt lab
      microgpt lab runs/small --no-browser --port 8321
      microgpt lab --export page
    """
    from microgpt.lab import server as lab_server

    pages = lab_server.Pages([lab_server.NamedRun.find(run) for run in runs or []])
    if lab_server.trouble():
        display.tell(f"note: the page is older than the package, which could not build it: {lab_server.trouble()}")
    if export is not None:
        lab_server.export(pages, export)
        display.tell(f"wrote {export}: any web server can serve it, under any address")
        return
    with lab_server.Server(pages, port) as server:
        print(server.url, flush=True)
        display.tell("Ctrl-C stops it")
        if browser:
            lab_server.open_browser(server.url)
        with suppress(KeyboardInterrupt):  # that is how it ends
            server.serve_forever()


def main(args: list[str] | None = None) -> int:
    """Run the command line. Gives its exit status: 0; 1, it failed; 2, it was asked wrongly; 130, Ctrl-C."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter
    try:
        status = app(args=args, standalone_mode=False)
        if sys.stdout:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except (ValueError, ImportError, MemoryError) as error:  # what our own functions say of their arguments
        return _fail(str(error), 2)
    except (DivergedError, FloatingPointError) as error:
        return _fail(f"{error}; the last checkpoint is whole", 1)
    except StoppedError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:  # the reader of our output has gone: what is left of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # Typer's, for what it could not parse
            raise
        return _fail(str(error.format_message()), 2)


def _fail(message: str, status: int) -> int:
    rank, _ = processes()
    if rank and status == 2:
        time.sleep(10)  # what all processes find wrong the first says for all: torchrun then ends the others
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return status
