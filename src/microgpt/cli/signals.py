"""Signal handling during training: Ctrl-C, termination requests, and a terminal that is closed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from microgpt.cli.resume_command import remedy
from microgpt.runs.folder import Folder
from microgpt.system.text import visible

HANGUP = getattr(signal, "SIGHUP", None)  # sent when a terminal is closed; Windows has no such signal
TERMINATION = (signal.SIGTERM, HANGUP)
GRACE = 10.0  # seconds for the last step and checkpoint after a termination request


@contextmanager
def signals() -> Iterator[list[int]]:
    """Catch the first Ctrl-C, termination request or hangup; the second has its usual effect.

    After the first, a hangup is ignored: the shell and the system each send one when a terminal is closed.

    Yields:
        A list that receives the signal's number, for the training loop to check.
    """
    caught: list[int] = []
    handled = [each for each in (signal.SIGINT, *TERMINATION) if each]

    def catch(number: int, _: FrameType | None) -> None:
        caught.append(number)
        for each, handler in before.items():
            signal.signal(each, signal.SIG_IGN if each == HANGUP else handler)

    # A signal that was ignored when this process started (nohup, a shell's &) stays ignored
    before = {each: signal.signal(each, catch) for each in handled if signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield caught
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def not_waiting_for_the_dead(folder: Folder) -> Iterator[None]:
    """Terminate this process 10 seconds after a termination request if it has not exited by then.

    If one of several processes dies, another may wait inside PyTorch for minutes, and Python's signal handlers do not
    run during that time. When torchrun then asks the waiting process to terminate, a thread notices the request.
    """
    if folder.run.engine.world_size == 1:
        yield
        return
    import socket

    heard, wakeup = socket.socketpair()
    wakeup.setblocking(False)

    def listen() -> None:
        while number := heard.recv(1):  # empty once `wakeup` is closed
            if number[0] in TERMINATION:
                heard.settimeout(GRACE)
                try:
                    heard.recv(1)
                except TimeoutError:
                    end = visible(remedy(folder))
                    with suppress(OSError):  # the reader of stderr may be gone
                        os.write(2, f"error: stopped while waiting for another process; {end}\n".encode())
                    os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    before = signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        wakeup.close()
