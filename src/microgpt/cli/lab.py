"""`microgpt lab`: serve the lab's page to a browser."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from contextlib import suppress
from pathlib import Path

from microgpt.cli import display
from microgpt.cli.options import CHECKPOINT, argument, number, option

ARGUMENTS = [
    argument("RUN...", "Run folders or checkpoint files to open in the lab.", name="runs", nargs="*", type=Path),
    option(
        "--host",
        metavar="ADDRESS",
        shown="127.0.0.1",
        help="IP address to listen on; 0.0.0.0 or :: for all, as in a container. Other machines then need a token.",
    ),
    option(
        "--allow-host",
        metavar="NAME",
        action="append",
        help="Also answer to this name, such as a proxy's (repeatable).",
    ),
    option("--port", **number(int), shown="8000, or a free port", help="Port to listen on."),
    option(
        "--browser", action=BooleanOptionalAction, default=True, shown="browser", help="Open the page in the browser."
    ),
    option(
        "--export",
        metavar="DIR",
        type=Path,
        help="Write the page to a new folder for a web server instead of serving it.",
    ),
    CHECKPOINT,
]


def lab(
    runs: list[Path],
    *,
    host: str | None,
    allow_host: list[str] | None,
    port: int | None,
    browser: bool,
    export: Path | None,
    checkpoint: str | None,
) -> None:
    """Open the lab, a page that shows every number inside a GPT.

    You can change the numbers and continue training from there. The page is
    served only to this machine, unless --host says otherwise, and needs no
    network. Only the address that this command prints or opens shows your
    runs; share it with nobody who must not read them. Ctrl-C stops the
    server. While a run is still training, the page follows its progress.

    Examples:
      microgpt lab
      microgpt lab runs/small --no-browser --port 8321
      microgpt lab --host 0.0.0.0 --no-browser
      microgpt lab --export page
    """
    from microgpt.lab import server as lab_server
    from microgpt.lab.addresses import HOST

    pages = lab_server.Pages([lab_server.NamedRun.find(run, checkpoint) for run in runs])
    if lab_server.trouble():
        display.note(
            f"note: the page is older than the package, because building the page failed: {lab_server.trouble()}"
        )
    if export is not None:
        lab_server.export(pages, export)
        display.note(f"wrote {export}; any web server can serve it, at any path")
        return
    with lab_server.Server(pages, port, HOST if host is None else host, allow_host or ()) as server:
        print(server.address(), flush=True)
        if server.is_guarded:
            display.note(
                "warning: other machines can reach the lab: this address with its token shows the page and the runs to"
                " anyone; the connection is not encrypted"
            )
        display.note("press Ctrl-C to stop")
        if browser:
            lab_server.open_browser(server.address(once=True))
        with suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to stop the server
            server.serve_forever()
