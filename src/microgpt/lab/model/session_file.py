"""Save a session as a string, and restore it.

The string contains the texts that the user loaded, and all runs with their settings, loss curves and exact weights.
Only the first and last frames of each run are saved. The steps between these frames are repeated when needed.
"""

from __future__ import annotations

import base64
import json
from array import array
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from microgpt.config import Config
from microgpt.data.documents import MODES
from microgpt.engines.program import REFERENCE
from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.requests import Response, change_request, request
from microgpt.lab.runs.opening import begin_again, check_size, from_checkpoint
from microgpt.lab.runs.run import Edit, Frame, LabRun
from microgpt.lab.runs.texts import Text
from microgpt.runs.checkpoint import Checkpoint, check_symbols, rng_state
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import spec_of
from microgpt.system.records import OneOf, Whole, read

if TYPE_CHECKING:
    from microgpt.lab.protocol.runs import Saved
    from microgpt.lab.session import Session

FORMAT = "microgpt lab/1"
MAX_NUMBERS = 10_000_000  # in one of a run's buffers

SavedEdit = tuple[Whole, Whole, float, float]  # the fields of Edit


@dataclass(frozen=True)
class SavedText:
    """A text: the arguments of Text, with the content in base64."""

    name: str
    mode: Annotated[str, OneOf(MODES)]
    base64: str | None


@dataclass(frozen=True)
class SavedFrame:
    """A frame; `_numbers` decodes its buffers."""

    step: Whole
    params: str
    m: str
    v: str


@dataclass(frozen=True)
class SavedRun:
    """A run: the attributes of LabRun, and the parts of its checkpoint."""

    id: str
    name: str
    about: str
    text: Whole
    config: dict[str, Any]
    symbols: list[str]
    rng: list[Any]
    data: dict[str, Any]
    losses: str
    validations: list[tuple[Whole, float]]
    edits: list[SavedEdit]
    changes: list[SavedEdit]
    branch: tuple[str, Whole] | None
    program: str | None
    frozen: bool
    first: Whole
    again: bool
    missing: str
    frames: list[SavedFrame]
    now: SavedFrame
    spec: dict[str, Any] = field(default_factory=dict)  # missing in sessions saved before the byte tokenizer was added


@dataclass(frozen=True)
class SavedSession:
    """A session."""

    version: Whole
    begun: Whole
    active: str
    texts: list[SavedText]
    runs: list[SavedRun]


@request
def save(session: Session) -> Saved:
    """Save the session as a string that `restore` accepts."""
    read = [run.text for run in session.by_id.values()]  # a run may read as a stream a text that was loaded as lines
    texts = list(dict.fromkeys([*session.texts, *read]))
    saved = {
        "format": FORMAT,
        "version": session.version,
        "begun": session.begun,
        "active": session.active.id,
        "texts": [{"name": text.name, "mode": text.mode, "base64": text.base64} for text in texts[1:]],
        "runs": [_run(run, texts.index(run.text)) for run in session.by_id.values()],
    }
    return {"state": json.dumps(saved, separators=(",", ":"))}


@change_request
def restore(session: Session, state: str) -> None:
    """Restore a saved session."""
    try:
        content = json.loads(state)
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise ValueError(f"its format is {found!r:.40}, expected {FORMAT!r}")
        saved = read(SavedSession, content)
        texts = [session.names, *map(_text_of, saved.texts)]  # the bundled names come first
        for run in saved.runs:
            if run.text >= len(texts):
                raise ValueError(f"text must be the index of one of {len(texts)} texts, got text={run.text}")
        runs = {run.id: _restored(run, texts[run.text]) for run in saved.runs}
        for restored in runs.values():
            restored.elsewhere = _elsewhere(restored, runs)
        if saved.active not in runs:
            raise ValueError(f"active must be the id of a run, got active={saved.active!r:.40}")
    except (ValueError, RecursionError) as error:
        raise LabError(f"cannot read the saved state: {error!s:.300}; start a new session") from None
    active, begun, version = runs[saved.active], saved.begun, saved.version
    session.texts, session.by_id, session.active, session.begun = texts, runs, active, begun
    session.version = max(session.version, version)


def _elsewhere(run: LabRun, runs: dict[str, LabRun]) -> bool:
    """Return whether a run is the published run, or branched from it."""
    ids = {run.id}
    while run.branch and run.branch[0] in runs and run.branch[0] not in ids:
        run = runs[run.branch[0]]
        ids.add(run.id)
    return run.id == "published"


def _run(run: LabRun, text: int) -> Response:
    key = (text, run.step, run.furthest, run.name, tuple(run.changes), tuple(run.engine.params) if run.changes else ())
    if run.saved is None or run.saved[0] != key:  # an unchanged run is serialized only once
        first, last = run.frames[min(run.frames)], run.frames[max(run.frames)]
        e = run.engine
        run.saved = (
            key,
            {
                "id": run.id,
                "name": run.name,
                "about": run.about,
                "text": text,
                "config": run.config.to_file(),
                "symbols": run.run.tokenizer.symbols,
                "spec": spec_of(run.run.tokenizer),
                "rng": run.run.rng.getstate(),
                "data": run.run.provenance.to_dict(),
                "losses": _text(run.losses),
                "validations": run.validations,
                "edits": run.edits,
                "changes": list(run.changes.values()),
                "branch": run.branch,
                "program": run.program.text if run.program is not REFERENCE else None,
                "frozen": run.frozen,
                "first": run.first,
                "again": run.opened is not None,
                "missing": run.missing,
                "frames": [_frame(frame) for frame in ([first] if first is last else [first, last])],
                "now": _frame(Frame(e.step, e.params, e.m, e.v)),
            },
        )
    return run.saved[1]


def _frame(frame: Frame) -> Response:
    return {"step": frame.step, **{name: _text(getattr(frame, name)) for name in ("params", "m", "v")}}


def _text(numbers: array[float]) -> str:
    content = numbers.tobytes()
    return f"{len(numbers)} zeros" if content == bytes(len(content)) else base64.b64encode(content).decode()


def _numbers(text: str) -> array[float]:
    if text.endswith(" zeros"):
        count = text.removesuffix(" zeros")
        if not (count.isdecimal() and len(count) < 10 and int(count) <= MAX_NUMBERS):
            raise ValueError(f"a run can have at most {MAX_NUMBERS:,} numbers, got {text:.40}")
        return array("d", bytes(8 * int(count)))
    numbers = array("d")
    numbers.frombytes(base64.b64decode(text))
    return numbers


def _text_of(saved: SavedText) -> Text:
    return Text(saved.name, None if saved.base64 is None else base64.b64decode(saved.base64), saved.mode)


def _restored(saved: SavedRun, text: Text) -> LabRun:
    config = Config.from_dict(saved.config)
    check_size(config, len(saved.symbols))
    program = REFERENCE if saved.program is None else edited.load(saved.program, text)
    now = _frame_of(saved.now)
    state = Checkpoint(
        config=config,
        symbols=saved.symbols,
        spec=saved.spec,
        params=array("d", now.params),
        m=now.m,
        v=now.v,
        step=now.step,
        rng_state=rng_state(saved.rng),
        provenance=Provenance.from_dict(saved.data),
    )
    if program is REFERENCE:
        check_symbols(state)
    losses, frames = _numbers(saved.losses), [*map(_frame_of, saved.frames)]
    _check(saved, [now, *frames], len(losses))
    missing = saved.missing or state.provenance.fault()
    run = LabRun(saved.id, saved.name, saved.about, text, from_checkpoint(text, state, missing, program))
    run.losses = losses
    run.validations = saved.validations
    run.edits = [Edit(*edit) for edit in saved.edits]
    run.changes = {edit[1]: Edit(*edit) for edit in saved.changes}
    run.branch = saved.branch
    run.frozen, run.first, run.missing = saved.frozen, saved.first, missing
    run.frames = {frame.step: frame for frame in frames}
    run.settle_plan()
    if saved.again and not missing:
        run.opened = partial(begin_again, text, state)
    return run


def _check(saved: SavedRun, frames: list[Frame], num_losses: int) -> None:
    """Raise ValueError if a run's parts do not fit together."""
    now, *kept = frames
    count = len(now.params)
    for frame in frames:
        for name in ("params", "m", "v"):
            if len(getattr(frame, name)) != count:
                raise ValueError(f"{name} must have {count} numbers, got {len(getattr(frame, name))}")
    steps = [frame.step for frame in kept]
    if not steps or min(steps) > min(now.step, saved.first) or max(now.step, saved.first, *steps) > num_losses:
        raise ValueError(
            f"frames must start at or before first={saved.first} and step={now.step}, and end at or before"
            f" {num_losses}, got steps {steps!r:.40}"
        )
    for _, place, _, _ in (*saved.edits, *saved.changes):
        if place >= count:
            raise ValueError(f"an edit must change one of {count} weights, got number {place}")


def _frame_of(saved: SavedFrame) -> Frame:
    return Frame(saved.step, *(_numbers(getattr(saved, name)) for name in ("params", "m", "v")))
