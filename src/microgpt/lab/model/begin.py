"""Start a run from random weights, an edited program, another text, or a saved run's files."""

from __future__ import annotations

import base64 as base64_codec
import binascii
from typing import TYPE_CHECKING, Annotated, Any

from microgpt.config import Config
from microgpt.engines.program import REFERENCE
from microgpt.errors import LabError
from microgpt.lab.editing import edited
from microgpt.lab.protocol.choices import Documents
from microgpt.lab.requests import change_request
from microgpt.lab.runs import opening, texts
from microgpt.lab.runs.texts import Text
from microgpt.training import check_options

if TYPE_CHECKING:
    from microgpt.lab.session import Session

Settings = Annotated[dict[str, Any], "Partial<Config>"]


@change_request
def reset(
    session: Session, config: Settings | None = None, name: str | None = None, val_fraction: float | None = None
) -> None:
    """Start a run from random weights on the same text, with the active run's settings where none are specified."""
    changes, active = dict(config or {}), session.active
    if active.program is not REFERENCE:
        if changes or val_fraction is not None:
            raise LabError("an edited program's settings are in its main(): change them there")
        return edit(session, active.program.text)
    known = Config().to_dict()
    for setting in changes:
        if setting not in known:
            raise LabError(f"unknown setting {setting!r:.40}; choose from {', '.join(known)}")
    changes = {
        setting: int(value) if type(known[setting]) is int and type(value) is float and value.is_integer() else value
        for setting, value in changes.items()
    }
    new = active.config.replace(**changes)
    check_options(new.batch_size, None, None)
    held_out = active.val_fraction if val_fraction is None else val_fraction
    session.add(opening.begin(session.new_id(), name or "my run", active.text, new, held_out))


@change_request
def edit(session: Session, source: str) -> None:
    """Start a run on the same text with an edited program in place of the reference."""
    session.add(edited.begin(session.new_id(), session.active.text, source))


@change_request
def load_data(session: Session, name: str, base64: str, documents: Documents | None = None) -> None:
    """Start an untrained run on a file. By default, a file with a single long line is read as a stream."""
    text, active = texts.from_file(name, _bytes("base64", base64), documents), session.active
    if active.program is not REFERENCE:
        run = edited.begin(session.new_id(), text, active.program.text)
    else:
        run = opening.begin(session.new_id(), name, text, active.config)
    session.texts.append(text)
    session.add(run)


@change_request
def open_run(session: Session, name: str, checkpoint: str, metrics: str) -> None:
    """Open a run from the files in its folder: the checkpoint in base64, and the metrics as JSON lines."""

    def text(sha256: str) -> Text | None:
        """Return the session's text with this checksum, or None."""
        return next((text for text in reversed(session.texts) if text.data(Config()).sha256 == sha256), None)

    content = _bytes("checkpoint", checkpoint)
    session.add(opening.opened(session.new_id(), name, content, metrics, text, session.names))


def _bytes(name: str, text: str) -> bytes:
    try:
        return base64_codec.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LabError(f"{name} must be base64: {error}") from None
