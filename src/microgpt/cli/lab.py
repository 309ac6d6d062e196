"""`microgpt lab`: serve the lab's page to a browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import default, number


def lab(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of runs, or checkpoints, that it can open.")
    ] = None,
    *,
    port: Annotated[
        int | None, typer.Option(help="Port on this machine." + default("8000, or a free one"), **number(int))
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
