"""`microgpt lab`: serve the lab's page to a browser."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import FLAG, default, number


def lab(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Run folders or checkpoint files to open in the lab.")
    ] = None,
    *,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on." + default("8000, or a free port"), **number(int))
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.", **FLAG)
    ] = True,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the page to a new folder for a web server instead of serving it."),
    ] = None,
) -> None:
    """Open the lab, a page that shows every number inside a GPT.

    You can change the numbers and continue training from there. The page is
    served only to this machine and needs no network. Ctrl-C stops the
    server. While a run is still training, the page follows its progress.

    [bold]Examples[/]

      microgpt lab
      microgpt lab runs/small --no-browser --port 8321
      microgpt lab --export page
    """
    from microgpt.lab import server as lab_server

    pages = lab_server.Pages([lab_server.NamedRun.find(run) for run in runs or []])
    if lab_server.trouble():
        display.note(
            f"note: the page is older than the package, because building the page failed: {lab_server.trouble()}"
        )
    if export is not None:
        lab_server.export(pages, export)
        display.note(f"wrote {export}; any web server can serve it, at any path")
        return
    with lab_server.Server(pages, port) as server:
        print(server.url, flush=True)
        display.note("press Ctrl-C to stop")
        if browser:
            lab_server.open_browser(server.url)
        with suppress(KeyboardInterrupt):  # Ctrl-C is the normal way to stop the server
            server.serve_forever()
