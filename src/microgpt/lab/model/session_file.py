"""Save a session as a string, and restore it.

The string contains the texts that the user loaded, and all runs with their settings, loss curves and exact weights.
Only the first and last frames of each run are saved. The steps between these frames are repeated when needed.
"""

from __future__ import annotations

import base64
import json
from array import array
from typing import TYPE_CHECKING, Any

from microgpt.config import Config
from microgpt.engines.program import REFERENCE
from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.requests import Response, change_request, request
from microgpt.lab.runs.opening import begin_again, from_checkpoint
from microgpt.lab.runs.run import Edit, Frame, LabRun
from microgpt.lab.runs.texts import Text
from microgpt.runs.checkpoint import Checkpoint
from microgpt.runs.provenance import Provenance
from microgpt.runs.run import spec_of

if TYPE_CHECKING:
    from microgpt.lab.protocol.runs import Saved
    from microgpt.lab.session import Session

FORMAT = "microgpt lab/1"


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
        saved: dict[str, Any] = json.loads(state)
        if saved["format"] != FORMAT:
            raise ValueError(f"unknown format {saved['format']!r:.40}")
        texts = [session.names, *map(_text_of, saved["texts"])]  # the bundled names come first
        runs = {facts["id"]: _restored(facts, texts[facts["text"]]) for facts in saved["runs"]}
        active, begun, version = runs[saved["active"]], int(saved["begun"]), int(saved["version"])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise LabError(f"cannot read the saved state: {error!r:.80}; start a new session") from None
    session.texts, session.by_id, session.active, session.begun = texts, runs, active, begun
    session.version = max(session.version, version)


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
                "config": run.config.to_dict(),
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
    numbers = array("d")
    numbers.frombytes(bytes(8 * int(text.split()[0])) if text.endswith(" zeros") else base64.b64decode(text))
    return numbers


def _text_of(facts: dict[str, Any]) -> Text:
    return Text(facts["name"], None if facts["base64"] is None else base64.b64decode(facts["base64"]), facts["mode"])


def _restored(facts: dict[str, Any], text: Text) -> LabRun:
    config = Config.from_dict(facts["config"])
    program = REFERENCE if facts["program"] is None else edited.load(facts["program"], text)
    now = _frame_of(facts["now"])
    version, internal, gauss_next = facts["rng"]
    state = Checkpoint(
        config=config,
        symbols=facts["symbols"],
        spec=facts.get("spec", {}),  # missing in sessions saved before the byte tokenizer was added
        params=array("d", now.params),
        m=now.m,
        v=now.v,
        step=now.step,
        rng_state=(version, tuple(internal), gauss_next),
        provenance=Provenance.from_dict(facts["data"]),
    )
    run = LabRun(
        facts["id"],
        facts["name"],
        facts["about"],
        text,
        from_checkpoint(text, state, facts["missing"], program),
    )
    run.losses = _numbers(facts["losses"])
    run.validations = [(step, loss) for step, loss in facts["validations"]]
    run.edits = [Edit(*edit) for edit in facts["edits"]]
    run.changes = {edit[1]: Edit(*edit) for edit in facts["changes"]}
    run.branch = tuple(facts["branch"]) if facts["branch"] else None
    run.frozen, run.first, run.missing = facts["frozen"], facts["first"], facts["missing"]
    run.frames = {frame.step: frame for frame in map(_frame_of, facts["frames"])}
    run.settle_plan()
    if facts["again"]:
        run.opened = begin_again(text, state)
    return run


def _frame_of(facts: dict[str, Any]) -> Frame:
    return Frame(facts["step"], *(_numbers(facts[name]) for name in ("params", "m", "v")))
