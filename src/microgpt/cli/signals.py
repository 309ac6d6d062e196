"""Signal handling during training: Ctrl-C and termination requests."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from microgpt.cli.resume_command import resume_command
from microgpt.runs.folder import Folder

GRACE = 10.0  # seconds that a process that is asked to terminate has for its last step and checkpoint


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
